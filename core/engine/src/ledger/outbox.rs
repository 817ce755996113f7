//! The form in which entries wait in the store: all entries of one commit under one key, which is the number of the first. The
//! others have the numbers after it.

use viaduct_audit::outbox::{Numbered, key};
use viaduct_audit::{ENTRY_BOUND, Entry, LedgerError};

/// What an entry's place in the ledger adds to its size, at most, in bytes.
const PLACE: usize = 128;

/// The entries of one commit, ready to be stored.
pub(crate) struct Sealed {
    /// The key they are stored under.
    pub(crate) key: String,
    /// Their stored form.
    pub(crate) value: Vec<u8>,
    /// Themselves.
    pub(crate) entries: Vec<Numbered>,
}

/// Gives entries their numbers, from `first`, and their stored form. An entry that the ledger would refuse for its size loses
/// what can be spared.
pub(crate) fn seal(first: u64, entries: Vec<Entry>) -> Sealed {
    let mut value = vec![b'['];
    let mut numbered = Vec::with_capacity(entries.len());
    for (number, mut entry) in (first..).zip(entries) {
        let mut text = serde_json::to_vec(&entry).unwrap_or_default();
        if text.is_empty() || text.len() + PLACE > ENTRY_BOUND {
            entry.ids.truncate(1);
            entry.findings.clear();
            entry.reason = Some("too long to be kept".to_owned());
            text = serde_json::to_vec(&entry).unwrap_or_default();
        }
        if value.len() > 1 {
            value.push(b',');
        }
        value.append(&mut text);
        numbered.push(Numbered { number, entry });
    }
    value.push(b']');
    Sealed {
        key: key(first),
        value,
        entries: numbered,
    }
}

/// Reads what [`seal`] made.
pub(crate) fn open(key: &str, value: &[u8]) -> Result<Vec<Numbered>, LedgerError> {
    let damaged = |detail: String| LedgerError::Damaged {
        path: format!("outbox {key}"),
        detail,
    };
    let first = u64::from_str_radix(key, 16).map_err(|error| damaged(error.to_string()))?;
    let entries: Vec<Entry> = serde_json::from_slice(value).map_err(|error| damaged(error.to_string()))?;
    Ok((first..)
        .zip(entries)
        .map(|(number, entry)| Numbered { number, entry })
        .collect())
}

#[cfg(test)]
mod tests {
    use viaduct_audit::{Action, Record};
    use viaduct_model::{MessageId, Timestamp};

    use super::*;

    #[test]
    fn what_is_sealed_comes_back_with_its_numbers() {
        let entries: Vec<Entry> = (1..4).map(|at| Entry::new(Timestamp(at), Action::Accepted)).collect();
        let sealed = seal(41, entries);
        assert_eq!(sealed.key, "0000000000000029");
        assert_eq!(open(&sealed.key, &sealed.value).unwrap(), sealed.entries);
        assert_eq!(sealed.entries[2].number, 43);
        assert!(open("x", &sealed.value).is_err());
        assert!(open(&sealed.key, b"[").is_err());
    }

    #[test]
    fn nothing_is_too_large_for_the_ledger() {
        let mut entry = Entry::new(Timestamp(1), Action::Failed);
        entry.reason = Some("x".repeat(ENTRY_BOUND));
        entry.ids = (0..2000).map(|id| MessageId::new(format!("id{id}")).unwrap()).collect();
        let sealed = seal(7, vec![entry]);
        let record = Record {
            seq: u64::MAX,
            number: u64::MAX,
            entry: sealed.entries[0].entry.clone(),
        };
        assert!(record.line().is_ok());
    }
}
