//! What the operator asked for, as the engine needs it: already checked, names resolved to ids where the config has them.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use viaduct_compliance::Policy;
use viaduct_governance::{Agreement, NetworkFacts, Networks, PartnerName};
use viaduct_matrix::RoomSpec;
use viaduct_model::{Language, MirrorName, NetworkName, Place};

/// Everything that a reload may change.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The networks, in any order.
    pub networks: Vec<NetworkSpec>,
    /// The mirrors, in any order. A place belongs to one mirror at most.
    pub mirrors: Vec<MirrorSpec>,
    /// The agreements with partners. Nothing crosses to or from a network that is neither the own organisation's nor covered
    /// by one that is in force.
    pub partners: BTreeMap<PartnerName, Agreement>,
    /// Rooms whose policy lists say whom nothing may cross from or to.
    pub policy_rooms: Vec<RoomSpec>,
    /// The room in which operators are told what is due.
    pub operators: Option<RoomSpec>,
    /// What people are spoken to in.
    pub language: Language,
    /// How long delivered events stay in the journal, for quotes, links to long texts and trying again.
    pub keep: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            networks: Vec::new(),
            mirrors: Vec::new(),
            partners: BTreeMap::new(),
            policy_rooms: Vec::new(),
            operators: None,
            language: Language::default(),
            keep: Duration::from_hours(7 * 24),
        }
    }
}

impl Settings {
    /// What has to be known of the networks to judge an agreement.
    pub fn facts(&self) -> Networks {
        let facts = |network: &NetworkSpec| NetworkFacts {
            kind: network.kind.clone(),
            own: network.own,
        };
        self.networks
            .iter()
            .map(|network| (network.name.clone(), facts(network)))
            .collect()
    }
}

/// One configured network.
#[derive(Debug, Clone, PartialEq)]
pub struct NetworkSpec {
    /// Its name.
    pub name: NetworkName,
    /// The kind of bridge that serves it.
    pub kind: String,
    /// Its own section of the configuration, for the bridge.
    pub section: serde_json::Value,
    /// What passes in both directions, on every mirror.
    pub policies: Policies,
    /// How the engine words what the network cannot express.
    pub forms: Forms,
    /// Whether it belongs to the own organisation: then no agreement is needed.
    pub own: bool,
}

/// The filters of one network or mirror member, one for each direction. Without one, everything passes.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Policies {
    /// From the network into the hub.
    pub inward: Option<NamedPolicy>,
    /// From the hub to the network.
    pub outward: Option<NamedPolicy>,
}

/// A policy and its name in the configuration.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct NamedPolicy {
    /// Its name.
    pub name: String,
    /// What it says.
    pub policy: Policy,
}

/// One Matrix room joined with any number of channels.
#[derive(Debug, Clone, PartialEq)]
pub struct MirrorSpec {
    /// Its name.
    pub name: MirrorName,
    /// Its room.
    pub room: RoomSpec,
    /// Its channels.
    pub members: Vec<MemberSpec>,
    /// The labels of what is said in it.
    pub labels: Vec<String>,
}

/// One channel of a mirror.
#[derive(Debug, Clone, PartialEq)]
pub struct MemberSpec {
    /// The channel.
    pub place: Place,
    /// Which way messages go.
    pub direction: Flow,
    /// What passes in both directions, on top of the network's own policies.
    pub policies: Policies,
}

/// Which way messages go between a channel and the rest of its mirror.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Flow {
    /// Both ways.
    #[default]
    Both,
    /// From the channel only.
    In,
    /// To the channel only.
    Out,
    /// Neither, for now. What is said meanwhile is not delivered later.
    Paused,
}

impl Flow {
    /// Whether what is said in the channel is mirrored.
    pub fn reads(self) -> bool {
        matches!(self, Self::Both | Self::In)
    }

    /// Whether what is said elsewhere reaches the channel.
    pub fn writes(self) -> bool {
        matches!(self, Self::Both | Self::Out)
    }
}

/// How the engine words what would otherwise be lost on a network that cannot express it at all. `{name}` is the author of the
/// message referred to, `{quote}` the beginning of a message, `{text}` the new text, `{file}`, `{size}` and `{link}` a file's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forms {
    /// Put before an answer.
    pub reply: String,
    /// A corrected message.
    pub edit: String,
    /// A file that is offered as a link.
    pub file: String,
    /// A file that cannot be offered at all.
    pub file_missing: String,
    /// Put before the link to a text that is too long for the network.
    pub long_text: String,
}

impl Default for Forms {
    fn default() -> Self {
        Self {
            reply: "{name}: ".to_owned(),
            edit: "* {text}".to_owned(),
            file: "{file} ({size}) {link}".to_owned(),
            file_missing: "[{file}, {size}, not transferred]".to_owned(),
            long_text: "{quote} … {link}".to_owned(),
        }
    }
}
