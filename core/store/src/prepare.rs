//! Turns a [`Batch`] into what is written, on the caller's thread: sizes are checked and events serialised before anything
//! is queued, so that the one writer has little to do and nothing to refuse.

use serde::{Deserialize, Serialize};
use viaduct_model::{Cursor, MessageId, MirrorName, Place, Timestamp};

use crate::api::{Batch, Copied, DeliveryState, Lane, Op, Portal, Seq, Series, StoreError};

/// The largest value the store takes, in bytes: an event or portal as JSON, a session's value, a cursor, the ids of one
/// event at one place together.
pub const VALUE_BOUND: usize = 1024 * 1024;
/// The largest key of a session's own memory, in bytes.
pub const KEY_BOUND: usize = 4096;
/// The largest owner's name, in bytes.
pub const OWNER_BOUND: usize = 256;
/// The largest batch, in bytes of its values and keys.
pub const BATCH_BOUND: usize = 8 * 1024 * 1024;

/// What every change costs at least, for the bounds that are counted in bytes.
const OVERHEAD: usize = 64;

/// A delivery record as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Record {
    pub(crate) state: DeliveryState,
    pub(crate) reason: String,
    pub(crate) at: Timestamp,
}

/// An [`Op`] with its values serialised.
#[derive(Debug)]
pub(crate) enum Change {
    Accept {
        mirror: MirrorName,
        place: Place,
        id: MessageId,
        cursor: Option<Cursor>,
        event: Vec<u8>,
    },
    Begin {
        lane: Lane,
        through: Seq,
    },
    Settle {
        lane: Lane,
        seq: Seq,
        copied: Option<Copied>,
        record: Option<Vec<u8>>,
    },
    Forget {
        lane: Lane,
        seq: Seq,
    },
    Open {
        lane: Lane,
    },
    Close {
        lane: Lane,
    },
    Cursor {
        place: Place,
        cursor: Cursor,
    },
    PutPortal {
        place: Place,
        portal: Vec<u8>,
    },
    RemovePortal {
        place: Place,
    },
    State {
        owner: String,
        key: String,
        value: Option<Vec<u8>>,
    },
    Trim {
        mirror: MirrorName,
        through: Seq,
    },
    Erase {
        mirror: MirrorName,
        seqs: Vec<Seq>,
    },
}

/// A batch ready to be written.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub(crate) changes: Vec<Change>,
    /// What it weighs, in bytes, at most [`BATCH_BOUND`].
    pub(crate) weight: usize,
    pub(crate) series: Option<Series>,
}

/// Checks and serialises a batch.
///
/// # Errors
///
/// [`StoreError::TooLarge`] names the size that is over its bound.
pub(crate) fn prepare(batch: Batch) -> Result<Prepared, StoreError> {
    let mut weight = 0_usize;
    let mut changes = Vec::with_capacity(batch.ops.len());
    for op in batch.ops {
        let change = change(op)?;
        weight = weight.saturating_add(OVERHEAD).saturating_add(size(&change));
        if weight > BATCH_BOUND {
            return Err(StoreError::TooLarge(weight));
        }
        changes.push(change);
    }
    Ok(Prepared {
        changes,
        weight,
        series: batch.series,
    })
}

/// What changes weigh together, in bytes, or a little more: a batch may have [`BATCH_BOUND`]. For who joins several to one batch
/// and must not make it too large.
pub fn weigh(ops: &[Op]) -> usize {
    ops.iter().map(|op| OVERHEAD.saturating_add(weight(op))).sum()
}

fn weight(op: &Op) -> usize {
    // What control characters become in JSON.
    const ESCAPED: usize = 6;
    match op {
        Op::Accept { event, .. } => json_length(&**event) + event.cursor.as_ref().map_or(0, String::len),
        Op::Settle { copied, record, .. } => {
            let record = record
                .as_ref()
                .map_or(0, |(_, reason, _)| 2 * OVERHEAD + ESCAPED * reason.len());
            copied.as_ref().map_or(0, ids) + record
        }
        Op::Cursor { cursor, .. } => cursor.len(),
        Op::PutPortal(portal) => json_length(portal),
        Op::Erase { seqs, .. } => seqs.len().saturating_mul(OVERHEAD),
        Op::State { owner, key, value } => owner.len() + key.len() + value.as_ref().map_or(0, Vec::len),
        Op::Begin { .. }
        | Op::Forget { .. }
        | Op::Open { .. }
        | Op::Close { .. }
        | Op::RemovePortal(_)
        | Op::Trim { .. } => 0,
    }
}

fn change(op: Op) -> Result<Change, StoreError> {
    Ok(match op {
        Op::Accept { mirror, event } => {
            let value = json(&*event)?;
            if let Some(cursor) = &event.cursor {
                value_bound(cursor.len())?;
            }
            Change::Accept {
                mirror,
                place: event.place.clone(),
                id: event.id.clone(),
                cursor: event.cursor.clone(),
                event: value,
            }
        }
        Op::Begin { lane, through } => Change::Begin { lane, through },
        Op::Settle {
            lane,
            seq,
            copied,
            record,
        } => {
            let record = record
                .map(|(state, reason, at)| json(&Record { state, reason, at }))
                .transpose()?;
            Change::Settle {
                lane,
                seq,
                copied,
                record,
            }
        }
        Op::Forget { lane, seq } => Change::Forget { lane, seq },
        Op::Open { lane } => Change::Open { lane },
        Op::Close { lane } => Change::Close { lane },
        Op::Cursor { place, cursor } => {
            value_bound(cursor.len())?;
            Change::Cursor { place, cursor }
        }
        Op::PutPortal(portal) => Change::PutPortal {
            portal: json::<Portal>(&portal)?,
            place: portal.place,
        },
        Op::RemovePortal(place) => Change::RemovePortal { place },
        Op::State { owner, key, value } => {
            for (name, bound) in [(&owner, OWNER_BOUND), (&key, KEY_BOUND)] {
                if name.len() > bound {
                    return Err(StoreError::TooLarge(name.len()));
                }
            }
            value_bound(value.as_ref().map_or(0, Vec::len))?;
            Change::State { owner, key, value }
        }
        Op::Trim { mirror, through } => Change::Trim { mirror, through },
        Op::Erase { mirror, seqs } => Change::Erase { mirror, seqs },
    })
}

fn size(change: &Change) -> usize {
    match change {
        Change::Accept { event, cursor, .. } => event.len() + cursor.as_ref().map_or(0, String::len),
        Change::Settle { copied, record, .. } => copied.as_ref().map_or(0, ids) + record.as_ref().map_or(0, Vec::len),
        Change::Cursor { cursor, .. } => cursor.len(),
        Change::PutPortal { portal, .. } => portal.len(),
        Change::Erase { seqs, .. } => seqs.len().saturating_mul(OVERHEAD),
        Change::State { owner, key, value } => owner.len() + key.len() + value.as_ref().map_or(0, Vec::len),
        Change::Begin { .. }
        | Change::Forget { .. }
        | Change::Open { .. }
        | Change::Close { .. }
        | Change::RemovePortal { .. }
        | Change::Trim { .. } => 0,
    }
}

fn ids(copied: &Copied) -> usize {
    let at_destination = copied.ids.iter().map(|id| OVERHEAD + 2 * id.as_str().len());
    copied.id.as_str().len() + at_destination.sum::<usize>()
}

/// How long a value is as JSON, without writing it; what cannot be written has no length.
fn json_length(value: &impl Serialize) -> usize {
    let mut length = Length(0);
    serde_json::to_writer(&mut length, value).map_or(0, |()| length.0)
}

/// Counts what is written into it.
struct Length(usize);

impl std::io::Write for Length {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0 = self.0.saturating_add(bytes.len());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn json<T: Serialize>(value: &T) -> Result<Vec<u8>, StoreError> {
    let bytes =
        serde_json::to_vec(value).map_err(|error| StoreError::Io(format!("a value cannot be written: {error}")))?;
    value_bound(bytes.len())?;
    Ok(bytes)
}

/// Refuses a value of more than [`VALUE_BOUND`] bytes.
pub(crate) fn value_bound(length: usize) -> Result<(), StoreError> {
    if length > VALUE_BOUND {
        Err(StoreError::TooLarge(length))
    } else {
        Ok(())
    }
}
