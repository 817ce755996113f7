//! What can be read in a file: plain text, HTML and XML (and so office documents), PDF.
//!
//! A file is read as far as bounds go; of what lies beyond, is locked, or is of a sort that is not known here, it is said that
//! not everything was read. Pictures, sounds, films and typefaces say nothing; what a picture shows is not read.

mod markup;
mod pdf;

use std::fs::File;
use std::io;
use std::time::Duration;

use encoding_rs::{Encoding, UTF_8, WINDOWS_1252};
use tokio::time::Instant;
use viaduct_compliance::{FileText, sniff};

use crate::archive;
use crate::settings::Archives;

/// The longest text that is kept of one file and of all files in it, in bytes.
const TEXT_BOUND: usize = 1024 * 1024;
/// The most bytes of one file that are read for it.
const FILE_BOUND: usize = 8 * 1024 * 1024;

/// How long one file may take that nobody waits for.
const PATIENCE: Duration = Duration::from_mins(1);

/// What can be read in a file on the disk, as it would be in one that crosses. Blocks.
///
/// # Errors
///
/// If the disk cannot be read; what the file holds is no error.
pub fn read_text(mut file: File) -> io::Result<FileText> {
    let size = file.metadata()?.len();
    Ok(archive::look(&mut file, size, &Archives::default(), Instant::now() + PATIENCE).text)
}

/// How the text of a file is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sort {
    Plain,
    Markup,
    Pdf,
    /// There is no text in it.
    Silent,
    /// There may be some, which cannot be read here.
    Closed,
}

impl Sort {
    /// The sort of a file with this beginning.
    fn of(head: &[u8]) -> Self {
        let kind = sniff(head).unwrap_or_default();
        let silent = ["image/", "audio/", "video/", "font/", "application/font"];
        match kind {
            "image/svg+xml" | "text/html" | "text/xml" | "application/xml" => Self::Markup,
            "application/pdf" => Self::Pdf,
            _ if silent.iter().any(|silent| kind.starts_with(silent)) => Self::Silent,
            _ if !(kind.is_empty() || kind.starts_with("text/")) || !is_text(head) => Self::Closed,
            _ if decoded(head).trim_start().starts_with('<') => Self::Markup,
            _ => Self::Plain,
        }
    }
}

/// Whether bytes look like text: none of them is a control that no text has.
fn is_text(head: &[u8]) -> bool {
    let is_control = |byte: &u8| matches!(byte, 0..=8 | 14..=26 | 28..=31);
    Encoding::for_bom(head).is_some() || !head.iter().any(is_control)
}

fn decoded(bytes: &[u8]) -> String {
    let utf_8 = match std::str::from_utf8(bytes) {
        Ok(_) => true,
        // What was cut off ends within a character.
        Err(error) => error.error_len().is_none(),
    };
    let encoding = if utf_8 { UTF_8 } else { WINDOWS_1252 };
    encoding.decode(bytes).0.into_owned()
}

/// The text of a file and of the files in it, gathered one after the other.
#[derive(Debug, Default)]
pub(crate) struct Texts {
    text: String,
    missed: bool,
}

/// One file, while its bytes come.
pub(crate) struct Page {
    sort: Sort,
    bytes: Vec<u8>,
    cut: bool,
}

impl Texts {
    /// A file begins, with these bytes.
    pub(crate) fn begin(head: &[u8]) -> Page {
        Page {
            sort: Sort::of(head),
            bytes: Vec::new(),
            cut: false,
        }
    }

    /// A file has ended. Of a part of a document it does not matter if it is of a sort that is not known.
    pub(crate) fn end(&mut self, page: &Page, part: bool, until: Instant) {
        let (text, whole) = match page.sort {
            Sort::Silent => return,
            Sort::Closed => {
                self.missed |= !part;
                return;
            }
            Sort::Plain => (decoded(&page.bytes), true),
            Sort::Markup => (markup::text(&decoded(&page.bytes)), true),
            Sort::Pdf => pdf::text(&page.bytes, TEXT_BOUND, until),
        };
        self.missed |= page.cut || !whole;
        self.push(&text);
    }

    /// A file in an archive has this name, which whoever unpacks it reads, too.
    pub(crate) fn name(&mut self, name: &str) {
        self.push(name);
    }

    fn push(&mut self, text: &str) {
        let room = TEXT_BOUND.saturating_sub(self.text.len());
        let (kept, rest) = text.split_at(text.floor_char_boundary(room));
        self.missed |= !rest.is_empty();
        if !kept.is_empty() {
            self.text.push_str(kept);
            self.text.push('\n');
        }
    }

    /// Something could not be read.
    pub(crate) fn miss(&mut self) {
        self.missed = true;
    }

    /// All of it.
    pub(crate) fn finish(self) -> FileText {
        FileText {
            read: self.text.into(),
            whole: !self.missed,
        }
    }
}

impl Page {
    /// Takes the next bytes.
    pub(crate) fn take(&mut self, bytes: &[u8]) {
        if matches!(self.sort, Sort::Silent | Sort::Closed) {
            return;
        }
        let room = FILE_BOUND.saturating_sub(self.bytes.len());
        self.bytes.extend_from_slice(bytes.get(..room).unwrap_or(bytes));
        self.cut |= bytes.len() > room;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> (String, bool) {
        let mut texts = Texts::default();
        let mut page = Texts::begin(bytes);
        page.take(bytes);
        texts.end(&page, false, Instant::now() + std::time::Duration::from_secs(10));
        let text = texts.finish();
        (text.read.trim().to_owned(), text.whole)
    }

    #[test]
    fn texts_are_read_in_their_encodings() {
        for (bytes, wanted) in [
            ("Größe".as_bytes(), ("Größe", true)),
            (b"Gr\xf6\xdfe", ("Größe", true)),
            (b"\xff\xfeG\0r\0\xf6\0", ("Grö", true)),
            (b"<p>Gr&ouml;<b>&szlig;</b>e</p>", ("Größe", true)),
            (b"\x89PNG\r\n\x1a\n....IHDR", ("", true)),
            (b"\x01\x02\x03\0\0", ("", false)),
            (b"{\\rtf1\\ansi Hallo}", ("", false)),
            (b"", ("", true)),
        ] {
            assert_eq!(read(bytes), (wanted.0.to_owned(), wanted.1), "{bytes:?}");
        }
    }

    #[test]
    fn what_is_too_long_is_cut_and_told() {
        let (text, whole) = read(&vec![b'x'; TEXT_BOUND + 1]);
        assert_eq!((text.len(), whole), (TEXT_BOUND, false));
        let (text, whole) = read(&"ß".repeat(FILE_BOUND / 2 + 1).into_bytes());
        assert!(text.len() >= TEXT_BOUND - 2 && !whole);
    }
}
