//! A hub with sides made for tests: they record what they are given, and fail as they are told.
#![allow(missing_docs, dead_code, clippy::unwrap_used, clippy::panic, reason = "test support")]

pub mod partner;
pub mod store;

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use viaduct_bridge::{
    Connection, Context, DeliveryError, Factory, Feedback, Media, MediaError, OpenError, Probe, Session, SessionError,
};
use viaduct_compliance::{Cleared, EntityKind, ListRule};
use viaduct_engine::{Engine, Home, MemberSpec, MirrorSpec, NetworkSpec, Parts, Policies, Settings};
use viaduct_matrix::{BridgeInfo, Observer, RoomSpec};
use viaduct_model::{
    Capabilities, ChannelId, Clock, Content, DeliveryKey, Entropy, Event, Lookup, Message, MessageId, MirrorName,
    NetworkName, Outbound, Person, PersonId, Place, Receipt, Support, Timestamp,
};
use viaduct_store::Store;

#[derive(Debug, Default)]
pub struct TestClock(pub std::sync::atomic::AtomicU64);
impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(std::sync::atomic::Ordering::SeqCst))
    }
}

#[derive(Debug)]
pub struct TestEntropy;
impl Entropy for TestEntropy {
    fn fill(&self, buffer: &mut [u8]) {
        buffer.fill(7);
    }
}

/// What a side is told to do with the next deliveries; then it accepts.
pub enum Script {
    Accept,
    Fail(DeliveryError),
    /// Takes it, and then says that it does not know.
    TakeThenUnknown,
    Panic,
    Hang,
}

pub struct FakeSide {
    pub name: NetworkName,
    pub caps: Capabilities,
    pub context: Mutex<Option<Context>>,
    pub delivered: Mutex<Vec<Outbound>>,
    pub script: Mutex<VecDeque<Script>>,
    pub feedback: Mutex<Vec<Feedback>>,
    pub rooms: Mutex<u32>,
    pub notices: Mutex<Vec<String>>,
    /// The label in the room's state.
    pub label: Mutex<Option<String>>,
    /// What the policy rooms say; none while they cannot be read.
    pub rules: Mutex<Option<Vec<(EntityKind, ListRule)>>>,
    /// Who hears of what happens on the homeserver.
    pub observer: Mutex<Option<Arc<dyn Observer>>>,
    /// Files, by their locators.
    pub files: Mutex<std::collections::HashMap<String, Vec<u8>>>,
    /// Channels it was told to leave.
    pub left: Mutex<Vec<String>>,
    /// Why it cannot leave channels; none: it can.
    pub stuck: Mutex<Option<DeliveryError>>,
    /// How often it was started.
    pub runs: Mutex<u32>,
    /// Where deliveries are written down, so that they outlive the process.
    pub log: Mutex<Option<std::path::PathBuf>>,
}

impl fmt::Debug for FakeSide {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FakeSide")
    }
}

pub fn able(lookup: Lookup) -> Capabilities {
    Capabilities {
        edit: Support::Native,
        delete: Support::Native,
        reply: Support::Native,
        thread: Support::Native,
        reaction: Support::Native,
        file: Support::Native,
        topic: Support::Native,
        membership: Support::Native,
        typing: Support::Native,
        lookup,
        ..Capabilities::default()
    }
}

impl FakeSide {
    pub fn new(name: &str, lookup: Lookup) -> Arc<Self> {
        Arc::new(Self {
            name: NetworkName::new(name).unwrap(),
            caps: able(lookup),
            context: Mutex::default(),
            delivered: Mutex::default(),
            script: Mutex::default(),
            feedback: Mutex::default(),
            rooms: Mutex::default(),
            notices: Mutex::default(),
            label: Mutex::default(),
            rules: Mutex::default(),
            observer: Mutex::default(),
            files: Mutex::default(),
            left: Mutex::default(),
            stuck: Mutex::default(),
            runs: Mutex::default(),
            log: Mutex::default(),
        })
    }

    pub fn told(&self, script: Script) {
        self.script.lock().unwrap().push_back(script);
    }

    pub fn context(&self) -> Context {
        self.context.lock().unwrap().clone().unwrap()
    }

    /// Pushes events and waits until they are durable.
    pub async fn push(&self, events: Vec<Event>) {
        self.context().inbox.push(events).await.unwrap().await.unwrap();
    }

    pub fn observer(&self) -> Arc<dyn Observer> {
        self.observer.lock().unwrap().clone().unwrap()
    }

    pub fn event(&self, channel: &str, id: &str, content: Content) -> Event {
        let person = PersonId::new("ann").unwrap();
        Event {
            place: Place::new(self.name.clone(), ChannelId::new(channel).unwrap()),
            id: MessageId::new(id).unwrap(),
            sender: Person {
                network: self.name.clone(),
                id: person,
                name: "Ann".to_owned(),
                avatar: None,
                organisation: None,
                bot: false,
            },
            at: Timestamp(1),
            content,
            cursor: Some(format!("after-{id}")),
            echo_of: None,
            direct_to: None,
        }
    }

    pub fn message(&self, channel: &str, id: &str) -> Event {
        self.event(channel, id, Content::Message(Message::plain(id)))
    }

    pub fn texts(&self) -> Vec<String> {
        let delivered = self.delivered.lock().unwrap();
        delivered
            .iter()
            .map(|outbound| match &outbound.content {
                Content::Message(message) => message.body.to_plain(),
                other => format!(
                    "{}:{}",
                    other.kind().as_str(),
                    other.target().map_or("", MessageId::as_str)
                ),
            })
            .collect()
    }

    /// Waits until so many were delivered.
    pub async fn wait_for(&self, count: usize) -> Vec<String> {
        until(|| self.delivered.lock().unwrap().len() >= count).await;
        self.texts()
    }
}

/// Waits for a condition, at most ten seconds of (paused) time.
pub async fn until(mut condition: impl FnMut() -> bool) {
    for _ in 0..10_000 {
        if condition() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    panic!("the condition never held");
}

#[async_trait]
impl Session for FakeSide {
    async fn run(&self) -> Result<(), SessionError> {
        let context = self.context();
        *self.runs.lock().unwrap() += 1;
        context.inbox.report(None, Connection::Up);
        context.stop.cancelled().await;
        Ok(())
    }

    fn capabilities(&self, _channel: &ChannelId) -> Capabilities {
        self.caps.clone()
    }

    async fn deliver(&self, outbound: &Cleared<Outbound>) -> Result<Receipt, DeliveryError> {
        let script = self.script.lock().unwrap().pop_front().unwrap_or(Script::Accept);
        match script {
            Script::Fail(error) => return Err(error),
            Script::Panic => panic!("a bridge went wrong"),
            Script::Hang => std::future::pending::<()>().await,
            Script::Accept | Script::TakeThenUnknown => {}
        }
        let outbound = outbound.get().clone();
        let id = MessageId::new(format!("{}-{}", self.name, outbound.key)).unwrap();
        if let Some(path) = &*self.log.lock().unwrap() {
            use std::io::Write as _;
            let mut file = std::fs::OpenOptions::new()
                .create(true)
                .append(true)
                .open(path)
                .unwrap();
            writeln!(file, "{}", outbound.key).unwrap();
        }
        self.delivered.lock().unwrap().push(outbound);
        if matches!(script, Script::TakeThenUnknown) {
            return Err(DeliveryError::unknown("the line broke"));
        }
        Ok(Receipt {
            ids: vec![id],
            ..Receipt::default()
        })
    }

    async fn find_delivered(&self, _channel: &ChannelId, key: &DeliveryKey) -> Result<Option<Receipt>, DeliveryError> {
        if let Some(path) = &*self.log.lock().unwrap() {
            let known = std::fs::read_to_string(path).unwrap_or_default();
            let found = known.lines().any(|line| line == key.as_str());
            return Ok(found.then(|| Receipt {
                ids: vec![MessageId::new(format!("{}-{key}", self.name)).unwrap()],
                ..Receipt::default()
            }));
        }
        let delivered = self.delivered.lock().unwrap();
        Ok(delivered
            .iter()
            .find(|outbound| outbound.key == *key)
            .map(|outbound| Receipt {
                ids: vec![MessageId::new(format!("{}-{}", self.name, outbound.key)).unwrap()],
                ..Receipt::default()
            }))
    }

    async fn feedback(&self, feedback: Feedback) {
        self.feedback.lock().unwrap().push(feedback);
    }

    async fn open_media(&self, locator: &str) -> Result<Media, MediaError> {
        let bytes = self
            .files
            .lock()
            .unwrap()
            .get(locator)
            .cloned()
            .ok_or(MediaError::Gone)?;
        Ok(Media {
            mime: None,
            size: Some(bytes.len() as u64),
            name: None,
            stream: Box::pin(futures_util::stream::once(async move { Ok(bytes.into()) })),
        })
    }

    async fn direct_channel(&self, person: &PersonId, on_behalf: &str) -> Result<ChannelId, DeliveryError> {
        Ok(ChannelId::new(format!("{person}+{on_behalf}")).unwrap())
    }

    async fn leave(&self, channel: &ChannelId) -> Result<(), DeliveryError> {
        if let Some(error) = self.stuck.lock().unwrap().clone() {
            return Err(error);
        }
        self.left.lock().unwrap().push(channel.to_string());
        Ok(())
    }

    async fn probe(&self) -> Vec<Probe> {
        Vec::new()
    }
}

#[async_trait]
impl Home for FakeSide {
    async fn ensure_room(&self, spec: &RoomSpec) -> Result<String, DeliveryError> {
        Ok(format!("!{}", spec.room))
    }
    async fn direct_room(&self, person: &Person, with: &str) -> Result<String, DeliveryError> {
        *self.rooms.lock().unwrap() += 1;
        Ok(format!("!{}-{with}", person.id))
    }
    async fn announce(&self, _room: &str, _places: &[BridgeInfo]) -> Result<(), DeliveryError> {
        Ok(())
    }
    async fn disclose(&self, room: &str, text: &str, key: &str) -> Result<(), DeliveryError> {
        self.notice(room, text, None, key).await
    }

    async fn notice(&self, _: &str, text: &str, _: Option<&str>, _: &str) -> Result<(), DeliveryError> {
        self.notices.lock().unwrap().push(text.to_owned());
        Ok(())
    }
    async fn label(&self, _room: &str) -> Result<Option<String>, DeliveryError> {
        Ok(self.label.lock().unwrap().clone())
    }
    async fn policy_rules(&self, _room: &RoomSpec) -> Result<Vec<(EntityKind, ListRule)>, DeliveryError> {
        let rules = self.rules.lock().unwrap().clone();
        rules.ok_or_else(|| DeliveryError::retry("not yet"))
    }
    fn person_of_ghost(&self, _user: &str) -> Option<(NetworkName, PersonId)> {
        None
    }
}

struct FakeFactory(Vec<Arc<FakeSide>>);

#[async_trait]
impl Factory for FakeFactory {
    fn kind(&self) -> &'static str {
        "fake"
    }
    fn schema(&self) -> serde_json::Value {
        serde_json::json!({})
    }
    fn permissions(&self, _section: &serde_json::Value) -> Vec<String> {
        Vec::new()
    }
    fn check(&self, _section: &serde_json::Value) -> Vec<(String, String)> {
        Vec::new()
    }
    fn capabilities(&self) -> Capabilities {
        Capabilities::default()
    }
    async fn open(&self, _section: serde_json::Value, context: Context) -> Result<Arc<dyn Session>, OpenError> {
        let side = self.0.iter().find(|side| side.name == context.network).unwrap().clone();
        *side.context.lock().unwrap() = Some(context);
        Ok(side)
    }
}

pub struct Hub {
    pub engine: Engine,
    pub home: Arc<FakeSide>,
    pub sides: Vec<Arc<FakeSide>>,
}

pub fn place(network: &str, channel: &str) -> Place {
    Place::new(NetworkName::new(network).unwrap(), ChannelId::new(channel).unwrap())
}

/// Settings with these sides, and one mirror `m` of the channel `c` on each.
pub fn settings(sides: &[Arc<FakeSide>]) -> Settings {
    let networks = sides
        .iter()
        .map(|side| NetworkSpec {
            name: side.name.clone(),
            kind: "fake".to_owned(),
            section: serde_json::Value::Null,
            policies: Policies::default(),
            forms: viaduct_engine::Forms::default(),
            own: true,
        })
        .collect();
    let members = sides
        .iter()
        .map(|side| MemberSpec {
            place: place(side.name.as_str(), "c"),
            direction: viaduct_engine::Flow::Both,
            policies: Policies::default(),
        })
        .collect();
    let room = RoomSpec {
        room: "room".to_owned(),
        create: false,
        name: None,
        topic: None,
        version: None,
        public: false,
        invite: Vec::new(),
        encrypted: false,
    };
    Settings {
        networks,
        mirrors: vec![MirrorSpec {
            name: MirrorName::new("m").unwrap(),
            room,
            members,
            labels: Vec::new(),
        }],
        ..Settings::default()
    }
}

/// Looks into files, without a scanner.
fn inspector() -> Option<viaduct_inspect::Inspector> {
    let folder = std::env::temp_dir().join("viaduct-engine-tests");
    viaduct_inspect::Inspector::new(viaduct_inspect::Files::default(), &folder).ok()
}

/// Starts a hub of these sides over a store.
pub async fn start(store: Arc<dyn Store>, sides: Vec<Arc<FakeSide>>, settings: Settings) -> Hub {
    start_audited(store, sides, settings, None).await
}

/// Starts a hub that keeps a ledger.
pub async fn start_audited(
    store: Arc<dyn Store>,
    sides: Vec<Arc<FakeSide>>,
    settings: Settings,
    audit: Option<viaduct_engine::Audit>,
) -> Hub {
    start_with(store, sides, settings, audit, Arc::new(TestClock::default())).await
}

/// Starts a hub with a clock of the test's own.
pub async fn start_with(
    store: Arc<dyn Store>,
    sides: Vec<Arc<FakeSide>>,
    settings: Settings,
    audit: Option<viaduct_engine::Audit>,
    clock: Arc<TestClock>,
) -> Hub {
    let home = FakeSide::new("matrix", Lookup::Idempotent);
    start_at_home(home, store, sides, settings, audit, clock).await
}

/// Starts a hub beside a homeserver of the test's own.
pub async fn start_at_home(
    home: Arc<FakeSide>,
    store: Arc<dyn Store>,
    sides: Vec<Arc<FakeSide>>,
    settings: Settings,
    audit: Option<viaduct_engine::Audit>,
    clock: Arc<TestClock>,
) -> Hub {
    let given = home.clone();
    let parts = Parts {
        store,
        clock,
        entropy: Arc::new(TestEntropy),
        factories: vec![Arc::new(FakeFactory(sides.clone()))],
        home: Box::new(move |context, observer, _routes| {
            *given.observer.lock().unwrap() = Some(observer);
            *given.context.lock().unwrap() = Some(context);
            Ok(given)
        }),
        public_url: Some("https://files.example".to_owned()),
        commands: None,
        audit,
        inspector: inspector(),
    };
    let engine = Engine::start(settings, parts).await.unwrap();
    while engine.status().await.mirrors.iter().any(|mirror| mirror.room.is_none()) {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    Hub { engine, home, sides }
}
