//! The contract: one reader connection that sees everything, and a puppet for each person who speaks.
//!
//! ```text
//!  reader ──▶ incoming ──▶ Inbox              (only the reader's view of a channel is pushed)
//!  deliver ──▶ puppets ──▶ the author's connection, or the reader with "<name> text"
//! ```
//!
//! | module | does |
//! |---|---|
//! | [`factory`] | the kind, its schema, opening a session |
//! | `reader` | connects, joins, rejoins, reconnects |
//! | `incoming` | lines of the server to events |
//! | `identify` | logs in by a message to a service |
//! | `pool` | which puppets there are, and whose each nick is |
//! | `puppets` | makes puppets and brings them into channels |
//! | `watch` | what the server says to puppets |
//! | `deliver` | events to lines, and what the server made of them |
//! | `phrase` | what an event says, in IRC's words |
//! | `leave` | leaving a channel for good |
//! | `moderate` | memberships, roles and topics on their way out |
//! | `probe` | what `doctor` should know |
//! | [`roster`] | who is where |
//! | [`user`] | somebody, and what is known of them |
//! | [`recent`] | what was said lately |

mod deliver;
pub mod factory;
mod identify;
mod incoming;
mod leave;
mod moderate;
mod phrase;
mod pool;
mod probe;
mod puppets;
mod reader;
pub mod recent;
pub mod roster;
pub mod time;
pub mod user;
mod watch;

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use encoding_rs::Encoding;
use viaduct_bridge::{Context, DeliveryError, Failure, Probe, Session, SessionError};
use viaduct_compliance::Cleared;
use viaduct_model::{
    Capabilities, ChannelId, Lookup, MessageId, NetworkName, Outbound, Person, PersonId, Receipt, Support, Timestamp,
};

use crate::client::dial::{Dialer, Ports};
use crate::client::register::{Identity, Login, READER_CAPABILITIES};
use crate::client::{ConnectError, Connection, Settings, Unheard};
use crate::config::{Identify, Off, Pacing, Secret, Section};
use crate::metrics::Meters;
use pool::Pool;
use recent::Recent;
use roster::Roster;
use user::User;

/// A session of one IRC network.
#[derive(Clone)]
pub struct IrcSession {
    shared: Arc<Shared>,
}

/// The secrets of a section, read once.
#[derive(Debug, Clone, Default)]
pub(crate) struct Secrets {
    password: Option<Secret>,
    sasl: Option<Secret>,
    nickserv: Option<Secret>,
    webirc: Option<Secret>,
    keys: HashMap<String, Secret>,
}

/// What all parts of a session share.
pub(crate) struct Shared {
    context: Context,
    section: Section,
    secrets: Secrets,
    dialer: Dialer,
    encoding: &'static Encoding,
    reader: Mutex<Option<Arc<Connection>>>,
    roster: Mutex<Roster>,
    recent: Mutex<Recent>,
    /// What is wrong with single channels, by their folded name.
    problems: Mutex<HashMap<String, String>>,
    /// Why the reader is not connected, once it has tried.
    down: Mutex<Option<ConnectError>>,
    /// What is wrong with the login at the service; empty if nothing.
    account: Mutex<String>,
    pool: Arc<Pool>,
    meters: Meters,
    /// Folded nicks that puppets of earlier runs had.
    former: Mutex<HashSet<String>>,
    ident: Arc<crate::ident::Table>,
    /// Makes ids of this run differ from those of any other.
    nonce: String,
    counter: AtomicU64,
}

pub(crate) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    fn new(section: Section, secrets: Secrets, dialer: Dialer, encoding: &'static Encoding, context: Context) -> Self {
        let mut nonce = [0; 6];
        context.entropy.fill(&mut nonce);
        let nonce = format!(
            "{:x}",
            nonce.iter().fold(0_u64, |all, byte| (all << 8) | u64::from(*byte))
        );
        let mut roster = Roster::new(section.identify == Identify::Account);
        for channel in &context.channels {
            roster.add_channel(channel.clone());
        }
        Self {
            section,
            secrets,
            dialer,
            encoding,
            reader: Mutex::default(),
            roster: Mutex::new(roster),
            recent: Mutex::default(),
            problems: Mutex::default(),
            down: Mutex::default(),
            account: Mutex::default(),
            pool: Arc::default(),
            meters: Meters::new(),
            former: Mutex::default(),
            ident: Arc::default(),
            nonce,
            counter: AtomicU64::new(0),
            context,
        }
    }

    /// The reader's connection, while it lives.
    fn reader(&self) -> Option<Arc<Connection>> {
        locked(&self.reader)
            .clone()
            .filter(|connection| connection.ended().is_none())
    }

    /// The channels to be in: those that were given, but for those that were left for good.
    fn channels(&self) -> Vec<ChannelId> {
        let roster = locked(&self.roster);
        let kept = |channel: &&ChannelId| roster.channel_ref(channel.as_str()).is_some();
        self.context.channels.iter().filter(kept).cloned().collect()
    }

    /// Whether it can be shown that somebody types: by a puppet of theirs, where the server passes tags on.
    fn shows_typing(&self, reader: &Connection) -> bool {
        self.section.puppets.enabled && reader.has("message-tags")
    }

    /// An id that no other message has or will have.
    fn made_id(&self, at: Timestamp) -> Option<MessageId> {
        let number = self.counter.fetch_add(1, Ordering::Relaxed);
        MessageId::new(format!("{:x}.{}.{number:x}", at.as_millis(), self.nonce)).ok()
    }

    /// A person of this network.
    fn person(&self, user: &User) -> Person {
        Person {
            network: self.context.network.clone(),
            id: user.id.clone(),
            name: self.display(user),
            avatar: None,
            organisation: None,
            bot: user.details.bot,
        }
    }

    /// Whether people must not be told of before it is known who they are beside their nicks.
    fn needs_details(&self) -> bool {
        self.section.identify == Identify::Account || self.section.display != "{nick}"
    }

    /// Drops the words of puppets, for everybody else knows them already, and tells the puppets that they were seen.
    /// History is for reading whole.
    fn words_of_puppets(&self) -> Unheard {
        let pool = Arc::clone(&self.pool);
        Arc::new(move |seen, isupport| {
            matches!(seen.command, "PRIVMSG" | "NOTICE")
                && !seen.batched
                && isupport.is_channel(seen.rest)
                && pool.spoke(&isupport.casemapping.fold(seen.source), seen.rest)
        })
    }

    /// How connections of this network are made, apart from who they are for.
    fn settings(&self, identity: Identity, unheard: Unheard) -> Settings {
        let ident = Arc::clone(&self.ident);
        let user = identity.user.clone();
        Settings {
            dialer: self.dialer.clone(),
            identity,
            encoding: self.encoding,
            pacing: match self.section.pacing {
                Pacing::Off(Off::Off) => None,
                Pacing::Paced(rate) => Some((rate.burst, rate.rate)),
            },
            timeout: self.section.timeout(),
            ping: Duration::from_secs(self.section.connect.ping.max(1)),
            unheard,
            witnessed: false,
            on_ports: Arc::new(move |ports: Ports| ident.add(ports, &user)),
        }
    }

    fn webirc(&self, localpart: &str, domain: &str) -> Option<(Secret, String, String, String)> {
        let webirc = self.section.webirc.as_ref()?;
        let secret = self.secrets.webirc.clone()?;
        let host = webirc
            .hostname
            .replace("{localpart}", localpart)
            .replace("{domain}", domain);
        // The hub has no domain, and nobody's host has empty parts.
        let parts: Vec<&str> = host.split('.').filter(|part| !part.is_empty()).collect();
        Some((secret, webirc.gateway.clone(), parts.join("."), webirc.address.clone()))
    }

    fn reader_identity(&self) -> Identity {
        let wanted = self.section.nick.clone();
        Identity {
            nick: Arc::new(move |attempt| match attempt {
                0 => wanted.clone(),
                1 => format!("{wanted}_"),
                more => format!("{wanted}_{more}"),
            }),
            user: self.section.user.clone(),
            realname: self.section.realname.clone(),
            password: self.secrets.password.clone(),
            login: self.section.sasl.as_ref().map(|sasl| Login {
                mechanism: sasl.mechanism,
                account: sasl.account.clone(),
                password: self.secrets.sasl.clone(),
            }),
            webirc: self.webirc(&self.section.user.to_lowercase(), ""),
            capabilities: READER_CAPABILITIES,
        }
    }
}

/// A conversation between a person here and a Matrix person, as a channel id: `nick:@user:domain`.
pub(crate) fn direct_id(person: &str, matrix: &str) -> Option<ChannelId> {
    ChannelId::new(format!("{person}:{matrix}")).ok()
}

/// Takes such an id apart into the person here and the Matrix person.
pub(crate) fn direct_parts(channel: &ChannelId) -> Option<(PersonId, String)> {
    let (person, matrix) = channel.as_str().split_once(":@")?;
    (!crate::config::is_channel(person)).then_some(())?;
    Some((PersonId::new(person).ok()?, format!("@{matrix}")))
}

/// What any IRC channel can express, as far as it is known without connecting.
pub(crate) fn common_capabilities(section: Option<&Section>) -> Capabilities {
    let puppets = section.is_none_or(|section| section.puppets.enabled);
    Capabilities {
        edit: Support::Fallback,
        delete: Support::Fallback,
        reply: Support::Fallback,
        thread: Support::Fallback,
        reaction: Support::Fallback,
        formatting: Support::Native,
        mention: Support::Native,
        file: Support::Fallback,
        line_limit: Some(section.map_or(5, |section| section.line_limit)),
        topic: Support::Native,
        membership: if puppets { Support::Native } else { Support::None },
        moderation: Support::Native,
        role: Support::Native,
        puppet: if puppets { Support::Native } else { Support::Fallback },
        direct: Support::Native,
        lookup: Lookup::None,
        ..Capabilities::default()
    }
}

#[async_trait]
impl Session for IrcSession {
    async fn run(&self) -> Result<(), SessionError> {
        reader::run(&self.shared).await
    }

    fn capabilities(&self, channel: &ChannelId) -> Capabilities {
        let mut found = common_capabilities(Some(&self.shared.section));
        if direct_parts(channel).is_some() {
            found.topic = Support::None;
            found.membership = Support::None;
            found.moderation = Support::None;
            found.role = Support::None;
        }
        if let Some(reader) = self.shared.reader() {
            found.typing = if self.shared.shows_typing(&reader) {
                Support::Native
            } else {
                Support::None
            };
            found.history = if reader.has("draft/chathistory") {
                Support::Native
            } else {
                Support::None
            };
        }
        found
    }

    async fn prepare(&self, outbound: &Cleared<Outbound>) {
        let channel = &outbound.to.channel;
        let joined = locked(&self.shared.roster)
            .channel_ref(channel.as_str())
            .is_some_and(|known| known.joined);
        if joined && outbound.content.message().is_some() {
            drop(
                self.shared
                    .puppet(&outbound.author.person, &outbound.author.display, Some(channel))
                    .await,
            );
        }
    }

    async fn deliver(&self, outbound: &Cleared<Outbound>) -> Result<Receipt, DeliveryError> {
        deliver::deliver(&self.shared, outbound.get()).await
    }

    async fn direct_channel(&self, person: &PersonId, on_behalf: &str) -> Result<ChannelId, DeliveryError> {
        direct_id(person.as_str(), on_behalf)
            .filter(|channel| direct_parts(channel).is_some())
            .ok_or_else(|| DeliveryError::new(Failure::Unsupported, "this person cannot be spoken to directly"))
    }

    async fn leave(&self, channel: &ChannelId) -> Result<(), DeliveryError> {
        leave::leave(&self.shared, channel).await;
        Ok(())
    }

    async fn probe(&self) -> Vec<Probe> {
        probe::probe(&self.shared).await
    }
}

/// Whether a network is the one of a session.
pub(crate) fn is_ours(shared: &Shared, network: &NetworkName) -> bool {
    *network == shared.context.network
}
