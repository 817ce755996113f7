//! A disk whose power can be cut.
//!
//! [`Mounted`] is a FUSE file system that keeps two versions of everything in memory: what programs see, and what is on the
//! device. A write changes the first; `fsync` and `fdatasync` of a file carry its bytes over to the second, `fsync` of a
//! folder its names. [`Mounted::cut`] is the power cut: every call fails from then on, and what is left is what was synced
//! — with [`Cut::Scatter`] also a random part of the pages that were not, as a real disk may have written them on its own.
//!
//! This is stricter than killing a process, which leaves the operating system's cache as it was: a store that never waits
//! for the device passes the one and loses everything in the other. `tests/cuts.rs` does it to viaduct's store.
//!
//! The disk itself ([`Disk`]) knows nothing of FUSE and can be tested alone; `mount` translates.

mod disk;
mod mount;

pub use disk::{Cut, Disk, DiskError};
pub use mount::Mounted;
