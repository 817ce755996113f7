//! What all parts of the engine share: the store, the sides, the routes and the lanes.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use viaduct_audit::{Entry, Written};
use viaduct_bridge::{Connection, Session};
use viaduct_inspect::Inspector;
use viaduct_model::{ChannelId, Clock, Entropy, Event, MirrorName, NetworkName, Place};
use viaduct_store::{Batch, Commit, Lane, Op, Portal, Seq, Series, Store, StoreError};

use crate::govern::Govern;
use crate::home::Home;
use crate::lane::LaneHandle;
use crate::ledger::Book;
use crate::routes::{Mirror, RoomOrigin, Routes, direct, home_of};
use crate::settings::Settings;
use crate::telemetry;

/// One side at work.
pub(crate) struct Side {
    pub(crate) name: NetworkName,
    pub(crate) session: Arc<dyn Session>,
    pub(crate) connection: watch::Sender<Connection>,
    pub(crate) meters: telemetry::Meters,
    /// The channels its session was given, but for those it left for good.
    pub(crate) channels: Mutex<BTreeSet<ChannelId>>,
    /// Ends this side only.
    pub(crate) stop: CancellationToken,
    /// Cancelled when its session runs no longer.
    pub(crate) ended: CancellationToken,
}

impl Side {
    /// Waits until the side is up; returns at once if it is.
    pub(crate) async fn up(&self) {
        let mut watch = self.connection.subscribe();
        // The sender lives as long as `self`, so this cannot fail; if it did, the delivery would simply be tried.
        watch
            .wait_for(|connection| *connection == Connection::Up)
            .await
            .map(drop)
            .ok();
    }

    pub(crate) fn is_up(&self) -> bool {
        *self.connection.borrow() == Connection::Up
    }

    /// The session left a channel for good.
    pub(crate) fn left(&self, channel: &ChannelId) {
        let mut channels = self.channels.lock().unwrap_or_else(PoisonError::into_inner);
        channels.remove(channel);
    }

    /// Whether the session looks after exactly these channels.
    pub(crate) fn serves(&self, channels: &BTreeSet<ChannelId>) -> bool {
        *self.channels.lock().unwrap_or_else(PoisonError::into_inner) == *channels
    }
}

/// The engine's shared state.
pub(crate) struct Core {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) stop: CancellationToken,
    pub(crate) tasks: TaskTracker,
    pub(crate) links: crate::media::LinkSigner,
    pub(crate) roster: crate::roster::Roster,
    /// Room for entries that lanes get straight from their acceptance.
    pub(crate) room: crate::handed::Room,
    /// The channels that do not work.
    pub(crate) channels: crate::channels::Channels,
    /// The ledger, if one is kept.
    pub(crate) book: Option<Book>,
    /// The agreements.
    pub(crate) govern: Govern,
    /// Looks into files, where a filter asks for it.
    pub(crate) inspector: Option<Inspector>,
    /// What the policy rooms say.
    pub(crate) lists: crate::lists::Lists,
    /// How many mirrors' rooms have not been asked for yet since the start.
    pub(crate) unsettled: watch::Sender<usize>,
    settings: RwLock<Arc<Settings>>,
    routes: RwLock<Arc<Routes>>,
    sides: RwLock<HashMap<NetworkName, Arc<Side>>>,
    rooms: RwLock<Rooms>,
    lanes: Mutex<HashMap<Lane, Arc<LaneHandle>>>,
    home: RwLock<Option<Arc<dyn Home>>>,
    /// One task at a time makes rooms for one mirror.
    pub(crate) making: tokio::sync::Mutex<()>,
    /// One task at a time leaves channels whose mirrors have ended.
    pub(crate) leaving: tokio::sync::Mutex<()>,
}

impl fmt::Debug for Core {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Core").finish_non_exhaustive()
    }
}

#[derive(Debug, Default)]
struct Rooms {
    mirror_of: HashMap<String, MirrorName>,
    room_of: HashMap<MirrorName, String>,
    /// What the rooms' state says of them; none: it was read, and says nothing.
    labels: HashMap<String, Option<String>>,
}

/// Locks never guard anything that a panic could leave half done, so a poisoned one is used on.
fn read<T>(lock: &RwLock<T>) -> std::sync::RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}

fn write<T>(lock: &RwLock<T>) -> std::sync::RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}

impl Core {
    pub(crate) fn new(
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
        links: crate::media::LinkSigner,
        (book, govern): (Option<Book>, Govern),
        inspector: Option<Inspector>,
        settings: Settings,
    ) -> Self {
        let routes = Routes::of(&settings);
        Self {
            store,
            clock,
            entropy,
            stop: CancellationToken::new(),
            tasks: TaskTracker::new(),
            links,
            roster: crate::roster::Roster::default(),
            room: crate::handed::Room::default(),
            channels: crate::channels::Channels::default(),
            book,
            govern,
            inspector,
            lists: crate::lists::Lists::default(),
            unsettled: watch::Sender::new(0),
            settings: RwLock::new(Arc::new(settings)),
            routes: RwLock::new(Arc::new(routes)),
            sides: RwLock::default(),
            rooms: RwLock::default(),
            lanes: Mutex::default(),
            home: RwLock::default(),
            making: tokio::sync::Mutex::default(),
            leaving: tokio::sync::Mutex::default(),
        }
    }

    pub(crate) fn settings(&self) -> Arc<Settings> {
        read(&self.settings).clone()
    }

    pub(crate) fn routes(&self) -> Arc<Routes> {
        read(&self.routes).clone()
    }

    /// Replaces settings and configured mirrors; direct chats stay.
    pub(crate) fn replace_settings(&self, settings: Settings) {
        let mut routes = Routes::of(&settings);
        for mirror in self.routes().mirrors() {
            if let (RoomOrigin::Direct { person, with }, Some(member)) = (&mirror.origin, mirror.members.get(1)) {
                let place = member.place.clone();
                routes.insert(direct(
                    mirror.name.clone(),
                    place,
                    person.clone(),
                    with.clone(),
                    &settings,
                ));
            }
        }
        *write(&self.settings) = Arc::new(settings);
        *write(&self.routes) = Arc::new(routes);
    }

    pub(crate) fn add_mirror(&self, mirror: Mirror) {
        let mut routes = write(&self.routes);
        *routes = Arc::new(routes.with(mirror));
    }

    pub(crate) fn side(&self, network: &NetworkName) -> Option<Arc<Side>> {
        read(&self.sides).get(network).cloned()
    }

    pub(crate) fn sides(&self) -> Vec<Arc<Side>> {
        read(&self.sides).values().cloned().collect()
    }

    pub(crate) fn add_side(&self, side: Arc<Side>) {
        write(&self.sides).insert(side.name.clone(), side);
    }

    pub(crate) fn remove_side(&self, network: &NetworkName) -> Option<Arc<Side>> {
        write(&self.sides).remove(network)
    }

    pub(crate) fn set_home(&self, home: Arc<dyn Home>) {
        *write(&self.home) = Some(home);
    }

    pub(crate) fn home(&self) -> Option<Arc<dyn Home>> {
        read(&self.home).clone()
    }

    /// The mirror whose Matrix room this is.
    pub(crate) fn mirror_of_room(&self, room: &str) -> Option<MirrorName> {
        read(&self.rooms).mirror_of.get(room).cloned()
    }

    /// The Matrix room of a mirror, if it is known yet.
    pub(crate) fn room_of(&self, mirror: &MirrorName) -> Option<String> {
        read(&self.rooms).room_of.get(mirror).cloned()
    }

    pub(crate) fn know_room(&self, mirror: &MirrorName, room: &str) {
        let mut rooms = write(&self.rooms);
        if let Some(before) = rooms.room_of.insert(mirror.clone(), room.to_owned()) {
            rooms.mirror_of.remove(&before);
        }
        rooms.mirror_of.insert(room.to_owned(), mirror.clone());
    }

    /// The label of a room; none if it was never read.
    #[expect(clippy::option_option, reason = "not known is not the same as having none")]
    pub(crate) fn label_of(&self, room: &str) -> Option<Option<String>> {
        read(&self.rooms).labels.get(room).cloned()
    }

    pub(crate) fn know_label(&self, room: &str, label: Option<String>) {
        write(&self.rooms).labels.insert(room.to_owned(), label);
    }

    /// The room has to be found or made anew.
    pub(crate) fn forget_room(&self, mirror: &MirrorName) {
        let mut rooms = write(&self.rooms);
        if let Some(room) = rooms.room_of.remove(mirror) {
            rooms.mirror_of.remove(&room);
        }
    }

    /// Submits a step together with its entries in the ledger; without a ledger, the step alone.
    pub(crate) async fn submit(&self, ops: Vec<Op>, entries: Vec<impl Into<Written>>) -> Result<Commit, StoreError> {
        self.submit_step(Batch { ops, series: None }, entries).await
    }

    /// The same for the next of a series: if one before it failed, it fails too.
    pub(crate) async fn submit_behind(
        &self,
        series: &Series,
        ops: Vec<Op>,
        entries: Vec<Written>,
    ) -> Result<Commit, StoreError> {
        let series = Some(series.clone());
        self.submit_step(Batch { ops, series }, entries).await
    }

    async fn submit_step(&self, step: Batch, entries: Vec<impl Into<Written>>) -> Result<Commit, StoreError> {
        match &self.book {
            Some(book) => book.submit(step, entries.into_iter().map(Into::into).collect()).await,
            None => self.store.submit(step).await,
        }
    }

    /// Notes something in the ledger, if one is kept.
    pub(crate) async fn note(&self, entries: Vec<Entry>) -> Result<(), StoreError> {
        if self.book.is_some() && !entries.is_empty() {
            self.submit(Vec::new(), entries).await?.await?;
        }
        Ok(())
    }

    /// Writes one change and waits until it is durable.
    pub(crate) async fn commit(&self, op: Op) -> Result<(), StoreError> {
        self.store.submit(Batch::of(op)).await?.await.map(drop)
    }

    /// Remembers which room a mirror has.
    pub(crate) async fn save_room(&self, mirror: &Mirror, room: &str) -> Result<(), StoreError> {
        let (place, direct_to) = match (&mirror.origin, mirror.members.get(1)) {
            (RoomOrigin::Direct { with, .. }, Some(member)) => (member.place.clone(), Some(with.clone())),
            _ => (home_of(&mirror.name), None),
        };
        let portal = Portal {
            place,
            room: room.to_owned(),
            mirror: mirror.name.clone(),
            direct_to,
        };
        self.commit(Op::PutPortal(portal)).await?;
        self.know_room(&mirror.name, room);
        Ok(())
    }

    /// Hands entries to the lanes of a mirror that lead away from `source`, where they happened, and wakes them.
    pub(crate) fn hand(
        self: &Arc<Self>,
        mirror: &Arc<Mirror>,
        source: &Place,
        entries: Vec<(Seq, Option<Arc<Event>>)>,
    ) {
        let mut lanes = mirror
            .members
            .iter()
            .filter(|member| member.place != *source)
            .peekable();
        let mut entries = Some(entries);
        while let Some(member) = lanes.next() {
            // The last lane gets them without a copy.
            let own = if lanes.peek().is_some() {
                entries.clone()
            } else {
                entries.take()
            };
            self.lane(mirror, &member.place).hand(self, own.unwrap_or_default());
        }
    }

    /// Wakes the lanes of a mirror that lead away from `source`.
    pub(crate) fn wake(self: &Arc<Self>, mirror: &Arc<Mirror>, source: &Place) {
        for member in &mirror.members {
            if member.place != *source {
                self.lane(mirror, &member.place).wake(self);
            }
        }
    }

    /// Wakes every lane of a mirror: there may be work from before.
    pub(crate) fn wake_all(self: &Arc<Self>, mirror: &Arc<Mirror>) {
        for member in &mirror.members {
            self.lane(mirror, &member.place).wake(self);
        }
    }

    fn lane(&self, mirror: &Mirror, to: &Place) -> Arc<LaneHandle> {
        let lane = Lane {
            mirror: mirror.name.clone(),
            to: to.clone(),
        };
        let mut lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        lanes
            .entry(lane)
            .or_insert_with_key(|lane| Arc::new(LaneHandle::new(lane.clone())))
            .clone()
    }

    /// Something may have been erased from the journals: what lanes were handed is read from there again.
    pub(crate) fn forget_handed(&self) {
        for lane in self.lanes() {
            lane.forget_handed();
        }
    }

    /// Forgets where a lane was: its mark was set anew.
    pub(crate) fn forget_lane(&self, lane: &Lane) {
        let mut lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        lanes.remove(lane);
    }

    pub(crate) fn lanes(&self) -> Vec<Arc<LaneHandle>> {
        self.lanes
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .values()
            .cloned()
            .collect()
    }

    /// Takes note of how a side stands.
    pub(crate) fn report(&self, network: &NetworkName, connection: Connection) {
        telemetry::connected(network, connection == Connection::Up);
        if let Some(side) = self.side(network) {
            match &connection {
                Connection::Up => tracing::info!(%network, "The network is connected."),
                Connection::Connecting => tracing::debug!(%network, "The network is connecting."),
                Connection::Down(reason) => tracing::warn!(%network, reason, "The network is not connected."),
                Connection::AuthLost(reason) => {
                    tracing::error!(%network, reason, "The network refuses our credentials.");
                }
            }
            side.connection.send_replace(connection);
        }
    }
}
