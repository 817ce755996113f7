//! Checking a whole ledger, without the hub.

use std::fmt;
use std::path::Path;

use crate::LedgerError;
use crate::entry::Record;
use crate::merkle::{Frontier, Hash, leaf};
use crate::note::{Checkpoint, Verifier};
use crate::segment::{self, Lines};

/// How many problems are listed at most; one suffices to distrust a ledger.
const PROBLEM_BOUND: usize = 20;

/// Something that is not as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Problem {
    /// The checkpoint is missing, or was not signed by the ledger's key.
    Checkpoint(String),
    /// A segment does not start where the one before it ends.
    Segment(u64),
    /// The record that should have this number is not readable, or has another number.
    Record(u64),
    /// There are fewer records than were signed.
    Missing {
        /// Records that were signed.
        signed: u64,
        /// Records found.
        found: u64,
    },
    /// There are lines that nobody signed: put there by others, or left over when the hub was killed; opening the ledger
    /// moves them aside.
    Unsigned(u64),
    /// The records have another root than the one signed: at least one of them was changed.
    Root {
        /// For this many records.
        size: u64,
    },
    /// A checkpoint that was kept elsewhere is not one of this ledger.
    Elsewhere(String),
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Checkpoint(reason) => write!(f, "the checkpoint cannot be trusted: {reason}"),
            Self::Segment(first) => write!(
                f,
                "the segment that starts with entry {first} does not follow the one before"
            ),
            Self::Record(seq) => write!(f, "entry {seq} is damaged or not in its place"),
            Self::Missing { signed, found } => write!(f, "{signed} entries were signed and {found} are there"),
            Self::Unsigned(count) => write!(f, "{count} lines at the end were never signed"),
            Self::Root { size } => write!(f, "among the first {size} entries something is not as it was signed"),
            Self::Elsewhere(reason) => write!(f, "a checkpoint kept elsewhere does not fit this ledger: {reason}"),
        }
    }
}

/// What a check of a whole ledger found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Verified {
    /// How many records there are, good or bad.
    pub records: u64,
    /// What was signed, if the checkpoint can be trusted.
    pub checkpoint: Option<Checkpoint>,
    /// What is wrong; empty if all is well.
    pub problems: Vec<Problem>,
}

impl Verified {
    /// Whether nothing is wrong.
    pub fn is_good(&self) -> bool {
        self.problems.is_empty()
    }

    fn problem(&mut self, problem: Problem) {
        if self.problems.len() < PROBLEM_BOUND {
            self.problems.push(problem);
        }
    }
}

/// Checks every byte of the ledger in a folder against its signed checkpoint, and against checkpoints of earlier times that
/// were kept elsewhere. Only the latter can show that a ledger was put back to an earlier state as a whole.
///
/// # Errors
///
/// Only if files cannot be read; everything else is a [`Problem`].
pub fn verify(folder: &Path, verifier: &Verifier, elsewhere: &[String]) -> Result<Verified, LedgerError> {
    let mut result = Verified::default();
    let note = segment::checkpoint_note(folder).map_err(|error| error.to_string());
    let checkpoint = note.and_then(|note| trusted(&note, verifier));
    let checkpoint = match checkpoint {
        Ok(checkpoint) => checkpoint,
        Err(reason) => {
            result.problem(Problem::Checkpoint(reason));
            return Ok(result);
        }
    };
    let mut wanted = vec![(checkpoint.size, checkpoint.root)];
    for note in elsewhere {
        match trusted(note, verifier) {
            Ok(earlier) if earlier.origin == checkpoint.origin && earlier.size <= checkpoint.size => {
                wanted.push((earlier.size, earlier.root));
            }
            Ok(other) => {
                let reason = format!("it is of {:?} with {} entries", other.origin, other.size);
                result.problem(Problem::Elsewhere(reason));
            }
            Err(reason) => result.problem(Problem::Elsewhere(reason)),
        }
    }
    walk(folder, checkpoint.size, &wanted, &mut result)?;
    result.checkpoint = Some(checkpoint);
    Ok(result)
}

/// A checkpoint that is signed, and written in no other way than the ledger writes it.
fn trusted(note: &str, verifier: &Verifier) -> Result<Checkpoint, String> {
    verifier
        .open(note)
        .and_then(Checkpoint::parse)
        .map_err(|error| error.to_string())
}

fn walk(folder: &Path, signed: u64, wanted: &[(u64, Hash)], result: &mut Verified) -> Result<(), LedgerError> {
    let mut frontier = Frontier::default();
    let mut unsigned = 0;
    let mut lines = Lines::new(folder, segment::list(folder)?);
    compare(&frontier, wanted, result);
    while let Some(line) = lines.next()? {
        let seq = frontier.size();
        if seq == signed {
            unsigned += 1;
            continue;
        }
        if line.first && line.segment != seq {
            result.problem(Problem::Segment(line.segment));
        }
        if !line.whole || Record::parse(&line.bytes).is_none_or(|record| record.seq != seq) {
            result.problem(Problem::Record(seq));
        }
        frontier.push(leaf(&line.bytes));
        compare(&frontier, wanted, result);
    }
    result.records = frontier.size();
    if frontier.size() < signed {
        result.problem(Problem::Missing {
            signed,
            found: frontier.size(),
        });
    }
    if unsigned > 0 {
        result.problem(Problem::Unsigned(unsigned));
    }
    Ok(())
}

fn compare(frontier: &Frontier, wanted: &[(u64, Hash)], result: &mut Verified) {
    for (size, root) in wanted {
        if *size == frontier.size() && *root != frontier.root() {
            result.problem(Problem::Root { size: *size });
        }
    }
}
