//! A homeserver's names without a homeserver, for tests and fuzzing.

use viaduct_model::{NetworkName, Person, PersonId};

use super::render::Users;
use crate::names::{GhostNames, ghost_person};
use crate::people::{Directory, Profile, matrix_person};

/// Knows everybody by their user id alone.
pub(crate) struct World(GhostNames);

/// The world of `example.org`.
pub(crate) fn world() -> World {
    World(GhostNames::new("_via_", "example.org", "viaduct"))
}

impl Directory for World {
    fn person(&self, mxid: &str) -> Option<Person> {
        match self.0.person(mxid) {
            Some(ghost) => Some(ghost_person(ghost, None)),
            None => matrix_person(mxid, &Profile::default()),
        }
    }

    fn ghost(&self, mxid: &str) -> Option<(NetworkName, PersonId)> {
        self.0.person(mxid)
    }
}

impl Users for World {
    fn user(&self, network: &NetworkName, id: &PersonId) -> Option<String> {
        Some(if network.is_matrix() {
            id.as_str().to_owned()
        } else {
            self.0.ghost(network, id).mxid
        })
    }
}
