//! All that the stand-in knows: tenants, apps, people, teams, channels, messages and files.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::time::Instant;

use super::control::App;
use super::delivery::Postbox;
use super::ids::Ids;
use super::keys::Keys;
use super::limits::{Limits, Usage};
use super::sealed::Envelope;

/// What is remembered of calls and of violations, each.
const REMEMBERED: usize = 50_000;

/// An app as its tenant registered it.
#[derive(Debug)]
pub(super) struct Registration {
    pub(super) app: App,
    /// Where its bot takes activities.
    pub(super) endpoint: Option<String>,
    /// The key of the certificate with which it may ask for tokens, as DER.
    pub(super) certificate: Option<Vec<u8>>,
    /// The permissions that it was granted.
    pub(super) consent: BTreeSet<String>,
    pub(super) postbox: Arc<Postbox>,
    /// The token with which its activities come, for which keys, and until when (seconds).
    pub(super) bearer: Option<(String, u64, u64)>,
}

/// A person.
#[derive(Debug, Clone)]
pub(super) struct User {
    /// Their id in the directory.
    pub(super) id: String,
    /// `29:…`, their id for bots.
    pub(super) mri: String,
    pub(super) name: String,
    pub(super) mail: String,
    pub(super) tenant: String,
    pub(super) guest: bool,
}

/// A team.
#[derive(Debug, Clone)]
pub(super) struct Team {
    /// The id of its channel General.
    pub(super) id: String,
    /// Its id in the directory and in Graph.
    pub(super) group: String,
    pub(super) name: String,
    pub(super) tenant: String,
    pub(super) archived: bool,
    /// The apps in it, by app id.
    pub(super) installed: BTreeSet<String>,
}

/// What kind of conversation a channel is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Kind {
    /// Open to all of the team.
    #[default]
    Standard,
    /// For some of the team.
    Private,
    /// For people of other teams and tenants as well.
    Shared,
    /// A chat of several people, outside of any team.
    Group,
    /// A person and the bot.
    Personal,
}

impl Kind {
    /// Whether it is a chat and not a channel of a team.
    pub fn is_chat(self) -> bool {
        matches!(self, Self::Group | Self::Personal)
    }

    /// The word in an activity's `conversationType`.
    pub(super) fn conversation(self) -> &'static str {
        match self {
            Self::Group => "groupChat",
            Self::Personal => "personal",
            _ => "channel",
        }
    }
}

/// A channel or a chat.
#[derive(Debug, Clone)]
pub(super) struct Channel {
    /// `19:…@thread.tacv2`
    pub(super) id: String,
    pub(super) name: String,
    pub(super) kind: Kind,
    /// The id of its team; empty for a chat.
    pub(super) team: String,
    pub(super) tenant: String,
    /// People who are in it by themselves. A standard channel has all of its team's people.
    pub(super) members: BTreeSet<String>,
    /// The apps in a chat, by app id.
    pub(super) installed: BTreeSet<String>,
    /// The app whose bot a person's chat is with.
    pub(super) first_app: Option<String>,
    pub(super) messages: BTreeMap<u64, Message>,
    pub(super) deleted: bool,
}

/// Who wrote something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Author {
    /// By the id in the directory.
    User(String),
    /// By the app id.
    App(String),
}

/// Somebody who is addressed in a text.
#[derive(Debug, Clone)]
pub(super) struct Mention {
    pub(super) name: String,
    pub(super) who: Author,
}

/// A file or picture that lies in a message itself.
#[derive(Debug, Clone)]
pub(super) struct Hosted {
    pub(super) id: String,
    pub(super) mime: String,
    pub(super) content: Bytes,
}

/// A message; named by the time at which it was written, in milliseconds.
#[derive(Debug, Clone)]
pub(super) struct Message {
    pub(super) id: u64,
    /// The first message of its reply chain, for a reply.
    pub(super) root: Option<u64>,
    pub(super) from: Author,
    /// As Graph has it: people are addressed as `<at id="0">Name</at>`.
    pub(super) html: String,
    pub(super) mentions: Vec<Mention>,
    /// As Graph has them.
    pub(super) attachments: Vec<Value>,
    pub(super) hosted: Vec<Hosted>,
    /// The message that it quotes.
    pub(super) quotes: Option<u64>,
    pub(super) subject: Option<String>,
    /// Later than every other change anywhere.
    pub(super) modified: u64,
    pub(super) edited: Option<u64>,
    pub(super) deleted: Option<u64>,
    /// What, by whom, when.
    pub(super) reactions: Vec<(String, Author, u64)>,
}

/// Who may do what with a token.
#[derive(Debug, Clone)]
pub(super) struct Token {
    /// Index of the app.
    pub(super) app: usize,
    pub(super) tenant: String,
    pub(super) for_graph: bool,
    /// The person in whose name it acts.
    pub(super) user: Option<String>,
    /// What that person let the app do, as it was asked for.
    pub(super) scope: String,
    /// Seconds since 1970.
    pub(super) until: u64,
}

/// Somebody who wants to be told of messages.
#[derive(Debug, Clone)]
pub(super) struct Subscription {
    pub(super) id: String,
    pub(super) app: usize,
    pub(super) channel: String,
    /// What was asked for, as it was asked for.
    pub(super) asked: Value,
    pub(super) envelope: Option<Arc<Envelope>>,
    /// Milliseconds since 1970.
    pub(super) until: u64,
    /// Set until it is authorized again.
    pub(super) suspended: bool,
}

/// A file in a channel's folder.
#[derive(Debug, Clone)]
pub(super) struct File {
    pub(super) id: String,
    pub(super) drive: String,
    pub(super) name: String,
    pub(super) mime: String,
    pub(super) content: Bytes,
    pub(super) address: String,
}

/// A file that is on its way.
#[derive(Debug)]
pub(super) struct Upload {
    pub(super) drive: String,
    pub(super) folder: String,
    pub(super) name: String,
    /// What to do where the name is taken: `rename`, `replace` or `fail`.
    pub(super) conflict: String,
    pub(super) size: Option<u64>,
    pub(super) content: Vec<u8>,
}

/// A call and what it was answered.
#[derive(Debug, Clone)]
pub struct Call {
    /// What was asked for, such as `connector.reply`; see the table of operations in [`super`].
    pub operation: String,
    /// The HTTP method.
    pub method: String,
    /// The path, without the part that is the same for all.
    pub path: String,
    /// The body where it is JSON, else null.
    pub body: Value,
    /// The status; 0 where nothing was answered.
    pub status: u16,
    /// When.
    pub at: Instant,
}

/// A request that is not as Microsoft publishes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Violation {
    /// What was asked for.
    pub operation: String,
    /// What is wrong with it.
    pub what: String,
}

/// All that is known.
#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) base: String,
    pub(super) ids: Ids,
    pub(super) keys: Keys,
    pub(super) tenants: BTreeMap<String, String>,
    pub(super) apps: Vec<Registration>,
    pub(super) users: BTreeMap<String, User>,
    pub(super) teams: BTreeMap<String, Team>,
    pub(super) channels: BTreeMap<String, Channel>,
    pub(super) tokens: HashMap<String, Token>,
    /// Consent of a person, waiting to be exchanged for tokens.
    pub(super) codes: HashMap<String, (usize, String)>,
    /// People who may not have the app for themselves.
    pub(super) without_app: BTreeSet<String>,
    pub(super) subscriptions: BTreeMap<String, Subscription>,
    pub(super) files: BTreeMap<String, File>,
    pub(super) uploads: HashMap<String, Upload>,
    /// Addresses from which a file can be had without a token.
    pub(super) downloads: HashMap<String, String>,
    pub(super) limits: Limits,
    pub(super) usage: Usage,
    /// The largest activity taken, in bytes, without pictures in it; and the largest message of Graph.
    pub(super) largest: usize,
    pub(super) calls: VecDeque<Call>,
    pub(super) violations: VecDeque<Violation>,
}

impl State {
    pub(super) fn remember(&mut self, call: Call) {
        if self.calls.len() >= REMEMBERED {
            self.calls.pop_front();
        }
        self.calls.push_back(call);
    }

    pub(super) fn violate(&mut self, operation: &str, what: impl Into<String>) {
        if self.violations.len() < REMEMBERED {
            self.violations.push_back(Violation {
                operation: operation.to_owned(),
                what: what.into(),
            });
        }
    }

    /// The connector's address for a tenant, as activities name it.
    pub(super) fn service(&self, tenant: &str) -> String {
        format!("{}/emea/{tenant}/", self.base)
    }

    /// Where Graph is, without a slash at its end.
    pub(super) fn graph(&self) -> String {
        format!("{}/graph/v1.0", self.base)
    }

    pub(super) fn team_of(&self, channel: &Channel) -> Option<&Team> {
        self.teams.get(&channel.team)
    }

    /// Whether an app is where a channel is.
    pub(super) fn is_in(&self, app: &str, channel: &Channel) -> bool {
        match self.team_of(channel) {
            Some(team) => team.installed.contains(app),
            None => channel.installed.contains(app),
        }
    }

    /// The people of a channel.
    pub(super) fn people(&self, channel: &Channel) -> Vec<&User> {
        let base = match (channel.kind, self.channels.get(&channel.team)) {
            (Kind::Standard, Some(general)) => &general.members,
            _ => &channel.members,
        };
        base.iter().filter_map(|id| self.users.get(id)).collect()
    }

    /// The chat that is named so in Graph. The connector has another name for that of a person and a bot.
    pub(super) fn chat_in_graph(&self, id: &str) -> Option<&Channel> {
        let mut chats = self.channels.values().filter(|channel| channel.kind.is_chat());
        chats.find(|chat| Self::graph_chat(chat).eq_ignore_ascii_case(id))
    }

    /// A chat's name in Graph.
    pub(super) fn graph_chat(chat: &Channel) -> String {
        match (chat.kind, chat.members.first(), chat.first_app.as_ref()) {
            (Kind::Personal, Some(user), Some(app)) => format!("19:{user}_{app}@unq.gbl.spaces"),
            _ => chat.id.clone(),
        }
    }

    pub(super) fn user_by_mri(&self, mri: &str) -> Option<&User> {
        self.users.values().find(|user| user.mri == mri)
    }

    pub(super) fn app_by_id(&self, id: &str) -> Option<&Registration> {
        self.apps.iter().find(|registration| registration.app.app_id == id)
    }

    /// A name to be read, of a person or an app.
    pub(super) fn name_of(&self, who: &Author) -> String {
        match who {
            Author::User(id) => self.users.get(id).map(|user| user.name.clone()),
            Author::App(id) => self.app_by_id(id).map(|registration| registration.app.name.clone()),
        }
        .unwrap_or_default()
    }
}
