//! The text of PDF files.

use lopdf::{Document, LoadOptions};
use memchr::memmem;
use tokio::time::Instant;

/// The most that all streams of objects in one file may unpack to, in bytes. In memory they become many times larger.
const OBJECTS: usize = 48 * 1024 * 1024;
/// The most that one of them may, and the least: a file with so many that they would get less is not read.
const STREAM: std::ops::RangeInclusive<usize> = 64 * 1024..=4 * 1024 * 1024;
/// The most that the contents of one page may unpack to, in bytes.
const PAGE: usize = 2 * 1024 * 1024;
/// The most pages.
const PAGES: usize = 5000;

/// The text of a file, at least `bound` bytes of it if it has them, and whether that is all.
pub(super) fn text(bytes: &[u8], bound: usize, until: Instant) -> (String, bool) {
    let mut text = String::new();
    let stream = OBJECTS / streams(bytes).max(1);
    if stream < *STREAM.start() {
        return (text, false);
    }
    let options = LoadOptions {
        max_decompressed_size: Some(stream.min(*STREAM.end())),
        ..LoadOptions::default()
    };
    let Ok(document) = Document::load_mem_with_options(bytes, options) else {
        return (text, false);
    };
    let pages = document.get_pages();
    let mut whole = !document.is_encrypted() && pages.len() <= PAGES;
    for page in pages.keys().take(PAGES) {
        if Instant::now() >= until || text.len() >= bound {
            return (text, false);
        }
        for piece in document.extract_text_chunks_with_limit(&[*page], PAGE) {
            match piece {
                Ok(piece) => text.push_str(&piece),
                Err(_) => whole = false,
            }
        }
        text.push('\n');
    }
    (text, whole)
}

/// How many streams of objects a file has at most: their name, or a piece of it that is written in digits.
fn streams(bytes: &[u8]) -> usize {
    let marks: [&[u8]; 10] = [
        b"ObjStm", b"#4f", b"#4F", b"#62", b"#6a", b"#6A", b"#53", b"#74", b"#6d", b"#6D",
    ];
    marks.iter().map(|mark| memmem::find_iter(bytes, mark).count()).sum()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use lopdf::content::{Content, Operation};
    use lopdf::{Object, Stream, dictionary};

    use super::*;

    fn read(bytes: &[u8]) -> (String, bool) {
        text(bytes, usize::MAX, Instant::now() + Duration::from_secs(10))
    }

    /// A file with one page for each text.
    fn file(texts: &[&str]) -> Vec<u8> {
        let mut document = Document::with_version("1.5");
        let pages = document.new_object_id();
        let font = document.add_object(dictionary! {
            "Type" => "Font", "Subtype" => "Type1", "BaseFont" => "Courier", "Encoding" => "WinAnsiEncoding",
        });
        let kids: Vec<Object> = texts
            .iter()
            .map(|text| {
                let text = encoding_rs::WINDOWS_1252.encode(text).0.into_owned();
                let operations = vec![
                    Operation::new("BT", vec![]),
                    Operation::new("Tf", vec!["F1".into(), 12.into()]),
                    Operation::new("Tj", vec![Object::String(text, lopdf::StringFormat::Literal)]),
                    Operation::new("ET", vec![]),
                ];
                let content = Content { operations }.encode().unwrap();
                let mut stream = Stream::new(dictionary! {}, content);
                stream.compress().unwrap();
                let contents = document.add_object(stream);
                let page = document.add_object(dictionary! {
                    "Type" => "Page", "Parent" => pages, "Contents" => contents,
                    "Resources" => dictionary! { "Font" => dictionary! { "F1" => font } },
                });
                page.into()
            })
            .collect();
        let count = i64::try_from(kids.len()).unwrap();
        let tree = dictionary! { "Type" => "Pages", "Kids" => kids, "Count" => count };
        document.objects.insert(pages, Object::Dictionary(tree));
        let catalog = document.add_object(dictionary! { "Type" => "Catalog", "Pages" => pages });
        document.trailer.set("Root", catalog);
        let mut bytes = Vec::new();
        document.save_to(&mut bytes).unwrap();
        bytes
    }

    #[test]
    fn pages_are_read() {
        let (text, whole) = read(&file(&["Projekt Falke", "Größe 4711"]));
        assert!(whole);
        for word in ["Projekt Falke", "Größe 4711"] {
            assert!(text.contains(word), "{text:?}");
        }
        let late = super::text(&file(&["a", "b"]), usize::MAX, Instant::now());
        assert_eq!(late, (String::new(), false));
    }

    #[test]
    fn what_is_damaged_or_would_burst_is_not_read() {
        let good = file(&["Projekt Falke"]);
        assert!(!read(good.get(..good.len() / 2).unwrap()).1);
        assert!(!read(b"%PDF-1.7 nothing").1);
        assert_eq!(
            read(&[b"%PDF-1.7 ".as_slice(), &b"/ObjStm ".repeat(1000)].concat()),
            (String::new(), false)
        );
        let (_, whole) = read(&file(&[&"x".repeat(PAGE + 1)]));
        assert!(!whole, "a page that unpacks to too much");
    }
}
