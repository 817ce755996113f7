//! Conversations between two people: a puppet, and somebody on the network (or an occupant of a room, by private message).
//!
//! Such a channel is named by both addresses, `PUPPET OTHER`: an address without a resource holds no blank. There is neither a
//! reflection nor an archive. A delivery counts as made once the server has answered a request sent after the message: it
//! has then taken the message, and has told if it refuses it.

use tokio::sync::oneshot;
use viaduct_bridge::DeliveryError;
use viaduct_model::{
    ChannelId, Content, Event, Message, MessageId, MessageStyle, NetworkName, Outbound, Person, PersonId, Place,
    Receipt, Timestamp,
};
use xmpp_parsers::chatstates::ChatState;
use xmpp_parsers::jid::{BareJid, FullJid, Jid};
use xmpp_parsers::message::{Message as Stanza, MessageType};
use xmpp_parsers::nick::Nick;
use xmpp_parsers::ns;
use xmpp_parsers::ping::Ping;
use xmpp_parsers::receipts::Received;
use xmpp_parsers::stanza_error::StanzaError;

use super::outbound::refusal;
use super::{Gathered, Xmpp, reactions, unsupported};
use crate::client::wire::{Ask, Wire, describe};
use crate::convert::incoming::{Reading, Says};
use crate::convert::names::{self, RESOURCE};
use crate::convert::outgoing::{self, Answered, Manner, Mentions, key_of};
use crate::xep;

/// A delivery key has so many characters.
const KEY_LENGTH: usize = 32;

/// The two sides of a conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pair {
    /// The puppet.
    pub puppet: BareJid,
    /// The other person.
    pub other: Jid,
}

impl Pair {
    /// Reads a channel's name.
    pub fn read(channel: &ChannelId) -> Option<Self> {
        let (puppet, other) = channel.as_str().split_once(' ')?;
        Some(Self {
            puppet: BareJid::new(puppet).ok()?,
            other: Jid::new(other).ok()?,
        })
    }

    fn channel(&self) -> Option<ChannelId> {
        ChannelId::new(format!("{} {}", self.puppet, self.other)).ok()
    }

    fn speaker(&self) -> Option<FullJid> {
        self.puppet.with_resource_str(RESOURCE).ok()
    }
}

/// Who speaks where, to whom.
struct Speech {
    sender: Person,
    place: Place,
    direct_to: String,
}

impl Xmpp {
    /// Takes a message addressed to a puppet by somebody.
    pub(super) async fn on_direct(&self, stanza: Stanza, gathered: &mut Gathered) {
        let (Some(from), Some(to)) = (stanza.from.clone(), stanza.to.clone()) else {
            return;
        };
        if stanza.type_ == MessageType::Error {
            let notice = self.on_direct_error(&stanza, &from, &to.to_bare());
            return gathered.events.extend(notice);
        }
        if !matches!(stanza.type_, MessageType::Chat | MessageType::Normal) || !self.section.has_puppets() {
            return;
        }
        let Some(direct_to) = names::matrix_person(&to.to_bare()) else {
            return;
        };
        // Within a room people are told apart by their nick, elsewhere by their address alone.
        let room = self.rooms.get(&from.to_bare());
        let other = if room.is_some() {
            from.clone()
        } else {
            Jid::from(from.to_bare())
        };
        let sender = match room {
            Some(room) => {
                let nick = from.resource().map(ToString::to_string);
                room.person(&crate::convert::incoming::From {
                    nick,
                    ..Default::default()
                })
            }
            None => self.stranger(&from.to_bare(), &stanza),
        };
        let Some(sender) = sender else { return };
        let Some(channel) = (Pair {
            puppet: to.to_bare(),
            other,
        })
        .channel() else {
            return;
        };
        let Some(reading) = self.read(&from.to_bare(), &stanza) else {
            return;
        };
        let speech = Speech {
            sender,
            place: Place::new(self.context.network.clone(), channel),
            direct_to,
        };
        if let Says::Reactions(named, set) = &reading.says {
            let events = self.on_direct_reactions(&speech, &reading, named, set).await;
            return gathered.events.extend(events);
        }
        if self.section.receipts
            && let Some(receipt) = receipt_for(&stanza)
        {
            gathered.acknowledgements.push(receipt.into());
        }
        gathered.events.extend(self.direct_event(&speech, &reading));
    }

    async fn on_direct_reactions(&self, speech: &Speech, reading: &Reading, named: &str, set: &[String]) -> Vec<Event> {
        let sender = speech.sender.id.as_str();
        let Some(target) = target_of(sender, named) else {
            return Vec::new();
        };
        let key = reactions::key(&speech.place.channel, &target, sender);
        let changes = reactions::changes(&target, &self.kept_reactions(&key).await, set);
        let id = self.direct_id(speech, reading);
        let event = |(part, content): (String, Content)| {
            let id = MessageId::new(format!("{}/{part}", id.as_ref()?)).ok()?;
            Some(self.spoken(speech, reading.at, id, content))
        };
        let events: Vec<Event> = changes.into_iter().filter_map(event).collect();
        // Remembered before they are stored: a crash in between loses them, where it would repeat them in a room. There is no
        // archive to read them from again either way.
        self.remember_reactions(&key, set).await;
        events
    }

    fn stranger(&self, address: &BareJid, stanza: &Stanza) -> Option<Person> {
        let nick: Option<Nick> = xep::find(&stanza.payloads, "nick", ns::NICK);
        let name = nick.and_then(|nick| names::clean_nick(&nick.0));
        let name = name
            .or_else(|| address.node().map(ToString::to_string))
            .unwrap_or_else(|| address.to_string());
        let id = names::person_by_address(address)?;
        Some(names::person(
            &self.context.network,
            id,
            &name,
            Some(&Jid::from(address.clone())),
        ))
    }

    fn direct_event(&self, speech: &Speech, reading: &Reading) -> Option<Event> {
        let sender = &speech.sender;
        let target = |id: &str| target_of(sender.id.as_str(), id);
        let theirs = |id: &str| names::made_id(sender.id.as_str(), id);
        let content = match &reading.says {
            Says::Message(said) => {
                let mut message = said.message.clone();
                message.reply_to = said.reply_to.as_deref().and_then(target);
                Some(Content::Message(message))
            }
            Says::Edit(id, said) => theirs(id).map(|target| Content::Edit {
                target,
                message: said.message.clone(),
            }),
            Says::Retract(id) => theirs(id).map(|target| Content::Delete { target, reason: None }),
            Says::Typing(active) if self.section.typing => Some(Content::Typing { active: *active }),
            Says::Read(id) if self.section.receipts => target(id).map(|target| Content::Read { target }),
            Says::Typing(_)
            | Says::Read(_)
            | Says::Subject(_)
            | Says::Moderated(_)
            | Says::Reactions(..)
            | Says::Reconfigured => None,
        };
        Some(self.spoken(speech, reading.at, self.direct_id(speech, reading)?, content?))
    }

    fn direct_id(&self, speech: &Speech, reading: &Reading) -> Option<MessageId> {
        let given = reading.ids.origin.as_deref().or(reading.ids.message.as_deref());
        let made = format!("{} {}", self.context.clock.now(), self.random());
        names::made_id(speech.sender.id.as_str(), given.unwrap_or(&made))
    }

    fn spoken(&self, speech: &Speech, at: Option<Timestamp>, id: MessageId, content: Content) -> Event {
        Event {
            place: speech.place.clone(),
            id,
            sender: speech.sender.clone(),
            at: at.unwrap_or_else(|| self.context.clock.now()),
            content,
            cursor: None,
            echo_of: None,
            direct_to: Some(speech.direct_to.clone()),
        }
    }

    /// A message of a puppet was refused: its delivery fails, or, where that was over, the Matrix person reads of it.
    fn on_direct_error(&self, stanza: &Stanza, from: &Jid, to: &BareJid) -> Option<Event> {
        let error = xep::find::<StanzaError>(&stanza.payloads, "error", ns::DEFAULT_NS)?;
        let waiting = stanza.id.as_ref().and_then(|id| self.refusals().remove(&id.0));
        if let Some(waiting) = waiting {
            drop(waiting.send(Box::new(error)));
            return None;
        }
        let other = Jid::from(from.to_bare());
        let channel = (Pair {
            puppet: to.clone(),
            other,
        })
        .channel();
        let (channel, direct_to) = channel.zip(names::matrix_person(to))?;
        let sender = self.stranger(&from.to_bare(), stanza)?;
        let text = format!("[not delivered: {}]", describe(&error));
        let message = Message {
            style: MessageStyle::Notice,
            ..Message::plain(&text)
        };
        let speech = Speech {
            sender,
            place: Place::new(self.context.network.clone(), channel),
            direct_to,
        };
        let id = format!("{} {}", self.context.clock.now(), self.random());
        let id = names::made_id(speech.sender.id.as_str(), &id)?;
        Some(self.spoken(&speech, None, id, Content::Message(message)))
    }

    /// Delivers into a conversation.
    pub(super) async fn deliver_direct(&self, pair: &Pair, outbound: &Outbound) -> Result<Receipt, DeliveryError> {
        if !self.section.has_puppets() {
            return Err(unsupported("chats between two people need puppets"));
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
                let manner = Manner {
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
                let mut losses = Vec::new();
                for attachment in &message.attachments {
                    stanzas.push(self.file(&wire, attachment, &manner, &mentions, &mut losses).await?);
                }
                stanzas
            }
            Content::Delete { target, .. } => vec![outgoing::retraction(&name_of(target))],
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
        let key = reactions::key(&outbound.to.channel, target, pair.puppet.as_str());
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
            .speaker()
            .ok_or_else(|| DeliveryError::permanent("the puppet's address is impossible"))?;
        outgoing::identify(&mut stanzas, outbound.key.as_str());
        let ids: Vec<MessageId> = stanzas
            .iter()
            .filter_map(|stanza| MessageId::new(&stanza.id.as_ref()?.0).ok())
            .collect();
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
            answer = wire.request(ping) => answer.map_err(|error| DeliveryError::unknown(error.to_string()))?,
        };
        let leaves_trace = matches!(outbound.content, Content::Message(_) | Content::Edit { .. });
        Ok(Receipt {
            ids: if leaves_trace { ids } else { Vec::new() },
            ..Receipt::default()
        })
    }

    /// The conversation of a Matrix person with somebody of the network.
    pub(super) fn open_direct(&self, person: &PersonId, on_behalf: &str) -> Result<ChannelId, DeliveryError> {
        if !self.section.has_puppets() {
            return Err(unsupported("direct chats need puppets"));
        }
        let other =
            Jid::new(person.as_str()).map_err(|_| unsupported("the room does not show this person's address"))?;
        let id = PersonId::new(on_behalf).map_err(|error| DeliveryError::permanent(error.to_string()))?;
        let own = names::person(&NetworkName::matrix(), id, on_behalf, None);
        let puppet = self.standing.puppet(&own);
        let channel = puppet.and_then(|puppet| Pair { puppet, other }.channel());
        channel.ok_or_else(|| DeliveryError::permanent("the addresses are too long"))
    }
}

/// The receipt that a message asks for (XEP-0184).
fn receipt_for(stanza: &Stanza) -> Option<Stanza> {
    let wanted = stanza
        .payloads
        .iter()
        .any(|payload| payload.is("request", ns::RECEIPTS));
    let received = Received {
        id: stanza.id.as_ref().filter(|_| wanted)?.0.clone(),
    };
    let mut receipt = Stanza::new_with_type(MessageType::Chat, stanza.from.clone()).with_payload(received);
    receipt.from.clone_from(&stanza.to);
    Some(receipt)
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

/// The message meant by an id in a stanza of this sender: one of the hub's, by its key, or one of the sender's own.
fn target_of(sender: &str, id: &str) -> Option<MessageId> {
    let key = key_of(id);
    if key.len() == KEY_LENGTH
        && key
            .bytes()
            .all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
    {
        return MessageId::new(id).ok();
    }
    names::made_id(sender, id)
}

/// What stanzas call a message.
fn name_of(id: &MessageId) -> String {
    id.as_str()
        .split_once(' ')
        .map_or_else(|| id.to_string(), |(_, name)| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channels_name_both_sides() {
        let pair = Pair {
            puppet: BareJid::new("a\\3ahs@b.example").unwrap(),
            other: Jid::new("r@c.example/Bob B").unwrap(),
        };
        assert_eq!(Pair::read(&pair.channel().unwrap()), Some(pair));
        assert_eq!(Pair::read(&ChannelId::new("r@c.example").unwrap()), None);
    }

    #[test]
    fn ids_lead_back_to_names() {
        let id = names::made_id("bob@x", "m 1").unwrap();
        assert_eq!(name_of(&id), "m 1");
        let key = "0123456789abcdef0123456789abcdef";
        assert_eq!(target_of("bob@x", key).unwrap().as_str(), key);
        assert_eq!(target_of("bob@x", "m 1"), Some(id));
    }
}
