//! Finding and opening the conversation with a person.

use std::sync::Arc;

use serde_json::json;
use url::Url;
use viaduct_bridge::{DeliveryError, Failure};
use viaduct_model::ChannelId;

use super::{Chat, Pair};
use crate::client::error::CallError;
use crate::client::json;
use crate::convert::said::Who;
use crate::session::channels::Channel;
use crate::session::{Teams, locked};

fn without_app(error: &CallError) -> DeliveryError {
    DeliveryError::permanent(format!(
        "the person has to add the app in Teams before it can write to them ({error})"
    ))
}

impl Teams {
    /// The chat for a delivery, opened if need be.
    pub(in crate::session) async fn chat_with(&self, pair: &Pair) -> Result<Arc<Channel>, DeliveryError> {
        let chat = self.chat(&pair.person);
        let (admitted, removed, opened) = {
            let mut known = locked(&chat.known);
            let before = known.clone();
            let admitted = known.admit(&pair.matrix);
            (admitted, known.removed, known.thread.is_some() && *known == before)
        };
        if !admitted {
            return Err(DeliveryError::permanent(
                "too many people talk with this person through the bot",
            ));
        }
        if removed {
            return Err(DeliveryError::permanent("the person removed the app in Teams"));
        }
        if !opened {
            self.open_chat(&chat).await?;
            self.keep_chat(&chat).await?;
        }
        let channel = self.pair(&chat, &pair.matrix).await;
        channel.ok_or_else(|| DeliveryError::permanent("this is no chat"))
    }

    /// The chat that a Matrix person wants. What only stands in the way for now does so with the first message too.
    pub(in crate::session) async fn wanted_chat(&self, pair: &Pair) -> Result<ChannelId, DeliveryError> {
        let channel = pair.channel();
        let channel = channel.ok_or_else(|| DeliveryError::permanent("this is no chat"))?;
        match self.chat_with(pair).await {
            Err(error) if matches!(error.failure, Failure::Permanent | Failure::Unsupported) => Err(error),
            _ => Ok(channel),
        }
    }

    async fn open_chat(&self, chat: &Chat) -> Result<(), DeliveryError> {
        if locked(&chat.known).thread.is_some() {
            return Ok(());
        }
        self.ready()?;
        let address = self.address_of(&chat.person).await?;
        let (app, tenant) = (&self.section.app_id, &self.section.tenant);
        let service = self.any_service();
        let opened = self.wire.open_direct(&service, &address, app, tenant).await;
        let thread = opened.map_err(|error| match error.status() {
            400 | 403 | 404 => without_app(&error),
            _ => error.for_repeatable(),
        })?;
        let mut known = locked(&chat.known);
        known.thread = Some(thread);
        known.service = Some(service.to_string());
        known.address = Some(address);
        Ok(())
    }

    /// Where the connector of the tenant is, as any channel learned it.
    fn any_service(&self) -> Url {
        let told = self
            .channels
            .iter()
            .find_map(|channel| channel.known().location.service.clone());
        let told = told.and_then(|text| self.wire.hosts.service(&text));
        told.unwrap_or_else(|| self.wire.addresses.connector.clone())
    }

    /// The id under which the bot may address somebody: known, or asked for where they are a member.
    async fn address_of(&self, person: &str) -> Result<String, DeliveryError> {
        if let Some(address) = self.people.address(person) {
            return Ok(address);
        }
        for channel in &self.channels {
            let Ok(thread) = channel.usable() else { continue };
            match self.wire.member(&self.service(channel), &thread, person).await {
                Ok(member) => {
                    self.people.learn(&Who::account(&member));
                    if let Some(address) = json::text(&member, &["id"]) {
                        return Ok(address.to_owned());
                    }
                }
                Err(error) if !error.is_passing() && !error.is_auth() => {}
                Err(error) => return Err(error.for_repeatable()),
            }
        }
        Err(DeliveryError::permanent(
            "the person is in none of the mirrored channels, so that the bot does not know them",
        ))
    }

    /// Remembers whose messages these are, so that an answer to one finds its way.
    pub(in crate::session) async fn spoken(&self, channel: &ChannelId, ids: &[String]) {
        let Some(pair) = Pair::read(channel).filter(|_| self.channel(channel).is_none()) else {
            return;
        };
        let chat = self.chat(&pair.person);
        {
            let mut known = locked(&chat.known);
            for id in ids {
                known.note(id, &pair.matrix);
            }
            let said = ids.last().and_then(|id| id.parse().ok()).unwrap_or(0);
            known.active = known.active.max(said);
            known.swept = known.swept.or(Some(said));
        }
        if let Err(error) = self.keep_chat(&chat).await {
            tracing::warn!(%error, "Whose a message is could not be remembered.");
        }
    }

    /// Tells a person something in the bot's own name.
    pub(super) async fn whisper(&self, chat: &Chat, text: &str) {
        let (thread, service) = {
            let known = locked(&chat.known);
            (known.thread.clone(), known.service.clone())
        };
        let service = service.and_then(|text| self.wire.hosts.service(&text));
        let (Some(thread), Some(service)) = (thread, service) else {
            return;
        };
        let activity = json!({"type": "message", "textFormat": "plain", "text": text});
        if let Err(error) = self.wire.post(&service, &thread, &activity).await {
            tracing::debug!(%error, "Somebody could not be told something.");
        }
    }
}
