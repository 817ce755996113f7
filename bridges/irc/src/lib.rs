//! The bridge to IRC networks.
//!
//! One connection, the *reader*, is in every mirrored channel and sees what happens there. Each person of another side who
//! speaks gets a connection of their own, a *puppet*, up to a configured number; beyond it the reader says `<name> text`
//! for them.
//!
//! | part | is | knows |
//! |---|---|---|
//! | [`convert`] | pure functions: formatting, nicks, modes, splitting | nothing of sockets or the hub |
//! | [`client`] | one connection: login, pacing, confirmation | nothing of channels or the hub |
//! | [`session`] | the hub's contract: reader, puppets, events, deliveries | everything above |
//! | [`config`] | the operator's section; its comments are the reference | |
//!
//! # What counts as delivered
//!
//! A line is delivered when the server has echoed or acknowledged it (`echo-message`, `labeled-response`), or, without
//! those, when the reader sees a puppet's line in the channel, or when the server has answered a PING that was sent behind
//! the line: servers handle a connection's lines in order and refusals come before that answer. A connection that ends between writing and answer leaves the outcome unknown, for IRC
//! cannot be asked; see [`client::confirm`].
//!
//! # Extending
//!
//! - A capability of `IRCv3`: add its name to the lists in [`client::register`], and handle its lines in `session::incoming`.
//! - A formatting code: [`convert::mirc`], both `runs` and `transition`; the round-trip property there tests it.
//! - An option: a field with a comment in [`config`], a rule in its `check`.

pub mod client;
pub mod config;
pub mod convert;
mod ident;
mod metrics;
pub mod session;

pub use session::IrcSession;
pub use session::factory::IrcFactory;
