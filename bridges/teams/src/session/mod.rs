//! The contract: one session a tenant.
//!
//! ```text
//!  requests ──▶ intake (token, tenant) ──▶ (channel's gate) ──▶ inbound ──▶ Inbox ──▶ 200
//!  Graph ──▶ sweep ─────────────────────────────┘
//!  deliver ──▶ outbound, files ──▶ connector
//! ```
//!
//! | module | does |
//! |---|---|
//! | `run` | one run: credentials, channels, the listener, sweeps, until it ends |
//! | `channels`, `told` | what is known of each channel and was told of it, and the gate before it |
//! | `intake` | one request: believed, told, stored, answered |
//! | `inbound`, `about` | one activity → what was said, or happened |
//! | `order` | what was said before a message and got lost |
//! | `direct` | chats between two people |
//! | `notices` | Graph's notifications |
//! | `history`, `sweep` | what Graph shows as changed since the last time: read, and told |
//! | `outbound`, `pieces`, `changes`, `reactions`, `files` | deliveries |
//! | `logins`, `echo` | people who let the app act in their name, and what comes back of it |
//! | `leave` | the end of a mirror |
//! | `lookup` | whether a delivery arrived |
//! | `people` | who people are |
//! | `probes` | what `doctor` should know |

mod about;
mod changes;
pub mod channels;
mod direct;
mod echo;
mod files;
mod history;
mod inbound;
mod intake;
mod leave;
mod logins;
mod lookup;
mod notices;
mod order;
mod outbound;
pub mod people;
mod pieces;
mod probes;
mod reactions;
mod run;
mod sweep;
mod told;

use std::collections::{BTreeMap, HashMap};
use std::num::NonZeroUsize;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use lru::LruCache;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use viaduct_bridge::{
    Connection, Context, DeliveryError, Failure, Media, MediaError, OpenError, Probe, Session, SessionError,
};
use viaduct_compliance::Cleared;
use viaduct_model::{Capabilities, ChannelId, DeliveryKey, Lookup, NetworkName, Outbound, PersonId, Receipt, Support};

use crate::client::door::Doors;
use crate::client::keys::Keys;
use crate::client::sealed::Seal;
use crate::client::token::{CHANNEL, Expected};
use crate::client::wire::Wire;
use crate::config::{Files, Section};
use crate::convert::render::World;
use crate::convert::said::{People, Who};
use channels::{Channel, spelled};
use people::Everybody;

/// The largest text of one message that is posted, in bytes of XML; Teams wants fewer than some 28 KiB.
pub(crate) const TEXT: usize = 24 * 1024;
/// How many deliveries that stopped half-way are remembered.
const PARTIAL: NonZeroUsize = NonZeroUsize::new(256).unwrap();

/// A session of one tenant.
pub struct Teams {
    context: Context,
    section: Section,
    wire: Wire,
    keys: Keys,
    graph_keys: Keys,
    /// The certificate of this run for Graph's notifications.
    seal: Mutex<Option<Arc<Seal>>>,
    /// Rung when a subscription has to be seen to.
    subscribing: Notify,
    doors: Arc<Doors>,
    channels: Vec<Arc<Channel>>,
    people: Everybody,
    /// Whether deliveries can be made; why not.
    down: Mutex<Option<String>>,
    /// Why Microsoft no longer accepts the app.
    auth_lost: Mutex<Option<String>>,
    auth_changed: Notify,
    /// Rung when a delivery met silence.
    suspicion: Notify,
    /// Reactions are counted one after the other.
    counting: tokio::sync::Mutex<()>,
    /// Deliveries that stopped half-way: the parts that arrived, by their number.
    partial: Mutex<LruCache<String, BTreeMap<usize, String>>>,
    /// The last deliveries of each channel, until they are kept with the next.
    begun: Mutex<HashMap<ChannelId, Vec<lookup::Begun>>>,
    /// What is remembered of deliveries is kept one after the other.
    keeping: tokio::sync::Mutex<()>,
    /// What people did in their own names lately.
    doings: Mutex<echo::Doings>,
    logins: logins::Logins,
    /// The conversations of people with the bot.
    chats: Mutex<HashMap<String, Arc<direct::Chat>>>,
    /// Why these cannot be read.
    chats_unread: Mutex<Option<String>>,
    /// When it is asked whether something was missed, in all channels.
    checks: Mutex<order::Turns>,
    kept: AtomicU64,
    /// Cancelled when the run at work ends: what waits then is answered at once.
    running: Mutex<CancellationToken>,
}

pub(crate) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Teams {
    /// A session that is not yet connected.
    ///
    /// # Errors
    ///
    /// [`OpenError`] says what is wrong with the section.
    pub fn new(section: Section, doors: Arc<Doors>, context: Context) -> Result<Arc<Self>, OpenError> {
        if let Some(channel) = context.channels.iter().find(|channel| spelled(channel).is_none()) {
            return Err(OpenError(format!(
                "{channel} is not a channel; write its id (19:…), or its team and its name with a / between them"
            )));
        }
        let configured = section.logins().map_err(|error| OpenError(error.to_string()))?;
        let (clock, entropy) = (Arc::clone(&context.clock), Arc::clone(&context.entropy));
        let wire = Wire::new(&section, clock, entropy, context.stop.clone()).map_err(OpenError)?;
        let http = wire.http.clone();
        let directory = format!("{}/v2.0/.well-known/openid-configuration", section.tenant);
        let directory = wire
            .addresses
            .login
            .join(&directory)
            .map_err(|error| OpenError(error.to_string()))?;
        let channels = context
            .channels
            .iter()
            .map(|spelling| Arc::new(Channel::new(&context.network, spelling)));
        let expected = Expected {
            app_id: section.app_id.clone(),
            tenant: section.tenant.clone(),
            issuers: vec![wire.addresses.issuer.clone()],
            endorsement: Some(CHANNEL),
            publisher: None,
        };
        let from_graph = Expected {
            issuers: section.notification_issuers(),
            endorsement: None,
            publisher: Some(wire.addresses.notifier.clone()),
            ..expected.clone()
        };
        Ok(Arc::new(Self {
            channels: channels.collect(),
            keys: Keys::new(http.clone(), wire.addresses.openid.clone(), expected),
            graph_keys: Keys::new(http, directory, from_graph),
            seal: Mutex::default(),
            subscribing: Notify::new(),
            people: Everybody::new(context.network.clone(), &section.tenant),
            down: Mutex::new(Some("not connected yet".to_owned())),
            auth_lost: Mutex::default(),
            auth_changed: Notify::new(),
            suspicion: Notify::new(),
            counting: tokio::sync::Mutex::default(),
            partial: Mutex::new(LruCache::new(PARTIAL)),
            begun: Mutex::default(),
            keeping: tokio::sync::Mutex::default(),
            doings: Mutex::default(),
            logins: logins::logins(configured, &context.state),
            chats: Mutex::default(),
            chats_unread: Mutex::default(),
            checks: Mutex::default(),
            kept: AtomicU64::new(0),
            running: Mutex::default(),
            doors,
            wire,
            section,
            context,
        }))
    }

    /// The channel that the operator spells so.
    fn channel(&self, spelling: &ChannelId) -> Option<&Arc<Channel>> {
        self.channels.iter().find(|channel| channel.spelling == *spelling)
    }

    /// Whether somebody is the bot itself.
    fn is_own(&self, who: &Who) -> bool {
        who.app
            .as_deref()
            .is_some_and(|app| app.eq_ignore_ascii_case(&self.section.app_id))
    }

    /// Takes note of an error that a delivery met.
    fn noted(&self, error: DeliveryError) -> DeliveryError {
        if error.failure == Failure::AuthLost {
            *locked(&self.auth_lost) = Some(error.reason.clone());
            self.auth_changed.notify_one();
        }
        if matches!(error.failure, Failure::UnknownOutcome | Failure::Retry(None)) {
            self.suspicion.notify_one();
        }
        error
    }

    /// Whether deliveries can be made.
    fn ready(&self) -> Result<(), DeliveryError> {
        if self.context.stop.is_cancelled() {
            return Err(DeliveryError::retry("the session has ended"));
        }
        if let Some(reason) = &*locked(&self.auth_lost) {
            return Err(DeliveryError::new(Failure::AuthLost, reason.clone()));
        }
        match &*locked(&self.down) {
            Some(reason) => Err(DeliveryError::retry(format!("not connected: {reason}"))),
            None => Ok(()),
        }
    }
}

impl World for Teams {
    fn network(&self) -> &NetworkName {
        &self.context.network
    }

    fn address(&self, person: &str) -> Option<String> {
        self.people.address(person)
    }
}

impl People for Teams {
    fn network(&self) -> &NetworkName {
        &self.context.network
    }

    fn person(&self, who: &Who) -> Option<(NetworkName, PersonId)> {
        // The bot stands for the other sides, and is nobody to be addressed there.
        let id = self.people.id(who).filter(|_| !self.is_own(who))?;
        let there = self.on_matrix(id.as_str()).and_then(|there| PersonId::new(there).ok());
        Some(match there {
            Some(there) => (NetworkName::matrix(), there),
            None => (self.context.network.clone(), id),
        })
    }
}

/// What a channel can express, as far as it is known without connecting.
pub(crate) fn common_capabilities(section: Option<&Section>, chat: bool) -> Capabilities {
    let upload = section.is_none_or(|section| section.files == Files::Upload) && !chat;
    let in_teams = if chat { Support::None } else { Support::Native };
    Capabilities {
        edit: Support::Native,
        delete: Support::Native,
        reply: in_teams,
        thread: in_teams,
        reaction: if section.is_none_or(|section| section.reactions) {
            Support::Native
        } else {
            Support::None
        },
        formatting: Support::Native,
        mention: Support::Native,
        file: if upload { Support::Native } else { Support::Fallback },
        file_limit: section.map(|section| section.file_limit),
        text_limit: Some(TEXT as u64),
        puppet: Support::Fallback,
        history: Support::Native,
        direct: if section.is_none_or(|section| section.direct) {
            Support::Native
        } else {
            Support::None
        },
        lookup: Lookup::Queryable,
        ..Capabilities::default()
    }
}

/// A session, as the engine holds it.
pub struct TeamsSession(pub Arc<Teams>);

#[async_trait]
impl Session for TeamsSession {
    #[tracing::instrument(skip_all, fields(network = %self.0.context.network))]
    async fn run(&self) -> Result<(), SessionError> {
        self.0.context.inbox.report(None, Connection::Connecting);
        let result = Arc::clone(&self.0).run_once().await;
        let reason = result
            .as_ref()
            .err()
            .map_or_else(|| "the session has ended".to_owned(), ToString::to_string);
        *locked(&self.0.down) = Some(reason.clone());
        match &result {
            Ok(()) => {}
            Err(SessionError::Auth(reason)) => {
                self.0.context.inbox.report(None, Connection::AuthLost(reason.clone()));
            }
            Err(_) => self.0.context.inbox.report(None, Connection::Down(reason)),
        }
        result
    }

    fn capabilities(&self, channel: &ChannelId) -> Capabilities {
        let mirrored = self.0.channel(channel);
        let direct = mirrored.is_none() && direct::Pair::read(channel).is_some();
        let chat = direct || mirrored.is_some_and(|channel| channel.is_chat());
        let mut found = common_capabilities(Some(&self.0.section), chat);
        // Without the permission to read it, nobody can say whether something arrived there.
        if direct && locked(&self.0.chats_unread).is_some() {
            found.lookup = Lookup::None;
            found.history = Support::None;
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
            return Err(DeliveryError::new(
                Failure::Unsupported,
                "direct chats are switched off for this tenant",
            ));
        }
        let pair = direct::Pair::of(person, on_behalf);
        let pair = pair.ok_or_else(|| DeliveryError::new(Failure::Unsupported, "this is no person of the tenant"))?;
        self.0.wanted_chat(&pair).await
    }

    async fn leave(&self, channel: &ChannelId) -> Result<(), DeliveryError> {
        self.0.leave(channel).await
    }

    async fn probe(&self) -> Vec<Probe> {
        self.0.probe_all().await
    }
}
