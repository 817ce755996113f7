//! How entries come from the step they record into the ledger.
//!
//! The step and its entry are written in **one commit** of the store: the entry goes into the session memory of the owner
//! [`OWNER`] under a key that is its number ([`key`], [`encode`]). A worker takes what is there in order ([`decode`]), appends it
//! to the ledger, and removes from the store what the ledger has signed. If the hub dies in between, the same entries are
//! given to the ledger again, which passes over what it has: nothing is lost, nothing is there twice.
//!
//! ```text
//!   step + Op::State{owner: "ledger", key(n), encode(entry)}   one commit
//!   state_scan("ledger", "") ─▶ decode ─▶ Ledger::append ─▶ Op::State{…, value: None}
//! ```
//!
//! Numbers rise in the order of the commits: take the next one and submit the commit under one lock, so that no entry is
//! taken to the ledger before one with a lower number. A commit that fails leaves a gap, which does no harm. After a restart
//! [`next`] tells where to go on.

use serde::{Deserialize, Serialize};

use crate::entry::ENTRY_BOUND;
use crate::{Entry, LedgerError, Record};

/// The owner of the outbox in the store.
pub const OWNER: &str = "ledger";

/// An entry on its way into the ledger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Numbered {
    /// Its number.
    pub number: u64,
    /// The entry.
    pub entry: Entry,
}

/// The key of an entry: its number, big end first, as 16 hexadecimal digits, so that keys sort as numbers do.
pub fn key(number: u64) -> String {
    format!("{number:016x}")
}

/// The value that stands for an entry until the ledger has it.
///
/// # Errors
///
/// [`LedgerError::TooLarge`] if the ledger would refuse it for its size.
pub fn encode(entry: &Entry) -> Result<Vec<u8>, LedgerError> {
    // With the longest numbers an entry can get.
    Record {
        seq: u64::MAX,
        number: u64::MAX,
        entry: entry.clone(),
    }
    .line()?;
    let value = serde_json::to_vec(entry).map_err(|error| LedgerError::note(error.to_string()))?;
    if value.len() > ENTRY_BOUND {
        Err(LedgerError::TooLarge(value.len()))
    } else {
        Ok(value)
    }
}

/// The entries in the outbox, as the store's scan gives them.
///
/// # Errors
///
/// [`LedgerError::Damaged`] if a key or value is not what [`key`] and [`encode`] made.
pub fn decode(scanned: &[(String, Vec<u8>)]) -> Result<Vec<Numbered>, LedgerError> {
    let one = |(name, value): &(String, Vec<u8>)| {
        let damaged = |detail: String| LedgerError::Damaged {
            path: format!("outbox {name}"),
            detail,
        };
        let number = u64::from_str_radix(name, 16)
            .ok()
            .filter(|number| key(*number) == *name);
        let number = number.ok_or_else(|| damaged("the key is no number".to_owned()))?;
        let entry = serde_json::from_slice(value).map_err(|error| damaged(error.to_string()))?;
        Ok(Numbered { number, entry })
    };
    scanned.iter().map(one).collect()
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

    fn scanned(numbers: &[u64]) -> Vec<(String, Vec<u8>)> {
        numbers
            .iter()
            .map(|number| (key(*number), encode(&delivered(*number)).unwrap()))
            .collect()
    }

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
    fn the_outbox_comes_back_in_order() {
        assert_eq!(decode(&[]).unwrap(), []);
        assert_eq!(next(None, &[]), 0);
        let found = decode(&scanned(&[9, 10, 12])).unwrap();
        let wanted = [9, 10, 12].map(|number| Numbered {
            number,
            entry: delivered(number),
        });
        assert_eq!(found, wanted);
        assert_eq!(next(Some(9), &found), 13);
        assert_eq!(next(Some(12), &[]), 13);
        assert!(decode(&[("x".to_owned(), Vec::new())]).is_err());
        assert!(decode(&[("9".to_owned(), Vec::new())]).is_err());
        assert!(decode(&[(key(1), b"{".to_vec())]).is_err());
    }
}
