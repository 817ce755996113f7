//! A small hub: an inbox that records each event once, memory that outlives sessions, files.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use serde_json::Value;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use viaduct_bridge::{
    Connection, Context, DeliveryError, Factory, Inbox, InboxClosed, Media, MediaError, MediaSource, Session,
    SessionError, State, StateError, Ticket,
};
use viaduct_compliance::{Cleared, Decision, Filter};
use viaduct_model::{
    Author, ChannelId, Clock, Content, Cursor, DeliveryKey, Entropy, Event, MediaRef, Message, MessageId, NetworkName,
    Outbound, Person, PersonId, Place, Receipt, Timestamp,
};
use viaduct_slack::SlackFactory;

use super::PATIENCE;

#[derive(Debug)]
struct RealClock;

impl Clock for RealClock {
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
        Timestamp(u64::try_from(since.as_millis()).unwrap())
    }
}

#[derive(Debug, Default)]
struct Counting(AtomicU64);

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
    reports: Vec<(Option<ChannelId>, Connection)>,
    echoes: usize,
}

/// The hub.
pub struct Hub {
    desk: Mutex<Desk>,
    pub memory: Mutex<BTreeMap<String, Vec<u8>>>,
    changed: watch::Sender<u64>,
    pub pushes: AtomicU64,
    count: AtomicU64,
}

/// A session at work.
pub struct Running {
    pub hub: Arc<Hub>,
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
        let bytes = bytes::Bytes::from(media.locator.clone().into_bytes());
        Ok(Media {
            mime: None,
            size: Some(bytes.len() as u64),
            name: None,
            stream: Box::pin(futures_util::stream::once(async move { Ok(bytes) })),
        })
    }

    fn link(&self, media: &MediaRef, name: &str) -> Option<String> {
        Some(format!(
            "https://files.example/{}/{name}",
            media.locator.replace("://", "/")
        ))
    }
}

impl Hub {
    pub fn new() -> Arc<Self> {
        Arc::new(Self {
            desk: Mutex::default(),
            memory: Mutex::default(),
            changed: watch::Sender::new(0),
            pushes: AtomicU64::new(0),
            count: AtomicU64::new(0),
        })
    }

    pub fn network() -> NetworkName {
        NetworkName::new("acme-slack").unwrap()
    }

    /// Opens and starts a session, and waits until it is up.
    pub async fn start(self: &Arc<Self>, section: &Value, channels: &[&str]) -> Running {
        let running = self.open(section, channels).await;
        self.until("the session is up", |_, reports| {
            matches!(
                reports.iter().rev().find(|(channel, _)| channel.is_none()),
                Some((_, Connection::Up))
            )
            .then_some(())
        })
        .await;
        running
    }

    /// Opens and starts a session.
    pub async fn open(self: &Arc<Self>, section: &Value, channels: &[&str]) -> Running {
        self.desk.lock().unwrap().reports.clear();
        let stop = CancellationToken::new();
        let context = Context {
            network: Self::network(),
            channels: channels.iter().map(|name| ChannelId::new(name).unwrap()).collect(),
            inbox: Arc::clone(self) as Arc<dyn Inbox>,
            state: Arc::clone(self) as Arc<dyn State>,
            media: Arc::clone(self) as Arc<dyn MediaSource>,
            clock: Arc::new(RealClock),
            entropy: Arc::new(Counting::default()),
            stop: stop.clone(),
        };
        let session = SlackFactory.open(section.clone(), context).await.unwrap();
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
    pub async fn until<T>(
        &self,
        what: &str,
        mut look: impl FnMut(&[Event], &[(Option<ChannelId>, Connection)]) -> Option<T>,
    ) -> T {
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
        let found = tokio::time::timeout(PATIENCE * 3, waiting).await;
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

    pub fn events(&self) -> Vec<Event> {
        self.desk.lock().unwrap().events.clone()
    }

    pub fn texts(&self) -> Vec<String> {
        self.events().iter().filter_map(plain).collect()
    }

    pub fn echoes(&self) -> usize {
        self.desk.lock().unwrap().echoes
    }

    pub fn reports(&self) -> Vec<(Option<ChannelId>, Connection)> {
        self.desk.lock().unwrap().reports.clone()
    }

    /// Something on its way to a channel, from Anna.
    pub fn outbound(&self, channel: &str, content: Content) -> Outbound {
        self.outbound_of("anna", channel, content)
    }

    pub fn outbound_of(&self, name: &str, channel: &str, content: Content) -> Outbound {
        let number = self.count.fetch_add(1, Ordering::Relaxed);
        let from = Place::new(NetworkName::matrix(), ChannelId::new("!room:example.org").unwrap());
        let to = Place::new(Self::network(), ChannelId::new(channel).unwrap());
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
    match &event.content {
        Content::Message(message) => Some(message.body.to_plain()),
        _ => None,
    }
}

pub fn clear(outbound: Outbound) -> Cleared<Outbound> {
    match Filter::default().decide(outbound) {
        Decision::Pass { outbound, .. } => *outbound,
        _ => panic!("nothing is refused here"),
    }
}

impl Running {
    pub async fn deliver(&self, outbound: Outbound) -> Result<Receipt, DeliveryError> {
        self.session.deliver(&clear(outbound)).await
    }

    /// Says something in a channel; gives its id.
    pub async fn say(&self, channel: &str, text: &str) -> MessageId {
        let outbound = self.hub.outbound(channel, Content::Message(Message::plain(text)));
        self.deliver(outbound).await.unwrap().ids.remove(0)
    }

    pub async fn stop(self) {
        self.stop.cancel();
        tokio::time::timeout(Duration::from_secs(5), self.task)
            .await
            .expect("it ends in time")
            .unwrap()
            .unwrap();
    }

    /// Ends without a goodbye.
    pub fn kill(self) {
        self.stop.cancel();
        self.task.abort();
    }
}
