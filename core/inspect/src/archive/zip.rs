//! ZIP archives, and the documents that are such inside.

use std::io::{Read, Seek, SeekFrom};

use memchr::memmem;
use viaduct_compliance::sniff;
use zip::ZipArchive;

use super::{Counted, ReadSeek, Walk};

/// More files than this are not even listed: the list alone would be too large.
const DIRECTORY_BOUND: usize = 65_536;

impl Walk<'_> {
    /// The depth of a ZIP archive.
    pub(super) fn zip(&mut self, file: &mut dyn ReadSeek, head: &[u8], level: u32) -> Option<u32> {
        if level > self.limits.levels || headers(file, 0)? > DIRECTORY_BOUND {
            return None;
        }
        let mut archive = ZipArchive::new(&mut *file).ok()?;
        if archive.is_empty() && head.starts_with(b"PK\x03\x04") {
            return None;
        }
        let (listed, directory) = (archive.len(), archive.central_directory_start());
        let document = document(head).or_else(|| office(&archive));
        let outside = std::mem::replace(&mut self.in_document, document.is_some());
        let mut deepest = 0;
        for number in 0..archive.len() {
            deepest = deepest.max(self.zip_member(&mut archive, number, level)?);
        }
        self.in_document = outside;
        drop(archive);
        // Two files of one name: which of them is seen depends on who unpacks it.
        if headers(file, directory)? > listed {
            self.unreadable = true;
        }
        if level == 1 {
            self.contents.document = document;
        }
        Some(deepest + u32::from(document.is_none()))
    }

    fn zip_member<R: Read + Seek>(&mut self, archive: &mut ZipArchive<R>, number: usize, level: u32) -> Option<u32> {
        let (name, encrypted, folder) = {
            let entry = archive.by_index_raw(number).ok()?;
            (entry.name_raw().to_vec(), entry.encrypted(), entry.is_dir())
        };
        if folder {
            return Some(0);
        }
        if encrypted {
            self.contents.encrypted = true;
            self.unreadable = true;
            self.add(&name, None)?;
            return Some(0);
        }
        let Ok(entry) = archive.by_index(number) else {
            // Packed in a way that is not known here.
            self.unreadable = true;
            self.add(&name, None)?;
            return Some(0);
        };
        let mut entry = Counted {
            inner: entry,
            budget: self.budget,
        };
        self.member(&name, &mut entry, level + 1)
    }
}

/// How often, from this place on, there is what begins the line of a file in the list of an archive: at least as often as it
/// lists files.
fn headers(file: &mut dyn ReadSeek, from: u64) -> Option<usize> {
    const MARK: &[u8] = b"PK\x01\x02";
    file.seek(SeekFrom::Start(from)).ok()?;
    let mut window: Vec<u8> = Vec::new();
    let mut piece = vec![0; 64 * 1024];
    let mut count = 0;
    loop {
        let read = file.read(&mut piece).ok()?;
        let Some(fresh) = piece.get(..read).filter(|fresh| !fresh.is_empty()) else {
            file.rewind().ok()?;
            return Some(count);
        };
        window.extend_from_slice(fresh);
        count += memmem::find_iter(&window, MARK).count();
        // The beginning of a mark, but never a whole one.
        let keep = window.len().saturating_sub(MARK.len() - 1);
        window.drain(..keep);
    }
}

/// The type of a document that is an archive inside, by its beginning.
fn document(head: &[u8]) -> Option<&'static str> {
    let formats = ["openxmlformats", "opendocument", "epub"];
    sniff(head).filter(|kind| formats.iter().any(|format| kind.contains(format)))
}

/// The type of an office document by the names of its parts, in whatever order they are.
fn office<R: Read + Seek>(archive: &ZipArchive<R>) -> Option<&'static str> {
    archive.index_for_name("[Content_Types].xml")?;
    let formats = [
        (
            "word/document.xml",
            "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        ),
        (
            "xl/workbook.xml",
            "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        ),
        (
            "ppt/presentation.xml",
            "application/vnd.openxmlformats-officedocument.presentationml.presentation",
        ),
    ];
    let format = formats
        .iter()
        .find(|(part, _)| archive.index_for_name(part).is_some())?;
    Some(format.1)
}
