//! Who is where: joins and leaves, in the background.
//!
//! A channel of two thousand people must not keep the first message waiting until all of them have ghosts. So joins and
//! leaves take a way beside the journal: only the latest of each person matters, they are passed on a few at a time, and they
//! never delay a message (a speaker's ghost joins before its first message anyway). After a restart the network tells who is
//! there anew. Kicks, bans and changed names are events like others and keep their order.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::future::join_all;
use viaduct_model::{Content, Event, Membership, PersonId, Place};
use viaduct_store::{Lane, Seq};

use crate::core::Core;
use crate::deliver::{Delivering, Prepared};
use crate::plan::Resolved;
use crate::presence;
use crate::routes::Mirror;

/// How many changes of one lane are passed on side by side.
const TOGETHER: usize = 8;
/// How many changes wait at most for one lane; what comes beyond is told again when people speak.
const BOUND: usize = 20_000;

/// The changes that wait, by lane.
#[derive(Debug, Default)]
pub(crate) struct Roster(Mutex<HashMap<Lane, Waiting>>);

#[derive(Debug, Default)]
struct Waiting {
    latest: HashMap<PersonId, Event>,
    order: VecDeque<PersonId>,
    working: bool,
}

/// Whether an event takes this way.
pub(crate) fn is_roster(content: &Content) -> bool {
    matches!(
        content,
        Content::Membership {
            change: Membership::Join | Membership::Leave | Membership::Absent,
            ..
        }
    )
}

/// Notes a change for every destination and sees that somebody works on it.
pub(crate) fn note(core: &Arc<Core>, mirror: &Arc<Mirror>, event: &Event) {
    let Content::Membership { person, .. } = &event.content else {
        return;
    };
    for member in mirror.destinations(&event.place) {
        let lane = Lane {
            mirror: mirror.name.clone(),
            to: member.place.clone(),
        };
        if core.roster.add(&lane, &person.id, event) {
            core.tasks.spawn(work(core.clone(), lane));
        }
    }
}

impl Roster {
    /// Adds a change; true if a worker has to be started.
    fn add(&self, lane: &Lane, person: &PersonId, event: &Event) -> bool {
        let mut lanes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let waiting = lanes.entry(lane.clone()).or_default();
        if waiting.latest.len() >= BOUND && !waiting.latest.contains_key(person) {
            tracing::warn!(mirror = %lane.mirror, "Too many membership changes wait; one is left out.");
            return false;
        }
        if waiting.latest.insert(person.clone(), event.clone()).is_none() {
            waiting.order.push_back(person.clone());
        }
        !std::mem::replace(&mut waiting.working, true)
    }

    /// The next few changes; none ends the worker.
    fn next(&self, lane: &Lane) -> Vec<Event> {
        let mut lanes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(waiting) = lanes.get_mut(lane) else {
            return Vec::new();
        };
        let count = waiting.order.len().min(TOGETHER);
        let people: Vec<_> = waiting.order.drain(..count).collect();
        let events: Vec<_> = people
            .iter()
            .filter_map(|person| waiting.latest.remove(person))
            .collect();
        if events.is_empty() {
            lanes.remove(lane);
        }
        events
    }
}

async fn work(core: Arc<Core>, lane: Lane) {
    loop {
        let events = core.roster.next(&lane);
        if events.is_empty() || core.stop.is_cancelled() {
            return;
        }
        join_all(events.into_iter().map(|event| pass_on(&core, &lane.to, event))).await;
    }
}

async fn pass_on(core: &Arc<Core>, to: &Place, event: Event) {
    let Some(mirror) = core.routes().at(&event.place).cloned() else {
        return;
    };
    let (Some(member), Some(side)) = (mirror.member(to), core.side(&to.network)) else {
        return;
    };
    let delivering = Delivering {
        core,
        mirror: &mirror,
        member,
        side: &side,
    };
    if delivering.obstacle(&event.place).is_some() {
        return;
    }
    let mut end = match delivering.prepare(Seq(0), event.clone(), &Resolved::default()).await {
        Prepared::Send(mut sending) => {
            let trace = sending.trace.take();
            delivering.deliver(*sending).await.traced(trace)
        }
        Prepared::End(end) => end,
        Prepared::Elsewhere => return,
    };
    if end.arrived()
        && let Err(error) = presence::note(core, &event).await
    {
        tracing::warn!(%to, %error, "A membership change could not be remembered.");
    }
    if let Err(error) = core.note(end.entries(core.clock.now())).await {
        tracing::warn!(%to, %error, "A membership change could not be noted in the ledger.");
    }
}
