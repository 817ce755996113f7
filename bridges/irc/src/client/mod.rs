//! The wire: one connection, from the socket to messages and back.
//!
//! | module | does |
//! |---|---|
//! | [`line`] | one line to an [`irc_proto::Message`] and back |
//! | [`codec`] | bytes to lines, with a bound, in any encoding |
//! | [`dial`] | TCP and TLS |
//! | [`register`] | the conversation until the server says welcome: capabilities, login, nick |
//! | [`isupport`] | what the server announces about itself |
//! | [`pacing`] | how fast lines may be sent |
//! | [`confirm`] | which sent lines the server has accepted or refused |
//! | [`connection`] | the task that runs all of it, and the handle to it |
//! | `reading`, `writing` | its two halves |

pub mod codec;
pub mod confirm;
pub mod connection;
pub mod dial;
pub mod isupport;
pub mod line;
pub mod pacing;
mod reading;
pub mod register;
mod writing;

pub use confirm::Confirmation;
pub use connection::{ConnectError, Connection, Settings, Unheard, talk_of_others};
