//! The wire: one component stream, with keep-alive, and requests with their answers.
//!
//! [`link::connect`] logs in and gives a [`link::Link`]; the link's task moves stanzas between the socket and two bounded
//! queues. [`wire::Wire`] is the handle that everything else sends through. Copies of what the hub is told anyway are dropped
//! while they are read, in `sift`.

mod bounded;
pub mod link;
mod sift;
pub mod wire;
