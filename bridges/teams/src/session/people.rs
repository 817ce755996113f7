//! Who people are: their names, and the ids under which the bot may address them.

use std::num::NonZeroUsize;
use std::sync::{Mutex, MutexGuard, PoisonError};

use lru::LruCache;
use viaduct_model::{MediaRef, NetworkName, Person, PersonId};

use crate::convert::said::Who;

/// How many people are remembered.
const PEOPLE: NonZeroUsize = NonZeroUsize::new(20_000).unwrap();

#[derive(Debug, Clone, Default)]
struct Entry {
    name: Option<String>,
    teams: Option<String>,
}

/// Everybody that was met.
#[derive(Debug)]
pub struct Everybody {
    network: NetworkName,
    tenant: String,
    known: Mutex<LruCache<String, Entry>>,
    /// Ids for this bot → ids in the directory.
    directory: Mutex<LruCache<String, String>>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Everybody {
    /// Nobody yet.
    pub fn new(network: NetworkName, tenant: &str) -> Self {
        Self {
            network,
            tenant: tenant.to_owned(),
            known: Mutex::new(LruCache::new(PEOPLE)),
            directory: Mutex::new(LruCache::new(PEOPLE)),
        }
    }

    /// Remembers what a feed says of somebody.
    pub fn learn(&self, who: &Who) {
        let Some(id) = self.id(who) else { return };
        let mut known = locked(&self.known);
        let entry = known.get_or_insert_mut(id.as_str().to_owned(), Entry::default);
        if who.name.is_some() {
            entry.name.clone_from(&who.name);
        }
        if who.teams.is_some() {
            entry.teams.clone_from(&who.teams);
        }
        drop(known);
        if let (Some(teams), Some(directory)) = (&who.teams, &who.directory) {
            locked(&self.directory).put(teams.clone(), directory.clone());
        }
    }

    /// The hub's id of somebody: that of the directory where it is known.
    pub fn id(&self, who: &Who) -> Option<PersonId> {
        if who.app.is_none()
            && who.directory.is_none()
            && let Some(teams) = &who.teams
            && let Some(directory) = locked(&self.directory).get(teams)
        {
            return PersonId::new(directory).ok();
        }
        who.id()
    }

    /// Whether somebody's name is not known.
    pub fn is_stranger(&self, who: &Who) -> bool {
        let known = |id: PersonId| {
            locked(&self.known)
                .get(id.as_str())
                .is_some_and(|entry| entry.name.is_some())
        };
        who.name.is_none() && !self.id(who).is_some_and(known)
    }

    /// The id under which the bot may address somebody.
    pub fn address(&self, person: &str) -> Option<String> {
        if person.starts_with("29:") {
            return Some(person.to_owned());
        }
        locked(&self.known).get(person).and_then(|entry| entry.teams.clone())
    }

    /// The id in the directory of somebody who was met.
    pub fn somebody(&self) -> Option<String> {
        let known = locked(&self.known);
        let mut ids = known.iter().map(|(id, _)| id);
        ids.find(|id| crate::config::is_guid(id)).cloned()
    }

    /// Somebody.
    pub fn person(&self, who: &Who) -> Option<Person> {
        let id = self.id(who)?;
        let known = locked(&self.known)
            .get(id.as_str())
            .and_then(|entry| entry.name.clone());
        let bot = who.app.is_some();
        let picture = (!bot && crate::config::is_guid(id.as_str())).then(|| MediaRef {
            network: self.network.clone(),
            locator: format!("avatar {id}"),
        });
        Some(Person {
            network: self.network.clone(),
            name: who.name.clone().or(known).unwrap_or_else(|| id.to_string()),
            id,
            avatar: picture,
            organisation: Some(self.tenant.clone()),
            bot,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn somebody_is_the_same_in_both_feeds() {
        let people = Everybody::new(NetworkName::new("acme").unwrap(), "t");
        let live = Who {
            directory: Some("u1".to_owned()),
            teams: Some("29:x".to_owned()),
            name: Some("Megan".to_owned()),
            app: None,
        };
        people.learn(&live);
        let mentioned = Who {
            teams: Some("29:x".to_owned()),
            ..Who::default()
        };
        let graph = Who {
            directory: Some("u1".to_owned()),
            ..Who::default()
        };
        assert_eq!(people.id(&mentioned), people.id(&graph));
        assert_eq!(people.person(&graph).unwrap().name, "Megan");
        assert_eq!(people.address("u1").as_deref(), Some("29:x"));
        assert_eq!(people.address("u2"), None);
    }
}
