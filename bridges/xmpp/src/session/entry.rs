//! Entering rooms: the hub itself, and puppets.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};
use viaduct_bridge::Connection;
use viaduct_model::{Author, Outbound};
use xmpp_parsers::jid::{BareJid, FullJid, Jid};
use xmpp_parsers::minidom::Element;
use xmpp_parsers::muc::muc::{History, Muc};
use xmpp_parsers::ping::Ping;
use xmpp_parsers::presence::Presence;
use xmpp_parsers::stanza_error::{DefinedCondition, StanzaError};

use super::leaving::GONE;
use super::room::{Room, Seat};
use super::{Chore, PUPPET_COPIES, PUPPET_COPIES_LEAST, Xmpp};
use crate::client::wire::{Ask, RequestError, Wire, describe};
use crate::convert::names::{RESOURCE, puppet_nick};
use crate::convert::words;
use crate::telemetry;

/// How often another nick is tried when one is taken.
const NICK_ATTEMPTS: u32 = 20;
/// First and longest pause between attempts to enter a room, in milliseconds.
const PAUSE: (u64, u64) = (2_000, 300_000);

/// The pause after an invitation: whoever invites without end does not make the hub knock without end.
const INVITED_PAUSE: Duration = Duration::from_secs(1);

/// Why nobody came in.
#[derive(Debug, Clone, PartialEq)]
pub enum EntryError {
    /// The connection is gone, or the room does not answer.
    Unanswered(String),
    /// The room says no.
    Refused(Box<StanzaError>),
}

impl std::fmt::Display for EntryError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unanswered(reason) => f.write_str(reason),
            Self::Refused(error) => f.write_str(&explain(error)),
        }
    }
}

/// A refusal to enter, in the operator's words.
fn explain(error: &StanzaError) -> String {
    let meaning = match error.defined_condition {
        DefinedCondition::RegistrationRequired => "the room is for members only; make the hub's address a member",
        DefinedCondition::Forbidden => "the hub is banned from the room",
        DefinedCondition::NotAuthorized => "the room asks for another password; see room_passwords",
        DefinedCondition::Conflict => "the nick is taken",
        DefinedCondition::ItemNotFound => "the room does not exist, or is locked",
        DefinedCondition::NotAllowed => "the room does not exist, and the service does not let the hub make it",
        DefinedCondition::ServiceUnavailable => "the room is full, or the service is not available",
        DefinedCondition::JidMalformed => "the room does not accept the nick",
        DefinedCondition::RemoteServerNotFound | DefinedCondition::RemoteServerTimeout => {
            "the room's server cannot be reached"
        }
        _ => return describe(error),
    };
    format!("{meaning} ({})", describe(error))
}

/// Who speaks for somebody in a room.
#[derive(Debug, Clone, PartialEq)]
pub struct Speaker {
    /// The address to send from.
    pub address: FullJid,
    /// The name to put in front of texts, if the speaker is the hub.
    pub relayed: Option<String>,
    /// Why, if it had been meant otherwise.
    pub loss: Option<String>,
}

impl Xmpp {
    /// Enters a room and catches up; tries without end while the connection lasts.
    pub(super) async fn keep_room(self: Arc<Self>, room: Arc<Room>, wire: Arc<Wire>) {
        let _turn = room.keeping.lock().await;
        let mut attempt = 0;
        while !room.state().left {
            let Ok(permit) = self.entries.acquire().await else {
                return;
            };
            let seated = match self.take_seat(&room, &wire).await {
                Ok(()) => self
                    .begin(&room, &wire)
                    .await
                    .map_err(|error| EntryError::Unanswered(error.to_string())),
                Err(error) => Err(error),
            };
            match seated {
                Ok(()) => {
                    tracing::info!(room = %room.address, "The hub entered a room.");
                    room.set_seat(Seat::In);
                    self.context.inbox.report(Some(&room.channel), Connection::Up);
                    self.reopened(&room).await;
                    self.catch_up(&room, &wire).await;
                    drop(permit);
                    self.bookmark(&room, &wire).await;
                    self.want_description(&room);
                    return;
                }
                Err(error) => {
                    tracing::warn!(room = %room.address, %error, "The hub cannot enter a room.");
                    room.set_seat(Seat::Out(error.to_string()));
                    self.context
                        .inbox
                        .report(Some(&room.channel), Connection::Down(error.to_string()));
                }
            }
            drop(permit);
            let longest = PAUSE.0.saturating_mul(1 << attempt.min(10)).min(PAUSE.1);
            let pause = longest / 2 + self.context.entropy.below(longest / 2 + 1);
            attempt += 1;
            tokio::select! {
                () = sleep(Duration::from_millis(pause)) => {}
                () = room.invited.notified() => {
                    attempt = 0;
                    sleep(INVITED_PAUSE).await;
                }
            }
        }
    }

    /// Makes sure, room by room, that the hub still sits where it believes to (XEP-0410): a room's server that restarted has
    /// forgotten it without a word.
    pub(super) async fn check_seats(self: Arc<Self>, wire: Arc<Wire>) {
        let own = self.standing.own().to_bare();
        for room in self.rooms.values() {
            let nick = {
                let state = room.state();
                let nick = state
                    .own_nicks
                    .iter()
                    .find(|(_, owner)| **owner == own)
                    .map(|(nick, _)| nick.clone());
                nick.filter(|_| state.seat == Seat::In)
            };
            let Some(to) = nick.and_then(|nick| room.occupant(&nick)) else {
                continue;
            };
            let ask = Ask {
                from: self.standing.own().clone().into(),
                to: to.into(),
                set: false,
                payload: Ping.into(),
            };
            if let Err(RequestError::Refused(error)) = wire.request(ask).await
                && is_absence(&error)
            {
                tracing::warn!(room = %room.address, "The room has forgotten the hub; entering again.");
                telemetry::room_lost();
                room.vacate(Seat::Entering);
                drop(self.chores.send(Chore::Enter(Arc::clone(room))));
            }
        }
    }

    async fn take_seat(&self, room: &Room, wire: &Wire) -> Result<(), EntryError> {
        self.load_own(room).await;
        let own_address = self.standing.own().to_bare();
        for attempt in 0..NICK_ATTEMPTS {
            let nick = if attempt == 0 {
                self.section.nick.clone()
            } else {
                format!("{} ({})", self.section.nick, attempt + 1)
            };
            {
                let mut state = room.state();
                state.live = false;
                state.roster = Some(std::collections::HashSet::new());
                state.own_nicks.insert(nick.clone(), own_address.clone());
            }
            match self.enter(room, wire, (self.standing.own(), &nick), None).await {
                Ok(given) => {
                    let about = self.discover(room, wire).await;
                    let about = about.map_err(|error| EntryError::Unanswered(error.to_string()))?;
                    let mut state = room.state();
                    state.call_own(&nick, given, &own_address);
                    state.features = about.features;
                    return Ok(());
                }
                Err(error) => {
                    room.state().own_nicks.remove(&nick);
                    if !is_conflict(&error) {
                        return Err(error);
                    }
                }
            }
        }
        Err(EntryError::Unanswered("every nick tried is taken".into()))
    }

    /// Sends somebody's presence into a room and waits for the room's answer: the nick they have.
    async fn enter(
        &self,
        room: &Room,
        wire: &Wire,
        (who, nick): (&FullJid, &str),
        looks: Option<Element>,
    ) -> Result<String, EntryError> {
        let target = room
            .occupant(nick)
            .ok_or_else(|| EntryError::Unanswered("the nick is impossible".into()))?;
        let (sender, receiver) = oneshot::channel();
        room.state().entering.insert(who.clone(), sender);
        let mut muc = Muc::new().with_history(History::new().with_maxstanzas(0));
        let configured = self.secrets.rooms.get(&room.address);
        let configured = configured.map(|password| password.reveal().to_owned());
        muc.password = configured.or_else(|| room.state().password.clone());
        let mut presence = Presence::available()
            .with_from(who.clone())
            .with_to(Jid::from(target))
            .with_payload(muc);
        presence.payloads.extend(looks);
        if let Err(error) = wire.send(presence).await {
            room.state().entering.remove(who);
            return Err(EntryError::Unanswered(error.to_string()));
        }
        let limit = Duration::from_secs(self.section.timeouts.join);
        match timeout(limit, receiver).await {
            Ok(Ok(Ok(nick))) => Ok(nick),
            Ok(Ok(Err(error))) => Err(EntryError::Refused(error)),
            Ok(Err(_)) => Err(EntryError::Unanswered("the connection was lost".into())),
            Err(_) => {
                room.state().entering.remove(who);
                Err(EntryError::Unanswered(format!(
                    "the room did not answer within {} s",
                    limit.as_secs()
                )))
            }
        }
    }

    /// Whoever is to speak for an author in a room: their puppet, or the hub.
    pub(super) async fn speaker(&self, room: &Room, wire: &Wire, author: &Author) -> Result<Speaker, EntryError> {
        let relay = |loss| Speaker {
            address: self.standing.own().clone(),
            // The hub speaks for itself.
            relayed: (!author.person.is_hub()).then(|| author.display.clone()),
            loss,
        };
        if !self.section.has_puppets() {
            return Ok(relay(None));
        }
        let Some(address) = self.standing.puppet(&author.person) else {
            return Ok(relay(None));
        };
        let Ok(full) = address.with_resource_str(RESOURCE) else {
            return Ok(relay(None));
        };
        let puppet = Speaker {
            address: full.clone(),
            relayed: None,
            loss: None,
        };
        let changed = self.note_profile(&address, &author.person);
        if room.state().puppets.contains_key(&address) {
            if changed {
                drop(self.chores.send(Chore::Refresh(Box::new(author.person.clone()))));
            }
            return Ok(puppet);
        }
        let door = Arc::clone(room.state().doors.entry(address.clone()).or_default());
        let turn = door.lock().await;
        if room.state().puppets.contains_key(&address) {
            return Ok(puppet);
        }
        let entered = match self.admit(room).await {
            Ok(_permit) if room.state().left => Err(EntryError::Unanswered(GONE.into())),
            Ok(_permit) => self.enter_puppet(room, wire, &address, &full, author).await,
            Err(_) => Err(EntryError::Unanswered("the hub is stopping".into())),
        };
        drop(turn);
        room.state().doors.remove(&address);
        if room.state().left {
            room.seat_changed.notify_waiters();
        }
        match entered {
            Ok(()) => Ok(puppet),
            Err(EntryError::Refused(error)) if error.defined_condition == DefinedCondition::Forbidden => {
                // Somebody the room has banned is not brought back in by another door.
                Err(EntryError::Refused(error))
            }
            Err(EntryError::Refused(error)) => {
                let reason = explain(&error);
                tracing::info!(room = %room.address, %reason, "A puppet cannot enter; the hub speaks for them.");
                Ok(relay(Some(words::in_the_hubs_name(self.context.language, &reason))))
            }
            Err(error) => Err(error),
        }
    }

    /// Waits until another puppet may enter a room: the larger it is, the fewer at a time.
    async fn admit(&self, room: &Room) -> Result<tokio::sync::SemaphorePermit<'_>, tokio::sync::AcquireError> {
        // One after another, so that the size of the room counts at the time of the entry.
        let _turn = self.admission.lock().await;
        let crowd = {
            let state = room.state();
            state.occupants.len().saturating_add(state.own_nicks.len())
        };
        let copies = u32::try_from(crowd.saturating_mul(2)).unwrap_or(PUPPET_COPIES);
        let copies = copies.clamp(PUPPET_COPIES_LEAST, PUPPET_COPIES);
        self.puppet_entries.acquire_many(copies).await
    }

    async fn enter_puppet(
        &self,
        room: &Room,
        wire: &Wire,
        address: &BareJid,
        full: &FullJid,
        author: &Author,
    ) -> Result<(), EntryError> {
        let looks = self.announcement(&author.person).await;
        let mut last = EntryError::Unanswered("every nick tried is taken".into());
        for attempt in 0..NICK_ATTEMPTS {
            let nick = puppet_nick(&self.section.nick_template, &author.person, attempt);
            {
                let mut state = room.state();
                if state.occupants.contains_key(&nick) || state.own_nicks.contains_key(&nick) {
                    continue;
                }
                state.own_nicks.insert(nick.clone(), address.clone());
            }
            match self.enter(room, wire, (full, &nick), looks.clone()).await {
                Ok(given) => {
                    let new = {
                        let mut state = room.state();
                        state.call_own(&nick, given.clone(), address);
                        state.puppets.insert(address.clone(), given.clone());
                        state.past_nicks.insert(given.clone())
                    };
                    if new {
                        self.remember_own(room, "nick", &given).await;
                    }
                    return Ok(());
                }
                Err(error) => {
                    room.state().own_nicks.remove(&nick);
                    if !is_conflict(&error) {
                        return Err(error);
                    }
                    last = error;
                }
            }
        }
        Err(last)
    }

    /// Makes the author's puppet ahead of a delivery.
    pub(super) async fn prepare_puppet(&self, outbound: &Outbound) {
        let Ok((room, wire)) = self.seated(&outbound.to.channel).await else {
            return;
        };
        if let Err(error) = self.speaker(room, &wire, &outbound.author).await {
            tracing::debug!(%error, "A puppet could not be prepared.");
        }
    }

    /// Reads which names in the room were the hub's own at any time, and the subject last told.
    async fn load_own(&self, room: &Room) {
        let prefix = format!("own/{}/", room.channel);
        let Ok(entries) = self.context.state.scan(&prefix).await else {
            return;
        };
        let subject = self.context.state.get(&subject_key(room)).await.ok().flatten();
        let subject = subject
            .and_then(|subject| String::from_utf8(subject).ok())
            .unwrap_or_default();
        let mut state = room.state();
        state.subject = subject;
        for (key, _) in entries {
            let Some((kind, name)) = key.strip_prefix(&prefix).and_then(|rest| rest.split_once('/')) else {
                continue;
            };
            match kind {
                "nick" => drop(state.past_nicks.insert(name.to_owned())),
                _ => drop(state.own_occupants.insert(name.to_owned())),
            }
        }
    }

    /// Remembers the subject for good, so that it is not told again after a restart.
    pub(super) async fn remember_subject(&self, room: &Room, subject: &str) {
        let change = (subject_key(room), Some(subject.as_bytes().to_vec()));
        if let Err(error) = self.context.state.put(vec![change]).await {
            tracing::warn!(%error, "The subject could not be remembered.");
        }
    }

    /// Remembers for good that a name in the room is the hub's own.
    pub(super) async fn remember_own(&self, room: &Room, kind: &str, name: &str) {
        let key = format!("own/{}/{kind}/{name}", room.channel);
        if let Err(error) = self.context.state.put(vec![(key, Some(Vec::new()))]).await {
            tracing::warn!(%error, "A puppet's name could not be remembered.");
        }
    }
}

fn subject_key(room: &Room) -> String {
    format!("subject/{}", room.channel)
}

/// Whether the answer to a ping of oneself says that one is not in the room.
fn is_absence(error: &StanzaError) -> bool {
    !matches!(
        error.defined_condition,
        DefinedCondition::ServiceUnavailable
            | DefinedCondition::FeatureNotImplemented
            | DefinedCondition::RemoteServerNotFound
            | DefinedCondition::RemoteServerTimeout
            | DefinedCondition::ItemNotFound
    )
}

fn is_conflict(error: &EntryError) -> bool {
    matches!(error, EntryError::Refused(error)
        if matches!(error.defined_condition, DefinedCondition::Conflict | DefinedCondition::JidMalformed))
}
