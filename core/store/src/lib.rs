//! The hub's durable memory: journal, deliveries, message map, cursors, portals, session state.
//!
//! Everything is written through one door: [`Store::submit`] takes a [`Batch`] of typed [`Op`]s that become durable
//! together or not at all, and returns a [`Commit`] that resolves once they are on the device. Batches become durable in the
//! order in which they were submitted. Reading is by typed methods of the same trait and sees every batch whose `submit`
//! order is before a resolved commit.
//!
//! | table | key → value |
//! |---|---|
//! | journal | (mirror, seq) → the event as accepted |
//! | map | (place, message id) → (mirror, seq); every copy of a message, and its source, leads to the one journal entry |
//! | copies | (mirror, seq) → where it came from and arrived, with the ids it has there |
//! | lane | (mirror, destination) → how far it is settled, and how far sending was begun |
//! | delivery | (mirror, destination, seq) → why an event did not simply arrive: held, refused, failed, unknown |
//! | cursor | place → resume position |
//! | portal | place → the Matrix room that stands for it |
//! | state | (owner, key) → a session's own memory; the Matrix side keeps its ghosts here |
//!
//! A delivery that simply arrived costs no record of its own: it is below its lane's settled mark and has its copies.

//! Two stores implement the trait: [`SledStore`], the embedded default, and [`MemoryStore`] for tests.
//!
//! # Bounds
//!
//! A value may have [`VALUE_BOUND`] bytes, a batch [`BATCH_BOUND`], a session's key [`KEY_BOUND`]; what is larger is
//! refused with [`StoreError::TooLarge`] before it is queued.
//!
//! # Extending
//!
//! A new kind of change is a variant of [`Op`]; the compiler then asks for its serialised form (`prepare`), for what it does
//! to sled's tables (`embedded/apply`) and for the same in memory. A new table is a constant and a key function in
//! `embedded/layout`. A changed value needs a step in `embedded/migrate`. A new backend implements [`Store`] and runs the
//! tests of `suite` (feature `suite`), which are written against the trait alone.

mod api;
mod embedded;
mod memory;
mod prepare;
#[cfg(any(test, feature = "suite"))]
pub mod suite;
pub mod telemetry;

pub use embedded::{SledStore, StoreOptions};
pub use memory::MemoryStore;
pub use prepare::{BATCH_BOUND, KEY_BOUND, OWNER_BOUND, VALUE_BOUND, weigh};

pub use api::{
    Accepted, Applied, Batch, Commit, Copied, Delivery, DeliveryFilter, DeliveryState, Lane, LaneMark, Located, Op,
    Portal, Seq, Series, Store, StoreError,
};
