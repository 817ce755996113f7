//! WebP (RFC 9649).

use super::take;

/// Chunks that are needed to show the picture.
const NEEDED: &[&[u8; 4]] = &[b"VP8 ", b"VP8L", b"VP8X", b"ALPH", b"ANIM", b"ANMF", b"ICCP"];
/// The flags of an extended file that promise EXIF and XMP.
const PROMISES: u8 = 0x08 | 0x04;

/// The picture with the chunks that are needed to show it.
pub(super) fn strip(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut rest = bytes.strip_prefix(b"RIFF")?;
    let length = usize::try_from(u32::from_le_bytes(*rest.first_chunk()?)).ok()?;
    take(&mut rest, 4)?;
    let mut rest = rest.get(..length)?.strip_prefix(b"WEBP")?;
    let mut out = b"WEBP".to_vec();
    while !rest.is_empty() {
        let length = usize::try_from(u32::from_le_bytes(*rest.get(4..)?.first_chunk()?)).ok()?;
        let mut chunk = take(&mut rest, length.checked_add(8)?)?.to_vec();
        if length % 2 == 1 {
            // Padded to an even length; some writers leave that out at the very end.
            chunk.push(0);
            let padding = usize::from(!rest.is_empty());
            take(&mut rest, padding)?;
        }
        let kind = *chunk.first_chunk::<4>()?;
        if let (b"VP8X", Some(flags)) = (&kind, chunk.get_mut(8)) {
            *flags &= !PROMISES;
        }
        if NEEDED.contains(&&kind) {
            out.append(&mut chunk);
        }
    }
    let length = u32::try_from(out.len()).ok()?;
    Some([b"RIFF", &length.to_le_bytes()[..], &out].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(chunks: &[(&[u8; 4], &[u8])]) -> Vec<u8> {
        let mut out = b"WEBP".to_vec();
        for (kind, content) in chunks {
            out.extend_from_slice(&kind[..]);
            out.extend_from_slice(&u32::try_from(content.len()).unwrap().to_le_bytes());
            out.extend_from_slice(content);
            out.extend_from_slice(&vec![0; content.len() % 2]);
        }
        let length = u32::try_from(out.len()).unwrap();
        [b"RIFF", &length.to_le_bytes()[..], &out].concat()
    }

    #[test]
    fn only_what_is_needed_stays() {
        let flags = |flags: u8| [flags, 0, 0, 0, 1, 0, 0, 1, 0, 0];
        let dirty = file(&[
            (b"VP8X", &flags(0x2c)),
            (b"ICCP", b"col"),
            (b"VP8 ", b"pixels"),
            (b"EXIF", b"where"),
            (b"XMP ", b"<x>"),
            (b"own ", b"data"),
        ]);
        let clean = file(&[(b"VP8X", &flags(0x20)), (b"ICCP", b"col"), (b"VP8 ", b"pixels")]);
        assert_eq!(strip(&dirty).unwrap(), clean);
        assert_eq!(
            strip(&[&dirty[..], b"more"].concat()).unwrap(),
            clean,
            "what comes after the end"
        );
        assert_eq!(strip(&clean).unwrap(), clean);
        for end in 0..clean.len() {
            assert_eq!(strip(&clean[..end]), None);
        }
    }
}
