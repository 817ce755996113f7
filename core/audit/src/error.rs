//! What can go wrong, in the operator's words.

use std::io;
use std::path::Path;

/// Why the ledger could not do something.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LedgerError {
    /// Another process writes to it.
    #[error("the ledger at {0} is in use by another process; stop that one first")]
    Locked(String),
    /// What is on disk is not what was signed.
    #[error("the ledger at {path} is damaged ({detail}); nothing was changed; restore it from a backup")]
    Damaged {
        /// Where.
        path: String,
        /// What was seen.
        detail: String,
    },
    /// An entry came again under its number, and is not the one that is there.
    #[error("the ledger has another entry under number {0}; is this the ledger that belongs to the store?")]
    Conflict(u64),
    /// The numbers of entries do not rise.
    #[error("entry number {0} came after one with that number or a higher one")]
    Order(u64),
    /// An entry is larger than the bound.
    #[error("an entry of {0} bytes is larger than the ledger takes")]
    TooLarge(usize),
    /// An earlier write failed; what is on disk is not known until the ledger is opened again.
    #[error("an earlier write of the ledger failed; open it again")]
    Broken,
    /// A note, key or signature is not what it should be.
    #[error("{0}")]
    Note(String),
    /// The key was destroyed, or never was there.
    #[error("there is no key {0}; perhaps it was destroyed")]
    NoKey(String),
    /// The device or file system failed.
    #[error("{path}: {reason}")]
    Io {
        /// Where.
        path: String,
        /// What it said.
        reason: String,
    },
}

impl LedgerError {
    /// Says where an input or output error happened.
    pub(crate) fn io(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.display().to_string();
        move |error| Self::Io {
            path,
            reason: error.to_string(),
        }
    }

    pub(crate) fn damaged(path: &Path, detail: impl Into<String>) -> Self {
        Self::Damaged {
            path: path.display().to_string(),
            detail: detail.into(),
        }
    }

    pub(crate) fn note(reason: impl Into<String>) -> Self {
        Self::Note(reason.into())
    }
}
