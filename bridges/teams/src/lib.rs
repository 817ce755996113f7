//! The bridge to Microsoft Teams tenants.
//!
//! One Entra app and Azure bot per partner tenant, installed in each mirrored team by the partner's own administrator from a
//! package we write (see [`factory`]). The bot hears every message by resource-specific consent and speaks for people of
//! other sides under a prefix with their name; Graph gives what the bot does not get: history, names, files, reactions.
//!
//! | part | is | knows |
//! |---|---|---|
//! | `convert` | pure functions: HTML, the XML that bots may send, cards, emoji, ids, splitting | nothing of sockets or the hub |
//! | `client` | the wire: tokens in and out, the shared listener, connector, Graph, pacing, files | nothing of mirrors |
//! | `session` | the hub's contract: intake, catch-up and sweep, deliveries, look-ups | everything above |
//! | [`config`] | the operator's section; its comments are the reference | |
//!
//! # What Teams offers, and what follows
//!
//! - Microsoft posts activities to an address of ours. Each carries a token that is checked completely (`client::token`), and
//!   is answered when the hub has it on stable storage. Several networks share one listening address; the token's audience
//!   says which is meant.
//! - Nothing says that an activity was lost. So each mirrored channel is swept at intervals and after every absence: what
//!   Graph shows as changed since is told, and what was told already is recognised (`session::channels`).
//! - Graph notifies of what the bot is not told, such as reactions of people to each other, sealed for a certificate that
//!   lives as long as a run (`session::notices`).
//! - Nothing can be attached to a message by which it is found again. A delivery whose outcome is unknown is looked up among
//!   the bot's recent messages by its wording and time (`session::lookup`).
//! - A bot cannot speak as somebody else: the author's name stands in front of the text. Deliveries keep within the published
//!   rates per conversation and tenant (`client::pace`).
//!
//! # Extending
//!
//! - A kind of activity: a row in `session::inbound`.
//! - An element of HTML: `convert::html` reads it, `convert::render` writes it; the properties hold both to each other.
//! - A call: a function in `client::connector` or `client::graph`.
//! - An option: a field with a comment in [`config`], a rule in its `check`, a consent in `app` if it needs one.

mod app;
mod client;
pub mod config;
mod convert;
pub mod factory;
mod session;
mod telemetry;

pub use factory::TeamsFactory;
