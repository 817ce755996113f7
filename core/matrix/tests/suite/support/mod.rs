//! An in-process stand-in for a homeserver, and a hub around the homeserver side, for this crate's own tests.

mod hub;
mod stub;

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use viaduct_bridge::{Connection, Context, Session};
use viaduct_compliance::{Cleared, Decision, Filter};
use viaduct_matrix::{Homeserver, HomeserverConfig};
use viaduct_model::{
    Author, ChannelId, Content, DeliveryKey, Entropy, Language, MessageId, NetworkName, Outbound, Person, PersonId,
    Place, Secret, Timestamp,
};

pub use hub::Hub;
pub use stub::Stub;

/// How long any condition is waited for.
const PATIENCE: Duration = Duration::from_secs(10);

#[derive(Debug)]
struct Fixed;

impl Entropy for Fixed {
    fn fill(&self, buffer: &mut [u8]) {
        buffer.fill(4);
    }
}

pub struct World {
    pub stub: Arc<Stub>,
    pub hub: Arc<Hub>,
    pub homeserver: Arc<Homeserver>,
    /// The stub's address.
    pub url: String,
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
        as_token: Secret::new("as-secret"),
        hs_token: Secret::new("hs-secret"),
        id: "viaduct".to_owned(),
        bot: "viaduct".to_owned(),
        ghost_prefix: "_via_".to_owned(),
        speak_for: viaduct_matrix::SpeakFor::Nobody,
        listen: free_port(),
        public_url: None,
        ca_file: None,
        media_limit: 1024 * 1024,
        body_limit: 256 * 1024,
        encryption: None,
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

    /// A hub whose bot has a device, with its keys in `folder`.
    pub async fn with_device(hub: Arc<Hub>, stub: Arc<Stub>, url: &str, folder: &std::path::Path) -> Self {
        let mut config = config(url);
        config.encryption = Some(viaduct_matrix::Encryption {
            device: "HUB".to_owned(),
            folder: folder.to_owned(),
            passphrase: Secret::new("passphrase"),
        });
        let world = Self::configured(hub, stub, config).await;
        world
            .until(|world| !world.stub.requests("/keys/signatures/upload").is_empty())
            .await;
        world
    }

    pub async fn with(hub: Arc<Hub>, (stub, url): (Arc<Stub>, String)) -> Self {
        Self::configured(hub, stub, config(&url)).await
    }

    async fn configured(hub: Arc<Hub>, stub: Arc<Stub>, config: HomeserverConfig) -> Self {
        hub.reports.lock().unwrap().clear();
        let url = config.url.clone();
        let listen = format!("http://{}", config.listen);
        let stop = CancellationToken::new();
        let context = Context {
            network: NetworkName::matrix(),
            channels: Vec::new(),
            inbox: hub.clone(),
            state: hub.clone(),
            media: hub.clone(),
            clock: hub.clone(),
            entropy: Arc::new(Fixed),
            language: Language::English,
            stop: stop.clone(),
        };
        let homeserver = Homeserver::new(config, context, hub.clone(), None).unwrap();
        let session = homeserver.clone();
        let running = tokio::spawn(async move { session.run().await });
        let world = Self {
            stub,
            hub,
            homeserver,
            url,
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
