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
//! - Nothing says that an activity was lost. So Graph is asked, within a part of the published rate, whether something came
//!   before a message (`session::order`); and each mirrored channel is swept at intervals and after every absence: what
//!   Graph shows as changed since is told, and what was told already is recognised (`session::channels`).
//! - Graph notifies of what the bot is not told, such as reactions of people to each other, sealed for a certificate that
//!   lives as long as a run (`session::notices`).
//! - Nothing can be attached to a message by which it is found again. A delivery whose outcome is unknown is looked up among
//!   the speaker's recent messages by its wording and time (`session::lookup`).
//! - A bot cannot speak as somebody else: the author's name stands in front of the text, or on a card with their picture.
//!   Who lets the app act in their name speaks as themselves in channels (`session::logins`), and what they do in Teams is
//!   theirs on Matrix; what comes back of it is recognised (`session::echo`). Where they may not, or no longer let us, the bot
//!   speaks for them.
//! - The bot has one conversation with each person. In it people of both sides talk in private (`session::direct`); an
//!   answer goes to whom it quotes, and to nobody where that is not clear.
//! - Deliveries keep within the published rates per conversation and tenant (`client::pace`).
//!
//! # A person's own login
//!
//! `people` in the section holds a refresh token for each Matrix person who wants it. It comes of the usual consent: the
//! Entra app gets the delegated permissions that `permissions` lists and a redirect address; the person opens the login's
//! `authorize` page for this app with these scopes and `offline_access`, and the code that they get is exchanged for tokens
//! once. From then on the bridge exchanges them by itself, and keeps the newest sealed with the configured one
//! (`client::person`). It says in `doctor` and in a metric when a login was lost.
//!
//! # Extending
//!
//! - A kind of activity: a row in `session::inbound`.
//! - An element of HTML: `convert::html` reads it, `convert::render` writes it; the properties hold both to each other.
//! - A call: a function in `client::connector` or `client::graph`.
//! - A call in a person's name: a function in `client::speak`, a scope in `client::person`.
//! - An option: a field with a comment in [`config`], a rule in its `check`, a consent in `app` if it needs one.

mod app;
mod client;
pub mod config;
mod convert;
pub mod factory;
mod session;
mod telemetry;

pub use factory::TeamsFactory;
