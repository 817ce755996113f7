//! Policy rooms: whom they do not want does not cross, in any mirror. They are read when the hub starts, and again from time to
//! time; until one was read once, nothing is delivered. One that cannot be read again stays as it was.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use viaduct_compliance::{Filter, PolicyList};

use crate::backoff::Backoff;
use crate::core::Core;
use crate::home::Home;
use crate::routes::{PolicyVersion, Versioned};

/// How often there is a look.
const EVERY: Duration = Duration::from_mins(1);

/// What the policy rooms said last, by their addresses.
#[derive(Debug, Default)]
pub(crate) struct Lists(RwLock<HashMap<String, Arc<Versioned>>>);

impl Lists {
    /// The filters of all policy rooms.
    pub(crate) fn all(core: &Core) -> Vec<Arc<Versioned>> {
        let lists = core.lists.0.read().unwrap_or_else(PoisonError::into_inner);
        let rooms = &core.settings().policy_rooms;
        rooms.iter().filter_map(|spec| lists.get(&spec.room).cloned()).collect()
    }

    /// Whether every policy room was read.
    pub(crate) fn are_known(core: &Core) -> bool {
        let lists = core.lists.0.read().unwrap_or_else(PoisonError::into_inner);
        core.settings()
            .policy_rooms
            .iter()
            .all(|spec| lists.contains_key(&spec.room))
    }

    /// Takes over what a room says; whether that is something else than before.
    fn take(&self, room: &str, list: Arc<Versioned>) -> bool {
        let mut lists = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let known = lists.get(room).is_some_and(|before| before.version == list.version);
        lists.insert(room.to_owned(), list);
        !known
    }
}

/// Reads the policy rooms until the hub stops.
pub(crate) async fn run(core: Arc<Core>) {
    let mut backoff = Backoff::new(Duration::from_millis(500), EVERY);
    loop {
        if let Some(home) = core.home()
            && read(&core, &*home).await
        {
            for mirror in core.routes().mirrors() {
                core.wake_all(mirror);
            }
        }
        let pause = if Lists::are_known(&core) {
            EVERY
        } else {
            backoff.next(None, &*core.entropy)
        };
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = core.stop.cancelled() => return,
        }
    }
}

/// Reads all of them once; whether any says something else than before.
async fn read(core: &Core, home: &dyn Home) -> bool {
    let mut changed = false;
    for spec in &core.settings().policy_rooms {
        let rules = match home.policy_rules(spec).await {
            Ok(rules) => rules,
            Err(error) => {
                tracing::warn!(room = spec.room, %error, "A policy room cannot be read; what it said last stays in force.");
                continue;
            }
        };
        let version = PolicyVersion::of(&spec.room, &rules);
        let list = PolicyList::new(rules);
        if list.is_overfull() {
            tracing::error!(
                room = spec.room,
                "A policy room has more rules than can be kept, so everything is held."
            );
        }
        let rules = list.len();
        let filter = Filter::of_list(Arc::new(list));
        if core.lists.take(&spec.room, Arc::new(Versioned { filter, version })) {
            tracing::info!(room = spec.room, rules, "A policy room was read.");
            changed = true;
        }
    }
    changed
}
