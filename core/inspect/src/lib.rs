//! Looks into files for the filter: what they are, what is in them and can be read there, whether they are infected, what
//! pictures say beside what they show.
//!
//! A filter decides by what it is told. This crate fetches a file once, keeps it on the disk without a name, looks into it
//! within bounds, and tells the filter what it saw ([`viaduct_compliance::Evidence`]). What is delivered afterwards are exactly
//! the bytes that were looked into, and not what their source would give a second time.
//!
//! # For whoever delivers
//!
//! ```text
//! plan ─▶ Inspector::examine(source, &mut outbound) ─▶ evidence ─▶ Context{evidence, …} ─▶ decide_all ─▶ Cleared<Outbound>
//!              │ exchanges the files' references                                                            │
//!              ▼                                                                                            ▼
//!         files on the disk ◀──────────────── Inspector::open(source, reference) ◀──────── the side that sends them
//! ```
//!
//! ```
//! # use viaduct_bridge::{Media, MediaError, MediaSource};
//! # use viaduct_compliance::{Context, Decision, Filter, decide_all};
//! # use viaduct_inspect::{Inspector, Later};
//! # use viaduct_model::{MediaRef, Outbound};
//! # async fn deliver(inspector: Inspector, source: &dyn MediaSource, filters: &[Filter], mut outbound: Outbound) -> Result<Decision, Later> {
//! let looks = inspector.scans() || filters.iter().any(Filter::looks_at_files);
//! let evidence = if looks { inspector.examine(source, &mut outbound).await? } else { Vec::new() };
//! let context = Context { evidence: &evidence, ..Context::default() };
//! # let decision =
//! decide_all(filters, &context, outbound)
//! # ;
//! # Ok(decision)
//! # }
//! // The hub's own source of files, given to all sides:
//! # async fn open(inspector: Inspector, networks: &dyn MediaSource, media: &MediaRef) -> Result<Media, MediaError> {
//! match inspector.open(networks, media).await {
//!     Some(opened) => opened,
//!     None => networks.open(media).await,
//! }
//! # }
//! ```
//!
//! `source` is what opens a file at the network it is on. [`Inspector::examine`] answers [`Later`] for what passes (try the
//! delivery again); everything else is evidence, if need be that nothing is known, and the filter decides. References that it
//! made stay good for links that are opened days later: the file is fetched again and given only if it is still the same.
//!
//! # Not knowing
//!
//! What a bound cuts short is not known, nor is what is packed in ways that nothing here unpacks (RAR, LZ4, `PPMd`, Zstandard within
//! ZIP and others); and not knowing never opens anything: a rule about it counts as matching. A scanner that cannot be asked, or
//! that cannot read a file, makes the filter hold, whatever the rules say; what it finds infected is refused.
//!
//! | module | reason |
//! |---|---|
//! | `settings` | the section `files` of the configuration |
//! | `inspector` | from a file somewhere to evidence and bytes; what is kept for a while |
//! | `pin` | references that lead to the bytes that were looked into |
//! | `spool` | files on the disk, bounded and without names |
//! | `report` | what the bytes of a file say |
//! | `remembered` | reports by what a file holds, for a while |
//! | `archive` | ZIP, 7z, tar, gzip, bzip2, XZ and Zstandard, however nested, within bounds |
//! | `text` | what can be read: plain text, HTML, XML and the documents that are such inside, PDF |
//! | `picture` | JPEG, PNG, WebP, GIF, HEIC and AVIF without metadata |
//! | `scanner` | the malware scanner: a daemon of `clamd` |
//!
//! # Extending
//!
//! Another sort of archive is a variant of `archive::Shape` and a function that gives its members to `Walk::member`; another
//! format of pictures a file in `picture`; another finding a field of [`viaduct_compliance::Evidence`] that is filled in
//! `report`, and a condition in [`viaduct_compliance::AttachmentCondition`].

mod archive;
#[cfg(feature = "fuzz")]
pub mod fuzz;
mod inspector;
mod metric;
mod picture;
mod pin;
mod remembered;
mod report;
mod scanner;
mod settings;
mod spool;
mod text;

pub use inspector::{Declared, InspectError, Inspected, Inspector, Later};
pub use settings::{Archives, Files, Scanner};
pub use text::read_text;
