//! An entry in the one form in which it is stored, carried and hashed: written once, whatever it goes through.

use std::io::Write as _;
use std::sync::Arc;

use serde::Serialize;

use crate::LedgerError;
use crate::entry::{Action, ENTRY_BOUND, Entry, Record};

/// What an entry's place in the ledger adds to its size, at most, in bytes.
const PLACE: usize = 128;

/// An entry as the bytes that are kept of it. A copy shares them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    action: Action,
    json: Arc<[u8]>,
}

impl Written {
    /// What happened.
    pub fn action(&self) -> Action {
        self.action
    }

    /// Its JSON.
    pub fn json(&self) -> &[u8] {
        &self.json
    }

    /// Appends the line of its record, without the line feed: the bytes of [`Record::line`], which follow from it alone.
    ///
    /// # Errors
    ///
    /// [`LedgerError::TooLarge`] beyond [`ENTRY_BOUND`]; then nothing was appended.
    pub(crate) fn append_line(&self, seq: u64, number: u64, out: &mut Vec<u8>) -> Result<(), LedgerError> {
        let start = out.len();
        // The fields of the entry follow those of its place, in one object.
        let fields = self.json.strip_prefix(b"{").unwrap_or_default();
        let written = write!(out, r#"{{"seq":{seq},"number":{number},"#).and_then(|()| out.write_all(fields));
        let length = out.len() - start;
        if written.is_ok() && length <= ENTRY_BOUND {
            return Ok(());
        }
        out.truncate(start);
        Err(LedgerError::TooLarge(length))
    }
}

/// An entry that the ledger would refuse for its size loses what can be spared.
impl From<Entry> for Written {
    fn from(mut entry: Entry) -> Self {
        let mut json = json_of(&entry);
        if json.is_empty() || json.len() + PLACE > ENTRY_BOUND {
            entry.ids.truncate(1);
            entry.findings.clear();
            entry.reason = Some("too long to be kept".to_owned());
            json = json_of(&entry);
        }
        Self {
            action: entry.action,
            json: json.into(),
        }
    }
}

fn json_of(value: &impl Serialize) -> Vec<u8> {
    let mut json = Vec::with_capacity(640);
    // Writing to memory fails only where something cannot be JSON, which entries always can.
    if serde_json::to_writer(&mut json, value).is_err() {
        json.clear();
    }
    json
}

impl Record {
    /// Whether this is the record of such an entry.
    pub(crate) fn is_of(&self, number: u64, entry: &Written) -> bool {
        self.number == number && Written::from(self.entry.clone()) == *entry
    }
}

#[cfg(test)]
mod tests {
    use viaduct_model::{MessageId, Timestamp};

    use super::*;
    use crate::testing::delivered;

    #[test]
    fn its_line_is_that_of_its_record() {
        let mut odd = Entry::new(Timestamp(7), Action::Refused);
        odd.reason = Some("line\nfeed and \"quotes\"".to_owned());
        for (seq, entry) in [
            (0, Entry::new(Timestamp(0), Action::Started)),
            (9, odd),
            (u64::MAX, delivered(3)),
        ] {
            let record = Record {
                seq,
                number: seq,
                entry,
            };
            let mut line = b"before".to_vec();
            let written = Written::from(record.entry.clone());
            written.append_line(seq, seq, &mut line).unwrap();
            assert_eq!(line.strip_prefix(b"before").unwrap(), record.line().unwrap());
            assert!(record.is_of(seq, &written) && !record.is_of(1, &written));
        }
    }

    #[test]
    fn nothing_is_too_large_for_the_ledger() {
        let mut entry = Entry::new(Timestamp(1), Action::Failed);
        entry.reason = Some("x".repeat(ENTRY_BOUND));
        entry.ids = (0..2000).map(|id| MessageId::new(format!("id{id}")).unwrap()).collect();
        let mut line = Vec::new();
        Written::from(entry).append_line(u64::MAX, u64::MAX, &mut line).unwrap();
        assert!(!line.is_empty());
    }
}
