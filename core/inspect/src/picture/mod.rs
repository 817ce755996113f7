//! Pictures without what they say beside what they show: EXIF (place, time, camera), XMP, IPTC, comments, second pictures
//! after the end.
//!
//! Only what is needed to show the picture is kept, by a list of what that is; everything else goes, known or not. The pixels
//! are not touched. Each function gives the picture without; none if the bytes are not of its format to the end.

mod jpeg;
mod png;
mod webp;

/// The picture without metadata, if its format is one of those known here.
pub(crate) fn without_metadata(mime: &str, bytes: &[u8]) -> Option<Vec<u8>> {
    match mime {
        "image/jpeg" => jpeg::strip(bytes),
        "image/png" => png::strip(bytes),
        "image/webp" => webp::strip(bytes),
        _ => None,
    }
}

/// Takes so many bytes from the front.
fn take<'b>(from: &mut &'b [u8], count: usize) -> Option<&'b [u8]> {
    let (head, tail) = from.split_at_checked(count)?;
    *from = tail;
    Some(head)
}
