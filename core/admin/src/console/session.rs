//! Sessions: who came in, for how long. A browser has a random text; kept is only its hash.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use sha2::{Digest, Sha256};
use viaduct_model::Timestamp;

use crate::access::Who;

/// After so long without a request a session ends, in milliseconds.
pub(crate) const IDLE: u64 = 30 * 60 * 1000;
/// It ends after so long at the latest: then the identity provider is asked again who somebody is, and in which groups.
pub(crate) const ABSOLUTE: u64 = 60 * 60 * 1000;
/// How many there are at most. The one that was not used for longest gives way.
pub(crate) const SESSIONS: usize = 500;
/// How many one person has at most.
pub(crate) const OF_ONE: usize = 5;

/// Something to tell at the next page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Notice(pub String);

struct Session {
    who: Who,
    person: String,
    begun: Timestamp,
    seen: Timestamp,
    notice: Option<Notice>,
}

impl Session {
    fn is_over(&self, now: Timestamp) -> bool {
        now.millis_since(self.seen) >= IDLE || now.millis_since(self.begun) >= ABSOLUTE
    }
}

type Hash = [u8; 32];

fn hash(id: &str) -> Hash {
    Sha256::digest(id).into()
}

/// All sessions.
#[derive(Default)]
pub(crate) struct Sessions(Mutex<HashMap<Hash, Session>>);

impl Sessions {
    fn all(&self) -> std::sync::MutexGuard<'_, HashMap<Hash, Session>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins one under an id that nobody can guess.
    pub fn begin(&self, id: &str, who: Who, person: &str, now: Timestamp) {
        let mut all = self.all();
        all.retain(|_, session| !session.is_over(now));
        make_room(&mut all, OF_ONE, |session| session.person == person);
        make_room(&mut all, SESSIONS, |_| true);
        let session = Session {
            who,
            person: person.to_owned(),
            begun: now,
            seen: now,
            notice: None,
        };
        all.insert(hash(id), session);
    }

    /// Whose session this is, if it lasts.
    pub fn resume(&self, id: &str, now: Timestamp) -> Option<Who> {
        let mut all = self.all();
        let key = hash(id);
        let session = all.get_mut(&key)?;
        if session.is_over(now) {
            all.remove(&key);
            return None;
        }
        session.seen = now;
        Some(session.who.clone())
    }

    pub fn end(&self, id: &str) {
        self.all().remove(&hash(id));
    }

    /// Keeps something to tell at the next page.
    pub fn tell(&self, id: &str, notice: Notice) {
        if let Some(session) = self.all().get_mut(&hash(id)) {
            session.notice = Some(notice);
        }
    }

    /// What there is to tell, once.
    pub fn told(&self, id: &str) -> Option<Notice> {
        self.all().get_mut(&hash(id))?.notice.take()
    }
}

/// Ends the ones that were not used for longest until there is room for one more among those of a sort.
fn make_room(all: &mut HashMap<Hash, Session>, bound: usize, of: impl Fn(&Session) -> bool) {
    while all.values().filter(|session| of(session)).count() >= bound {
        let found = all.iter().filter(|(_, session)| of(session));
        let Some(oldest) = found.min_by_key(|(_, session)| session.seen).map(|(key, _)| *key) else {
            return;
        };
        all.remove(&oldest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn who() -> Who {
        Who::Token {
            user: "@ann:example.org".to_owned(),
            hash: [0; 32],
        }
    }

    #[test]
    fn a_session_ends_when_it_is_not_used_and_at_the_latest_after_its_time() {
        let sessions = Sessions::default();
        sessions.begin("a", who(), "ann", Timestamp(0));
        assert_eq!(sessions.resume("a", Timestamp(IDLE - 1)), Some(who()));
        assert_eq!(sessions.resume("b", Timestamp(1)), None);
        assert_eq!(
            sessions.resume("a", Timestamp(2 * IDLE - 2)),
            Some(who()),
            "it was used"
        );
        assert_eq!(sessions.resume("a", Timestamp(ABSOLUTE)), None);
        assert_eq!(sessions.resume("a", Timestamp(1)), None, "what is over stays over");
        sessions.begin("a", who(), "ann", Timestamp(0));
        assert_eq!(sessions.resume("a", Timestamp(IDLE)), None);
        sessions.begin("a", who(), "ann", Timestamp(0));
        sessions.end("a");
        assert_eq!(sessions.resume("a", Timestamp(1)), None);
    }

    #[test]
    fn there_are_so_many_at_most() {
        let sessions = Sessions::default();
        for number in 0..=OF_ONE as u64 {
            sessions.begin(&format!("ann{number}"), who(), "ann", Timestamp(number));
        }
        assert_eq!(sessions.resume("ann0", Timestamp(9)), None);
        assert_eq!(sessions.resume("ann1", Timestamp(9)), Some(who()));
        for number in 0..SESSIONS as u64 * 2 {
            sessions.begin(&number.to_string(), who(), &number.to_string(), Timestamp(10 + number));
        }
        assert_eq!(sessions.all().len(), SESSIONS);
        assert_eq!(sessions.resume("ann1", Timestamp(99)), None);
    }

    #[test]
    fn something_is_told_once() {
        let sessions = Sessions::default();
        sessions.begin("a", who(), "ann", Timestamp(0));
        sessions.tell("a", Notice("done".to_owned()));
        assert_eq!(sessions.told("a"), Some(Notice("done".to_owned())));
        assert_eq!(sessions.told("a"), None);
    }
}
