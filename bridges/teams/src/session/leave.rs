//! The end of a mirror: nothing is heard or asked of the channel any more.

use viaduct_bridge::{DeliveryError, Failure};
use viaduct_model::ChannelId;

use super::direct::Pair;
use super::{Teams, locked};

impl Teams {
    /// Leaves a channel for good: ends its subscription, forgets it, and listens no more. The app stays installed until the
    /// partner removes it; where nothing else is mirrored in the same team or chat, that is said.
    pub(super) async fn leave(&self, spelling: &ChannelId) -> Result<(), DeliveryError> {
        let Some(channel) = self.channel(spelling) else {
            return match Pair::read(spelling) {
                Some(pair) => self.leave_chat(&pair).await,
                None => Ok(()),
            };
        };
        let key = format!("subscription/{spelling}");
        let lost = |error: viaduct_bridge::StateError| DeliveryError::retry(error.to_string());
        let old = self.context.state.get(&key).await.map_err(lost)?;
        if let Some(old) = old.and_then(|old| String::from_utf8(old).ok()) {
            match self.wire.unsubscribe(&old).await {
                Err(error) if error.is_passing() || error.is_auth() => return Err(error.for_repeatable()),
                // It is gone by itself.
                _ => {}
            }
        }
        let gate = channel.gate.lock().await;
        let location = {
            let mut known = channel.known();
            known.left = true;
            known.subscription = None;
            known.changed = false;
            known.location.clone()
        };
        drop(gate);
        locked(&self.begun).remove(spelling);
        let forgotten = ["at", "memory", "begun", "subscription"];
        let changes = forgotten.map(|what| (format!("{what}/{spelling}"), None));
        self.context.state.put(changes.to_vec()).await.map_err(lost)?;
        let is_beside = |other: &super::channels::Channel| {
            let known = other.known();
            !known.left && known.location.group.is_some() && known.location.group == location.group
        };
        if location.thread.is_none() || self.channels.iter().any(|other| is_beside(other)) {
            return Ok(());
        }
        let name = location.team.or(location.thread).unwrap_or_default();
        Err(DeliveryError::new(
            Failure::Unsupported,
            format!("nothing is heard of the channel any more; the app stays in {name} until the partner removes it"),
        ))
    }
}
