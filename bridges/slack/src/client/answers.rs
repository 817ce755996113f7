//! What the Web API answers, as far as it is needed, read loosely.

use serde::Deserialize;

use super::loose;
use super::payload::{Message, Named, Ref};

/// Who a token is.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Identity {
    /// The workspace.
    #[serde(deserialize_with = "loose::text_or_empty")]
    pub team_id: String,
    /// The workspace's name.
    #[serde(deserialize_with = "loose::text_or_empty")]
    pub team: String,
    /// The user.
    #[serde(deserialize_with = "loose::text_or_empty")]
    pub user_id: String,
    /// The bot, of a bot's token.
    #[serde(deserialize_with = "loose::text")]
    pub bot_id: Option<String>,
    /// The organisation of an Enterprise Grid.
    #[serde(deserialize_with = "loose::text")]
    pub enterprise_id: Option<String>,
    /// Whether it is of an app that is installed for the whole organisation.
    #[serde(deserialize_with = "loose::truth")]
    pub is_enterprise_install: bool,
}

/// A conversation.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub struct Conversation {
    /// Its id.
    #[serde(deserialize_with = "loose::text_or_empty")]
    pub id: String,
    /// Its name.
    #[serde(deserialize_with = "loose::text_or_empty")]
    pub name: String,
    /// Whether the token's user is in it.
    #[serde(deserialize_with = "loose::truth")]
    pub is_member: bool,
    /// Whether it is archived.
    #[serde(deserialize_with = "loose::truth")]
    pub is_archived: bool,
    /// Whether only those who are in it see it.
    #[serde(deserialize_with = "loose::truth")]
    pub is_private: bool,
    /// Whether it is shared with another organisation.
    #[serde(deserialize_with = "loose::truth")]
    pub is_ext_shared: bool,
    /// Its topic.
    #[serde(deserialize_with = "loose::object")]
    pub topic: Option<Valued>,
    /// Its purpose.
    #[serde(deserialize_with = "loose::object")]
    pub purpose: Option<Valued>,
}

/// A topic or a purpose.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Valued {
    /// The text.
    #[serde(deserialize_with = "loose::text_or_empty")]
    pub value: String,
}

/// Where the next page begins.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Next {
    #[serde(deserialize_with = "loose::text")]
    pub next_cursor: Option<String>,
}

/// A page of whatever is listed.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Page {
    #[serde(deserialize_with = "loose::list")]
    pub messages: Vec<Message>,
    #[serde(deserialize_with = "loose::list")]
    pub channels: Vec<Conversation>,
    pub members: Members,
    #[serde(deserialize_with = "loose::list")]
    pub teams: Vec<Named>,
    #[serde(deserialize_with = "loose::object")]
    pub response_metadata: Option<Next>,
}

/// People, or only their ids.
#[derive(Debug, Default)]
pub(super) struct Members {
    pub ids: Vec<String>,
    pub people: Vec<Named>,
}

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let list = Vec::<Ref>::deserialize(deserializer)?;
        let mut out = Self::default();
        for member in list {
            match member {
                Ref::Id(id) => out.ids.push(id),
                Ref::Whole(person) => out.people.push(*person),
                Ref::Absent => {}
            }
        }
        Ok(out)
    }
}

/// A page of messages.
#[derive(Debug, Default)]
pub struct Messages {
    /// The messages, as Slack orders them.
    pub messages: Vec<Message>,
    /// Where the next page begins.
    pub next: Option<String>,
}

/// What posting gives.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Posted {
    /// The message's name.
    #[serde(deserialize_with = "loose::text_or_empty")]
    pub ts: String,
    /// Where it was posted.
    #[serde(deserialize_with = "loose::text_or_empty")]
    pub channel: String,
}

/// An answer that says nothing but that it was done.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Done {}

/// Which messages of a channel or thread are wanted.
#[derive(Debug, Default, Clone)]
pub struct Span {
    /// The channel.
    pub channel: String,
    /// The first message of a thread; none for the channel's own messages.
    pub thread: Option<String>,
    /// After this.
    pub oldest: Option<String>,
    /// Up to this, and with it.
    pub latest: Option<String>,
    /// Whether what apps put beside messages is wanted.
    pub metadata: bool,
}
