//! An in-process stand-in for a homeserver, and a hub around the homeserver side, for this crate's own tests.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use axum::Router;
use axum::body::to_bytes;
use axum::extract::{Request, State as Shared};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::serve::ListenerExt;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use viaduct_bridge::{
    Connection, Context, Inbox, InboxClosed, Media, MediaError, MediaSource, Session, State, StateError, Ticket,
};
use viaduct_compliance::{Cleared, Decision, Filter};
use viaduct_matrix::{Homeserver, HomeserverConfig, Language, Observer};
use viaduct_model::{
    Author, ChannelId, Clock, Content, Cursor, DeliveryKey, Entropy, Event, MediaRef, MessageId, NetworkName, Outbound,
    Person, PersonId, Place, Timestamp,
};

/// How long any condition is waited for.
const PATIENCE: Duration = Duration::from_secs(10);

/// A request the stub was sent.
#[derive(Debug, Clone)]
pub struct Seen {
    pub method: String,
    pub path: String,
    pub user: Option<String>,
    pub ts: Option<String>,
    pub body: Value,
}

/// A homeserver that says yes.
#[derive(Default)]
pub struct Stub {
    pub seen: Mutex<Vec<Seen>>,
    /// Answers for paths that contain a text: each is given once, in order.
    scripted: Mutex<Vec<(String, u16, Value)>>,
    members: Mutex<HashSet<(String, String)>>,
    /// Rooms that may only be entered by invitation.
    pub closed: Mutex<HashSet<String>>,
    invited: Mutex<HashSet<(String, String)>>,
    sent: Mutex<HashMap<String, String>>,
    aliases: Mutex<HashMap<String, String>>,
    state: Mutex<BTreeMap<String, Value>>,
    pub files: Mutex<Vec<Vec<u8>>>,
}

impl Stub {
    pub async fn start() -> (Arc<Self>, String) {
        let stub = Arc::new(Self::default());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let listener = listener.tap_io(|stream| stream.set_nodelay(true).unwrap());
        let router = Router::new().fallback(answer).with_state(stub.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        (stub, url)
    }

    /// The next request whose path contains this is answered so.
    pub fn script(&self, path: &str, status: u16, body: Value) {
        self.scripted.lock().unwrap().push((path.to_owned(), status, body));
    }

    pub fn requests(&self, part: &str) -> Vec<Seen> {
        self.seen
            .lock()
            .unwrap()
            .iter()
            .filter(|seen| seen.path.contains(part))
            .cloned()
            .collect()
    }

    fn decide(&self, seen: &Seen, raw: &[u8]) -> (u16, Value) {
        {
            let mut scripted = self.scripted.lock().unwrap();
            if let Some(at) = scripted.iter().position(|(part, ..)| seen.path.contains(part.as_str())) {
                let (_, status, body) = scripted.remove(at);
                return (status, body);
            }
        }
        let user = seen.user.clone().unwrap_or_else(|| "@viaduct:example.org".to_owned());
        let parts: Vec<&str> = seen.path.split('/').collect();
        let forbidden = (403, json!({ "errcode": "M_FORBIDDEN", "error": "no" }));
        let missing = (404, json!({ "errcode": "M_NOT_FOUND", "error": "not there" }));
        match (seen.method.as_str(), parts.as_slice()) {
            (_, [.., "client", "v3", "join", room]) => {
                let key = ((*room).to_owned(), user);
                if self.closed.lock().unwrap().contains(*room) && !self.invited.lock().unwrap().contains(&key) {
                    return forbidden;
                }
                self.members.lock().unwrap().insert(key);
                (200, json!({ "room_id": room }))
            }
            (_, [.., "rooms", room, "invite"]) => {
                let whom = seen.body["user_id"].as_str().unwrap_or_default().to_owned();
                self.invited.lock().unwrap().insert(((*room).to_owned(), whom));
                (200, json!({}))
            }
            (_, [.., "rooms", room, "leave"]) => {
                self.members.lock().unwrap().remove(&((*room).to_owned(), user));
                (200, json!({}))
            }
            (_, [.., "rooms", room, "kick"]) => {
                let whom = seen.body["user_id"].as_str().unwrap_or_default().to_owned();
                self.members.lock().unwrap().remove(&((*room).to_owned(), whom));
                (200, json!({}))
            }
            ("PUT", [.., "rooms", room, "send" | "redact", _, transaction]) => {
                if !self
                    .members
                    .lock()
                    .unwrap()
                    .contains(&((*room).to_owned(), user.clone()))
                {
                    return forbidden;
                }
                let mut sent = self.sent.lock().unwrap();
                let next = format!("$sent{}", sent.len());
                let id = sent.entry(format!("{user} {transaction}")).or_insert(next);
                (200, json!({ "event_id": id }))
            }
            ("PUT", [.., "rooms", room, "state", kind, key]) => {
                self.state
                    .lock()
                    .unwrap()
                    .insert(format!("{room} {kind} {key}"), seen.body.clone());
                (200, json!({ "event_id": "$state" }))
            }
            ("GET", [.., "rooms", room, "state", kind, key]) => self
                .state
                .lock()
                .unwrap()
                .get(&format!("{room} {kind} {key}"))
                .map_or(missing, |value| (200, value.clone())),
            ("GET", [.., "directory", "room", alias]) => self
                .aliases
                .lock()
                .unwrap()
                .get(*alias)
                .map_or(missing, |room| (200, json!({ "room_id": room }))),
            ("PUT", [.., "directory", "room", alias]) => {
                let room = seen.body["room_id"].as_str().unwrap_or_default().to_owned();
                self.aliases.lock().unwrap().insert((*alias).to_owned(), room);
                (200, json!({}))
            }
            ("POST", [.., "createRoom"]) => {
                let room = format!("!made{}", self.requests("createRoom").len());
                self.members.lock().unwrap().insert((room.clone(), user));
                for state in seen.body["initial_state"].as_array().into_iter().flatten() {
                    let kind = state["type"].as_str().unwrap_or_default();
                    self.state
                        .lock()
                        .unwrap()
                        .insert(format!("{room} {kind} "), state["content"].clone());
                }
                (200, json!({ "room_id": room }))
            }
            ("GET", [.., "joined_rooms"]) => {
                let members = self.members.lock().unwrap();
                let rooms: Vec<_> = members
                    .iter()
                    .filter(|(_, who)| *who == user)
                    .map(|(room, _)| room)
                    .collect();
                (200, json!({ "joined_rooms": rooms }))
            }
            ("GET", [.., "profile", mxid]) => (200, json!({ "displayname": format!("Name of {mxid}") })),
            ("GET", [.., "whoami"]) => (200, json!({ "user_id": user })),
            ("GET", [.., "versions"]) => (200, json!({ "versions": ["v1.1", "v1.12"] })),
            ("POST", [.., "ping"]) => (200, json!({ "duration_ms": 3 })),
            ("POST", [.., "upload"]) => {
                self.files.lock().unwrap().push(raw.to_vec());
                (200, json!({ "content_uri": "mxc://example.org/up" }))
            }
            _ => (200, json!({})),
        }
    }
}

async fn answer(Shared(stub): Shared<Arc<Stub>>, request: Request) -> Response {
    let method = request.method().to_string();
    let query: HashMap<String, String> =
        url::form_urlencoded::parse(request.uri().query().unwrap_or_default().as_bytes())
            .into_owned()
            .collect();
    let path = request.uri().path().split('/').map(|part| {
        percent_encoding::percent_decode_str(part)
            .decode_utf8_lossy()
            .into_owned()
    });
    let path = path.collect::<Vec<_>>().join("/");
    if !path.ends_with("/versions") {
        assert_eq!(request.headers()["authorization"], "Bearer as-secret");
    }
    let raw = to_bytes(request.into_body(), 1 << 26).await.unwrap_or_default();
    if path.contains("/download/") {
        return (StatusCode::OK, [("content-type", "image/png")], vec![7_u8; 100]).into_response();
    }
    let body = serde_json::from_slice(&raw).unwrap_or_default();
    let seen = Seen {
        method,
        path,
        user: query.get("user_id").cloned(),
        ts: query.get("ts").cloned(),
        body,
    };
    stub.seen.lock().unwrap().push(seen.clone());
    let (status, body) = stub.decide(&seen, &raw);
    (StatusCode::from_u16(status).unwrap(), axum::Json(body)).into_response()
}

/// The rest of a hub: journal, memory, files, clock, observer.
#[derive(Default)]
pub struct Hub {
    pub events: Mutex<Vec<Event>>,
    pub reports: Mutex<Vec<Connection>>,
    pub told: Mutex<Vec<String>>,
    pub memory: Mutex<BTreeMap<String, Vec<u8>>>,
    /// Tickets are kept unresolved while this is set.
    pub slow: Mutex<Option<Vec<tokio::sync::oneshot::Sender<()>>>>,
    pub file: Mutex<Option<Vec<u8>>>,
}

#[async_trait]
impl Inbox for Hub {
    async fn push(&self, events: Vec<Event>) -> Result<Ticket, InboxClosed> {
        self.events.lock().unwrap().extend(events);
        let (sender, ticket) = Ticket::new();
        match self.slow.lock().unwrap().as_mut() {
            Some(waiting) => waiting.push(sender),
            None => sender.send(()).unwrap(),
        }
        Ok(ticket)
    }

    fn report(&self, _: Option<&ChannelId>, connection: Connection) {
        self.reports.lock().unwrap().push(connection);
    }

    async fn cursor(&self, _: &ChannelId) -> Option<Cursor> {
        None
    }
}

#[async_trait]
impl State for Hub {
    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, StateError> {
        Ok(self.memory.lock().unwrap().get(key).cloned())
    }

    async fn scan(&self, prefix: &str) -> Result<Vec<(String, Vec<u8>)>, StateError> {
        let memory = self.memory.lock().unwrap();
        Ok(memory
            .iter()
            .filter(|(key, _)| key.starts_with(prefix))
            .map(|(k, v)| (k.clone(), v.clone()))
            .collect())
    }

    async fn put(&self, changes: Vec<(String, Option<Vec<u8>>)>) -> Result<(), StateError> {
        let mut memory = self.memory.lock().unwrap();
        for (key, value) in changes {
            match value {
                Some(value) => memory.insert(key, value),
                None => memory.remove(&key),
            };
        }
        Ok(())
    }
}

#[async_trait]
impl MediaSource for Hub {
    async fn open(&self, _: &MediaRef) -> Result<Media, MediaError> {
        let bytes = self.file.lock().unwrap().clone().ok_or(MediaError::Gone)?;
        let pieces: Vec<_> = bytes
            .chunks(50_000)
            .map(|piece| Ok(bytes::Bytes::copy_from_slice(piece)))
            .collect();
        let stream = Box::pin(futures_util::stream::iter(pieces));
        Ok(Media {
            mime: Some("image/png".into()),
            size: None,
            name: None,
            stream,
        })
    }

    fn link(&self, _: &MediaRef, name: &str) -> Option<String> {
        Some(format!("https://files.example.org/{name}"))
    }
}

#[async_trait]
impl Observer for Hub {
    async fn invited(&self, room: &str, invitee: &str, by: &str, direct: bool) {
        self.told
            .lock()
            .unwrap()
            .push(format!("invited {room} {invitee} {by} {direct}"));
    }

    async fn upgraded(&self, room: &str, replacement: &str) {
        self.told.lock().unwrap().push(format!("upgraded {room} {replacement}"));
    }

    async fn labelled(&self, room: &str, label: Option<&str>) {
        self.told.lock().unwrap().push(format!("labelled {room} {label:?}"));
    }

    async fn command(&self, room: &str, sender: &str, text: &str, event_id: &str) {
        self.told
            .lock()
            .unwrap()
            .push(format!("command {room} {sender} {text} {event_id}"));
    }

    async fn user_exists(&self, mxid: &str) -> bool {
        mxid.contains("bob")
    }

    async fn alias_exists(&self, _: &str) -> bool {
        false
    }

    fn is_mirrored(&self, room: &str) -> bool {
        room.starts_with("!room")
    }
}

#[derive(Debug)]
struct Fixed;

impl Clock for Fixed {
    fn now(&self) -> Timestamp {
        Timestamp(1_800_000_000_000)
    }
}

impl Entropy for Fixed {
    fn fill(&self, buffer: &mut [u8]) {
        buffer.fill(4);
    }
}

pub struct World {
    pub stub: Arc<Stub>,
    pub hub: Arc<Hub>,
    pub homeserver: Arc<Homeserver>,
    pub listen: String,
    pub stop: CancellationToken,
    pub running: tokio::task::JoinHandle<Result<(), viaduct_bridge::SessionError>>,
}

/// A free loopback port.
fn free_port() -> std::net::SocketAddr {
    std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
}

pub fn config(url: &str) -> HomeserverConfig {
    HomeserverConfig {
        url: url.to_owned(),
        domain: "example.org".to_owned(),
        as_token: "as-secret".into(),
        hs_token: "hs-secret".into(),
        id: "viaduct".to_owned(),
        bot: "viaduct".to_owned(),
        ghost_prefix: "_via_".to_owned(),
        speak_for: viaduct_matrix::SpeakFor::Nobody,
        listen: free_port(),
        public_url: None,
        ca_file: None,
        media_limit: 1024 * 1024,
        body_limit: 256 * 1024,
        language: Language::English,
        ghost_name: "{name} ({network})".to_owned(),
    }
}

impl World {
    pub async fn start() -> Self {
        Self::with(Arc::new(Hub::default()), Stub::start().await).await
    }

    /// A hub that may speak for `mxid`, who is in `!room1`.
    pub async fn speaking_for(mxid: &str) -> Self {
        let (stub, url) = Stub::start().await;
        let mut config = config(&url);
        config.speak_for = viaduct_matrix::SpeakFor::These([mxid.to_owned()].into());
        stub.members.lock().unwrap().insert(("!room1".into(), mxid.into()));
        Self::configured(Arc::default(), stub, config).await
    }

    pub async fn with(hub: Arc<Hub>, (stub, url): (Arc<Stub>, String)) -> Self {
        Self::configured(hub, stub, config(&url)).await
    }

    async fn configured(hub: Arc<Hub>, stub: Arc<Stub>, config: HomeserverConfig) -> Self {
        hub.reports.lock().unwrap().clear();
        let listen = format!("http://{}", config.listen);
        let stop = CancellationToken::new();
        let context = Context {
            network: NetworkName::matrix(),
            channels: Vec::new(),
            inbox: hub.clone(),
            state: hub.clone(),
            media: hub.clone(),
            clock: Arc::new(Fixed),
            entropy: Arc::new(Fixed),
            stop: stop.clone(),
        };
        let homeserver = Homeserver::new(config, context, hub.clone(), None).unwrap();
        let session = homeserver.clone();
        let running = tokio::spawn(async move { session.run().await });
        let world = Self {
            stub,
            hub,
            homeserver,
            listen,
            stop,
            running,
        };
        world
            .until(|world| world.hub.reports.lock().unwrap().contains(&Connection::Up))
            .await;
        world
    }

    /// Waits until something is so, with a bound.
    pub async fn until(&self, condition: impl Fn(&Self) -> bool) {
        let waited = tokio::time::timeout(PATIENCE, async {
            while !condition(self) {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        });
        waited.await.expect("the condition did not come about");
    }

    /// Pushes a transaction as the homeserver would; the status and body of the answer.
    pub async fn push(&self, id: &str, body: Value) -> (u16, Value) {
        self.request(
            "PUT",
            &format!("/_matrix/app/v1/transactions/{id}"),
            Some("hs-secret"),
            body.to_string(),
        )
        .await
    }

    pub async fn request(&self, method: &str, path: &str, token: Option<&str>, body: String) -> (u16, Value) {
        let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
        let mut request = reqwest::Client::new()
            .request(method, format!("{}{path}", self.listen))
            .body(body);
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        let response = request.send().await.unwrap();
        (response.status().as_u16(), response.json().await.unwrap_or_default())
    }

    pub async fn deliver(&self, out: Outbound) -> Result<viaduct_model::Receipt, viaduct_bridge::DeliveryError> {
        self.homeserver.deliver(&cleared(out)).await
    }

    pub fn contents(&self) -> Vec<Content> {
        self.hub
            .events
            .lock()
            .unwrap()
            .iter()
            .map(|event| event.content.clone())
            .collect()
    }
}

pub fn cleared(out: Outbound) -> Cleared<Outbound> {
    match Filter::default().decide(out) {
        Decision::Pass { outbound, .. } => *outbound,
        other => panic!("{other:?}"),
    }
}

pub fn person(name: &str) -> Person {
    Person {
        network: NetworkName::new("irc").unwrap(),
        id: PersonId::new(name).unwrap(),
        name: name.to_owned(),
        avatar: None,
        organisation: None,
        bot: false,
    }
}

/// Something said on IRC on its way into `room`.
pub fn outbound(room: &str, who: &str, id: &str, content: Content) -> Outbound {
    let from = Place::new(NetworkName::new("irc").unwrap(), ChannelId::new("#team").unwrap());
    let to = Place::new(NetworkName::matrix(), ChannelId::new(room).unwrap());
    Outbound {
        key: DeliveryKey::derive(&from, &MessageId::new(id).unwrap(), &to),
        to,
        from,
        author: Author {
            person: person(who),
            display: who.to_owned(),
        },
        at: Timestamp(1_700_000_000_000),
        content,
        parts: Vec::new(),
    }
}

pub fn event(room: &str, id: &str, sender: &str, kind: &str, content: Value) -> Value {
    json!({ "type": kind, "room_id": room, "event_id": id, "sender": sender, "origin_server_ts": 5, "content": content })
}

pub fn said(room: &str, id: &str, text: &str) -> Value {
    event(
        room,
        id,
        "@alice:example.org",
        "m.room.message",
        json!({ "msgtype": "m.text", "body": text }),
    )
}
