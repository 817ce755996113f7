//! What a place can express, as data: the engine plans every fallback from it.

use serde::{Deserialize, Serialize};

/// Whether a place has something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Support {
    /// The network's own feature is used.
    Native,
    /// Expressed by other means, such as a "corrected" line. The side does the wording: it gets the event as if it had the
    /// feature. (Files are the exception: the engine offers them as links.)
    Fallback,
    /// Not expressed at all. The engine says in words what would be lost otherwise (a new wording, whom an answer is for), and
    /// leaves out the rest.
    #[default]
    None,
}

/// What can be done about a delivery whose outcome is unknown (the connection broke between sending and confirmation).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Lookup {
    /// Sending again with the same key has no second effect.
    Idempotent,
    /// The network can be asked whether a key arrived.
    Queryable,
    /// Neither: the outcome is shown to the sender as unknown.
    #[default]
    None,
}

/// What one channel can express. The default can express nothing but plain text.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Capabilities {
    /// Replacing a message's wording.
    pub edit: Support,
    /// How long after sending an edit is possible, in seconds; none means always.
    pub edit_window: Option<u64>,
    /// Withdrawing a message.
    pub delete: Support,
    /// Answering one message.
    pub reply: Support,
    /// Conversations below one message.
    pub thread: Support,
    /// Reactions.
    pub reaction: Support,
    /// Pictures as reactions and emoji.
    pub custom_emoji: Support,
    /// Bold, italics and the like.
    pub formatting: Support,
    /// Addressing a person so that they are notified.
    pub mention: Support,
    /// Files: native upload, or a link as fallback.
    pub file: Support,
    /// The largest file, in bytes; none means no bound known.
    pub file_limit: Option<u64>,
    /// The largest text of one message, in bytes; longer text is split by the bridge itself.
    pub text_limit: Option<u64>,
    /// A text with more lines than this is sent as a file or link instead; none means never.
    pub line_limit: Option<u32>,
    /// Topic changes.
    pub topic: Support,
    /// Name changes.
    pub name: Support,
    /// Joins and leaves of people from other sides.
    pub membership: Support,
    /// Kicks and bans.
    pub moderation: Support,
    /// Roles.
    pub role: Support,
    /// Pinned messages.
    pub pins: Support,
    /// Typing notifications.
    pub typing: Support,
    /// Read receipts.
    pub read: Support,
    /// Whether people from other sides appear as people of their own (native) or by a name in the text (fallback).
    pub puppet: Support,
    /// Whether messages missed while away can be fetched.
    pub history: Support,
    /// Whether conversations between two people are possible.
    pub direct: Support,
    /// What can be done about an unknown outcome.
    pub lookup: Lookup,
}
