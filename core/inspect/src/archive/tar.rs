//! Tar archives.

use std::io::Read;

use super::Walk;

/// An extended header of more bytes than this is not read.
const HEADER_BOUND: u64 = 64 * 1024;

impl Walk<'_> {
    /// The depth of a tar archive. Extended headers are read here, and not by the library, which takes them whole into memory.
    pub(super) fn tar(&mut self, from: &mut dyn Read, level: u32) -> Option<u32> {
        if level > self.limits.levels {
            return None;
        }
        let mut archive = tar::Archive::new(from);
        let mut deepest = 0;
        let mut long_name = None;
        for entry in archive.entries().ok()?.raw(true) {
            let mut entry = entry.ok()?;
            let kind = entry.header().entry_type();
            if kind.is_gnu_longname() {
                long_name = Some(header(&mut entry)?);
            } else if kind.is_pax_local_extensions() {
                long_name = pax_path(&header(&mut entry)?).or(long_name);
            } else if kind.is_pax_global_extensions() || kind.is_gnu_longlink() {
                // Says nothing about names of files.
            } else if kind.is_dir() || kind.is_symlink() || kind.is_hard_link() {
                long_name = None;
            } else {
                let name = long_name.take().unwrap_or_else(|| entry.path_bytes().into_owned());
                deepest = deepest.max(self.member(&name, &mut entry, level + 1)?);
            }
        }
        Some(deepest + 1)
    }
}

/// The bytes of an extended header; none if it is too long.
fn header(entry: &mut dyn Read) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    entry.take(HEADER_BOUND + 1).read_to_end(&mut bytes).ok()?;
    (bytes.len() as u64 <= HEADER_BOUND).then(|| {
        while bytes.last() == Some(&0) {
            bytes.pop();
        }
        bytes
    })
}

/// The path in an extended header: lines of their length, a space, a key, an equals sign and a value.
fn pax_path(mut header: &[u8]) -> Option<Vec<u8>> {
    let mut path = None;
    while !header.is_empty() {
        let digits = header.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let length: usize = std::str::from_utf8(header.get(..digits)?).ok()?.parse().ok()?;
        let line = header.get(digits + 1..length.checked_sub(1)?)?;
        if let Some(value) = line.strip_prefix(b"path=") {
            path = Some(value.to_vec());
        }
        header = header.get(length..)?;
    }
    path
}

#[cfg(test)]
mod tests {
    use super::pax_path;

    #[test]
    fn paths_are_found_in_extended_headers() {
        assert_eq!(pax_path(b"18 path=some/name\n"), Some(b"some/name".to_vec()));
        assert_eq!(
            pax_path(b"16 comment=abc\n\n11 path=ab\n"),
            Some(b"ab".to_vec()),
            "a line feed may be in a value"
        );
        assert_eq!(pax_path(b"9999 path=x\n"), None);
        assert_eq!(pax_path(b"0 path=x\n"), None);
        assert_eq!(pax_path(b""), None);
    }
}
