//! Writing the ledger.

use std::fs::{self, File, OpenOptions};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use crate::entry::{ENTRY_BOUND, Record};
use crate::keys::sync_folder;
use crate::merkle::{Frontier, Hash, leaf};
use crate::note::{Checkpoint, Signer};
use crate::outbox::Numbered;
use crate::segment::{self, CHECKPOINT, Lines};
use crate::{LedgerError, Reader};

/// The file that spares reading everything at the start. Only a hint: it is believed if its root is the signed one.
const FRONTIER: &str = "frontier";

/// How a ledger is kept.
#[derive(Debug, Clone)]
pub struct Options {
    /// The ledger's name in its checkpoints, such as `hub.example.org/ledger`.
    pub origin: String,
    /// A segment that has so many bytes is followed by another.
    pub segment_bytes: u64,
}

impl Options {
    /// Segments of 64 MiB.
    pub fn new(origin: impl Into<String>) -> Self {
        Self {
            origin: origin.into(),
            segment_bytes: 64 * 1024 * 1024,
        }
    }
}

/// Where the last signed record ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Position {
    segment: u64,
    end: u64,
}

/// What [`FRONTIER`] holds.
#[derive(Serialize, Deserialize)]
struct Hint {
    size: u64,
    subtrees: Vec<String>,
    position: Position,
}

/// A ledger open for writing. Its methods block on the device; call them from a thread that may.
#[derive(Debug)]
pub struct Ledger {
    folder: PathBuf,
    signer: Signer,
    options: Options,
    frontier: Frontier,
    /// Where the next record goes; none before the first.
    position: Option<Position>,
    /// The outbox number of the last record.
    last: Option<u64>,
    note: String,
    /// Set while writing, and for good when a write failed.
    broken: bool,
    /// Held as long as the ledger is open.
    _lock: File,
}

impl Ledger {
    /// Opens the ledger in a folder, or makes a new one in a folder without any. What was written but not signed, because the
    /// hub ended in between, is moved into a file `unsigned-SIZE.tail`: its entries come again from the outbox.
    ///
    /// Reads only the end of the ledger. Use [`verify`](crate::verify) to check all of it.
    ///
    /// # Errors
    ///
    /// [`LedgerError::Locked`] if it is open elsewhere; [`LedgerError::Damaged`] if what is there is not what was signed.
    pub fn open(folder: &Path, signer: Signer, options: Options) -> Result<Self, LedgerError> {
        fs::create_dir_all(folder).map_err(LedgerError::io(folder))?;
        let path = folder.join("lock");
        let lock = File::create(&path).map_err(LedgerError::io(&path))?;
        lock.try_lock()
            .map_err(|_| LedgerError::Locked(folder.display().to_string()))?;
        let mut ledger = Self {
            folder: folder.to_owned(),
            signer,
            options,
            frontier: Frontier::default(),
            position: None,
            last: None,
            note: String::new(),
            broken: false,
            _lock: lock,
        };
        let path = folder.join(CHECKPOINT);
        if path.exists() {
            ledger.resume(&path)?;
        } else if segment::list(folder)?.is_empty() {
            // Signed before the first entry: from now on a missing checkpoint is damage.
            ledger.sign(Frontier::default(), None, None)?;
        } else {
            return Err(LedgerError::damaged(folder, "there are entries but no checkpoint"));
        }
        Ok(ledger)
    }

    fn resume(&mut self, path: &Path) -> Result<(), LedgerError> {
        let damaged = |error: LedgerError| LedgerError::damaged(path, error.to_string());
        self.note = segment::checkpoint_note(&self.folder)?;
        let verifier = self.signer.verifier();
        let checkpoint = verifier.open(&self.note).and_then(Checkpoint::parse).map_err(damaged)?;
        if checkpoint.origin != self.options.origin {
            return Err(LedgerError::damaged(
                path,
                format!("it belongs to the ledger {:?}", checkpoint.origin),
            ));
        }
        let (frontier, position) = match self.hinted(&checkpoint) {
            Some(found) => found,
            None => self.scan(&checkpoint)?,
        };
        if let Some(position) = position {
            let seq = frontier.size().saturating_sub(1);
            let last = self.last_of(position, seq);
            let last = last.ok_or_else(|| LedgerError::damaged(&self.folder, format!("entry {seq} cannot be read")))?;
            self.last = Some(last.number);
        }
        (self.frontier, self.position) = (frontier, position);
        self.cut()
    }

    /// The end of the ledger as the hint has it, if that fits what was signed and what is on disk.
    fn hinted(&self, checkpoint: &Checkpoint) -> Option<(Frontier, Option<Position>)> {
        let hint: Hint = serde_json::from_slice(&fs::read(self.folder.join(FRONTIER)).ok()?).ok()?;
        let subtrees: Option<Vec<Hash>> = hint
            .subtrees
            .iter()
            .map(|text| STANDARD.decode(text).ok()?.try_into().ok())
            .collect();
        let frontier = Frontier::from_parts(hint.size, subtrees?)?;
        let last = hint.size.checked_sub(1)?;
        let fits = hint.size == checkpoint.size && frontier.root() == checkpoint.root;
        (fits && self.last_of(hint.position, last).is_some()).then_some((frontier, Some(hint.position)))
    }

    /// The record that ends at a position, if it is the one of this place in the ledger.
    fn last_of(&self, position: Position, seq: u64) -> Option<Record> {
        let length = position.end.min(ENTRY_BOUND as u64 + 2);
        let read = || {
            let mut file = File::open(segment::path(&self.folder, position.segment))?;
            file.seek(SeekFrom::Start(position.end - length))?;
            let mut bytes = Vec::new();
            file.take(length).read_to_end(&mut bytes)?;
            std::io::Result::Ok(bytes)
        };
        let bytes = read().ok()?;
        let (b'\n', before) = bytes.split_last()? else {
            return None;
        };
        let line = before.rsplit(|byte| *byte == b'\n').next().unwrap_or_default();
        Record::parse(line).filter(|record| record.seq == seq && bytes.len() as u64 == length)
    }

    /// Reads the whole ledger up to what was signed.
    fn scan(&self, checkpoint: &Checkpoint) -> Result<(Frontier, Option<Position>), LedgerError> {
        let mut lines = Lines::new(&self.folder, segment::list(&self.folder)?);
        let mut frontier = Frontier::default();
        let mut position = None;
        while frontier.size() < checkpoint.size {
            match lines.next()? {
                Some(line) if line.whole => {
                    frontier.push(leaf(&line.bytes));
                    position = Some(Position {
                        segment: line.segment,
                        end: line.end,
                    });
                }
                _ => {
                    let detail = format!("{} entries were signed, {} are there", checkpoint.size, frontier.size());
                    return Err(LedgerError::damaged(&self.folder, detail));
                }
            }
        }
        if frontier.root() != checkpoint.root {
            return Err(LedgerError::damaged(&self.folder, "an entry is not as it was signed"));
        }
        Ok((frontier, position))
    }

    /// Moves what is beyond the last signed record aside.
    fn cut(&mut self) -> Result<(), LedgerError> {
        let end = self
            .position
            .map_or((0, 0), |position| (position.segment, position.end));
        let mut tail = Vec::new();
        for first in segment::list(&self.folder)?.into_iter().filter(|first| *first >= end.0) {
            let path = segment::path(&self.folder, first);
            let signed = if self.position.is_some() && first == end.0 {
                end.1
            } else {
                0
            };
            let mut file = OpenOptions::new()
                .read(true)
                .write(true)
                .open(&path)
                .map_err(LedgerError::io(&path))?;
            let read = file
                .seek(SeekFrom::Start(signed))
                .and_then(|_| file.read_to_end(&mut tail));
            if read.map_err(LedgerError::io(&path))? == 0 && signed > 0 {
                continue;
            }
            self.keep(&tail)?;
            if signed == 0 {
                fs::remove_file(&path).map_err(LedgerError::io(&path))?;
            } else {
                file.set_len(signed)
                    .and_then(|()| file.sync_all())
                    .map_err(LedgerError::io(&path))?;
            }
            sync_folder(&self.folder)?;
        }
        Ok(())
    }

    fn keep(&self, tail: &[u8]) -> Result<(), LedgerError> {
        let path = self.folder.join(format!("unsigned-{}.tail", self.size()));
        if tail.is_empty() {
            Ok(())
        } else {
            fs::write(&path, tail).map_err(LedgerError::io(&path))
        }
    }

    /// How many entries there are.
    pub fn size(&self) -> u64 {
        self.frontier.size()
    }

    /// The outbox number of the last entry; none if there are no entries.
    pub fn last(&self) -> Option<u64> {
        self.last
    }

    /// The signed checkpoint of what is there now, for witnesses and for keeping elsewhere.
    pub fn checkpoint(&self) -> &str {
        &self.note
    }

    /// Appends entries, and returns the new size once they are on the device and signed. Entries that are there already, which
    /// can only be the first of the batch, are compared and passed over: so a batch can safely be given again.
    ///
    /// # Errors
    ///
    /// [`LedgerError::Order`] and [`LedgerError::Conflict`] if the numbers do not fit, [`LedgerError::TooLarge`]: then nothing
    /// was changed. After [`LedgerError::Io`] the ledger answers [`LedgerError::Broken`] until it is opened again.
    pub fn append(&mut self, batch: &[Numbered]) -> Result<u64, LedgerError> {
        if self.broken {
            return Err(LedgerError::Broken);
        }
        let mut numbers = batch.iter().map(|entry| entry.number);
        let rising = numbers
            .clone()
            .zip(numbers.clone().skip(1))
            .find(|(before, after)| before >= after);
        if let Some((_, number)) = rising {
            return Err(LedgerError::Order(number));
        }
        let known = numbers
            .position(|number| self.last.is_none_or(|last| number > last))
            .unwrap_or(batch.len());
        let (known, fresh) = batch.split_at_checked(known).unwrap_or((batch, &[]));
        self.compare(known)?;
        let mut frontier = self.frontier.clone();
        let mut bytes = Vec::new();
        for Numbered { number, entry } in fresh {
            let start = bytes.len();
            entry.append_line(frontier.size(), *number, &mut bytes)?;
            frontier.push(leaf(bytes.get(start..).unwrap_or_default()));
            bytes.push(b'\n');
        }
        if let Some(last) = fresh.last() {
            self.broken = true;
            let position = self.write(&bytes)?;
            self.sign(frontier, Some(position), Some(last.number))?;
            self.broken = false;
        }
        Ok(self.size())
    }

    /// Checks that the ledger has these entries, whose numbers it has passed.
    fn compare(&self, batch: &[Numbered]) -> Result<(), LedgerError> {
        let (Some(first), Some(last)) = (batch.first(), self.last) else {
            return Ok(());
        };
        // Numbers may have gaps and places have none, so the first of them is at most this far from the end.
        let start = self.size().saturating_sub((last - first.number).saturating_add(1));
        let there = Reader::open(&self.folder, &self.signer.verifier())?.from(start)?;
        let before =
            |found: &Result<Record, _>| found.as_ref().is_ok_and(|record: &Record| record.number < first.number);
        let mut there = there.skip_while(before);
        for wanted in batch {
            match there.next().transpose()? {
                Some(found) if found.is_of(wanted.number, &wanted.entry) => {}
                _ => return Err(LedgerError::Conflict(wanted.number)),
            }
        }
        Ok(())
    }

    /// Writes lines to the device and says where they end.
    fn write(&self, bytes: &[u8]) -> Result<Position, LedgerError> {
        let here = self
            .position
            .filter(|position| position.end < self.options.segment_bytes);
        let position = here.unwrap_or(Position {
            segment: self.size(),
            end: 0,
        });
        let path = segment::path(&self.folder, position.segment);
        let mut options = OpenOptions::new();
        let options = if here.is_some() {
            options.append(true)
        } else {
            options.write(true).create_new(true)
        };
        let mut file = options.open(&path).map_err(LedgerError::io(&path))?;
        file.write_all(bytes)
            .and_then(|()| file.sync_all())
            .map_err(LedgerError::io(&path))?;
        if here.is_none() {
            sync_folder(&self.folder)?;
        }
        Ok(Position {
            end: position.end + bytes.len() as u64,
            ..position
        })
    }

    /// Makes a new edge the ledger's own by signing it.
    fn sign(&mut self, frontier: Frontier, position: Option<Position>, last: Option<u64>) -> Result<(), LedgerError> {
        let checkpoint = Checkpoint {
            origin: self.options.origin.clone(),
            size: frontier.size(),
            root: frontier.root(),
        };
        let note = self.signer.sign(&checkpoint.to_string())?;
        if let Some(position) = position {
            let (size, subtrees) = frontier.parts();
            let subtrees = subtrees.iter().map(|hash| STANDARD.encode(hash)).collect();
            let hint = serde_json::to_vec(&Hint {
                size,
                subtrees,
                position,
            });
            let hint = hint.map_err(|error| LedgerError::note(error.to_string()))?;
            let path = self.folder.join(FRONTIER);
            fs::write(&path, hint).map_err(LedgerError::io(&path))?;
        }
        let (path, new) = (self.folder.join(CHECKPOINT), self.folder.join("checkpoint.new"));
        let mut file = File::create(&new).map_err(LedgerError::io(&new))?;
        file.write_all(note.as_bytes())
            .and_then(|()| file.sync_all())
            .map_err(LedgerError::io(&new))?;
        fs::rename(&new, &path).map_err(LedgerError::io(&path))?;
        sync_folder(&self.folder)?;
        (self.frontier, self.position, self.last, self.note) = (frontier, position, last, note);
        Ok(())
    }
}
