//! The files of a ledger: one JSON record a line, in segments that are named after their first record.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};

use crate::LedgerError;
use crate::entry::ENTRY_BOUND;

/// The file of the newest signed checkpoint.
pub(crate) const CHECKPOINT: &str = "checkpoint";

/// The path of the segment that starts with this record.
pub(crate) fn path(folder: &Path, first: u64) -> PathBuf {
    folder.join(format!("{first:020}.jsonl"))
}

/// All segments, by the number of their first record.
pub(crate) fn list(folder: &Path) -> Result<Vec<u64>, LedgerError> {
    let mut found = Vec::new();
    for file in fs::read_dir(folder).map_err(LedgerError::io(folder))? {
        let name = file.map_err(LedgerError::io(folder))?.file_name();
        let number = name
            .to_str()
            .and_then(|name| name.strip_suffix(".jsonl"))
            .filter(|number| number.len() == 20);
        found.extend(number.and_then(|number| number.parse::<u64>().ok()));
    }
    found.sort_unstable();
    Ok(found)
}

/// The newest signed checkpoint, as it stands.
pub(crate) fn checkpoint_note(folder: &Path) -> Result<String, LedgerError> {
    let path = folder.join(CHECKPOINT);
    let bytes = fs::read(&path).map_err(LedgerError::io(&path))?;
    String::from_utf8(bytes).map_err(|error| LedgerError::damaged(&path, error.to_string()))
}

/// One line as it stands in its file.
pub(crate) struct Line {
    /// Its bytes, without the line feed.
    pub bytes: Vec<u8>,
    /// Whether it ends with a line feed.
    pub whole: bool,
    /// Its segment.
    pub segment: u64,
    /// Where it ends in its segment, with the line feed.
    pub end: u64,
    /// Whether it is the first of its segment.
    pub first: bool,
}

/// All lines of some segments, in order, however damaged they are.
pub(crate) struct Lines {
    folder: PathBuf,
    segments: VecDeque<u64>,
    /// The last segment that was ever to be read.
    last: Option<u64>,
    current: Option<(u64, BufReader<File>, u64)>,
}

impl Lines {
    pub fn new(folder: &Path, segments: impl IntoIterator<Item = u64>) -> Self {
        let segments: VecDeque<u64> = segments.into_iter().collect();
        Self {
            folder: folder.to_owned(),
            last: segments.back().copied(),
            segments,
            current: None,
        }
    }

    /// Adds the segments that came since. Goes on in the middle of the current one; so its end must not have been read yet.
    pub fn add(&mut self, segments: impl IntoIterator<Item = u64>) {
        let last = self.last;
        let fresh = segments
            .into_iter()
            .filter(|segment| last.is_none_or(|last| *segment > last));
        self.segments.extend(fresh);
        self.last = self.segments.back().copied().max(last);
    }

    /// The next line; none at the end of the last segment.
    pub fn next(&mut self) -> Result<Option<Line>, LedgerError> {
        loop {
            let Some((segment, reader, offset)) = &mut self.current else {
                let Some(segment) = self.segments.pop_front() else {
                    return Ok(None);
                };
                let path = path(&self.folder, segment);
                let file = File::open(&path).map_err(LedgerError::io(&path))?;
                self.current = Some((segment, BufReader::new(file), 0));
                continue;
            };
            let mut bytes = Vec::new();
            // A line that is too long comes in pieces, each of them no whole line.
            let bound = ENTRY_BOUND as u64 + 1;
            let read = reader.take(bound).read_until(b'\n', &mut bytes);
            let read = read.map_err(LedgerError::io(&path(&self.folder, *segment)))?;
            if read == 0 {
                self.current = None;
                continue;
            }
            let whole = bytes.last() == Some(&b'\n');
            if whole {
                bytes.pop();
            }
            let first = *offset == 0;
            *offset += read as u64;
            return Ok(Some(Line {
                bytes,
                whole,
                segment: *segment,
                end: *offset,
                first,
            }));
        }
    }
}
