//! All that the stand-in knows: workspaces, apps, people, channels, messages and files.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use serde_json::{Map, Value};

use super::delivery::Delivery;
use super::grid::Organisation;
use super::ids::{Ids, Ts};
use super::limits::{Limits, Usage};

/// What is remembered of calls and of violations, each.
const REMEMBERED: usize = 50_000;

/// One workspace.
#[derive(Debug, Default)]
pub(super) struct Team {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) domain: String,
    /// Name to address, or to `alias:NAME`.
    pub(super) emoji: BTreeMap<String, String>,
    pub(super) groups: BTreeMap<String, Group>,
}

/// A user group.
#[derive(Debug, Clone)]
pub(super) struct Group {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) handle: String,
    pub(super) users: Vec<String>,
    pub(super) created: u64,
}

/// A person, or the user of a bot.
#[derive(Debug, Clone)]
pub(super) struct User {
    pub(super) id: String,
    pub(super) team: String,
    pub(super) name: String,
    pub(super) real_name: String,
    pub(super) display_name: String,
    pub(super) deleted: bool,
    pub(super) updated: u64,
    /// Set where it is a bot's user.
    pub(super) bot: Option<Bot>,
}

/// What only a bot has.
#[derive(Debug, Clone)]
pub(super) struct Bot {
    pub(super) id: String,
    pub(super) app: String,
}

/// What kind of conversation a channel is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Open to all of the workspace.
    #[default]
    Public,
    /// By invitation.
    Private,
    /// Two people.
    Im,
    /// A few people, without a name.
    Mpim,
}

impl Kind {
    /// The word in an event's `channel_type`.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Public => "channel",
            Self::Private => "group",
            Self::Im => "im",
            Self::Mpim => "mpim",
        }
    }

    /// The word in `types` of `conversations.list`.
    pub(super) fn listed(self) -> &'static str {
        match self {
            Self::Public => "public_channel",
            Self::Private => "private_channel",
            Self::Im => "im",
            Self::Mpim => "mpim",
        }
    }

    /// The first part of its scopes.
    pub(super) fn scope(self) -> &'static str {
        match self {
            Self::Public => "channels",
            Self::Private => "groups",
            Self::Im => "im",
            Self::Mpim => "mpim",
        }
    }
}

/// A conversation.
#[derive(Debug, Default)]
pub(super) struct Channel {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) kind: Kind,
    pub(super) team: String,
    /// All workspaces that have it; more than one with Slack Connect.
    pub(super) teams: BTreeSet<String>,
    pub(super) members: BTreeSet<String>,
    pub(super) topic: String,
    pub(super) purpose: String,
    pub(super) archived: bool,
    pub(super) creator: String,
    pub(super) created: u64,
    pub(super) previous_names: Vec<String>,
    pub(super) messages: BTreeMap<Ts, Message>,
    /// Message, by whom, and when.
    pub(super) pins: Vec<(Ts, String, u64)>,
}

impl Channel {
    /// Whether more than one workspace has it.
    pub(super) fn is_shared(&self) -> bool {
        self.teams.len() > 1
    }
}

/// A message. What differs by reader, or follows from other things, stands beside its body.
#[derive(Debug, Clone)]
pub(super) struct Message {
    pub(super) ts: Ts,
    pub(super) body: Map<String, Value>,
    /// The user that wrote it, a bot's too.
    pub(super) author: String,
    /// The app that wrote it.
    pub(super) app: Option<String>,
    pub(super) metadata: Option<Value>,
    /// The thread it answers in; none for a root.
    pub(super) thread: Option<Ts>,
    /// A reply that was sent to the channel as well.
    pub(super) broadcast: bool,
    /// Answers to it, and by whom.
    pub(super) replies: Vec<(Ts, String)>,
    /// Emoji and by whom, in order.
    pub(super) reactions: Vec<(String, Vec<String>)>,
    pub(super) files: Vec<String>,
}

/// A file, uploaded or awaited.
#[derive(Debug, Clone)]
pub(super) struct File {
    pub(super) id: String,
    pub(super) team: String,
    pub(super) user: String,
    pub(super) name: String,
    pub(super) title: String,
    pub(super) mime: String,
    /// What was announced; after the upload, what came.
    pub(super) size: usize,
    pub(super) content: Option<bytes::Bytes>,
    pub(super) created: u64,
    /// Where it was shared: channel, message, thread.
    pub(super) shares: Vec<(String, Ts, Option<Ts>)>,
    /// The last part of the address it is uploaded to.
    pub(super) ticket: String,
    pub(super) stage: Stage,
    /// Its addresses answer no more.
    pub(super) expired: bool,
    /// Events only name it (`file_access: check_file_info`), as Slack Connect does.
    pub(super) check_info: bool,
}

/// How far a file has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// Announced, perhaps uploaded.
    Awaited,
    Complete,
    Deleted,
}

/// An app that a workspace installed.
#[derive(Debug)]
pub(super) struct Install {
    pub(super) app: String,
    pub(super) name: String,
    pub(super) team: String,
    /// Set where it is installed for a whole organisation.
    pub(super) organisation: Option<Organisation>,
    pub(super) user: String,
    pub(super) bot: String,
    pub(super) scopes: BTreeSet<String>,
    /// Events it is told; none for all.
    pub(super) subscribed: Option<BTreeSet<String>>,
    pub(super) verification: String,
    pub(super) client_id: String,
    pub(super) client_secret: String,
    pub(super) live: bool,
    pub(super) delivery: Arc<Delivery>,
}

/// What a token lets one be.
#[derive(Debug, Clone)]
pub(super) struct Token {
    /// Index of the install.
    pub(super) install: usize,
    pub(super) kind: TokenKind,
    /// The user it acts as.
    pub(super) user: String,
    pub(super) scopes: BTreeSet<String>,
    /// The error that it gets once it is worth nothing.
    pub(super) dead: Option<&'static str>,
}

/// Whose token it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TokenKind {
    Bot,
    User,
    App,
}

/// One call of the Web API.
#[derive(Debug, Clone)]
pub struct Call {
    /// The method.
    pub method: String,
    /// Its arguments, without the token.
    pub arguments: Map<String, Value>,
    /// The HTTP status answered; 0 where the answer was withheld.
    pub status: u16,
    /// The error answered; empty when it went well.
    pub error: String,
    /// When it came.
    pub at: tokio::time::Instant,
}

/// A request or acknowledgement that is not as the published description has it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Violation {
    /// The method, or `socket`.
    pub method: String,
    /// What is wrong with it.
    pub what: String,
}

/// Everything.
#[derive(Debug, Default)]
pub(super) struct State {
    /// The address all others begin with, such as `http://127.0.0.1:4300`.
    pub(super) base: String,
    pub(super) ids: Ids,
    pub(super) teams: BTreeMap<String, Team>,
    pub(super) users: BTreeMap<String, User>,
    pub(super) channels: BTreeMap<String, Channel>,
    pub(super) files: BTreeMap<String, File>,
    pub(super) installs: Vec<Install>,
    pub(super) tokens: HashMap<String, Token>,
    /// Codes of `oauth.v2.access`: who gave consent, to which install.
    pub(super) codes: HashMap<String, (usize, String)>,
    /// Addresses of sockets that nobody has used yet: install, and until when (seconds).
    pub(super) tickets: HashMap<String, (usize, u64)>,
    pub(super) limits: Limits,
    pub(super) usage: Usage,
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

    pub(super) fn violate(&mut self, method: &str, what: String) {
        if self.violations.len() < REMEMBERED {
            let method = method.to_owned();
            self.violations.push_back(Violation { method, what });
        }
    }

    /// The message, if the channel has it.
    pub(super) fn message(&self, channel: &str, ts: Ts) -> Option<&Message> {
        self.channels.get(channel)?.messages.get(&ts)
    }

    pub(super) fn message_mut(&mut self, channel: &str, ts: Ts) -> Option<&mut Message> {
        self.channels.get_mut(channel)?.messages.get_mut(&ts)
    }
}
