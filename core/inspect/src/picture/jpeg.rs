//! JPEG (ITU T.81, annex B).

use super::take;

/// A picture's orientation in as little EXIF as possible: one tag, 0x0112, of one 16-bit number.
const ORIENTATION: &[u8] = b"Exif\0\0MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0";

/// The picture up to its end, without other segments than those that its decoding needs. What says how to turn it is kept.
pub(super) fn strip(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut rest = bytes.strip_prefix(b"\xff\xd8")?;
    let mut out = b"\xff\xd8".to_vec();
    let mut turned = false;
    loop {
        let marker = marker(&mut rest)?;
        match marker {
            0xd9 => {
                out.extend_from_slice(b"\xff\xd9");
                return Some(out);
            }
            // Without a length.
            0x01 | 0xd0..=0xd7 => out.extend_from_slice(&[0xff, marker]),
            _ => {
                let length = usize::from(u16::from_be_bytes(*rest.first_chunk()?));
                let segment = take(&mut rest, length)?;
                let content = segment.get(2..)?;
                if let (0xe1, false, Some(orientation)) = (marker, turned, orientation(content)) {
                    turned = true;
                    put(
                        &mut out,
                        0xe1,
                        &[ORIENTATION, &[orientation, 0, 0, 0, 0, 0, 0]].concat(),
                    );
                } else if is_needed(marker, content) {
                    put(&mut out, marker, content);
                }
            }
        }
        if marker == 0xda {
            out.extend_from_slice(scan(&mut rest)?);
        }
    }
}

/// The next marker, after any number of fill bytes.
fn marker(rest: &mut &[u8]) -> Option<u8> {
    if take(rest, 1)? != [0xff] {
        return None;
    }
    loop {
        match take(rest, 1)? {
            [0xff] => {}
            [0x00] => return None,
            other => return other.first().copied(),
        }
    }
}

fn put(out: &mut Vec<u8>, marker: u8, content: &[u8]) {
    // Never longer than what was read.
    let length = u16::try_from(content.len() + 2).unwrap_or(u16::MAX);
    out.extend_from_slice(&[0xff, marker]);
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(content);
}

fn is_needed(marker: u8, content: &[u8]) -> bool {
    match marker {
        0xe0 => content.starts_with(b"JFIF\0"),
        0xe2 => content.starts_with(b"ICC_PROFILE\0"),
        0xee => content.starts_with(b"Adobe"),
        // Other applications' segments, and comments.
        0xe1 | 0xe3..=0xed | 0xef | 0xf0..=0xfe => false,
        _ => true,
    }
}

/// The coded pixels up to the next marker.
fn scan<'b>(rest: &mut &'b [u8]) -> Option<&'b [u8]> {
    let mut at = 0;
    loop {
        at += memchr::memchr(0xff, rest.get(at..)?)?;
        match rest.get(at + 1)? {
            0x00 | 0xd0..=0xd7 => at += 2,
            0xff => at += 1,
            _ => return take(rest, at),
        }
    }
}

/// How the picture is to be turned, if it is: 2 to 8.
fn orientation(segment: &[u8]) -> Option<u8> {
    let tiff = segment.strip_prefix(b"Exif\0\0")?;
    let big = match tiff.get(..2)? {
        b"MM" => true,
        b"II" => false,
        _ => return None,
    };
    let two = |at: usize| {
        let bytes = tiff.get(at..)?.first_chunk::<2>()?;
        Some(if big {
            u16::from_be_bytes(*bytes)
        } else {
            u16::from_le_bytes(*bytes)
        })
    };
    let four = |at: usize| {
        let bytes = tiff.get(at..)?.first_chunk::<4>()?;
        Some(if big {
            u32::from_be_bytes(*bytes)
        } else {
            u32::from_le_bytes(*bytes)
        })
    };
    let directory = usize::try_from(four(4)?).ok()?;
    let tags = (0..usize::from(two(directory)?)).map_while(|number| directory.checked_add(2 + number * 12));
    let tag = tags
        .take_while(|at| *at < tiff.len())
        .find(|at| two(*at) == Some(0x0112))?;
    u8::try_from(two(tag + 8)?).ok().filter(|value| (2..=8).contains(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A picture of no pixels with these segments before its scan, and what comes after it.
    fn picture(segments: &[(u8, &[u8])], after: &[u8]) -> Vec<u8> {
        let mut out = b"\xff\xd8".to_vec();
        for (marker, content) in segments {
            put(&mut out, *marker, content);
        }
        put(&mut out, 0xda, b"scan");
        out.extend_from_slice(b"\x12\xff\x00\x34\xff\xd0\x56");
        put(&mut out, 0xfe, b"a comment between scans");
        put(&mut out, 0xda, b"scan");
        out.extend_from_slice(b"\x78\xff\xd9");
        out.extend_from_slice(after);
        out
    }

    #[test]
    fn only_what_is_needed_stays() {
        let exif = [
            &b"Exif\0\0II\x2a\0\x08\0\0\0\x02\0"[..],
            b"\x0f\x01\x02\0\x04\0\0\0ACME",
            b"\x12\x01\x03\0\x01\0\0\0\x06\0\0\0",
        ]
        .concat();
        let dirty = picture(
            &[
                (0xe0, b"JFIF\0\x01\x01"),
                (0xe0, b"JFXX\0 a small picture"),
                (0xe1, &exif),
                (0xe1, b"http://ns.adobe.com/xap/1.0/\0<x>"),
                (0xe2, b"ICC_PROFILE\0\x01\x01colours"),
                (0xe2, b"MPF\0a second picture"),
                (0xed, b"Photoshop 3.0\0IPTC"),
                (0xfe, b"made by Anna"),
                (0xdb, b"tables"),
            ],
            b"a second picture with its place",
        );
        let clean = strip(&dirty).unwrap();
        let text = String::from_utf8_lossy(&clean);
        for gone in ["ACME", "xap", "MPF", "IPTC", "Anna", "JFXX", "comment", "place"] {
            assert!(!text.contains(gone), "{gone}");
        }
        for kept in ["JFIF", "ICC_PROFILE", "tables"] {
            assert!(text.contains(kept), "{kept}");
        }
        let at = memchr::memmem::find(&clean, ORIENTATION).unwrap();
        assert_eq!(clean[at + ORIENTATION.len()], 6, "it is still turned");
        assert_eq!(strip(&clean).unwrap(), clean, "once is enough");
    }

    #[test]
    fn a_picture_that_is_cut_is_none() {
        let whole = picture(&[(0xdb, b"tables")], b"");
        assert!(strip(&whole).is_some());
        for end in 0..whole.len() {
            assert_eq!(strip(&whole[..end]), None, "{end}");
        }
    }
}
