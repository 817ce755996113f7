//! HEIC and AVIF (ISO/IEC 23008-12, in the boxes of ISO/IEC 14496-12).
//!
//! Such a file says everywhere at which byte something is. So nothing is taken out: what does not belong to the picture is
//! overwritten where it stands. What has a box or an item that is not known here is no picture to this module.

use std::ops::Range;

/// Boxes of the file, of its list, and of its list of properties that are needed to show the picture.
const FILE: &[&[u8; 4]] = &[b"ftyp", b"meta", b"mdat", b"free", b"skip"];
const LIST: &[&[u8; 4]] = &[
    b"hdlr", b"dinf", b"pitm", b"iinf", b"iref", b"iprp", b"iloc", b"idat", b"grpl", b"free", b"skip",
];
const PROPERTIES: &[&[u8; 4]] = &[
    b"hvcC", b"lhvC", b"av1C", b"jpgC", b"ispe", b"pixi", b"colr", b"irot", b"imir", b"clap", b"pasp", b"auxC",
    b"clli", b"mdcv", b"cclv", b"amve", b"ndwt", b"rloc", b"lsel", b"a1op", b"a1lx", b"oinf", b"tols", b"free",
];
/// Items that are pictures or made of such.
const PICTURES: &[&[u8; 4]] = &[b"hvc1", b"av01", b"jpeg", b"grid", b"iden", b"iovl", b"tmap"];
/// A file of more boxes of a list than this, or more pieces of items, is not looked at; pictures of cameras have some hundreds.
const BOUND: usize = 4096;
/// EXIF that says nothing: where it begins, and a list of no entries.
const EXIF: &[u8] = b"\0\0\0\0MM\0\x2a\0\0\0\x08\0\0\0\0\0\0";

/// The picture with everything else overwritten.
pub(super) fn strip(bytes: &[u8]) -> Option<Vec<u8>> {
    let file = boxes(bytes, 0..bytes.len(), FILE)?;
    let [first, ..] = file.as_slice() else { return None };
    let meta = only(&file, *b"meta")?;
    // A version and flags.
    let list = boxes(bytes, meta.start.checked_add(4)?..meta.end, LIST)?;
    if first.kind != *b"ftyp" || !has_known_properties(bytes, &only(&list, *b"iprp")?)? {
        return None;
    }
    let idat = list
        .iter()
        .find(|own| own.kind == *b"idat")
        .map(|own| own.content.clone());
    let media = || {
        file.iter()
            .filter(|own| own.kind == *b"mdat")
            .map(|own| own.content.clone())
    };
    let items = items(bytes, &only(&list, *b"iinf")?)?;
    let places = places(bytes, &only(&list, *b"iloc")?, idat.as_ref())?;
    let is_within = |place: &Range<usize>| {
        let within = |own: Range<usize>| own.start <= place.start && place.end <= own.end;
        media().chain(idat.clone()).any(within)
    };
    let item = |id: u32| items.iter().find(|item| item.id == id);
    let (mut kept, mut blanked) = (Vec::new(), Vec::new());
    for (id, place) in places {
        if !is_within(&place) {
            return None;
        }
        if item(id)?.is_picture() {
            kept.push(place);
        } else {
            blanked.push((id, place));
        }
    }
    kept.sort_unstable_by_key(|place| place.start);
    let mut out = bytes.to_vec();
    let unused = file.iter().chain(&list).filter(|own| own.is_unused());
    for place in unused
        .map(|own| own.content.clone())
        .chain(items.iter().filter_map(Item::unneeded))
    {
        out.get_mut(place)?.fill(0);
    }
    for content in media().chain(idat.clone()) {
        blank_between(&mut out, content, &kept)?;
    }
    for (id, place) in blanked {
        // One byte of two items: it cannot be both kept and overwritten.
        if kept.iter().any(|own| own.start < place.end && place.start < own.end) {
            return None;
        }
        item(id)?.say_nothing(out.get_mut(place)?);
    }
    let name = only(&list, *b"hdlr")?;
    out.get_mut(name.start.checked_add(24)?..name.end)?.fill(0);
    Some(out)
}

/// A box.
#[derive(Debug)]
struct Own {
    kind: [u8; 4],
    content: Range<usize>,
}

impl Own {
    fn is_unused(&self) -> bool {
        matches!(&self.kind, b"free" | b"skip")
    }
}

/// The boxes of a stretch, if all are of these kinds.
fn boxes(bytes: &[u8], within: Range<usize>, known: &[&[u8; 4]]) -> Option<Vec<Own>> {
    let mut all = Vec::new();
    let mut at = within.start;
    while at < within.end {
        let mut rest = Numbers::new(bytes, at..within.end)?;
        let size = rest.next(4)?;
        let kind = rest.kind()?;
        let size = match size {
            0 => within.end - at,
            1 => usize::try_from(rest.next(8)?).ok()?,
            size => usize::try_from(size).ok()?,
        };
        let end = at.checked_add(size).filter(|end| *end <= within.end)?;
        if rest.at > end || !known.contains(&&kind) || all.len() == BOUND {
            return None;
        }
        all.push(Own {
            kind,
            content: rest.at..end,
        });
        at = end;
    }
    Some(all)
}

/// The content of the only box of a kind.
fn only(boxes: &[Own], kind: [u8; 4]) -> Option<Range<usize>> {
    let mut all = boxes.iter().filter(|own| own.kind == kind);
    let one = all.next()?;
    all.next().is_none().then(|| one.content.clone())
}

fn has_known_properties(bytes: &[u8], iprp: &Range<usize>) -> Option<bool> {
    let parts = boxes(bytes, iprp.clone(), &[b"ipco", b"ipma"])?;
    Some(boxes(bytes, only(&parts, *b"ipco")?, PROPERTIES).is_some())
}

/// Something that the file is made of.
struct Item {
    id: u32,
    kind: [u8; 4],
    /// Where its name stands, and what comes after that.
    name: Range<usize>,
}

impl Item {
    fn is_picture(&self) -> bool {
        PICTURES.contains(&&self.kind)
    }

    /// What is not needed of its description.
    fn unneeded(&self) -> Option<Range<usize>> {
        self.is_picture().then(|| self.name.clone())
    }

    /// Overwrites its content.
    fn say_nothing(&self, content: &mut [u8]) {
        content.fill(if self.kind == *b"mime" { b' ' } else { 0 });
        if let (b"Exif", Some(front)) = (&self.kind, content.get_mut(..EXIF.len())) {
            front.copy_from_slice(EXIF);
        }
    }
}

/// The items of the file; none if there is one that is neither a picture nor words about one.
fn items(bytes: &[u8], iinf: &Range<usize>) -> Option<Vec<Item>> {
    let mut head = Numbers::new(bytes, iinf.clone())?;
    let version = head.next(4)? >> 24;
    head.next(if version == 0 { 2 } else { 4 })?;
    let entries = boxes(bytes, head.at..iinf.end, &[b"infe"])?;
    let item = |own: &Own| {
        let mut entry = Numbers::new(bytes, own.content.clone())?;
        let wide = match entry.next(4)? >> 24 {
            2 => 2,
            3 => 4,
            _ => return None,
        };
        let id = u32::try_from(entry.next(wide)?).ok()?;
        let protection = entry.next(2)?;
        let kind = entry.kind()?;
        let item = Item {
            id,
            kind,
            name: entry.at..own.content.end,
        };
        let known = item.is_picture() || matches!(&kind, b"Exif" | b"mime" | b"uri ");
        (protection == 0 && known).then_some(item)
    };
    entries.iter().map(item).collect()
}

/// Where the content of each item is, in pieces.
fn places(bytes: &[u8], iloc: &Range<usize>, idat: Option<&Range<usize>>) -> Option<Vec<(u32, Range<usize>)>> {
    let mut list = Numbers::new(bytes, iloc.clone())?;
    let version = list.next(4)? >> 24;
    let sizes = list.next(2)?;
    let size = |place: u32| usize::try_from(sizes >> place & 15).ok();
    let (offset_size, length_size, base_size) = (size(12)?, size(8)?, size(4)?);
    let index_size = if version == 0 { 0 } else { size(0)? };
    let wide = if version < 2 { 2 } else { 4 };
    let mut all = Vec::new();
    for _ in 0..list.next(wide)? {
        let id = u32::try_from(list.next(wide)?).ok()?;
        let method = if version == 0 { 0 } else { list.next(2)? & 15 };
        let source = list.next(2)?;
        let from = match (method, source) {
            (0, 0) => 0,
            (1, 0) => idat?.start,
            _ => return None,
        };
        let from = from.checked_add(usize::try_from(list.next(base_size)?).ok()?)?;
        for _ in 0..list.next(2)? {
            list.next(index_size)?;
            let start = from.checked_add(usize::try_from(list.next(offset_size)?).ok()?)?;
            // Without a length it would be everything.
            let length = usize::try_from(list.next(length_size)?)
                .ok()
                .filter(|length| *length > 0)?;
            all.push((id, start..start.checked_add(length)?));
            if all.len() > BOUND {
                return None;
            }
        }
    }
    Some(all)
}

/// Overwrites of a stretch what lies between the places that are kept, which are in order.
fn blank_between(out: &mut [u8], within: Range<usize>, kept: &[Range<usize>]) -> Option<()> {
    let mut at = within.start;
    for place in kept
        .iter()
        .filter(|place| place.start < within.end && within.start < place.end)
    {
        if at < place.start {
            out.get_mut(at..place.start)?.fill(0);
        }
        at = at.max(place.end);
    }
    if at < within.end {
        out.get_mut(at..within.end)?.fill(0);
    }
    Some(())
}

/// Big-endian numbers, one after the other.
struct Numbers<'b> {
    bytes: &'b [u8],
    at: usize,
    end: usize,
}

impl<'b> Numbers<'b> {
    fn new(bytes: &'b [u8], within: Range<usize>) -> Option<Self> {
        (within.end <= bytes.len()).then_some(Self {
            bytes,
            at: within.start,
            end: within.end,
        })
    }

    /// The next number of so many bytes, at most eight; one of none is 0.
    fn next(&mut self, size: usize) -> Option<u64> {
        let end = self.at.checked_add(size).filter(|end| *end <= self.end && size <= 8)?;
        let digits = self.bytes.get(self.at..end)?;
        self.at = end;
        Some(digits.iter().fold(0, |number, digit| number << 8 | u64::from(*digit)))
    }

    fn kind(&mut self) -> Option<[u8; 4]> {
        u32::try_from(self.next(4)?).ok().map(u32::to_be_bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(kind: [u8; 4], content: &[u8]) -> Vec<u8> {
        let size = u32::try_from(content.len() + 8).unwrap();
        [&size.to_be_bytes()[..], &kind, content].concat()
    }

    fn item(id: u8, kind: [u8; 4], name: &[u8]) -> Vec<u8> {
        part(*b"infe", &[&[2, 0, 0, 0, 0, id, 0, 0], &kind[..], name].concat())
    }

    /// A picture of these items with their contents, each behind four bytes that belong to none. Returns it and where the
    /// first of the contents begins.
    fn picture(items: &[(&[u8; 4], &[u8])], property: [u8; 4]) -> (Vec<u8>, usize) {
        let file = |begin: usize| {
            let mut at = begin;
            let mut places = vec![0, 0, 0, 0, 0x44, 0, 0, u8::try_from(items.len()).unwrap()];
            let mut infos = vec![0, 0, 0, 0, 0, u8::try_from(items.len()).unwrap()];
            let mut media = Vec::new();
            for (number, (kind, content)) in (1..).zip(items) {
                infos.extend(item(number, **kind, b"a name\0"));
                at += 4;
                media.extend_from_slice(b"gap!");
                media.extend_from_slice(content);
                let numbers = [at, content.len()].map(|number| u32::try_from(number).unwrap().to_be_bytes());
                places.extend([0, number, 0, 0, 0, 1]);
                places.extend(numbers.concat());
                at += content.len();
            }
            let handler = [&[0; 8][..], b"pict", &[0; 12], b"a program\0"].concat();
            let list = [
                part(*b"hdlr", &handler),
                part(*b"iinf", &infos),
                part(*b"iprp", &part(*b"ipco", &part(property, b"what"))),
                part(*b"iloc", &places),
                part(*b"free", b"unused"),
            ];
            let meta = part(*b"meta", &[vec![0; 4], list.concat()].concat());
            let head = [part(*b"ftyp", b"heicmif1heic"), meta].concat();
            let begin = head.len() + 8;
            ([head, part(*b"mdat", &media)].concat(), begin)
        };
        let (_, begin) = file(0);
        file(begin)
    }

    #[test]
    fn only_the_picture_stays() {
        let exif = b"\0\0\0\x06Exif\0\0MM made at 52.5 N 13.4 E";
        let (dirty, begin) = picture(
            &[(b"hvc1", b"pixels"), (b"Exif", exif), (b"mime", b"<x:xmpmeta/>")],
            *b"ispe",
        );
        let clean = strip(&dirty).unwrap();
        assert_eq!(clean.len(), dirty.len());
        let media = [
            &[0; 4][..],
            b"pixels",
            &[0; 4],
            EXIF,
            &vec![0; exif.len() - EXIF.len()],
            &[0; 4],
            b"            ",
        ];
        assert_eq!(clean[begin..], media.concat());
        let text = String::from_utf8_lossy(&clean);
        for gone in ["gap!", "52.5", "xmpmeta", "a program", "unused"] {
            assert!(!text.contains(gone), "{gone}");
        }
        assert_eq!(strip(&clean).unwrap(), clean, "once is enough");
        for end in 0..clean.len() {
            assert_eq!(strip(&clean[..end]), None, "{end}");
        }
    }

    #[test]
    fn what_is_not_known_is_not_touched() {
        let (good, _) = picture(&[(b"hvc1", b"pixels")], *b"ispe");
        assert!(strip(&good).is_some());
        assert_eq!(strip(&picture(&[(b"odd ", b"pixels")], *b"ispe").0), None, "an item");
        assert_eq!(
            strip(&picture(&[(b"hvc1", b"pixels")], *b"udes").0),
            None,
            "a property with words"
        );
        assert_eq!(
            strip(&[good.clone(), part(*b"uuid", b"own data")].concat()),
            None,
            "a box"
        );
        assert_eq!(
            strip(&[good.clone(), part(*b"moov", b"a film")].concat()),
            None,
            "a film"
        );
        assert!(strip(&[good, part(*b"free", b"unused")].concat()).is_some());
    }

    #[test]
    fn a_byte_of_two_items_is_not_decided_about() {
        let (mut both, begin) = picture(&[(b"hvc1", b"pixels"), (b"Exif", b"places")], *b"ispe");
        // The second item begins where the first does.
        let second = u32::try_from(begin + 4 + 6 + 4).unwrap().to_be_bytes();
        let at = both.windows(4).position(|window| window == second).unwrap();
        both[at..at + 4].copy_from_slice(&u32::try_from(begin + 4).unwrap().to_be_bytes());
        assert_eq!(strip(&both), None);
    }
}
