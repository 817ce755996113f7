//! The bridge contract: rooms, puppets, delivery and catch-up over one component stream.
//!
//! [`Xmpp::run`] reads stanzas one by one and hands each to [`inbound`] or [`presence`]; nothing there waits for the network.
//! Whatever takes its time runs beside it: entering rooms ([`entry`]), reading archives ([`catchup`]), delivering
//! ([`outbound`]). What a room knows is in [`room::Room`], behind a lock that is never held across an await.

mod catchup;
mod direct;
mod entry;
mod inbound;
mod index;
mod outbound;
mod presence;
mod probes;
mod reactions;
mod room;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::task::JoinSet;
use tokio_xmpp::Stanza;
use viaduct_bridge::{Connection, Context, DeliveryError, Failure, OpenError, Probe, Session, SessionError};
use viaduct_compliance::Cleared;
use viaduct_model::{Capabilities, ChannelId, DeliveryKey, Outbound, PersonId, Receipt};
use xmpp_parsers::disco::{DiscoInfoResult, Identity};
use xmpp_parsers::iq::Iq;
use xmpp_parsers::jid::{BareJid, FullJid, Jid};
use xmpp_parsers::minidom::Element;
use xmpp_parsers::ns;
use xmpp_parsers::stanza_error::{DefinedCondition, ErrorType, StanzaError};

use crate::capabilities;
use crate::client::link::{Link, LinkError, connect};
use crate::client::wire::Wire;
use crate::config::{Secret, Section};
use crate::convert::names::{self, OWN_LOCAL, RESOURCE};
use crate::xep::xep0313_archive::Archived;
use room::{Room, Seat};

/// How many rooms are entered, and archives read, side by side.
const ENTRIES: usize = 16;
/// How many puppets enter rooms side by side.
const PUPPET_ENTRIES: usize = 64;

/// A session on one XMPP network.
pub struct Xmpp {
    section: Section,
    secret: Secret,
    context: Context,
    /// The component's domain.
    domain: BareJid,
    /// The hub's own address.
    own: FullJid,
    rooms: HashMap<BareJid, Arc<Room>>,
    channels: HashMap<ChannelId, Arc<Room>>,
    wire: Mutex<Option<Arc<Wire>>>,
    /// Who waits to hear that a message to one person was refused, by its stanza id.
    refusals: Mutex<HashMap<String, tokio::sync::oneshot::Sender<Box<StanzaError>>>>,
    http: reqwest::Client,
    entries: tokio::sync::Semaphore,
    puppet_entries: tokio::sync::Semaphore,
    /// Rooms whose seat was lost; served by [`Xmpp::run`].
    lost: tokio::sync::mpsc::UnboundedSender<Arc<Room>>,
    lost_receiver: tokio::sync::Mutex<tokio::sync::mpsc::UnboundedReceiver<Arc<Room>>>,
}

impl Xmpp {
    /// A session that is not yet connected.
    pub fn new(section: Section, secret: Secret, context: Context) -> Result<Arc<Self>, OpenError> {
        let wrong = |what: &str| OpenError(format!("{what} is not a valid address"));
        let domain = BareJid::new(&section.component.domain).map_err(|_| wrong(&section.component.domain))?;
        let own =
            FullJid::new(&format!("{OWN_LOCAL}@{domain}/{RESOURCE}")).map_err(|_| wrong(&section.component.domain))?;
        let mut rooms = HashMap::new();
        let mut channels = HashMap::new();
        for channel in &context.channels {
            let address = BareJid::new(channel.as_str()).map_err(|_| wrong(channel.as_str()))?;
            if address.node().is_none() || !section.allows_service(address.domain().as_str()) {
                return Err(OpenError(format!(
                    "{channel} is not a room of a service named in muc_services"
                )));
            }
            let room = Room::new(&context.network, channel, address.clone()).map_err(|_| wrong(channel.as_str()))?;
            let room = Arc::new(room);
            rooms.insert(address, Arc::clone(&room));
            channels.insert(channel.clone(), room);
        }
        let http = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(Duration::from_secs(section.timeouts.connect))
            .read_timeout(Duration::from_secs(section.timeouts.request))
            .build()
            .map_err(|error| OpenError(format!("the HTTP client cannot be made: {error}")))?;
        let (lost, lost_receiver) = tokio::sync::mpsc::unbounded_channel();
        Ok(Arc::new(Self {
            section,
            secret,
            context,
            domain,
            own,
            rooms,
            channels,
            wire: Mutex::default(),
            refusals: Mutex::default(),
            http,
            entries: tokio::sync::Semaphore::new(ENTRIES),
            puppet_entries: tokio::sync::Semaphore::new(PUPPET_ENTRIES),
            lost,
            lost_receiver: tokio::sync::Mutex::new(lost_receiver),
        }))
    }

    /// The connection, if there is one.
    fn wire(&self) -> Option<Arc<Wire>> {
        self.wire.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn refusals(&self) -> std::sync::MutexGuard<'_, HashMap<String, tokio::sync::oneshot::Sender<Box<StanzaError>>>> {
        self.refusals.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set_wire(&self, wire: Option<Arc<Wire>>) {
        *self.wire.lock().unwrap_or_else(PoisonError::into_inner) = wire;
    }

    /// Eight random bytes in hexadecimal digits.
    fn random(&self) -> String {
        let mut bytes = [0; 8];
        self.context.entropy.fill(&mut bytes);
        names::hex(&bytes)
    }

    /// Works on one connection until it ends.
    async fn serve(self: &Arc<Self>, link: Link) -> Result<(), SessionError> {
        let (mut ends, outgoing, incoming) = Link::queues();
        let patience = Duration::from_secs(self.section.timeouts.request);
        let wire = Arc::new(Wire::new(ends.outgoing.clone(), self.random(), patience));
        let mut running = AbortOnDrop(tokio::spawn(link.run(outgoing, incoming)));
        drop(std::mem::replace(&mut ends.outgoing, tokio::sync::mpsc::channel(1).0));
        for room in self.rooms.values() {
            room.set_seat(Seat::Entering);
        }
        self.set_wire(Some(Arc::clone(&wire)));
        self.context.inbox.report(None, Connection::Up);
        let mut tasks = JoinSet::new();
        for room in self.rooms.values() {
            tasks.spawn(Arc::clone(self).keep_room(Arc::clone(room), Arc::clone(&wire)));
        }
        let mut lost = self.lost_receiver.lock().await;
        let every = Duration::from_secs(self.section.timeouts.self_ping.max(1));
        let mut self_ping = tokio::time::interval_at(tokio::time::Instant::now() + every, every);
        self_ping.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = self.context.stop.cancelled() => return Ok(()),
                stanza = ends.incoming.recv() => match stanza {
                    Some(stanza) => tokio::select! {
                        () = self.context.stop.cancelled() => return Ok(()),
                        taken = self.on_stanza(&wire, stanza) => taken.map_err(|_| SessionError::Stopping)?,
                    },
                    None => break,
                },
                Some(room) = lost.recv() => {
                    tasks.spawn(Arc::clone(self).keep_room(room, Arc::clone(&wire)));
                }
                _ = self_ping.tick() => {
                    tasks.spawn(Arc::clone(self).check_seats(Arc::clone(&wire)));
                }
                Some(_) = tasks.join_next() => {}
            }
        }
        let reason = match (&mut running.0).await {
            Ok(error) => error.to_string(),
            Err(_) => "the connection's task ended".to_owned(),
        };
        Err(SessionError::Connection(reason))
    }

    async fn on_stanza(&self, wire: &Wire, stanza: Stanza) -> Result<(), viaduct_bridge::InboxClosed> {
        match stanza {
            Stanza::Iq(iq @ (Iq::Result { .. } | Iq::Error { .. })) => {
                wire.settle(iq);
                Ok(())
            }
            Stanza::Iq(iq) => {
                wire.send_or_drop(answer(&iq));
                Ok(())
            }
            Stanza::Presence(presence) => self.on_presence(wire, presence).await,
            Stanza::Message(message) => match Archived::find(&message.payloads) {
                Some(archived) => {
                    wire.file(message.from.as_ref(), archived);
                    Ok(())
                }
                None => self.on_message(wire, message).await,
            },
        }
    }

    /// Everything that stood on the connection falls with it.
    fn disconnected(&self, reason: &str) {
        if let Some(wire) = self.wire() {
            wire.fail_all();
        }
        self.set_wire(None);
        for room in self.rooms.values() {
            room.vacate(Seat::Out(reason.to_owned()));
        }
    }

    fn room(&self, channel: &ChannelId) -> Result<&Arc<Room>, DeliveryError> {
        self.channels
            .get(channel)
            .ok_or_else(|| DeliveryError::permanent(format!("{channel} is not a mirrored room")))
    }

    /// The room and the connection, once the hub sits in it: waits while it is just entering.
    async fn seated(&self, channel: &ChannelId) -> Result<(&Arc<Room>, Arc<Wire>), DeliveryError> {
        let room = self.room(channel)?;
        let limit = tokio::time::Instant::now() + Duration::from_secs(self.section.timeouts.join);
        loop {
            let changed = room.seat_changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            let wire = self.wire().ok_or_else(|| DeliveryError::retry("not connected"))?;
            let seat = room.state().seat.clone();
            match seat {
                Seat::In => return Ok((room, wire)),
                Seat::Out(reason) => return Err(DeliveryError::retry(format!("not in the room: {reason}"))),
                Seat::Entering => {}
            }
            if tokio::time::timeout_at(limit, changed).await.is_err() {
                return Err(DeliveryError::retry("the hub is still entering the room"));
            }
        }
    }

    pub(crate) fn section(&self) -> &Section {
        &self.section
    }

    pub(crate) fn context(&self) -> &Context {
        &self.context
    }

    pub(crate) fn http(&self) -> &reqwest::Client {
        &self.http
    }

    pub(crate) fn own_address(&self) -> Jid {
        self.own.clone().into()
    }

    fn domain_address(&self) -> Jid {
        Jid::from(self.domain.clone())
    }
}

/// A session, as the engine holds it.
pub struct XmppSession(pub Arc<Xmpp>);

/// Ends a task with its owner.
struct AbortOnDrop(tokio::task::JoinHandle<LinkError>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

#[async_trait]
impl Session for XmppSession {
    #[tracing::instrument(skip_all, fields(network = %self.0.context.network))]
    async fn run(&self) -> Result<(), SessionError> {
        self.0.context.inbox.report(None, Connection::Connecting);
        let connecting = connect(&self.0.section.component, &self.0.secret, &self.0.section.timeouts);
        let link = tokio::select! {
            () = self.0.context.stop.cancelled() => return Ok(()),
            link = connecting => link,
        };
        let result = match link {
            Ok(link) => self.0.serve(link).await,
            Err(LinkError::Lost(reason)) => Err(SessionError::Connection(reason)),
            Err(LinkError::Refused(reason)) => Err(SessionError::Auth(reason)),
        };
        match &result {
            Ok(()) => self.0.disconnected("the hub is stopping"),
            Err(error) => {
                self.0.disconnected(&error.to_string());
                self.0.context.inbox.report(
                    None,
                    match error {
                        SessionError::Auth(reason) => Connection::AuthLost(reason.clone()),
                        other => Connection::Down(other.to_string()),
                    },
                );
            }
        }
        result
    }

    fn capabilities(&self, channel: &ChannelId) -> Capabilities {
        if direct::Pair::read(channel).is_some() {
            return capabilities::of_direct(&self.0.section);
        }
        let features = self.0.channels.get(channel).map(|room| room.state().features);
        capabilities::of_room(&self.0.section, features.is_some_and(|features| features.archive))
    }

    async fn prepare(&self, outbound: &Cleared<Outbound>) {
        self.0.prepare_puppet(outbound.get()).await;
    }

    async fn deliver(&self, outbound: &Cleared<Outbound>) -> Result<Receipt, DeliveryError> {
        self.0.deliver_cleared(outbound).await
    }

    async fn find_delivered(&self, channel: &ChannelId, key: &DeliveryKey) -> Result<Option<Receipt>, DeliveryError> {
        self.0.look_up(channel, key).await
    }

    async fn open_media(&self, locator: &str) -> Result<viaduct_bridge::Media, viaduct_bridge::MediaError> {
        crate::files::open(&self.0.http, &self.0.section, locator).await
    }

    async fn direct_channel(&self, person: &PersonId, on_behalf: &str) -> Result<ChannelId, DeliveryError> {
        self.0.open_direct(person, on_behalf)
    }

    async fn probe(&self) -> Vec<Probe> {
        self.0.probe_all().await
    }
}

/// Unsupported, in the engine's words.
fn unsupported(reason: &str) -> DeliveryError {
    DeliveryError::new(Failure::Unsupported, reason)
}

/// Answers what others ask of the component.
fn answer(iq: &Iq) -> Iq {
    let (to, from, id) = (iq.from().cloned(), iq.to().cloned(), iq.id().to_owned());
    let Iq::Get { payload, .. } = iq else {
        return refuse(to, from, id);
    };
    if payload.is("ping", ns::PING) {
        return Iq::Result {
            from,
            to,
            id,
            payload: None,
        };
    }
    if payload.is("query", ns::DISCO_INFO) && payload.attr("node").is_none() {
        let info = DiscoInfoResult {
            node: None,
            identities: vec![Identity::new_anonymous::<_, _, String, String>("gateway", "matrix")],
            features: [ns::DISCO_INFO, ns::PING].into_iter().map(str::to_owned).collect(),
            extensions: Vec::new(),
        };
        return Iq::Result {
            from,
            to,
            id,
            payload: Some(Element::from(info)),
        };
    }
    refuse(to, from, id)
}

fn refuse(to: Option<Jid>, from: Option<Jid>, id: String) -> Iq {
    let error = StanzaError::new(
        ErrorType::Cancel,
        DefinedCondition::ServiceUnavailable,
        "en",
        "not offered here",
    );
    Iq::Error {
        from,
        to,
        id,
        error,
        payload: None,
    }
}
