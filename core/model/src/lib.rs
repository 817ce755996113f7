//! The neutral vocabulary of the hub.
//!
//! Everything that crosses a mirror is told in the words of this crate: a [`Place`] (a channel on a network, or a Matrix
//! room), an [`Event`] that happened there, the rich-text [`Document`] it carries, and the [`Capabilities`] of the place it
//! is going to. The crate does no I/O, knows no async and names no network, so that every other crate can depend on it.
//!
//! | module | holds |
//! |---|---|
//! | [`ids`] | names and opaque remote identifiers, [`Place`], [`DeliveryKey`] |
//! | [`time`] | [`Timestamp`], and the [`Clock`] and [`Entropy`] that are handed in everywhere |
//! | [`document`] | the rich-text tree and its plain-text rendering |
//! | [`event`] | what happened at a source: [`Event`], [`Content`], [`Message`], [`Person`] |
//! | [`language`] | the languages in which the hub speaks to people |
//! | [`link`] | which links may go without encryption |
//! | [`secret`] | text that must not be shown |
//! | [`outbound`] | what is about to be sent to a destination: [`Outbound`] and its [`Receipt`] |
//! | [`capabilities`] | what a place can express, as data |
//! | `arbitrary` | with the feature of that name: proptest generators of all of these |
//!
//! # Extending
//!
//! A new kind of event is a variant of [`Content`] and of [`EventKind`]; the compiler then shows every place that has to
//! decide about it. A new inline or block of rich text is a variant of [`document::Inline`] or [`document::Block`]; each
//! bridge's renderer must give it some text.

#[cfg(any(test, feature = "arbitrary"))]
pub mod arbitrary;
pub mod capabilities;
pub mod document;
pub mod event;
pub mod ids;
pub mod language;
pub mod link;
pub mod outbound;
pub mod secret;
pub mod time;

pub use capabilities::{Capabilities, Lookup, Support};
pub use document::{Block, Document, Inline};
pub use event::{
    Attachment, AttachmentKind, Content, Cursor, Event, EventKind, MediaRef, Membership, Message, MessageStyle, Person,
    Reaction, Role,
};
pub use ids::{ChannelId, DeliveryKey, IdError, MessageId, MirrorName, NetworkName, PersonId, Place};
pub use language::Language;
pub use outbound::{Author, Outbound, Receipt};
pub use secret::Secret;
pub use time::{Clock, Entropy, Timestamp};
