//! Archives: how deep, how many files, of what types, and how much they unpack to.
//!
//! Everything is unpacked once, as a stream, and thrown away; what an archive says about itself is not believed. Only an
//! archive that must be read from its end (ZIP, 7z) and lies within another is written to a temporary file. A bound on bytes,
//! files, levels and time ends the walk; then the depth is not known, and rules about archives count as matching.

mod seven_zip;
mod tar;
mod zip;
mod zstd;

use std::cell::Cell;
use std::io::{self, Read, Seek, SeekFrom, Write};

use bzip2::read::MultiBzDecoder;
use flate2::read::MultiGzDecoder;
use lzma_rust2::XzReader;
use memchr::memmem;
use tokio::time::Instant;
use viaduct_compliance::{FileText, Member, sniff};

use crate::settings::Archives;
use crate::spool::HEAD;
use crate::text::Texts;

/// A longer name is cut, in bytes.
const NAME_BOUND: usize = 1024;
/// Up to this size, in bytes, a nested archive is kept in memory.
const MEMORY: usize = 1024 * 1024;
/// Memory for unpacking XZ, in KiB: enough for its largest usual dictionary, of 64 MiB. What needs more is not unpacked.
const XZ_MEMORY: u32 = 72 * 1024;
/// How far from its end a ZIP archive says that it is one, in bytes.
const ZIP_TAIL: u64 = 22 + 65_535;
/// The directory of office documents of the old kind names their parts in UTF-16.
const OLE_MACROS: &[u8] = b"_\0V\0B\0A\0_\0P\0R\0O\0J\0E\0C\0T\0";
const OLE_ENCRYPTED: &[u8] = b"E\0n\0c\0r\0y\0p\0t\0e\0d\0P\0a\0c\0k\0a\0g\0e\0";

/// The beginnings of archives that programs also find behind something else, as in a program that unpacks itself.
const HIDDEN: [&[u8]; 2] = [SEVEN_ZIP, b"Rar!\x1a\x07"];
const SEVEN_ZIP: &[u8] = b"7z\xbc\xaf\x27\x1c";

/// What was found in a file.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Contents {
    /// Levels of archives; none if not known.
    pub(crate) depth: Option<u32>,
    /// Files in all levels.
    pub(crate) members: Vec<Member>,
    /// Bytes that all of it unpacks to.
    pub(crate) unpacked: u64,
    pub(crate) encrypted: bool,
    pub(crate) macros: bool,
    /// The type of a document that is an archive inside.
    pub(crate) document: Option<&'static str>,
    /// What can be read in it.
    pub(crate) text: FileText,
}

/// What can be read from any place.
pub(crate) trait ReadSeek: Read + Seek {}

impl<T: Read + Seek> ReadSeek for T {}

/// Looks into a file. Blocks.
pub(crate) fn look(file: &mut dyn ReadSeek, size: u64, limits: &Archives, until: Instant) -> Contents {
    let budget = Budget {
        left: Cell::new(limits.unpacked),
        until,
    };
    let mut walk = Walk {
        limits,
        budget: &budget,
        contents: Contents::default(),
        texts: Texts::default(),
        in_document: false,
        unreadable: false,
    };
    let depth = walk.file(file, size).filter(|_| !walk.unreadable);
    if depth.is_none() {
        walk.texts.miss();
    }
    Contents {
        depth,
        text: walk.texts.finish(),
        ..walk.contents
    }
}

/// What may still be unpacked, and until when.
struct Budget {
    left: Cell<u64>,
    until: Instant,
}

/// A reader that counts against a budget.
struct Counted<'b, R> {
    inner: R,
    budget: &'b Budget,
}

impl<R: Read> Read for Counted<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if Instant::now() >= self.budget.until {
            return Err(io::ErrorKind::TimedOut.into());
        }
        let read = self.inner.read(buffer)?;
        let left = self.budget.left.get().checked_sub(read as u64);
        self.budget.left.set(left.ok_or(io::ErrorKind::FileTooLarge)?);
        Ok(read)
    }
}

/// A walk through archives. Where a function gives none, a bound was reached or the archive is damaged, and the walk ends.
struct Walk<'b> {
    limits: &'b Archives,
    budget: &'b Budget,
    contents: Contents,
    texts: Texts,
    /// Whether the files looked into are the parts of a document.
    in_document: bool,
    /// Something could not be looked into, though the walk went on.
    unreadable: bool,
}

/// How bytes are to be looked into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    Zip,
    SevenZip,
    Tar,
    Gzip,
    Xz,
    Bzip2,
    Zstd,
    /// Packed in a way that is not known here.
    Closed,
    /// An office document of the old kind.
    Ole,
    Plain,
}

fn shape(head: &[u8]) -> Shape {
    let kind = sniff(head).unwrap_or_default();
    if head.starts_with(b"PK\x03\x04") || head.starts_with(b"PK\x05\x06") || head.starts_with(b"PK00PK") {
        return Shape::Zip;
    }
    match kind {
        "application/zip" => Shape::Zip,
        "application/x-tar" => Shape::Tar,
        "application/gzip" => Shape::Gzip,
        "application/x-7z-compressed" => Shape::SevenZip,
        "application/x-xz" => Shape::Xz,
        "application/x-bzip2" => Shape::Bzip2,
        "application/zstd" => Shape::Zstd,
        "application/vnd.rar"
        | "application/vnd.bzip3"
        | "application/vnd.ms-cab-compressed"
        | "application/vnd.debian.binary-package"
        | "application/x-unix-archive"
        | "application/x-compress"
        | "application/x-lzip"
        | "application/x-rpm"
        | "application/x-lz4"
        | "application/x-cpio" => Shape::Closed,
        _ if zstd::is_skipped(head) => Shape::Closed,
        _ if head.starts_with(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1") => Shape::Ole,
        _ => Shape::Plain,
    }
}

impl Walk<'_> {
    /// The depth of a whole file.
    fn file(&mut self, file: &mut dyn ReadSeek, size: u64) -> Option<u32> {
        let mut head = Vec::new();
        file.take(HEAD as u64).read_to_end(&mut head).ok()?;
        let shape = shape(&head);
        let hidden = matches!(shape, Shape::Plain | Shape::Ole) && ends_as_zip(file, size).ok()?;
        file.rewind().ok()?;
        match shape {
            Shape::Zip => return self.zip(file, &head, 1),
            Shape::SevenZip => return self.seven_zip(file, 1),
            _ => {}
        }
        if hidden {
            // A program that unpacks itself, or something that shall look like another: what comes before is not read.
            self.texts.miss();
            let depth = self.zip(file, &[], 1);
            if depth.is_none() {
                self.unreadable = true;
            }
            return depth;
        }
        file.seek(SeekFrom::Start(head.len() as u64)).ok()?;
        self.content(head, file, 1)
    }

    /// A file within an archive.
    fn member(&mut self, name: &[u8], from: &mut dyn Read, level: u32) -> Option<u32> {
        let mut head = Vec::new();
        let read = from.take(HEAD as u64).read_to_end(&mut head);
        self.add(name, sniff(&head))?;
        read.ok()?;
        self.content(head, from, level)
    }

    /// Notes a file; none if there are too many.
    fn add(&mut self, name: &[u8], sniffed: Option<&str>) -> Option<()> {
        if self.contents.members.len() >= self.limits.entries as usize {
            return None;
        }
        let name = String::from_utf8_lossy(name.get(..NAME_BOUND).unwrap_or(name)).into_owned();
        self.contents.macros |= holds_macros(&name);
        if !self.in_document {
            self.texts.name(&name);
        }
        self.contents.members.push(Member {
            name,
            sniffed: sniffed.map(str::to_owned),
        });
        Some(())
    }

    /// What comes after a head that is read already.
    fn content(&mut self, head: Vec<u8>, rest: &mut dyn Read, level: u32) -> Option<u32> {
        let shape = shape(&head);
        let is_archive = !matches!(shape, Shape::Ole | Shape::Plain);
        if is_archive && level > self.limits.levels {
            return None;
        }
        let start = head.clone();
        let mut all = io::Cursor::new(head).chain(rest);
        match shape {
            Shape::Zip => self.zip(&mut spooled(&mut all)?, &start, level),
            Shape::SevenZip => self.seven_zip(&mut spooled(&mut all)?, level),
            Shape::Tar => self.tar(&mut all, level),
            Shape::Gzip => self.packed(MultiGzDecoder::new(all), level),
            Shape::Xz => self.packed(XzReader::new_mem_limit(all, true, XZ_MEMORY), level),
            Shape::Bzip2 => self.packed(MultiBzDecoder::new(all), level),
            Shape::Zstd => self.packed(zstd::Frames::new(all).ok()?, level),
            Shape::Closed => {
                self.unreadable = true;
                self.drain(&start, &mut all, shape)
            }
            Shape::Ole | Shape::Plain => self.drain(&start, &mut all, shape),
        }
    }

    /// The depth of one packed file, which has no name.
    fn packed(&mut self, unpacked: impl Read, level: u32) -> Option<u32> {
        let mut inside = Counted {
            inner: unpacked,
            budget: self.budget,
        };
        let mut head = Vec::new();
        (&mut inside).take(HEAD as u64).read_to_end(&mut head).ok()?;
        if shape(&head) == Shape::Tar {
            // A packed tar is one archive to whoever looks at it.
            return self.tar(&mut io::Cursor::new(head).chain(inside), level);
        }
        self.add(b"", sniff(&head))?;
        Some(self.content(head, &mut inside, level + 1)? + 1)
    }

    /// Reads to the end what is no archive.
    fn drain(&mut self, head: &[u8], from: &mut dyn Read, shape: Shape) -> Option<u32> {
        let mut page = match shape {
            Shape::Plain => Some(Texts::begin(head)),
            _ => None,
        };
        let mut window = Vec::new();
        let mut piece = vec![0; 64 * 1024];
        loop {
            if Instant::now() >= self.budget.until {
                return None;
            }
            let read = from.read(&mut piece).ok()?;
            let Some(fresh) = piece.get(..read).filter(|fresh| !fresh.is_empty()) else {
                match &page {
                    Some(page) => self.texts.end(page, self.in_document, self.budget.until),
                    None => self.texts.miss(),
                }
                return Some(0);
            };
            self.contents.unpacked = self.contents.unpacked.saturating_add(read as u64);
            if let Some(page) = &mut page {
                page.take(fresh);
            }
            window.extend_from_slice(fresh);
            let has = |mark: &[u8]| memmem::find(&window, mark).is_some();
            match shape {
                Shape::Ole => {
                    self.contents.macros |= has(OLE_MACROS);
                    self.contents.encrypted |= has(OLE_ENCRYPTED);
                }
                Shape::Plain => self.unreadable |= HIDDEN.iter().any(|mark| has(mark)),
                _ => {}
            }
            let keep = window.len().saturating_sub(OLE_ENCRYPTED.len());
            window.drain(..keep);
        }
    }
}

/// What is read, kept aside, to be read again from any place.
fn spooled(from: &mut dyn Read) -> Option<tempfile::SpooledTempFile> {
    let mut spool = tempfile::spooled_tempfile(MEMORY);
    io::copy(from, &mut spool).ok()?;
    spool.flush().ok()?;
    spool.rewind().ok()?;
    Some(spool)
}

/// Whether the end of a file says that it is a ZIP archive, whatever its beginning says.
fn ends_as_zip(file: &mut dyn ReadSeek, size: u64) -> io::Result<bool> {
    file.seek(SeekFrom::Start(size.saturating_sub(ZIP_TAIL)))?;
    let mut tail = Vec::new();
    file.take(ZIP_TAIL).read_to_end(&mut tail)?;
    Ok(memmem::rfind(&tail, b"PK\x05\x06").is_some_and(|at| tail.len() - at >= 22))
}

/// Whether a part of this name means that an office document has macros.
fn holds_macros(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    name.ends_with("vbaproject.bin") || name.starts_with("basic/")
}
