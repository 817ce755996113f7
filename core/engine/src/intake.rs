//! Accepting events: the first step of every event's way.
//!
//! Each side has one intake task. It takes the pushes that wait, in order, finds the mirrors, and submits everything as one
//! batch to the store ([`Storing`]). When that is on the device, the tickets of its pushes resolve (the session may
//! acknowledge) and the lanes get what is new.

use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::{Semaphore, mpsc, oneshot};
use viaduct_audit::Written;
use viaduct_bridge::{Connection, Inbox, InboxClosed, Ticket};
use viaduct_model::{ChannelId, Cursor, Event, MirrorName, NetworkName, Place};
use viaduct_store::Op;

use crate::core::Core;
use crate::routes::{Mirror, direct, home_of};
use crate::storing::{Routed, Storing};
use crate::{aside, channels, echo, ledger, notices, reactions, roster, telemetry};

/// How many pushes of one side wait in memory; beyond it the session waits.
const QUEUE: usize = 64;
/// How many pushes are written as one batch at most.
const TOGETHER: usize = 32;
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

struct Intake {
    core: Arc<Core>,
    network: NetworkName,
    meters: telemetry::Meters,
    ephemeral: Arc<Semaphore>,
}

impl Intake {
    async fn run(self, mut pushes: mpsc::Receiver<Push>) {
        let mut storing = Storing::new(self.core.clone(), self.network.clone());
        let mut taken = Vec::with_capacity(TOGETHER);
        loop {
            tokio::select! {
                biased;
                result = storing.head(), if !storing.is_empty() => storing.landed(result).await,
                count = pushes.recv_many(&mut taken, TOGETHER), if storing.has_room() => {
                    if count == 0 {
                        break;
                    }
                    // Who is about to push does it now, and is written along.
                    tokio::task::yield_now().await;
                    while taken.len() < TOGETHER && let Ok(push) = pushes.try_recv() {
                        taken.push(push);
                    }
                    self.take(&mut taken, &mut storing).await;
                },
                () = self.core.stop.cancelled(), if storing.is_empty() => break,
            }
        }
        while !storing.is_empty() {
            let result = storing.head().await;
            storing.landed(result).await;
        }
    }

    /// Submits pushes in order, together where nothing takes a while.
    async fn take(&self, taken: &mut Vec<Push>, storing: &mut Storing) {
        let mut routed = Vec::with_capacity(taken.len());
        for push in taken.drain(..) {
            if push.takes_a_while() {
                storing.submit(std::mem::take(&mut routed)).await;
            }
            routed.extend(self.routed(push).await);
        }
        storing.submit(routed).await;
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
            done: Some(push.done),
        })
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
}

/// Whether a mirror and a place in it are these.
fn is_at((known, at): &(Arc<Mirror>, Place), mirror: &Arc<Mirror>, place: &Place) -> bool {
    Arc::ptr_eq(known, mirror) && at == place
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
