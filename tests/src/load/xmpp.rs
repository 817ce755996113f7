//! An XMPP server that can speak faster than any real one: a port for one component, and rooms.
//!
//! It speaks the component protocol (XEP-0114) as the server's side of it, and the part of rooms (XEP-0045) that the hub
//! meets: entering and leaving, messages shown to everybody with the room's id (XEP-0359) and occupant-ids (XEP-0421), pings.
//! Rooms say that they keep an archive (XEP-0313), so that the hub keeps its place as it does with any good server; asked
//! for it they show an empty one.

mod stanza;

use std::collections::HashMap;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};
use tokio::io::AsyncReadExt as _;
use tokio::net::tcp::OwnedReadHalf;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::Instant;

use super::output::Output;
use super::{Heard, LoadServer};
use stanza::{Piece, Splitter, Stanza, escape};

/// Where the rooms are.
const ROOMS: &str = "rooms.load.test";
/// The component.
const COMPONENT: &str = "hub.load.test";
/// The nick the hub is configured with.
const HUB_NICK: &str = "viaduct";
/// How much is read at once.
const READ: usize = 64 * 1024;
/// The features of every room.
const FEATURES: [&str; 6] = [
    "http://jabber.org/protocol/disco#info",
    "http://jabber.org/protocol/muc",
    "http://jabber.org/protocol/muc#stable_id",
    "urn:xmpp:mam:2",
    "urn:xmpp:sid:0",
    "urn:xmpp:occupant-id:0",
];

/// Somebody of the hub's in a room.
#[derive(Debug, Clone)]
struct Occupant {
    address: String,
    nick: String,
}

#[derive(Debug, Default)]
struct RoomState {
    occupants: Vec<Occupant>,
    heard: Vec<Heard>,
}

#[derive(Debug, Default)]
struct State {
    serial: u64,
    connections: HashMap<u64, Arc<Output>>,
    /// The one everything goes to.
    latest: Option<Arc<Output>>,
    rooms: HashMap<String, RoomState>,
    heard_in_all: u64,
}

#[derive(Debug, Default)]
struct Shared(Mutex<State>);

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A load XMPP server, working until dropped.
#[derive(Debug)]
pub struct LoadXmpp {
    shared: Arc<Shared>,
    address: SocketAddr,
    accepting: JoinHandle<()>,
}

impl Drop for LoadXmpp {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl LoadServer for LoadXmpp {
    const KIND: &'static str = "XMPP";

    async fn start() -> anyhow::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared::default());
        let accepting = tokio::spawn(accept(listener, Arc::clone(&shared)));
        Ok(Self {
            shared,
            address,
            accepting,
        })
    }

    fn section(&self, puppets: bool) -> Value {
        json!({
            "kind": "xmpp",
            "component": {
                "host": self.address.ip().to_string(), "port": self.address.port(), "domain": COMPONENT, "secret": "any",
            },
            "muc_services": [ROOMS],
            "nick": HUB_NICK,
            "puppets": puppets,
        })
    }

    fn channel(mirror: usize) -> String {
        format!("room{mirror}@{ROOMS}")
    }

    fn members(&self, channel: &str) -> usize {
        self.shared
            .state()
            .rooms
            .get(channel)
            .map_or(0, |room| room.occupants.len())
    }

    fn connections(&self) -> usize {
        self.shared.state().connections.len()
    }

    async fn speak(&self, channel: &str, nick: &str, text: &str) -> bool {
        let (connection, bytes) = {
            let mut state = self.shared.state();
            let id = state.serial();
            let Some((connection, room)) = state.latest.clone().zip(state.rooms.get(channel)) else {
                return false;
            };
            let inner = format!("<body>{}</body>", escape(text));
            let said = Said {
                room: channel,
                nick,
                id: &format!("said{id}"),
                inner: &inner,
                serial: id,
            };
            (connection, said.to_all(&room.occupants))
        };
        connection.write_when_room(bytes.as_bytes()).await;
        !bytes.is_empty()
    }

    fn heard(&self, channel: &str) -> Vec<Heard> {
        self.shared
            .state()
            .rooms
            .get(channel)
            .map(|room| room.heard.clone())
            .unwrap_or_default()
    }

    fn heard_in_all(&self) -> u64 {
        self.shared.state().heard_in_all
    }

    fn forget_heard(&self) {
        let mut state = self.shared.state();
        state.rooms.values_mut().for_each(|room| room.heard.clear());
        state.heard_in_all = 0;
    }
}

impl State {
    fn serial(&mut self) -> u64 {
        self.serial += 1;
        self.serial
    }
}

/// Something said in a room.
struct Said<'a> {
    room: &'a str,
    nick: &'a str,
    id: &'a str,
    inner: &'a str,
    /// What the room calls it.
    serial: u64,
}

impl Said<'_> {
    /// As the room shows it to each of these.
    fn to_all(&self, occupants: &[Occupant]) -> String {
        let Self {
            room,
            nick,
            id,
            inner,
            serial,
        } = self;
        let mut shown = String::new();
        for Occupant { address, .. } in occupants {
            write!(
                shown,
                "<message type='groupchat' id='{id}' from='{room}/{nick}' to='{address}'>{inner}\
                 <stanza-id xmlns='urn:xmpp:sid:0' by='{room}' id='room{serial}'/>\
                 <occupant-id xmlns='urn:xmpp:occupant-id:0' id='person-{nick}'/></message>"
            )
            .unwrap_or_default();
        }
        shown
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        connections.spawn(serve(stream, Arc::clone(&shared)));
        while connections.try_join_next().is_some() {}
    }
}

async fn serve(stream: TcpStream, shared: Arc<Shared>) {
    stream.set_nodelay(true).ok();
    let (reader, writer) = stream.into_split();
    let connection = Arc::new(Output::default());
    let id = {
        let mut state = shared.state();
        let id = state.serial();
        state.connections.insert(id, Arc::clone(&connection));
        state.latest = Some(Arc::clone(&connection));
        id
    };
    tokio::select! {
        () = connection.write_out(writer) => {}
        () = read_in(reader, &shared, &connection) => {}
    }
    let mut state = shared.state();
    state.connections.remove(&id);
    state.rooms.values_mut().for_each(|room| room.occupants.clear());
    connection.close();
}

async fn read_in(mut reader: OwnedReadHalf, shared: &Shared, connection: &Output) {
    let mut splitter = Splitter::default();
    let mut bytes = vec![0; READ];
    while let Ok(length) = reader.read(&mut bytes).await
        && length > 0
    {
        splitter.add(bytes.get(..length).unwrap_or_default());
        while let Some(piece) = splitter.next_piece() {
            let mut reply = String::new();
            match piece {
                Piece::Opening => reply.push_str(
                    "<?xml version='1.0'?><stream:stream xmlns='jabber:component:accept' \
                     xmlns:stream='http://etherx.jabber.org/streams' id='load' from='hub.load.test'>",
                ),
                Piece::Stanza(text) => handle(&mut shared.state(), &Stanza::new(&text), &mut reply),
                Piece::Closing => return,
            }
            if !reply.is_empty() {
                connection.write(reply.as_bytes());
            }
        }
    }
}

fn handle(state: &mut State, stanza: &Stanza<'_>, reply: &mut String) {
    let (from, to) = (stanza.attribute("from"), stanza.attribute("to"));
    let (room, nick) = to.split_once('/').unwrap_or((to, ""));
    match stanza.name() {
        "handshake" => reply.push_str("<handshake/>"),
        "presence" if stanza.attribute("type") == "unavailable" => leave(state, room, from, reply),
        "presence" if !nick.is_empty() => enter(state, room, nick, from, reply),
        "message" if stanza.attribute("type") == "groupchat" => say(state, room, stanza, reply),
        "iq" if matches!(stanza.attribute("type"), "get" | "set") => {
            let id = stanza.attribute("id");
            let result = answer(stanza);
            write!(
                reply,
                "<iq type='result' id='{id}' from='{to}' to='{from}'>{result}</iq>"
            )
            .unwrap_or_default();
        }
        _ => {}
    }
}

/// What is told to whoever asks.
fn answer(stanza: &Stanza<'_>) -> String {
    if stanza.has("http://jabber.org/protocol/disco#info") {
        let features = FEATURES.map(|feature| format!("<feature var='{feature}'/>")).concat();
        return format!(
            "<query xmlns='http://jabber.org/protocol/disco#info'>\
             <identity category='conference' type='text' name='load'/>{features}</query>"
        );
    }
    if stanza.has("urn:xmpp:mam:2") {
        return "<fin xmlns='urn:xmpp:mam:2' complete='true'>\
                <set xmlns='http://jabber.org/protocol/rsm'><count>0</count></set></fin>"
            .to_owned();
    }
    String::new()
}

/// Everybody learns who came, and who came learns who is there.
fn enter(state: &mut State, room: &str, nick: &str, address: &str, reply: &mut String) {
    let room_state = state.rooms.entry(room.to_owned()).or_default();
    let others: Vec<Occupant> = room_state
        .occupants
        .iter()
        .filter(|other| other.address != address)
        .cloned()
        .collect();
    let newcomer = Occupant {
        address: address.to_owned(),
        nick: nick.to_owned(),
    };
    for other in &others {
        present(room, other, address, "", reply);
        present(room, &newcomer, &other.address, "", reply);
    }
    room_state.occupants = others;
    present(room, &newcomer, address, "<status code='110'/>", reply);
    write!(
        reply,
        "<message type='groupchat' from='{room}' to='{address}'><subject/></message>"
    )
    .unwrap_or_default();
    room_state.occupants.push(newcomer);
}

fn present(room: &str, who: &Occupant, to: &str, status: &str, reply: &mut String) {
    let Occupant { nick, address } = who;
    write!(
        reply,
        "<presence from='{room}/{nick}' to='{to}'><x xmlns='http://jabber.org/protocol/muc#user'>\
         <item affiliation='member' role='participant' jid='{address}'/>{status}</x>\
         <occupant-id xmlns='urn:xmpp:occupant-id:0' id='person-{nick}'/></presence>"
    )
    .unwrap_or_default();
}

fn leave(state: &mut State, room: &str, address: &str, reply: &mut String) {
    let Some(room_state) = state.rooms.get_mut(room) else {
        return;
    };
    let Some(position) = room_state.occupants.iter().position(|other| other.address == address) else {
        return;
    };
    let Occupant { nick, .. } = room_state.occupants.remove(position);
    for Occupant { address, .. } in &room_state.occupants {
        write!(
            reply,
            "<presence type='unavailable' from='{room}/{nick}' to='{address}'/>"
        )
        .unwrap_or_default();
    }
}

fn say(state: &mut State, room: &str, stanza: &Stanza<'_>, reply: &mut String) {
    let serial = state.serial();
    let Some(room_state) = state.rooms.get_mut(room) else {
        return;
    };
    let speaker = room_state
        .occupants
        .iter()
        .find(|other| other.address == stanza.attribute("from"));
    let Some(Occupant { nick, .. }) = speaker.cloned() else {
        return;
    };
    let said = Said {
        room,
        nick: &nick,
        id: stanza.attribute("id"),
        inner: stanza.inner(),
        serial,
    };
    reply.push_str(&said.to_all(&room_state.occupants));
    room_state.heard.push(Heard {
        nick,
        text: stanza.body(),
        at: Instant::now(),
    });
    state.heard_in_all += 1;
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt as _;

    use super::*;
    use crate::people::HEARD;
    use crate::wait::wait_for;

    /// Reads until something comes.
    async fn until(stream: &mut TcpStream, read: &mut String, wanted: &str) {
        let stream = tokio::sync::Mutex::new(stream);
        let read = tokio::sync::Mutex::new(read);
        wait_for(wanted, HEARD, || async {
            let mut read = read.lock().await;
            if read.contains(wanted) {
                return Some(());
            }
            let mut bytes = [0; 4096];
            let length = stream.lock().await.read(&mut bytes).await.ok()?;
            read.push_str(std::str::from_utf8(bytes.get(..length)?).ok()?);
            None
        })
        .await
        .unwrap();
    }

    #[tokio::test]
    async fn a_component_enters_speaks_and_hears() {
        let server = LoadXmpp::start().await.unwrap();
        let room = LoadXmpp::channel(0);
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        let mut read = String::new();
        let opening = "<?xml version='1.0'?><stream:stream xmlns='jabber:component:accept' xmlns:stream='x' to='h'>";
        stream.write_all(opening.as_bytes()).await.unwrap();
        until(&mut stream, &mut read, "id='load'").await;
        let entering = format!("<handshake>0</handshake><presence from=\"v@h/x\" to='{room}/viaduct'><x/></presence>");
        stream.write_all(entering.as_bytes()).await.unwrap();
        until(&mut stream, &mut read, "<status code='110'/>").await;
        assert_eq!((server.members(&room), server.connections()), (1, 1));

        assert!(server.speak(&room, "nobody", "fish & chips").await);
        until(&mut stream, &mut read, "fish &amp; chips</body>").await;
        let message =
            format!("<message type='groupchat' id='m' from='v@h/x' to='{room}'><body>1 &lt; 2</body></message>");
        stream.write_all(message.as_bytes()).await.unwrap();
        until(&mut stream, &mut read, "id='m'").await;
        let heard = server.heard(&room);
        assert_eq!((heard[0].nick.as_str(), heard[0].text.as_str()), ("viaduct", "1 < 2"));
        assert_eq!(server.heard_in_all(), 1);

        drop(stream);
        wait_for("nobody there", HEARD, || async {
            (server.members(&room) == 0).then_some(())
        })
        .await
        .unwrap();
        assert!(!server.speak(&room, "nobody", "anybody?").await);
    }
}
