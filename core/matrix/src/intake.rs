//! A transaction's way in: parsed, converted, handed to the journal, and only then acknowledged.

use std::collections::{BTreeSet, HashMap};
use std::num::NonZeroUsize;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use futures_util::StreamExt;
use lru::LruCache;
use serde::Deserialize;
use serde_json::Value;
use sha2::{Digest, Sha256};
use tokio::sync::Mutex as AsyncMutex;
use viaduct_bridge::{InboxClosed, Ticket};
use viaduct_model::{ChannelId, Content, Event, MessageId, NetworkName, Place};

use crate::Homeserver;
use crate::client::{As, segment};
use crate::convert::inbound::{Skip, convert};
use crate::convert::raw::{EphemeralEvent, KeyChanges, RoomEvent, Transaction, text};
use crate::crypto::rooms::ENCRYPTION;
use crate::error::ApiError;
use crate::label::{LABEL, label_of};
use crate::metric::{self, Fate};
use crate::people::{Known, Profile};

/// How many transaction ids are remembered.
const TRANSACTIONS: NonZeroUsize = NonZeroUsize::new(256).unwrap();
/// How many ids of commands and invitations are remembered.
const COMMANDS: NonZeroUsize = NonZeroUsize::new(1024).unwrap();
/// How many rooms' typing people are remembered.
const TYPING: NonZeroUsize = NonZeroUsize::new(1000).unwrap();
/// How many profiles are asked for side by side.
const PROFILES: usize = 16;
/// How long a transaction waits for a profile.
const PROFILE_PATIENCE: Duration = Duration::from_secs(3);
/// The key under which transaction ids are remembered.
const TRANSACTION_KEY: &str = "transactions";

/// The words that make a text a command.
const COMMAND: &str = "!viaduct";

/// What the intake remembers.
pub(crate) struct Intake {
    /// Transactions are taken in one at a time, in the order in which they come.
    turn: AsyncMutex<()>,
    done: Mutex<LruCache<String, ()>>,
    told: Mutex<LruCache<String, ()>>,
    typing: Mutex<LruCache<String, BTreeSet<String>>>,
}

impl Intake {
    pub(crate) fn new() -> Self {
        Self {
            turn: AsyncMutex::default(),
            done: Mutex::new(LruCache::new(TRANSACTIONS)),
            told: Mutex::new(LruCache::new(COMMANDS)),
            typing: Mutex::new(LruCache::new(TYPING)),
        }
    }

    /// Waits until nothing else is being handed over.
    pub(crate) async fn turn(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.turn.lock().await
    }

    fn is_done(&self, transaction: &str) -> bool {
        self.done
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .contains(transaction)
    }

    /// Notes what somebody is told about, such as an event id; whether it is news.
    pub(crate) fn is_news(&self, event_id: &str) -> bool {
        self.told
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .put(event_id.to_owned(), ())
            .is_none()
    }
}

/// Why a transaction was not taken in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rejected {
    /// It is not JSON.
    NotJson,
    /// It is JSON of another shape.
    BadJson,
    /// The hub is stopping; the homeserver is to try again.
    Stopping,
    /// It could not be stored; the homeserver is to try again.
    NotStored,
}

impl From<InboxClosed> for Rejected {
    fn from(_: InboxClosed) -> Self {
        Self::Stopping
    }
}

impl Homeserver {
    /// Takes in a transaction. When this returns, everything in it that matters is on stable storage.
    pub(crate) async fn take_in(&self, transaction: &str, body: &[u8]) -> Result<(), Rejected> {
        // Serde would read a transaction from an array of its fields, too.
        if body.trim_ascii_start().first() == Some(&b'[') {
            return Err(Rejected::BadJson);
        }
        let parsed: Transaction<'_> = read_json(body)?;
        let keys: Option<KeyChanges<'_>> = self.crypto().map(|_| read_json(body)).transpose()?;
        self.observer.settled().await;
        let turn = self.intake.turn().await;
        let raws = self.read(&parsed);
        let fingerprint = fingerprint(transaction, &raws, keys.as_ref());
        if self.intake.is_done(&fingerprint) {
            metric::transaction("repeated");
            return Ok(());
        }
        // First the keys, then what they open.
        if let Some(keys) = &keys {
            self.take_in_keys(keys).await?;
        }
        self.learn(&raws).await;
        let tickets = self.pass_on(raws).await?;
        self.pass_on_ephemeral(&parsed).await?;
        drop(turn);
        for ticket in tickets {
            ticket.await?;
        }
        self.note_done(&fingerprint);
        metric::transaction("ok");
        Ok(())
    }

    /// Reads the transaction ids of earlier runs.
    pub(crate) async fn recall_transactions(&self) {
        let noted = self.notebook.read(TRANSACTION_KEY).await;
        let ids: Vec<String> = noted
            .and_then(|value| serde_json::from_slice(&value).ok())
            .unwrap_or_default();
        let mut done = self.intake.done.lock().unwrap_or_else(PoisonError::into_inner);
        for id in ids {
            done.put(id, ());
        }
    }

    /// Remembers a transaction: a saving only, as the journal knows every event by its own id.
    fn note_done(&self, transaction: &str) {
        let mut done = self.intake.done.lock().unwrap_or_else(PoisonError::into_inner);
        done.put(transaction.to_owned(), ());
        let mut last: Vec<&str> = done.iter().take(32).map(|(id, ())| id.as_str()).collect();
        last.reverse();
        let value = serde_json::to_vec(&last).ok();
        drop(done);
        self.notebook.note(TRANSACTION_KEY.to_owned(), value);
    }

    /// The events of a transaction that are somebody else's doing. One that cannot be read spoils no other.
    fn read(&self, transaction: &Transaction<'_>) -> Vec<RoomEvent> {
        let mut raws = Vec::with_capacity(transaction.events.len());
        for text in &transaction.events {
            match serde_json::from_str::<RoomEvent>(text.get()) {
                Ok(raw) if self.is_own_doing(&raw) => metric::event(Fate::Own),
                Ok(raw) => raws.push(raw),
                Err(error) => {
                    tracing::debug!(%error, "An event from the homeserver could not be read.");
                    metric::event(Fate::Malformed);
                }
            }
        }
        raws
    }

    /// Whether an event is nothing but our own doing. Also a room that the bot itself upgraded or encrypted is followed.
    fn is_own_doing(&self, raw: &RoomEvent) -> bool {
        self.names.is_own(&raw.sender) && !matches!(raw.kind.as_str(), "m.room.tombstone" | ENCRYPTION)
    }

    /// Learns the names of everybody who appears.
    async fn learn(&self, raws: &[RoomEvent]) {
        let mut strangers = BTreeSet::new();
        for raw in raws {
            if raw.kind == "m.room.member"
                && let Some(whom) = raw.state_key.as_deref()
                && matches!(text(&raw.content, "membership"), Some("join" | "invite"))
                && !self.names.is_own(whom)
            {
                let get = |key| text(&raw.content, key).map(str::to_owned);
                self.people.note(
                    whom,
                    Profile {
                        name: get("displayname"),
                        avatar: get("avatar_url"),
                    },
                );
            } else if !self.people.knows(&raw.sender) && self.observer.is_mirrored(&raw.room_id) {
                strangers.insert(raw.sender.clone());
            }
        }
        let asked = futures_util::stream::iter(strangers).map(|mxid| self.ask_profile(mxid));
        asked.buffer_unordered(PROFILES).collect::<Vec<()>>().await;
    }

    async fn ask_profile(&self, mxid: String) {
        #[derive(Deserialize)]
        struct Answer {
            displayname: Option<String>,
            avatar_url: Option<String>,
        }
        let path = format!("/_matrix/client/v3/profile/{}", segment(&mxid));
        let profile = match tokio::time::timeout(PROFILE_PATIENCE, self.api.get::<Answer>(&path, As::BOT)).await {
            Ok(Ok(answer)) => Profile {
                name: answer.displayname,
                avatar: answer.avatar_url,
            },
            // Noted as nameless, not asked for again with every message; their next membership event tells.
            Ok(Err(ApiError::Refused { .. })) => Profile::default(),
            Ok(Err(_)) | Err(_) => return,
        };
        self.people.note(&mxid, profile);
    }

    /// Attends to the events and hands over what can be read already.
    async fn pass_on(&self, raws: Vec<RoomEvent>) -> Result<Vec<Ticket>, Rejected> {
        let mut readable = Vec::with_capacity(raws.len());
        for raw in raws {
            readable.extend(self.readable(raw).await?);
        }
        self.hand_over(readable).await
    }

    /// Converts the events and hands them over, room by room, in order.
    pub(crate) async fn hand_over(&self, raws: Vec<RoomEvent>) -> Result<Vec<Ticket>, Rejected> {
        let mut rooms: Vec<Vec<Event>> = Vec::new();
        let mut places: HashMap<String, usize> = HashMap::new();
        for raw in raws {
            if !self.observer.is_mirrored(&raw.room_id) {
                metric::event(Fate::Elsewhere);
                continue;
            }
            if self.command_text(&raw).await.is_some() {
                // Said to the bot, not to the others.
                metric::event(Fate::Command);
                continue;
            }
            let directory = Known {
                people: &self.people,
                names: &self.names,
            };
            match convert(&raw, &directory) {
                Ok(mut events) => {
                    if let Some(key) = self.echo_of(&raw) {
                        for event in &mut events {
                            event.echo_of = Some(key.clone());
                        }
                    }
                    metric::event(Fate::Pushed);
                    let index = *places.entry(raw.room_id).or_insert_with(|| {
                        rooms.push(Vec::new());
                        rooms.len() - 1
                    });
                    if let Some(room) = rooms.get_mut(index) {
                        room.extend(events);
                    }
                }
                Err(skip) => metric::event(match skip {
                    Skip::Malformed => Fate::Malformed,
                    Skip::Unknown => Fate::Unknown,
                    Skip::Encrypted => Fate::Encrypted,
                }),
            }
        }
        let mut tickets = Vec::with_capacity(rooms.len());
        for events in rooms.into_iter().filter(|events| !events.is_empty()) {
            tickets.push(self.context.inbox.push(events).await?);
        }
        Ok(tickets)
    }

    /// Tells the observer what concerns it, and notes what concerns ghosts.
    pub(crate) async fn attend(&self, raw: &RoomEvent) {
        match (raw.kind.as_str(), raw.state_key.as_deref()) {
            ("m.room.member", Some(whom)) if self.names.is_own(whom) => self.attend_own_member(raw, whom).await,
            ("m.room.member", Some(_)) => {
                if let Some(crypto) = self.crypto() {
                    crypto.forget_members(&raw.room_id);
                }
            }
            (ENCRYPTION, Some("")) => self.rooms.learn(&raw.room_id, &raw.content),
            ("m.room.tombstone", Some("")) => self.attend_upgrade(raw).await,
            (LABEL, Some("")) if self.observer.is_mirrored(&raw.room_id) => {
                let label = label_of(&raw.content);
                self.observer.labelled(&raw.room_id, label.as_deref()).await;
            }
            ("m.room.message", None) => {
                if let Some(text) = self.command_text(raw).await
                    && self.intake.is_news(&raw.event_id)
                {
                    self.observer
                        .command(&raw.room_id, &raw.sender, &text, &raw.event_id)
                        .await;
                }
            }
            _ => {}
        }
    }

    async fn attend_own_member(&self, raw: &RoomEvent, whom: &str) {
        match text(&raw.content, "membership") {
            Some("invite") => {
                let direct = raw.content.get("is_direct").and_then(Value::as_bool).unwrap_or(false);
                if direct && whom == self.names.bot() {
                    self.notebook
                        .note(talk_key(&raw.room_id), Some(raw.sender.clone().into_bytes()));
                } else if direct {
                    self.note_direct(&raw.room_id, whom);
                }
                self.observer.invited(&raw.room_id, whom, &raw.sender, direct).await;
                // The bot talks to its own people; a room that is (or has just become) mirrored is entered in any case.
                let own_people = direct && raw.sender.ends_with(&format!(":{}", self.config.domain));
                let wanted = (own_people && whom == self.names.bot()) || self.observer.is_mirrored(&raw.room_id);
                if wanted && let Err(error) = self.accept(&raw.room_id, whom).await {
                    tracing::info!(room = %raw.room_id, %error, "An invitation could not be accepted yet.");
                }
            }
            Some("leave" | "ban") if whom != self.names.bot() => {
                let ghost = self.ghosts.get(whom);
                self.forget_room(&ghost, &raw.room_id).await;
            }
            _ => {}
        }
    }

    async fn attend_upgrade(&self, raw: &RoomEvent) {
        let Some(replacement) = text(&raw.content, "replacement_room").filter(|room| room.starts_with('!')) else {
            return;
        };
        if !self.observer.is_mirrored(&raw.room_id) || ChannelId::new(replacement).is_err() {
            return;
        }
        let bot = self.names.bot().to_owned();
        if let Err(error) = self.join_replacement(replacement, &raw.sender, &bot).await {
            tracing::warn!(room = %raw.room_id, replacement, %error, "The bot could not follow a room upgrade yet.");
        }
        self.observer.upgraded(&raw.room_id, replacement).await;
    }

    async fn join_replacement(&self, room: &str, by: &str, bot: &str) -> Result<(), ApiError> {
        // The new room may be on another server: the one of whoever upgraded it knows it.
        let via = by.split_once(':').map_or("", |(_, server)| server);
        let path = format!("/_matrix/client/v3/join/{}?via={}", segment(room), segment(via));
        self.api
            .post(&path, As::user(bot), &serde_json::json!({}))
            .await
            .map(drop)
    }

    /// The command in a message, if it is one.
    pub(crate) async fn command_text(&self, raw: &RoomEvent) -> Option<String> {
        if raw.kind != "m.room.message" || text(&raw.content, "msgtype") != Some("m.text") {
            return None;
        }
        if raw
            .content
            .get("m.relates_to")
            .is_some_and(|relation| text(relation, "rel_type") == Some("m.replace"))
        {
            return None;
        }
        // What somebody said elsewhere commands nobody here.
        if self.echo_of(raw).is_some() {
            return None;
        }
        let body = text(&raw.content, "body")?;
        let named = body
            .strip_prefix(COMMAND)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(char::is_whitespace));
        let direct = !named && !self.observer.is_mirrored(&raw.room_id) && self.is_talk(&raw.room_id).await;
        (named || direct).then(|| body.to_owned())
    }

    /// Whether a room is a direct chat with the bot.
    pub(crate) async fn is_talk(&self, room: &str) -> bool {
        self.notebook.read(&talk_key(room)).await.is_some()
    }

    /// Hands over who types and who has read what. Nobody waits for it to be stored, as it never is.
    async fn pass_on_ephemeral(&self, transaction: &Transaction<'_>) -> Result<(), Rejected> {
        for text in transaction.ephemeral.iter().chain(&transaction.ephemeral_unstable) {
            let Ok(raw) = serde_json::from_str::<EphemeralEvent>(text.get()) else {
                metric::event(Fate::Malformed);
                continue;
            };
            if !self.observer.is_mirrored(&raw.room_id) {
                continue;
            }
            let events = match raw.kind.as_str() {
                "m.typing" => self.typing(&raw),
                "m.receipt" => self.receipts(&raw),
                _ => Vec::new(),
            };
            if !events.is_empty() {
                drop(self.context.inbox.push(events).await?);
            }
        }
        Ok(())
    }

    fn typing(&self, raw: &EphemeralEvent) -> Vec<Event> {
        let list = raw
            .content
            .get("user_ids")
            .and_then(Value::as_array)
            .map(Vec::as_slice)
            .unwrap_or_default();
        let now: BTreeSet<String> = list
            .iter()
            .filter_map(Value::as_str)
            .filter(|mxid| !self.names.is_own(mxid))
            .take(100)
            .map(str::to_owned)
            .collect();
        let mut typing = self.intake.typing.lock().unwrap_or_else(PoisonError::into_inner);
        let before = typing.put(raw.room_id.clone(), now.clone()).unwrap_or_default();
        drop(typing);
        let started = now.difference(&before).map(|mxid| (mxid, true));
        let stopped = before.difference(&now).map(|mxid| (mxid, false));
        started
            .chain(stopped)
            .filter_map(|(mxid, active)| self.momentary(&raw.room_id, mxid, "typing", Content::Typing { active }))
            .collect()
    }

    fn receipts(&self, raw: &EphemeralEvent) -> Vec<Event> {
        let mut events = Vec::new();
        for (event_id, kinds) in raw.content.as_object().into_iter().flatten().take(100) {
            let readers = kinds.get("m.read").and_then(Value::as_object);
            for mxid in readers.into_iter().flat_map(|readers| readers.keys()).take(100) {
                if self.names.is_own(mxid) {
                    continue;
                }
                if let Ok(target) = MessageId::new(event_id) {
                    events.extend(self.momentary(&raw.room_id, mxid, "read", Content::Read { target }));
                }
            }
        }
        events
    }

    fn momentary(&self, room: &str, mxid: &str, what: &str, content: Content) -> Option<Event> {
        Some(Event {
            place: Place::new(NetworkName::matrix(), ChannelId::new(room).ok()?),
            id: MessageId::new(format!("{what}/{mxid}")).ok()?,
            sender: self.people.person(mxid)?,
            at: self.context.clock.now(),
            content,
            cursor: None,
            echo_of: None,
            direct_to: None,
        })
    }
}

/// What a transaction is remembered by: its id, its events, and its messages to devices. The id alone would not do: a homeserver whose database was
/// restored or made anew counts from the beginning again, and nothing may be taken for a repetition then.
fn fingerprint(transaction: &str, raws: &[RoomEvent], keys: Option<&KeyChanges<'_>>) -> String {
    let mut hash = Sha256::new();
    for raw in raws {
        hash.update((raw.event_id.len() as u64).to_be_bytes());
        hash.update(raw.event_id.as_bytes());
    }
    for message in keys.into_iter().flat_map(KeyChanges::to_device) {
        hash.update((message.get().len() as u64).to_be_bytes());
        hash.update(message.get().as_bytes());
    }
    let head = hash
        .finalize()
        .iter()
        .take(8)
        .fold(0_u64, |sum, byte| (sum << 8) | u64::from(*byte));
    let id: String = transaction.chars().take(64).collect();
    format!("{id}/{head:016x}")
}

/// Reads the body of a transaction.
fn read_json<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, Rejected> {
    serde_json::from_slice(body).map_err(|error| {
        if error.is_data() {
            Rejected::BadJson
        } else {
            Rejected::NotJson
        }
    })
}

fn talk_key(room: &str) -> String {
    format!("talk/{room}")
}
