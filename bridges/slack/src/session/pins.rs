//! What is pinned in a channel. Pins are a state: all of them are told whenever one changed, and after an absence if they are
//! not those that were told last.

use viaduct_model::{Content, Event, MessageId, Person};

use super::Slack;
use super::channels::Channel;
use super::intake::scene;
use crate::client::payload;
use crate::convert::ids::{event_id, from_micros, time};

/// How many pinned messages are told.
const PINS: usize = 200;

impl Slack {
    /// What is pinned now; none if Slack does not say.
    async fn pinned(&self, channel: &Channel) -> Option<Vec<MessageId>> {
        let id = channel.usable().ok().filter(|_| self.section.pins)?;
        match self.api.pins(&id).await {
            Ok(items) => {
                let messages = items.iter().filter_map(|item| item.message.as_ref());
                let ids = messages.filter_map(|message| MessageId::new(&message.ts).ok());
                Some(ids.take(PINS).collect())
            }
            Err(error) => {
                tracing::debug!(%error, "Slack does not tell what is pinned.");
                None
            }
        }
    }

    /// Tells what is pinned, and remembers that it was told.
    async fn with_pins(&self, channel: &Channel, sender: Person, at: &str, pinned: Vec<MessageId>) -> Option<Event> {
        let key = format!("pins/{}", channel.spelling);
        let value = serde_json::to_vec(&pinned).ok();
        if let Err(error) = self.context.state.put(vec![(key, value)]).await {
            tracing::warn!(%error, "What is pinned could not be remembered.");
        }
        let nothing = payload::Message::default();
        let id = event_id("pins", &[at])?;
        Some(scene(channel, &nothing).event(id, sender, time(at), Content::Pins { pinned }))
    }

    /// Something was pinned, or is no longer.
    pub(super) async fn tell_pins(&self, channel: &Channel, event: &payload::Message) -> Vec<Event> {
        let Some(pinned) = self.pinned(channel).await else {
            return Vec::new();
        };
        let at = event.event_ts.clone().unwrap_or_default();
        let who = event.user.id().and_then(|user| self.people.get(user));
        let Some(sender) = who.or_else(|| self.app_person()) else {
            return Vec::new();
        };
        self.with_pins(channel, sender, &at, pinned).await.into_iter().collect()
    }

    /// Tells what is pinned after an absence, if it changed.
    pub(super) async fn catch_up_pins(&self, channel: &Channel) {
        let Some(pinned) = self.pinned(channel).await else {
            return;
        };
        let key = format!("pins/{}", channel.spelling);
        let told = self.context.state.get(&key).await.ok().flatten();
        let told: Vec<MessageId> = told
            .and_then(|told| serde_json::from_slice(&told).ok())
            .unwrap_or_default();
        let Some(sender) = self.app_person().filter(|_| told != pinned) else {
            return;
        };
        let now = from_micros(self.context.clock.now().as_millis().saturating_mul(1000));
        let event = self.with_pins(channel, sender, &now, pinned).await;
        if let Some(event) = event
            && let Ok(ticket) = self.context.inbox.push(vec![event]).await
        {
            ticket.await.ok();
        }
    }
}
