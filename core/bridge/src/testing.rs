//! A small hub for the tests of bridges, beside the conformance kit: an inbox that records each event once, memory that outlives
//! sessions, files whose bytes are their own names, and a session kept running as the engine keeps it.
//!
//! ```ignore
//! let hub = Hub::new("acme");
//! let running = hub.start(&AcmeFactory, &section, &["#project"]).await;
//! running.say("#project", "hello").await;
//! hub.hear("hello yourself").await;
//! running.stop().await;
//! ```
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::missing_panics_doc,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use serde_json::Value;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use viaduct_compliance::{Cleared, Decision, Filter};
use viaduct_model::{
    Author, ChannelId, Clock, Content, Cursor, DeliveryKey, Entropy, Event, Language, MediaRef, Message, MessageId,
    NetworkName, Outbound, Person, PersonId, Place, Receipt, Timestamp,
};

use crate::{
    Connection, Context, DeliveryError, Factory, Inbox, InboxClosed, Media, MediaError, MediaSource, Session,
    SessionError, State, StateError, Ticket,
};

/// How long anything may take.
pub const PATIENCE: Duration = Duration::from_secs(30);
/// The largest value of a session's own memory, in bytes; the contract's bound.
const VALUE_BOUND: usize = 16 * 1024;

/// What a session reported, with the channel it was about.
pub type Report = (Option<ChannelId>, Connection);

/// The machine's clock.
#[derive(Debug)]
pub struct RealClock;

impl Clock for RealClock {
    #[expect(clippy::disallowed_methods, reason = "stand-ins and servers have the machine's time")]
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
        Timestamp(u64::try_from(since.as_millis()).unwrap())
    }
}

/// Chance that can be foretold.
#[derive(Debug, Default)]
pub struct Counting(AtomicU64);

impl Entropy for Counting {
    fn fill(&self, buffer: &mut [u8]) {
        for byte in buffer {
            *byte = self.0.fetch_add(7, Ordering::Relaxed).to_le_bytes()[0];
        }
    }
}

#[derive(Default)]
struct Desk {
    events: Vec<Event>,
    ids: HashSet<(Place, MessageId)>,
    cursors: HashMap<ChannelId, Cursor>,
    reports: Vec<Report>,
    echoes: usize,
}

/// The hub.
pub struct Hub {
    network: NetworkName,
    desk: Mutex<Desk>,
    /// The sessions' memory.
    pub memory: Mutex<BTreeMap<String, Vec<u8>>>,
    changed: watch::Sender<u64>,
    /// How often something was pushed.
    pub pushes: AtomicU64,
    count: AtomicU64,
}

/// A session at work.
pub struct Running {
    /// The hub around it.
    pub hub: Arc<Hub>,
    /// The session.
    pub session: Arc<dyn Session>,
    stop: CancellationToken,
    task: tokio::task::JoinHandle<Result<(), SessionError>>,
}

#[async_trait]
impl Inbox for Hub {
    async fn push(&self, events: Vec<Event>) -> Result<Ticket, InboxClosed> {
        self.pushes.fetch_add(1, Ordering::Relaxed);
        {
            let mut desk = self.desk.lock().unwrap();
            for event in events {
                if let Some(cursor) = &event.cursor {
                    desk.cursors.insert(event.place.channel.clone(), cursor.clone());
                }
                if event.echo_of.is_some() {
                    desk.echoes += 1;
                } else if desk.ids.insert((event.place.clone(), event.id.clone())) {
                    desk.events.push(event);
                }
            }
        }
        self.changed.send_modify(|count| *count += 1);
        let (sender, ticket) = Ticket::new();
        sender.send(()).ok();
        Ok(ticket)
    }

    fn report(&self, channel: Option<&ChannelId>, connection: Connection) {
        self.desk.lock().unwrap().reports.push((channel.cloned(), connection));
        self.changed.send_modify(|count| *count += 1);
    }

    async fn cursor(&self, channel: &ChannelId) -> Option<Cursor> {
        self.desk.lock().unwrap().cursors.get(channel).cloned()
    }
}

#[async_trait]
impl State for Hub {
    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, StateError> {
        Ok(self.memory.lock().unwrap().get(key).cloned())
    }

    async fn scan(&self, prefix: &str) -> Result<Vec<(String, Vec<u8>)>, StateError> {
        let memory = self.memory.lock().unwrap();
        let found = memory.iter().filter(|(key, _)| key.starts_with(prefix));
        Ok(found.map(|(key, value)| (key.clone(), value.clone())).collect())
    }

    async fn put(&self, changes: Vec<(String, Option<Vec<u8>>)>) -> Result<(), StateError> {
        let mut memory = self.memory.lock().unwrap();
        for (key, value) in changes {
            match value {
                Some(value) => {
                    assert!(value.len() <= VALUE_BOUND, "{key} has {} bytes", value.len());
                    memory.insert(key, value)
                }
                None => memory.remove(&key),
            };
        }
        Ok(())
    }
}

#[async_trait]
impl MediaSource for Hub {
    async fn open(&self, media: &MediaRef) -> Result<Media, MediaError> {
        let bytes = bytes::Bytes::from(media.locator.clone().into_bytes());
        Ok(Media {
            mime: None,
            size: Some(bytes.len() as u64),
            name: None,
            stream: Box::pin(futures_util::stream::once(async move { Ok(bytes) })),
        })
    }

    fn link(&self, media: &MediaRef, name: &str) -> Option<String> {
        let path = media.locator.replace("://", "/");
        Some(format!("https://files.example/{path}/{name}"))
    }
}

impl Hub {
    /// A hub with one network.
    pub fn new(network: &str) -> Arc<Self> {
        Arc::new(Self {
            network: NetworkName::new(network).unwrap(),
            desk: Mutex::default(),
            memory: Mutex::default(),
            changed: watch::Sender::new(0),
            pushes: AtomicU64::new(0),
            count: AtomicU64::new(0),
        })
    }

    /// Opens and starts a session, and waits until it is up.
    pub async fn start(self: &Arc<Self>, factory: &dyn Factory, section: &Value, channels: &[&str]) -> Running {
        let running = self.open(factory, section, channels).await;
        self.until("the session is up", |_, reports| {
            let last = reports.iter().rev().find(|(channel, _)| channel.is_none());
            matches!(last, Some((_, Connection::Up))).then_some(())
        })
        .await;
        running
    }

    /// Opens and starts a session. It is started again whenever it ends by itself.
    pub async fn open(self: &Arc<Self>, factory: &dyn Factory, section: &Value, channels: &[&str]) -> Running {
        self.desk.lock().unwrap().reports.clear();
        let stop = CancellationToken::new();
        let context = Context {
            network: self.network.clone(),
            channels: channels.iter().map(|name| ChannelId::new(*name).unwrap()).collect(),
            inbox: Arc::clone(self) as Arc<dyn Inbox>,
            state: Arc::clone(self) as Arc<dyn State>,
            media: Arc::clone(self) as Arc<dyn MediaSource>,
            clock: Arc::new(RealClock),
            entropy: Arc::new(Counting::default()),
            language: Language::default(),
            stop: stop.clone(),
        };
        let session = factory.open(section.clone(), context).await.unwrap();
        let (running, ending) = (Arc::clone(&session), stop.clone());
        let task = tokio::spawn(async move {
            loop {
                let result = running.run().await;
                if ending.is_cancelled() {
                    return result;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        });
        Running {
            hub: Arc::clone(self),
            session,
            stop,
            task,
        }
    }

    /// Waits until something is so, and gives it.
    pub async fn until<T>(&self, what: &str, mut look: impl FnMut(&[Event], &[Report]) -> Option<T>) -> T {
        let mut changes = self.changed.subscribe();
        let waiting = async {
            loop {
                changes.mark_unchanged();
                let found = {
                    let desk = self.desk.lock().unwrap();
                    look(&desk.events, &desk.reports)
                };
                if let Some(found) = found {
                    return found;
                }
                changes.changed().await.unwrap();
            }
        };
        let found = tokio::time::timeout(PATIENCE, waiting).await;
        found.unwrap_or_else(|_| {
            let desk = self.desk.lock().unwrap();
            let last: Vec<_> = desk.events.iter().rev().take(10).collect();
            panic!(
                "not so: {what}; the last events: {last:#?}; reports: {:?}",
                desk.reports
            )
        })
    }

    /// Waits for a message with this text.
    pub async fn hear(&self, text: &str) -> Event {
        self.until(text, |events, _| {
            let found = events.iter().find(|event| plain(event).as_deref() == Some(text));
            found.cloned()
        })
        .await
    }

    /// What came in, each event once, in order; without our own echoes.
    pub fn events(&self) -> Vec<Event> {
        self.desk.lock().unwrap().events.clone()
    }

    /// The texts of the messages that came in.
    pub fn texts(&self) -> Vec<String> {
        self.events().iter().filter_map(plain).collect()
    }

    /// How many events came in of which this holds.
    pub fn count(&self, wanted: impl Fn(&Event) -> bool) -> usize {
        let desk = self.desk.lock().unwrap();
        desk.events.iter().filter(|event| wanted(event)).count()
    }

    /// How many events were echoes of our own deliveries.
    pub fn echoes(&self) -> usize {
        self.desk.lock().unwrap().echoes
    }

    /// What the session reported.
    pub fn reports(&self) -> Vec<Report> {
        self.desk.lock().unwrap().reports.clone()
    }

    /// Something on its way to a channel, from Anna.
    pub fn outbound(&self, channel: &str, content: Content) -> Outbound {
        self.outbound_of("anna", channel, content)
    }

    /// Something on its way to a channel.
    pub fn outbound_of(&self, name: &str, channel: &str, content: Content) -> Outbound {
        let number = self.count.fetch_add(1, Ordering::Relaxed);
        let from = Place::new(NetworkName::matrix(), ChannelId::new("!room:example.org").unwrap());
        let to = Place::new(self.network.clone(), ChannelId::new(channel).unwrap());
        let id = MessageId::new(format!("${number}")).unwrap();
        Outbound {
            key: DeliveryKey::derive(&from, &id, &to),
            to,
            from,
            author: Author {
                person: Person {
                    network: NetworkName::matrix(),
                    id: PersonId::new(format!("@{name}:example.org")).unwrap(),
                    name: name.to_owned(),
                    avatar: Some(MediaRef {
                        network: NetworkName::matrix(),
                        locator: "mxc://example.org/face".to_owned(),
                    }),
                    organisation: None,
                    bot: false,
                },
                display: name.to_owned(),
            },
            at: RealClock.now(),
            content,
            parts: Vec::new(),
        }
    }
}

/// The text of a message's event.
pub fn plain(event: &Event) -> Option<String> {
    event.content.message().map(|message| message.body.to_plain())
}

/// Clears something as the policy does that refuses nothing.
pub fn clear(outbound: Outbound) -> Cleared<Outbound> {
    match Filter::default().decide(outbound) {
        Decision::Pass { outbound, .. } => *outbound,
        _ => panic!("nothing is refused here"),
    }
}

impl Running {
    /// Delivers something once.
    ///
    /// # Errors
    ///
    /// The session's own.
    pub async fn deliver(&self, outbound: Outbound) -> Result<Receipt, DeliveryError> {
        self.session.deliver(&clear(outbound)).await
    }

    /// Says something in a channel; gives its id.
    pub async fn say(&self, channel: &str, text: &str) -> MessageId {
        let outbound = self.hub.outbound(channel, Content::Message(Message::plain(text)));
        self.deliver(outbound).await.unwrap().ids.remove(0)
    }

    /// Ends it in good order, in the time that the contract gives.
    pub async fn stop(self) {
        self.stop.cancel();
        let ended = tokio::time::timeout(Duration::from_secs(5), self.task).await;
        ended.expect("it ends in time").unwrap().unwrap();
    }

    /// Ends it without a goodbye.
    pub fn kill(self) {
        self.stop.cancel();
        self.task.abort();
    }
}
