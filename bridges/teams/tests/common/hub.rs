//! A small hub: an inbox that records each event once, and memory that outlives sessions.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use serde_json::Value;
use tokio_util::sync::CancellationToken;
use viaduct_bridge::{
    Connection, Context, DeliveryError, Factory, Failure, Inbox, InboxClosed, Media, MediaError, MediaSource, Session,
    State, StateError, Ticket,
};
use viaduct_compliance::{Decision, Filter};
use viaduct_model::{
    Attachment, AttachmentKind, Author, ChannelId, Clock, Content, Cursor, DeliveryKey, Entropy, Event, Language,
    MediaRef, MessageId, NetworkName, Outbound, Person, PersonId, Place, Receipt, Timestamp,
};
use viaduct_teams::TeamsFactory;

/// How long anything may take.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// The time, which a test may put forward.
#[derive(Debug, Default)]
pub struct TestClock(AtomicU64);

impl TestClock {
    /// It is later by so many milliseconds.
    pub fn forward(&self, millis: u64) {
        self.0.fetch_add(millis, Ordering::Relaxed);
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
        let now = u64::try_from(since.as_millis()).unwrap();
        Timestamp(now + self.0.load(Ordering::Relaxed))
    }
}

#[derive(Debug, Default)]
struct Counting(AtomicU8);

impl Entropy for Counting {
    fn fill(&self, buffer: &mut [u8]) {
        for byte in buffer {
            *byte = self.0.fetch_add(7, Ordering::Relaxed);
        }
    }
}

/// What reached the hub.
#[derive(Default)]
pub struct Hub {
    events: Mutex<Vec<Event>>,
    ids: Mutex<HashSet<(ChannelId, MessageId)>>,
    cursors: Mutex<HashMap<ChannelId, Cursor>>,
    memory: Mutex<BTreeMap<String, Vec<u8>>>,
    up: Mutex<bool>,
    channels: Mutex<HashMap<ChannelId, Connection>>,
    pub clock: Arc<TestClock>,
    pub language: Mutex<Language>,
    /// Files of other sides, by their locator.
    files: Mutex<HashMap<String, Vec<u8>>>,
    /// Whether files are published.
    pub published: Mutex<bool>,
    count: AtomicU64,
}

#[async_trait]
impl Inbox for Hub {
    async fn push(&self, events: Vec<Event>) -> Result<Ticket, InboxClosed> {
        for event in events {
            let channel = event.place.channel.clone();
            if let Some(cursor) = &event.cursor {
                self.cursors.lock().unwrap().insert(channel.clone(), cursor.clone());
            }
            if self.ids.lock().unwrap().insert((channel, event.id.clone())) {
                self.events.lock().unwrap().push(event);
            }
        }
        let (sender, ticket) = Ticket::new();
        sender.send(()).ok();
        Ok(ticket)
    }

    fn report(&self, channel: Option<&ChannelId>, connection: Connection) {
        match channel {
            None => *self.up.lock().unwrap() = connection == Connection::Up,
            Some(channel) => drop(self.channels.lock().unwrap().insert(channel.clone(), connection)),
        }
    }

    async fn cursor(&self, channel: &ChannelId) -> Option<Cursor> {
        self.cursors.lock().unwrap().get(channel).cloned()
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
                    assert!(value.len() <= 16 * 1024, "{key} has {} bytes", value.len());
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
        let files = self.files.lock().unwrap();
        let bytes = files.get(&media.locator).cloned().ok_or(MediaError::Gone)?;
        let size = bytes.len() as u64;
        let stream = futures_util::stream::iter([Ok(bytes.into())]);
        Media::within(u64::MAX, None, Some(size), stream)
    }

    fn link(&self, media: &MediaRef, name: &str) -> Option<String> {
        let published = *self.published.lock().unwrap();
        published.then(|| format!("http://127.0.0.1:9/files/{}/{name}", media.locator))
    }
}

impl Hub {
    /// The texts of the messages so far, in the order in which they came.
    pub fn texts(&self) -> Vec<String> {
        let events = self.events.lock().unwrap();
        let messages = events
            .iter()
            .filter(|event| matches!(event.content, Content::Message(_)));
        messages
            .map(|event| event.content.message().unwrap().body.to_plain())
            .collect()
    }

    /// What happened so far.
    pub fn events(&self) -> Vec<Event> {
        self.events.lock().unwrap().clone()
    }

    /// Waits for a message with this text.
    pub async fn hear(&self, text: &str) -> Event {
        let is = |event: &Event| {
            matches!(event.content, Content::Message(_)) && event.content.message().unwrap().body.to_plain() == text
        };
        self.until(text, |hub| hub.count(is) > 0).await;
        self.events().into_iter().find(is).unwrap()
    }

    /// How a channel stands, as it was told last.
    pub fn standing(&self, channel: &str) -> Option<Connection> {
        self.channels
            .lock()
            .unwrap()
            .get(&ChannelId::new(channel).unwrap())
            .cloned()
    }

    /// What the session remembers under a key.
    pub fn memory(&self, key: &str) -> Option<Vec<u8>> {
        self.memory.lock().unwrap().get(key).cloned()
    }

    /// A file of another side.
    pub fn add_file(&self, name: &str, mime: &str, kind: AttachmentKind, bytes: &[u8]) -> Attachment {
        let locator = format!("mxc-{name}");
        self.files.lock().unwrap().insert(locator.clone(), bytes.to_vec());
        Attachment {
            media: MediaRef {
                network: NetworkName::matrix(),
                locator,
            },
            name: name.to_owned(),
            mime: Some(mime.to_owned()),
            size: Some(bytes.len() as u64),
            kind,
            dimensions: None,
            duration: None,
            spoiler: false,
        }
    }

    /// Something on its way to a channel, from this Matrix person.
    pub fn outbound(&self, name: &str, channel: &str, content: Content) -> Outbound {
        let number = self.count.fetch_add(1, Ordering::Relaxed);
        let from = Place::new(NetworkName::matrix(), ChannelId::new("!room:example.org").unwrap());
        let to = Place::new(NetworkName::new("acme").unwrap(), ChannelId::new(channel).unwrap());
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
                        locator: format!("face-of-{name}"),
                    }),
                    organisation: None,
                    bot: false,
                },
                display: name.to_owned(),
            },
            at: self.clock.now(),
            content,
            parts: Vec::new(),
        }
    }

    /// How many events there are of which this holds.
    pub fn count(&self, wanted: impl Fn(&Event) -> bool) -> usize {
        self.events.lock().unwrap().iter().filter(|event| wanted(event)).count()
    }

    /// Waits until something holds.
    pub async fn until(&self, what: &str, holds: impl Fn(&Self) -> bool) {
        let wait = async {
            while !holds(self) {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        let waited = tokio::time::timeout(PATIENCE, wait).await;
        assert!(waited.is_ok(), "{what}: not within {PATIENCE:?}; {:?}", self.texts());
    }
}

/// A session at work.
pub struct Running {
    pub hub: Arc<Hub>,
    pub session: Arc<dyn Session>,
    stop: CancellationToken,
    task: tokio::task::JoinHandle<()>,
}

impl Running {
    /// Opens a session for these channels, which does not run.
    pub async fn open(
        factory: &TeamsFactory,
        name: &str,
        section: Value,
        channels: &[&str],
        hub: &Arc<Hub>,
    ) -> Arc<dyn Session> {
        Self::open_until(factory, name, section, channels, hub, CancellationToken::new()).await
    }

    async fn open_until(
        factory: &TeamsFactory,
        name: &str,
        section: Value,
        channels: &[&str],
        hub: &Arc<Hub>,
        stop: CancellationToken,
    ) -> Arc<dyn Session> {
        let context = Context {
            network: NetworkName::new(name).unwrap(),
            channels: channels
                .iter()
                .map(|channel| ChannelId::new(channel).unwrap())
                .collect(),
            inbox: Arc::clone(hub) as Arc<dyn Inbox>,
            state: Arc::clone(hub) as Arc<dyn State>,
            media: Arc::clone(hub) as Arc<dyn MediaSource>,
            clock: Arc::clone(&hub.clock) as Arc<dyn Clock>,
            entropy: Arc::new(Counting::default()),
            language: *hub.language.lock().unwrap(),
            stop,
        };
        factory.open(section, context).await.unwrap()
    }

    /// Opens a session for these channels, and waits until it works.
    pub async fn start(factory: &TeamsFactory, name: &str, section: Value, channels: &[&str], hub: Arc<Hub>) -> Self {
        let stop = CancellationToken::new();
        *hub.up.lock().unwrap() = false;
        let session = Self::open_until(factory, name, section, channels, &hub, stop.clone()).await;
        let (running, stopped) = (Arc::clone(&session), stop.clone());
        let task = tokio::spawn(async move {
            while !stopped.is_cancelled() {
                running.run().await.ok();
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        });
        hub.until("the session is up", |hub| *hub.up.lock().unwrap()).await;
        Self {
            hub,
            session,
            stop,
            task,
        }
    }

    /// Delivers something once.
    pub async fn deliver(&self, outbound: Outbound) -> Result<Receipt, DeliveryError> {
        let Decision::Pass { outbound, .. } = Filter::default().decide(outbound) else {
            panic!("nothing is refused here")
        };
        self.session.deliver(&outbound).await
    }

    /// Says something in a channel, as the engine would: again where it has to, after a look-up where nobody knows. Gives
    /// the id of its first part.
    pub async fn say(&self, name: &str, channel: &str, content: Content) -> MessageId {
        self.settle(self.hub.outbound(name, channel, content))
            .await
            .ids
            .remove(0)
    }

    /// Delivers something as the engine would.
    pub async fn settle(&self, outbound: Outbound) -> Receipt {
        let until = tokio::time::Instant::now() + PATIENCE;
        loop {
            match self.deliver(outbound.clone()).await {
                Ok(receipt) => return receipt,
                Err(error) if error.failure == Failure::UnknownOutcome => {
                    let found = self.session.find_delivered(&outbound.to.channel, &outbound.key).await;
                    if let Ok(Some(receipt)) = found {
                        return receipt;
                    }
                }
                Err(error) => {
                    let again = matches!(error.failure, Failure::Retry(_) | Failure::AuthLost);
                    assert!(again && tokio::time::Instant::now() < until, "{error:?}");
                }
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Ends it.
    pub async fn stop(self) {
        self.stop.cancel();
        tokio::time::timeout(PATIENCE, self.task).await.unwrap().unwrap();
    }
}
