//! The hub around a session under test: an inbox that records and can be made slow, memory that survives restarts, files.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream;
use tokio::sync::{oneshot, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use viaduct_model::{
    ChannelId, Clock, Cursor, Entropy, Event, Language, MediaRef, MessageId, NetworkName, Place, Timestamp,
};

use crate::{Connection, Context, Inbox, InboxClosed, Media, MediaError, MediaSource, State, StateError, Ticket};

/// The largest value of a session's own memory, in bytes; the contract's bound.
const VALUE_BOUND: usize = 16 * 1024;
/// How large the pieces are in which a file is handed out, in bytes.
const PIECE: usize = 1000;

/// How the inbox behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Intake {
    /// Everything is taken and is on stable storage at once.
    Open,
    /// Everything is taken, but nothing reaches stable storage.
    Unconfirmed,
    /// Nothing is taken: pushes wait.
    Full,
}

/// Events that were taken and are not yet on stable storage.
struct Pending {
    events: Vec<Event>,
    ticket: oneshot::Sender<()>,
}

/// What the inbox holds.
pub(crate) struct Desk {
    intake: Intake,
    /// Which start of the session may push; earlier ones find the inbox closed.
    generation: u64,
    /// What was stored, each event once, in order.
    pub heard: Vec<Event>,
    ids: HashSet<(Place, MessageId)>,
    /// Repetitions that were recognised by their id.
    pub repeated: usize,
    pending: Vec<Pending>,
    cursors: HashMap<ChannelId, Cursor>,
    /// How many pushes are waiting.
    pub blocked: usize,
    /// The session's last word about its network, of this generation.
    pub network: Option<Connection>,
    /// Breaches of the contract that any scenario may meet.
    violations: Vec<String>,
}

impl Desk {
    fn store(&mut self, network: &NetworkName, event: Event) {
        if event.place.network != *network {
            self.violations
                .push(format!("an event of another network was pushed: {}", event.place));
        }
        if let Some(cursor) = &event.cursor {
            self.cursors.insert(event.place.channel.clone(), cursor.clone());
        }
        if event.content.is_ephemeral() || self.ids.insert((event.place.clone(), event.id.clone())) {
            self.heard.push(event);
        } else {
            self.repeated += 1;
        }
    }

    /// Events taken and not yet stored.
    pub fn unconfirmed(&self) -> impl Iterator<Item = &Event> {
        self.pending.iter().flat_map(|pending| &pending.events)
    }
}

struct Inner {
    network: NetworkName,
    channel: ChannelId,
    desk: Mutex<Desk>,
    changed: watch::Sender<u64>,
    memory: Mutex<BTreeMap<String, Vec<u8>>>,
    files: Mutex<HashMap<String, Vec<u8>>>,
    clock: Arc<TestClock>,
    entropy: Arc<TestEntropy>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The hub, as the scenarios see it.
#[derive(Clone)]
pub(crate) struct Hub(Arc<Inner>);

impl Hub {
    pub fn new(network: NetworkName, channel: ChannelId, seed: u64, epoch: Timestamp) -> Self {
        Self(Arc::new(Inner {
            network,
            channel,
            desk: Mutex::new(Desk {
                intake: Intake::Open,
                generation: 0,
                heard: Vec::new(),
                ids: HashSet::new(),
                repeated: 0,
                pending: Vec::new(),
                cursors: HashMap::new(),
                blocked: 0,
                network: None,
                violations: Vec::new(),
            }),
            changed: watch::Sender::new(0),
            memory: Mutex::default(),
            files: Mutex::default(),
            clock: Arc::new(TestClock(Instant::now(), epoch)),
            entropy: Arc::new(TestEntropy(AtomicU64::new(seed))),
        }))
    }

    pub fn place(&self) -> Place {
        Place::new(self.0.network.clone(), self.0.channel.clone())
    }

    pub fn now(&self) -> Timestamp {
        self.0.clock.now()
    }

    /// What a session is opened with. The session opened before finds the inbox closed from now on.
    pub fn context(&self, stop: CancellationToken) -> Context {
        let generation = self.change(|desk| {
            desk.generation += 1;
            desk.pending.clear();
            desk.network = None;
            desk.generation
        });
        Context {
            network: self.0.network.clone(),
            channels: vec![self.0.channel.clone()],
            inbox: Arc::new(Door {
                hub: self.clone(),
                generation,
            }),
            state: Arc::new(self.clone()),
            media: Arc::new(self.clone()),
            clock: self.0.clock.clone(),
            entropy: self.0.entropy.clone(),
            language: Language::default(),
            stop,
        }
    }

    /// Closes the inbox, as a hub that ends at once: what is not stored is forgotten and no ticket resolves any more.
    pub fn close(&self) {
        self.change(|desk| {
            desk.generation += 1;
            desk.pending.clear();
        });
    }

    /// Sets how the inbox behaves. What was unconfirmed is stored when it opens again.
    pub fn intake(&self, intake: Intake) {
        self.change(|desk| {
            desk.intake = intake;
            if intake == Intake::Open {
                for Pending { events, ticket } in std::mem::take(&mut desk.pending) {
                    for event in events {
                        desk.store(&self.0.network, event);
                    }
                    ticket.send(()).ok();
                }
            }
        });
    }

    pub fn desk(&self) -> MutexGuard<'_, Desk> {
        lock(&self.0.desk)
    }

    /// Takes the breaches noted so far.
    pub fn violations(&self) -> Vec<String> {
        std::mem::take(&mut self.desk().violations)
    }

    /// Waits until `look` finds something, so long at most.
    pub async fn wait<T>(&self, bound: Duration, mut look: impl FnMut(&Desk) -> Option<T>) -> Option<T> {
        let mut changes = self.0.changed.subscribe();
        let search = async {
            loop {
                changes.mark_unchanged();
                let found = look(&self.desk());
                if found.is_some() || changes.changed().await.is_err() {
                    return found;
                }
            }
        };
        tokio::time::timeout(bound, search).await.ok().flatten()
    }

    /// Puts a file where the session can open it.
    pub fn put_file(&self, locator: &str, bytes: Vec<u8>) -> MediaRef {
        lock(&self.0.files).insert(locator.to_owned(), bytes);
        MediaRef {
            network: NetworkName::matrix(),
            locator: locator.to_owned(),
        }
    }

    fn change<T>(&self, change: impl FnOnce(&mut Desk) -> T) -> T {
        let result = change(&mut self.desk());
        self.0.changed.send_modify(|count| *count += 1);
        result
    }

    fn violation(&self, text: String) {
        self.change(|desk| desk.violations.push(text));
    }
}

/// The inbox of one start of the session.
struct Door {
    hub: Hub,
    generation: u64,
}

impl Door {
    /// Takes events if there is room for them; gives them back if not.
    fn take(&self, events: Vec<Event>) -> Result<Result<Ticket, InboxClosed>, Vec<Event>> {
        let (sender, ticket) = Ticket::new();
        self.hub.change(|desk| {
            if desk.generation != self.generation {
                return Ok(Err(InboxClosed));
            }
            match desk.intake {
                Intake::Full => return Err(events),
                Intake::Unconfirmed => desk.pending.push(Pending { events, ticket: sender }),
                Intake::Open => {
                    for event in events {
                        desk.store(&self.hub.0.network, event);
                    }
                    sender.send(()).ok();
                }
            }
            Ok(Ok(ticket))
        })
    }
}

/// Counts a waiting push for as long as it waits, also if its caller gives up.
struct Waiting<'a>(&'a Hub);

impl<'a> Waiting<'a> {
    fn new(hub: &'a Hub) -> Self {
        hub.change(|desk| desk.blocked += 1);
        Self(hub)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.change(|desk| desk.blocked = desk.blocked.saturating_sub(1));
    }
}

#[async_trait]
impl Inbox for Door {
    async fn push(&self, mut events: Vec<Event>) -> Result<Ticket, InboxClosed> {
        let mut changes = self.hub.0.changed.subscribe();
        let mut waiting = None;
        loop {
            match self.take(events) {
                Ok(answer) => return answer,
                Err(back) => events = back,
            }
            waiting.get_or_insert_with(|| Waiting::new(&self.hub));
            let full = |desk: &Desk| desk.intake == Intake::Full && desk.generation == self.generation;
            while full(&self.hub.desk()) {
                changes.changed().await.map_err(|_| InboxClosed)?;
            }
        }
    }

    fn report(&self, channel: Option<&ChannelId>, connection: Connection) {
        self.hub.change(|desk| {
            if desk.generation == self.generation && channel.is_none() {
                desk.network = Some(connection);
            }
        });
    }

    async fn cursor(&self, channel: &ChannelId) -> Option<Cursor> {
        self.hub.desk().cursors.get(channel).cloned()
    }
}

#[async_trait]
impl State for Hub {
    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, StateError> {
        Ok(lock(&self.0.memory).get(key).cloned())
    }

    async fn scan(&self, prefix: &str) -> Result<Vec<(String, Vec<u8>)>, StateError> {
        let memory = lock(&self.0.memory);
        Ok(memory
            .iter()
            .filter(|(key, _)| key.starts_with(prefix))
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect())
    }

    async fn put(&self, changes: Vec<(String, Option<Vec<u8>>)>) -> Result<(), StateError> {
        if let Some((key, _)) = changes
            .iter()
            .find(|(_, value)| value.as_ref().is_some_and(|v| v.len() > VALUE_BOUND))
        {
            self.violation(format!("the value of {key:?} is larger than {VALUE_BOUND} bytes"));
            return Err(StateError("the value is too large".to_owned()));
        }
        let mut memory = lock(&self.0.memory);
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
    async fn open(&self, media: &MediaRef) -> Result<Media, MediaError> {
        let bytes = lock(&self.0.files)
            .get(&media.locator)
            .cloned()
            .ok_or(MediaError::Gone)?;
        let size = Some(bytes.len() as u64);
        let pieces: Vec<_> = bytes
            .chunks(PIECE)
            .map(|piece| Ok(Bytes::copy_from_slice(piece)))
            .collect();
        Ok(Media {
            mime: None,
            size,
            name: None,
            stream: Box::pin(stream::iter(pieces)),
        })
    }

    fn link(&self, media: &MediaRef, _name: &str) -> Option<String> {
        Some(format!("https://files.invalid/{}", media.locator))
    }
}

/// A clock that starts at a given time and goes on as the runtime's does.
#[derive(Debug)]
struct TestClock(Instant, Timestamp);

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        let elapsed = u64::try_from(self.0.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.1.plus_millis(elapsed)
    }
}

/// Reproducible chance (the `SplitMix64` sequence).
#[derive(Debug)]
struct TestEntropy(AtomicU64);

impl Entropy for TestEntropy {
    fn fill(&self, buffer: &mut [u8]) {
        for piece in buffer.chunks_mut(8) {
            let mut word = self.0.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
            word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            for (target, source) in piece.iter_mut().zip((word ^ (word >> 31)).to_le_bytes()) {
                *target = source;
            }
        }
    }
}
