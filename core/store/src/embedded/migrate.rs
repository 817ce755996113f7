//! Bringing an older store up to this version's schema.
//!
//! Each step changes what it must and the schema's number in one atomic batch, so that a step is done or not. To add one:
//! raise [`SCHEMA`], append a function to [`STEPS`], and add a test that makes a store of the schema before it.

use std::collections::BTreeMap;

use sled::IVec;
use tracing::info;
use viaduct_model::MessageId;

use super::large::{self, Get};
use super::layout::{self, Extent, Number, garbled, table};
use super::overlay::{Overlay, batch};
use super::recent::Recent;
use super::{failure, layout::decode_number};
use crate::api::{Seq, StoreError};

/// The schema this version writes.
pub(crate) const SCHEMA: u32 = 3;

type Step = fn(&sled::Tree, &mut Overlay<'_>) -> Result<(), StoreError>;

/// The step at index n leads from schema n + 1 to n + 2.
const STEPS: [Step; SCHEMA as usize - 1] = [journal_extents, copies_together];

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
        let recent = Recent::default();
        let mut overlay = Overlay::new(tree, &recent);
        step(tree, &mut overlay)?;
        overlay.put(IVec::from(layout::SCHEMA), layout::encode_number(from + 1));
        tree.apply_batch(batch(&overlay.into_writes())).map_err(failure)?;
        info!(from, to = from + 1, "The store was migrated.");
        ran = true;
    }
    Ok(ran)
}

/// Schema 1 knew of each mirror only its last entry, as eight big-endian bytes, and never dropped any.
fn journal_extents(tree: &sled::Tree, overlay: &mut Overlay<'_>) -> Result<(), StoreError> {
    for entry in tree.scan_prefix([table::MIRROR]) {
        let (key, value) = entry.map_err(failure)?;
        let last = Seq(u64::from_be_bytes(value.as_ref().try_into().map_err(|_| garbled())?));
        overlay.put(
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

/// Schema 2 kept the ids of an entry under a key of their own for each place.
fn copies_together(tree: &sled::Tree, overlay: &mut Overlay<'_>) -> Result<(), StoreError> {
    let mut entries: BTreeMap<Vec<u8>, Vec<(Number, MessageId)>> = BTreeMap::new();
    for found in tree.scan_prefix([table::COPIES]) {
        let (key, _) = found.map_err(failure)?;
        let (head, place) = key.split_last_chunk::<4>().ok_or_else(garbled)?;
        let value = large::get(tree, &key)?.ok_or_else(garbled)?;
        let copies = entries.entry(head.to_vec()).or_default();
        let mut rest = value.as_slice();
        while !rest.is_empty() {
            let (id, after) = layout::decode_id(rest)?;
            copies.push((Number::from_be_bytes(*place), id));
            rest = after;
        }
        large::remove(overlay, key)?;
    }
    for (key, copies) in entries {
        large::put_new(overlay, IVec::from(key), &layout::encode_copies(&copies))?;
    }
    Ok(())
}
