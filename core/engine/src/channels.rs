//! How single channels stand, as their sessions report it; the operators are told once of each change.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use viaduct_bridge::Connection;
use viaduct_governance::Text;
use viaduct_model::Place;

use crate::backoff::Backoff;
use crate::core::Core;
use crate::upkeep;

/// How many channels in trouble are kept in mind.
const BOUND: usize = 10_000;
/// How often it is tried to tell the operators, while the homeserver is away.
const ATTEMPTS: u32 = 20;
/// The longest reason told, in characters.
const REASON: usize = 300;

/// The channels that do not work, why, and the number of that news.
#[derive(Debug, Default)]
pub(crate) struct Channels {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    troubled: HashMap<Place, String>,
    news: HashMap<Place, u64>,
    count: u64,
}

/// What changed: the trouble there is now, or none any more; and the number of that news.
type Change = (Option<String>, u64);

impl Channels {
    /// Takes note of how a channel stands; what of it is news.
    fn note(&self, place: &Place, connection: &Connection) -> Option<Change> {
        let trouble = match connection {
            Connection::Connecting => return None,
            Connection::Up => None,
            Connection::Down(reason) | Connection::AuthLost(reason) => {
                let clean = reason.chars().filter(|c| !c.is_control()).take(REASON);
                Some(clean.collect::<String>())
            }
        };
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.troubled.get(place) == trouble.as_ref() {
            return None;
        }
        match &trouble {
            Some(_) if state.troubled.len() >= BOUND && !state.troubled.contains_key(place) => return None,
            Some(reason) => drop(state.troubled.insert(place.clone(), reason.clone())),
            None => drop(state.troubled.remove(place)),
        }
        state.count += 1;
        let number = state.count;
        state.news.insert(place.clone(), number);
        Some((trouble, number))
    }

    /// Whether nothing newer is known of a channel.
    fn is_newest(&self, place: &Place, number: u64) -> bool {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.news.get(place) == Some(&number)
    }

    /// It was told: only trouble is kept in mind.
    fn told(&self, place: &Place, number: u64) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.news.get(place) == Some(&number) {
            state.news.remove(place);
        }
    }
}

/// Takes note of how a channel stands. The operators are told if that changed; what is overtaken before they could be told is
/// not told any more.
pub(crate) fn report(core: &Arc<Core>, place: Place, connection: &Connection) {
    let Some((trouble, number)) = core.channels.note(&place, connection) else {
        return;
    };
    let language = core.settings().language;
    let channel = place.to_string();
    let text = if let Some(reason) = &trouble {
        tracing::warn!(%place, reason, "A channel does not work.");
        Text::ChannelTrouble.say(language, &[("channel", &channel), ("reason", reason)])
    } else {
        tracing::info!(%place, "A channel works again.");
        Text::ChannelWorks.say(language, &[("channel", &channel)])
    };
    let key = format!("channel-{}-{number}", core.clock.now().as_millis());
    let core = core.clone();
    core.tasks.clone().spawn(async move {
        let mut backoff = Backoff::new(Duration::from_millis(500), Duration::from_secs(30));
        while core.channels.is_newest(&place, number) && backoff.attempts() < ATTEMPTS {
            if upkeep::tell_operators(&core, &text, &key).await {
                break;
            }
            tokio::select! {
                () = tokio::time::sleep(backoff.next(None, &*core.entropy)) => {}
                () = core.stop.cancelled() => return,
            }
        }
        core.channels.told(&place, number);
    });
}

#[cfg(test)]
mod tests {
    use viaduct_model::{ChannelId, NetworkName};

    use super::*;

    #[test]
    fn only_changes_are_news() {
        let channels = Channels::default();
        let place = Place::new(NetworkName::new("acme").unwrap(), ChannelId::new("#a").unwrap());
        let note = |connection| channels.note(&place, &connection).map(|(trouble, _)| trouble);
        let gone = || Connection::AuthLost("removed\n from it".to_owned());
        assert_eq!(note(Connection::Connecting), None);
        assert_eq!(note(Connection::Up), None, "that it works is expected");
        assert_eq!(note(gone()), Some(Some("removed from it".to_owned())));
        assert_eq!(note(gone()), None);
        assert_eq!(note(Connection::Connecting), None);
        assert_eq!(
            note(Connection::Down("other".to_owned())),
            Some(Some("other".to_owned()))
        );
        let (_, number) = channels.note(&place, &Connection::Up).unwrap();
        assert!(channels.is_newest(&place, number) && !channels.is_newest(&place, number - 1));
        channels.told(&place, number);
        assert_eq!(note(Connection::Up), None);
    }
}
