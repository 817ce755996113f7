//! The one writer: takes batches off the queue, commits as many as wait together, and answers each.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use metrics::{counter, gauge, histogram};
use tokio::sync::mpsc::Receiver;
use tokio::sync::mpsc::error::TryRecvError;
use tokio::sync::{OwnedSemaphorePermit, oneshot};
use tokio::time::Instant;
use tracing::{error, warn};

use super::apply::Group;
use super::home::{self, Home};
use super::layout::{self, Extent, Number, table};
use super::overlay::batch;
use super::recent::Recent;
use super::{Shared, Slot, failure};
use crate::api::{Applied, Series, StoreError};
use crate::prepare::Prepared;
use crate::telemetry;

/// The most batches in one group.
const GROUP_BATCHES: usize = 512;
/// The most bytes in one group, unless a single batch is larger.
const GROUP_BYTES: usize = 4 * 1024 * 1024;
/// After a group the writer lets a crowd come together again, in steps, as long as somebody still comes: those whose batches
/// were just answered usually have another one ready in a moment, and a commit costs far more than that moment.
const STEP: Duration = Duration::from_micros(200);
/// After so many steps without a further batch nobody else is coming.
const STILL: usize = 2;
/// The most steps.
const STEPS: usize = 8;
/// A crowd of so many is large enough: it need not grow.
const ENOUGH: usize = 64;
/// A group of fewer batches is no crowd: the next batch is committed at once.
const CROWD: usize = 4;
/// How many dropped journal entries are taken off the disk with one group.
const SWEEP: u64 = 256;

/// What the writer is asked for.
pub(crate) enum Job {
    /// To commit a batch.
    Commit {
        batch: Prepared,
        reply: oneshot::Sender<Result<Applied, StoreError>>,
        /// Its share of the bytes that may wait; given back once it is answered.
        permit: OwnedSemaphorePermit,
    },
    /// To close, after everything before it.
    Close(Closing),
}

type Closing = oneshot::Sender<Result<(), StoreError>>;
type Reply = (oneshot::Sender<Result<Applied, StoreError>>, OwnedSemaphorePermit);

/// The writer's own state; it runs on a thread of its own.
pub(crate) struct Writer {
    pub(crate) home: Arc<Home>,
    pub(crate) shared: Arc<Shared>,
    pub(crate) jobs: Receiver<Job>,
    /// Room that has to stay free on the device, in bytes.
    pub(crate) reserve: u64,
    /// Mirrors with dropped entries still on the disk.
    pub(crate) to_sweep: VecDeque<Number>,
    /// What is in the tree and will be needed again soon.
    pub(crate) recent: Recent,
}

impl Writer {
    /// Works until it is told to close or nobody is left to ask for anything.
    pub(crate) fn run(mut self) {
        self.find_sweeps();
        let mut closing = None;
        while closing.is_none() {
            let first = match self.jobs.try_recv() {
                Err(TryRecvError::Empty) if !self.to_sweep.is_empty() => {
                    self.group(Vec::new());
                    continue;
                }
                Err(TryRecvError::Empty) => self.jobs.blocking_recv(),
                Err(TryRecvError::Disconnected) => None,
                Ok(job) => Some(job),
            };
            let Some(first) = first else { break };
            let (batches, close) = self.gather(first);
            gauge!(telemetry::QUEUE_DEPTH).set(f64::from(u32::try_from(self.jobs.len()).unwrap_or(u32::MAX)));
            let crowd = batches.len();
            self.group(batches);
            closing = close;
            if closing.is_none() {
                self.linger(crowd);
            }
        }
        // What was queued behind a close is answered by dropping it: its commit resolves to closed.
        self.jobs.close();
        let outcome = self.close();
        if let Err(error) = &outcome {
            error!(%error, "The store could not be closed in order.");
        }
        if let Some(reply) = closing {
            reply.send(outcome).ok();
        }
    }

    /// After a crowd, waits while it comes together again: until nobody else comes, or as many wait as before and enough.
    fn linger(&self, crowd: usize) {
        if crowd < CROWD {
            return;
        }
        let (mut waiting, mut still) = (self.jobs.len(), 0);
        for _ in 0..STEPS {
            if waiting >= crowd.max(ENOUGH) || still >= STILL {
                return;
            }
            std::thread::park_timeout(STEP);
            let now = self.jobs.len();
            still = if now == waiting && now > 0 { still + 1 } else { 0 };
            waiting = now;
        }
    }

    /// What already waits behind a job, up to the group's bounds or a close.
    fn gather(&mut self, first: Job) -> (Vec<(Prepared, Reply)>, Option<Closing>) {
        let mut batches = Vec::new();
        let mut weight = 0_usize;
        let mut next = Some(first);
        while let Some(job) = next {
            match job {
                Job::Close(reply) => return (batches, Some(reply)),
                Job::Commit { batch, reply, permit } => {
                    weight = weight.saturating_add(batch.weight);
                    batches.push((batch, (reply, permit)));
                }
            }
            if batches.len() >= GROUP_BATCHES || weight >= GROUP_BYTES {
                break;
            }
            next = self.jobs.try_recv().ok();
        }
        (batches, None)
    }

    /// Commits a group and answers its batches.
    fn group(&mut self, batches: Vec<(Prepared, Reply)>) {
        let start = Instant::now();
        let size = batches.len();
        let (batches, replies): (Vec<_>, Vec<_>) = batches.into_iter().unzip();
        let series: Vec<Series> = batches.iter().filter_map(|batch| batch.series.clone()).collect();
        match self.commit(batches) {
            Ok(outcomes) => {
                for ((reply, _permit), outcome) in replies.into_iter().zip(outcomes) {
                    reply.send(outcome).ok();
                }
            }
            Err(error) => {
                counter!(telemetry::COMMIT_FAILURES).increment(1);
                warn!(%error, batches = size, "A group of batches could not be committed.");
                // Whatever failed, sweeping can wait for the next trim or start.
                self.to_sweep.clear();
                // Before anybody is told: what comes next of a series must not overtake.
                series.iter().for_each(Series::fail);
                for (reply, _permit) in replies {
                    reply.send(Err(error.clone())).ok();
                }
            }
        }
        if size > 0 {
            histogram!(telemetry::COMMIT_SECONDS).record(start.elapsed());
            histogram!(telemetry::GROUP_BATCHES).record(f64::from(u32::try_from(size).unwrap_or(u32::MAX)));
        }
    }

    fn commit(&mut self, batches: Vec<Prepared>) -> Result<Vec<Result<Applied, StoreError>>, StoreError> {
        let weight = batches.iter().map(|batch| batch.weight as u64).sum::<u64>();
        if self.reserve > 0 {
            self.home
                .require_room(self.reserve.saturating_add(weight.saturating_mul(4)))?;
        }
        self.revive()?;
        let db = self.shared.db()?;
        let stamp = home::stamp(&db)?.saturating_add(1);
        let mut group = Group::new(&db, &self.shared.names, &self.recent);
        let outcomes = batches.into_iter().map(|batch| one(&mut group, batch)).collect();
        for mirror in std::mem::take(&mut group.to_sweep) {
            if !self.to_sweep.contains(&mirror) {
                self.to_sweep.push_back(mirror);
            }
        }
        if let Some(mirror) = self.to_sweep.pop_front()
            && group.sweep(mirror, SWEEP)?
        {
            self.to_sweep.push_back(mirror);
        }
        if group.overlay.is_empty() {
            return Ok(outcomes);
        }
        let (key, value) = home::stamp_entry(stamp);
        group.overlay.put(key, value);
        let writes = group.overlay.into_writes();
        let written = catch_unwind(AssertUnwindSafe(|| {
            db.apply_batch(batch(&writes)).map_err(failure)?;
            db.flush().map_err(failure)?;
            Ok(())
        }))
        .unwrap_or_else(|_| Err(StoreError::Io("sled failed".to_owned())));
        drop(db);
        match written.and_then(|()| self.home.sync()) {
            Ok(()) => self.recent.learn(writes),
            Err(error) => {
                self.recent.clear();
                self.recover(stamp, error)?;
            }
        }
        self.home.acknowledge(stamp)?;
        Ok(outcomes)
    }

    /// After a failed write: opens sled anew, since it refuses everything from then on, and looks whether the group is in.
    fn recover(&mut self, stamp: u64, cause: StoreError) -> Result<(), StoreError> {
        warn!(%cause, "The store is opened again after a failed write.");
        self.shared.put(Slot::Failed(cause.clone()));
        self.revive().map_err(|_| cause.clone())?;
        let found = home::stamp(&*self.shared.db()?)?;
        if found == stamp {
            // It was whole in the log; only the answer had failed.
            return self.home.sync();
        }
        Err(cause)
    }

    /// Opens sled again if it failed before.
    fn revive(&self) -> Result<(), StoreError> {
        if !self.shared.is_failed() {
            return Ok(());
        }
        match self.home.reopen() {
            Ok(db) => {
                self.shared.names.clear();
                self.shared.put(Slot::Open(db));
                Ok(())
            }
            Err(error) => {
                self.shared.put(Slot::Failed(error.clone()));
                Err(error)
            }
        }
    }

    /// Mirrors whose dropped entries an earlier process left on the disk.
    fn find_sweeps(&mut self) {
        let Ok(db) = self.shared.db() else { return };
        for (key, value) in db.scan_prefix([table::MIRROR]).flatten() {
            let number = key
                .get(1..)
                .and_then(|bytes| bytes.try_into().ok())
                .map(Number::from_be_bytes);
            if let (Some(number), Ok(extent)) = (number, Extent::decode(&value))
                && extent.swept < extent.trimmed
            {
                self.to_sweep.push_back(number);
            }
        }
    }

    fn close(&self) -> Result<(), StoreError> {
        let was_failed = self.shared.is_failed();
        self.shared.put(Slot::Closed);
        if was_failed {
            // Left as after a crash, so that the next start looks closely.
            return Ok(());
        }
        self.home.sync()?;
        self.home.leave()
    }
}

/// Applies a batch, unless one of its series failed before it.
fn one(group: &mut Group<'_>, batch: Prepared) -> Result<Applied, StoreError> {
    if batch.series.as_ref().is_some_and(Series::has_failed) {
        return Err(StoreError::Behind);
    }
    let outcome = group.batch(batch.changes);
    if let (Err(_), Some(series)) = (&outcome, &batch.series) {
        series.fail();
    }
    outcome
}

impl Shared {
    /// Replaces what readers see. The old tree is gone when this returns.
    pub(crate) fn put(&self, slot: Slot) {
        *self.slot.write().unwrap_or_else(PoisonError::into_inner) = slot;
    }

    pub(crate) fn is_failed(&self) -> bool {
        matches!(
            *self.slot.read().unwrap_or_else(PoisonError::into_inner),
            Slot::Failed(_)
        )
    }
}

/// Keeps the layout's meta keys in one table.
const _: () = assert!(layout::STAMP[0] == table::META && layout::SCHEMA[0] == table::META);
