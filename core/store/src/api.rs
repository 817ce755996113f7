//! The store as the rest of the hub sees it.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;
use viaduct_model::{Cursor, Event, MessageId, MirrorName, Place, Timestamp};

/// An event's number within its mirror's journal, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, Default)]
#[serde(transparent)]
pub struct Seq(pub u64);

impl fmt::Display for Seq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// One mirror's way to one destination.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Lane {
    /// The mirror.
    pub mirror: MirrorName,
    /// Where the lane leads.
    pub to: Place,
}

/// How far a lane is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct LaneMark {
    /// Every event up to this one is settled: delivered, or has a [`Delivery`] record that says what became of it.
    pub settled: Seq,
    /// Sending may have begun for events up to this one. Beyond `settled` after a crash means: outcome unknown.
    pub begun: Seq,
}

/// What became of an event that did not simply arrive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivery {
    /// Its lane.
    pub lane: Lane,
    /// Its number.
    pub seq: Seq,
    /// Where it stands.
    pub state: DeliveryState,
    /// Why, in the operator's words.
    pub reason: String,
    /// Since when.
    pub at: Timestamp,
}

/// Where an exceptional delivery stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryState {
    /// Waits for a second person.
    Held,
    /// A policy said no.
    Refused,
    /// The network said no for good. A dead letter: kept, and can be tried again.
    Failed,
    /// Nobody can say whether it arrived.
    Unknown,
}

/// The Matrix room of a place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Portal {
    /// The place on its network.
    pub place: Place,
    /// The room that stands for it.
    pub room: String,
    /// Its mirror.
    pub mirror: MirrorName,
    /// For a conversation between two people: the Matrix user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub direct_to: Option<String>,
}

/// What arrived of an event at one destination.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copied {
    /// Where the event came from.
    pub from: Place,
    /// Its id there. It is kept with the first copy, so that answers to a copy find their way back for longer than the journal
    /// keeps the event.
    pub id: MessageId,
    /// Its ids at the destination.
    pub ids: Vec<MessageId>,
}

/// One change. See the crate's page for the tables.
#[derive(Debug, Clone)]
pub enum Op {
    /// Appends an event to a mirror's journal, unless its (place, id) is already mapped: then nothing is changed but the
    /// cursor. Also maps (place, id), and sets the place's cursor if the event carries one.
    Accept {
        /// The mirror.
        mirror: MirrorName,
        /// The event.
        event: Arc<Event>,
    },
    /// Notes that sending may begin for everything up to `through`. Replaces the earlier note, also by a smaller number (never
    /// below what is settled): a worker that ends in good order takes back what it did not begin after all.
    Begin {
        /// The lane.
        lane: Lane,
        /// The last event concerned.
        through: Seq,
    },
    /// Settles one event on one lane: moves the mark to `seq` (marks never move back), maps what arrived at the destination to
    /// the event and notes it among its copies (after those it already has), and puts `record` in place, if any.
    Settle {
        /// The lane.
        lane: Lane,
        /// The event.
        seq: Seq,
        /// What arrived, if anything did.
        copied: Option<Copied>,
        /// What to remember if it did not simply arrive.
        record: Option<(DeliveryState, String, Timestamp)>,
    },
    /// Removes a [`Delivery`] record (it was released, tried again or given up).
    Forget {
        /// The lane.
        lane: Lane,
        /// The event.
        seq: Seq,
    },
    /// Starts a lane that has no mark yet at the end of its mirror's journal; without effect on a lane that has one.
    Open {
        /// The lane.
        lane: Lane,
    },
    /// Ends a lane: it has no mark any more, and would start at the end of the journal if it were opened again.
    Close {
        /// The lane.
        lane: Lane,
    },
    /// Sets a place's resume position without an event.
    Cursor {
        /// The place.
        place: Place,
        /// The position.
        cursor: Cursor,
    },
    /// Sets a portal, replacing the one its place had.
    PutPortal(Portal),
    /// Removes a portal.
    RemovePortal(Place),
    /// Sets or removes a key of a session's own memory.
    State {
        /// Whose memory: a network's name.
        owner: String,
        /// The key.
        key: String,
        /// The value; none removes.
        value: Option<Vec<u8>>,
    },
    /// Drops journal entries of a mirror up to and including `through` (their map stays, and the copies of what arrived somewhere).
    Trim {
        /// The mirror.
        mirror: MirrorName,
        /// The last entry dropped.
        through: Seq,
    },
    /// Drops single journal entries of a mirror, wherever they stand, as [`Op::Trim`] does.
    Erase {
        /// The mirror.
        mirror: MirrorName,
        /// The entries; those that are not there make no difference.
        seqs: Vec<Seq>,
    },
}

/// Changes that become durable together or not at all.
#[derive(Debug, Clone, Default)]
pub struct Batch {
    /// The changes, in order.
    pub ops: Vec<Op>,
    /// The series it belongs to, if its order among others has to survive failures.
    pub series: Option<Series>,
}

impl Batch {
    /// A batch of one change.
    pub fn of(op: Op) -> Self {
        vec![op].into()
    }

    /// Whether one before it failed.
    pub fn is_behind_a_failed(&self) -> bool {
        self.series.as_ref().is_some_and(Series::has_failed)
    }
}

impl From<Vec<Op>> for Batch {
    /// A batch that belongs to no series.
    fn from(ops: Vec<Op>) -> Self {
        Self { ops, series: None }
    }
}

/// Batches that are stored in the order in which they were submitted, or not at all: once one of them failed, those behind it
/// fail with [`StoreError::Behind`], until whoever submits them has learnt of all and [resumes](Self::resume) to submit them
/// again.
#[derive(Debug, Clone, Default)]
pub struct Series(Arc<AtomicBool>);

impl Series {
    /// One of them failed: for who stores them.
    pub fn fail(&self) {
        self.0.store(true, Ordering::SeqCst);
    }

    /// Whether one failed.
    pub fn has_failed(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }

    /// Nothing of the series is on its way, and it may go on.
    pub fn resume(&self) {
        self.0.store(false, Ordering::SeqCst);
    }
}

/// What became of an [`Op::Accept`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Accepted {
    /// It is new and has this number.
    New(Seq),
    /// It was there already, under this number (of whatever mirror).
    Duplicate(Seq),
}

/// What a batch did: one entry for each [`Op::Accept`] in it, in order.
pub type Applied = Vec<Accepted>;

/// Resolves when a batch is on the device.
#[derive(Debug)]
pub struct Commit(oneshot::Receiver<Result<Applied, StoreError>>);

impl Commit {
    /// A commit, and the sender that resolves it.
    pub fn new() -> (oneshot::Sender<Result<Applied, StoreError>>, Self) {
        let (sender, receiver) = oneshot::channel();
        (sender, Self(receiver))
    }
}

impl Future for Commit {
    type Output = Result<Applied, StoreError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut task::Context<'_>) -> task::Poll<Self::Output> {
        Pin::new(&mut self.0)
            .poll(context)
            .map(|result| result.unwrap_or(Err(StoreError::Closed)))
    }
}

/// Why the store could not do something.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The store was closed.
    #[error("the store is closed")]
    Closed,
    /// Another process uses it.
    #[error("the store at {0} is in use by another process; stop that one first")]
    Locked(String),
    /// It was written by a newer version.
    #[error("the store at {path} has schema {found}, and this version knows only up to {known}; run the newer viaduct")]
    Newer {
        /// Where.
        path: String,
        /// The schema found.
        found: u32,
        /// The newest schema known.
        known: u32,
    },
    /// It is damaged; nothing was changed.
    #[error("the store at {path} is damaged ({detail}); restore it from a backup, nothing was changed")]
    Damaged {
        /// Where.
        path: String,
        /// What was seen.
        detail: String,
    },
    /// The disk is full.
    #[error("the disk of the store is full")]
    Full,
    /// A batch of the same series failed before it.
    #[error("what was to be stored before it could not be stored")]
    Behind,
    /// A value or key is larger than the store takes.
    #[error("{0} bytes are more than the store takes in one value")]
    TooLarge(usize),
    /// The device or file system failed.
    #[error("the store failed: {0}")]
    Io(String),
}

/// Which delivery records to list.
#[derive(Debug, Clone, Default)]
pub struct DeliveryFilter {
    /// Only of this mirror.
    pub mirror: Option<MirrorName>,
    /// Only in this state.
    pub state: Option<DeliveryState>,
    /// At most so many (0: 1,000).
    pub limit: usize,
}

/// Where a message id leads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Located {
    /// The mirror.
    pub mirror: MirrorName,
    /// The journal entry.
    pub seq: Seq,
}

/// The one door to durable memory. Implemented over sled; one suite of tests runs against every implementation.
#[async_trait]
pub trait Store: Send + Sync + fmt::Debug {
    /// Queues a batch, waiting while the queue is full; the order is fixed when this returns.
    ///
    /// # Errors
    ///
    /// [`StoreError::Closed`] when the store is closed; [`StoreError::TooLarge`] before anything is queued. Other errors
    /// come with the commit: then nothing of the batch was stored.
    async fn submit(&self, batch: Batch) -> Result<Commit, StoreError>;

    /// Journal entries of a mirror after `after`, at most `limit`, in order.
    async fn journal(&self, mirror: &MirrorName, after: Seq, limit: usize) -> Result<Vec<(Seq, Event)>, StoreError>;

    /// The number of the last entry ever accepted by a mirror; zero if none.
    async fn last(&self, mirror: &MirrorName) -> Result<Seq, StoreError>;

    /// A lane's mark; none if it was never opened.
    async fn lane(&self, lane: &Lane) -> Result<Option<LaneMark>, StoreError>;

    /// Where a message id leads.
    async fn locate(&self, place: &Place, id: &MessageId) -> Result<Option<Located>, StoreError>;

    /// The ids an entry has at a place (its source included), in order; empty if it is not there.
    async fn copies(&self, mirror: &MirrorName, seq: Seq, place: &Place) -> Result<Vec<MessageId>, StoreError>;

    /// One delivery record.
    async fn delivery(&self, lane: &Lane, seq: Seq) -> Result<Option<Delivery>, StoreError>;

    /// Delivery records, oldest first.
    async fn deliveries(&self, filter: &DeliveryFilter) -> Result<Vec<Delivery>, StoreError>;

    /// A place's resume position.
    async fn cursor(&self, place: &Place) -> Result<Option<Cursor>, StoreError>;

    /// A place's portal.
    async fn portal(&self, place: &Place) -> Result<Option<Portal>, StoreError>;

    /// All portals.
    async fn portals(&self) -> Result<Vec<Portal>, StoreError>;

    /// A value of a session's own memory.
    async fn state(&self, owner: &str, key: &str) -> Result<Option<Vec<u8>>, StoreError>;

    /// All of an owner's keys that start with `prefix`, with their values, in order.
    async fn state_scan(&self, owner: &str, prefix: &str) -> Result<Vec<(String, Vec<u8>)>, StoreError>;

    /// Writes everything out and closes. Later calls answer [`StoreError::Closed`].
    async fn close(&self) -> Result<(), StoreError>;
}
