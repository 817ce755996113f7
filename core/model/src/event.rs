//! What happened at a source.

use serde::{Deserialize, Serialize};

use crate::document::Document;
use crate::ids::{DeliveryKey, MessageId, NetworkName, PersonId, Place};
use crate::time::Timestamp;

/// A resume position within one channel, in the network's own words. Opaque to the engine, which stores it in the same
/// commit as the event that carries it and hands it back after a restart.
pub type Cursor = String;

/// Something that happened at one place, as its network reported it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// Where it happened.
    pub place: Place,
    /// Its identifier, unique within the place. An event with an id already seen there is a repetition and is dropped; so a
    /// network without stable ids must make one from everything that distinguishes two events.
    pub id: MessageId,
    /// Who did it.
    pub sender: Person,
    /// When it happened, by the network's clock.
    pub at: Timestamp,
    /// What happened.
    pub content: Content,
    /// The channel's resume position once this event is committed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<Cursor>,
    /// Set when the network shows that this event is the hub's own delivery coming back: it settles that delivery if its
    /// outcome was unknown, and is not mirrored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub echo_of: Option<DeliveryKey>,
    /// Set for a conversation between one remote person and one Matrix person: the Matrix user id of the latter. The engine
    /// makes the room on first use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub direct_to: Option<String>,
}

/// A person as their network presents them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Person {
    /// The network that knows them.
    pub network: NetworkName,
    /// Their id there.
    pub id: PersonId,
    /// Their display name; the id where there is no other.
    pub name: String,
    /// Their picture.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub avatar: Option<MediaRef>,
    /// Their organisation (tenant, workspace, domain) where the network tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organisation: Option<String>,
    /// Whether the network marks them as an automaton.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub bot: bool,
}

impl Person {
    /// The hub itself: for words that nobody else said.
    pub fn hub() -> Self {
        Self {
            network: NetworkName::matrix(),
            id: PersonId::hub(),
            name: PersonId::HUB.to_owned(),
            avatar: None,
            organisation: None,
            bot: true,
        }
    }

    /// Whether this is the hub itself. It has no puppet: its own words come from its own account.
    pub fn is_hub(&self) -> bool {
        self.network.is_matrix() && self.id.as_str() == PersonId::HUB
    }
}

/// What an event says. Targets are ids at the event's own place.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Content {
    /// A new message.
    Message(Message),
    /// A message was replaced by another wording.
    Edit {
        /// The original message (not an earlier edit of it).
        target: MessageId,
        /// The whole new wording.
        message: Message,
    },
    /// A message was withdrawn, by its author or a moderator.
    Delete {
        /// The original message, or a reaction event on networks where that is how reactions are withdrawn.
        target: MessageId,
        /// The reason given.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// A reaction was added.
    React {
        /// The message reacted to.
        target: MessageId,
        /// The reaction.
        reaction: Reaction,
    },
    /// A reaction was taken back.
    Unreact {
        /// The message reacted to.
        target: MessageId,
        /// The reaction.
        reaction: Reaction,
    },
    /// Somebody's membership changed.
    Membership {
        /// Whose.
        person: Person,
        /// How.
        change: Membership,
        /// The reason given.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// Somebody's role changed.
    Role {
        /// Whose.
        person: Person,
        /// The role they have now.
        role: Role,
    },
    /// The channel's topic (subject) changed; empty when removed.
    Topic {
        /// The new topic.
        topic: String,
    },
    /// The channel's name changed.
    Name {
        /// The new name.
        name: String,
    },
    /// The channel's picture changed.
    Picture {
        /// The new picture, or none.
        picture: Option<MediaRef>,
    },
    /// The set of pinned messages changed.
    Pins {
        /// All messages that are pinned now.
        pinned: Vec<MessageId>,
    },
    /// The sender is typing, or has stopped. Ephemeral: never stored.
    Typing {
        /// Whether they type now.
        active: bool,
    },
    /// The sender has read up to a message. Ephemeral: never stored.
    Read {
        /// The last message read.
        target: MessageId,
    },
    /// The conversation can no longer be used (archived, destroyed, hub removed) until it is opened again.
    Closed {
        /// What the network says.
        reason: String,
    },
    /// The conversation can be used again.
    Opened,
}

/// The kinds of [`Content`], for policies, capabilities, metrics and logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EventKind {
    /// [`Content::Message`].
    Message,
    /// [`Content::Edit`].
    Edit,
    /// [`Content::Delete`].
    Delete,
    /// [`Content::React`] and [`Content::Unreact`].
    Reaction,
    /// [`Content::Membership`].
    Membership,
    /// [`Content::Role`].
    Role,
    /// [`Content::Topic`].
    Topic,
    /// [`Content::Name`].
    Name,
    /// [`Content::Picture`].
    Picture,
    /// [`Content::Pins`].
    Pins,
    /// [`Content::Typing`].
    Typing,
    /// [`Content::Read`].
    Read,
    /// [`Content::Closed`] and [`Content::Opened`].
    State,
}

impl EventKind {
    /// The kind's name in configuration, metrics and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Message => "message",
            Self::Edit => "edit",
            Self::Delete => "delete",
            Self::Reaction => "reaction",
            Self::Membership => "membership",
            Self::Role => "role",
            Self::Topic => "topic",
            Self::Name => "name",
            Self::Picture => "picture",
            Self::Pins => "pins",
            Self::Typing => "typing",
            Self::Read => "read",
            Self::State => "state",
        }
    }
}

impl Content {
    /// Its kind.
    pub fn kind(&self) -> EventKind {
        match self {
            Self::Message(_) => EventKind::Message,
            Self::Edit { .. } => EventKind::Edit,
            Self::Delete { .. } => EventKind::Delete,
            Self::React { .. } | Self::Unreact { .. } => EventKind::Reaction,
            Self::Membership { .. } => EventKind::Membership,
            Self::Role { .. } => EventKind::Role,
            Self::Topic { .. } => EventKind::Topic,
            Self::Name { .. } => EventKind::Name,
            Self::Picture { .. } => EventKind::Picture,
            Self::Pins { .. } => EventKind::Pins,
            Self::Typing { .. } => EventKind::Typing,
            Self::Read { .. } => EventKind::Read,
            Self::Closed { .. } | Self::Opened => EventKind::State,
        }
    }

    /// The message this content carries, if any.
    pub fn message(&self) -> Option<&Message> {
        match self {
            Self::Message(message) | Self::Edit { message, .. } => Some(message),
            _ => None,
        }
    }

    /// The message this content carries, to be changed.
    pub fn message_mut(&mut self) -> Option<&mut Message> {
        match self {
            Self::Message(message) | Self::Edit { message, .. } => Some(message),
            _ => None,
        }
    }

    /// The one event this content acts upon, if any (not what a message replies to).
    pub fn target(&self) -> Option<&MessageId> {
        match self {
            Self::Edit { target, .. }
            | Self::Delete { target, .. }
            | Self::React { target, .. }
            | Self::Unreact { target, .. }
            | Self::Read { target } => Some(target),
            _ => None,
        }
    }

    /// Whether it only matters now: never stored, never retried.
    pub fn is_ephemeral(&self) -> bool {
        matches!(self, Self::Typing { .. } | Self::Read { .. })
    }
}

/// How a message is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MessageStyle {
    /// Said by a person.
    #[default]
    Text,
    /// Said by an automaton; others must not answer automatically.
    Notice,
    /// Third person, `/me`.
    Action,
}

/// A message: text, files, and what it refers to.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Message {
    /// How it is meant.
    #[serde(default)]
    pub style: MessageStyle,
    /// Its text; empty for a file without a caption.
    pub body: Document,
    /// Its files, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attachments: Vec<Attachment>,
    /// The message it answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply_to: Option<MessageId>,
    /// The first message of the thread it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thread: Option<MessageId>,
}

impl Message {
    /// A message with this plain text and nothing else.
    pub fn plain(text: &str) -> Self {
        Self {
            body: Document::plain(text),
            ..Self::default()
        }
    }
}

/// What sort of file an attachment is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AttachmentKind {
    /// A still or moving picture.
    Image,
    /// A video.
    Video,
    /// Sound.
    Audio,
    /// A recorded voice message.
    Voice,
    /// A sticker.
    Sticker,
    /// Anything else.
    #[default]
    File,
}

/// A file that belongs to a message. Its bytes stay where they are until a destination asks for them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attachment {
    /// Where the bytes can be had.
    pub media: MediaRef,
    /// The file's name, without any path.
    pub name: String,
    /// The media type its source claims.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mime: Option<String>,
    /// Its size in bytes, if its source tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// What sort of file it is.
    #[serde(default)]
    pub kind: AttachmentKind,
    /// Width and height in pixels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dimensions: Option<(u32, u32)>,
    /// Length in milliseconds, of sound and video.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration: Option<u64>,
    /// Whether it is to be covered until asked for.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub spoiler: bool,
}

/// Names a file by the network that can fetch it and that network's own locator (URL, mxc URI, file id). Opaque elsewhere.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct MediaRef {
    /// The network that can fetch it.
    pub network: NetworkName,
    /// The network's own locator.
    pub locator: String,
}

/// A reaction: a Unicode emoji, or a network's own picture.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Reaction {
    /// The emoji itself, or `:shortcode:` where there is none in Unicode.
    pub key: String,
    /// The picture of a network's own emoji.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<MediaRef>,
}

/// How a membership changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "change", rename_all = "snake_case")]
pub enum Membership {
    /// They came.
    Join,
    /// They went of their own accord.
    Leave,
    /// They are unreachable for now (netsplit, lost connection); they are expected back and keep their place.
    Absent,
    /// They were invited.
    Invite,
    /// They were removed and may come back.
    Kick,
    /// They were removed and may not come back.
    Ban,
    /// They may come back.
    Unban,
    /// Their name changed; the person carries the new one.
    Rename {
        /// The name before.
        from: String,
    },
}

/// What somebody may do in a channel, coarsely.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// May read only, where speaking needs a voice.
    Visitor,
    /// May speak.
    Member,
    /// May speak where ordinary members may not.
    Voiced,
    /// May remove people and messages.
    Moderator,
    /// May do everything.
    Admin,
}
