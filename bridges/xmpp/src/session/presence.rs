//! Who comes, goes and changes in a room.

use std::sync::Arc;

use viaduct_bridge::{Connection, InboxClosed};
use viaduct_model::{Content, Event, Membership, MessageId, NetworkName, Person, PersonId, Role};
use xmpp_parsers::jid::{BareJid, FullJid, Jid};
use xmpp_parsers::ns;
use xmpp_parsers::occupant_id::OccupantId;
use xmpp_parsers::presence::{Presence, Type};
use xmpp_parsers::stanza_error::StanzaError;

use super::leaving::GONE;
use super::room::{Occupant, Room, Seat, State};
use super::{Chore, Xmpp, avatars};
use crate::client::wire::Wire;
use crate::convert::incoming::From as Sender;
use crate::convert::{names, words};
use crate::telemetry;
use crate::xep::xep0045_muc_user::{self as muc, MucUser};
use crate::xep::{self, xep0317_hats};

impl Xmpp {
    /// Takes a presence of a room's occupant; others do not concern the hub.
    pub(super) async fn on_presence(&self, wire: &Wire, presence: Presence) -> Vec<Event> {
        let Some(from) = presence.from.clone() else {
            return Vec::new();
        };
        let Some(room) = self.rooms.get(&from.to_bare()) else {
            self.on_acquaintance(wire, &from, &presence);
            return Vec::new();
        };
        let Some(Ok(to)) = presence.to.clone().map(FullJid::try_from) else {
            return Vec::new();
        };
        let nick = from.resource().map(ToString::to_string);
        match (&presence.type_, nick) {
            (Type::Error, _) => {
                let error = xep::find::<StanzaError>(&presence.payloads, "error", ns::DEFAULT_NS);
                if let (Some(waiting), Some(error)) = (room.state().entering.remove(&to), error) {
                    drop(waiting.send(Err(Box::new(error))));
                }
                Vec::new()
            }
            // The room itself: its picture is announced this way.
            (Type::None, None) if to == *self.standing.own() => {
                self.want_description(room);
                Vec::new()
            }
            (Type::None, Some(nick)) => self.on_available(room, &to, nick, &presence).await,
            (Type::Unavailable, Some(nick)) => self.on_unavailable(room, &to, &nick, &presence),
            _ => Vec::new(),
        }
    }

    async fn on_available(&self, room: &Room, to: &FullJid, nick: String, presence: &Presence) -> Vec<Event> {
        let is_hub = *to == *self.standing.own();
        let user = MucUser::find(&presence.payloads).unwrap_or_default();
        let is_self = user.has(muc::SELF_PRESENCE) || room.state().own_nicks.get(&nick) == Some(&to.to_bare());
        // A puppet sees everybody, too; what matters is what the hub sees.
        if !is_hub && !is_self {
            return Vec::new();
        }
        let occupant_id: Option<OccupantId> = xep::find(&presence.payloads, "occupant-id", ns::OID);
        let occupant_id = occupant_id.map(|occupant| occupant.id);
        if is_self {
            let new = occupant_id.filter(|id| room.state().own_occupants.insert(id.clone()));
            if let Some(id) = new {
                self.remember_own(room, "occupant", &id).await;
            }
            let gone = if is_hub { self.complete_roster(room) } else { Vec::new() };
            if let Some(waiting) = room.state().entering.remove(to) {
                drop(waiting.send(Ok(nick)));
            }
            return gone;
        }
        let item = user.item.unwrap_or_default();
        let silent = !presence
            .payloads
            .iter()
            .any(|payload| payload.is("x", ns::VCARD_UPDATE));
        let mut occupant = Occupant {
            id: occupant_id,
            address: item.jid,
            affiliation: item.affiliation,
            role: item.role,
            picture: avatars::announced(&presence.payloads).filter(|_| self.section.avatars),
            titles: if self.section.hats {
                xep0317_hats::titles(&presence.payloads)
            } else {
                Vec::new()
            },
        };
        let before = {
            let mut state = room.state();
            if state.own_nicks.contains_key(&nick) {
                return Vec::new();
            }
            if let Some(roster) = &mut state.roster {
                roster.insert(nick.clone());
            }
            if silent {
                occupant.picture = known_picture(&state, &nick, &occupant);
            }
            state.note_occupant(&nick, occupant.clone())
        };
        let Some(person) = room.person(&sender_of(&nick, &occupant)) else {
            return Vec::new();
        };
        if before.is_none() {
            self.seek_again(&person.id);
        }
        match before {
            None => self.membership(room, person.clone(), person, Membership::Join, None),
            Some(before) if role_of(&before) != role_of(&occupant) => {
                let role = role_of(&occupant);
                self.change(room, self.room_itself(room), Content::Role { person, role })
            }
            Some(_) => Vec::new(),
        }
    }

    /// The hub is in: whoever it had known before and did not see now has left meanwhile.
    fn complete_roster(&self, room: &Room) -> Vec<Event> {
        let gone: Vec<(String, Occupant)> = {
            let mut state = room.state();
            let Some(seen) = state.roster.take() else {
                return Vec::new();
            };
            state.occupants.extract_if(|nick, _| !seen.contains(nick)).collect()
        };
        let people = gone
            .iter()
            .filter_map(|(nick, occupant)| room.person(&sender_of(nick, occupant)));
        people
            .flat_map(|person| self.membership(room, person.clone(), person, Membership::Leave, None))
            .collect()
    }

    fn on_unavailable(&self, room: &Arc<Room>, to: &FullJid, nick: &str, presence: &Presence) -> Vec<Event> {
        let user = MucUser::find(&presence.payloads).unwrap_or_default();
        let owner = room.state().own_nicks.get(nick).cloned();
        match owner {
            Some(owner) if owner == to.to_bare() => self.on_own_leave(room, to, nick, &user),
            None if *to == *self.standing.own() => self.on_other_leave(room, nick, user),
            _ => Vec::new(),
        }
    }

    fn on_other_leave(&self, room: &Room, nick: &str, user: MucUser) -> Vec<Event> {
        let Some(occupant) = room.state().occupants.remove(nick) else {
            return Vec::new();
        };
        let Some(person) = room.person(&sender_of(nick, &occupant)) else {
            return Vec::new();
        };
        let new_nick = user
            .item
            .as_ref()
            .and_then(|item| item.nick.clone())
            .filter(|_| user.has(muc::NEW_NICK));
        if let Some(new_nick) = new_nick {
            room.state().note_occupant(&new_nick, occupant.clone());
            let renamed = room.person(&sender_of(&new_nick, &occupant)).unwrap_or(person);
            let change = Membership::Rename { from: nick.to_owned() };
            return self.membership(room, renamed.clone(), renamed, change, None);
        }
        let change = leave_of(&user);
        let sender = if matches!(change, Membership::Kick | Membership::Ban) {
            self.room_itself(room)
        } else {
            person.clone()
        };
        let reason = user.item.and_then(|item| item.reason);
        self.membership(room, sender, person, change, reason)
    }

    /// The hub, or a puppet, is out.
    fn on_own_leave(&self, room: &Arc<Room>, to: &FullJid, nick: &str, user: &MucUser) -> Vec<Event> {
        let new_nick = user
            .item
            .as_ref()
            .and_then(|item| item.nick.clone())
            .filter(|_| user.has(muc::NEW_NICK));
        if let Some(new_nick) = new_nick {
            let mut state = room.state();
            state.own_nicks.insert(new_nick.clone(), to.to_bare());
            state.puppets.entry(to.to_bare()).and_modify(|known| *known = new_nick);
            return Vec::new();
        }
        if *to == *self.standing.own() {
            return self.on_seat_lost(room, user);
        }
        {
            let mut state = room.state();
            state.own_nicks.remove(nick);
            state.puppets.remove(&to.to_bare());
        }
        room.seat_changed.notify_waiters();
        let change = leave_of(user);
        let person =
            matrix_puppet(&to.to_bare(), nick).filter(|_| matches!(change, Membership::Kick | Membership::Ban));
        let Some(person) = person else { return Vec::new() };
        let reason = user.item.as_ref().and_then(|item| item.reason.clone());
        self.membership(room, self.room_itself(room), person, change, reason)
    }

    fn on_seat_lost(&self, room: &Arc<Room>, user: &MucUser) -> Vec<Event> {
        if room.state().left {
            room.vacate(Seat::Out(GONE.to_owned()));
            return Vec::new();
        }
        let reason = match (&user.destroyed, leave_of(user)) {
            (Some((reason, moved)), _) => {
                let moved = moved.as_ref().map(Jid::as_str);
                words::destroyed(self.context.language, reason.as_deref(), moved)
            }
            (None, Membership::Ban) => "the hub was banned from the room".to_owned(),
            (None, Membership::Kick) => "the hub was removed from the room".to_owned(),
            _ => "the room let the hub go".to_owned(),
        };
        telemetry::room_lost();
        tracing::warn!(room = %room.address, %reason, "The hub lost its seat in a room.");
        self.context
            .inbox
            .report(Some(&room.channel), Connection::Down(reason.clone()));
        if user.destroyed.is_some() {
            // To enter again would make the room anew.
            room.vacate(Seat::Out(reason.clone()));
            room.state().closed = true;
            return self.change(room, self.room_itself(room), Content::Closed { reason });
        }
        room.vacate(Seat::Entering);
        drop(self.chores.send(Chore::Enter(Arc::clone(room))));
        Vec::new()
    }

    /// The room as a sender, for what no person is known to have done.
    pub(super) fn room_itself(&self, room: &Room) -> Person {
        let name = room
            .address
            .node()
            .map_or_else(|| room.address.to_string(), ToString::to_string);
        Person {
            bot: true,
            ..names::person(&self.context.network, room.itself.clone(), &name, None)
        }
    }

    fn membership(
        &self,
        room: &Room,
        sender: Person,
        person: Person,
        change: Membership,
        reason: Option<String>,
    ) -> Vec<Event> {
        let told = self.section.membership
            || !matches!(change, Membership::Join | Membership::Leave | Membership::Rename { .. });
        if !told {
            return Vec::new();
        }
        self.change(room, sender, Content::Membership { person, change, reason })
    }

    /// An event that happens now and that the network gives no id.
    pub(super) fn change(&self, room: &Room, sender: Person, content: Content) -> Vec<Event> {
        let Ok(id) = MessageId::new(format!("now {} {}", self.context.clock.now(), self.random())) else {
            return Vec::new();
        };
        let at = self.context.clock.now();
        vec![Event {
            place: room.place.clone(),
            id,
            sender,
            at,
            content,
            cursor: None,
            echo_of: None,
            direct_to: None,
        }]
    }

    /// Pushes events, if there are any.
    pub(super) async fn tell(&self, events: Vec<Event>) -> Result<(), InboxClosed> {
        if !events.is_empty() {
            drop(self.context.inbox.push(events).await?);
        }
        Ok(())
    }
}

impl Xmpp {
    /// A presence of somebody outside the rooms: they ask to see a puppet's presence, or tell of theirs.
    fn on_acquaintance(&self, wire: &Wire, from: &Jid, presence: &Presence) {
        let asks = matches!(presence.type_, Type::Subscribe | Type::Probe);
        let Some(to) = presence.to.clone().filter(|_| asks && self.section.has_puppets()) else {
            return;
        };
        let answer = |kind: Type| Presence::new(kind).with_from(to.clone()).with_to(from.clone());
        if !self.section.presence || names::matrix_person(&to.to_bare()).is_none() {
            if presence.type_ == Type::Subscribe {
                wire.send_or_drop(answer(Type::Unsubscribed));
            }
            return;
        }
        if presence.type_ == Type::Subscribe {
            wire.send_or_drop(answer(Type::Subscribed));
        }
        wire.send_or_drop(answer(Type::None));
    }
}

/// The picture that was found of an occupant who says nothing of one.
fn known_picture(state: &State, nick: &str, occupant: &Occupant) -> Option<String> {
    let before = state.occupants.get(nick)?;
    let same = before.address.is_some() && before.address == occupant.address;
    before.picture.clone().filter(|_| same)
}

fn sender_of(nick: &str, occupant: &Occupant) -> Sender {
    Sender {
        nick: Some(nick.to_owned()),
        occupant: occupant.id.clone(),
        address: occupant.address.clone(),
    }
}

fn matrix_puppet(address: &BareJid, nick: &str) -> Option<Person> {
    let id = PersonId::new(names::matrix_person(address)?).ok()?;
    Some(names::person(&NetworkName::matrix(), id, nick, None))
}

fn leave_of(user: &MucUser) -> Membership {
    if user.has(muc::BANNED) {
        Membership::Ban
    } else if user.has(muc::TECHNICAL) {
        Membership::Absent
    } else if user.has(muc::KICKED) || user.has(muc::AFFILIATION_LOST) || user.has(muc::MEMBERS_ONLY) {
        Membership::Kick
    } else {
        Membership::Leave
    }
}

fn role_of(occupant: &Occupant) -> Role {
    match (occupant.affiliation.as_str(), occupant.role.as_str()) {
        ("owner", _) => Role::Admin,
        ("admin", _) | (_, "moderator") => Role::Moderator,
        (_, "visitor") => Role::Visitor,
        _ => Role::Member,
    }
}
