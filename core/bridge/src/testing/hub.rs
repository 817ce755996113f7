//! What came in, and waiting for it.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::watch;
use viaduct_model::{ChannelId, Cursor, Event, Language, MessageId, NetworkName, Place};

use super::files::Files;
use super::{PATIENCE, TestClock};
use crate::{Connection, Inbox, InboxClosed, State, StateError, Ticket};

/// The largest value of a session's own memory, in bytes; the contract's bound.
const VALUE_BOUND: usize = 16 * 1024;
/// How often it is looked at least whether something is so.
const LOOK: Duration = Duration::from_millis(20);

/// What a session reported, with the channel it was about.
pub type Report = (Option<ChannelId>, Connection);

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
    pub(super) network: NetworkName,
    desk: Mutex<Desk>,
    /// The sessions' memory.
    pub memory: Mutex<BTreeMap<String, Vec<u8>>>,
    changed: watch::Sender<u64>,
    /// How often something was pushed.
    pub pushes: AtomicU64,
    /// The sessions' clock.
    pub clock: Arc<TestClock>,
    pub(super) files: Files,
    pub(super) language: Mutex<Language>,
    pub(super) count: AtomicU64,
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
        Ok(self.recall(key))
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

impl Hub {
    /// A hub with one network.
    pub fn new(network: &str) -> Arc<Self> {
        Arc::new(Self {
            network: NetworkName::new(network).unwrap(),
            desk: Mutex::default(),
            memory: Mutex::default(),
            changed: watch::Sender::new(0),
            pushes: AtomicU64::new(0),
            clock: Arc::default(),
            files: Files::default(),
            language: Mutex::default(),
            count: AtomicU64::new(0),
        })
    }

    /// Sessions that are opened from now on speak this language.
    pub fn set_language(&self, language: Language) {
        *self.language.lock().unwrap() = language;
    }

    /// What the sessions remember under a key.
    pub fn recall(&self, key: &str) -> Option<Vec<u8>> {
        self.memory.lock().unwrap().get(key).cloned()
    }

    /// Waits until something is so, and gives it.
    pub async fn until<T>(&self, what: &str, look: impl FnMut(&[Event], &[Report]) -> Option<T>) -> T {
        let mut look = look;
        self.wait(what, |hub| {
            let desk = hub.desk.lock().unwrap();
            look(&desk.events, &desk.reports)
        })
        .await
    }

    /// Waits until something holds.
    pub async fn wait_for(&self, what: &str, holds: impl Fn(&Self) -> bool) {
        self.wait(what, |hub| holds(hub).then_some(())).await;
    }

    async fn wait<T>(&self, what: &str, mut look: impl FnMut(&Self) -> Option<T>) -> T {
        let mut changes = self.changed.subscribe();
        let waiting = async {
            loop {
                changes.mark_unchanged();
                if let Some(found) = look(self) {
                    return found;
                }
                // What is waited for may depend on others too.
                tokio::time::timeout(LOOK, changes.changed()).await.ok();
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

    /// The texts of the messages that came in, and of their new wordings.
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

    /// How a channel stands, or with none the whole network, as it was reported last.
    pub fn standing(&self, channel: Option<&str>) -> Option<Connection> {
        let desk = self.desk.lock().unwrap();
        let about = |of: &Option<ChannelId>| of.as_ref().map(ChannelId::as_str) == channel;
        let mut reports = desk.reports.iter().rev();
        reports
            .find(|(of, _)| about(of))
            .map(|(_, connection)| connection.clone())
    }

    pub(super) fn forget_reports(&self) {
        self.desk.lock().unwrap().reports.clear();
    }
}

/// The text of a message, or of its new wording.
pub fn plain(event: &Event) -> Option<String> {
    event.content.message().map(|message| message.body.to_plain())
}
