//! What people of the network write to one person.

use viaduct_model::{Content, Event, Message, MessageId, MessageStyle, Person, Place, Timestamp};
use xmpp_parsers::jid::{BareJid, Jid};
use xmpp_parsers::message::{Message as Stanza, MessageType};
use xmpp_parsers::nick::Nick;
use xmpp_parsers::ns;
use xmpp_parsers::receipts::Received;
use xmpp_parsers::stanza_error::StanzaError;

use super::{Own, Pair, target_of};
use crate::client::wire::describe;
use crate::convert::incoming::{Reading, Says};
use crate::convert::{names, words};
use crate::session::{Gathered, Xmpp, reactions};
use crate::xep;

/// Who speaks where, to whom.
struct Speech {
    sender: Person,
    place: Place,
    direct_to: String,
}

impl Xmpp {
    /// Takes a message addressed by somebody to a puppet, or to the hub where there are no puppets.
    pub(in crate::session) async fn on_direct(&self, stanza: Stanza, gathered: &mut Gathered) {
        let (Some(from), Some(to)) = (stanza.from.clone(), stanza.to.clone()) else {
            return;
        };
        if stanza.type_ == MessageType::Error {
            let notice = self.on_direct_error(&stanza, &from, &to.to_bare()).await;
            return gathered.events.extend(notice);
        }
        if !matches!(stanza.type_, MessageType::Chat | MessageType::Normal) || from.node().is_none() {
            return;
        }
        let Some(mut reading) = self.read(&from.to_bare(), &stanza) else {
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
        let Some((own, direct_to)) = self.recipient(&to.to_bare(), &other, &from, &mut reading).await else {
            return;
        };
        let Some(channel) = (Pair { own, other }).channel() else {
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

    /// For which Matrix person a message is, and on which side of a conversation it arrives.
    async fn recipient(&self, to: &BareJid, other: &Jid, from: &Jid, reading: &mut Reading) -> Option<(Own, String)> {
        if self.section.has_puppets() {
            return Some((Own::Puppet(to.clone()), names::matrix_person(to)?));
        }
        let own = self.standing.own().to_bare();
        if *to != own || other.to_bare() == own {
            return None;
        }
        let person = self.meant(other, from, reading).await?;
        let direct_to = person.to_string();
        Some((Own::Relayed(person), direct_to))
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
            // Whoever was only named was told nothing.
            Says::Message(said) | Says::Edit(_, said)
                if said.message.body.is_empty() && said.message.attachments.is_empty() =>
            {
                None
            }
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
    async fn on_direct_error(&self, stanza: &Stanza, from: &Jid, to: &BareJid) -> Option<Event> {
        let error = xep::find::<StanzaError>(&stanza.payloads, "error", ns::DEFAULT_NS)?;
        let waiting = stanza.id.as_ref().and_then(|id| self.refusals().remove(&id.0));
        if let Some(waiting) = waiting {
            drop(waiting.send(Box::new(error)));
            return None;
        }
        let other = Jid::from(from.to_bare());
        let (own, direct_to) = if self.section.has_puppets() {
            (Own::Puppet(to.clone()), names::matrix_person(to)?)
        } else {
            let person = self.on_behalf_of(&other, &stanza.id.as_ref()?.0).await?;
            let direct_to = person.to_string();
            (Own::Relayed(person), direct_to)
        };
        let channel = (Pair { own, other }).channel()?;
        let sender = self.stranger(&from.to_bare(), stanza)?;
        let text = words::not_delivered(self.context.language, &describe(&error));
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
