//! Values that must not cross, found exactly.

use std::collections::BTreeSet;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD as BASE64;

use super::keyed::{Key, Proofs, Sieve, Tags};
use super::{ListError, Normal};
use crate::scan::spellings;

/// How the first line of a list begins.
const HEAD: &str = "viaduct-values 1 ";
/// Shorter values are found everywhere, in letters and digits.
const SHORTEST: usize = 4;
/// Longer ones are no values, in bytes of letters and digits.
const LONGEST: usize = 120;
/// The most entries of a list.
pub(super) const ENTRIES: usize = 2_000_000;

/// Makes a list of values, one a line; empty lines do not count. A value with umlauts is also found where they are written out.
///
/// # Errors
///
/// [`ListError`] if a line is too short or too long to be a value, or if there are too many or none.
pub fn list_values(key: &Key, values: &str) -> Result<String, ListError> {
    let (tags, proofs) = hashes(key)?;
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
            entries.insert((tags.of(&bytes), proofs.of(&bytes)));
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
    for (tag, proof) in entries {
        list.push_str(&BASE64.encode([tag.to_be_bytes().as_slice(), &proof].concat()));
        list.push('\n');
    }
    Ok(list)
}

fn hashes(key: &Key) -> Result<(Tags, Proofs), ListError> {
    Ok((
        key.tags("viaduct protect value tag"),
        key.proofs("viaduct protect value")?,
    ))
}

/// A list of values, ready to be looked for.
pub(crate) struct ValueList {
    tags: Tags,
    proofs: Proofs,
    sieve: Sieve,
    /// In order.
    entries: Vec<(u64, [u8; 16])>,
    /// How long values are: a bit for each length, in bytes of letters and digits.
    lengths: u128,
    longest: usize,
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
        let mut entries = Vec::new();
        for (number, line) in lines.enumerate() {
            let entry = BASE64.decode(line).ok();
            let entry = entry.as_deref().and_then(|bytes| bytes.split_first_chunk::<8>());
            let Some((tag, Ok(proof))) = entry.map(|(tag, proof)| (tag, proof.try_into())) else {
                return Err(ListError::Format(number + 3));
            };
            entries.push((u64::from_be_bytes(*tag), proof));
        }
        if entries.is_empty() {
            return Err(ListError::Empty);
        }
        entries.sort_unstable();
        let (tags, proofs) = hashes(key)?;
        Ok(Self {
            sieve: Sieve::of(entries.iter().map(|(tag, _)| *tag)),
            tags,
            proofs,
            entries,
            lengths,
            longest,
        })
    }

    /// Where the values are in a text: beginnings and ends.
    pub(crate) fn find(&self, normal: &Normal, found: &mut dyn FnMut(usize, usize)) {
        for (first, atom) in normal.atoms.iter().enumerate() {
            for (last, end) in normal.atoms.iter().enumerate().skip(first) {
                let until = normal.end_of(last);
                let length = until - atom.at;
                if length > self.longest {
                    break;
                }
                let run = normal.bytes.get(atom.at..until).unwrap_or_default();
                if self.lengths & (1 << length) != 0 && self.has(run) {
                    found(atom.start, end.end);
                }
                if !end.joined {
                    break;
                }
            }
        }
    }

    fn has(&self, run: &[u8]) -> bool {
        let tag = self.tags.of(run);
        if !self.sieve.may_have(tag) {
            return false;
        }
        let first = self.entries.partition_point(|(other, _)| *other < tag);
        let mut same = self.entries.iter().skip(first).take_while(|(other, _)| *other == tag);
        let Some(entry) = same.next() else { return false };
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
