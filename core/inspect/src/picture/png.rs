//! PNG (W3C, third edition).

use super::take;

const SIGNATURE: &[u8] = b"\x89PNG\r\n\x1a\n";

/// Chunks beside the critical ones that change how the picture is shown.
const NEEDED: &[&[u8; 4]] = &[
    b"tRNS", b"cHRM", b"gAMA", b"iCCP", b"sBIT", b"sRGB", b"cICP", b"mDCV", b"cLLI", b"bKGD", b"hIST", b"pHYs",
    b"sPLT", b"acTL", b"fcTL", b"fdAT",
];

/// The picture up to its end, with the chunks that are needed to show it.
pub(super) fn strip(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut rest = bytes.strip_prefix(SIGNATURE)?;
    let mut out = SIGNATURE.to_vec();
    loop {
        let length = usize::try_from(u32::from_be_bytes(*rest.first_chunk()?)).ok()?;
        let chunk = take(&mut rest, length.checked_add(12)?)?;
        let kind = chunk.get(4..)?.first_chunk::<4>()?;
        let critical = kind.first().is_some_and(u8::is_ascii_uppercase);
        if critical || NEEDED.contains(&kind) {
            out.extend_from_slice(chunk);
        }
        if kind == b"IEND" {
            return Some(out);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunk(kind: [u8; 4], content: &[u8]) -> Vec<u8> {
        let length = u32::try_from(content.len()).unwrap();
        // The check sum is kept as it is.
        [&length.to_be_bytes(), &kind[..], content, b"crc!"].concat()
    }

    #[test]
    fn only_what_is_needed_stays() {
        let part = |kind: &[u8; 4], content: &[u8]| chunk(*kind, content);
        let all = [
            part(b"IHDR", b"header"),
            part(b"eXIf", b"where it was"),
            part(b"tEXt", b"Author\0Anna"),
            part(b"iTXt", b"XML:com.adobe.xmp"),
            part(b"prVt", b"own data"),
            part(b"pHYs", b"density"),
            part(b"IDAT", b"pixels"),
            part(b"IEND", b""),
            b"more after the end".to_vec(),
        ];
        let clean = strip(&[SIGNATURE, &all.concat()].concat()).unwrap();
        let kept = [0, 5, 6, 7].map(|number: usize| all[number].clone()).concat();
        assert_eq!(clean, [SIGNATURE, &kept].concat());
        assert_eq!(strip(&clean).unwrap(), clean);
        for end in 0..clean.len() {
            assert_eq!(strip(&clean[..end]), None);
        }
    }
}
