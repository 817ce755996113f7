//! Values that must not cross, found exactly.

use std::collections::BTreeSet;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD as BASE64;
use sha2::{Digest as _, Sha256};

use super::keyed::{Key, Proofs, Sieve, Tags};
use super::{ListError, Normal, rolling};
use crate::scan::spellings;

/// How the first line of a list begins.
const HEAD: &str = "viaduct-values 2 ";
/// Shorter values are found everywhere, in letters and digits.
const SHORTEST: usize = 4;
/// Longer ones are no values, in bytes of letters and digits.
const LONGEST: usize = 120;
/// The most entries of a list. Each takes 24 bytes of memory, and up to 4 more of the sieve.
const ENTRIES: usize = 2_000_000;
/// What the rolling hash is shifted by, for each length of a value.
const SHIFTS: [u64; LONGEST + 1] = shifts();

const fn shifts() -> [u64; LONGEST + 1] {
    let mut all = [0; LONGEST + 1];
    let mut length = 0;
    while length <= LONGEST {
        all[length] = rolling::shift(length);
        length += 1;
    }
    all
}

/// Makes a list of values, one a line; empty lines do not count. A value with umlauts is also found where they are written out.
///
/// # Errors
///
/// [`ListError`] if a line is too short or too long to be a value, or if there are too many or none.
pub fn list_values(key: &Key, values: &str) -> Result<String, ListError> {
    let hashes = Hashes::of(key)?;
    let (mut lengths, mut entries) = (BTreeSet::new(), BTreeSet::new());
    for (number, value) in values.lines().enumerate() {
        if value.trim().is_empty() {
            continue;
        }
        for spelling in spellings(value) {
            let bytes = Normal::of(&spelling).bytes;
            match bytes.len() {
                0..SHORTEST => return Err(ListError::Short(number + 1)),
                SHORTEST..=LONGEST => {}
                _ => return Err(ListError::Long(number + 1)),
            }
            lengths.insert(bytes.len());
            entries.insert(hashes.entry(&bytes));
        }
    }
    if entries.is_empty() {
        return Err(ListError::Empty);
    }
    if entries.len() > ENTRIES {
        return Err(ListError::Size(ENTRIES));
    }
    let lengths: Vec<String> = lengths.iter().map(ToString::to_string).collect();
    let mut list = format!("{HEAD}{}\n{}\n", key.check(), lengths.join(" "));
    for entry in entries {
        list.push_str(&BASE64.encode(entry));
        list.push('\n');
    }
    Ok(list)
}

/// The bytes of an entry in the file: the proof of the value, and its rolling hash, which the proof's own mask conceals.
type Entry = [u8; 24];
type Proof = [u8; 16];

/// The two hashes of a value.
struct Hashes {
    proofs: Proofs,
    masks: Tags,
}

impl Hashes {
    fn of(key: &Key) -> Result<Self, ListError> {
        Ok(Self {
            proofs: key.proofs("viaduct protect value")?,
            masks: key.tags("viaduct protect value mask"),
        })
    }

    fn entry(&self, value: &[u8]) -> Entry {
        let proof = self.proofs.of(value);
        let hidden = rolling::of(value) ^ self.masks.of(&proof);
        let mut entry = [0; 24];
        let bytes = proof.into_iter().chain(hidden.to_be_bytes());
        entry.iter_mut().zip(bytes).for_each(|(to, from)| *to = from);
        entry
    }

    /// The spread rolling hash and the proof of the value that an entry stands for.
    fn open(&self, entry: Entry) -> Option<(u64, Proof)> {
        let (proof, hidden) = entry.split_first_chunk::<16>()?;
        let hidden = u64::from_be_bytes(*hidden.first_chunk()?);
        Some((rolling::spread(hidden ^ self.masks.of(proof)), *proof))
    }
}

/// A list of values, ready to be looked for.
pub(crate) struct ValueList {
    proofs: Proofs,
    sieve: Sieve,
    /// Spread rolling hashes and proofs, in order.
    entries: Vec<(u64, Proof)>,
    /// How long values are: a bit for each length, in bytes of letters and digits.
    lengths: u128,
    longest: usize,
    digest: [u8; 32],
}

impl fmt::Debug for ValueList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ValueList")
            .field("entries", &self.entries.len())
            .finish_non_exhaustive()
    }
}

impl ValueList {
    /// Reads a list that [`list_values`] made.
    pub(super) fn read(list: &str, key: &Key) -> Result<Self, ListError> {
        let mut lines = list.lines();
        let check = lines.next().and_then(|line| line.strip_prefix(HEAD));
        if check.ok_or(ListError::Format(1))? != key.check() {
            return Err(ListError::OtherKey);
        }
        let (mut lengths, mut longest) = (0_u128, 0);
        for length in lines.next().unwrap_or_default().split(' ') {
            let length: usize = length.parse().map_err(|_| ListError::Format(2))?;
            if !(SHORTEST..=LONGEST).contains(&length) {
                return Err(ListError::Format(2));
            }
            lengths |= 1 << length;
            longest = longest.max(length);
        }
        let hashes = Hashes::of(key)?;
        let mut entries = Vec::new();
        let mut bytes = Vec::new();
        for (number, line) in lines.enumerate() {
            bytes.clear();
            let decoded = BASE64.decode_vec(line, &mut bytes).ok();
            let entry = decoded.and_then(|()| Entry::try_from(bytes.as_slice()).ok());
            let opened = entry.and_then(|entry| hashes.open(entry));
            entries.push(opened.ok_or(ListError::Format(number + 3))?);
            if entries.len() > ENTRIES {
                return Err(ListError::Size(ENTRIES));
            }
        }
        if entries.is_empty() {
            return Err(ListError::Empty);
        }
        entries.shrink_to_fit();
        entries.sort_unstable();
        Ok(Self {
            sieve: Sieve::of(entries.iter().map(|(hash, _)| *hash)),
            proofs: hashes.proofs,
            entries,
            lengths,
            longest,
            digest: Sha256::digest(list).into(),
        })
    }

    /// What distinguishes it from other lists.
    pub(crate) fn digest(&self) -> [u8; 32] {
        self.digest
    }

    /// Where the values are in a text: beginnings and ends.
    pub(crate) fn find(&self, normal: &Normal, found: &mut dyn FnMut(usize, usize)) {
        for (first, atom) in normal.atoms.iter().enumerate() {
            for (last, end) in normal.atoms.iter().enumerate().skip(first) {
                let (until, up_to) = normal.end_of(last);
                let length = until - atom.at;
                let Some(shift) = SHIFTS.get(length).filter(|_| length <= self.longest) else {
                    break;
                };
                if self.lengths & (1 << length) != 0 {
                    let hash = rolling::spread(rolling::run(up_to, atom.before, *shift));
                    if self.sieve.may_have(hash) && self.has(hash, normal.bytes.get(atom.at..until)) {
                        found(atom.start, end.end);
                    }
                }
                if !end.joined {
                    break;
                }
            }
        }
    }

    fn has(&self, hash: u64, run: Option<&[u8]>) -> bool {
        let first = self.entries.partition_point(|(other, _)| *other < hash);
        let mut same = self.entries.iter().skip(first).take_while(|(other, _)| *other == hash);
        let (Some(entry), Some(run)) = (same.next(), run) else {
            return false;
        };
        let proof = self.proofs.of(run);
        std::iter::once(entry).chain(same).any(|(_, other)| *other == proof)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::fold;

    fn key() -> Key {
        Key::new("0123456789abcdef0123456789abcdef").unwrap()
    }

    fn found(list: &ValueList, text: &str) -> Vec<String> {
        let folded = fold(text);
        let mut all = Vec::new();
        list.find(&Normal::of(&folded), &mut |start, end| {
            all.push(folded.get(start..end).unwrap().to_owned());
        });
        all
    }

    #[test]
    fn values_are_found_however_they_are_separated() {
        let text = list_values(&key(), "KD-4711 0815\n\nMüller & Söhne GmbH\n").unwrap();
        let list = ValueList::read(&text, &key()).unwrap();
        for (text, wanted) in [
            ("Kunde KD 4711/0815!", vec!["KD 4711/0815"]),
            ("kd47110815", vec!["kd47110815"]),
            ("NrKD47110815", vec![]),
            ("KD-4711 08156", vec![]),
            ("K D 4 7 1 1 0 8 1 5", vec!["K D 4 7 1 1 0 8 1 5"]),
            ("Angebot an MÜLLER und Mueller+Soehne GmbH", vec!["Mueller+Soehne GmbH"]),
            ("Muller & Sohne GmbH", vec!["Muller & Sohne GmbH"]),
            ("KD 4711       0815", vec![]),
        ] {
            assert_eq!(found(&list, text), wanted, "{text}");
        }
    }

    #[test]
    fn a_list_that_would_find_nothing_or_everything_is_no_list() {
        assert_eq!(list_values(&key(), " \n"), Err(ListError::Empty));
        assert_eq!(list_values(&key(), "fine1\nabc"), Err(ListError::Short(2)));
        assert_eq!(list_values(&key(), &"x".repeat(121)), Err(ListError::Long(1)));
        let text = list_values(&key(), "KD-4711").unwrap();
        let other = Key::new("another key of more than 32 characters").unwrap();
        assert_eq!(ValueList::read(&text, &other).unwrap_err(), ListError::OtherKey);
        assert_eq!(ValueList::read("x", &key()).unwrap_err(), ListError::Format(1));
        let head = text.lines().next().unwrap();
        for (bad, error) in [
            ("", ListError::Format(2)),
            ("\n200\n", ListError::Format(2)),
            ("\n6\n", ListError::Empty),
            ("\n6\nAAAA", ListError::Format(3)),
        ] {
            assert_eq!(
                ValueList::read(&format!("{head}{bad}"), &key()).unwrap_err(),
                error,
                "{bad:?}"
            );
        }
    }
}
