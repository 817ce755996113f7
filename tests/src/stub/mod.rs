//! A homeserver that does as it is told: answers at once, late, wrongly or not at all, and remembers all it was sent.
//!
//! It plays both parts of a homeserver that an application service meets. As a server ([`StubHomeserver`]) it takes what
//! the hub sends, once for each transaction id as the specification asks, and keeps per room the list of what arrived, so
//! that lost, doubled and reordered messages can be counted. As a client ([`Pusher`]) it hands the hub transactions in
//! order, each again and again until it is acknowledged. It is lean, because it shares the machine with the hub it
//! measures.

mod answer;
mod pusher;
mod state;

pub use pusher::{Pusher, message_event};
pub use state::{Counts, Fault, Sent};

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use state::State;

/// What all connections share.
#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    /// While true, nothing is answered.
    paused: watch::Sender<bool>,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A stub homeserver, answering until dropped.
#[derive(Debug)]
pub struct StubHomeserver {
    shared: Arc<Shared>,
    address: SocketAddr,
    accepting: JoinHandle<()>,
}

impl StubHomeserver {
    /// Its server name.
    pub const DOMAIN: &'static str = "stub.test";

    /// Begins to answer on a free loopback port. `bot` is the localpart of the application service's own user.
    ///
    /// # Errors
    ///
    /// When it cannot listen.
    pub async fn start(bot: &str) -> anyhow::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            state: Mutex::new(State::new(format!("@{bot}:{}", Self::DOMAIN))),
            paused: watch::Sender::new(false),
        });
        let accepting = tokio::spawn(accept(listener, Arc::clone(&shared)));
        Ok(Self {
            shared,
            address,
            accepting,
        })
    }

    /// The base address of its client API.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Lets every send take this long from now on.
    pub fn set_send_delay(&self, delay: Duration) {
        self.shared.state().send_delay = delay;
    }

    /// Lets the next `count` sends fail like this.
    pub fn fail_next(&self, fault: Fault, count: u64) {
        self.shared.state().faults.next = Some((fault, count));
    }

    /// Lets every `n`th send fail like this; zero stops it.
    pub fn fail_every(&self, fault: Fault, n: u64) {
        self.shared.state().faults.every = (n > 0).then_some((fault, n));
    }

    /// Answers nothing until [`StubHomeserver::resume`]; requests hang.
    pub fn pause(&self) {
        self.shared.paused.send_replace(true);
    }

    /// Answers again.
    pub fn resume(&self) {
        self.shared.paused.send_replace(false);
    }

    /// Tells it where the hub listens, so that it can answer a request to ping it.
    pub fn set_hub(&self, url: &str, hs_token: &str) {
        self.shared.state().hub = Some((url.to_owned(), hs_token.to_owned()));
    }

    /// Everything that was sent into a room, in order.
    pub fn sent(&self, room: &str) -> Vec<Sent> {
        self.shared
            .state()
            .rooms
            .get(room)
            .map(|room| room.sent.clone())
            .unwrap_or_default()
    }

    /// How many messages (`m.room.message`) came into all rooms.
    pub fn messages(&self) -> u64 {
        self.shared.state().counts.messages
    }

    /// What was counted so far.
    pub fn counts(&self) -> Counts {
        self.shared.state().counts.clone()
    }

    /// The room an alias stands for.
    pub fn room_of(&self, alias: &str) -> Option<String> {
        self.shared.state().aliases.get(alias).cloned()
    }

    /// Forgets what was sent, and what was counted; users, rooms and transaction ids stay.
    pub fn forget_sent(&self) {
        let mut state = self.shared.state();
        state.rooms.values_mut().for_each(|room| room.sent.clear());
        state.counts = Counts::default();
    }
}

impl Drop for StubHomeserver {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    // Connections end with the listener, as those of a real server would.
    let mut connections = tokio::task::JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        connections.spawn(serve(stream, Arc::clone(&shared)));
        while connections.try_join_next().is_some() {}
    }
}

async fn serve(stream: TcpStream, shared: Arc<Shared>) {
    stream.set_nodelay(true).ok();
    let service = service_fn(move |request: Request<Incoming>| {
        let shared = Arc::clone(&shared);
        async move { answer_or_drop(&shared, request).await }
    });
    // An error is a client that went away, or a fault that was asked for.
    hyper::server::conn::http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await
        .ok();
}

/// An answer, or an error where the connection is to break.
async fn answer_or_drop(shared: &Shared, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Broken> {
    let mut paused = shared.paused.subscribe();
    // The sender lives as long as the server.
    paused.wait_for(|paused| !paused).await.map_err(|_| Broken)?;
    answer::answer(shared, request).await.ok_or(Broken)
}

/// The connection breaks here.
#[derive(Debug)]
struct Broken;

impl std::fmt::Display for Broken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the connection is to break")
    }
}

impl std::error::Error for Broken {}

impl From<Infallible> for Broken {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::launch::http_client;

    const ROOM: &str = "!r:stub.test";
    const GHOST: &str = "@_via_x:stub.test";

    async fn put(stub: &StubHomeserver, path: &str, body: Value) -> (u16, Value) {
        let url = format!("{}/_matrix/client/v3/{path}?user_id={GHOST}", stub.url());
        let response = http_client().unwrap().put(url).json(&body).send().await.unwrap();
        (response.status().as_u16(), response.json().await.unwrap())
    }

    async fn post(stub: &StubHomeserver, path: &str, body: Value) -> (u16, Value) {
        let url = format!("{}/_matrix/client/v3/{path}?user_id={GHOST}", stub.url());
        let response = http_client().unwrap().post(url).json(&body).send().await.unwrap();
        (response.status().as_u16(), response.json().await.unwrap())
    }

    async fn ready() -> StubHomeserver {
        let stub = StubHomeserver::start("viaduct").await.unwrap();
        let registered = post(&stub, "register", json!({ "username": "_via_x" })).await;
        assert_eq!(registered, (200, json!({ "user_id": GHOST })));
        stub
    }

    #[tokio::test]
    async fn a_ghost_registers_once_joins_and_speaks_once_for_each_transaction() {
        let stub = ready().await;
        let again = post(&stub, "register", json!({ "username": "_via_x" })).await;
        assert_eq!((again.0, &again.1["errcode"]), (400, &json!("M_USER_IN_USE")));

        let path = "rooms/%21r%3Astub.test/send/m.room.message/t1";
        let early = put(&stub, path, json!({ "body": "too early" })).await;
        assert_eq!((early.0, &early.1["errcode"]), (403, &json!("M_FORBIDDEN")));
        assert_eq!(post(&stub, "join/%21r%3Astub.test", json!({})).await.0, 200);

        let first = put(&stub, path, json!({ "body": "hello" })).await;
        let second = put(&stub, path, json!({ "body": "hello" })).await;
        assert_eq!(first, second);
        assert_eq!((stub.counts().repeats, stub.counts().violations), (1, 0));
        put(&stub, path, json!({ "body": "something else" })).await;
        assert_eq!(stub.counts().violations, 1);

        let sent = stub.sent(ROOM);
        assert_eq!(sent.len(), 1);
        assert_eq!(
            (
                sent[0].sender.as_str(),
                sent[0].body.as_str(),
                sent[0].transaction.as_str()
            ),
            (GHOST, "hello", "t1")
        );
    }

    #[tokio::test]
    async fn faults_come_when_asked_for() {
        let stub = ready().await;
        post(&stub, "rooms/%21r%3Astub.test/join", json!({})).await;
        stub.fail_next(
            Fault::Limited {
                retry_after: Duration::from_millis(70),
            },
            1,
        );
        let limited = put(
            &stub,
            "rooms/%21r%3Astub.test/send/m.room.message/a",
            json!({ "body": "1" }),
        )
        .await;
        assert_eq!((limited.0, &limited.1["retry_after_ms"]), (429, &json!(70)));
        assert!(stub.sent(ROOM).is_empty());

        stub.fail_next(Fault::LoseAnswer, 1);
        let url = format!(
            "{}/_matrix/client/v3/rooms/{ROOM}/send/m.room.message/b?user_id={GHOST}",
            stub.url()
        );
        let lost = http_client()
            .unwrap()
            .put(&url)
            .json(&json!({ "body": "2" }))
            .send()
            .await;
        assert!(lost.is_err());
        assert_eq!(stub.sent(ROOM).len(), 1, "it was taken all the same");
        assert_eq!(
            http_client()
                .unwrap()
                .put(&url)
                .json(&json!({ "body": "2" }))
                .send()
                .await
                .unwrap()
                .status(),
            200
        );
        assert_eq!(stub.sent(ROOM).len(), 1);

        stub.fail_every(Fault::ServerError, 2);
        let codes: Vec<u16> = futures(&stub).await;
        assert_eq!(codes.iter().filter(|code| **code == 500).count(), 2, "{codes:?}");
    }

    async fn futures(stub: &StubHomeserver) -> Vec<u16> {
        let mut codes = Vec::new();
        for number in 0..4 {
            let path = format!("rooms/%21r%3Astub.test/send/m.room.message/e{number}");
            codes.push(put(stub, &path, json!({ "body": "3" })).await.0);
        }
        codes
    }

    #[tokio::test]
    async fn rooms_are_made_found_by_alias_and_named_paths_answer() {
        let stub = ready().await;
        let made = post(&stub, "createRoom", json!({ "room_alias_name": "project" })).await;
        let room = made.1["room_id"].as_str().unwrap().to_owned();
        assert_eq!(stub.room_of("#project:stub.test"), Some(room.clone()));
        let again = post(&stub, "createRoom", json!({ "room_alias_name": "project" })).await;
        assert_eq!(again.1["errcode"], json!("M_ROOM_IN_USE"));
        let get = |path: &str| {
            let url = format!("{}/_matrix/{path}", stub.url());
            async move { http_client().unwrap().get(url).send().await.unwrap() }
        };
        let found: Value = get("client/v3/directory/room/%23project%3Astub.test")
            .await
            .json()
            .await
            .unwrap();
        assert_eq!(found["room_id"], json!(room));
        assert_eq!(get("client/versions").await.status(), 200);
        let me: Value = get("client/v3/account/whoami").await.json().await.unwrap();
        assert_eq!(me["user_id"], json!("@viaduct:stub.test"));
        assert_eq!(get("client/v3/nonsense").await.status(), 404);
    }

    #[tokio::test]
    async fn a_paused_homeserver_answers_when_it_goes_on() {
        let stub = ready().await;
        stub.pause();
        let url = format!("{}/_matrix/client/versions", stub.url());
        let client = http_client().unwrap();
        let hanging = client.get(&url).timeout(Duration::from_millis(100)).send().await;
        assert!(hanging.is_err());
        let later = tokio::spawn(client.get(&url).send());
        stub.resume();
        assert_eq!(later.await.unwrap().unwrap().status(), 200);
    }
}
