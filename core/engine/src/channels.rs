//! How networks and single channels stand, as their sessions report it; the operators are told once of each change. That a
//! network is not connected for a while is no news to them; that it refuses the login is.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use viaduct_bridge::Connection;
use viaduct_governance::Text;
use viaduct_model::{ChannelId, NetworkName};

use crate::backoff::Backoff;
use crate::core::Core;
use crate::upkeep;

/// A network, or a channel of it.
type Spot = (NetworkName, Option<ChannelId>);

/// How many channels in trouble are kept in mind.
const BOUND: usize = 10_000;
/// How often it is tried to tell the operators, while the homeserver is away.
const ATTEMPTS: u32 = 20;
/// The longest reason told, in characters.
const REASON: usize = 300;

/// What does not work, why, and the number of that news.
#[derive(Debug, Default)]
pub(crate) struct Channels {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    troubled: HashMap<Spot, String>,
    news: HashMap<Spot, u64>,
    count: u64,
}

/// What changed: the trouble there is now, or none any more; and the number of that news.
type Change = (Option<String>, u64);

impl Channels {
    /// Takes note of how something stands; what of it is news.
    fn note(&self, spot: &Spot, connection: &Connection) -> Option<Change> {
        let trouble = match connection {
            Connection::Connecting => return None,
            Connection::Down(_) if spot.1.is_none() => return None,
            Connection::Up => None,
            Connection::Down(reason) | Connection::AuthLost(reason) => {
                let clean = reason.chars().filter(|c| !c.is_control()).take(REASON);
                Some(clean.collect::<String>())
            }
        };
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.troubled.get(spot) == trouble.as_ref() {
            return None;
        }
        match &trouble {
            Some(_) if state.troubled.len() >= BOUND && !state.troubled.contains_key(spot) => return None,
            Some(reason) => drop(state.troubled.insert(spot.clone(), reason.clone())),
            None => drop(state.troubled.remove(spot)),
        }
        state.count += 1;
        let number = state.count;
        state.news.insert(spot.clone(), number);
        Some((trouble, number))
    }

    /// Whether nothing newer is known of it.
    fn is_newest(&self, spot: &Spot, number: u64) -> bool {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.news.get(spot) == Some(&number)
    }

    /// It was told: only trouble is kept in mind.
    fn told(&self, spot: &Spot, number: u64) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.news.get(spot) == Some(&number) {
            state.news.remove(spot);
        }
    }
}

/// Takes note of how a network, or a channel of it, stands. The operators are told if that changed; what is overtaken before
/// they could be told is not told any more.
pub(crate) fn report(core: &Arc<Core>, network: &NetworkName, channel: Option<&ChannelId>, connection: Connection) {
    let spot: Spot = (network.clone(), channel.cloned());
    let news = core.channels.note(&spot, &connection);
    if channel.is_none() {
        core.report(network, connection);
    }
    let Some((trouble, number)) = news else { return };
    let text = words(core, &spot, trouble.as_deref());
    let key = format!("channel-{}-{number}", core.clock.now().as_millis());
    let core = core.clone();
    core.tasks.clone().spawn(async move {
        let mut backoff = Backoff::new(Duration::from_millis(500), Duration::from_secs(30));
        while core.channels.is_newest(&spot, number) && backoff.attempts() < ATTEMPTS {
            if upkeep::tell_operators(&core, &text, &key).await {
                break;
            }
            tokio::select! {
                () = tokio::time::sleep(backoff.next(None, &*core.entropy)) => {}
                () = core.stop.cancelled() => return,
            }
        }
        core.channels.told(&spot, number);
    });
}

/// What the operators are told.
fn words(core: &Core, (network, channel): &Spot, trouble: Option<&str>) -> String {
    let language = core.settings().language;
    let Some(channel) = channel else {
        let network = network.as_str();
        return match trouble {
            Some(reason) => Text::LoginRefused.say(language, &[("network", network), ("reason", reason)]),
            None => Text::LoginWorks.say(language, &[("network", network)]),
        };
    };
    let channel = format!("{network}/{channel}");
    if let Some(reason) = trouble {
        tracing::warn!(channel, reason, "A channel does not work.");
        Text::ChannelTrouble.say(language, &[("channel", &channel), ("reason", reason)])
    } else {
        tracing::info!(channel, "A channel works again.");
        Text::ChannelWorks.say(language, &[("channel", &channel)])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_changes_are_news() {
        let channels = Channels::default();
        let network = NetworkName::new("acme").unwrap();
        let spot = (network.clone(), Some(ChannelId::new("#a").unwrap()));
        let note = |connection| channels.note(&spot, &connection).map(|(trouble, _)| trouble);
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
        let (_, number) = channels.note(&spot, &Connection::Up).unwrap();
        assert!(channels.is_newest(&spot, number) && !channels.is_newest(&spot, number - 1));
        channels.told(&spot, number);
        assert_eq!(note(Connection::Up), None);
        let whole = (network, None);
        assert!(
            channels
                .note(&whole, &Connection::Down("for a while".to_owned()))
                .is_none()
        );
        assert!(channels.note(&whole, &gone()).is_some());
        assert!(channels.note(&whole, &Connection::Up).is_some());
    }
}
