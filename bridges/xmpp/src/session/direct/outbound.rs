//! Deliveries to one person.

use tokio::sync::oneshot;
use viaduct_bridge::DeliveryError;
use viaduct_model::{ChannelId, Content, MessageId, NetworkName, Outbound, PersonId, Receipt};
use xmpp_parsers::chatstates::ChatState;
use xmpp_parsers::jid::Jid;
use xmpp_parsers::message::{Message as Stanza, MessageType};
use xmpp_parsers::ping::Ping;

use super::{Own, Pair, name_of};
use crate::client::wire::{Ask, RequestError, Wire};
use crate::convert::names;
use crate::convert::outgoing::{self, Answered, Manner, Mentions, Relayed};
use crate::session::outbound::{named_files, refusal};
use crate::session::{Xmpp, reactions, unsupported};

impl Xmpp {
    /// Delivers into a conversation.
    pub(in crate::session) async fn deliver_direct(
        &self,
        pair: &Pair,
        outbound: &Outbound,
    ) -> Result<Receipt, DeliveryError> {
        if matches!(pair.own, Own::Puppet(_)) && !self.section.has_puppets() {
            return Err(unsupported("this chat was with a puppet, and there are none any more"));
        }
        let wire = self.wire().ok_or_else(|| DeliveryError::retry("not connected"))?;
        let stanzas = match &outbound.content {
            Content::Message(message) | Content::Edit { message, .. } => {
                let replaces = outbound.content.target().map(name_of);
                let answers = message.reply_to.as_ref().map(|target| Answered {
                    id: name_of(target),
                    author: None,
                    text: String::new(),
                });
                let relayed = matches!(pair.own, Own::Relayed(_)).then(|| Relayed {
                    name: &outbound.author.display,
                    form: &self.section.relay_form,
                });
                let manner = Manner {
                    relayed,
                    answers,
                    replaces,
                    ..Manner::default()
                };
                let room = pair.other.to_bare();
                let mentions = Mentions {
                    network: &self.context.network,
                    room: &room,
                };
                let mut stanzas = outgoing::text(message, &manner, &mentions);
                if stanzas.is_empty() && relayed.is_some() {
                    stanzas = outgoing::text(&named_files(message), &manner, &mentions);
                }
                let mut losses = Vec::new();
                for attachment in &message.attachments {
                    stanzas.push(self.file(&wire, attachment, &manner, &mentions, &mut losses).await?);
                }
                stanzas
            }
            Content::Delete { target, .. } => vec![outgoing::retraction(&name_of(target), self.context.language)],
            Content::React { target, reaction } => {
                return self
                    .react_direct(&wire, pair, outbound, target, &reaction.key, true)
                    .await;
            }
            Content::Unreact { target, reaction } => {
                return self
                    .react_direct(&wire, pair, outbound, target, &reaction.key, false)
                    .await;
            }
            Content::Typing { active } if self.section.typing => {
                let state = if *active {
                    ChatState::Composing
                } else {
                    ChatState::Paused
                };
                vec![Stanza::new_with_type(MessageType::Chat, None).with_payload(state)]
            }
            Content::Read { target } if self.section.receipts => vec![outgoing::displayed(&name_of(target))],
            _ => return Err(unsupported("a chat between two people has nothing for this")),
        };
        if stanzas.is_empty() {
            return Err(unsupported("there is nothing to say"));
        }
        self.send_direct(&wire, pair, stanzas, outbound).await
    }

    async fn react_direct(
        &self,
        wire: &Wire,
        pair: &Pair,
        outbound: &Outbound,
        target: &MessageId,
        emoji: &str,
        added: bool,
    ) -> Result<Receipt, DeliveryError> {
        let key = reactions::key(&outbound.to.channel, target, pair.own.name());
        let set = reactions::changed(self.kept_reactions(&key).await, emoji, added);
        let receipt = self
            .send_direct(wire, pair, vec![outgoing::reactions(&name_of(target), &set)], outbound)
            .await?;
        self.remember_reactions(&key, &set).await;
        Ok(receipt)
    }

    async fn send_direct(
        &self,
        wire: &Wire,
        pair: &Pair,
        mut stanzas: Vec<Stanza>,
        outbound: &Outbound,
    ) -> Result<Receipt, DeliveryError> {
        let speaker = pair
            .own
            .speaker(self.standing.own())
            .ok_or_else(|| DeliveryError::permanent("the puppet's address is impossible"))?;
        outgoing::identify(&mut stanzas, outbound.key.as_str());
        let ids: Vec<MessageId> = stanzas
            .iter()
            .filter_map(|stanza| MessageId::new(&stanza.id.as_ref()?.0).ok())
            .collect();
        let leaves_trace = matches!(outbound.content, Content::Message(_) | Content::Edit { .. });
        if let (Own::Relayed(person), true) = (&pair.own, leaves_trace) {
            // Before it is sent: the answer may be quick.
            let names: Vec<String> = ids.iter().map(ToString::to_string).collect();
            self.acquaint(&pair.other, person, &outbound.author.display, &names)
                .await;
        }
        let (sender, refused) = oneshot::channel();
        let _forget = Forget {
            session: self,
            id: outbound.key.to_string(),
        };
        self.refusals().insert(outbound.key.to_string(), sender);
        for mut stanza in stanzas {
            stanza.type_ = MessageType::Chat;
            stanza.from = Some(speaker.clone().into());
            stanza.to = Some(pair.other.clone());
            wire.send(stanza)
                .await
                .map_err(|error| DeliveryError::retry(error.to_string()))?;
        }
        let ping = Ask {
            from: self.standing.own().clone().into(),
            to: self.standing.domain(),
            set: false,
            payload: Ping.into(),
        };
        tokio::select! {
            biased;
            Ok(error) = refused => return Err(refusal(&error)),
            // A refusal is an answer, too.
            answer = wire.request(ping) => match answer {
                Ok(_) | Err(RequestError::Refused(_)) => {}
                Err(error) => return Err(DeliveryError::unknown(error.to_string())),
            },
        };
        Ok(Receipt {
            ids: if leaves_trace { ids } else { Vec::new() },
            ..Receipt::default()
        })
    }

    /// The conversation of a Matrix person with somebody of the network.
    pub(in crate::session) fn open_direct(
        &self,
        person: &PersonId,
        on_behalf: &str,
    ) -> Result<ChannelId, DeliveryError> {
        let other =
            Jid::new(person.as_str()).map_err(|_| unsupported("the room does not show this person's address"))?;
        let id = PersonId::new(on_behalf).map_err(|error| DeliveryError::permanent(error.to_string()))?;
        let own = if self.section.has_puppets() {
            let person = names::person(&NetworkName::matrix(), id, on_behalf, None);
            self.standing.puppet(&person).map(Own::Puppet)
        } else {
            Some(Own::Relayed(id))
        };
        let channel = own.and_then(|own| Pair { own, other }.channel());
        channel.ok_or_else(|| DeliveryError::permanent("the addresses are too long"))
    }
}

/// Stops waiting for a refusal.
struct Forget<'a> {
    session: &'a Xmpp,
    id: String,
}

impl Drop for Forget<'_> {
    fn drop(&mut self) {
        self.session.refusals().remove(&self.id);
    }
}
