//! GIF (87a and 89a).

use super::take;

/// The applications whose extensions are needed to show the picture: how often it is repeated, and its colours.
const NEEDED: &[&[u8; 11]] = &[b"NETSCAPE2.0", b"ANIMEXTS1.0", b"ICCRGBG1012"];

/// The picture up to its end, without comments, texts and the extensions of applications that are not needed to show it.
pub(super) fn strip(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut rest = bytes;
    let mut out = Vec::with_capacity(bytes.len());
    let signature = take(&mut rest, 6)?;
    if !matches!(signature, b"GIF87a" | b"GIF89a") {
        return None;
    }
    out.extend_from_slice(signature);
    let screen = take(&mut rest, 7)?;
    out.extend_from_slice(screen);
    out.extend_from_slice(take(&mut rest, colours(*screen.get(4)?))?);
    // How the next picture is to be shown.
    let mut control: &[u8] = &[];
    loop {
        let block = rest;
        match take(&mut rest, 1)? {
            b";" => {
                out.push(b';');
                return Some(out);
            }
            b"," => {
                let place = take(&mut rest, 9)?;
                take(&mut rest, colours(*place.get(8)?))?;
                take(&mut rest, 1)?;
                sub_blocks(&mut rest)?;
                out.extend_from_slice(std::mem::take(&mut control));
                out.extend_from_slice(block.get(..block.len() - rest.len())?);
            }
            b"!" => {
                let label = *take(&mut rest, 1)?.first()?;
                let content = sub_blocks(&mut rest)?;
                let whole = block.get(..block.len() - rest.len())?;
                match label {
                    0xf9 => control = whole,
                    // A text to be drawn, which hardly any program draws.
                    0x01 => control = &[],
                    0xff if is_needed(content) => out.extend_from_slice(whole),
                    // Comments, other applications' data, and what is not known.
                    _ => {}
                }
            }
            _ => return None,
        }
    }
}

/// How many bytes the table of colours has that these flags announce.
fn colours(flags: u8) -> usize {
    if flags & 0x80 == 0 { 0 } else { 3 << ((flags & 7) + 1) }
}

/// The sub-blocks up to the empty one that ends them.
fn sub_blocks<'b>(rest: &mut &'b [u8]) -> Option<&'b [u8]> {
    let start = *rest;
    loop {
        let length = usize::from(*take(rest, 1)?.first()?);
        take(rest, length)?;
        if length == 0 {
            return start.get(..start.len() - rest.len());
        }
    }
}

fn is_needed(content: &[u8]) -> bool {
    let name = content.split_first().map(|(_, rest)| rest);
    let name = name.and_then(<[u8]>::first_chunk::<11>);
    content.first() == Some(&11) && name.is_some_and(|name| NEEDED.contains(&name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_needed_stays() {
        let repeat = b"!\xff\x0bNETSCAPE2.0\x03\x01\0\0\0";
        let control = b"!\xf9\x04\0\x0a\0\0\0";
        let image = b",\0\0\0\0\x01\0\x01\0\0\x02\x02\x44\x01\0";
        let with_table = b",\0\0\0\0\x01\0\x01\0\x80colour\x02\x02\x44\x01\0";
        let screen = b"GIF89a\x01\0\x01\0\x80\0\0\0\0\0\xff\xff\xff";
        let clean = [&screen[..], repeat, control, image, with_table, b";"].concat();
        let dirty = [
            &screen[..],
            repeat,
            b"!\xfe\x0cmade by Anna\0",
            b"!\xff\x0bXMP DataXMP\x09<x:xmpm/>\0",
            control,
            b"!\xfe\x01x\0",
            image,
            b"!\xf9\x04\0\x0b\0\0\0",
            b"!\x01\x0c............\x05hello\0",
            with_table,
            b";and more after the end",
        ]
        .concat();
        assert_eq!(strip(&dirty).unwrap(), clean);
        assert_eq!(strip(&clean).unwrap(), clean);
        for end in 0..clean.len() {
            assert_eq!(strip(&clean[..end]), None, "{end}");
        }
    }

    #[test]
    fn xmp_ends_where_its_trailer_says() {
        // XMP is not cut into sub-blocks; a trailer of all numbers downwards leads every reader to its end.
        let mut trailer = vec![1];
        trailer.extend((0..=255).rev());
        trailer.push(0);
        let packet = b"<?xpacket begin='' id='W5M0'?><x:xmpmeta>52.5 N 13.4 E</x:xmpmeta><?xpacket end='r'?>";
        let screen = b"GIF89a\x01\0\x01\0\0\0\0";
        let image = b",\0\0\0\0\x01\0\x01\0\0\x02\x02\x44\x01\0;";
        let dirty = [&screen[..], b"!\xff\x0bXMP DataXMP", packet, &trailer, image].concat();
        assert_eq!(strip(&dirty).unwrap(), [&screen[..], image].concat());
    }
}
