//! What people on the homeserver are called.

use std::num::NonZeroUsize;
use std::sync::{Mutex, PoisonError};

use lru::LruCache;
use viaduct_model::{MediaRef, NetworkName, Person, PersonId};

use crate::names::{GhostNames, ghost_person};

/// How many people are remembered.
const BOUND: NonZeroUsize = NonZeroUsize::new(10_000).unwrap();

/// A person's name and picture, as the homeserver last told them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Profile {
    pub(crate) name: Option<String>,
    pub(crate) avatar: Option<String>,
}

/// The names and pictures seen, the least recently needed forgotten.
#[derive(Debug)]
pub(crate) struct People {
    known: Mutex<LruCache<String, Profile>>,
}

impl People {
    pub(crate) fn new() -> Self {
        Self {
            known: Mutex::new(LruCache::new(BOUND)),
        }
    }

    /// Whether somebody's profile is known.
    pub(crate) fn knows(&self, mxid: &str) -> bool {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).contains(mxid)
    }

    /// Takes note of a profile; gives the one before.
    pub(crate) fn note(&self, mxid: &str, profile: Profile) -> Option<Profile> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.put(mxid.to_owned(), profile)
    }

    /// A person by their user id, with what is known about them.
    pub(crate) fn person(&self, mxid: &str) -> Option<Person> {
        let profile = self
            .known
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(mxid)
            .cloned()
            .unwrap_or_default();
        matrix_person(mxid, &profile)
    }
}

/// A Matrix person with this profile. None where the user id is not acceptable.
pub(crate) fn matrix_person(mxid: &str, profile: &Profile) -> Option<Person> {
    let id = PersonId::new(mxid).ok()?;
    let (local, domain) = mxid.strip_prefix('@')?.split_once(':')?;
    let name = profile
        .name
        .clone()
        .filter(|name| !name.trim().is_empty())
        .unwrap_or_else(|| local.to_owned());
    let network = NetworkName::matrix();
    let avatar = profile
        .avatar
        .as_ref()
        .filter(|url| url.starts_with("mxc://"))
        .map(|url| MediaRef {
            network: network.clone(),
            locator: url.clone(),
        });
    Some(Person {
        network,
        id,
        name,
        avatar,
        organisation: Some(domain.to_owned()),
        bot: false,
    })
}

/// Who a user id means, for conversion.
pub(crate) trait Directory {
    /// A person with this user id: a ghost's person, or somebody on Matrix.
    fn person(&self, mxid: &str) -> Option<Person>;

    /// Whom a ghost stands for.
    fn ghost(&self, mxid: &str) -> Option<(NetworkName, PersonId)>;
}

/// The directory of a running homeserver side.
pub(crate) struct Known<'a> {
    pub(crate) people: &'a People,
    pub(crate) names: &'a GhostNames,
}

impl Directory for Known<'_> {
    fn person(&self, mxid: &str) -> Option<Person> {
        match self.names.person(mxid) {
            Some(ghost) => Some(ghost_person(ghost, None)),
            None => self.people.person(mxid),
        }
    }

    fn ghost(&self, mxid: &str) -> Option<(NetworkName, PersonId)> {
        self.names.person(mxid)
    }
}
