//! Bringing an older store up to this version's schema.
//!
//! Each step changes what it must and the schema's number in one atomic batch, so that a step is done or not. To add one:
//! raise [`SCHEMA`], append a function to [`STEPS`], and add a test that makes a store of the schema before it.

use sled::{Batch, IVec};
use tracing::info;

use super::large::Get;
use super::layout::{self, Extent, garbled, table};
use super::{failure, layout::decode_number};
use crate::api::{Seq, StoreError};

/// The schema this version writes.
pub(crate) const SCHEMA: u32 = 2;

type Step = fn(&sled::Tree, &mut Batch) -> Result<(), StoreError>;

/// The step at index n leads from schema n + 1 to n + 2.
const STEPS: [Step; SCHEMA as usize - 1] = [journal_extents];

/// Runs the steps a store still needs; whether there were any.
pub(crate) fn run(tree: &sled::Tree) -> Result<bool, StoreError> {
    let found = tree
        .value(layout::SCHEMA)?
        .map(|bytes| decode_number(&bytes))
        .transpose()?
        .ok_or_else(garbled)?;
    let mut ran = false;
    for (from, step) in (1..).zip(STEPS) {
        if from < found {
            continue;
        }
        let mut batch = Batch::default();
        step(tree, &mut batch)?;
        batch.insert(layout::SCHEMA, layout::encode_number(from + 1));
        tree.apply_batch(batch).map_err(failure)?;
        info!(from, to = from + 1, "The store was migrated.");
        ran = true;
    }
    Ok(ran)
}

/// Schema 1 knew of each mirror only its last entry, as eight big-endian bytes, and never dropped any.
fn journal_extents(tree: &sled::Tree, batch: &mut Batch) -> Result<(), StoreError> {
    for entry in tree.scan_prefix([table::MIRROR]) {
        let (key, value) = entry.map_err(failure)?;
        let last = Seq(u64::from_be_bytes(value.as_ref().try_into().map_err(|_| garbled())?));
        batch.insert::<IVec, IVec>(
            key,
            Extent {
                last,
                ..Extent::default()
            }
            .encode(),
        );
    }
    Ok(())
}
