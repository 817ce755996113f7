//! 7z archives.

use std::io::{self, Read, Seek, SeekFrom};

use sevenz_rust2::{Archive, BlockDecoder, Error, Password};
use tokio::time::Instant;

use super::{Counted, ReadSeek, Walk};

/// A longer list of files, in bytes, is not read: the library keeps a hundred bytes for each that the list claims to have.
const LIST: u64 = 1024 * 1024;
/// Memory for such a list, in KiB.
const LIST_MEMORY: usize = 1024;
/// Memory for unpacking, in KiB: enough for the usual dictionary of 64 MiB. What needs more is not unpacked.
const MEMORY: usize = 72 * 1024;

impl Walk<'_> {
    /// The depth of a 7z archive.
    pub(super) fn seven_zip(&mut self, file: &mut dyn ReadSeek, level: u32) -> Option<u32> {
        if level > self.limits.levels {
            return None;
        }
        let password = Password::empty();
        let mut file = Timed {
            inner: file,
            until: self.budget.until,
        };
        // To the library the bound of the list and that of what is needed to unpack it are one.
        let small = list_size(&mut file).is_some_and(|size| size <= LIST);
        let memory = if small { MEMORY } else { LIST_MEMORY };
        let archive = match Archive::read_with_memory_limit(&mut file, &password, memory) {
            Ok(archive) => archive,
            Err(error) => {
                // Even the names may be encrypted.
                self.contents.encrypted |= is_locked(&error);
                return None;
            }
        };
        // What is empty stands in no block.
        let in_block = |number: usize| {
            archive
                .stream_map
                .file_block_index
                .get(number)
                .is_some_and(Option::is_some)
        };
        let files = archive.files.iter().enumerate();
        for (_, empty) in files.filter(|(number, file)| !file.is_directory() && !in_block(*number)) {
            self.add(empty.name().as_bytes(), None)?;
        }
        let mut deepest = 0;
        for block in 0..archive.blocks.len() {
            deepest = deepest.max(self.seven_zip_block(&archive, block, &mut file, level)?);
        }
        Some(deepest + 1)
    }

    /// The depth of the files that are packed together in one block.
    fn seven_zip_block(&mut self, archive: &Archive, block: usize, file: &mut Timed<'_>, level: u32) -> Option<u32> {
        let password = Password::empty();
        let decoder = BlockDecoder::new_with_memory_limit(1, MEMORY, block, archive, &password, file);
        let files = decoder.entries().iter().filter(|entry| !entry.is_directory());
        let names: Vec<String> = files.map(|entry| entry.name().to_owned()).collect();
        let (mut deepest, mut seen, mut bounded) = (0, 0, false);
        let unpacked = decoder.for_each_entries(&mut |entry, inside| {
            if entry.is_directory() {
                return Ok(true);
            }
            seen += 1;
            let mut inside = Counted {
                inner: inside,
                budget: self.budget,
            };
            let depth = self.member(entry.name().as_bytes(), &mut inside, level + 1);
            bounded |= depth.is_none();
            deepest = deepest.max(depth.unwrap_or_default());
            Ok(depth.is_some())
        });
        if bounded {
            return None;
        }
        if let Err(error) = unpacked {
            // Encrypted, or packed in a way that is not known here.
            self.contents.encrypted |= is_locked(&error);
            self.unreadable = true;
        }
        for name in names.iter().skip(seen) {
            self.add(name.as_bytes(), None)?;
        }
        Some(deepest)
    }
}

/// How many bytes the list of files has, unpacked; none if it is packed in an unusual way, or not to be found.
fn list_size(file: &mut dyn ReadSeek) -> Option<u64> {
    let mut start = [0; 32];
    file.rewind().ok()?;
    file.read_exact(&mut start).ok()?;
    let number = |at: usize| Some(u64::from_le_bytes(*start.get(at..)?.first_chunk()?));
    let (offset, size) = (number(12)?, number(20)?);
    file.seek(SeekFrom::Start(offset.checked_add(32)?)).ok()?;
    let mut list = Vec::new();
    file.take(size.min(1024)).read_to_end(&mut list).ok()?;
    match list.split_first()? {
        (0x01, _) => Some(size),
        (0x17, rest) => packed_size(rest),
        _ => None,
    }
}

/// How many bytes a list unpacks to that is packed in one stream, in one way.
fn packed_size(mut list: &[u8]) -> Option<u64> {
    let list = &mut list;
    let expect = |list: &mut &[u8], wanted: &[u8]| {
        *list = list.strip_prefix(wanted)?;
        Some(())
    };
    // Where it is packed, and how long it is there; perhaps with a check sum.
    expect(list, &[0x06])?;
    number(list)?;
    expect(list, &[0x01, 0x09])?;
    number(list)?;
    if expect(list, &[0x0a, 0x01]).is_some() {
        list.split_off(..4)?;
    }
    // In one way, of which the name and the settings follow.
    expect(list, &[0x00, 0x07, 0x0b, 0x01, 0x00, 0x01])?;
    let flags = *list.split_off_first()?;
    list.split_off(..usize::from(flags & 0x0f))?;
    match flags & 0xf0 {
        0x00 => {}
        0x20 => {
            let length = usize::try_from(number(list)?).ok()?;
            list.split_off(..length)?;
        }
        _ => return None,
    }
    expect(list, &[0x0c])?;
    number(list)
}

/// A number: as many further bytes as its first begins with ones, the lowest first; the rest of the first is the highest.
fn number(list: &mut &[u8]) -> Option<u64> {
    let first = *list.split_off_first()?;
    let further = usize::try_from(first.leading_ones())
        .ok()
        .filter(|further| *further < 7)?;
    let low = list.split_off(..further)?.iter().rev();
    let high = u64::from(first & (0x7f >> further));
    Some(low.fold(0, |number, byte| number << 8 | u64::from(*byte)) | high << (8 * further))
}

/// Whether a password is needed.
fn is_locked(error: &Error) -> bool {
    match error {
        Error::PasswordRequired | Error::MaybeBadPassword(_) => true,
        Error::UnsupportedCompressionMethod(method) => method.starts_with("AES"),
        _ => false,
    }
}

/// A file that is read until a certain time: what is packed several times over may cost much and come to nothing.
struct Timed<'f> {
    inner: &'f mut dyn ReadSeek,
    until: Instant,
}

impl Read for Timed<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if Instant::now() >= self.until {
            return Err(io::ErrorKind::TimedOut.into());
        }
        self.inner.read(buffer)
    }
}

impl Seek for Timed<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.inner.seek(to)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read() {
        let read = |mut bytes: &[u8]| number(&mut bytes);
        assert_eq!(read(&[0x7f]), Some(0x7f));
        assert_eq!(read(&[0x81, 0x02]), Some(0x102));
        assert_eq!(read(&[0xc1, 0x02, 0x03]), Some(0x1_0302));
        assert_eq!(read(&[0xc1, 0x02]), None);
        assert_eq!(read(&[0xff; 9]), None);
    }

    #[test]
    fn the_size_of_a_list_is_found() {
        let packed = b"\x06\x10\x01\x09\x20\x00\x07\x0b\x01\x00\x01\x23\x03\x01\x01\x05\x5d\0\0\x10\0\x0c\x81\x02\x00";
        assert_eq!(packed_size(packed), Some(0x102));
        for end in 0..packed.len() - 1 {
            assert_eq!(packed_size(&packed[..end]), None);
        }
    }
}
