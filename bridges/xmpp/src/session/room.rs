//! One mirrored room: who sits in it, who waits for it, and what is known of it.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;
use viaduct_model::{ChannelId, IdError, MediaRef, MessageId, NetworkName, Person, PersonId, Place, Timestamp};
use xmpp_parsers::jid::{BareJid, FullJid, Jid};
use xmpp_parsers::message::Message as Stanza;
use xmpp_parsers::ns;
use xmpp_parsers::stanza_error::StanzaError;

use super::index::Index;
use super::standing::Standing;
use crate::convert::incoming::From as Sender;
use crate::convert::names;
use crate::xep::xep0425_moderation;

/// So many people of one room are kept track of; further ones are known by their nick only.
const OCCUPANT_BOUND: usize = 50_000;
/// So many people for whom the hub speaks can be addressed by name.
const RELAYED_BOUND: usize = 4096;
/// So many live messages wait while a room catches up; with more, it starts over from the archive.
const PENDING_BOUND: usize = 2_000;

/// What a room can do, as it says itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a feature of its own")]
pub struct Features {
    /// Whether the room was asked at all.
    pub known: bool,
    /// It keeps an archive (XEP-0313).
    pub archive: bool,
    /// It gives messages ids (XEP-0359).
    pub stable_ids: bool,
    /// It gives people ids (XEP-0421).
    pub occupant_ids: bool,
    /// Moderators can withdraw messages (XEP-0425); whether only in its first version.
    pub moderation: Option<ModerationVersion>,
}

/// A version of XEP-0425.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ModerationVersion {
    /// `:0`.
    First,
    /// `:1`.
    Current,
}

impl Features {
    /// From the features a room lists.
    pub fn from_list<'a>(list: impl Iterator<Item = &'a str>) -> Self {
        let mut features = Self {
            known: true,
            ..Self::default()
        };
        for feature in list {
            match feature {
                ns::MAM => features.archive = true,
                ns::SID | "http://jabber.org/protocol/muc#stable_id" => features.stable_ids = true,
                ns::OID => features.occupant_ids = true,
                xep0425_moderation::NS => features.moderation = Some(ModerationVersion::Current),
                xep0425_moderation::NS_0 if features.moderation.is_none() => {
                    features.moderation = Some(ModerationVersion::First);
                }
                _ => {}
            }
        }
        // An archive gives its ids to live messages too.
        features.stable_ids |= features.archive;
        features
    }
}

/// Somebody in the room.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Occupant {
    /// Their occupant-id.
    pub id: Option<String>,
    /// Their real address.
    pub address: Option<Jid>,
    /// Their affiliation.
    pub affiliation: String,
    /// Their role.
    pub role: String,
    /// The digest of their picture.
    pub picture: Option<String>,
    /// What the room says they are.
    pub titles: Vec<String>,
}

/// Whether the hub itself is in a room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seat {
    /// It is.
    In,
    /// It is about to be.
    Entering,
    /// It is not, and why.
    Out(String),
}

impl Default for Seat {
    fn default() -> Self {
        Self::Out("not connected yet".to_owned())
    }
}

/// How an attempt to enter ended.
pub type Entered = Result<String, Box<StanzaError>>;

/// A message as the room showed it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reflection {
    /// Its id there.
    pub id: MessageId,
    /// When, if told.
    pub at: Option<Timestamp>,
}

/// Resolves when the room shows a message, or refuses it.
pub type Confirmation = oneshot::Sender<Result<Reflection, Box<StanzaError>>>;

/// What changes.
#[derive(Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a fact about the room, and independent of the others"
)]
pub struct State {
    /// Whether the hub itself is in.
    pub seat: Seat,
    /// Whether it was destroyed, and the other sides were told.
    pub closed: bool,
    /// Whether the hub has left for good.
    pub left: bool,
    /// Puppets that have said goodbye, before the hub leaves for good.
    pub leaving: HashSet<BareJid>,
    /// Those seen since the hub began to enter; none once it is in.
    pub roster: Option<HashSet<String>>,
    /// What the room can do.
    pub features: Features,
    /// Whether live messages are passed on; before, they wait in `pending`.
    pub live: bool,
    /// Live messages that wait.
    pub pending: VecDeque<Stanza>,
    /// Some of them were dropped: the archive has to be read once more.
    pub overflowed: bool,
    /// The people in the room by nick, without puppets.
    pub occupants: HashMap<String, Occupant>,
    /// Nicks of puppets (and the hub itself), with their addresses.
    pub own_nicks: HashMap<String, BareJid>,
    /// Nicks that puppets had at any time, for rooms without occupant-ids.
    pub past_nicks: HashSet<String>,
    /// Occupant-ids of puppets and the hub itself, of all times.
    pub own_occupants: HashSet<String>,
    /// The password that came with an invitation.
    pub password: Option<String>,
    /// Nicks of puppets that are in.
    pub puppets: HashMap<BareJid, String>,
    /// Puppets about to enter: whoever else needs the same one waits here for it.
    pub doors: HashMap<BareJid, Arc<tokio::sync::Mutex<()>>>,
    /// For whom the hub has spoken lately, by the name it gave them.
    pub relayed: HashMap<String, PersonId>,
    /// Attempts to enter under way.
    pub entering: HashMap<FullJid, oneshot::Sender<Entered>>,
    /// Messages whose reflection is awaited, by their stanza id.
    pub confirming: HashMap<String, Confirmation>,
    /// The latest messages.
    pub index: Index,
    /// Sets of reactions that are told but not yet remembered for good, by their key.
    pub noted_reactions: HashMap<String, Vec<String>>,
    /// The subject last heard of; empty for none.
    pub subject: String,
    /// Whether it has yet to be remembered for good.
    pub subject_noted: bool,
}

/// One mirrored room.
pub struct Room {
    /// Its name in the mirror.
    pub channel: ChannelId,
    /// It as a place.
    pub place: Place,
    /// Its address.
    pub address: BareJid,
    /// It as the sender of what nobody else is known to have done.
    pub itself: PersonId,
    /// The id of what has none of its own.
    pub shown: MessageId,
    /// Held by whoever brings the hub into the room and up to date: one at a time.
    pub keeping: tokio::sync::Mutex<()>,
    /// Whether it is about to be looked what the room says of itself.
    pub description_wanted: AtomicBool,
    /// Held by whoever looks: one at a time.
    pub describing: tokio::sync::Mutex<()>,
    /// Told when somebody invites the hub.
    pub invited: tokio::sync::Notify,
    /// Told whenever the hub's seat changes.
    pub seat_changed: tokio::sync::Notify,
    state: Mutex<State>,
}

impl Room {
    /// A room nobody is in yet.
    pub fn new(network: &NetworkName, channel: &ChannelId, address: BareJid) -> Result<Self, IdError> {
        Ok(Self {
            channel: channel.clone(),
            itself: PersonId::new(address.as_str())?,
            shown: MessageId::new("shown")?,
            place: Place::new(network.clone(), channel.clone()),
            address,
            keeping: tokio::sync::Mutex::default(),
            description_wanted: AtomicBool::new(false),
            describing: tokio::sync::Mutex::default(),
            invited: tokio::sync::Notify::new(),
            seat_changed: tokio::sync::Notify::new(),
            state: Mutex::default(),
        })
    }

    /// What changes. Never held across an await.
    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes whether the hub is in, and tells those who wait for it.
    pub fn set_seat(&self, seat: Seat) {
        self.state().seat = seat;
        self.seat_changed.notify_waiters();
    }

    /// The connection or the seat is gone, and with it everything that stood on it.
    pub fn vacate(&self, seat: Seat) {
        self.state().vacate();
        self.set_seat(seat);
    }

    /// The nick that a puppet, or the hub itself, has here.
    pub fn nick_of_own(&self, own: &BareJid) -> Option<String> {
        let state = self.state();
        let found = state.own_nicks.iter().find(|(_, owner)| *owner == own);
        found.map(|(nick, _)| nick.clone())
    }

    /// An occupant's address; none if the nick is impossible.
    pub fn occupant(&self, nick: &str) -> Option<FullJid> {
        self.address.with_resource_str(nick).ok()
    }

    /// Who a sender is.
    pub fn person(&self, sender: &Sender) -> Option<Person> {
        let nick = sender.nick.as_deref()?;
        let state = self.state();
        let present = state
            .occupants
            .get(nick)
            .filter(|present| sender.occupant.is_none() || present.id == sender.occupant)
            .or_else(|| {
                state
                    .occupants
                    .values()
                    .find(|other| sender.occupant.is_some() && other.id == sender.occupant)
            });
        let address = sender
            .address
            .as_ref()
            .or_else(|| present.and_then(|present| present.address.as_ref()));
        let occupant = sender
            .occupant
            .as_ref()
            .or_else(|| present.and_then(|present| present.id.as_ref()));
        let id = match (address, occupant) {
            (Some(address), _) => names::person_by_address(&address.to_bare()),
            (None, Some(occupant)) => names::person_by_occupant(&self.address, occupant),
            (None, None) => names::person_by_nick(&self.address, nick),
        };
        let titles = present.map(|present| present.titles.join(", ")).unwrap_or_default();
        let name = if titles.is_empty() {
            nick.to_owned()
        } else {
            format!("{nick} ({titles})")
        };
        let mut person = names::person(&self.place.network, id?, &name, address);
        person.avatar = present.and_then(|present| {
            let owner = match &present.address {
                Some(address) => Jid::from(address.to_bare()),
                None => Jid::from(self.occupant(nick)?),
            };
            Some(MediaRef {
                network: self.place.network.clone(),
                locator: super::avatars::locator(&owner, present.picture.as_ref()?),
            })
        });
        Some(person)
    }
}

impl Room {
    /// The nick of a person in the room.
    pub fn nick_of(&self, person: &PersonId) -> Option<String> {
        let state = self.state();
        let is_them = |nick: &str, occupant: &Occupant| {
            let id = match (&occupant.address, &occupant.id) {
                (Some(address), _) => names::person_by_address(&address.to_bare()),
                (None, Some(id)) => names::person_by_occupant(&self.address, id),
                (None, None) => names::person_by_nick(&self.address, nick),
            };
            id.as_ref() == Some(person)
        };
        let found = state.occupants.iter().find(|(nick, occupant)| is_them(nick, occupant));
        found.map(|(nick, _)| nick.clone())
    }
}

impl State {
    /// Whether an archived message is the hub's own.
    pub fn was_own(&self, sender: &Sender, standing: &Standing) -> bool {
        match (&sender.address, &sender.occupant, &sender.nick) {
            (Some(address), _, _) => standing.owns(&address.to_bare()),
            (None, Some(occupant), _) => self.own_occupants.contains(occupant),
            (None, None, Some(nick)) => self.past_nicks.contains(nick),
            (None, None, None) => false,
        }
    }

    /// Whether something is to be remembered for good once what follows from it is in the inbox.
    pub fn has_notes(&self) -> bool {
        self.subject_noted || !self.noted_reactions.is_empty()
    }

    /// Notes an occupant and gives back what was known of them. With too many occupants nothing is noted.
    pub fn note_occupant(&mut self, nick: &str, occupant: Occupant) -> Option<Occupant> {
        if self.occupants.len() >= OCCUPANT_BOUND && !self.occupants.contains_key(nick) {
            return None;
        }
        self.occupants.insert(nick.to_owned(), occupant)
    }

    /// Notes the nick the room gave instead of the one asked for.
    pub fn call_own(&mut self, asked: &str, given: String, owner: &BareJid) {
        if given != asked {
            self.own_nicks.remove(asked);
            self.own_nicks.insert(given, owner.clone());
        }
    }

    /// Notes for whom the hub speaks, so that they can be addressed. With too many nobody is noted.
    pub fn note_relayed(&mut self, name: &str, person: &Person) {
        if person.network.is_matrix() && (self.relayed.len() < RELAYED_BOUND || self.relayed.contains_key(name)) {
            self.relayed.insert(name.to_owned(), person.id.clone());
        }
    }

    /// Keeps a live message until the room has caught up.
    pub fn postpone(&mut self, stanza: Stanza) {
        if self.pending.len() >= PENDING_BOUND {
            self.pending.clear();
            self.overflowed = true;
        }
        if !self.overflowed {
            self.pending.push_back(stanza);
        }
    }

    fn vacate(&mut self) {
        self.roster = None;
        self.live = false;
        self.pending.clear();
        self.overflowed = false;
        self.own_nicks.clear();
        self.puppets.clear();
        self.entering.clear();
        self.confirming.clear();
    }
}
