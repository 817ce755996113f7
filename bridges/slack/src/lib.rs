//! The bridge to Slack workspaces.
//!
//! An internal app that the partner's own administrator creates from a manifest we print (see [`factory`]) is in every
//! mirrored channel. It hears everything there, and speaks for people of other sides under their name and picture.
//!
//! | part | is | knows |
//! |---|---|---|
//! | [`convert`] | pure functions: markup, blocks, emoji, ids, splitting | nothing of sockets or the hub |
//! | [`client`] | the wire: Web API on `slack-morphism`'s requests, Socket Mode, signed HTTP events, files | nothing of mirrors |
//! | [`session`] | the hub's contract: intake, catch-up, deliveries, look-ups | everything above |
//! | [`config`] | the operator's section; its comments are the reference | |
//!
//! # What Slack offers, and what follows
//!
//! - Events come over sockets that we open (no inbound port) or as signed HTTP requests. They are acknowledged when the hub
//!   has them on stable storage. Nothing is kept for an app that is away: after every absence the history is read.
//! - A message carries a small piece of metadata in which the delivery's key travels: a delivery whose outcome is unknown is
//!   looked up by it, and one's own messages are recognised by it.
//! - Every method has a rate; calls are spaced ahead so that Slack never has to refuse one, each channel for itself.
//! - The app has one reaction per emoji and message, so reactions of many people are counted.
//!
//! # Extending
//!
//! - A kind of event: a row in `session::inbound`, which turns one event into what happened.
//! - A block or an inline of Block Kit: [`convert::rich`] reads it, [`convert::render`] writes it; the properties in
//!   `convert::tests` hold both to each other.
//! - A method of the Web API: a function in [`client::calls`], and its rate in [`client::pace`].
//! - An option: a field with a comment in [`config`], a rule in its `check`, a scope in the manifest if it needs one.

pub mod client;
pub mod config;
pub mod convert;
pub mod factory;
mod manifest;
pub mod session;
mod telemetry;

pub use factory::SlackFactory;
pub use session::SlackSession;
