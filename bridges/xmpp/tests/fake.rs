//! The bridge against a server that misbehaves in ways a real one cannot be made to.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::indexing_slicing,
    clippy::needless_pass_by_value,
    clippy::match_wild_err_arm,
    clippy::format_collect,
    clippy::format_push_string,
    clippy::assigning_clones,
    clippy::too_many_lines,
    missing_docs,
    reason = "a test says what it sees, and stops at the first surprise"
)]

mod common;

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_xmpp::Stanza;
use viaduct_xmpp::client::component::connect;
use viaduct_xmpp::client::link::{Ends, Link, LinkError};
use viaduct_xmpp::config::{Component, Secret, Timeouts};

const PATIENCE: Duration = Duration::from_secs(20);
const HEADER: &str = "<?xml version='1.0'?><stream:stream xmlns='jabber:component:accept' \
    xmlns:stream='http://etherx.jabber.org/streams' id='s1' from='m.example'>";

/// The server's end of one connection.
struct Server {
    socket: TcpStream,
    read: String,
}

impl Server {
    /// Waits until the bridge has sent something.
    async fn until(&mut self, wanted: &str) {
        let wait = async {
            let mut buffer = [0; 4096];
            while !self.read.contains(wanted) {
                let length = self.socket.read(&mut buffer).await.unwrap();
                assert!(length > 0, "the bridge left after {:?}", self.read);
                self.read
                    .push_str(std::str::from_utf8(buffer.get(..length).unwrap()).unwrap());
            }
        };
        timeout(PATIENCE, wait).await.unwrap();
        self.read.clear();
    }

    /// Waits for a request with this in it, and gives its id.
    async fn until_request(&mut self, wanted: &str) -> String {
        let wait = async {
            let mut buffer = [0; 4096];
            loop {
                let found = self
                    .read
                    .split("<iq ")
                    .find(|iq| iq.contains(wanted) && iq.contains("</iq>"));
                if let Some((_, after)) = found.and_then(|iq| iq.split_once("id='")) {
                    let id = after.split_once('\'').unwrap().0.to_owned();
                    self.read.clear();
                    return id;
                }
                let length = self.socket.read(&mut buffer).await.unwrap();
                assert!(length > 0, "the bridge left after {:?}", self.read);
                self.read
                    .push_str(std::str::from_utf8(buffer.get(..length).unwrap()).unwrap());
            }
        };
        timeout(PATIENCE, wait).await.unwrap()
    }

    /// Lets the hub into the room.
    async fn let_in(&mut self) {
        self.until("to='r@c.example/viaduct'").await;
        self.send(
            "<presence from='r@c.example/viaduct' to='viaduct@m.example/viaduct'>\
             <x xmlns='http://jabber.org/protocol/muc#user'><item affiliation='member' role='participant'/>\
             <status code='110'/></x></presence>",
        )
        .await;
        let id = self.until_request("disco#info").await;
        let (from, to) = ("r@c.example", "viaduct@m.example/viaduct");
        self.send(&format!(
            "<iq type='result' id='{id}' from='{from}' to='{to}'>\
             <query xmlns='http://jabber.org/protocol/disco#info'/></iq>"
        ))
        .await;
    }

    async fn send(&mut self, xml: &str) {
        self.socket.write_all(xml.as_bytes()).await.unwrap();
    }
}

/// Takes a connection and answers the handshake with `answer`.
async fn accept(listener: &TcpListener, answer: &str) -> Server {
    let (socket, _) = listener.accept().await.unwrap();
    let mut server = Server {
        socket,
        read: String::new(),
    };
    server.until("<stream:stream").await;
    server.send(HEADER).await;
    // The digest of the stream's id and the secret, as the specification defines it.
    server.until("0c84a2a6e2a8763b5708b5bf6dd4d1d455d550c7").await;
    server.send(answer).await;
    server
}

/// Connects a link to a server that answers the handshake with `answer`.
async fn meet(answer: &str, timeouts: Timeouts) -> (Server, Result<Link, LinkError>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let component: Component =
        serde_json::from_value(serde_json::json!({"port": port, "domain": "m.example"})).unwrap();
    let serve = accept(&listener, answer);
    let secret = Secret::new("test");
    let (server, link) = tokio::join!(serve, connect(&component, &secret, &timeouts));
    (server, link)
}

fn run(link: Link) -> (Ends, tokio::task::JoinHandle<LinkError>) {
    let (ends, outgoing, incoming) = Link::queues();
    (
        ends,
        tokio::spawn(link.run(outgoing, incoming, CancellationToken::new())),
    )
}

async fn next_body(ends: &mut Ends) -> Option<String> {
    match timeout(PATIENCE, ends.incoming.recv()).await.unwrap()? {
        Stanza::Message(message) => message.bodies.into_values().next(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn stanzas_that_cannot_be_read_are_skipped() {
    let (mut server, link) = meet("<handshake/>", Timeouts::default()).await;
    let (mut ends, task) = run(link.unwrap());
    for bad in [
        "<message from='@@@' to='m.example'><body>bad address</body></message>",
        "<message from='a@b' type='nonsense'><body>bad type</body></message>",
        "<iq from='a@b' type='get' id='1'/>",
        "<presence from='a@b'><show>nonsense</show></presence>",
    ] {
        server.send(bad).await;
    }
    server
        .send("<message from='a@b' to='m.example'><body>good</body></message>")
        .await;
    let Some(body) = next_body(&mut ends).await else {
        panic!("the stream ended: {:?}", task.await)
    };
    assert_eq!(body, "good");
}

#[tokio::test]
async fn silence_is_asked_about_and_then_counts_as_the_end() {
    let timeouts = Timeouts {
        idle: 1,
        response: 1,
        ..Timeouts::default()
    };
    let (mut server, link) = meet("<handshake/>", timeouts).await;
    let (mut ends, task) = run(link.unwrap());
    server.until("<ping xmlns='urn:xmpp:ping'").await;
    // A sign of life: the stream goes on.
    server
        .send("<message from='a@b' to='m.example'><body>alive</body></message>")
        .await;
    assert_eq!(next_body(&mut ends).await.as_deref(), Some("alive"));
    server.until("<ping xmlns='urn:xmpp:ping'").await;
    assert!(matches!(
        timeout(PATIENCE, task).await.unwrap().unwrap(),
        LinkError::Lost(_)
    ));
}

#[tokio::test]
async fn endless_stanzas_and_entities_are_refused() {
    let (mut server, link) = meet("<handshake/>", Timeouts::default()).await;
    let (_ends, task) = run(link.unwrap());
    let piece = "x".repeat(64 * 1024);
    server.send("<message from='a@b' to='m.example'><body>").await;
    for _ in 0..100 {
        if server.socket.write_all(piece.as_bytes()).await.is_err() {
            break;
        }
    }
    let error = timeout(PATIENCE, task).await.unwrap().unwrap();
    assert_eq!(
        error,
        LinkError::Lost("the server sent a stanza that is too large".into())
    );

    let (mut server, link) = meet("<handshake/>", Timeouts::default()).await;
    let (_ends, task) = run(link.unwrap());
    server
        .send("<!DOCTYPE lol [<!ENTITY a 'b'>]><message><body>&a;</body></message>")
        .await;
    assert!(matches!(
        timeout(PATIENCE, task).await.unwrap().unwrap(),
        LinkError::Lost(_)
    ));
}

#[tokio::test]
async fn a_refused_secret_is_told_apart_from_a_lost_connection() {
    let refusal =
        "<stream:error><not-authorized xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error></stream:stream>";
    let (_server, link) = meet(refusal, Timeouts::default()).await;
    assert!(matches!(link.err(), Some(LinkError::Refused(_))));
}

/// A room's server that restarted has forgotten everybody without a word (XEP-0410).
#[tokio::test]
async fn a_room_that_forgot_the_hub_is_entered_again() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let section = serde_json::json!({
        "component": {"port": listener.local_addr().unwrap().port(), "domain": "m.example", "secret": "test"},
        "timeouts": {"self_ping": 1},
    });
    let hub = common::hub::Hub::start_with("r@c.example", &Arc::new(common::hub::Memory::default()), section);
    let mut server = accept(&listener, "<handshake/>").await;
    server.let_in().await;
    hub.until_up(1).await;
    let id = server.until_request("<ping xmlns='urn:xmpp:ping'").await;
    server
        .send(&format!(
            "<iq type='error' id='{id}' from='r@c.example/viaduct' to='viaduct@m.example/viaduct'><error type='cancel'>\
             <not-acceptable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>"
        ))
        .await;
    server.let_in().await;
    hub.until_up(2).await;
    hub.stop().await;
}
