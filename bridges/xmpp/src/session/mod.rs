//! The bridge contract: rooms, puppets, delivery and catch-up over one stream.
//!
//! [`Xmpp::run`] reads stanzas one by one and hands each to [`inbound`] or [`presence`]; nothing there waits for the network.
//! Whatever takes its time runs beside it: entering rooms ([`entry`]), reading archives ([`catchup`]), delivering
//! ([`outbound`]). What a room knows is in [`room::Room`], behind a lock that is never held across an await.

mod about;
mod answers;
mod avatars;
mod catchup;
mod direct;
mod entry;
mod feedback;
mod inbound;
mod index;
mod invitations;
mod leaving;
mod looks;
mod members;
mod outbound;
mod presence;
mod probes;
mod reactions;
mod room;
mod settings;
mod standing;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tokio_xmpp::Stanza;
use viaduct_bridge::{
    Connection, Context, DeliveryError, Failure, Feedback, InboxClosed, OpenError, Probe, Session, SessionError,
};
use viaduct_compliance::Cleared;
use viaduct_model::{Capabilities, ChannelId, DeliveryKey, Event, Outbound, PersonId, Receipt};
use xmpp_parsers::iq::Iq;
use xmpp_parsers::jid::{BareJid, Jid};
use xmpp_parsers::presence::Presence;
use xmpp_parsers::stanza_error::StanzaError;

use crate::capabilities;
use crate::client::link::{Link, LinkError};
use crate::client::wire::Wire;
use crate::client::{account, component};
use crate::config::{Secrets, Section};
use crate::convert::names;
use crate::xep::xep0313_archive::Archived;
use room::{Room, Seat};
use standing::Standing;

/// How many rooms are entered, and archives read, side by side.
const ENTRIES: usize = 16;
/// The most stanzas from which events are gathered before they are pushed.
const DRAIN: usize = 256;
/// How long saying goodbye to the server may take.
const FAREWELL: Duration = Duration::from_secs(2);
/// How many presences may be under way because of puppets that are entering rooms: everybody who enters is announced to all,
/// and all to them. Servers hang up on a component for which too many stanzas wait (ejabberd: 10,000), and Prosody needs up to a
/// tenth more of its processor where thousands do.
const PUPPET_COPIES: u32 = 800;
/// As how many presences an entry counts at least: so many puppets enter side by side at most.
const PUPPET_COPIES_LEAST: u32 = PUPPET_COPIES / 64;

/// A session on one XMPP network.
pub struct Xmpp {
    section: Section,
    secrets: Secrets,
    context: Context,
    standing: Standing,
    rooms: HashMap<BareJid, Arc<Room>>,
    channels: HashMap<ChannelId, Arc<Room>>,
    wire: Mutex<Option<Arc<Wire>>>,
    /// Who waits to hear that a message to one person was refused, by its stanza id.
    refusals: Mutex<HashMap<String, tokio::sync::oneshot::Sender<Box<StanzaError>>>>,
    http: reqwest::Client,
    entries: tokio::sync::Semaphore,
    puppet_entries: tokio::sync::Semaphore,
    admission: tokio::sync::Mutex<()>,
    profiles: Mutex<avatars::Profiles>,
    turns: avatars::Turns,
    /// Who was asked for whom their private messages are.
    asked: direct::Asked,
    /// Bounds the answers that are worked on.
    answering: Arc<tokio::sync::Semaphore>,
    /// What is to be done beside reading; served by [`Xmpp::serve`].
    chores: tokio::sync::mpsc::UnboundedSender<Chore>,
    chores_receiver: tokio::sync::Mutex<tokio::sync::mpsc::UnboundedReceiver<Chore>>,
}

/// What takes its time and is done beside reading. At most one of a kind waits for a room.
enum Chore {
    /// Enter a room (again).
    Enter(Arc<Room>),
    /// Look what a room says of itself.
    Describe(Arc<Room>),
    /// Show in all rooms how somebody looks now.
    Refresh(Box<viaduct_model::Person>),
    /// Look for a picture that somebody in a room has published.
    Seek(Arc<Room>, BareJid),
}

/// What one look at the socket brought; it is pushed at once.
#[derive(Default)]
struct Gathered {
    events: Vec<Event>,
    /// Rooms in which something is to be remembered after that.
    noted: Vec<Arc<Room>>,
    /// What is to be sent once the events are on stable storage.
    acknowledgements: Vec<Stanza>,
}

impl Xmpp {
    /// A session that is not yet connected. Reads the section's secrets.
    ///
    /// # Errors
    ///
    /// [`OpenError`] if a secret cannot be had, or an address is none.
    pub fn new(section: Section, context: Context) -> Result<Arc<Self>, OpenError> {
        let wrong = |what: &str| OpenError(format!("{what} is not a valid address"));
        let secrets = section.secrets().map_err(|error| OpenError(error.to_string()))?;
        let standing = Standing::of(&section).ok_or_else(|| wrong("the component's or account's address"))?;
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
        let (chores, chores_receiver) = tokio::sync::mpsc::unbounded_channel();
        Ok(Arc::new(Self {
            section,
            secrets,
            context,
            standing,
            rooms,
            channels,
            wire: Mutex::default(),
            refusals: Mutex::default(),
            http,
            entries: tokio::sync::Semaphore::new(ENTRIES),
            admission: tokio::sync::Mutex::default(),
            puppet_entries: tokio::sync::Semaphore::new(PUPPET_COPIES as usize),
            profiles: Mutex::default(),
            turns: avatars::Turns::default(),
            asked: direct::Asked::default(),
            answering: Arc::new(tokio::sync::Semaphore::new(answers::WORKERS)),
            chores,
            chores_receiver: tokio::sync::Mutex::new(chores_receiver),
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
        let closing = CancellationToken::new();
        let mut running = AbortOnDrop(tokio::spawn(link.run(outgoing, incoming, closing.clone())));
        drop(std::mem::replace(&mut ends.outgoing, tokio::sync::mpsc::channel(1).0));
        for room in self.rooms.values().filter(|room| !room.state().left) {
            room.set_seat(Seat::Entering);
        }
        self.set_wire(Some(Arc::clone(&wire)));
        if self.standing.is_account() {
            // Servers bring invitations to clients that are available only.
            drop(wire.send(Presence::available()).await);
        }
        self.context.inbox.report(None, Connection::Up);
        let mut tasks = JoinSet::new();
        for room in self.rooms.values() {
            tasks.spawn(Arc::clone(self).keep_room(Arc::clone(room), Arc::clone(&wire)));
        }
        let mut chores = self.chores_receiver.lock().await;
        let every = Duration::from_secs(self.section.timeouts.self_ping.max(1));
        let mut self_ping = tokio::time::interval_at(tokio::time::Instant::now() + every, every);
        self_ping.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = self.context.stop.cancelled() => break,
                stanza = ends.incoming.recv() => match stanza {
                    Some(stanza) => tokio::select! {
                        () = self.context.stop.cancelled() => break,
                        taken = self.take(&wire, stanza, &mut ends.incoming) => taken.map_err(|_| SessionError::Stopping)?,
                    },
                    None => break,
                },
                Some(chore) = chores.recv() => {
                    let (session, wire) = (Arc::clone(self), Arc::clone(&wire));
                    match chore {
                        Chore::Enter(room) => tasks.spawn(session.keep_room(room, wire)),
                        Chore::Describe(room) => tasks.spawn(session.describe(room, wire)),
                        Chore::Refresh(person) => tasks.spawn(session.refresh(person, wire)),
                        Chore::Seek(room, owner) => tasks.spawn(session.seek_published(room, owner, wire)),
                    };
                }
                _ = self_ping.tick() => {
                    tasks.spawn(Arc::clone(self).check_seats(Arc::clone(&wire)));
                }
                Some(_) = tasks.join_next() => {}
            }
        }
        if self.context.stop.is_cancelled() {
            // The server learns of it, so that nobody sits on in the rooms.
            closing.cancel();
            drop(tokio::time::timeout(FAREWELL, &mut running.0).await);
            return Ok(());
        }
        let reason = match (&mut running.0).await {
            Ok(error) => error.to_string(),
            Err(_) => "the connection's task ended".to_owned(),
        };
        Err(SessionError::Connection(reason))
    }

    /// Takes a stanza and whatever else is there already, and pushes all that follows from them at once.
    async fn take(
        self: &Arc<Self>,
        wire: &Arc<Wire>,
        first: Stanza,
        incoming: &mut tokio::sync::mpsc::Receiver<Stanza>,
    ) -> Result<(), InboxClosed> {
        let mut gathered = Gathered::default();
        let mut next = Some(first);
        for _ in 0..DRAIN {
            let Some(stanza) = next else { break };
            self.on_stanza(wire, stanza, &mut gathered).await;
            next = incoming.try_recv().ok();
        }
        if let Some(stanza) = next {
            self.on_stanza(wire, stanza, &mut gathered).await;
        }
        self.push(wire, gathered).await
    }

    async fn push(&self, wire: &Arc<Wire>, gathered: Gathered) -> Result<(), InboxClosed> {
        if !gathered.events.is_empty() {
            let ticket = self.context.inbox.push(gathered.events).await?;
            if !gathered.acknowledgements.is_empty() {
                let wire = Arc::clone(wire);
                tokio::spawn(async move {
                    if ticket.await.is_ok() {
                        for stanza in gathered.acknowledgements {
                            wire.send_or_drop(stanza);
                        }
                    }
                });
            }
        }
        for room in gathered.noted {
            self.keep_notes(&room).await;
        }
        Ok(())
    }

    async fn on_stanza(self: &Arc<Self>, wire: &Arc<Wire>, stanza: Stanza, gathered: &mut Gathered) {
        match stanza {
            Stanza::Iq(iq @ (Iq::Result { .. } | Iq::Error { .. })) => wire.settle(iq),
            Stanza::Iq(iq) => self.answer(wire, &iq),
            Stanza::Presence(presence) => {
                let events = self.on_presence(wire, presence).await;
                gathered.events.extend(events);
            }
            Stanza::Message(message) => match Archived::find(&message.payloads) {
                Some(archived) => {
                    wire.file(message.from.as_ref(), archived);
                }
                None => self.on_message(message, gathered).await,
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
        self.standing.own().clone().into()
    }

    /// Connects, one way or the other.
    async fn connect(&self) -> Result<Link, LinkError> {
        let (login, timeouts) = (&self.secrets.login, &self.section.timeouts);
        match (&self.section.component, &self.section.account) {
            (Some(component), _) => component::connect(component, login, timeouts).await,
            (None, Some(account)) => account::connect(account, login, timeouts).await,
            (None, None) => Err(LinkError::Refused("there is neither a component nor an account".into())),
        }
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
        let link = tokio::select! {
            () = self.0.context.stop.cancelled() => return Ok(()),
            link = self.0.connect() => link,
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
        capabilities::of_room(
            &self.0.section,
            features.is_none_or(|features| features.archive || !features.known),
        )
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

    async fn feedback(&self, feedback: Feedback) {
        self.0.tell_sender(&feedback);
    }

    async fn open_media(&self, locator: &str) -> Result<viaduct_bridge::Media, viaduct_bridge::MediaError> {
        if let Some(picture) = self.0.open_picture(locator).await {
            return picture;
        }
        crate::files::open(&self.0.http, &self.0.section, locator).await
    }

    async fn direct_channel(&self, person: &PersonId, on_behalf: &str) -> Result<ChannelId, DeliveryError> {
        self.0.open_direct(person, on_behalf)
    }

    async fn leave(&self, channel: &ChannelId) -> Result<(), DeliveryError> {
        self.0.leave_for_good(channel).await
    }

    async fn probe(&self) -> Vec<Probe> {
        self.0.probe_all().await
    }
}

/// Unsupported, in the engine's words.
fn unsupported(reason: &str) -> DeliveryError {
    DeliveryError::new(Failure::Unsupported, reason)
}
