//! XMPP networks: rooms (XEP-0045) and direct chats, as a component (XEP-0114) of a server the operator runs.
//!
//! | part | holds |
//! |---|---|
//! | [`config`] | the configuration section; its doc comments are the reference |
//! | [`xep`] | payloads that the parser library lacks, one module each, named after its XEP |
//! | [`convert`] | stanzas ↔ events; pure |
//! | [`client`] | the wire: component stream, keep-alive, requests and their answers |
//! | [`session`] | the bridge contract: rooms, puppets, delivery, catch-up |

mod capabilities;
pub mod client;
pub mod config;
pub mod convert;
mod factory;
mod files;
mod session;
mod telemetry;
pub mod xep;

pub use factory::XmppFactory;
pub use session::{Xmpp, XmppSession};
