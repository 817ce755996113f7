//! Stanzas as events and events as stanzas. Pure: no I/O, no clock, no memory.

mod fallbacks;
pub mod incoming;
pub mod mentions;
pub mod names;
pub mod outgoing;
pub mod pictures;
#[cfg(test)]
mod published;
mod shared_files;
pub mod styling;
pub mod words;
pub mod xhtml;
