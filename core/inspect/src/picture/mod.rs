//! Pictures without what they say beside what they show: EXIF (place, time, camera), XMP, IPTC, comments, second pictures
//! after the end.
//!
//! Only what is needed to show the picture is kept, by a list of what that is; everything else goes, known or not. The pixels
//! are not touched. Each function gives the picture without; none if the bytes are not of its format to the end.

mod gif;
mod heif;
mod jpeg;
mod png;
mod webp;

/// Whether it can be said of a format what metadata a picture of it has.
pub(crate) fn is_known(mime: &str) -> bool {
    strip_of(mime).is_some()
}

/// The picture without metadata, if its format is one of those known here.
pub(crate) fn without_metadata(mime: &str, bytes: &[u8]) -> Option<Vec<u8>> {
    strip_of(mime)?(bytes)
}

type Strip = fn(&[u8]) -> Option<Vec<u8>>;

fn strip_of(mime: &str) -> Option<Strip> {
    Some(match mime {
        "image/jpeg" => jpeg::strip,
        "image/png" => png::strip,
        "image/webp" => webp::strip,
        "image/gif" => gif::strip,
        "image/heif" | "image/avif" => heif::strip,
        _ => return None,
    })
}

/// Takes so many bytes from the front.
fn take<'b>(from: &mut &'b [u8], count: usize) -> Option<&'b [u8]> {
    let (head, tail) = from.split_at_checked(count)?;
    *from = tail;
    Some(head)
}
