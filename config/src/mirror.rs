//! `mirrors`: which Matrix room and which channels are one conversation.

use schemars::JsonSchema;
use serde::Deserialize;
use viaduct_model::{ChannelId, MirrorName, NetworkName};

use crate::PolicyNames;

/// One Matrix room joined with one or more channels. A message from any side reaches all others.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Mirror {
    /// Its name, for logs, metrics and commands. What is stored belongs to this name: do not rename a mirror in use.
    #[schemars(with = "String", extend("format" = "name"))]
    pub name: MirrorName,
    /// The Matrix room: its id or alias, or how to make it.
    pub room: Room,
    /// The channels.
    pub members: Vec<Member>,
    /// The labels of what is said in it, such as `internal`: policies and agreements say which may cross. The room itself can
    /// add one, by a state event `eu.viaduct.label` with the content `{"label": "internal"}`.
    #[serde(default)]
    pub labels: Vec<String>,
    /// Whether its Matrix room is end-to-end encrypted as far as viaduct, which decrypts what crosses and says so in the room. A room
    /// that viaduct makes is encrypted then; in any other, somebody has to turn it on. Needs `homeserver.encryption`. Without it,
    /// nothing crosses from or to an encrypted room.
    #[serde(default)]
    pub encrypted: bool,
}

/// The Matrix room of a mirror.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Room {
    /// An existing room, by id (`!…`) or alias (`#…`, in quotes). The bot must be invited or allowed to join.
    Existing(#[schemars(extend("format" = "room"))] String),
    /// A room that viaduct makes if its alias does not exist yet.
    Made(MadeRoom),
}

/// A room that viaduct makes.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MadeRoom {
    /// Its alias, in quotes: `"#project:example.org"`.
    #[schemars(extend("format" = "room-alias"))]
    pub alias: String,
    /// Its name; the mirror's name if left out.
    pub name: Option<String>,
    /// Its topic.
    pub topic: Option<String>,
    /// Whether to make it when it is not there.
    #[serde(default = "yes")]
    pub create: bool,
    /// Its room version; the homeserver's own choice if left out.
    pub version: Option<String>,
    /// Whether everybody on the homeserver may find and join it. Otherwise people are invited.
    #[serde(default)]
    pub public: bool,
    /// Matrix users to invite when it is made.
    #[serde(default)]
    #[schemars(extend("items" = {"type": "string", "format": "matrix-user"}))]
    pub invite: Vec<String>,
}

/// One channel of a mirror.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Member {
    /// A network, by its name under `networks`.
    #[schemars(with = "String", extend("format" = "name"))]
    pub network: NetworkName,
    /// The channel, as the network writes it. IRC channels need quotes: `"#project"`.
    #[schemars(with = "String", extend("format" = "channel"))]
    pub channel: ChannelId,
    /// Which way messages go, seen from Matrix: `both`, `in`, `out`, or `paused`.
    #[serde(default)]
    pub direction: Flow,
    /// Filters for this channel, instead of the network's own.
    #[serde(default)]
    pub policy: PolicyNames,
}

/// Which way messages go between a channel and the rest of its mirror, seen from Matrix.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Flow {
    /// Both ways.
    #[default]
    Both,
    /// Only from the channel.
    In,
    /// Only to the channel.
    Out,
    /// Not at all, for now.
    Paused,
}

fn yes() -> bool {
    true
}

impl Room {
    /// The id or alias that names the room.
    pub fn address(&self) -> &str {
        match self {
            Self::Existing(address) => address,
            Self::Made(room) => &room.alias,
        }
    }
}
