//! A homeserver in this process that keeps what it is told.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::to_bytes;
use axum::extract::{Request, State as Shared};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::serve::ListenerExt;
use serde_json::{Value, json};
use tokio::net::TcpListener;

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
    pub members: Mutex<HashSet<(String, String)>>,
    /// Rooms that may only be entered by invitation.
    pub closed: Mutex<HashSet<String>>,
    invited: Mutex<HashSet<(String, String)>>,
    sent: Mutex<HashMap<String, String>>,
    aliases: Mutex<HashMap<String, String>>,
    state: Mutex<BTreeMap<String, Value>>,
    pub files: Mutex<Vec<Vec<u8>>>,
    /// Events by their ids.
    pub events: Mutex<HashMap<String, Value>>,
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

    fn is_scripted(&self, path: &str) -> bool {
        let scripted = self.scripted.lock().unwrap();
        scripted.iter().any(|(part, ..)| path.contains(part.as_str()))
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
            ("GET", [.., "rooms", _, "event", id]) => {
                let events = self.events.lock().unwrap();
                events.get(*id).map_or(missing, |event| (200, event.clone()))
            }
            ("POST", [.., "keys", "upload"]) => (200, json!({ "one_time_key_counts": { "signed_curve25519": 50 } })),
            ("GET", [.., "v3", "sync"]) => (200, json!({ "next_batch": "s1" })),
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
            ("GET", [.., "rooms", _, "members"]) => (200, json!({ "chunk": [] })),
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
    if path.contains("/download/") && !stub.is_scripted(&path) {
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
