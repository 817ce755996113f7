//! What the tests share: a hub that only listens, and IRC servers to talk to.
#![allow(dead_code, reason = "each test binary uses its own part")]

pub mod fake;
pub mod person;
pub mod server;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use viaduct_bridge::{
    Connection, Context, DeliveryError, Factory, Inbox, InboxClosed, Media, MediaError, MediaSource, Session,
    SessionError, State, StateError, Ticket,
};
use viaduct_compliance::{Decision, Filter};
use viaduct_irc::IrcFactory;
use viaduct_model::{
    Author, ChannelId, Clock, Content, Cursor, DeliveryKey, Entropy, Event, Language, MediaRef, Membership, MessageId,
    NetworkName, Outbound, Person, PersonId, Place, Receipt, Timestamp,
};

/// How long anything may take.
pub const PATIENCE: Duration = Duration::from_secs(20);

#[derive(Debug)]
struct TestClock;

impl Clock for TestClock {
    #[allow(
        clippy::disallowed_methods,
        reason = "the tests stand at the border where time comes in"
    )]
    fn now(&self) -> Timestamp {
        let since = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap();
        Timestamp(u64::try_from(since.as_millis()).unwrap())
    }
}

#[derive(Debug, Default)]
struct TestEntropy(AtomicU64);

impl Entropy for TestEntropy {
    fn fill(&self, buffer: &mut [u8]) {
        for byte in buffer {
            *byte = u8::try_from(self.0.fetch_add(7, Ordering::Relaxed) & 255).unwrap();
        }
    }
}

/// Remembers everything it is given.
#[derive(Default)]
pub struct Listener {
    events: Mutex<Vec<Event>>,
    reports: Mutex<Vec<(Option<ChannelId>, Connection)>>,
    pub pushes: AtomicU64,
    messages: AtomicU64,
    cursor: Option<Cursor>,
    tick: tokio::sync::Notify,
}

#[async_trait]
impl Inbox for Listener {
    async fn push(&self, events: Vec<Event>) -> Result<Ticket, InboxClosed> {
        self.pushes.fetch_add(1, Ordering::Relaxed);
        let messages = events.iter().filter(|event| event.content.message().is_some()).count();
        self.messages.fetch_add(messages as u64, Ordering::Relaxed);
        self.events.lock().unwrap().extend(events);
        self.tick.notify_waiters();
        let (sender, ticket) = Ticket::new();
        sender.send(()).ok();
        Ok(ticket)
    }

    fn report(&self, channel: Option<&ChannelId>, connection: Connection) {
        self.reports.lock().unwrap().push((channel.cloned(), connection));
        self.tick.notify_waiters();
    }

    async fn cursor(&self, _channel: &ChannelId) -> Option<Cursor> {
        self.cursor.clone()
    }
}

impl Listener {
    /// Waits until something is so, and gives it.
    pub async fn until<T>(
        &self,
        what: &str,
        mut look: impl FnMut(&[Event], &[(Option<ChannelId>, Connection)]) -> Option<T>,
    ) -> T {
        let waiting = async {
            loop {
                let told = self.tick.notified();
                tokio::pin!(told);
                told.as_mut().enable();
                let found = look(&self.events.lock().unwrap(), &self.reports.lock().unwrap());
                if let Some(found) = found {
                    return found;
                }
                told.await;
            }
        };
        let found = tokio::time::timeout(PATIENCE, waiting).await;
        found.unwrap_or_else(|_| {
            let (events, reports) = (self.events.lock().unwrap(), self.reports.lock().unwrap());
            panic!("{what} did not happen; events: {events:#?}; reports: {reports:?}")
        })
    }

    /// Waits until so many messages have come in all.
    pub async fn until_messages(&self, count: u64) {
        let enough = |_: &[Event], _: &[_]| (self.messages.load(Ordering::Relaxed) >= count).then_some(());
        self.until("so many messages", enough).await;
    }

    pub fn events(&self) -> Vec<Event> {
        self.events.lock().unwrap().clone()
    }
}

struct Nothing;

/// A session's memory for as long as the test runs.
#[derive(Default)]
struct Memory(Mutex<BTreeMap<String, Vec<u8>>>);

#[async_trait]
impl State for Memory {
    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, StateError> {
        Ok(self.0.lock().unwrap().get(key).cloned())
    }
    async fn scan(&self, prefix: &str) -> Result<Vec<(String, Vec<u8>)>, StateError> {
        let kept = self.0.lock().unwrap();
        let found = kept.iter().filter(|(key, _)| key.starts_with(prefix));
        Ok(found.map(|(key, value)| (key.clone(), value.clone())).collect())
    }
    async fn put(&self, changes: Vec<(String, Option<Vec<u8>>)>) -> Result<(), StateError> {
        let mut kept = self.0.lock().unwrap();
        for (key, value) in changes {
            match value {
                Some(value) => kept.insert(key, value),
                None => kept.remove(&key),
            };
        }
        Ok(())
    }
}

#[async_trait]
impl MediaSource for Nothing {
    async fn open(&self, _media: &MediaRef) -> Result<Media, MediaError> {
        Err(MediaError::Gone)
    }
    fn link(&self, media: &MediaRef, name: &str) -> Option<String> {
        Some(format!("https://files.example/{}/{name}", media.locator))
    }
}

/// A session at work.
pub struct Hub {
    pub session: Arc<dyn Session>,
    pub inbox: Arc<Listener>,
    stop: CancellationToken,
    running: tokio::task::JoinHandle<Result<(), SessionError>>,
    count: AtomicU64,
}

impl Hub {
    /// Starts a session with this section in these channels.
    pub async fn start(section: Value, channels: &[&str]) -> Self {
        Self::start_at(section, channels, None).await
    }

    /// Starts a session that has committed everything up to a position.
    pub async fn start_at(section: Value, channels: &[&str], cursor: Option<&str>) -> Self {
        let inbox = Arc::new(Listener {
            cursor: cursor.map(str::to_owned),
            ..Listener::default()
        });
        let stop = CancellationToken::new();
        let context = Context {
            network: network(),
            channels: channels.iter().map(|name| ChannelId::new(name).unwrap()).collect(),
            inbox: Arc::<Listener>::clone(&inbox),
            state: Arc::<Memory>::default(),
            media: Arc::new(Nothing),
            clock: Arc::new(TestClock),
            entropy: Arc::new(TestEntropy::default()),
            language: Language::default(),
            stop: stop.clone(),
        };
        let session = IrcFactory
            .open(section, context)
            .await
            .unwrap_or_else(|error| panic!("{error}"));
        let run = Arc::clone(&session);
        let running = tokio::spawn(async move { run.run().await });
        Self {
            session,
            inbox,
            stop,
            running,
            count: AtomicU64::new(0),
        }
    }

    /// Waits until a channel is joined.
    pub async fn joined(&self, channel: &str) {
        let wanted = ChannelId::new(channel).unwrap();
        let up = |reports: &[(Option<ChannelId>, Connection)]| {
            reports
                .iter()
                .rev()
                .find(|(id, _)| id.as_ref() == Some(&wanted))
                .map(|(_, c)| c.clone())
                == Some(Connection::Up)
        };
        self.inbox
            .until("joining", |_, reports| up(reports).then_some(()))
            .await;
    }

    pub fn outbound(&self, author: &str, channel: &str, content: Content) -> viaduct_compliance::Cleared<Outbound> {
        let number = self.count.fetch_add(1, Ordering::Relaxed);
        let from = Place::new(NetworkName::matrix(), ChannelId::new("!room:example.org").unwrap());
        let to = Place::new(network(), ChannelId::new(channel).unwrap());
        let person = matrix_person(author);
        let outbound = Outbound {
            key: DeliveryKey::derive(&from, &MessageId::new(number.to_string()).unwrap(), &to),
            to,
            from,
            author: Author {
                display: person.name.clone(),
                person,
            },
            at: Timestamp(number),
            content,
            parts: Vec::new(),
        };
        match Filter::default().decide(outbound) {
            Decision::Pass { outbound, .. } => *outbound,
            other => panic!("{other:?}"),
        }
    }

    pub async fn deliver(&self, author: &str, channel: &str, content: Content) -> Result<Receipt, DeliveryError> {
        let outbound = self.outbound(author, channel, content);
        tokio::time::timeout(PATIENCE, self.session.deliver(&outbound))
            .await
            .expect("a delivery took too long")
    }

    pub async fn say(&self, author: &str, channel: &str, text: &str) -> Receipt {
        self.deliver(author, channel, message(text))
            .await
            .unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    /// Ends the session, which must be quick and clean.
    pub async fn stop(self) {
        self.stop.cancel();
        let ended = tokio::time::timeout(Duration::from_secs(6), self.running)
            .await
            .expect("stopping took too long");
        ended.unwrap().unwrap();
    }

    /// The first event with such a content.
    pub async fn event(&self, what: &str, wanted: impl Fn(&Content) -> bool) -> Event {
        self.inbox
            .until(what, |events, _| {
                events.iter().find(|event| wanted(&event.content)).cloned()
            })
            .await
    }

    /// The event of a message with this text.
    pub async fn heard(&self, text: &str) -> Event {
        let said = |event: &&Event| {
            event
                .content
                .message()
                .is_some_and(|message| message.body.to_plain() == text)
        };
        self.inbox
            .until(text, |events, _| events.iter().find(said).cloned())
            .await
    }
}

/// Somebody in a channel of a server, and a hub that is in it too, with some keys more in its section.
pub async fn scene(server: &server::Server, channel: &str, more: &Value) -> (person::Ircer, Hub) {
    let mut ann = person::Ircer::connect(server.port, "ann").await;
    ann.join(channel).await;
    let hub = Hub::start(section(server.port, more), &[channel]).await;
    hub.joined(channel).await;
    (ann, hub)
}

impl Hub {
    /// Waits until a channel is reported down for a reason with these words.
    pub async fn kept_out(&self, channel: &str, words: &str) {
        let id = ChannelId::new(channel).unwrap();
        let so = |(channel, standing): &(Option<_>, Connection)| {
            channel.as_ref() == Some(&id) && matches!(standing, Connection::Down(reason) if reason.contains(words))
        };
        self.inbox
            .until(words, |_, reports| reports.iter().any(so).then_some(()))
            .await;
    }

    /// Waits until the session reports that its credentials are refused.
    pub async fn refused(&self) -> String {
        let told = |(_, standing): &(Option<ChannelId>, Connection)| match standing {
            Connection::AuthLost(reason) => Some(reason.clone()),
            _ => None,
        };
        self.inbox
            .until("the refusal", |_, reports| reports.iter().find_map(told))
            .await
    }
}

/// What somebody's membership, roles and the like are about, in short, for looking at several at once.
pub fn told(event: &Event) -> Option<String> {
    match &event.content {
        Content::Membership { person, change, .. } => Some(format!("{} {} {change:?}", person.id, person.name)),
        _ => None,
    }
}

/// Whether it is this change of somebody's membership.
pub fn changes(content: &Content, wanted: &Membership) -> bool {
    matches!(content, Content::Membership { change, .. } if change == wanted)
}

/// Whether somebody comes in.
pub fn joins(content: &Content) -> bool {
    changes(content, &Membership::Join)
}

/// A section for a server on this port, with some keys more.
pub fn section(port: u16, more: &Value) -> Value {
    let mut section = json!({
        "server": {"host": "127.0.0.1", "port": port},
        "tls": {"enabled": false},
        "pacing": "off",
        "connect": {"retry": 1, "timeout": 10},
    });
    let object = section.as_object_mut().unwrap();
    for (key, value) in more.as_object().unwrap() {
        object.insert(key.clone(), value.clone());
    }
    section
}

pub fn network() -> NetworkName {
    NetworkName::new("test-irc").unwrap()
}

pub fn matrix_person(name: &str) -> Person {
    Person {
        network: NetworkName::matrix(),
        id: PersonId::new(format!("@{}:example.org", name.to_lowercase())).unwrap(),
        name: name.to_owned(),
        avatar: None,
        organisation: None,
        bot: false,
    }
}

pub fn irc_person(nick: &str) -> Person {
    Person {
        network: network(),
        id: PersonId::new(nick).unwrap(),
        ..matrix_person(nick)
    }
}

pub fn message(text: &str) -> Content {
    Content::Message(viaduct_model::Message::plain(text))
}
