//! Which puppets there are, whose each nick is, and which puppet makes room for another.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;
use viaduct_model::{NetworkName, Person, PersonId};

use super::locked;
use crate::client::Connection;
use crate::config;
use crate::convert::Folded;

/// A nick that a puppet gave up is taken for the puppet's for so long, unless the reader sees it go.
const AFTER_GIVING_UP: Duration = Duration::from_mins(10);
/// Why a puppet goes that was not needed lately.
const SILENT: &str = "silent for a while";
/// How long a goodbye may take.
const GOODBYE: Duration = Duration::from_secs(5);

/// Who a puppet stands for.
pub(super) type Key = (NetworkName, PersonId);

/// How a puppet stands with a channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    In,
    Refused(String),
}

/// One person's puppet.
pub(super) struct Puppet {
    key: Key,
    /// The nick it should have.
    pub(super) wanted: Mutex<String>,
    /// Held while connecting or joining, so that two deliveries do not do it twice.
    pub(super) preparing: tokio::sync::Mutex<()>,
    pub(super) live: Mutex<Option<Arc<Connection>>>,
    pub(super) places: Mutex<HashMap<Folded, Place>>,
    pub(super) changed: watch::Sender<()>,
    pub(super) used: AtomicU64,
    /// The same as a rank: several can be used within a millisecond.
    turn: AtomicU64,
    pub(super) retry_at: Mutex<Option<Instant>>,
}

/// All puppets.
#[derive(Default)]
pub(super) struct Pool {
    turns: AtomicU64,
    puppets: Mutex<HashMap<Key, Arc<Puppet>>>,
    /// Whose each nick is. A nick stays until the reader sees it go, for its lines may still be on their way.
    nicks: Mutex<HashMap<Folded, Person>>,
    /// Nicks that puppets gave up, and when: where the reader does not see them go they are forgotten later.
    given_up: Mutex<HashMap<Folded, Instant>>,
}

impl Pool {
    /// The person a nick stands for.
    pub(super) fn owner(&self, nick: &Folded) -> Option<Person> {
        locked(&self.nicks).get(nick).cloned()
    }

    /// Whether a nick is a puppet's.
    pub(super) fn has(&self, nick: &Folded) -> bool {
        locked(&self.nicks).contains_key(nick)
    }

    /// Whether words came from a puppet, which is told that the reader saw them; `rest` is what follows the command.
    pub(super) fn spoke(&self, nick: &Folded, rest: &str) -> bool {
        let Some(person) = self.owner(nick) else { return false };
        if let Some((target, text)) = rest.split_once(' ')
            && let Some(connection) = self.get(&person).and_then(|puppet| puppet.connection())
        {
            connection.seen(target, text.strip_prefix(':').unwrap_or(text));
        }
        true
    }

    /// Whether no nick is a puppet's.
    pub(super) fn is_empty(&self) -> bool {
        locked(&self.nicks).is_empty()
    }

    /// A puppet changed its nick.
    pub(super) fn rename(&self, from: &Folded, to: Folded) {
        let mut nicks = locked(&self.nicks);
        if let Some(person) = nicks.remove(from) {
            nicks.insert(to, person);
        }
    }

    /// The reader saw a puppet's nick go.
    pub(super) fn gone(&self, nick: &Folded) {
        locked(&self.nicks).remove(nick);
    }

    /// A puppet gave its nick up. The reader may be behind and still have to read lines of it, so it is kept for a while.
    pub(super) fn give_up(&self, nick: Folded) {
        locked(&self.given_up).insert(nick, Instant::now());
    }

    /// A puppet took a nick.
    pub(super) fn take(&self, nick: Folded, person: Person) {
        locked(&self.given_up).remove(&nick);
        locked(&self.nicks).insert(nick, person);
    }

    /// Forgets nicks that were given up long ago.
    pub(super) fn expire(&self) {
        let late = |at: &Instant| at.elapsed() >= AFTER_GIVING_UP;
        let gone: Vec<Folded> = locked(&self.given_up)
            .extract_if(|_, at| late(at))
            .map(|(nick, _)| nick)
            .collect();
        for nick in gone {
            self.gone(&nick);
        }
    }

    /// How many are connected.
    pub(super) fn count(&self) -> usize {
        locked(&self.puppets)
            .values()
            .filter(|puppet| puppet.connection().is_some())
            .count()
    }

    pub(super) fn get(&self, person: &Person) -> Option<Arc<Puppet>> {
        locked(&self.puppets)
            .get(&(person.network.clone(), person.id.clone()))
            .cloned()
    }

    /// The puppet of a person; made, if there is room or room can be made. `now` is in milliseconds.
    pub(super) fn slot(&self, person: &Person, bounds: &config::Puppets, now: u64) -> Option<Arc<Puppet>> {
        let turn = self.turns.fetch_add(1, Ordering::Relaxed);
        let mut puppets = locked(&self.puppets);
        let key = (person.network.clone(), person.id.clone());
        if let Some(puppet) = puppets.get(&key) {
            puppet.used.store(now, Ordering::Relaxed);
            puppet.turn.store(turn, Ordering::Relaxed);
            return Some(Arc::clone(puppet));
        }
        if puppets.len() >= usize::try_from(bounds.max).unwrap_or(usize::MAX) {
            let used = |puppet: &Puppet| puppet.used.load(Ordering::Relaxed);
            let oldest = puppets
                .values()
                .min_by_key(|puppet| puppet.turn.load(Ordering::Relaxed))
                .cloned()?;
            if now.saturating_sub(used(&oldest)) < bounds.evict_after_seconds.saturating_mul(1000) {
                return None;
            }
            puppets.remove(&oldest.key);
            oldest.retire(SILENT);
        }
        let puppet = Arc::new(Puppet {
            key: key.clone(),
            wanted: Mutex::default(),
            preparing: tokio::sync::Mutex::default(),
            live: Mutex::default(),
            places: Mutex::default(),
            changed: watch::Sender::new(()),
            used: AtomicU64::new(now),
            turn: AtomicU64::new(turn),
            retry_at: Mutex::default(),
        });
        puppets.insert(key, Arc::clone(&puppet));
        Some(puppet)
    }

    /// Takes off those that were silent too long. `now` is in milliseconds.
    pub(super) fn retire_idle(&self, bounds: &config::Puppets, now: u64) {
        let bound = bounds.idle_seconds.saturating_mul(1000);
        if bound == 0 {
            return;
        }
        let idle: Vec<Arc<Puppet>> = locked(&self.puppets)
            .extract_if(|_, puppet| now.saturating_sub(puppet.used.load(Ordering::Relaxed)) >= bound)
            .map(|(_, puppet)| puppet)
            .collect();
        for puppet in &idle {
            puppet.retire(SILENT);
        }
    }

    /// All that are connected, with the nick that each should have.
    pub(super) fn live(&self) -> Vec<(Arc<Connection>, String)> {
        let puppets = locked(&self.puppets);
        let live = puppets
            .values()
            .filter_map(|puppet| Some((puppet.connection()?, locked(&puppet.wanted).clone())));
        live.collect()
    }

    /// All of them.
    pub(super) fn all(&self) -> Vec<Arc<Puppet>> {
        locked(&self.puppets).values().cloned().collect()
    }

    /// Takes one off, which says why it goes.
    pub(super) fn remove(&self, puppet: &Arc<Puppet>, reason: &'static str) {
        let mut puppets = locked(&self.puppets);
        if puppets.get(&puppet.key).is_some_and(|known| Arc::ptr_eq(known, puppet)) {
            puppets.remove(&puppet.key);
        }
        drop(puppets);
        puppet.retire(reason);
    }

    /// Gives all up.
    pub(super) fn drain(&self) -> Vec<Arc<Puppet>> {
        locked(&self.puppets).drain().map(|(_, puppet)| puppet).collect()
    }

    /// Forgets nicks of puppets that are gone; for the reader's return, as it did not see them go.
    pub(super) fn prune_nicks(&self) {
        let live = self.live();
        locked(&self.nicks).retain(|nick, _| live.iter().any(|(connection, _)| connection.is_own(nick.as_str())));
    }
}

impl Puppet {
    /// Its connection, while it lives.
    pub(super) fn connection(&self) -> Option<Arc<Connection>> {
        locked(&self.live)
            .clone()
            .filter(|connection| connection.ended().is_none())
    }

    pub(super) fn place(&self, channel: &Folded) -> Option<Place> {
        locked(&self.places).get(channel).cloned()
    }

    pub(super) fn set_place(&self, channel: Folded, place: Option<Place>) {
        let mut places = locked(&self.places);
        match place {
            Some(place) => places.insert(channel, place),
            None => places.remove(&channel),
        };
        drop(places);
        self.changed.send_replace(());
    }

    /// Says goodbye, in the background.
    fn retire(&self, reason: &'static str) {
        if let Some(connection) = locked(&self.live).take() {
            tokio::spawn(async move { connection.quit(reason, GOODBYE).await });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn person(name: &str) -> Person {
        Person {
            network: NetworkName::matrix(),
            id: PersonId::new(format!("@{name}:example.org")).unwrap(),
            name: name.to_owned(),
            avatar: None,
            organisation: None,
            bot: false,
        }
    }

    #[test]
    fn whoever_was_silent_longest_makes_room() {
        let pool = Pool::default();
        let bounds = config::Puppets {
            max: 2,
            evict_after_seconds: 10,
            idle_seconds: 100,
            ..config::Puppets::default()
        };
        let there = |name: &str| pool.get(&person(name)).is_some();
        assert!(pool.slot(&person("ann"), &bounds, 0).is_some());
        assert!(pool.slot(&person("bo"), &bounds, 1_000).is_some());
        assert!(pool.slot(&person("ann"), &bounds, 2_000).is_some());
        assert!(
            pool.slot(&person("cy"), &bounds, 10_999).is_none(),
            "bo spoke less than 10 s ago"
        );
        assert!(pool.slot(&person("cy"), &bounds, 11_000).is_some());
        assert!(there("ann") && !there("bo") && there("cy"));
        pool.retire_idle(&bounds, 102_000);
        assert!(!there("ann") && there("cy"));
    }
}
