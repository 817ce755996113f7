//! How far a receiver has the ledger for certain, in a small file that is replaced as a whole.

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::LedgerError;
use crate::keys::sync_folder;

/// The file.
#[derive(Debug, Clone)]
pub(super) struct PositionFile {
    path: PathBuf,
    folder: PathBuf,
}

#[derive(Serialize, Deserialize)]
struct Position {
    /// The number of the next entry to send.
    next: u64,
}

impl PositionFile {
    pub(super) fn new(folder: &Path, name: &str) -> Self {
        Self {
            path: folder.join(format!("{name}.position")),
            folder: folder.to_owned(),
        }
    }

    /// The number of the next entry to send; 0 if nothing was ever sent.
    pub(super) fn read(&self) -> Result<u64, LedgerError> {
        match fs::read(&self.path) {
            Ok(bytes) => {
                let position: Result<Position, _> = serde_json::from_slice(&bytes);
                // To begin anew would send everything again; who wants that removes the file.
                let damaged =
                    |_| LedgerError::damaged(&self.path, "it is no position; remove it to send everything again");
                position.map(|position| position.next).map_err(damaged)
            }
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(0),
            Err(error) => Err(LedgerError::io(&self.path)(error)),
        }
    }

    /// Remembers a position; durable when it returns.
    pub(super) fn write(&self, next: u64) -> Result<(), LedgerError> {
        fs::create_dir_all(&self.folder).map_err(LedgerError::io(&self.folder))?;
        let new = self.path.with_extension("new");
        let bytes = serde_json::to_vec(&Position { next }).map_err(|error| LedgerError::note(error.to_string()))?;
        let mut file = File::create(&new).map_err(LedgerError::io(&new))?;
        file.write_all(&bytes)
            .and_then(|()| file.sync_all())
            .map_err(LedgerError::io(&new))?;
        fs::rename(&new, &self.path).map_err(LedgerError::io(&self.path))?;
        sync_folder(&self.folder)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_survives() {
        let folder = tempfile::tempdir().unwrap();
        let file = PositionFile::new(folder.path(), "siem");
        assert_eq!(file.read(), Ok(0));
        file.write(17).unwrap();
        assert_eq!(PositionFile::new(folder.path(), "siem").read(), Ok(17));
        fs::write(folder.path().join("siem.position"), "{").unwrap();
        assert!(file.read().is_err());
    }
}
