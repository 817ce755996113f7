//! A small hub: an inbox that records each event once, and memory that outlives sessions.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use serde_json::Value;
use tokio_util::sync::CancellationToken;
use viaduct_bridge::{
    Connection, Context, Factory, Inbox, InboxClosed, Media, MediaError, MediaSource, Session, State, StateError,
    Ticket,
};
use viaduct_model::{ChannelId, Clock, Content, Cursor, Entropy, Event, MediaRef, MessageId, NetworkName, Timestamp};
use viaduct_teams::TeamsFactory;

/// How long anything may take.
pub const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Debug)]
struct RealClock;

impl Clock for RealClock {
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
        Timestamp(u64::try_from(since.as_millis()).unwrap())
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
        if channel.is_none() {
            *self.up.lock().unwrap() = connection == Connection::Up;
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
    async fn open(&self, _media: &MediaRef) -> Result<Media, MediaError> {
        Err(MediaError::Gone)
    }

    fn link(&self, _media: &MediaRef, _name: &str) -> Option<String> {
        None
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
    /// Opens a session for these channels, and waits until it works.
    pub async fn start(factory: &TeamsFactory, name: &str, section: Value, channels: &[&str], hub: Arc<Hub>) -> Self {
        let stop = CancellationToken::new();
        let context = Context {
            network: NetworkName::new(name).unwrap(),
            channels: channels
                .iter()
                .map(|channel| ChannelId::new(channel).unwrap())
                .collect(),
            inbox: Arc::clone(&hub) as Arc<dyn Inbox>,
            state: Arc::clone(&hub) as Arc<dyn State>,
            media: Arc::clone(&hub) as Arc<dyn MediaSource>,
            clock: Arc::new(RealClock),
            entropy: Arc::new(Counting::default()),
            stop: stop.clone(),
        };
        let session = factory.open(section, context).await.unwrap();
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

    /// Ends it.
    pub async fn stop(self) {
        self.stop.cancel();
        tokio::time::timeout(PATIENCE, self.task).await.unwrap().unwrap();
    }
}
