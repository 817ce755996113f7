//! How entries come from the step they record into the ledger.
//!
//! A step and its entries are written in **one commit** of the store: the entries go together into the session memory of the
//! owner [`OWNER`], under a key that is the number of the first ([`seal`]); the others have the numbers after it. A worker takes
//! what is there in order ([`open`]), appends it to the ledger, and removes from the store what the ledger has signed. If the
//! hub dies in between, the same entries are given to the ledger again, which passes over what it has: nothing is lost, nothing
//! is there twice.
//!
//! ```text
//!   step + Op::State{owner: "ledger", seal(n, entries)}   one commit
//!   state_scan("ledger", "") ─▶ open ─▶ Ledger::append ─▶ Op::State{…, value: None}
//! ```
//!
//! Numbers rise in the order of the commits: take the next ones and submit the commit under one lock, so that no entry is
//! taken to the ledger before one with a lower number. A commit that fails leaves a gap, which does no harm. After a restart
//! [`next`] tells where to go on.

use crate::{Entry, LedgerError, Written};

/// The owner of the outbox in the store.
pub const OWNER: &str = "ledger";

/// An entry on its way into the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Numbered {
    /// Its number.
    pub number: u64,
    /// The entry.
    pub entry: Written,
}

/// The key of a commit's entries: the number of the first, big end first, as 16 hexadecimal digits, so that keys sort as numbers do.
fn key(number: u64) -> String {
    format!("{number:016x}")
}

/// The entries of one commit, ready to be stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealed {
    /// The key they are stored under.
    pub key: String,
    /// Their stored form.
    pub value: Vec<u8>,
    /// Themselves.
    pub entries: Vec<Numbered>,
}

/// The largest stored form, in bytes, but for an entry that is larger alone.
const SEALED_BOUND: usize = 256 * 1024;

/// Gives entries their numbers, from `first`, and their stored forms: one, or several where they are more than the store takes
/// in one value.
pub fn seal(first: u64, entries: Vec<Written>) -> Vec<Sealed> {
    let mut all: Vec<Sealed> = Vec::new();
    for (number, entry) in (first..).zip(entries) {
        let length = entry.json().len() + 2;
        match all.last_mut() {
            Some(sealed) if sealed.value.len() + length <= SEALED_BOUND => sealed.value.push(b','),
            _ => all.push(Sealed {
                key: key(number),
                value: vec![b'['],
                entries: Vec::new(),
            }),
        }
        if let Some(sealed) = all.last_mut() {
            sealed.value.extend_from_slice(entry.json());
            sealed.entries.push(Numbered { number, entry });
        }
    }
    for sealed in &mut all {
        sealed.value.push(b']');
    }
    all
}

/// Reads what [`seal`] made.
///
/// # Errors
///
/// [`LedgerError::Damaged`] if it did not.
pub fn open(key: &str, value: &[u8]) -> Result<Vec<Numbered>, LedgerError> {
    let damaged = |detail: String| LedgerError::Damaged {
        path: format!("outbox {key}"),
        detail,
    };
    let first = u64::from_str_radix(key, 16)
        .ok()
        .filter(|first| self::key(*first) == key);
    let first = first.ok_or_else(|| damaged("the key is no number".to_owned()))?;
    let entries: Vec<Entry> = serde_json::from_slice(value).map_err(|error| damaged(error.to_string()))?;
    Ok((first..)
        .zip(entries)
        .map(|(number, entry)| Numbered {
            number,
            entry: entry.into(),
        })
        .collect())
}

/// The number of the next entry, from the last one the ledger has ([`Ledger::last`](crate::Ledger::last)) and what is in the
/// outbox.
pub fn next(last: Option<u64>, pending: &[Numbered]) -> u64 {
    let last = last.max(pending.last().map(|entry| entry.number));
    last.map_or(0, |last| last.saturating_add(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::delivered;

    #[test]
    fn keys_sort_as_numbers_do() {
        let mut keys: Vec<String> = [0, 1, 9, 10, 255, 256, 1 << 40, u64::MAX]
            .iter()
            .map(|seq| key(*seq))
            .collect();
        let sorted = keys.clone();
        keys.reverse();
        keys.sort();
        assert_eq!(keys, sorted);
    }

    #[test]
    fn many_entries_are_sealed_in_several_values_that_follow_each_other() {
        let entries: Vec<Written> = (0..5000).map(|number| delivered(number).into()).collect();
        let all = seal(7, entries.clone());
        assert!(all.len() > 1 && all.iter().all(|sealed| sealed.value.len() <= SEALED_BOUND));
        let found: Vec<Numbered> = all
            .iter()
            .flat_map(|sealed| open(&sealed.key, &sealed.value).unwrap())
            .collect();
        let expected: Vec<Numbered> = (7..)
            .zip(entries)
            .map(|(number, entry)| Numbered { number, entry })
            .collect();
        assert_eq!(found, expected);
        assert!(seal(7, Vec::new()).is_empty());
    }

    #[test]
    fn what_is_sealed_comes_back_with_its_numbers() {
        let sealed = seal(41, (1..4).map(|number| delivered(number).into()).collect());
        let [sealed] = &*sealed else { panic!("{sealed:?}") };
        assert_eq!(sealed.key, "0000000000000029");
        let found = open(&sealed.key, &sealed.value).unwrap();
        assert_eq!(found, sealed.entries);
        assert_eq!(found[2].number, 43);
        for (key, value) in [("x", &*sealed.value), ("29", &sealed.value), (&sealed.key, b"[")] {
            assert!(open(key, value).is_err(), "{key}");
        }
        assert_eq!(next(None, &[]), 0);
        assert_eq!(next(Some(9), &found), 44);
        assert_eq!(next(Some(50), &[]), 51);
    }
}
