//! Gathers steps and their entries into commits.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use viaduct_audit::outbox::{self, OWNER};
use viaduct_audit::{Action, Written};
use viaduct_store::{Accepted, Applied, BATCH_BOUND, Batch, Commit, Op, Series, Store, StoreError, weigh};

use super::carry::{Carried, Carrier};
use crate::faults;

/// How many steps wait in memory; beyond it their sources wait.
const QUEUE: usize = 1024;
/// How many steps are gathered into one commit at most.
const TOGETHER: usize = 256;
/// How much is gathered into one commit at most, in bytes: what the store takes, but for what the sealed entries add.
const GATHERED: usize = BATCH_BOUND - 64 * 1024;
/// How many steps are committed each alone after a commit of several failed.
const ALONE: usize = 2 * QUEUE;
/// How many commits are on their way at once. While one is being synced everything else gathers: a second one behind it would
/// only split what the next could take.
const FLYING: usize = 1;
/// How many commits wait in memory to be carried into the ledger; what comes beyond is read from the store later.
const CARRIED: usize = 1024;

/// Where steps are given.
pub(super) struct Gatherer {
    parts: mpsc::Sender<Part>,
    close: CancellationToken,
}

/// One step on its way.
struct Part {
    step: Batch,
    entries: Vec<Written>,
    /// What both weigh, in bytes.
    weight: usize,
    reply: oneshot::Sender<Result<Applied, StoreError>>,
}

impl Gatherer {
    /// Queues a step with its entries, waiting while too many wait; the order is fixed when this returns. One that is larger
    /// than the store takes is refused before it is queued: failing later, others would overtake it.
    pub(super) async fn submit(&self, step: Batch, entries: Vec<Written>) -> Result<Commit, StoreError> {
        let weight = weigh(&step.ops) + entries.iter().map(|entry| entry.json().len() + 1).sum::<usize>();
        if weight > GATHERED {
            return Err(StoreError::TooLarge(weight));
        }
        let (reply, commit) = Commit::new();
        let part = Part {
            step,
            entries,
            weight,
            reply,
        };
        self.parts.send(part).await.map_err(|_| StoreError::Closed)?;
        Ok(commit)
    }

    /// Commits what was given so far, and ends.
    pub(super) async fn close(&self) {
        self.close.cancel();
        self.parts.closed().await;
    }
}

/// Starts the tasks that commit steps and carry entries.
pub(super) fn start(store: Arc<dyn Store>, carrier: Carrier, next: u64) -> (Gatherer, Vec<JoinHandle<()>>) {
    let (parts, given) = mpsc::channel(QUEUE);
    let (hand_over, taken) = mpsc::channel(CARRIED);
    let close = CancellationToken::new();
    let behind = carrier.behind();
    let gathering = Gathering {
        store,
        next,
        carried: hand_over,
        behind,
        flying: VecDeque::new(),
        held: None,
        alone: 0,
    };
    let tasks = vec![
        tokio::spawn(gathering.run(given, close.clone())),
        tokio::spawn(carrier.run(taken, close.clone())),
    ];
    (Gatherer { parts, close }, tasks)
}

/// A commit on its way to the device.
struct Flying {
    commit: Commit,
    steps: Vec<Step>,
    sealed: Vec<outbox::Sealed>,
}

/// One step of a commit: what its outcome is told by, and to whom.
struct Step {
    accepts: usize,
    entries: usize,
    series: Option<Series>,
    reply: oneshot::Sender<Result<Applied, StoreError>>,
}

struct Gathering {
    store: Arc<dyn Store>,
    /// The number of the next entry.
    next: u64,
    carried: mpsc::Sender<Carried>,
    /// Whether the carrier has to look into the store, because not everything could be handed to it.
    behind: Arc<AtomicBool>,
    flying: VecDeque<Flying>,
    /// A step that was too much for the last commit.
    held: Option<Part>,
    /// So many steps are committed each alone, after a commit of several failed: one that cannot be stored must not take
    /// others with it for ever.
    alone: usize,
}

impl Gathering {
    async fn run(mut self, mut given: mpsc::Receiver<Part>, close: CancellationToken) {
        loop {
            tokio::select! {
                biased;
                result = head(&mut self.flying), if !self.flying.is_empty() => self.landed(result),
                part = next(&mut self.held, &mut given), if self.flying.len() < FLYING => {
                    let Some(first) = part else { break };
                    let parts = self.gather(first, &mut given);
                    self.commit(parts).await;
                }
                () = close.cancelled(), if !given.is_closed() => given.close(),
            }
        }
        while !self.flying.is_empty() {
            let result = head(&mut self.flying).await;
            self.landed(result);
        }
    }

    /// What already waits behind a step, up to the bounds.
    fn gather(&mut self, first: Part, given: &mut mpsc::Receiver<Part>) -> Vec<Part> {
        let together = if self.alone > 0 { 1 } else { TOGETHER };
        let mut weight = first.weight;
        let mut parts = vec![first];
        while parts.len() < together
            && let Ok(part) = given.try_recv()
        {
            weight = weight.saturating_add(part.weight);
            if weight > GATHERED {
                self.held = Some(part);
                break;
            }
            parts.push(part);
        }
        parts
    }

    /// Submits some steps as one batch, but for those that are behind one that failed.
    async fn commit(&mut self, parts: Vec<Part>) {
        self.alone = self.alone.saturating_sub(1);
        let (mut ops, mut entries, mut steps) = (Vec::new(), Vec::new(), Vec::with_capacity(parts.len()));
        for mut part in parts {
            if part.step.is_behind_a_failed() {
                part.reply.send(Err(StoreError::Behind)).ok();
                continue;
            }
            steps.push(Step {
                accepts: part
                    .step
                    .ops
                    .iter()
                    .filter(|op| matches!(op, Op::Accept { .. }))
                    .count(),
                entries: part.entries.len(),
                series: part.step.series,
                reply: part.reply,
            });
            ops.append(&mut part.step.ops);
            entries.append(&mut part.entries);
        }
        if steps.is_empty() {
            return;
        }
        let count = entries.len() as u64;
        let mut sealed = outbox::seal(self.next, entries);
        self.next += count;
        for sealed in &mut sealed {
            ops.push(Op::State {
                owner: OWNER.to_owned(),
                key: sealed.key.clone(),
                value: Some(std::mem::take(&mut sealed.value)),
            });
        }
        match self.store.submit(ops.into()).await {
            Ok(commit) => self.flying.push_back(Flying { commit, steps, sealed }),
            Err(error) => self.failed(&error, steps),
        }
    }

    /// The oldest commit is on the device, or failed.
    fn landed(&mut self, result: Result<Applied, StoreError>) {
        let Some(flying) = self.flying.pop_front() else { return };
        match result {
            Ok(applied) => {
                faults::point("entry-after");
                self.answer(applied, flying);
            }
            Err(error) => self.failed(&error, flying.steps),
        }
    }

    fn answer(&mut self, applied: Applied, flying: Flying) {
        let mut entries = flying.sealed.iter().flat_map(|sealed| &sealed.entries);
        let mut applied = applied.into_iter();
        let mut repeated = Vec::new();
        for step in flying.steps {
            let own: Applied = applied.by_ref().take(step.accepts).collect();
            let mut outcomes = own.iter();
            for entry in entries.by_ref().take(step.entries) {
                if entry.entry.action() == Action::Accepted && matches!(outcomes.next(), Some(Accepted::Duplicate(_))) {
                    repeated.push(entry.number);
                }
            }
            step.reply.send(Ok(own)).ok();
        }
        for mut sealed in flying.sealed {
            if !repeated.is_empty() {
                // What was there already has its entry.
                sealed.entries.retain(|entry| !repeated.contains(&entry.number));
            }
            let carried = Carried {
                key: sealed.key,
                entries: sealed.entries,
            };
            if self.behind.load(Ordering::SeqCst) || self.carried.try_send(carried).is_err() {
                self.behind.store(true, Ordering::SeqCst);
            }
        }
    }

    /// Whose steps these are learns it, and gives them again; then each goes alone.
    fn failed(&mut self, error: &StoreError, steps: Vec<Step>) {
        if steps.len() > 1 {
            self.alone = ALONE;
        }
        for step in steps {
            if let Some(series) = step.series {
                series.fail();
            }
            step.reply.send(Err(error.clone())).ok();
        }
    }
}

/// The step that did not go with the last, or else the next that is given.
async fn next(held: &mut Option<Part>, given: &mut mpsc::Receiver<Part>) -> Option<Part> {
    match held.take() {
        Some(part) => Some(part),
        None => given.recv().await,
    }
}

/// Waits for the oldest commit.
async fn head(flying: &mut VecDeque<Flying>) -> Result<Applied, StoreError> {
    match flying.front_mut() {
        Some(first) => (&mut first.commit).await,
        None => std::future::pending().await,
    }
}
