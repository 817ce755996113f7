//! Messages of rooms as events.

use std::sync::Arc;

use viaduct_model::document::{Mention, MentionTarget};
use viaduct_model::{Content, DeliveryKey, Event, Message, MessageId, NetworkName, Person, PersonId, Timestamp};
use xmpp_parsers::jid::{BareJid, Jid};
use xmpp_parsers::message::{Message as Stanza, MessageType};
use xmpp_parsers::ns;
use xmpp_parsers::stanza_error::StanzaError;

use super::index::Known;
use super::outbound::subject_waiter;
use super::reactions::Reacted;
use super::room::{Reflection, Room};
use super::{Chore, Gathered, Xmpp};
use crate::convert::incoming::{From as Sender, Ids, Reader, Reading, Said, Says};
use crate::convert::outgoing::{clip, key_of};
use crate::convert::{mentions, names};
use crate::telemetry;
use crate::xep;
use crate::xep::xep0425_moderation::Moderated;

/// How much of a message is remembered, to be quoted in answers to it, in bytes.
const TEXT_BOUND: usize = 300;

impl Xmpp {
    /// Takes a live message.
    pub(super) async fn on_message(&self, stanza: Stanza, gathered: &mut Gathered) {
        let room = stanza.from.as_ref().and_then(|from| self.rooms.get(&from.to_bare()));
        let direct = matches!(stanza.type_, MessageType::Chat | MessageType::Normal);
        let Some(room) = room.filter(|_| !direct) else {
            if !self.on_invitation(&stanza) {
                self.on_direct(stanza, gathered).await;
            }
            return;
        };
        if stanza.type_ == MessageType::Error {
            return refused(room, &stanza);
        }
        // Every puppet gets a copy; only the hub's own is read.
        let for_hub = stanza.to.as_ref().is_some_and(|to| *to == *self.standing.own());
        if !for_hub || stanza.type_ != MessageType::Groupchat {
            return;
        }
        let sender_nick = stanza.from.as_ref().and_then(|from| from.resource());
        let own = sender_nick.is_some_and(|nick| room.state().own_nicks.contains_key(nick.as_str()));
        if own {
            gathered.events.extend(self.on_reflection(room, &stanza));
            return;
        }
        {
            let mut state = room.state();
            if !state.live {
                state.postpone(stanza);
                return;
            }
        }
        gathered.events.extend(self.live_events(room, &stanza).await);
        if room.state().has_notes() && !gathered.noted.iter().any(|noted| Arc::ptr_eq(noted, room)) {
            gathered.noted.push(Arc::clone(room));
        }
    }

    /// The room shows what the hub said: that settles a delivery that waits for it.
    fn on_reflection(&self, room: &Room, stanza: &Stanza) -> Option<Event> {
        let reading = self.read(&room.address, stanza)?;
        if let Says::Subject(subject) = &reading.says
            && let Some(waiting) = room.state().confirming.remove(&subject_waiter(subject))
        {
            drop(waiting.send(Ok(Reflection {
                id: room.shown.clone(),
                at: reading.at,
            })));
            return None;
        }
        let event = self.echo(room, &reading, None)?;
        let waiting = {
            let mut state = room.state();
            let ids = [&reading.ids.message, &reading.ids.origin];
            ids.into_iter().flatten().find_map(|id| state.confirming.remove(id))
        };
        match waiting {
            Some(waiting) => {
                telemetry::reflected();
                drop(waiting.send(Ok(Reflection {
                    id: event.id,
                    at: reading.at,
                })));
                None
            }
            None => Some(event).filter(|_| room.state().live),
        }
    }

    pub(super) fn read(&self, address: &BareJid, stanza: &Stanza) -> Option<Reading> {
        let allows_host = |host: &str| self.section.allows_file_host(host);
        Reader {
            network: &self.context.network,
            allows_host: &allows_host,
            language: self.context.language,
        }
        .read(stanza, address)
    }

    /// The events of a live message of somebody else.
    pub(super) async fn live_events(&self, room: &Arc<Room>, stanza: &Stanza) -> Vec<Event> {
        let Some(mut reading) = self.read(&room.address, stanza) else {
            return Vec::new();
        };
        let archive = room.state().features.archive;
        let cursor = reading.ids.stanza.clone().filter(|_| archive);
        // What a room repeats to newcomers is in the archive, if there is one.
        if archive && reading.at.is_some() && !matches!(reading.says, Says::Subject(_)) && reading.ids.stanza.is_none()
        {
            return Vec::new();
        }
        let at = reading.at.take().unwrap_or_else(|| self.context.clock.now());
        self.events(room, reading, at, cursor).await
    }

    /// The events of an archived message, whoever sent it.
    pub(super) async fn archived_events(
        &self,
        room: &Arc<Room>,
        id: &str,
        at: Option<Timestamp>,
        stanza: &Stanza,
    ) -> Vec<Event> {
        let Some(mut reading) = self.read(&room.address, stanza) else {
            return Vec::new();
        };
        reading.ids.stanza = Some(id.to_owned());
        let own = room.state().was_own(&reading.from, &self.standing);
        if own {
            return self.echo(room, &reading, Some(id.to_owned())).into_iter().collect();
        }
        let at = at.or(reading.at).unwrap_or_else(|| self.context.clock.now());
        self.events(room, reading, at, Some(id.to_owned())).await
    }

    /// The id the hub gave to an archived message of its own; none for messages of others.
    pub(super) fn own_archived_id(&self, room: &Room, stanza: &Stanza) -> Option<String> {
        let reading = self.read(&room.address, stanza)?;
        let own = room.state().was_own(&reading.from, &self.standing);
        reading.ids.origin.or(reading.ids.message).filter(|_| own)
    }

    /// Remembers an archived message without telling anybody: it was told before.
    pub(super) fn recall(&self, room: &Room, id: &str, stanza: &Stanza) {
        let Some(mut reading) = self.read(&room.address, stanza) else {
            return;
        };
        reading.ids.stanza = Some(id.to_owned());
        let Says::Message(said) = &reading.says else { return };
        let own = room.state().was_own(&reading.from, &self.standing);
        let sender = if own {
            self.puppet_of(room, &reading.from)
        } else {
            room.person(&reading.from).map(|p| p.id.to_string())
        };
        let Some(sender) = sender else { return };
        if let Some(event_id) = event_id(&reading.ids, &sender) {
            remember(room, &event_id, &reading, said, &sender);
        }
    }

    /// The hub's own message as an event that only settles its delivery.
    pub(super) fn echo(&self, room: &Room, reading: &Reading, cursor: Option<String>) -> Option<Event> {
        let sender = self.puppet_of(room, &reading.from)?;
        let id = event_id(&reading.ids, &sender)?;
        let key = reading.ids.origin.as_deref().or(reading.ids.message.as_deref())?;
        let key = DeliveryKey::from_remote(key_of(key));
        let content = match &reading.says {
            Says::Message(said) => {
                remember(room, &id, reading, said, &sender);
                Content::Message(said.message.clone())
            }
            Says::Edit(_, said) => Content::Message(said.message.clone()),
            _ => Content::Message(Message::default()),
        };
        let nick = reading.from.nick.as_deref().unwrap_or_default();
        let person = names::person(&self.context.network, PersonId::new(&sender).ok()?, nick, None);
        Some(Event {
            place: room.place.clone(),
            id,
            sender: person,
            at: reading.at.unwrap_or_else(|| self.context.clock.now()),
            content,
            cursor,
            echo_of: Some(key),
            direct_to: None,
        })
    }

    /// The address of the puppet (or the hub) behind one of its own messages.
    fn puppet_of(&self, room: &Room, sender: &Sender) -> Option<String> {
        if let Some(address) = &sender.address {
            return Some(address.to_bare().to_string());
        }
        let nick = sender.nick.as_deref()?;
        Some(
            room.state()
                .own_nicks
                .get(nick)
                .map_or_else(|| self.standing.former(nick), ToString::to_string),
        )
    }

    async fn events(&self, room: &Arc<Room>, reading: Reading, at: Timestamp, cursor: Option<String>) -> Vec<Event> {
        let sender = room.person(&reading.from).unwrap_or_else(|| self.room_itself(room));
        let Some(id) = event_id(&reading.ids, sender.id.as_str()).or_else(|| anonymous_id(&reading, &sender, at))
        else {
            return Vec::new();
        };
        let content = match &reading.says {
            Says::Message(said) => Content::Message(self.message(room, &id, said)),
            Says::Edit(replaced, said) => self.edit(room, &id, &sender, replaced, said),
            Says::Retract(target) => match own_target(room, target, &sender) {
                Some(target) => Content::Delete { target, reason: None },
                None => return Vec::new(),
            },
            // The hub's own doing is known on the other sides already.
            Says::Moderated(moderated) if self.moderated_itself(room, moderated) => return Vec::new(),
            Says::Moderated(moderated) => match MessageId::new(&moderated.target) {
                Ok(target) => Content::Delete {
                    target,
                    reason: moderated.reason.clone(),
                },
                Err(_) => return Vec::new(),
            },
            Says::Reactions(named, set) => {
                let Some(target) = target(room, named) else {
                    return Vec::new();
                };
                let reacted = Reacted { id, sender, at, cursor };
                return self.reaction_events(room, reacted, &target, set).await;
            }
            Says::Subject(subject) => match new_subject(room, subject) {
                Some(content) => content,
                None => return Vec::new(),
            },
            Says::Typing(active) if self.section.typing => Content::Typing { active: *active },
            Says::Read(named) if self.section.receipts => match target(room, named) {
                Some(target) => Content::Read { target },
                None => return Vec::new(),
            },
            Says::Reconfigured => {
                self.want_description(room);
                return Vec::new();
            }
            Says::Typing(_) | Says::Read(_) => return Vec::new(),
        };
        if let Says::Message(said) = &reading.says {
            remember(room, &id, &reading, said, sender.id.as_str());
            self.want_picture(room, &sender);
        }
        vec![Event {
            place: room.place.clone(),
            id,
            sender,
            at,
            content,
            cursor,
            echo_of: None,
            direct_to: None,
        }]
    }

    /// Has the picture looked for that somebody has published, if they announce none and their address is known.
    fn want_picture(&self, room: &Arc<Room>, sender: &Person) {
        if !self.section.avatars || sender.avatar.is_some() || !self.is_new(&sender.id) {
            return;
        }
        let owner = BareJid::new(sender.id.as_str()).ok();
        let present = |owner: &BareJid| owner.node().is_some() && room.nick_of(&sender.id).is_some();
        if let Some(owner) = owner.filter(present) {
            drop(self.chores.send(Chore::Seek(Arc::clone(room), owner)));
        }
    }

    /// Whether the hub is the moderator, as the room tells it by nick or by occupant-id.
    fn moderated_itself(&self, room: &Room, moderated: &Moderated) -> bool {
        let by = moderated.by.as_deref().and_then(|by| Jid::new(by).ok());
        let nick = by.as_ref().and_then(|by| by.resource());
        let state = room.state();
        let occupant = moderated.occupant.as_ref();
        occupant.is_some_and(|id| state.own_occupants.contains(id))
            || nick.is_some_and(|nick| state.own_nicks.get(nick.as_str()) == Some(&self.standing.own().to_bare()))
    }

    fn message(&self, room: &Room, id: &MessageId, said: &Said) -> Message {
        let mut message = said.message.clone();
        message.reply_to = said.reply_to.as_ref().and_then(|answered| target(room, answered));
        let thread_root = said.thread.as_ref().and_then(|thread| {
            let named = MessageId::new(thread).ok();
            let state = room.state();
            let begun = state.index.thread_root(thread).cloned();
            begun.or_else(|| named.filter(|named| state.index.get(named).is_some()))
        });
        message.thread = thread_root.filter(|first| first != id);
        let found = self.mentions(room, said);
        message.body = mentions::apply(message.body, found);
        message
    }

    fn mentions(&self, room: &Room, said: &Said) -> Vec<Mention> {
        let mut found: Vec<Mention> = said
            .mentions
            .iter()
            .filter_map(|(label, address)| {
                Some(Mention {
                    label: label.clone(),
                    target: self.mentioned(room, address)?,
                })
            })
            .collect();
        if found.is_empty() {
            let state = room.state();
            let text = said.message.body.to_plain();
            let nicks = state.own_nicks.keys().chain(state.relayed.keys());
            if let Some(nick) = mentions::addressed(&text, nicks) {
                let puppet = state.own_nicks.get(nick).and_then(names::matrix_person);
                let relayed = state.relayed.get(nick).map(ToString::to_string);
                let target = puppet.or(relayed).and_then(matrix_target);
                found.extend(target.map(|target| Mention {
                    label: nick.clone(),
                    target,
                }));
            }
        }
        found
    }

    /// Whom an address means: an occupant, a puppet, or anybody else.
    fn mentioned(&self, room: &Room, address: &str) -> Option<MentionTarget> {
        let address = Jid::new(address).ok()?;
        let own = |address: &BareJid| names::matrix_person(address).and_then(matrix_target);
        if self.standing.owns(&address.to_bare()) {
            return own(&address.to_bare());
        }
        if address.to_bare() == room.address {
            let nick = address.resource()?.to_string();
            if let Some(puppet) = room.state().own_nicks.get(&nick) {
                return own(puppet);
            }
            let person = room.person(&Sender {
                nick: Some(nick),
                ..Sender::default()
            })?;
            return Some(MentionTarget::Person {
                network: person.network,
                id: person.id,
            });
        }
        let id = names::person_by_address(&address.to_bare())?;
        Some(MentionTarget::Person {
            network: self.context.network.clone(),
            id,
        })
    }

    fn edit(&self, room: &Room, id: &MessageId, sender: &Person, replaced: &str, said: &Said) -> Content {
        let target = room.state().index.by_stanza(sender.id.as_str(), replaced).cloned();
        let message = self.message(room, id, said);
        match target {
            Some(target) => Content::Edit { target, message },
            // Nobody knows any more what it corrects: the new wording is better than none.
            None => Content::Message(message),
        }
    }

    /// Makes last what was noted while events were made: only after the events are in the inbox, so that a crash in between
    /// repeats them rather than loses them.
    pub(super) async fn keep_notes(&self, room: &Room) {
        let (reactions, subject) = {
            let mut state = room.state();
            let subject = std::mem::take(&mut state.subject_noted).then(|| state.subject.clone());
            (std::mem::take(&mut state.noted_reactions), subject)
        };
        for (key, set) in reactions {
            self.remember_reactions(&key, &set).await;
        }
        if let Some(subject) = subject {
            self.remember_subject(room, &subject).await;
        }
    }
}

fn matrix_target(person: String) -> Option<MentionTarget> {
    Some(MentionTarget::Person {
        network: NetworkName::matrix(),
        id: PersonId::new(person).ok()?,
    })
}

/// The id of an event: the room's own, else made from its sender and the sender's own.
fn event_id(ids: &Ids, sender: &str) -> Option<MessageId> {
    if let Some(id) = ids.stanza.as_ref().and_then(|id| MessageId::new(id).ok()) {
        return Some(id);
    }
    let given = ids.origin.as_ref().or(ids.message.as_ref())?;
    names::made_id(sender, given)
}

/// The id of a message that has none at all: from everything else about it.
fn anonymous_id(reading: &Reading, sender: &Person, at: Timestamp) -> Option<MessageId> {
    let says = match &reading.says {
        Says::Message(said) => said.message.body.to_plain(),
        Says::Subject(subject) => subject.clone(),
        other => format!("{other:?}"),
    };
    names::made_id(sender.id.as_str(), &names::short_hash(&format!("{at} {says}")))
}

fn remember(room: &Room, id: &MessageId, reading: &Reading, said: &Said, sender: &str) {
    let known = Known {
        stanza: reading.ids.message.clone().or_else(|| reading.ids.origin.clone()),
        sender: sender.to_owned(),
        nick: reading.from.nick.clone().unwrap_or_default(),
        text: clip(&said.message.body.to_plain(), TEXT_BOUND),
        thread: said.thread.clone(),
    };
    room.state().index.remember(id.clone(), known);
}

/// The room refuses a message of the hub's.
fn refused(room: &Room, stanza: &Stanza) {
    let Some(id) = &stanza.id else { return };
    let error = xep::find::<StanzaError>(&stanza.payloads, "error", ns::DEFAULT_NS);
    let waiting = room.state().confirming.remove(&id.0);
    if let (Some(waiting), Some(error)) = (waiting, error) {
        drop(waiting.send(Err(Box::new(error))));
    }
}

/// The message meant by an id in a stanza: a room's own id, or in rooms without such what its sender called it.
fn target(room: &Room, id: &str) -> Option<MessageId> {
    let given = MessageId::new(id).ok()?;
    let state = room.state();
    if state.index.get(&given).is_some() {
        return Some(given);
    }
    let named = state.index.by_any_stanza(id).cloned();
    named.or_else(|| Some(given).filter(|_| state.features.stable_ids))
}

fn new_subject(room: &Room, subject: &str) -> Option<Content> {
    let mut state = room.state();
    if state.subject == subject {
        return None;
    }
    subject.clone_into(&mut state.subject);
    state.subject_noted = true;
    Some(Content::Topic {
        topic: subject.to_owned(),
    })
}

/// A message that its sender may withdraw: one of somebody else is not.
fn own_target(room: &Room, id: &str, sender: &Person) -> Option<MessageId> {
    let by_name = room.state().index.by_stanza(sender.id.as_str(), id).cloned();
    let target = by_name.or_else(|| target(room, id))?;
    let foreign = room
        .state()
        .index
        .get(&target)
        .is_some_and(|known| known.sender != sender.id.as_str());
    (!foreign).then_some(target)
}
