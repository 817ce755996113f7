//! What of the ledger is still to be sent.

use std::path::PathBuf;

use super::settings::Form;
use crate::note::Verifier;
use crate::{LedgerError, Reader, Record, siem};

/// At most so many entries are sent in one go.
const BATCH: usize = 256;
/// A batch that has so many bytes takes no more.
const BATCH_BYTES: usize = 256 * 1024;

/// The ledger from a place on. Its methods block.
pub(super) struct Backlog {
    pub(super) folder: PathBuf,
    pub(super) verifier: Verifier,
    pub(super) form: Form,
    /// The hub's host name.
    pub(super) host: String,
    /// Whether messages are counted (in a stream), or are lines of text.
    pub(super) stream: bool,
    reader: Option<Reader>,
    next: u64,
}

/// Some entries, ready to be written.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) bytes: Vec<u8>,
    /// How many.
    pub(super) count: u64,
    /// The number of the entry after them.
    pub(super) next: u64,
    /// How many more there are.
    pub(super) behind: u64,
}

impl Backlog {
    pub(super) fn new(folder: PathBuf, verifier: Verifier, form: Form, host: String, stream: bool) -> Self {
        Self {
            folder,
            verifier,
            form,
            host,
            stream,
            reader: None,
            next: 0,
        }
    }

    /// Goes (back) to a place.
    pub(super) fn rewind(&mut self, next: u64) {
        self.reader = None;
        self.next = next;
    }

    /// The next entries; none at the end of what was signed.
    pub(super) fn batch(&mut self) -> Result<Batch, LedgerError> {
        let batch = self.read();
        if batch.is_err() {
            // Perhaps the ledger was opened anew in between; then it is read from the disk again.
            self.reader = None;
        }
        batch
    }

    fn read(&mut self) -> Result<Batch, LedgerError> {
        if let Some(reader) = &mut self.reader {
            reader.refresh(&self.verifier)?;
        }
        let reader = match &mut self.reader {
            Some(reader) => reader,
            unopened => {
                let reader = Reader::open(&self.folder, &self.verifier)?;
                let size = reader.checkpoint().size;
                if self.next > size {
                    let detail = format!("entry {} was sent, and it has only {size}", self.next - 1);
                    return Err(LedgerError::damaged(&self.folder, detail));
                }
                unopened.insert(reader.from(self.next)?)
            }
        };
        let mut batch = Batch {
            next: self.next,
            ..Batch::default()
        };
        while batch.count < BATCH as u64 && batch.bytes.len() < BATCH_BYTES {
            let Some((record, line)) = reader.record()? else { break };
            put(&record, &line, self.form, &self.host, self.stream, &mut batch.bytes);
            batch.count += 1;
            batch.next = record.seq + 1;
        }
        self.next = batch.next;
        batch.behind = reader.checkpoint().size.saturating_sub(batch.next);
        Ok(batch)
    }
}

fn put(record: &Record, line: &[u8], form: Form, host: &str, stream: bool, out: &mut Vec<u8>) {
    let text = match form {
        Form::Json => String::from_utf8_lossy(line).into_owned(),
        Form::Cef => siem::cef(record),
        Form::Ocsf => siem::ocsf(record).to_string(),
    };
    if stream {
        let message = siem::syslog_with(record, host, &text);
        out.extend_from_slice(siem::framed(&message).as_bytes());
    } else {
        out.extend_from_slice(text.as_bytes());
        out.push(b'\n');
    }
}
