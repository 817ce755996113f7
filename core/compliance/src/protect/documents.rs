//! Passages of documents that must not cross, found by fingerprints.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD as BASE64;
use sha2::{Digest as _, Sha256};

use super::keyed::{Key, Sieve, Tags};
use super::{ListError, Normal, rolling};
use crate::text::fold;

/// How many letters and digits (in bytes of the folded text) one fingerprint stands for.
pub const RUN: usize = 20;
/// Of so many neighbouring runs one is kept.
pub const WINDOW: usize = 12;

/// How the first line of a list begins.
const HEAD: &str = "viaduct-fingerprints 1 ";
/// The most fingerprints of a list.
const ENTRIES: usize = 8_000_000;
/// So many different fingerprints, at least, make a passage: one alone may be chance, or a greeting.
const LEAST: u32 = 3;
/// What the rolling hash of a run is shifted by as the next byte comes.
const LEAVING: u64 = rolling::shift(RUN);

/// Where the runs begin that are kept of these letters and digits.
pub(crate) fn winnow(bytes: &[u8]) -> Vec<usize> {
    let ranks = ranks(bytes);
    let mut kept = Vec::with_capacity(2 * ranks.len() / WINDOW + 1);
    let mut smallest: Option<(usize, u64)> = None;
    for (at, rank) in ranks.iter().enumerate() {
        let first = (at + 1).saturating_sub(WINDOW);
        match smallest {
            Some((place, least)) if place >= first && least < *rank => {}
            Some((place, least)) if place >= first || least >= *rank => smallest = Some((at, *rank)),
            _ => {
                let window = ranks.get(first..=at).unwrap_or_default();
                let of_window = window.iter().enumerate().rev();
                smallest = of_window
                    .min_by_key(|(_, rank)| **rank)
                    .map(|(place, rank)| (first + place, *rank));
            }
        }
        // What is shorter than a window has one run all the same.
        if at + 1 >= WINDOW || at + 1 == ranks.len() {
            let place = smallest.map(|(place, _)| place);
            if kept.last().copied() != place {
                kept.extend(place);
            }
        }
    }
    kept
}

/// A number for every run, by which the smallest is chosen; it says nothing to anybody.
fn ranks(bytes: &[u8]) -> Vec<u64> {
    let mut hash = bytes
        .iter()
        .take(RUN)
        .fold(0, |hash, byte| rolling::append(hash, *byte));
    if bytes.len() < RUN {
        return Vec::new();
    }
    let mut ranks = Vec::with_capacity(bytes.len() + 1 - RUN);
    ranks.push(rolling::spread(hash));
    for (new, old) in bytes.iter().skip(RUN).zip(bytes) {
        hash = rolling::run(rolling::append(hash, *new), u64::from(*old), LEAVING);
        ranks.push(rolling::spread(hash));
    }
    ranks
}

fn tags(key: &Key) -> Tags {
    key.tags("viaduct protect fingerprint")
}

fn fingerprints(tags: &Tags, text: &str) -> BTreeSet<u64> {
    let normal = Normal::of(&fold(text));
    let runs = winnow(&normal.bytes).into_iter();
    runs.filter_map(|at| normal.bytes.get(at..at + RUN))
        .map(|run| tags.of(run))
        .collect()
}

/// Makes a list of the fingerprints of texts. What is also in one of the texts of `except`, such as a letterhead or general
/// terms, is not protected.
///
/// # Errors
///
/// [`ListError`] if a text is too short, or if they are too many or none.
pub fn list_documents(key: &Key, texts: &[String], except: &[String]) -> Result<String, ListError> {
    let tags = tags(key);
    let known: BTreeSet<u64> = except.iter().flat_map(|text| fingerprints(&tags, text)).collect();
    let mut list = format!("{HEAD}{}\n", key.check());
    let mut all = 0;
    for (number, text) in texts.iter().enumerate() {
        let own: Vec<u64> = fingerprints(&tags, text).difference(&known).copied().collect();
        all += own.len();
        if own.is_empty() {
            return Err(ListError::Bare(number + 1));
        }
        let bytes: Vec<u8> = own.iter().flat_map(|tag| tag.to_be_bytes()).collect();
        list.push_str(&BASE64.encode(bytes));
        list.push('\n');
    }
    match all {
        0 => Err(ListError::Empty),
        1..=ENTRIES => Ok(list),
        _ => Err(ListError::Size(ENTRIES)),
    }
}

/// From how much on a document is found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Threshold {
    /// This part of its fingerprints.
    pub(crate) share: f64,
    /// Or passages of so many letters and digits together.
    pub(crate) passage: Option<u32>,
}

/// The fingerprints of documents, ready to be looked for.
pub(crate) struct DocumentList {
    tags: Tags,
    sieve: Sieve,
    /// Fingerprints and the documents they are of, in order.
    entries: Vec<(u64, u32)>,
    /// How many fingerprints each document has.
    totals: Vec<u32>,
    digest: [u8; 32],
}

impl fmt::Debug for DocumentList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DocumentList")
            .field("documents", &self.totals.len())
            .field("entries", &self.entries.len())
            .finish_non_exhaustive()
    }
}

/// Which entries of a list were seen.
#[derive(Debug, Default)]
pub(crate) struct Seen(Vec<usize>);

impl DocumentList {
    /// Reads a list that [`list_documents`] made.
    pub(super) fn read(list: &str, key: &Key) -> Result<Self, ListError> {
        let mut lines = list.lines();
        let check = lines.next().and_then(|line| line.strip_prefix(HEAD));
        if check.ok_or(ListError::Format(1))? != key.check() {
            return Err(ListError::OtherKey);
        }
        let (mut entries, mut totals) = (Vec::new(), Vec::new());
        for (document, line) in lines.enumerate() {
            let bytes = BASE64.decode(line).map_err(|_| ListError::Format(document + 2))?;
            let (chunks, rest) = bytes.as_chunks::<8>();
            let number = u32::try_from(document).map_err(|_| ListError::Size(ENTRIES))?;
            if chunks.is_empty() || !rest.is_empty() {
                return Err(ListError::Format(document + 2));
            }
            totals.push(u32::try_from(chunks.len()).unwrap_or(u32::MAX));
            entries.extend(chunks.iter().map(|tag| (u64::from_be_bytes(*tag), number)));
        }
        if entries.is_empty() {
            return Err(ListError::Empty);
        }
        entries.sort_unstable();
        Ok(Self {
            tags: tags(key),
            sieve: Sieve::of(entries.iter().map(|(tag, _)| *tag)),
            entries,
            totals,
            digest: Sha256::digest(list).into(),
        })
    }

    /// What distinguishes it from other lists.
    pub(crate) fn digest(&self) -> [u8; 32] {
        self.digest
    }

    /// Notes which fingerprints are in a text, of which these runs are kept (see [`winnow`]).
    pub(crate) fn look(&self, normal: &Normal, runs: &[usize], seen: &mut Seen) {
        for run in runs.iter().filter_map(|at| normal.bytes.get(*at..at + RUN)) {
            let tag = self.tags.of(run);
            if !self.sieve.may_have(tag) {
                continue;
            }
            let first = self.entries.partition_point(|(other, _)| *other < tag);
            let same = self.entries.iter().skip(first).take_while(|(other, _)| *other == tag);
            seen.0.extend((first..).zip(same).map(|(number, _)| number));
        }
    }

    /// How many documents were found.
    pub(crate) fn found(&self, mut seen: Seen, threshold: Threshold) -> usize {
        seen.0.sort_unstable();
        seen.0.dedup();
        let mut counts: BTreeMap<u32, u32> = BTreeMap::new();
        for (_, document) in seen.0.iter().filter_map(|number| self.entries.get(*number)) {
            *counts.entry(*document).or_default() += 1;
        }
        let reached = |(document, count): (&u32, &u32)| {
            let total = self.totals.get(*document as usize).copied().unwrap_or(u32::MAX);
            threshold.reached(*count, total)
        };
        counts.iter().filter(|entry| reached(*entry)).count()
    }
}

impl Threshold {
    fn reached(self, count: u32, total: u32) -> bool {
        let share = f64::from(count) >= self.share * f64::from(total) && count >= LEAST.min(total);
        share || self.passage.is_some_and(|letters| count >= of_passage(letters))
    }
}

/// How many fingerprints a passage of so many letters and digits is certain enough to have: three quarters of what it has on
/// average, which is two of each window and one more.
fn of_passage(letters: u32) -> u32 {
    let (run, window) = (RUN as u64, WINDOW as u64);
    let runs = u64::from(letters).saturating_sub(run - 1);
    let expected = runs * 2 * 3 / ((window + 1) * 4);
    u32::try_from(expected).unwrap_or(u32::MAX).max(LEAST)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key() -> Key {
        Key::new("0123456789abcdef0123456789abcdef").unwrap()
    }

    /// The straightforward way: the rightmost smallest of every window.
    fn plainly(bytes: &[u8]) -> Vec<usize> {
        let ranks = ranks(bytes);
        let mut kept: Vec<usize> = Vec::new();
        let windows: Vec<usize> = (0..=ranks.len().saturating_sub(WINDOW)).collect();
        for first in windows {
            let window = &ranks[first..ranks.len().min(first + WINDOW)];
            let smallest = (0..window.len()).rev().min_by_key(|place| window[*place]);
            if let Some(place) = smallest.map(|place| first + place)
                && kept.last() != Some(&place)
            {
                kept.push(place);
            }
        }
        kept
    }

    proptest! {
        #[test]
        fn the_quick_way_keeps_what_the_plain_way_keeps(bytes in proptest::collection::vec(97_u8..103, 0..300)) {
            prop_assert_eq!(winnow(&bytes), plainly(&bytes));
        }

        #[test]
        fn every_copied_passage_has_a_fingerprint(
            head in "[a-z]{0,50}", passage in "[a-z]{31,80}", tail in "[a-z]{0,50}", other in "[a-z]{0,50}",
        ) {
            let tags = tags(&key());
            let one = fingerprints(&tags, &format!("{head}{passage}{tail}"));
            let two = fingerprints(&tags, &format!("{other}{passage}"));
            prop_assert!(!one.is_disjoint(&two));
        }
    }

    #[test]
    fn enough_of_a_document_is_found_and_less_is_not() {
        let step = |number| format!("Schritt {number} dauert {} s. ", number * 37);
        let text = (0..200).map(step).collect::<Vec<_>>().concat();
        let except = (50..100).map(step).collect::<Vec<_>>().concat();
        let list = list_documents(&key(), &[text.clone(), "x".repeat(40)], &[except]).unwrap();
        let list = DocumentList::read(&list, &key()).unwrap();
        let found = |text: &str, share, passage| {
            let normal = Normal::of(&fold(text));
            let mut seen = Seen::default();
            list.look(&normal, &winnow(&normal.bytes), &mut seen);
            list.found(seen, Threshold { share, passage })
        };
        let part = |from: usize, to: usize| text.chars().skip(from).take(to - from).collect::<String>();
        assert_eq!(found(&text, 1.0, None), 1);
        assert_eq!(found(&part(0, 1000), 0.2, None), 1);
        assert_eq!(found(&part(0, 1000), 0.4, None), 0);
        assert_eq!(found(&part(0, 1000), 0.9, Some(200)), 1);
        assert_eq!(
            found(&part(0, 60).repeat(40), 0.9, Some(200)),
            0,
            "often the same is not much"
        );
        assert_eq!(found(&part(1200, 2100), 0.1, Some(200)), 0, "excepted");
        assert_eq!(found("", 0.01, Some(1)), 0);
    }

    #[test]
    fn what_is_no_list_is_told() {
        assert_eq!(list_documents(&key(), &[], &[]), Err(ListError::Empty));
        assert_eq!(
            list_documents(&key(), &["short".to_owned()], &[]),
            Err(ListError::Bare(1))
        );
        let list = list_documents(&key(), &["x y z".repeat(20)], &[]).unwrap();
        let head = list.lines().next().unwrap();
        for bad in ["\n", "\n\n", "\nAAAA", "\n%"] {
            assert!(DocumentList::read(&format!("{head}{bad}"), &key()).is_err(), "{bad:?}");
        }
        let other = Key::new("another key of more than 32 characters").unwrap();
        assert_eq!(DocumentList::read(&list, &other).unwrap_err(), ListError::OtherKey);
    }
}
