//! Reading the ledger, also while somebody else writes to it.

use std::path::{Path, PathBuf};

use crate::LedgerError;
use crate::entry::Record;
use crate::note::{Checkpoint, Verifier};
use crate::segment::{self, CHECKPOINT, Lines};

/// The records of a ledger that were signed when it was opened, in order. An exporter keeps the number of the last record it
/// has passed on, and starts from the next: so it neither holds up the hub nor loses an entry; see [`Exporter`](crate::Exporter).
pub struct Reader {
    folder: PathBuf,
    checkpoint: Checkpoint,
    lines: Lines,
    next: u64,
}

impl Reader {
    /// Opens a ledger for reading.
    pub fn open(folder: &Path, verifier: &Verifier) -> Result<Self, LedgerError> {
        let note = segment::checkpoint_note(folder)?;
        let checkpoint = verifier.open(&note).and_then(Checkpoint::parse);
        let checkpoint =
            checkpoint.map_err(|error| LedgerError::damaged(&folder.join(CHECKPOINT), error.to_string()))?;
        let lines = Lines::new(folder, segment::list(folder)?);
        Ok(Self {
            folder: folder.to_owned(),
            checkpoint,
            lines,
            next: 0,
        })
    }

    /// What was signed.
    pub fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// Goes on from the record of this number.
    pub fn from(mut self, seq: u64) -> Result<Self, LedgerError> {
        let segments = segment::list(&self.folder)?;
        let start = segments.partition_point(|first| *first <= seq).saturating_sub(1);
        let segments: Vec<u64> = segments.into_iter().skip(start).collect();
        self.next = segments.first().copied().unwrap_or(0);
        self.lines = Lines::new(&self.folder, segments);
        while self.next < seq.min(self.checkpoint.size) {
            self.line()?;
        }
        // Beyond the end there is nothing to give.
        self.next = self.next.max(seq);
        Ok(self)
    }

    /// Takes note of what was signed since. Records are given on from where the reader is.
    ///
    /// # Errors
    ///
    /// [`LedgerError::Damaged`] if the checkpoint cannot be trusted or is of an earlier state than the one known.
    pub fn refresh(&mut self, verifier: &Verifier) -> Result<(), LedgerError> {
        let now = Self::open(&self.folder, verifier)?.checkpoint;
        if now.size < self.checkpoint.size || now.origin != self.checkpoint.origin {
            let detail = format!("it had {} entries and has {} now", self.checkpoint.size, now.size);
            return Err(LedgerError::damaged(&self.folder, detail));
        }
        self.checkpoint = now;
        self.lines.add(segment::list(&self.folder)?);
        Ok(())
    }

    /// The next line; none at the end of what was signed.
    pub(crate) fn line(&mut self) -> Result<Option<Vec<u8>>, LedgerError> {
        if self.next >= self.checkpoint.size {
            return Ok(None);
        }
        match self.lines.next()? {
            Some(line) if line.whole => {
                self.next += 1;
                Ok(Some(line.bytes))
            }
            _ => Err(LedgerError::damaged(
                &self.folder,
                format!("entry {} is missing", self.next),
            )),
        }
    }

    /// The next record together with its line.
    pub(crate) fn record(&mut self) -> Result<Option<(Record, Vec<u8>)>, LedgerError> {
        let seq = self.next;
        let Some(line) = self.line()? else { return Ok(None) };
        match Record::parse(&line) {
            Some(record) if record.seq == seq => Ok(Some((record, line))),
            _ => Err(LedgerError::damaged(
                &self.folder,
                format!("entry {seq} cannot be read"),
            )),
        }
    }
}

impl Iterator for Reader {
    type Item = Result<Record, LedgerError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.record().map(|found| found.map(|(record, _)| record)).transpose()
    }
}
