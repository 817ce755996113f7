//! The embedded store: sled behind one writer.
//!
//! | module | holds |
//! |---|---|
//! | `layout` | keys and small values in sled's one tree |
//! | `large` | values of any size, cut into parts that stay in sled's log |
//! | `names` | mirrors, places and owners as numbers |
//! | `overlay`, `recent`, `apply` | what a group of batches does, before it is written |
//! | `writer` | the one writer: group commit, sweeping, recovery from a full disk |
//! | `home`, `marker` | the folder: lock, schema, judging it before sled touches it, leaving it in order |
//! | `migrate` | older schemas |
//!
//! A commit is `apply_batch`, sled's `flush`, and then `fdatasync` of sled's data file: `flush` alone hands the data to the
//! operating system without waiting for the device, and a power cut then takes acknowledged batches with it.

mod apply;
mod home;
mod large;
mod layout;
mod marker;
mod migrate;
mod names;
mod overlay;
mod recent;
mod store;
#[cfg(test)]
mod tests;
mod writer;

use std::io;
use std::ops::Deref;
use std::sync::{PoisonError, RwLock, RwLockReadGuard};

use crate::api::StoreError;
pub use store::{SledStore, StoreOptions};
pub(crate) use store::{list_limit, sort_deliveries};

/// What readers and the writer share.
#[derive(Debug)]
struct Shared {
    slot: RwLock<Slot>,
    names: names::Names,
}

/// The tree, or why there is none.
#[derive(Debug)]
enum Slot {
    Open(sled::Db),
    /// A write failed and sled could not be opened again yet.
    Failed(StoreError),
    Closed,
}

/// The tree for as long as it is looked at; it is not replaced meanwhile.
struct Opened<'a> {
    /// Goes before the guard, so that whoever replaces the tree finds nobody holding it.
    tree: sled::Tree,
    _guard: RwLockReadGuard<'a, Slot>,
}

impl Deref for Opened<'_> {
    type Target = sled::Tree;

    fn deref(&self) -> &sled::Tree {
        &self.tree
    }
}

impl Shared {
    fn db(&self) -> Result<Opened<'_>, StoreError> {
        let guard = self.slot.read().unwrap_or_else(PoisonError::into_inner);
        let tree = match &*guard {
            Slot::Open(db) => sled::Tree::clone(db),
            Slot::Failed(error) => return Err(error.clone()),
            Slot::Closed => return Err(StoreError::Closed),
        };
        Ok(Opened { tree, _guard: guard })
    }
}

// Taken by value so that it can be handed to `map_err` as it is.
#[allow(clippy::needless_pass_by_value)]
fn io_failure(error: io::Error) -> StoreError {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => StoreError::Full,
        _ => StoreError::Io(error.to_string()),
    }
}

fn failure(error: sled::Error) -> StoreError {
    match error {
        sled::Error::Io(error) => io_failure(error),
        other => StoreError::Io(other.to_string()),
    }
}
