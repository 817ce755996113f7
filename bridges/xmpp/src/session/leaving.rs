//! Leaving a room for good.

use std::time::Duration;

use tokio::time::{Instant, timeout_at};
use viaduct_bridge::DeliveryError;
use viaduct_model::ChannelId;
use xmpp_parsers::jid::{FullJid, Jid};
use xmpp_parsers::presence::{Presence, Type};

use super::Xmpp;
use super::room::{Room, Seat};
use crate::client::wire::Wire;
use crate::convert::names::RESOURCE;

/// Why nothing is delivered any more.
pub(super) const GONE: &str = "the hub has left the room for good";

impl Xmpp {
    /// Takes everybody out of a room, puppets first, and forgets it. Nobody goes back in until the session is made anew.
    pub(super) async fn leave_for_good(&self, channel: &ChannelId) -> Result<(), DeliveryError> {
        // Chats between two people have nobody sitting in them.
        let Some(room) = self.channels.get(channel) else {
            return Ok(());
        };
        room.state().left = true;
        room.invited.notify_waiters();
        let wire = self.wire().ok_or_else(|| DeliveryError::retry("not connected"))?;
        let limit = Instant::now() + Duration::from_secs(self.section.timeouts.join);
        // Whoever is just entering, or waits to try again, comes to an end first.
        let unanswered = |_| DeliveryError::retry("the room does not let everybody go in time");
        let _turn = timeout_at(limit, room.keeping.lock()).await.map_err(unanswered)?;
        timeout_at(limit, self.see_out(room, &wire))
            .await
            .map_err(unanswered)??;
        room.vacate(Seat::Out(GONE.to_owned()));
        self.forget_bookmark(room, &wire).await;
        tracing::info!(room = %room.address, "The hub left a room for good.");
        self.forget(room).await
    }

    /// Sends everybody out, and waits until the room has let them go: puppets, and then the hub, who sees them leave.
    async fn see_out(&self, room: &Room, wire: &Wire) -> Result<(), DeliveryError> {
        room.state().leaving.clear();
        loop {
            let changed = room.seat_changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            let (puppets, busy) = {
                let mut state = room.state();
                let puppets: Vec<_> = state
                    .puppets
                    .iter()
                    .map(|(who, nick)| (who.clone(), nick.clone()))
                    .collect();
                let new = puppets.into_iter().filter(|(who, _)| state.leaving.insert(who.clone()));
                let new: Vec<_> = new.collect();
                (new, !state.puppets.is_empty() || !state.entering.is_empty())
            };
            for (who, nick) in puppets {
                if let Ok(from) = who.with_resource_str(RESOURCE) {
                    self.see_off(room, wire, from, &nick).await?;
                }
            }
            if !busy {
                break;
            }
            changed.await;
        }
        let own = self.standing.own().clone();
        let nick = room.nick_of_own(&own.to_bare());
        let Some(nick) = nick.filter(|_| room.state().seat == Seat::In) else {
            return Ok(());
        };
        self.see_off(room, wire, own, &nick).await?;
        loop {
            let changed = room.seat_changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            if room.state().seat != Seat::In {
                return Ok(());
            }
            changed.await;
        }
    }

    /// Says somebody's goodbye to a room.
    pub(super) async fn see_off(
        &self,
        room: &Room,
        wire: &Wire,
        from: FullJid,
        nick: &str,
    ) -> Result<(), DeliveryError> {
        let Some(to) = room.occupant(nick) else { return Ok(()) };
        let presence = Presence::new(Type::Unavailable).with_from(from).with_to(Jid::from(to));
        wire.send(presence)
            .await
            .map_err(|error| DeliveryError::retry(error.to_string()))
    }

    /// Forgets what was remembered of a room for good: should it ever be mirrored again, it begins anew.
    async fn forget(&self, room: &Room) -> Result<(), DeliveryError> {
        let mut changes = Vec::new();
        for kind in ["own", "react", "react-for"] {
            let entries = self.context.state.scan(&format!("{kind}/{}/", room.channel)).await;
            let entries = entries.map_err(|error| DeliveryError::retry(error.to_string()))?;
            changes.extend(entries.into_iter().map(|(key, _)| (key, None)));
        }
        for kind in ["begin", "subject", "about"] {
            changes.push((format!("{kind}/{}", room.channel), None));
        }
        let forgotten = self.context.state.put(changes).await;
        forgotten.map_err(|error| DeliveryError::retry(error.to_string()))
    }
}
