//! The wire: one component stream, with keep-alive, and requests with their answers.
//!
//! [`link::connect`] logs in and gives a [`link::Link`]; the link's task moves stanzas between the socket and two bounded
//! queues. [`wire::Wire`] is the handle that everything else sends through.

mod bounded;
pub mod link;
mod sift;
pub mod wire;
