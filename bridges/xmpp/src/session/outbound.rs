//! Deliveries.

use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};
use viaduct_bridge::{DeliveryError, Failure};
use viaduct_compliance::Cleared;
use viaduct_model::{Attachment, Content, Message, MessageId, Outbound, Receipt};
use xmpp_parsers::chatstates::ChatState;
use xmpp_parsers::jid::Jid;
use xmpp_parsers::message::{Message as Stanza, MessageType};
use xmpp_parsers::stanza_error::{DefinedCondition, StanzaError};

use super::direct::Pair;
use super::entry::{EntryError, Speaker};
use super::room::{ModerationVersion, Reflection, Room};
use super::{Xmpp, unsupported};
use crate::client::wire::{Wire, describe, is_passing};
use crate::convert::outgoing::{self, Answered, Manner, Mentions, Relayed};
use crate::convert::words;
use crate::telemetry;
use crate::xep::xep0425_moderation;
use crate::xep::xep0446_file_metadata::FileMetadata;

impl Xmpp {
    #[tracing::instrument(skip_all, fields(channel = %outbound.get().to.channel, key = %outbound.get().key))]
    pub(super) async fn deliver_cleared(&self, outbound: &Cleared<Outbound>) -> Result<Receipt, DeliveryError> {
        let outbound = outbound.get();
        if let Some(pair) = Pair::read(&outbound.to.channel) {
            return self.deliver_direct(&pair, outbound).await;
        }
        let (room, wire) = self.seated(&outbound.to.channel).await?;
        match &outbound.content {
            Content::Message(message) => self.say(room, &wire, outbound, message, None).await,
            Content::Edit { target, message } => self.reword(room, &wire, outbound, target, message).await,
            Content::Delete { target, reason } => self.withdraw(room, &wire, outbound, target, reason.as_deref()).await,
            Content::React { target, reaction } => self.react(room, &wire, outbound, target, &reaction.key, true).await,
            Content::Unreact { target, reaction } => {
                self.react(room, &wire, outbound, target, &reaction.key, false).await
            }
            Content::Topic { topic } => self.set_topic(room, &wire, outbound, topic).await,
            Content::Membership { person, change, reason } => {
                self.membership_out(room, &wire, outbound, person, change, reason.as_deref())
                    .await
            }
            Content::Typing { active } => self.type_out(room, &wire, outbound, *active).await,
            Content::Read { target } if self.section.receipts => self.read_out(room, &wire, outbound, target).await,
            Content::Role { person, role } => self.role_out(room, &wire, person, *role).await,
            Content::Name { name } => self.name_out(room, &wire, name).await,
            Content::Picture { picture } => self.picture_out(room, &wire, picture.as_ref()).await,
            Content::Pins { .. } | Content::Read { .. } | Content::Closed { .. } | Content::Opened => {
                Err(unsupported("XMPP rooms have nothing for this"))
            }
        }
    }

    pub(super) async fn speaker_for(
        &self,
        room: &Room,
        wire: &Wire,
        outbound: &Outbound,
    ) -> Result<Speaker, DeliveryError> {
        self.speaker(room, wire, &outbound.author)
            .await
            .map_err(|error| match error {
                EntryError::Refused(error) => refusal(&error),
                EntryError::Unanswered(reason) => DeliveryError::retry(reason),
            })
    }

    async fn say(
        &self,
        room: &Room,
        wire: &Wire,
        outbound: &Outbound,
        message: &Message,
        replaces: Option<String>,
    ) -> Result<Receipt, DeliveryError> {
        let speaker = self.speaker_for(room, wire, outbound).await?;
        let answers = message.reply_to.as_ref().map(|target| answered(room, target));
        let thread = message.thread.as_ref().map(|root| {
            let state = room.state();
            let known = state.index.get(root).and_then(|known| known.thread.clone());
            known.unwrap_or_else(|| root.to_string())
        });
        let relayed = speaker.relayed.as_deref().map(|name| Relayed {
            name,
            form: &self.section.relay_form,
        });
        if let Some(name) = &speaker.relayed {
            room.state().note_relayed(name, &outbound.author.person);
        }
        let manner = Manner {
            relayed,
            answers,
            thread,
            replaces,
        };
        let mentions = Mentions {
            network: &self.context.network,
            room: &room.address,
        };
        let mut losses: Vec<String> = speaker.loss.iter().cloned().collect();
        let mut stanzas = outgoing::text(message, &manner, &mentions);
        if stanzas.is_empty() && relayed.is_some() {
            // The address of a file has to stand alone; whose it is has to be said before it.
            stanzas = outgoing::text(&named_files(message), &manner, &mentions);
        }
        for attachment in &message.attachments {
            stanzas.push(self.file(wire, attachment, &manner, &mentions, &mut losses).await?);
        }
        if stanzas.is_empty() {
            return Err(unsupported("there is nothing to say"));
        }
        let reflections = self.transmit(room, wire, &speaker, stanzas, outbound).await?;
        let at = reflections.first().and_then(|reflection| reflection.at);
        Ok(Receipt {
            ids: reflections.into_iter().map(|reflection| reflection.id).collect(),
            at,
            losses,
        })
    }

    /// A file as a stanza: uploaded where possible, else as a link, else by its name.
    pub(super) async fn file(
        &self,
        wire: &Wire,
        attachment: &Attachment,
        manner: &Manner<'_>,
        mentions: &Mentions<'_>,
        losses: &mut Vec<String>,
    ) -> Result<Stanza, DeliveryError> {
        let metadata = FileMetadata {
            media_type: attachment.mime.clone(),
            name: Some(attachment.name.clone()),
            size: attachment.size,
            width: attachment.dimensions.map(|(width, _)| width),
            height: attachment.dimensions.map(|(_, height)| height),
            length: attachment.duration,
        };
        match self.upload(wire, attachment).await {
            Ok(address) => return Ok(outgoing::file(&address, metadata)),
            Err(error) if matches!(error.failure, Failure::Retry(_)) => return Err(error),
            Err(error) => tracing::debug!(%error, "A file is not uploaded."),
        }
        if let Some(link) = self.context.media.link(&attachment.media, &attachment.name) {
            return Ok(outgoing::file(&link, metadata));
        }
        losses.push(words::left_out(self.context.language, &attachment.name));
        let note = Message::plain(&words::file(self.context.language, &attachment.name));
        let manner = Manner {
            relayed: manner.relayed,
            ..Manner::default()
        };
        outgoing::text(&note, &manner, mentions)
            .pop()
            .ok_or_else(|| unsupported("the file has no name"))
    }

    async fn reword(
        &self,
        room: &Room,
        wire: &Wire,
        outbound: &Outbound,
        target: &MessageId,
        message: &Message,
    ) -> Result<Receipt, DeliveryError> {
        let known = room.state().index.get(target).cloned();
        let original = known
            .and_then(|known| known.stanza)
            .ok_or_else(|| unsupported("the message is too old to be edited"))?;
        let receipt = self.say(room, wire, outbound, message, Some(original)).await?;
        Ok(receipt)
    }

    async fn withdraw(
        &self,
        room: &Room,
        wire: &Wire,
        outbound: &Outbound,
        target: &MessageId,
        reason: Option<&str>,
    ) -> Result<Receipt, DeliveryError> {
        let author = self
            .standing
            .puppet(&outbound.author.person)
            .map(|address| address.to_string());
        let (sender, moderation) = {
            let state = room.state();
            (
                state.index.get(target).map(|known| known.sender.clone()),
                state.features.moderation,
            )
        };
        let relayed = sender.as_deref() == Some(self.standing.own().to_bare().as_str());
        let by_author = sender.is_none() || relayed || sender == author;
        let parts = outbound.targets();
        if by_author {
            let speaker = if relayed {
                self.hub()
            } else {
                self.speaker_for(room, wire, outbound).await?
            };
            let stanzas = parts
                .iter()
                .map(|part| outgoing::retraction(part.as_str(), self.context.language))
                .collect();
            self.transmit(room, wire, &speaker, stanzas, outbound).await?;
            return Ok(Receipt::default());
        }
        let version = moderation.ok_or_else(|| unsupported("the room cannot withdraw messages of others"))?;
        for part in parts {
            let payload = xep0425_moderation::request(
                part.as_str(),
                reason.map(outgoing::xml_text).as_deref(),
                version == ModerationVersion::First,
            );
            self.ask_room(room, wire, payload).await?;
        }
        Ok(Receipt::default())
    }

    /// The hub as a speaker in its own name.
    pub(super) fn hub(&self) -> Speaker {
        Speaker {
            address: self.standing.own().clone(),
            relayed: None,
            loss: None,
        }
    }

    /// Changes the subject as the hub. Rooms may show a subject without the id it was sent with, so its text confirms it too.
    async fn set_topic(
        &self,
        room: &Room,
        wire: &Wire,
        outbound: &Outbound,
        topic: &str,
    ) -> Result<Receipt, DeliveryError> {
        let stanza = outgoing::subject(topic);
        let shown = subject_waiter(stanza.subjects.values().next().map_or("", String::as_str));
        let (sender, receiver) = oneshot::channel();
        room.state().confirming.insert(shown.clone(), sender);
        let _forget = Unconfirmed { room, id: shown };
        let hub = self.hub();
        tokio::select! {
            sent = self.transmit(room, wire, &hub, vec![stanza], outbound) => drop(sent?),
            Ok(_) = receiver => {}
        }
        topic.clone_into(&mut room.state().subject);
        self.remember_subject(room, topic).await;
        Ok(Receipt::default())
    }

    async fn read_out(
        &self,
        room: &Room,
        wire: &Wire,
        outbound: &Outbound,
        target: &MessageId,
    ) -> Result<Receipt, DeliveryError> {
        let stanza = outgoing::displayed(&target_name(room, target));
        self.say_lightly(room, wire, outbound, stanza).await
    }

    /// Sends what matters only now, if its author has a puppet in the room; nobody waits for it.
    async fn say_lightly(
        &self,
        room: &Room,
        wire: &Wire,
        outbound: &Outbound,
        mut stanza: Stanza,
    ) -> Result<Receipt, DeliveryError> {
        let address = self.standing.puppet(&outbound.author.person);
        let present = address.filter(|address| room.state().puppets.contains_key(address));
        let from = present.and_then(|address| address.with_resource_str(crate::convert::names::RESOURCE).ok());
        if let Some(from) = from {
            stanza.from = Some(from.into());
            stanza.to = Some(Jid::from(room.address.clone()));
            wire.send(stanza)
                .await
                .map_err(|error| DeliveryError::retry(error.to_string()))?;
        }
        Ok(Receipt::default())
    }

    async fn type_out(
        &self,
        room: &Room,
        wire: &Wire,
        outbound: &Outbound,
        active: bool,
    ) -> Result<Receipt, DeliveryError> {
        if !self.section.typing {
            return Err(unsupported("typing is not told here"));
        }
        let state = if active {
            ChatState::Composing
        } else {
            ChatState::Paused
        };
        let stanza = Stanza::new_with_type(MessageType::Groupchat, None).with_payload(state);
        self.say_lightly(room, wire, outbound, stanza).await
    }

    /// Sends stanzas and waits until the room has shown them all.
    pub(super) async fn transmit(
        &self,
        room: &Room,
        wire: &Wire,
        speaker: &Speaker,
        mut stanzas: Vec<Stanza>,
        outbound: &Outbound,
    ) -> Result<Vec<Reflection>, DeliveryError> {
        outgoing::identify(&mut stanzas, outbound.key.as_str());
        let mut waiting = Vec::with_capacity(stanzas.len());
        for (number, mut stanza) in stanzas.into_iter().enumerate() {
            let id = outgoing::part_id(outbound.key.as_str(), number);
            let (sender, receiver) = oneshot::channel();
            room.state().confirming.insert(id.clone(), sender);
            let forget = Unconfirmed { room, id };
            stanza.from = Some(speaker.address.clone().into());
            stanza.to = Some(room.address.clone().into());
            if let Err(error) = wire.send(stanza).await {
                return Err(match number {
                    0 => DeliveryError::retry(error.to_string()),
                    _ => DeliveryError::unknown(error.to_string()),
                });
            }
            waiting.push((forget, receiver));
        }
        let limit = Instant::now() + Duration::from_secs(self.section.timeouts.reflection);
        let mut reflections = Vec::with_capacity(waiting.len());
        for (_forget, receiver) in waiting {
            match timeout_at(limit, receiver).await {
                Ok(Ok(Ok(reflection))) => reflections.push(reflection),
                Ok(Ok(Err(error))) if reflections.is_empty() => return Err(refused(room, speaker, &error)),
                Ok(Ok(Err(error))) => {
                    return Err(DeliveryError::unknown(format!(
                        "the room refused the end of it: {}",
                        describe(&error)
                    )));
                }
                Ok(Err(_)) => return Err(DeliveryError::unknown("the connection broke before the room showed it")),
                Err(_) => {
                    telemetry::not_reflected();
                    return Err(DeliveryError::unknown("the room did not show it in time"));
                }
            }
        }
        Ok(reflections)
    }
}

/// A message that says the names of a message's files.
pub(super) fn named_files(message: &Message) -> Message {
    let names: Vec<&str> = message.attachments.iter().map(|file| file.name.as_str()).collect();
    Message {
        attachments: Vec::new(),
        body: viaduct_model::Document::plain(&names.join(", ")),
        ..message.clone()
    }
}

/// The name under which a subject's appearance is awaited. Ids of stanzas have no blanks.
pub(super) fn subject_waiter(subject: &str) -> String {
    format!("subject {subject}")
}

/// Stops waiting for a reflection.
struct Unconfirmed<'a> {
    room: &'a Room,
    id: String,
}

impl Drop for Unconfirmed<'_> {
    fn drop(&mut self) {
        self.room.state().confirming.remove(&self.id);
    }
}

/// What an answer refers to, with as much of it as is remembered.
fn answered(room: &Room, target: &MessageId) -> Answered {
    let state = room.state();
    let known = state.index.get(target);
    let author = known.and_then(|known| Some((room.occupant(&known.nick)?.to_string(), known.nick.clone())));
    let named = known
        .and_then(|known| known.stanza.clone())
        .filter(|_| !state.features.stable_ids);
    Answered {
        id: named.unwrap_or_else(|| target.to_string()),
        author,
        text: known.map(|known| known.text.clone()).unwrap_or_default(),
    }
}

/// A refusal in the engine's words.
pub(super) fn refusal(error: &StanzaError) -> DeliveryError {
    let reason = describe(error);
    if is_passing(error) {
        return DeliveryError::retry(format!("the room cannot take it now: {reason}"));
    }
    match error.defined_condition {
        DefinedCondition::Forbidden | DefinedCondition::NotAllowed => {
            DeliveryError::permanent(format!("the room does not allow it: {reason}"))
        }
        DefinedCondition::FeatureNotImplemented | DefinedCondition::ServiceUnavailable => {
            DeliveryError::new(Failure::Unsupported, format!("the room cannot do it: {reason}"))
        }
        _ => DeliveryError::permanent(format!("the room refuses it: {reason}")),
    }
}

/// What stanzas call a message: the room's id, or in rooms without such what its sender called it.
pub(super) fn target_name(room: &Room, target: &MessageId) -> String {
    let state = room.state();
    let named = state.index.get(target).and_then(|known| known.stanza.clone());
    named
        .filter(|_| !state.features.stable_ids)
        .unwrap_or_else(|| target.to_string())
}

/// What a refusal means for the delivery. A puppet that fell out of the room unnoticed comes back with the next attempt.
fn refused(room: &Room, speaker: &Speaker, error: &StanzaError) -> DeliveryError {
    if error.defined_condition == DefinedCondition::NotAcceptable && speaker.relayed.is_none() {
        let mut state = room.state();
        if let Some(nick) = state.puppets.remove(&speaker.address.to_bare()) {
            state.own_nicks.remove(&nick);
            return DeliveryError::retry("the puppet is no longer in the room");
        }
    }
    refusal(error)
}
