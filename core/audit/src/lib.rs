//! The ledger: what was accepted, decided, delivered and changed, by whom, in a form that cannot be changed unnoticed.
//!
//! | module | holds |
//! |---|---|
//! | [`Entry`], [`Record`] | what is remembered of one step: no content, no names |
//! | [`Written`] | an entry as the bytes that are kept of it |
//! | [`KeyRing`] | keyed hashes of people and contents, by partner; destroying a key makes them mean nothing |
//! | [`Ledger`] | writing: append-only segments, each batch on the device and signed before it counts |
//! | [`Reader`], [`find`], [`export`] | reading: searching, exports with a signed manifest |
//! | [`verify`] | checking every byte, without the hub |
//! | [`merkle`] | the tree of RFC 6962 over the records, with proofs that one is in it and that one tree continues another |
//! | [`note`] | C2SP signed notes: checkpoints, witnesses' cosignatures, manifests |
//! | [`outbox`] | how an entry is written in the same commit as the step it records |
//! | [`siem`] | syslog, CEF and OCSF forms of records |
//! | [`Exporter`] | sends them to security monitoring as they come, losing none and holding up nobody |
//! | [`Witness`] | cosigns other hubs' checkpoints that continue what it saw before |
//!
//! # On disk
//!
//! ```text
//! 00000000000000000000.jsonl   records, one a line; the name is the number of the first
//! 00000000000000204811.jsonl   the next segment
//! checkpoint                   origin, size and root, signed
//! frontier                     a hint that spares reading everything at the start; may be deleted
//! unsigned-204900.tail         what a killed hub had written and not signed; its entries came again
//! ```
//!
//! Each line, without its line feed, is a leaf of the tree. So a changed, dropped, moved or added byte gives another root than
//! the one signed. Whoever holds the signing key and the disk can still write another history; a checkpoint kept elsewhere, or
//! cosigned by a partner's hub, shows that too: [`verify`] takes such checkpoints.
//!
//! # Example
//!
//! ```
//! use viaduct_audit::{Action, Entry, Ledger, Options, note::Signer, outbox::Numbered, verify};
//! use viaduct_model::{Entropy, Timestamp};
//! # #[derive(Debug)] struct Chance;
//! # impl Entropy for Chance { fn fill(&self, buffer: &mut [u8]) { buffer.fill(7) } }
//! # let folder = tempfile::tempdir().unwrap();
//! # let (folder, entropy) = (folder.path(), Chance);
//! let signer = Signer::generate("hub.example.org/ledger", &entropy)?;
//! let key = signer.verifier();
//! let mut ledger = Ledger::open(folder, signer, Options::new("hub.example.org/ledger"))?;
//! let entry = Entry::new(Timestamp(1), Action::Started);
//! assert_eq!(ledger.append(&[Numbered { number: 0, entry: entry.into() }])?, 1);
//! assert!(verify(folder, &key, &[])?.is_good());
//! # Ok::<(), viaduct_audit::LedgerError>(())
//! ```
//!
//! # Extending
//!
//! A new kind of step is a variant of [`Action`]; a new field of [`Entry`] must be optional, so that old records are read and
//! new ones hash as they are written. Never change how a field is written: the bytes are what was signed.

mod eml;
mod entry;
mod error;
mod export;
mod exporter;
mod keys;
mod ledger;
pub mod merkle;
mod metric;
pub mod note;
pub mod outbox;
mod reader;
mod segment;
pub mod siem;
#[cfg(test)]
mod testing;
mod text;
mod verify;
mod witness;
mod written;

pub use entry::{Action, ENTRY_BOUND, Entry, Record};
pub use error::LedgerError;
pub use export::{Format, Query, check_export, export, find};
pub use exporter::{Destination, Exporter, ExporterError, ExporterSettings, ExporterState, Form};
pub use keys::{KeyRing, Tag};
pub use ledger::{Ledger, Options};
pub use reader::Reader;
pub use verify::{Problem, Verified, verify};
pub use witness::{Witness, WitnessError, WitnessRequest};
pub use written::Written;

#[cfg(test)]
mod tests;
