//! The contract: one session a workspace.
//!
//! ```text
//!  sockets or signed requests ──▶ intake ──▶ (channel's gate) ──▶ inbound ──▶ Inbox
//!  history ──▶ catch-up ──────────────────────────────┘
//!  deliver ──▶ outbound ──▶ Web API
//! ```
//!
//! | module | does |
//! |---|---|
//! | `run` | one run: who we are, which channels, sockets, catch-up, until it ends |
//! | `finding`, `acquaintance` | which channels there are; people, emoji, groups, members, pins |
//! | [`channels`] | what is known of each channel, and the gate before it |
//! | `intake`, `order` | events in order, told at once where all is known |
//! | `inbound`, `about` | one event → what happened |
//! | `workspace` | what concerns the session itself |
//! | [`memory`], `pins` | what was told before, to see what changed during an absence |
//! | `catchup` | the history after an absence: messages, replies, edits, deletions |
//! | `outbound`, `reactions`, `uploads` | deliveries |
//! | `lookup` | whether a delivery arrived |
//! | [`Me`] | who the app is, and what is its own organisation |
//! | `leaving` | the end of a mirror |
//! | `direct` | chats between two people |
//! | [`people`] | who people are, own emoji, user groups |
//! | `probes` | what `doctor` should know |

mod about;
mod acquaintance;
mod catchup;
pub mod channels;
mod direct;
mod finding;
mod inbound;
mod intake;
mod leaving;
mod lookup;
mod me;
pub mod memory;
mod order;
mod outbound;
pub mod people;
mod pins;
mod probes;
mod reactions;
mod run;
mod uploads;
mod workspace;

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use lru::LruCache;
use slack_morphism::{SlackApiTokenType, SlackClient};
use tokio::sync::{Notify, Semaphore, oneshot};
use viaduct_bridge::secret::Secret;
use viaduct_bridge::{
    Connection, Context, DeliveryError, Failure, Media, MediaError, OpenError, Pacer, Probe, Session, SessionError,
};
use viaduct_compliance::Cleared;
use viaduct_model::{Capabilities, ChannelId, DeliveryKey, Lookup, Outbound, PersonId, Receipt, Support};

use crate::client::calls::Api;
use crate::client::dial::{self, Dialer};
use crate::client::files;
use crate::client::hosts::Hosts;
use crate::client::web::Connector;
use crate::config::{Replies, Secrets, Section};
use channels::{Channel, Table};
pub use me::Me;
use people::People;

/// The largest text of one message that is posted, in bytes; Slack wants fewer than 4,000 characters.
pub(crate) const TEXT: usize = 3_800;
/// How many own doings are remembered, until they come back as events.
const OWN: NonZeroUsize = NonZeroUsize::new(4096).unwrap();
/// How many deliveries that stopped half-way are remembered.
const PARTIAL: NonZeroUsize = NonZeroUsize::new(256).unwrap();
/// How many histories are read side by side.
const HISTORIES: usize = 4;

/// Somebody who logged in with a token of their own.
#[derive(Debug, Clone)]
pub struct Login {
    /// Slack, on their behalf.
    pub api: Api,
    /// Their user id, once Slack has said it.
    pub user: Option<String>,
    /// Why the token cannot be used.
    pub trouble: Option<String>,
}

/// A session of one workspace.
pub struct Slack {
    context: Context,
    section: Section,
    secrets: Secrets,
    api: Api,
    http: reqwest::Client,
    hosts: Hosts,
    dialer: Dialer,
    me: Mutex<Option<Arc<Me>>>,
    channels: Table,
    people: People,
    logins: Mutex<HashMap<String, Login>>,
    directs: Mutex<HashMap<String, direct::Direct>>,
    /// The gate before all direct chats.
    direct_gate: Arc<Channel>,
    /// Why nothing works.
    down: Mutex<String>,
    /// Why Slack no longer accepts the app.
    auth_lost: Mutex<Option<String>>,
    auth_changed: Notify,
    /// What we did ourselves and has not come back yet.
    own: Mutex<LruCache<String, ()>>,
    /// Deliveries that stopped half-way: the parts that arrived, by their number.
    partial: Mutex<LruCache<String, HashMap<u64, String>>>,
    /// Who waits for the message that a file became.
    uploads: Mutex<HashMap<(String, String), oneshot::Sender<String>>>,
    histories: Semaphore,
    kept: AtomicU64,
    /// When this run began, in microseconds.
    began: AtomicU64,
    /// What is written one after the other in the session's memory.
    begun: tokio::sync::Mutex<()>,
    counted: tokio::sync::Mutex<()>,
}

pub(crate) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Slack {
    /// A session that is not yet connected.
    pub fn new(section: Section, secrets: Secrets, context: Context) -> Result<Arc<Self>, OpenError> {
        let base = section
            .base()
            .ok_or_else(|| OpenError("base_url cannot be used".to_owned()))?;
        if let Some(channel) = context.channels.iter().find(|channel| !channels::is_spelling(channel)) {
            return Err(OpenError(format!(
                "{channel} is not a channel; write its name in lower case, or its id (C…)"
            )));
        }
        let (proxy, ca_file) = (section.proxy.as_ref().map(Secret::reveal), section.ca_file.as_deref());
        let http = dial::http(proxy, ca_file).map_err(OpenError)?;
        let dialer = Dialer::new(proxy, ca_file).map_err(OpenError)?;
        let client = Arc::new(SlackClient::new(Connector::new(http.clone(), base.clone())));
        let limits = Arc::new(section.limits.clone());
        let api = Api::new(
            client,
            &secrets.bot,
            SlackApiTokenType::Bot,
            limits,
            Arc::new(Pacer::default()),
            context.stop.clone(),
        );
        let logins = secrets.people.iter().map(|(user, token)| {
            let api = api.with_token(token, SlackApiTokenType::User);
            let login = Login {
                api,
                user: None,
                trouble: None,
            };
            (user.clone(), login)
        });
        let direct = ChannelId::new("direct").map_err(|error| OpenError(error.to_string()))?;
        let gate = Table::new(&context.network, &[direct]);
        let direct_gate = gate
            .all
            .first()
            .cloned()
            .ok_or_else(|| OpenError("no gate".to_owned()))?;
        Ok(Arc::new(Self {
            logins: Mutex::new(logins.collect()),
            hosts: Hosts::new(base),
            channels: Table::new(&context.network, &context.channels),
            people: People::new(context.network.clone()),
            directs: Mutex::default(),
            direct_gate,
            me: Mutex::default(),
            down: Mutex::new("not connected yet".to_owned()),
            auth_lost: Mutex::default(),
            auth_changed: Notify::new(),
            own: Mutex::new(LruCache::new(OWN)),
            partial: Mutex::new(LruCache::new(PARTIAL)),
            uploads: Mutex::default(),
            histories: Semaphore::new(HISTORIES),
            kept: AtomicU64::new(0),
            began: AtomicU64::new(0),
            begun: tokio::sync::Mutex::default(),
            counted: tokio::sync::Mutex::default(),
            context,
            section,
            secrets,
            api,
            http,
            dialer,
        }))
    }

    /// Who the app is, once Slack has said it.
    fn me(&self) -> Option<Arc<Me>> {
        locked(&self.me).clone()
    }

    /// Remembers something that we are about to do, so that its event is recognised.
    fn ours(&self, what: String) {
        locked(&self.own).put(what, ());
    }

    /// Whether we did something ourselves.
    fn was_ours(&self, what: &str) -> bool {
        locked(&self.own).peek(what).is_some()
    }

    /// Something we meant to do did not happen.
    fn not_ours(&self, what: &str) {
        locked(&self.own).pop(what);
    }

    /// Slack no longer accepts the app.
    fn lose_auth(&self, reason: &str) {
        *locked(&self.auth_lost) = Some(reason.to_owned());
        self.auth_changed.notify_one();
    }

    /// Takes note of an error that a delivery met, and says what it means for it.
    fn noted(&self, error: DeliveryError) -> DeliveryError {
        if error.failure == Failure::AuthLost {
            self.lose_auth(&error.reason);
        }
        error
    }

    /// Whether deliveries can be made.
    fn ready(&self) -> Result<Arc<Me>, DeliveryError> {
        if self.context.stop.is_cancelled() {
            return Err(DeliveryError::retry("the session has ended"));
        }
        if let Some(reason) = &*locked(&self.auth_lost) {
            return Err(DeliveryError::new(Failure::AuthLost, reason.clone()));
        }
        self.me()
            .ok_or_else(|| DeliveryError::retry(format!("not connected: {}", locked(&self.down))))
    }
}

/// What any channel can express, as far as it is known without connecting.
pub(crate) fn common_capabilities(section: Option<&Section>) -> Capabilities {
    let replies = section.map_or(Replies::Broadcast, |section| section.replies);
    let when = |on: bool| if on { Support::Native } else { Support::None };
    Capabilities {
        edit: Support::Native,
        delete: Support::Native,
        reply: when(replies != Replies::Quote),
        thread: Support::Native,
        reaction: Support::Native,
        custom_emoji: Support::Fallback,
        formatting: Support::Native,
        mention: Support::Native,
        file: Support::Native,
        file_limit: section.map(|section| section.file_limit),
        text_limit: Some(4_000),
        topic: when(section.is_some_and(|section| section.set_topic)),
        puppet: Support::Fallback,
        history: Support::Native,
        direct: when(section.is_none_or(|section| section.direct)),
        lookup: Lookup::Queryable,
        ..Capabilities::default()
    }
}

/// A session, as the engine holds it.
pub struct SlackSession(pub Arc<Slack>);

#[async_trait]
impl Session for SlackSession {
    #[tracing::instrument(skip_all, fields(network = %self.0.context.network))]
    async fn run(&self) -> Result<(), SessionError> {
        self.0.context.inbox.report(None, Connection::Connecting);
        let result = Arc::clone(&self.0).run_once().await;
        if let Err(error) = &result {
            *locked(&self.0.down) = error.to_string();
            let connection = match error {
                SessionError::Auth(reason) => Connection::AuthLost(reason.clone()),
                other => Connection::Down(other.to_string()),
            };
            self.0.context.inbox.report(None, connection);
        }
        result
    }

    fn capabilities(&self, channel: &ChannelId) -> Capabilities {
        let mut found = common_capabilities(Some(&self.0.section));
        if direct::Pair::read(channel).is_some() {
            found.topic = Support::None;
        }
        found
    }

    async fn deliver(&self, outbound: &Cleared<Outbound>) -> Result<Receipt, DeliveryError> {
        self.0
            .deliver(outbound.get())
            .await
            .map_err(|error| self.0.noted(error))
    }

    async fn find_delivered(&self, channel: &ChannelId, key: &DeliveryKey) -> Result<Option<Receipt>, DeliveryError> {
        self.0.look_for(channel, key).await.map_err(|error| self.0.noted(error))
    }

    async fn open_media(&self, locator: &str) -> Result<Media, MediaError> {
        self.0.open(locator).await
    }

    async fn direct_channel(&self, person: &PersonId, on_behalf: &str) -> Result<ChannelId, DeliveryError> {
        if !self.0.section.direct {
            return Err(unsupported("direct chats are switched off for this workspace"));
        }
        let pair = direct::Pair::of(person, on_behalf);
        pair.and_then(|pair| pair.channel())
            .ok_or_else(|| unsupported("this is no person of the workspace"))
    }

    async fn leave(&self, channel: &ChannelId) -> Result<(), DeliveryError> {
        self.0.leave(channel).await.map_err(|error| self.0.noted(error))
    }

    async fn probe(&self) -> Vec<Probe> {
        self.0.probe_all().await
    }
}

impl Slack {
    /// Opens a file, a picture or one of the workspace's own emoji.
    async fn open(&self, locator: &str) -> Result<Media, MediaError> {
        let limit = self.section.file_limit;
        let (kind, rest) = locator.split_once(' ').ok_or(MediaError::Gone)?;
        match kind {
            "picture" => files::fetch(&self.http, &self.hosts, rest, None, limit).await,
            "emoji" => {
                let url = self.people.emoji_url(rest).ok_or(MediaError::Gone)?;
                files::fetch(&self.http, &self.hosts, &url, None, limit).await
            }
            "file" => {
                let (id, url) = rest.split_once(' ').unwrap_or((rest, ""));
                let token = Some(self.api.bearer());
                if !url.is_empty() {
                    match files::fetch(&self.http, &self.hosts, url, token, limit).await {
                        Err(MediaError::Gone) => {}
                        other => return other,
                    }
                }
                // The address is old: Slack knows the new one.
                let file = self.api.file(id).await.map_err(|error| {
                    if error.is_passing() {
                        MediaError::Retry(error.to_string())
                    } else {
                        MediaError::Gone
                    }
                })?;
                let now = file.url_private_download.or(file.url_private).ok_or(MediaError::Gone)?;
                files::fetch(&self.http, &self.hosts, &now, token, limit).await
            }
            _ => Err(MediaError::Gone),
        }
    }
}

/// Unsupported, in the engine's words.
fn unsupported(reason: &str) -> DeliveryError {
    DeliveryError::new(Failure::Unsupported, reason)
}
