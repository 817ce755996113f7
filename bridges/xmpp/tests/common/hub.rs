use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::Notify;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use viaduct_bridge::{
    Connection, Context, DeliveryError, Inbox, InboxClosed, Media, MediaError, MediaSource, Session, State, StateError,
    Ticket,
};
use viaduct_compliance::{Decision, Filter, Policy};
use viaduct_model::{
    Author, ChannelId, Clock, Content, Cursor, DeliveryKey, Entropy, Event, Language, MediaRef, MessageId, NetworkName,
    Outbound, Person, PersonId, Place, Receipt, Timestamp,
};
use viaduct_xmpp::config::Section;
use viaduct_xmpp::{Xmpp, XmppSession};

use super::Server;
use super::prosody::SECRET;

const PATIENCE: Duration = Duration::from_mins(1);

/// Everything a hub remembers, and what the sessions told it.
#[derive(Default)]
pub struct Memory {
    pub events: Mutex<Vec<Event>>,
    seen: Mutex<HashMap<(Place, MessageId), usize>>,
    pub reports: Mutex<Vec<(Option<ChannelId>, Connection)>>,
    pub state: Mutex<BTreeMap<String, Vec<u8>>>,
    /// Files of other sides, by their locator; a file that is not among them holds its locator.
    pub files: Mutex<HashMap<String, Vec<u8>>>,
    /// The language of the sessions' own words.
    pub language: Language,
    changed: Notify,
}

impl Memory {
    /// An empty one of a hub that speaks this language.
    pub fn speaking(language: Language) -> Self {
        Self {
            language,
            ..Self::default()
        }
    }
}

struct Shared(Arc<Memory>);

#[async_trait]
impl Inbox for Shared {
    async fn push(&self, events: Vec<Event>) -> Result<Ticket, InboxClosed> {
        let (sender, ticket) = Ticket::new();
        {
            let mut known = self.0.events.lock().unwrap();
            let mut seen = self.0.seen.lock().unwrap();
            for event in events {
                // As the store does: a repetition changes nothing but the cursor.
                let name = (event.place.clone(), event.id.clone());
                let before = seen.get(&name).copied();
                match before.and_then(|at| known.get_mut(at)) {
                    Some(_) if event.cursor.is_none() => {}
                    Some(other) => {
                        let mut repeated = other.clone();
                        repeated.cursor.clone_from(&event.cursor);
                        repeated.id = MessageId::new(format!("repeated {}", known.len())).unwrap();
                        repeated.echo_of = Some(DeliveryKey::from_remote("repeated"));
                        known.push(repeated);
                    }
                    None => {
                        seen.insert(name, known.len());
                        known.push(event);
                    }
                }
            }
        }
        sender.send(()).ok();
        self.0.changed.notify_waiters();
        Ok(ticket)
    }

    fn report(&self, channel: Option<&ChannelId>, connection: Connection) {
        self.0.reports.lock().unwrap().push((channel.cloned(), connection));
        self.0.changed.notify_waiters();
    }

    async fn cursor(&self, channel: &ChannelId) -> Option<Cursor> {
        let events = self.0.events.lock().unwrap();
        events
            .iter()
            .rev()
            .filter(|event| event.place.channel == *channel)
            .find_map(|event| event.cursor.clone())
    }
}

#[async_trait]
impl State for Shared {
    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, StateError> {
        Ok(self.0.state.lock().unwrap().get(key).cloned())
    }

    async fn scan(&self, prefix: &str) -> Result<Vec<(String, Vec<u8>)>, StateError> {
        let state = self.0.state.lock().unwrap();
        Ok(state
            .iter()
            .filter(|(key, _)| key.starts_with(prefix))
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect())
    }

    async fn put(&self, changes: Vec<(String, Option<Vec<u8>>)>) -> Result<(), StateError> {
        let mut state = self.0.state.lock().unwrap();
        for (key, value) in changes {
            match value {
                Some(value) => drop(state.insert(key, value)),
                None => drop(state.remove(&key)),
            }
        }
        Ok(())
    }
}

#[async_trait]
impl MediaSource for Shared {
    async fn open(&self, media: &MediaRef) -> Result<Media, MediaError> {
        let file = self.0.files.lock().unwrap().get(&media.locator).cloned();
        let bytes = file.unwrap_or_else(|| media.locator.clone().into_bytes());
        let size = Some(bytes.len() as u64);
        let stream = futures_util::stream::once(async move { Ok(bytes.into()) });
        Ok(Media {
            mime: Some("text/plain".into()),
            size,
            name: None,
            stream: Box::pin(stream),
        })
    }

    fn link(&self, _media: &MediaRef, _name: &str) -> Option<String> {
        None
    }
}

#[derive(Debug, Default)]
struct Counter(AtomicU64);

impl Clock for Counter {
    fn now(&self) -> Timestamp {
        Timestamp(1_700_000_000_000 + self.0.fetch_add(1, Ordering::Relaxed))
    }
}

impl Entropy for Counter {
    fn fill(&self, buffer: &mut [u8]) {
        for byte in buffer {
            *byte = u8::try_from(self.0.fetch_add(37, Ordering::Relaxed) % 251).unwrap();
        }
    }
}

/// One life of the hub over a memory that outlives it.
pub struct Hub {
    pub memory: Arc<Memory>,
    pub session: Arc<XmppSession>,
    pub channel: ChannelId,
    stop: CancellationToken,
    run: tokio::task::JoinHandle<Result<(), viaduct_bridge::SessionError>>,
}

impl Hub {
    /// A session with one room, started.
    pub fn start(server: &dyn Server, room: &str, memory: &Arc<Memory>, extra: serde_json::Value) -> Self {
        Self::start_in(server, &[room], memory, extra)
    }

    /// A session with these rooms, started; its channel is the last of them.
    pub fn start_in(server: &dyn Server, rooms: &[&str], memory: &Arc<Memory>, extra: serde_json::Value) -> Self {
        let mut section = serde_json::json!({
            "component": {"port": server.port("bridge.localhost"), "domain": "bridge.localhost", "secret": SECRET},
            "muc_services": ["conference.localhost"],
            "timeouts": {"reflection": 10, "request": 10},
        });
        section
            .as_object_mut()
            .unwrap()
            .extend(extra.as_object().unwrap().clone());
        Self::start_in_with(rooms, memory, section)
    }

    /// A session with one room and this section, started.
    pub fn start_with(room: &str, memory: &Arc<Memory>, section: serde_json::Value) -> Self {
        Self::start_in_with(&[room], memory, section)
    }

    /// A session with these rooms and this section, started; its channel is the last of them.
    pub fn start_in_with(rooms: &[&str], memory: &Arc<Memory>, section: serde_json::Value) -> Self {
        let section: Section = serde_json::from_value(section).unwrap();
        let channels: Vec<ChannelId> = rooms.iter().map(|room| ChannelId::new(*room).unwrap()).collect();
        let channel = channels.last().unwrap().clone();
        let stop = CancellationToken::new();
        let context = Context {
            network: network(),
            channels,
            inbox: Arc::new(Shared(Arc::clone(memory))),
            state: Arc::new(Shared(Arc::clone(memory))),
            media: Arc::new(Shared(Arc::clone(memory))),
            clock: Arc::new(Counter::default()),
            entropy: Arc::new(Counter::default()),
            language: memory.language,
            stop: stop.clone(),
        };
        let session = Arc::new(XmppSession(Xmpp::new(section, context).unwrap()));
        let running = Arc::clone(&session);
        let stopping = stop.clone();
        // As the engine does: start again whenever the session ends.
        let run = tokio::spawn(async move {
            loop {
                let result = running.run().await;
                if stopping.is_cancelled() {
                    return result;
                }
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        });
        Self {
            memory: Arc::clone(memory),
            session,
            channel,
            stop,
            run,
        }
    }

    /// Waits until something holds of what was recorded.
    pub async fn until<T>(&self, what: &str, mut found: impl FnMut(&Memory) -> Option<T>) -> T {
        let wait = async {
            loop {
                let changed = self.memory.changed.notified();
                tokio::pin!(changed);
                changed.as_mut().enable();
                if let Some(found) = found(&self.memory) {
                    return found;
                }
                changed.await;
            }
        };
        match timeout(PATIENCE, wait).await {
            Ok(found) => found,
            Err(_) => panic!(
                "{what} did not happen; reports {:?}; events {:#?}",
                self.memory.reports.lock().unwrap(),
                self.memory.events.lock().unwrap()
            ),
        }
    }

    /// Waits until the room was entered (again), `times` times in all.
    pub async fn until_up(&self, times: usize) {
        self.until("entering the room", |memory| {
            let reports = memory.reports.lock().unwrap();
            let ups = reports
                .iter()
                .filter(|(channel, state)| channel.is_some() && *state == Connection::Up)
                .count();
            (ups >= times).then_some(())
        })
        .await;
    }

    /// The first event whose content is wanted, from any position.
    pub async fn event(&self, what: &str, wanted: impl Fn(&Event) -> bool) -> Event {
        self.until(what, |memory| {
            memory
                .events
                .lock()
                .unwrap()
                .iter()
                .find(|event| wanted(event))
                .cloned()
        })
        .await
    }

    /// The message with this text.
    pub async fn message(&self, text: &str) -> Event {
        self.event(text, |event| {
            event.echo_of.is_none() && text_of(event).as_deref() == Some(text)
        })
        .await
    }

    pub fn outbound(&self, name: &str, id: &str, content: Content) -> Outbound {
        let from = Place::new(NetworkName::matrix(), ChannelId::new("!room:hs").unwrap());
        let to = Place::new(network(), self.channel.clone());
        let person = Person {
            network: NetworkName::matrix(),
            id: PersonId::new(format!("@{}:hs.example", name.to_lowercase())).unwrap(),
            name: name.to_owned(),
            avatar: None,
            organisation: None,
            bot: false,
        };
        let key = DeliveryKey::derive(&from, &MessageId::new(id).unwrap(), &to);
        let author = Author {
            person,
            display: name.to_owned(),
        };
        Outbound {
            key,
            to,
            from,
            author,
            at: Timestamp(1),
            content,
            parts: Vec::new(),
        }
    }

    pub async fn try_deliver(&self, outbound: Outbound) -> Result<Receipt, DeliveryError> {
        match Filter::new(Policy::default()).decide(outbound) {
            Decision::Pass { outbound, .. } => self.session.deliver(&outbound).await,
            other => panic!("{other:?}"),
        }
    }

    pub async fn prepare(&self, outbound: Outbound) {
        match Filter::new(Policy::default()).decide(outbound) {
            Decision::Pass { outbound, .. } => self.session.prepare(&outbound).await,
            other => panic!("{other:?}"),
        }
    }

    pub async fn deliver(&self, name: &str, id: &str, content: Content) -> Receipt {
        self.try_deliver(self.outbound(name, id, content)).await.unwrap()
    }

    /// Ends this life in good order.
    pub async fn stop(self) {
        self.stop.cancel();
        timeout(Duration::from_secs(5), self.run)
            .await
            .unwrap()
            .unwrap()
            .unwrap();
    }

    /// Ends this life as a crash would.
    pub async fn kill(self) {
        self.run.abort();
        assert!(self.run.await.unwrap_err().is_cancelled());
    }
}

pub fn network() -> NetworkName {
    NetworkName::new("acme-xmpp").unwrap()
}

pub fn text_of(event: &Event) -> Option<String> {
    event.content.message().map(|message| message.body.to_plain())
}
