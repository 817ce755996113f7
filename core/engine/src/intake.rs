//! Accepting events: the first step of every event's way.
//!
//! Each side has one intake task. It takes the pushes that wait, in order, finds the mirrors, submits everything as one batch
//! to the store, and keeps the commits in flight in a short queue: so the next pushes are already being written while the last
//! are synced. When a commit is done, the tickets of its pushes resolve (the session may acknowledge) and the lanes are woken.
//! What could not be stored together is stored push by push: one that is too large takes no other with it.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::{Semaphore, mpsc, oneshot};
use viaduct_audit::Written;
use viaduct_bridge::{Connection, Inbox, InboxClosed, Ticket};
use viaduct_model::{ChannelId, Cursor, Event, MirrorName, NetworkName, Place};
use viaduct_store::{Accepted, Commit, Op, Seq, StoreError};

use crate::backoff::Backoff;
use crate::core::Core;
use crate::routes::{Mirror, direct, home_of};
use crate::{aside, channels, echo, handed};
use crate::{faults, ledger, notices, reactions, roster, telemetry};

/// How many pushes of one side wait in memory; beyond it the session waits.
const QUEUE: usize = 64;
/// How many pushes are written as one batch at most.
const TOGETHER: usize = 32;
/// How many batches of one side are being written at the same time.
const IN_FLIGHT: usize = 32;
/// How many typing and read notifications are passed on at the same time; beyond it they are dropped.
const EPHEMERAL: usize = 32;

struct Push {
    events: Vec<Event>,
    done: oneshot::Sender<()>,
}

impl Push {
    /// Whether the store is asked, or a mirror made, before it is written: what came before must not wait for that.
    fn takes_a_while(&self) -> bool {
        let mut events = self.events.iter();
        events.any(|event| event.echo_of.is_some() || event.direct_to.is_some())
    }
}

/// One side's door into the engine.
pub(crate) struct SideInbox {
    network: NetworkName,
    core: Arc<Core>,
    queue: mpsc::Sender<Push>,
}

impl SideInbox {
    /// Opens the door and starts the task behind it.
    pub(crate) fn open(core: &Arc<Core>, network: NetworkName) -> Arc<Self> {
        let (queue, pushes) = mpsc::channel(QUEUE);
        let intake = Intake {
            core: core.clone(),
            meters: telemetry::Meters::of(&network),
            network: network.clone(),
            ephemeral: Arc::new(Semaphore::new(EPHEMERAL)),
        };
        core.tasks.spawn(intake.run(pushes));
        Arc::new(Self {
            network,
            core: core.clone(),
            queue,
        })
    }
}

#[async_trait]
impl Inbox for SideInbox {
    async fn push(&self, events: Vec<Event>) -> Result<Ticket, InboxClosed> {
        let (done, ticket) = Ticket::new();
        tokio::select! {
            sent = self.queue.send(Push { events, done }) => sent.map_err(|_| InboxClosed)?,
            () = self.core.stop.cancelled() => return Err(InboxClosed),
        }
        Ok(ticket)
    }

    fn report(&self, channel: Option<&ChannelId>, connection: Connection) {
        channels::report(&self.core, &self.network, channel, connection);
    }

    async fn cursor(&self, channel: &ChannelId) -> Option<Cursor> {
        let place = Place::new(self.network.clone(), channel.clone());
        match self.core.store.cursor(&place).await {
            Ok(cursor) => cursor,
            Err(error) => {
                tracing::error!(%place, %error, "The resume position could not be read.");
                None
            }
        }
    }
}

/// One push with its events' mirrors found.
struct Routed {
    /// What to write, and to write again if it could not be written.
    ops: Vec<Op>,
    entries: Vec<Written>,
    /// Where its events happened.
    woken: Vec<(Arc<Mirror>, Place)>,
    done: oneshot::Sender<()>,
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

struct Intake {
    core: Arc<Core>,
    network: NetworkName,
    meters: telemetry::Meters,
    ephemeral: Arc<Semaphore>,
}

impl Intake {
    async fn run(self, mut pushes: mpsc::Receiver<Push>) {
        let mut writing: VecDeque<Writing> = VecDeque::new();
        let mut taken = Vec::with_capacity(TOGETHER);
        loop {
            tokio::select! {
                biased;
                result = head(&mut writing), if !writing.is_empty() => {
                    if let Some(written) = writing.pop_front() {
                        self.written(result, written, &mut writing).await;
                    }
                }
                count = pushes.recv_many(&mut taken, TOGETHER), if writing.len() < IN_FLIGHT => {
                    if count == 0 {
                        break;
                    }
                    // Who is about to push does it now, and is written along.
                    tokio::task::yield_now().await;
                    while taken.len() < TOGETHER && let Ok(push) = pushes.try_recv() {
                        taken.push(push);
                    }
                    self.take(&mut taken, &mut writing).await;
                },
                () = self.core.stop.cancelled(), if writing.is_empty() => break,
            }
        }
        while let Some(mut last) = writing.pop_front() {
            let result = (&mut last.commit).await;
            self.written(result, last, &mut writing).await;
        }
    }

    /// Submits pushes in order, together where nothing takes a while.
    async fn take(&self, taken: &mut Vec<Push>, writing: &mut VecDeque<Writing>) {
        let mut routed = Vec::with_capacity(taken.len());
        for push in taken.drain(..) {
            if push.takes_a_while() {
                self.submit(std::mem::take(&mut routed), writing).await;
            }
            routed.extend(self.routed(push).await);
        }
        self.submit(routed, writing).await;
    }

    /// Finds the mirrors of a push's events. None, and its ticket resolves, if there is nothing to store.
    async fn routed(&self, push: Push) -> Option<Routed> {
        let mut ops = Vec::with_capacity(push.events.len());
        let mut entries = Vec::new();
        let mut woken: Vec<(Arc<Mirror>, Place)> = Vec::new();
        for event in push.events {
            if let Some((event, mirror)) = self.route(event, &mut ops).await {
                self.meters.accepted(event.content.kind());
                if !woken.iter().any(|known| is_at(known, &mirror, &event.place)) {
                    woken.push((mirror.clone(), event.place.clone()));
                }
                ops.extend(reactions::remember(&event));
                if let Some(book) = &self.core.book {
                    let now = self.core.clock.now();
                    let terms = self.core.govern.at(&event.place, now);
                    let entry = ledger::accepted(&book.keys, &terms.keeper, now, &mirror, &event);
                    entries.push(Written::from(entry));
                }
                ops.push(Op::Accept {
                    mirror: mirror.name.clone(),
                    event: Arc::new(event),
                });
            }
        }
        if ops.is_empty() {
            push.done.send(()).ok();
            return None;
        }
        Some(Routed {
            ops,
            entries,
            woken,
            done: push.done,
        })
    }

    /// Submits pushes as one batch; one by one if the store does not take them so.
    async fn submit(&self, pushes: Vec<Routed>, writing: &mut VecDeque<Writing>) {
        if pushes.is_empty() {
            return;
        }
        faults::point("accept-before");
        match self.offer(&pushes).await {
            Ok(commit) => writing.push_back(Writing { commit, pushes }),
            Err(StoreError::TooLarge(_)) if pushes.len() > 1 => {
                for push in pushes {
                    match self.offer(std::slice::from_ref(&push)).await {
                        Ok(commit) => writing.push_back(Writing {
                            commit,
                            pushes: vec![push],
                        }),
                        Err(error) => self.unstored(&error),
                    }
                }
            }
            Err(error) => self.unstored(&error),
        }
    }

    fn unstored(&self, error: &StoreError) {
        tracing::error!(network = %self.network, %error, "Events could not be stored and are not acknowledged.");
    }

    async fn offer(&self, pushes: &[Routed]) -> Result<Commit, StoreError> {
        let ops = pushes.iter().flat_map(|push| &push.ops).cloned().collect();
        let entries: Vec<Written> = pushes.iter().flat_map(|push| &push.entries).cloned().collect();
        self.core.submit(ops, entries).await
    }

    /// Finds an event's mirror. Ephemeral events, echoes and events of unmirrored channels end here; of an echo its position is
    /// left among the `ops`, behind what was said before it.
    async fn route(&self, mut event: Event, ops: &mut Vec<Op>) -> Option<(Event, Arc<Mirror>)> {
        if self.network.is_matrix() {
            let mirror = self.core.mirror_of_room(event.place.channel.as_str())?;
            event.place = home_of(&mirror);
        }
        let mirror = match self.core.routes().at(&event.place).cloned() {
            Some(mirror) => mirror,
            None => self.direct_mirror(&event).await?,
        };
        if event.content.is_ephemeral() {
            self.pass_on(event, mirror);
            return None;
        }
        if roster::is_roster(&event.content) {
            notices::greet(&self.core, &mirror, &event);
            roster::note(&self.core, &mirror, &event);
            return None;
        }
        let reads = mirror.member(&event.place).is_some_and(|member| member.flow.reads());
        if let (Some(key), true) = (&event.echo_of, reads) {
            let place = event.place.clone();
            ops.extend(event.cursor.take().map(|cursor| Op::Cursor { place, cursor }));
            echo::settle(&self.core, &mirror, &event, key).await;
            return None;
        }
        reads.then_some((event, mirror))
    }

    async fn direct_mirror(&self, event: &Event) -> Option<Arc<Mirror>> {
        let Some(with) = event.direct_to.clone() else {
            telemetry::unrouted(&self.network);
            tracing::debug!(place = %event.place, "An event of a channel that is not mirrored was dropped.");
            return None;
        };
        open_direct(&self.core, event.place.clone(), Some(event.sender.clone()), with).await
    }

    fn pass_on(&self, event: Event, mirror: Arc<Mirror>) {
        if let Ok(permit) = self.ephemeral.clone().try_acquire_owned() {
            let core = self.core.clone();
            self.core.tasks.spawn(async move {
                aside::pass_on(&core, &mirror, &event).await;
                drop(permit);
            });
        }
    }

    /// The oldest batch is on the device, or failed. A failed one is written again, in order, until it succeeds: the disk
    /// may have been full. Its tickets wait so long, and with them the upstream acknowledgements.
    async fn written(&self, result: Result<Vec<Accepted>, StoreError>, first: Writing, rest: &mut VecDeque<Writing>) {
        match result {
            Ok(applied) => self.settle(&applied, first.pushes),
            Err(error) => {
                let mut failed = VecDeque::from(first.pushes);
                self.rewrite(error, &mut failed, rest).await;
            }
        }
    }

    /// What is on the device: its sessions may acknowledge it, and the lanes get what is new.
    fn settle(&self, applied: &[Accepted], pushes: Vec<Routed>) {
        faults::point("accept-after");
        let mut outcomes = applied.iter();
        let mut news: Vec<News> = Vec::new();
        for push in pushes {
            push.done.send(()).ok();
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

    async fn rewrite(&self, error: StoreError, failed: &mut VecDeque<Routed>, rest: &mut VecDeque<Writing>) {
        tracing::error!(network = %self.network, %error, "The store failed; what was read waits and is tried again.");
        // What was submitted behind the failed batch is waited for, and what failed of it goes behind.
        while let Some(mut next) = rest.pop_front() {
            match (&mut next.commit).await {
                Ok(applied) => self.settle(&applied, next.pushes),
                Err(_) => failed.extend(next.pushes),
            }
        }
        let mut backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(10));
        while let Some(next) = failed.pop_front() {
            let next = vec![next];
            loop {
                let result = match self.offer(&next).await {
                    Ok(commit) => commit.await,
                    Err(error) => Err(error),
                };
                match result {
                    Ok(applied) => {
                        self.settle(&applied, next);
                        break;
                    }
                    Err(StoreError::Closed) => return,
                    Err(StoreError::TooLarge(bytes)) => {
                        tracing::error!(network = %self.network, bytes, "An event is too large to be stored and was dropped.");
                        for push in next {
                            push.done.send(()).ok();
                        }
                        break;
                    }
                    Err(_) => {
                        let wait = backoff.next(None, &*self.core.entropy);
                        tokio::select! {
                            () = tokio::time::sleep(wait) => {}
                            () = self.core.stop.cancelled() => return,
                        }
                    }
                }
            }
        }
    }
}

/// Whether a mirror and a place in it are these.
fn is_at((known, at): &(Arc<Mirror>, Place), mirror: &Arc<Mirror>, place: &Place) -> bool {
    Arc::ptr_eq(known, mirror) && at == place
}

/// Waits for the oldest batch.
async fn head(writing: &mut VecDeque<Writing>) -> Result<Vec<Accepted>, StoreError> {
    match writing.front_mut() {
        Some(first) => (&mut first.commit).await,
        None => std::future::pending().await,
    }
}

/// The mirror of a direct chat, made if it is new.
pub(crate) async fn open_direct(
    core: &Arc<Core>,
    place: Place,
    person: Option<viaduct_model::Person>,
    with: String,
) -> Option<Arc<Mirror>> {
    let guard = core.making.lock().await;
    if let Some(mirror) = core.routes().at(&place).cloned() {
        return Some(mirror);
    }
    let name = direct_name(&place, &with)?;
    let mirror = direct(name.clone(), place.clone(), person, with.clone(), &core.settings());
    for member in &mirror.members {
        let lane = viaduct_store::Lane {
            mirror: name.clone(),
            to: member.place.clone(),
        };
        core.commit(Op::Open { lane }).await.ok()?;
    }
    let portal = viaduct_store::Portal {
        place,
        room: String::new(),
        mirror: name.clone(),
        direct_to: Some(with),
    };
    core.commit(Op::PutPortal(portal)).await.ok()?;
    core.add_mirror(mirror);
    drop(guard);
    core.routes().named(&name).cloned()
}

/// A direct chat's mirror is named after its two sides.
fn direct_name(place: &Place, with: &str) -> Option<MirrorName> {
    let id = viaduct_model::MessageId::new(with).ok()?;
    let key = viaduct_model::DeliveryKey::derive(place, &id, place);
    MirrorName::new(format!("direct-{key}")).ok()
}
