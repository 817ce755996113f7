//! The network `echo`: one person, "Echo", who answers every message with the same text. It needs no server and no account,
//! so it is the first thing to try, and the example to read before writing a bridge.
//!
//! | part | here | in a real bridge |
//! |---|---|---|
//! | [`answer`](mod@answer) | what Echo says to an event: a pure function | `convert`: rich text and ids, pure |
//! | – | there is no wire | `client`: connection, pacing, reconnecting |
//! | [`session`] | [`Factory`](viaduct_bridge::Factory) and [`Session`](viaduct_bridge::Session) | the same |
//!
//! Whatever Echo answers is named after what it answers, so nothing has to be remembered: the same delivery twice gives the
//! same answer twice, which the hub takes once. An edit finds the answer to the original by its name.

pub mod answer;
pub mod session;

pub use session::{EchoFactory, Section};
