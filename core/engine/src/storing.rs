//! What one side accepted, on its way into the store: in order, several batches at once.
//!
//! A few batches are in flight, so that the next are already being written while the last are synced. They are one
//! [`Series`]: where one fails, those behind it fail too, and all are written again in order, until the store takes them. What
//! cannot be stored together is stored push by push, and a push event by event: one that is too large takes no other with it.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use viaduct_audit::Written;
use viaduct_bridge::Outcome;
use viaduct_model::{Event, NetworkName, Place};
use viaduct_store::{Accepted, Applied, Commit, Op, Seq, Series, StoreError};

use crate::backoff::Backoff;
use crate::core::Core;
use crate::deliver::tell;
use crate::routes::Mirror;
use crate::{faults, handed, telemetry};

/// How many batches of one side are being written at the same time.
const IN_FLIGHT: usize = 32;

/// One push with its events' mirrors found.
pub(crate) struct Routed {
    /// What to write, and to write again if it could not be written: each event's own changes, and then its acceptance.
    pub(crate) ops: Vec<Op>,
    /// The ledger's entry of each acceptance, if one is kept.
    pub(crate) entries: Vec<Written>,
    /// Where its events happened.
    pub(crate) woken: Vec<(Arc<Mirror>, Place)>,
    /// The session may acknowledge it; none for a part that is not the last.
    pub(crate) done: Option<oneshot::Sender<()>>,
}

impl Routed {
    /// One part for each event.
    fn split(mut self) -> Vec<Self> {
        let mut parts = Vec::new();
        let mut entries = self.entries.into_iter();
        let mut ops = Vec::new();
        let mut rest = self.ops.into_iter().peekable();
        while let Some(op) = rest.next() {
            let place = match &op {
                Op::Accept { event, .. } => Some(event.place.clone()),
                _ => None,
            };
            ops.push(op);
            if place.is_some() || rest.peek().is_none() {
                let woken = self.woken.iter().filter(|(_, at)| Some(at) == place.as_ref());
                parts.push(Self {
                    ops: std::mem::take(&mut ops),
                    entries: entries.by_ref().take(usize::from(place.is_some())).collect(),
                    woken: woken.cloned().collect(),
                    done: self.done.take_if(|_| rest.peek().is_none()),
                });
            }
        }
        parts
    }

    fn accepted(&self) -> impl Iterator<Item = &Arc<Event>> {
        self.ops.iter().filter_map(|op| match op {
            Op::Accept { event, .. } => Some(event),
            _ => None,
        })
    }

    fn acknowledge(&mut self) {
        if let Some(done) = self.done.take() {
            done.send(()).ok();
        }
    }
}

/// What was accepted of one place.
struct News {
    mirror: Arc<Mirror>,
    source: Place,
    /// The new entries in their order; without the event where it is left to the journal.
    entries: Vec<(Seq, Option<Arc<Event>>)>,
    /// There may be others.
    doubtful: bool,
}

impl News {
    fn of(mirror: Arc<Mirror>, source: Place) -> Self {
        Self {
            mirror,
            source,
            entries: Vec::new(),
            doubtful: false,
        }
    }

    fn add(&mut self, seq: Seq, event: Arc<Event>) {
        let event = handed::is_light(&event).then_some(event);
        self.entries.push((seq, event));
    }
}

/// A batch of pushes on its way to the device.
struct Writing {
    commit: Commit,
    pushes: Vec<Routed>,
}

/// One side's batches on their way.
pub(crate) struct Storing {
    core: Arc<Core>,
    network: NetworkName,
    series: Series,
    backoff: Backoff,
    writing: VecDeque<Writing>,
}

impl Storing {
    pub(crate) fn new(core: Arc<Core>, network: NetworkName) -> Self {
        Self {
            core,
            network,
            series: Series::default(),
            backoff: Backoff::new(Duration::from_millis(200), Duration::from_secs(10)),
            writing: VecDeque::new(),
        }
    }

    /// Whether nothing is on its way.
    pub(crate) fn is_empty(&self) -> bool {
        self.writing.is_empty()
    }

    /// Whether another batch may be given.
    pub(crate) fn has_room(&self) -> bool {
        self.writing.len() < IN_FLIGHT
    }

    /// Submits pushes as one batch; in smaller ones if the store does not take them so.
    pub(crate) async fn submit(&mut self, pushes: Vec<Routed>) {
        let mut batches = VecDeque::from([pushes]);
        while let Some(mut pushes) = batches.pop_front() {
            if pushes.is_empty() {
                continue;
            }
            faults::point("accept-before");
            match self.offer(&pushes).await {
                Ok(commit) => self.writing.push_back(Writing { commit, pushes }),
                Err(StoreError::TooLarge(bytes)) => {
                    for smaller in self.smaller(pushes, bytes).into_iter().rev() {
                        batches.push_front(smaller);
                    }
                }
                Err(error) => {
                    tracing::error!(network = %self.network, %error, "Events could not be stored and are not acknowledged.");
                    pushes.clear();
                }
            }
        }
    }

    /// What is given instead of pushes that are too large together, in order.
    fn smaller(&self, mut pushes: Vec<Routed>, bytes: usize) -> Vec<Vec<Routed>> {
        if pushes.len() > 1 {
            return pushes.into_iter().map(|push| vec![push]).collect();
        }
        let Some(mut push) = pushes.pop() else {
            return Vec::new();
        };
        if push.accepted().count() > 1 {
            return push.split().into_iter().map(|part| vec![part]).collect();
        }
        tracing::error!(network = %self.network, bytes, "An event is too large to be stored and was dropped.");
        for event in push.accepted() {
            for (mirror, source) in &push.woken {
                for member in mirror.destinations(source) {
                    let outcome = Outcome::Failed("the message is too large".to_owned());
                    tell(&self.core, source, &event.id, &member.place, outcome);
                }
            }
        }
        // What came before it is acknowledged only when it is stored.
        push.ops.clear();
        push.entries.clear();
        vec![vec![push]]
    }

    async fn offer(&self, pushes: &[Routed]) -> Result<Commit, StoreError> {
        let ops = pushes.iter().flat_map(|push| &push.ops).cloned().collect();
        let entries: Vec<Written> = pushes.iter().flat_map(|push| &push.entries).cloned().collect();
        self.core.submit_behind(&self.series, ops, entries).await
    }

    /// Waits for the oldest batch; forever if there is none. May be dropped while it waits.
    pub(crate) async fn head(&mut self) -> Result<Applied, StoreError> {
        match self.writing.front_mut() {
            Some(first) => (&mut first.commit).await,
            None => std::future::pending().await,
        }
    }

    /// The oldest batch is on the device, or failed.
    pub(crate) async fn landed(&mut self, result: Result<Applied, StoreError>) {
        let Some(first) = self.writing.pop_front() else { return };
        match result {
            Ok(applied) => {
                self.backoff.reset();
                self.settle(&applied, first.pushes);
            }
            Err(error) => self.failed(error, first.pushes).await,
        }
    }

    /// What failed is written again, in order, until it succeeds: the disk may have been full. Its tickets wait so long, and
    /// with them the upstream acknowledgements.
    async fn failed(&mut self, error: StoreError, first: Vec<Routed>) {
        let mut batches = match error {
            StoreError::TooLarge(bytes) => self.smaller(first, bytes),
            _ => vec![first],
        };
        while let Some(mut next) = self.writing.pop_front() {
            match (&mut next.commit).await {
                Ok(applied) => self.settle(&applied, next.pushes),
                Err(_) => batches.push(next.pushes),
            }
        }
        if error == StoreError::Closed {
            return;
        }
        // What is too large need not wait before it is tried in smaller parts.
        if !matches!(error, StoreError::TooLarge(_)) && !self.pause(&error).await {
            return;
        }
        self.series.resume();
        for pushes in batches {
            self.submit(pushes).await;
        }
    }

    /// Waits a while; false if the hub stops.
    async fn pause(&mut self, error: &StoreError) -> bool {
        tracing::error!(network = %self.network, %error, "The store failed; what was read waits and is tried again.");
        let wait = self.backoff.next(None, &*self.core.entropy);
        tokio::select! {
            () = tokio::time::sleep(wait) => true,
            () = self.core.stop.cancelled() => false,
        }
    }

    /// What is on the device: its sessions may acknowledge it, and the lanes get what is new.
    fn settle(&self, applied: &[Accepted], pushes: Vec<Routed>) {
        faults::point("accept-after");
        let mut outcomes = applied.iter();
        let mut news: Vec<News> = Vec::new();
        for mut push in pushes {
            push.acknowledge();
            for op in push.ops {
                let Op::Accept { mirror, event } = op else { continue };
                let outcome = outcomes.next();
                let known = |one: &News| one.source == event.place && one.mirror.name == mirror;
                let at = news.iter().position(known).unwrap_or(news.len());
                if at == news.len()
                    && let Some((mirror, _)) = push.woken.iter().find(|(known, _)| known.name == mirror)
                {
                    news.push(News::of(mirror.clone(), event.place.clone()));
                }
                let Some(one) = news.get_mut(at) else { continue };
                match outcome {
                    Some(Accepted::New(seq)) => one.add(*seq, event),
                    // Where it is, its lanes may not have been told.
                    Some(Accepted::Duplicate(_)) => {
                        telemetry::duplicate(&self.network);
                        one.doubtful = true;
                    }
                    None => one.doubtful = true,
                }
            }
        }
        for one in news {
            self.core.hand(&one.mirror, &one.source, one.entries);
            if one.doubtful {
                self.core.wake(&one.mirror, &one.source);
            }
        }
    }
}
