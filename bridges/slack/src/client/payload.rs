//! What Slack sends: events, messages, people, files. Read loosely: fields of another type than expected count as absent, so
//! that no event fails because of a part that is not needed.

use serde::Deserialize;
use serde::de::Deserializer;
use serde_json::value::RawValue;

pub use super::enclosed::{Attachment, Field, File, Share, Shares};
use super::loose::{self, Loose};

/// What comes over a socket.
#[derive(Debug, Deserialize)]
pub struct Frame<'a> {
    /// `hello`, `disconnect`, `events_api` and others.
    #[serde(rename = "type")]
    pub kind: String,
    /// Names the envelope, to acknowledge it.
    #[serde(default)]
    pub envelope_id: Option<String>,
    /// Why the socket is about to be closed.
    #[serde(default)]
    pub reason: Option<String>,
    /// How often it was tried before.
    #[serde(default)]
    pub retry_attempt: u64,
    /// Which app it belongs to.
    #[serde(default)]
    pub connection_info: Option<ConnectionInfo>,
    /// The event with its wrapper.
    #[serde(default, borrow)]
    pub payload: Option<&'a RawValue>,
}

/// Which app a socket belongs to.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct ConnectionInfo {
    /// The app.
    pub app_id: Option<String>,
}

/// An event in its wrapper.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Callback {
    /// `event_callback`, `url_verification`, `app_rate_limited`.
    #[serde(rename = "type", deserialize_with = "loose::text_or_empty")]
    pub kind: String,
    /// The event's own id, the same when it is sent again.
    #[serde(deserialize_with = "loose::text_or_empty")]
    pub event_id: String,
    /// The workspace it was sent for.
    #[serde(deserialize_with = "loose::text")]
    pub team_id: Option<String>,
    /// The workspace in whose context it happened.
    #[serde(deserialize_with = "loose::text")]
    pub context_team_id: Option<String>,
    /// The app it is for.
    #[serde(deserialize_with = "loose::text")]
    pub api_app_id: Option<String>,
    /// Whether the channel is shared with another organisation.
    #[serde(deserialize_with = "loose::truth")]
    pub is_ext_shared_channel: bool,
    /// To be sent back, when an address is verified.
    #[serde(deserialize_with = "loose::text")]
    pub challenge: Option<String>,
    /// What happened.
    #[serde(deserialize_with = "loose::object")]
    pub event: Option<Box<Message>>,
}

/// An object with a name: a channel, a person.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Named {
    /// Its id.
    #[serde(deserialize_with = "loose::text_or_empty")]
    pub id: String,
    /// Its name.
    #[serde(deserialize_with = "loose::text_or_empty")]
    pub name: String,
    /// A person's full name.
    #[serde(deserialize_with = "loose::text")]
    pub real_name: Option<String>,
    /// A person's workspace.
    #[serde(deserialize_with = "loose::text")]
    pub team_id: Option<String>,
    /// Whether it is no more.
    #[serde(deserialize_with = "loose::truth")]
    pub deleted: bool,
    /// Whether it is an automaton.
    #[serde(deserialize_with = "loose::truth")]
    pub is_bot: bool,
    /// Whether they belong to another organisation.
    #[serde(deserialize_with = "loose::truth")]
    pub is_stranger: bool,
    /// A person's profile.
    #[serde(deserialize_with = "loose::object")]
    pub profile: Option<Profile>,
    /// A user group's handle.
    #[serde(deserialize_with = "loose::text")]
    pub handle: Option<String>,
}

/// How a person presents themselves.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Profile {
    /// The name they chose.
    #[serde(deserialize_with = "loose::text")]
    pub display_name: Option<String>,
    /// Their full name.
    #[serde(deserialize_with = "loose::text")]
    pub real_name: Option<String>,
    /// Their picture.
    #[serde(deserialize_with = "loose::text")]
    pub image_512: Option<String>,
    /// Their picture, smaller.
    #[serde(deserialize_with = "loose::text")]
    pub image_192: Option<String>,
    /// Their workspace.
    #[serde(deserialize_with = "loose::text")]
    pub team: Option<String>,
    /// An automaton's other id.
    #[serde(deserialize_with = "loose::text")]
    pub bot_id: Option<String>,
}

/// An id, or the object itself.
#[derive(Debug, Clone, Default)]
pub enum Ref {
    /// Only the id.
    Id(String),
    /// All of it.
    Whole(Box<Named>),
    /// Neither.
    #[default]
    Absent,
}

impl Ref {
    /// The id, if there is one.
    pub fn id(&self) -> Option<&str> {
        match self {
            Self::Id(id) => Some(id.as_str()),
            Self::Whole(named) => Some(named.id.as_str()),
            Self::Absent => None,
        }
        .filter(|id| !id.is_empty())
    }

    /// The object, if it came along.
    pub fn whole(&self) -> Option<&Named> {
        match self {
            Self::Whole(named) => Some(named),
            _ => None,
        }
    }
}

impl<'de> Deserialize<'de> for Ref {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(match Loose::deserialize(deserializer)? {
            Loose::Text(id) => Self::Id(id),
            Loose::Object(named) => Self::Whole(Box::new(named)),
            Loose::Other => Self::Absent,
        })
    }
}

/// An event, or a message in the history: all fields that matter here.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Message {
    /// `message`, `reaction_added` and so on.
    #[serde(rename = "type", deserialize_with = "loose::text_or_empty")]
    pub kind: String,
    /// What sort of message.
    #[serde(deserialize_with = "loose::text")]
    pub subtype: Option<String>,
    /// The message's name and time.
    #[serde(deserialize_with = "loose::text_or_empty")]
    pub ts: String,
    /// The event's time.
    #[serde(deserialize_with = "loose::text")]
    pub event_ts: Option<String>,
    /// The first message of its thread.
    #[serde(deserialize_with = "loose::text")]
    pub thread_ts: Option<String>,
    /// The message that was deleted.
    #[serde(deserialize_with = "loose::text")]
    pub deleted_ts: Option<String>,
    /// When the thread below it was last continued.
    #[serde(deserialize_with = "loose::text")]
    pub latest_reply: Option<String>,
    /// How many replies there are below it.
    #[serde(deserialize_with = "loose::number")]
    pub reply_count: Option<u64>,
    /// Who.
    pub user: Ref,
    /// Where.
    pub channel: Ref,
    /// Where, if only the id is told.
    #[serde(deserialize_with = "loose::text")]
    pub channel_id: Option<String>,
    /// What sort of conversation.
    #[serde(deserialize_with = "loose::text")]
    pub channel_type: Option<String>,
    /// Which automaton.
    #[serde(deserialize_with = "loose::text")]
    pub bot_id: Option<String>,
    /// Which app.
    #[serde(deserialize_with = "loose::text")]
    pub app_id: Option<String>,
    /// The name an automaton gave itself.
    #[serde(deserialize_with = "loose::text")]
    pub username: Option<String>,
    /// The automaton.
    #[serde(deserialize_with = "loose::object")]
    pub bot_profile: Option<Named>,
    /// The author's workspace.
    #[serde(deserialize_with = "loose::text")]
    pub team: Option<String>,
    /// The author's workspace, in shared channels.
    #[serde(deserialize_with = "loose::text")]
    pub user_team: Option<String>,
    /// The workspace it was said in.
    #[serde(deserialize_with = "loose::text")]
    pub source_team: Option<String>,
    /// Its text with markup.
    #[serde(deserialize_with = "loose::text_or_empty")]
    pub text: String,
    /// Its blocks, unread.
    pub blocks: Option<Box<RawValue>>,
    /// Attachments of the old kind: previews, quoted messages, automata's tables.
    #[serde(deserialize_with = "loose::list")]
    pub attachments: Vec<Attachment>,
    /// Its files.
    #[serde(deserialize_with = "loose::list")]
    pub files: Vec<File>,
    /// Whether and when it was edited.
    #[serde(deserialize_with = "loose::object")]
    pub edited: Option<Edited>,
    /// What apps put beside it.
    #[serde(deserialize_with = "loose::object")]
    pub metadata: Option<Metadata>,
    /// The reactions to it, in the history.
    #[serde(deserialize_with = "loose::list")]
    pub reactions: Vec<Reacted>,
    /// The new topic.
    #[serde(deserialize_with = "loose::text_or_empty")]
    pub topic: String,
    /// The new purpose.
    #[serde(deserialize_with = "loose::text_or_empty")]
    pub purpose: String,
    /// The new name.
    #[serde(deserialize_with = "loose::text_or_empty")]
    pub name: String,
    /// The message as it is now.
    #[serde(deserialize_with = "loose::object")]
    pub message: Option<Box<Message>>,
    /// The message as it was.
    #[serde(deserialize_with = "loose::object")]
    pub previous_message: Option<Box<Message>>,
    /// A reaction's name.
    #[serde(deserialize_with = "loose::text_or_empty")]
    pub reaction: String,
    /// What was reacted to or pinned.
    #[serde(deserialize_with = "loose::object")]
    pub item: Option<Item>,
    /// The id before.
    #[serde(deserialize_with = "loose::text")]
    pub old_channel_id: Option<String>,
    /// The id now.
    #[serde(deserialize_with = "loose::text")]
    pub new_channel_id: Option<String>,
    /// The organisation a channel is shared with.
    #[serde(deserialize_with = "loose::text")]
    pub connected_team_id: Option<String>,
    /// The organisation a channel is no longer shared with.
    #[serde(deserialize_with = "loose::text")]
    pub previously_connected_team_id: Option<String>,
    /// A user group.
    #[serde(deserialize_with = "loose::object")]
    pub subteam: Option<Named>,
    /// Whose tokens were revoked.
    #[serde(deserialize_with = "loose::object")]
    pub tokens: Option<Revoked>,
}

/// Whose tokens were revoked.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Revoked {
    /// People.
    pub oauth: Vec<String>,
    /// Bots.
    pub bot: Vec<String>,
}

impl Message {
    /// The channel it happened in.
    pub fn place(&self) -> Option<&str> {
        let item = self.item.as_ref().and_then(|item| item.channel.as_deref());
        self.channel.id().or(item).or(self.channel_id.as_deref())
    }
}

/// When something was edited.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Edited {
    /// When.
    #[serde(deserialize_with = "loose::text_or_empty")]
    pub ts: String,
}

/// What apps put beside a message.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Metadata {
    /// Of what kind it is.
    #[serde(deserialize_with = "loose::text_or_empty")]
    pub event_type: String,
    /// What it says; only our own is read.
    #[serde(deserialize_with = "loose::object")]
    pub event_payload: Option<Key>,
}

/// Our own metadata: the key of a delivery and which part of it this message is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Key {
    /// The delivery's key.
    #[serde(deserialize_with = "loose::text_or_empty")]
    pub key: String,
    /// The number of the part, from zero.
    #[serde(deserialize_with = "loose::number")]
    pub part: Option<u64>,
    /// How many parts there are.
    #[serde(deserialize_with = "loose::number")]
    pub parts: Option<u64>,
}

/// A reaction with those who reacted so.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Reacted {
    /// Its name.
    #[serde(deserialize_with = "loose::text_or_empty")]
    pub name: String,
    /// Who; Slack may name only some.
    pub users: Vec<String>,
    /// How many they are.
    #[serde(deserialize_with = "loose::number")]
    pub count: Option<u64>,
}

impl Reacted {
    /// Whether everybody who reacted so is named.
    pub fn is_whole(&self) -> bool {
        self.count.is_none_or(|count| count <= self.users.len() as u64)
    }
}

/// What was reacted to or pinned.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Item {
    /// What it is.
    #[serde(rename = "type", deserialize_with = "loose::text_or_empty")]
    pub kind: String,
    /// Where it is.
    #[serde(deserialize_with = "loose::text")]
    pub channel: Option<String>,
    /// The message.
    #[serde(deserialize_with = "loose::text_or_empty")]
    pub ts: String,
    /// The message, where it is pinned.
    #[serde(deserialize_with = "loose::object")]
    pub message: Option<Box<Message>>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_keeps_what_tells_of_other_organisations() {
        let callback: Callback = serde_json::from_str(
            r#"{"type":"event_callback","team_id":"T1","context_team_id":"T1","is_ext_shared_channel":true,"event_id":"Ev1",
                "event":{"type":"message","user":"U9","user_team":"T2","source_team":"T2","channel":"C1","ts":"1.000001","text":"x"}}"#,
        )
        .unwrap();
        assert!(callback.is_ext_shared_channel);
        let event = callback.event.unwrap();
        assert_eq!(event.user_team.as_deref(), Some("T2"));
        assert_eq!(event.place(), Some("C1"));
    }

    #[test]
    fn ids_may_be_objects() {
        let event: Message =
            serde_json::from_str(r#"{"type":"channel_rename","channel":{"id":"C1","name":"new"},"user":7}"#).unwrap();
        assert_eq!(event.place(), Some("C1"));
        assert_eq!(event.channel.whole().unwrap().name, "new");
        let event: Message = serde_json::from_str(r#"{"item":{"type":"message","channel":"C2","ts":"1.0"}}"#).unwrap();
        assert_eq!(event.place(), Some("C2"));
    }
}
