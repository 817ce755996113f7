//! The homeserver side of the hub: an application service next to one Matrix homeserver.
//!
//! To the engine it is one more [`Session`](viaduct_bridge::Session), of the reserved network `matrix`, whose channels are
//! rooms. [`Homeserver`] also has what only a homeserver can: rooms made and labelled, ghosts, direct chats, notices.
//!
//! ```text
//!  homeserver ──PUT transaction──▶ listener ─▶ intake ─▶ convert::inbound ─▶ Inbox::push ─▶ (ticket) ─▶ 200
//!  homeserver ◀──PUT send/{key}─── client ◀── deliver ◀── convert::outbound ◀── Cleared<Outbound>
//!                                    ▲ ghosts · members · media · rooms · feedback
//! ```
//!
//! | module | does |
//! |---|---|
//! | `convert` | events ↔ the hub's vocabulary, rich text; pure |
//! | `listener`, `intake` | what the homeserver calls; nothing is acknowledged before it is on stable storage |
//! | `deliver`, `members`, `ghosts`, `media` | what is done in rooms on behalf of remote people |
//! | `speaker` | in whose name: a ghost's, the bot's, or that of somebody on the homeserver who said it elsewhere |
//! | `rooms`, `feedback` | what the bot does in its own name |
//! | `crypto` | end-to-bridge encryption: the bot's device, and what is encrypted and decrypted with it |
//! | `client` | requests, answers and their errors |
//! | [`registration`], `probe` | what the operator needs: the registration file, and [`doctor`] |
//!
//! What is sent has the delivery's key as transaction id, so that every attempt can be repeated: the homeserver takes it
//! once. What came in is known by its event id in the journal; remembered transaction ids only save work.
//!
//! # Extending
//!
//! A new event type from Matrix is a line in `convert::inbound`; a new kind of content to Matrix is an arm in `deliver`,
//! where the compiler asks for it. Room ids are opaque everywhere (from room version 12 they name no server).

mod client;
mod config;
mod convert;
mod crypto;
mod deliver;
mod error;
mod feedback;
#[cfg(feature = "fuzz")]
pub mod fuzz;
mod ghosts;
mod homeserver;
mod intake;
mod label;
mod listener;
mod media;
mod members;
mod metric;
mod names;
mod notebook;
mod observer;
mod people;
mod policy_rooms;
mod probe;
pub mod registration;
mod rooms;
mod speaker;
#[cfg(test)]
mod testing;

pub use config::{Encryption, HomeserverConfig, SpeakFor};
pub use error::HomeserverError;
pub use homeserver::{Homeserver, capabilities};
pub use label::LABEL;
pub use observer::Observer;
pub use probe::doctor;
pub use rooms::{BridgeInfo, RoomSpec};
