//! Delivery lanes: one for each mirror and destination, in the order of the journal.
//!
//! A lane is a position in its mirror's journal. It costs no task while it has nothing to do: waking it starts a worker,
//! which reads entries after the position, delivers them one by one, and ends when there have been none for a moment. While it
//! works, short messages are handed to it as they are accepted (see `handed`). It keeps what it settled in flight and waits for
//! that only where an entry refers to an earlier one, or where there is nothing else to do.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::Notify;
use viaduct_audit::Written;
use viaduct_model::{Event, Lookup};
use viaduct_store::{Lane, LaneMark, Op, Seq, StoreError};

use crate::backoff::Backoff;
use crate::core::{Core, Side};
use crate::deliver::{Delivering, Prepared};
use crate::end::End;
use crate::handed::Handed;
use crate::lists::Lists;
use crate::routes::{Member, Mirror};
use crate::settling::Settling;
use crate::{faults, labels, notices, quarantine, resolve, telemetry};

/// How many journal entries a worker reads at once.
const READ: usize = 64;
/// How many deliveries are got ready side by side.
const AHEAD: usize = 16;
/// How long a worker with nothing to do stays: where people talk, the next entry comes sooner, and spares a task.
const LINGER: Duration = Duration::from_millis(20);

/// A lane's place in memory: whether it has a worker, and how far it is.
#[derive(Debug)]
pub(crate) struct LaneHandle {
    pub(crate) lane: Lane,
    waiting: telemetry::Waiting,
    state: Mutex<LaneState>,
    /// Told when a working lane gets something to do.
    woken: Notify,
}

#[derive(Debug, Default)]
struct LaneState {
    working: bool,
    /// Woken while working: the worker has to look once more.
    again: bool,
    /// Settled up to here, as far as known in memory.
    settled: Option<Seq>,
    /// The mark in the store is there, too, and nothing beyond it was begun.
    is_noted: bool,
    handed: Handed,
}

impl LaneHandle {
    pub(crate) fn new(lane: Lane) -> Self {
        Self {
            waiting: telemetry::Waiting::of(&lane.mirror, &lane.to.network),
            lane,
            state: Mutex::default(),
            woken: Notify::new(),
        }
    }

    fn state(&self) -> MutexGuard<'_, LaneState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How far the lane is, as far as known.
    pub(crate) fn settled(&self) -> Option<Seq> {
        self.state().settled
    }

    /// Starts a worker, or has the running one look into the journal again.
    pub(crate) fn wake(self: &Arc<Self>, core: &Arc<Core>) {
        let mut state = self.state();
        state.handed.doubt();
        self.begin(core, state);
    }

    /// The same for entries that were accepted just now.
    pub(crate) fn hand(self: &Arc<Self>, core: &Arc<Core>, entries: Vec<(Seq, Option<Arc<Event>>)>) {
        let mut state = self.state();
        state.handed.note(&core.room, entries);
        self.begin(core, state);
    }

    fn begin(self: &Arc<Self>, core: &Arc<Core>, mut state: MutexGuard<'_, LaneState>) {
        if state.working {
            state.again = true;
            drop(state);
            self.woken.notify_one();
            return;
        }
        state.working = true;
        drop(state);
        core.tasks.spawn(work(core.clone(), self.clone()));
    }

    /// Whether the worker may end; if it was woken meanwhile it may not.
    fn rest(&self) -> bool {
        let mut state = self.state();
        state.working = std::mem::take(&mut state.again);
        if !state.working {
            state.handed.forget();
        }
        !state.working
    }

    /// Gives up what was handed over and not begun: the journal says what is still there.
    pub(crate) fn forget_handed(&self) {
        self.state().handed.forget();
    }

    /// Waits a while for something to do; false if there is nothing and the worker ends.
    async fn linger(&self, core: &Core) -> bool {
        let over = tokio::time::sleep(LINGER);
        tokio::pin!(over);
        loop {
            if std::mem::take(&mut self.state().again) {
                return true;
            }
            tokio::select! {
                () = self.woken.notified() => {}
                () = &mut over => return !self.rest(),
                () = core.stop.cancelled() => return !self.rest(),
            }
        }
    }

    /// The lane's mark, where nothing but its last worker can have written it.
    fn noted(&self) -> Option<LaneMark> {
        let mut state = self.state();
        let settled = state.settled.filter(|_| std::mem::take(&mut state.is_noted))?;
        Some(LaneMark {
            settled,
            begun: settled,
        })
    }
}

/// Works until there is nothing left. While the store fails the worker is kept, and with it what it has delivered.
async fn work(core: Arc<Core>, handle: Arc<LaneHandle>) {
    let mut backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(30));
    let mut worker = None;
    loop {
        match turn(&core, &handle, &mut worker).await {
            Ok(()) if core.stop.is_cancelled() => {
                handle.state().working = false;
                return;
            }
            Ok(()) => {
                worker = None;
                if !handle.linger(&core).await {
                    return;
                }
            }
            Err(StoreError::Closed) => return,
            Err(error) => {
                tracing::error!(mirror = %handle.lane.mirror, to = %handle.lane.to, %error, "The lane waits for the store.");
                let wait = backoff.next(None, &*core.entropy);
                tokio::select! {
                    () = tokio::time::sleep(wait) => {}
                    () = core.stop.cancelled() => return,
                }
            }
        }
    }
}

async fn turn<'a>(
    core: &'a Arc<Core>,
    handle: &'a Arc<LaneHandle>,
    worker: &mut Option<Worker<'a>>,
) -> Result<(), StoreError> {
    if worker.is_none() {
        *worker = Worker::start(core, handle).await?;
    }
    match worker {
        Some(worker) => worker.run().await,
        None => Ok(()),
    }
}

struct Worker<'a> {
    core: &'a Arc<Core>,
    handle: &'a Arc<LaneHandle>,
    mirror: Arc<Mirror>,
    member: Member,
    side: Arc<Side>,
    position: Seq,
    /// The mark in the store is here, or about to be.
    noted: Seq,
    settling: Settling<'a>,
}

impl<'a> Worker<'a> {
    /// Finds out where the lane stands. None if its mirror or network is no longer there.
    async fn start(core: &'a Arc<Core>, handle: &'a Arc<LaneHandle>) -> Result<Option<Worker<'a>>, StoreError> {
        let lane = &handle.lane;
        let Some(mirror) = core.routes().named(&lane.mirror).cloned() else {
            return Ok(None);
        };
        let Some(member) = mirror.member(&lane.to).cloned() else {
            return Ok(None);
        };
        let Some(side) = core.side(&lane.to.network) else {
            return Ok(None);
        };
        if let Some(reason) = &core.govern.at(&lane.to, core.clock.now()).obstacle {
            tracing::debug!(mirror = %lane.mirror, to = %lane.to, reason, "The lane rests; the journal keeps what waits.");
            return Ok(None);
        }
        if !labels::is_known(core, &mirror) {
            tracing::debug!(mirror = %lane.mirror, to = %lane.to, "The lane rests until the room's label is known.");
            return Ok(None);
        }
        if !Lists::are_known(core) {
            tracing::debug!(mirror = %lane.mirror, to = %lane.to, "The lane rests until the policy rooms are known.");
            return Ok(None);
        }
        if notices::ensure(core, &mirror).await.is_none() {
            return Ok(None);
        }
        let mark = match handle.noted() {
            Some(mark) => mark,
            None => core.store.lane(lane).await?.unwrap_or_default(),
        };
        let fresh = handle.settled().is_none();
        let position = handle.settled().unwrap_or(mark.settled);
        handle.state().settled = Some(position);
        let mut worker = Self {
            core,
            handle,
            mirror,
            member,
            side,
            position,
            noted: mark.settled,
            settling: Settling::new(core, lane, mark.begun),
        };
        if fresh && mark.begun > mark.settled {
            worker.reconcile(mark).await?;
        }
        Ok(Some(worker))
    }

    /// The hub was killed while these were being sent: asks the network what became of them, or says that nobody knows.
    async fn reconcile(&mut self, mark: LaneMark) -> Result<(), StoreError> {
        while self.position < mark.begun {
            let entries = self
                .core
                .store
                .journal(&self.handle.lane.mirror, self.position, READ)
                .await?;
            if entries.is_empty() {
                break;
            }
            for (seq, event) in entries {
                if seq > mark.begun {
                    return Ok(());
                }
                if self.goes_here(&event) {
                    let end = match self.prepare(seq, event).await? {
                        Prepared::Send(mut sending) => {
                            let trace = sending.trace.take();
                            self.delivering().outcome_of(*sending).await.traced(trace)
                        }
                        Prepared::End(end) => end,
                        Prepared::Elsewhere => continue,
                    };
                    let Some(end) = end.into_settled() else { return Ok(()) };
                    self.settle(seq, end, None).await?;
                } else {
                    self.position = seq;
                }
            }
        }
        self.settled_all().await
    }

    /// Whether the destination is still the mirror's: it may have been taken out meanwhile.
    fn is_mirrored(&self) -> bool {
        let lane = &self.handle.lane;
        let routes = self.core.routes();
        routes
            .named(&lane.mirror)
            .is_some_and(|mirror| mirror.member(&lane.to).is_some())
    }

    async fn run(&mut self) -> Result<(), StoreError> {
        while !self.core.stop.is_cancelled() && self.is_mirrored() {
            let entries = self.next().await?;
            if entries.is_empty() {
                if self.settling.is_empty() {
                    break;
                }
                // While that is being written, more may come.
                self.settling.one().await?;
            } else if !self.entries(entries).await? {
                break;
            }
        }
        self.finish().await
    }

    /// What comes after the position: what was handed over if it follows without a gap, else what the journal has.
    async fn next(&self) -> Result<Vec<(Seq, Event)>, StoreError> {
        {
            let mut state = self.handle.state();
            let entries = state.handed.after(self.position);
            if !entries.is_empty() || state.handed.ends_at(self.position) {
                return Ok(entries);
            }
        }
        let mirror = &self.handle.lane.mirror;
        let entries = self.core.store.journal(mirror, self.position, READ).await?;
        if entries.is_empty() {
            self.handle.state().handed.read_to_end();
        }
        Ok(entries)
    }

    /// Delivers some entries. False if the hub is stopping or the side went away.
    async fn entries(&mut self, entries: Vec<(Seq, Event)>) -> Result<bool, StoreError> {
        self.handle.waiting.set(entries.len());
        let mut entries = entries.into_iter().peekable();
        let mut barred = false;
        while !barred && entries.peek().is_some() {
            let mut ready: Vec<(Seq, u64, Prepared)> = Vec::with_capacity(AHEAD);
            // Entries that refer to others are planned only when everything before them is in the map.
            while ready.len() < AHEAD {
                let Some((_, next)) = entries.peek() else { break };
                if self.barred(next) {
                    barred = true;
                    break;
                }
                if resolve::refers(&next.content) && !(ready.is_empty() && self.settling.is_empty()) {
                    if !ready.is_empty() {
                        break;
                    }
                    self.settled_all().await?;
                }
                let Some((seq, event)) = entries.next() else { break };
                if self.goes_here(&event) {
                    let at = event.at.as_millis();
                    ready.push((seq, at, self.prepare(seq, event).await?));
                } else {
                    ready.push((seq, 0, Prepared::Elsewhere));
                }
            }
            self.get_ready(&ready).await;
            // Where sending twice would show, it is noted that it begins.
            let lookup = self.side.session.capabilities(&self.handle.lane.to.channel).lookup;
            let notes = lookup != Lookup::Idempotent;
            let following: Vec<Seq> = ready.iter().skip(1).map(|(seq, ..)| *seq).collect();
            for (index, (seq, at, prepared)) in ready.into_iter().enumerate() {
                let end = match prepared {
                    Prepared::Elsewhere => {
                        self.position = seq;
                        continue;
                    }
                    Prepared::Send(mut sending) => {
                        if notes {
                            self.settling.begin(seq, following.get(index).copied()).await?;
                        }
                        let trace = sending.trace.take();
                        let end = self.delivering().deliver(*sending).await.traced(trace);
                        let took = self.core.clock.now().as_millis().saturating_sub(at);
                        #[expect(clippy::cast_precision_loss, reason = "a histogram is of floats")]
                        self.side.meters.delivery_seconds(took as f64 / 1000.0);
                        end
                    }
                    Prepared::End(end) => end,
                };
                match end.into_settled() {
                    Some(end) => {
                        self.settle(seq, end, following.get(index + 1).copied().filter(|_| notes))
                            .await?;
                    }
                    None => return Ok(false),
                }
            }
        }
        Ok(!barred)
    }

    /// Whether no agreement lets an event cross today: then the lane rests before it, and nothing is dropped.
    fn barred(&self, event: &Event) -> bool {
        let obstacle = self
            .goes_here(event)
            .then(|| self.delivering().obstacle(&event.place))
            .flatten();
        if let Some(reason) = &obstacle {
            tracing::debug!(mirror = %self.mirror.name, to = %self.member.place, reason, "The lane rests; the journal keeps what waits.");
        }
        obstacle.is_some()
    }

    /// Lets the destination make its puppets and ghosts side by side.
    async fn get_ready(&self, ready: &[(Seq, u64, Prepared)]) {
        let session = &self.side.session;
        join_all(ready.iter().filter_map(|(_, _, prepared)| match prepared {
            Prepared::Send(sending) => Some(session.prepare(&sending.cleared)),
            Prepared::End(_) | Prepared::Elsewhere => None,
        }))
        .await;
    }

    fn goes_here(&self, event: &Event) -> bool {
        self.mirror
            .destinations(&event.place)
            .any(|member| member.place == self.member.place)
    }

    fn delivering(&self) -> Delivering<'_> {
        Delivering {
            core: self.core,
            mirror: &self.mirror,
            member: &self.member,
            side: &self.side,
        }
    }

    async fn prepare(&self, seq: Seq, event: Event) -> Result<Prepared, StoreError> {
        let resolved = if resolve::refers(&event.content) {
            if let Some(end) = quarantine::behind(self.core, &self.handle.lane, seq, &event).await? {
                return Ok(Prepared::End(end));
            }
            resolve::resolve(&*self.core.store, &event, &self.handle.lane.to).await?
        } else {
            crate::plan::Resolved::default()
        };
        Ok(self.delivering().prepare(seq, event, &resolved).await)
    }

    /// Writes down where the lane stands, and that nothing beyond it was begun.
    async fn finish(&mut self) -> Result<(), StoreError> {
        if self.position > self.noted {
            self.settle(self.position, End::nothing(), None).await?;
        }
        self.settled_all().await?;
        self.settling.take_back(self.position).await?;
        self.handle.state().is_noted = true;
        Ok(())
    }

    /// Writes down how a delivery ended, and that sending up to `ahead` begins.
    async fn settle(&mut self, seq: Seq, mut end: End, ahead: Option<Seq>) -> Result<(), StoreError> {
        faults::point("settle-before");
        self.side.meters.settled(end.name());
        let entries = end
            .entries(self.core.clock.now())
            .into_iter()
            .map(Written::from)
            .collect();
        let record = end.record.map(|(state, reason)| (state, reason, self.core.clock.now()));
        let op = Op::Settle {
            lane: self.handle.lane.clone(),
            seq,
            copied: end.copied,
            record,
        };
        let mut ops = vec![op];
        ops.append(&mut end.step.ops);
        self.settling.settle(ops, entries, ahead).await?;
        self.position = seq;
        self.noted = seq;
        Ok(())
    }

    async fn settled_all(&mut self) -> Result<(), StoreError> {
        self.settling.all().await?;
        self.handle.state().settled = Some(self.position);
        self.handle.waiting.set(0);
        Ok(())
    }
}
