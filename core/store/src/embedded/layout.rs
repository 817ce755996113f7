//! Keys and small values as they lie in sled's one tree.
//!
//! A key is one byte for the table, then fixed-width big-endian numbers, so that a range of keys is a range of numbers. Names
//! stand in keys as interned numbers (see `names`). No key is longer than [`KEY_HEAD`] + 40 bytes and no value longer than
//! [`super::large::CHUNK`] + 8 (a place's name as JSON: 6.5 KiB): with at most 17 entries in a leaf and 257 keys in an inner node, no node reaches the 128 KiB
//! above which sled would put it into a file of its own that nobody syncs.

use sha2::{Digest, Sha256};
use sled::IVec;
use viaduct_model::MessageId;

use crate::api::{LaneMark, Seq, StoreError};

/// The tables, by the first byte of their keys.
pub(crate) mod table {
    /// (blob, part) → a part of a large value.
    pub(crate) const CHUNK: u8 = b'b';
    /// place → resume position.
    pub(crate) const CURSOR: u8 = b'c';
    /// (mirror, place, seq) → delivery record.
    pub(crate) const DELIVERY: u8 = b'd';
    /// (place, message id) → (mirror, seq).
    pub(crate) const MAP: u8 = b'i';
    /// (mirror, seq) → event.
    pub(crate) const JOURNAL: u8 = b'j';
    /// (mirror, seq) → (place, id) of the source and of every copy.
    pub(crate) const COPIES: u8 = b'k';
    /// (mirror, place) → lane mark.
    pub(crate) const LANE: u8 = b'l';
    /// mirror → journal extent.
    pub(crate) const MIRROR: u8 = b'm';
    /// number → name.
    pub(crate) const NAME: u8 = b'N';
    /// name → number.
    pub(crate) const NUMBER: u8 = b'n';
    /// place → portal.
    pub(crate) const PORTAL: u8 = b'p';
    /// (owner, key) → value.
    pub(crate) const STATE: u8 = b's';
    /// what the store knows about itself.
    pub(crate) const META: u8 = b'v';
}

/// Meta: the number of the last group committed.
pub(crate) const STAMP: &[u8] = b"vstamp";
/// Meta: the schema of the tree.
pub(crate) const SCHEMA: &[u8] = b"vschema";
/// Meta: the last interned number.
pub(crate) const LAST_NAME: &[u8] = b"vname";
/// Meta: the last large value's number.
pub(crate) const LAST_CHUNKED: &[u8] = b"vchunked";

/// How many bytes of a session's key stand in the key itself; of a longer one the rest is hashed.
pub(crate) const KEY_HEAD: usize = 200;
/// The longest message id that stands in a key as it is.
const ID_INLINE: usize = 48;

/// A number stands for a mirror, a place or an owner.
pub(crate) type Number = u32;

fn key(table: u8, parts: &[&[u8]]) -> IVec {
    let mut key = Vec::with_capacity(1 + parts.iter().map(|part| part.len()).sum::<usize>());
    key.push(table);
    for part in parts {
        key.extend_from_slice(part);
    }
    IVec::from(key)
}

pub(crate) fn journal(mirror: Number, seq: Seq) -> IVec {
    key(table::JOURNAL, &[&mirror.to_be_bytes(), &seq.0.to_be_bytes()])
}

pub(crate) fn map(place: Number, id: &MessageId) -> IVec {
    let id = id.as_str().as_bytes();
    if id.len() <= ID_INLINE {
        key(table::MAP, &[&place.to_be_bytes(), &[0], id])
    } else {
        key(table::MAP, &[&place.to_be_bytes(), &[1], &Sha256::digest(id)])
    }
}

pub(crate) fn copies(mirror: Number, seq: Seq) -> IVec {
    key(table::COPIES, &[&mirror.to_be_bytes(), &seq.0.to_be_bytes()])
}

pub(crate) fn lane(mirror: Number, place: Number) -> IVec {
    key(table::LANE, &[&mirror.to_be_bytes(), &place.to_be_bytes()])
}

pub(crate) fn delivery(mirror: Number, place: Number, seq: Seq) -> IVec {
    key(
        table::DELIVERY,
        &[&mirror.to_be_bytes(), &place.to_be_bytes(), &seq.0.to_be_bytes()],
    )
}

/// All delivery records, or those of one mirror.
pub(crate) fn deliveries(mirror: Option<Number>) -> IVec {
    match mirror {
        Some(mirror) => key(table::DELIVERY, &[&mirror.to_be_bytes()]),
        None => key(table::DELIVERY, &[]),
    }
}

/// The mirror, place and number in a delivery's key.
pub(crate) fn delivery_parts(key: &[u8]) -> Option<(Number, Number, Seq)> {
    let (mirror, rest) = key.get(1..)?.split_first_chunk::<4>()?;
    let (place, rest) = rest.split_first_chunk::<4>()?;
    Some((
        u32::from_be_bytes(*mirror),
        u32::from_be_bytes(*place),
        Seq(u64::from_be_bytes(rest.try_into().ok()?)),
    ))
}

pub(crate) fn mirror(mirror: Number) -> IVec {
    key(table::MIRROR, &[&mirror.to_be_bytes()])
}

pub(crate) fn cursor(place: Number) -> IVec {
    key(table::CURSOR, &[&place.to_be_bytes()])
}

pub(crate) fn portal(place: Number) -> IVec {
    key(table::PORTAL, &[&place.to_be_bytes()])
}

pub(crate) fn name(number: Number) -> IVec {
    key(table::NAME, &[&number.to_be_bytes()])
}

pub(crate) fn chunk(id: u64, part: u32) -> IVec {
    key(table::CHUNK, &[&id.to_be_bytes(), &part.to_be_bytes()])
}

/// A session's key. `0xff` is in no UTF-8 text, so that a shortened key is never another's whole.
pub(crate) fn state(owner: Number, name: &str) -> IVec {
    let bytes = name.as_bytes();
    match bytes.split_at_checked(KEY_HEAD) {
        Some((head, rest)) if !rest.is_empty() => key(
            table::STATE,
            &[&owner.to_be_bytes(), head, &[0xff], &Sha256::digest(bytes)],
        ),
        _ => key(table::STATE, &[&owner.to_be_bytes(), bytes]),
    }
}

/// Where the keys of an owner with this prefix are; longer prefixes find more than they name.
pub(crate) fn state_prefix(owner: Number, prefix: &str) -> IVec {
    let bytes = prefix.as_bytes();
    key(
        table::STATE,
        &[&owner.to_be_bytes(), bytes.get(..KEY_HEAD).unwrap_or(bytes)],
    )
}

/// A session's value goes with its whole key, since the key in the tree may be shortened.
pub(crate) fn state_value(name: &str, value: &[u8]) -> Vec<u8> {
    let length = u32::try_from(name.len()).unwrap_or(u32::MAX);
    let mut out = Vec::with_capacity(4 + name.len() + value.len());
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(value);
    out
}

/// The key and value in what [`state_value`] made.
pub(crate) fn state_parts(bytes: &[u8]) -> Option<(&str, &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    let (name, value) = rest.split_at_checked(usize::try_from(u32::from_be_bytes(*length)).ok()?)?;
    Some((std::str::from_utf8(name).ok()?, value))
}

/// How far a mirror's journal reaches.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Extent {
    /// The last entry ever accepted.
    pub(crate) last: Seq,
    /// Entries up to this one are dropped.
    pub(crate) trimmed: Seq,
    /// Entries up to this one are also gone from the disk.
    pub(crate) swept: Seq,
}

impl Extent {
    pub(crate) fn encode(self) -> IVec {
        numbers(&[self.last.0, self.trimmed.0, self.swept.0])
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, StoreError> {
        let [last, trimmed, swept] = parse(bytes)?;
        Ok(Self {
            last: Seq(last),
            trimmed: Seq(trimmed),
            swept: Seq(swept),
        })
    }
}

pub(crate) fn encode_mark(mark: LaneMark) -> IVec {
    numbers(&[mark.settled.0, mark.begun.0])
}

pub(crate) fn decode_mark(bytes: &[u8]) -> Result<LaneMark, StoreError> {
    let [settled, begun] = parse(bytes)?;
    Ok(LaneMark {
        settled: Seq(settled),
        begun: Seq(begun),
    })
}

pub(crate) fn encode_located(mirror: Number, seq: Seq) -> IVec {
    numbers(&[u64::from(mirror), seq.0])
}

pub(crate) fn decode_located(bytes: &[u8]) -> Result<(Number, Seq), StoreError> {
    let [mirror, seq] = parse(bytes)?;
    Ok((Number::try_from(mirror).map_err(|_| garbled())?, Seq(seq)))
}

pub(crate) fn encode_number(number: u64) -> IVec {
    numbers(&[number])
}

pub(crate) fn decode_number(bytes: &[u8]) -> Result<u64, StoreError> {
    let [number] = parse(bytes)?;
    Ok(number)
}

pub(crate) fn encode_copies(copies: &[(Number, MessageId)]) -> Vec<u8> {
    let mut out = Vec::with_capacity(copies.iter().map(|(_, id)| 6 + id.as_str().len()).sum());
    for (place, id) in copies {
        let bytes = id.as_str().as_bytes();
        out.extend_from_slice(&place.to_be_bytes());
        out.extend_from_slice(&u16::try_from(bytes.len()).unwrap_or(u16::MAX).to_be_bytes());
        out.extend_from_slice(bytes);
    }
    out
}

pub(crate) fn decode_copies(mut bytes: &[u8]) -> Result<Vec<(Number, MessageId)>, StoreError> {
    let mut copies = Vec::new();
    while let Some((place, rest)) = bytes.split_first_chunk::<4>() {
        let (id, rest) = decode_id(rest)?;
        copies.push((Number::from_be_bytes(*place), id));
        bytes = rest;
    }
    Ok(copies)
}

/// An id with its length before it, and what comes after it.
pub(crate) fn decode_id(bytes: &[u8]) -> Result<(MessageId, &[u8]), StoreError> {
    let (length, rest) = bytes.split_first_chunk::<2>().ok_or_else(garbled)?;
    let (id, rest) = rest
        .split_at_checked(usize::from(u16::from_be_bytes(*length)))
        .ok_or_else(garbled)?;
    let id = std::str::from_utf8(id)
        .ok()
        .and_then(|id| MessageId::new(id).ok())
        .ok_or_else(garbled)?;
    Ok((id, rest))
}

/// Numbers of one value, each with its significant bytes only: a length, then big-endian bytes.
fn numbers(values: &[u64]) -> IVec {
    let mut out = Vec::with_capacity(values.len() * 5);
    for value in values {
        let bytes = value.to_be_bytes();
        let skip = usize::try_from(value.leading_zeros() / 8).unwrap_or(0);
        let significant = bytes.get(skip..).unwrap_or(&[]);
        out.push(u8::try_from(significant.len()).unwrap_or(8));
        out.extend_from_slice(significant);
    }
    IVec::from(out)
}

fn parse<const N: usize>(mut bytes: &[u8]) -> Result<[u64; N], StoreError> {
    let mut values = [0; N];
    for value in &mut values {
        let (length, rest) = bytes.split_first().ok_or_else(garbled)?;
        let (significant, rest) = rest.split_at_checked(usize::from(*length)).ok_or_else(garbled)?;
        if significant.len() > 8 {
            return Err(garbled());
        }
        *value = significant.iter().fold(0, |value, byte| value << 8 | u64::from(*byte));
        bytes = rest;
    }
    if bytes.is_empty() { Ok(values) } else { Err(garbled()) }
}

/// A value is there and cannot be read: not a matter of size or of the disk, so it is said as such.
pub(crate) fn garbled() -> StoreError {
    StoreError::Io("a stored value cannot be read; restore the store from a backup".to_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn small_values_come_back(a: u64, b: u64, c: u64) {
            let extent = Extent { last: Seq(a), trimmed: Seq(b), swept: Seq(c) };
            prop_assert_eq!(Extent::decode(&extent.encode()).unwrap(), extent);
            let mark = LaneMark { settled: Seq(a), begun: Seq(b) };
            prop_assert_eq!(decode_mark(&encode_mark(mark)).unwrap(), mark);
        }

        #[test]
        fn decoding_is_total(bytes: Vec<u8>) {
            Extent::decode(&bytes).ok();
            decode_copies(&bytes).ok();
            state_parts(&bytes);
            delivery_parts(&bytes);
        }

        #[test]
        fn copies_come_back(copies in proptest::collection::vec((any::<Number>(), "[a-zé]{1,300}"), 0..6)) {
            let copies: Vec<_> = copies.iter().map(|(at, id)| (*at, MessageId::new(id).unwrap())).collect();
            prop_assert_eq!(decode_copies(&encode_copies(&copies)).unwrap(), copies);
        }

        #[test]
        fn state_comes_back(name in ".{0,300}", value: Vec<u8>) {
            let stored = state_value(&name, &value);
            prop_assert_eq!(state_parts(&stored), Some((name.as_str(), value.as_slice())));
        }

        #[test]
        fn no_key_is_long(name in ".{0,2000}") {
            prop_assert!(state(7, &name).len() <= KEY_HEAD + 40);
            prop_assert!(state(7, &name).starts_with(&state_prefix(7, "")));
        }
    }
}
