//! Events whose key has not come yet, and what is said after them in the same room.
//!
//! What waits is known by its event ids, in the order in which it came; the homeserver has the events. A note is stored before
//! the transaction that brought the event is acknowledged, and removed after the event is in the journal, which knows every
//! event by its id: one that is handed over again after a crash is there once.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::StreamExt;
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;
use viaduct_model::Timestamp;

use super::open::Opened;
use super::rooms::Unfit;
use super::seal::ENCRYPTED;
use super::words::Unread;
use crate::Homeserver;
use crate::client::{As, segment};
use crate::convert::raw::RoomEvent;
use crate::error::ApiError;
use crate::intake::Rejected;
use crate::metric::{self, Fate};

/// How long a key is waited for.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);
/// How often it is looked whether somebody waits too long.
const CHECK: Duration = Duration::from_secs(1);
/// How many events of one room may wait; beyond it the first is not waited for any longer.
const ROOM_BOUND: usize = 1000;
/// How many rooms are seen to side by side.
const SIDE_BY_SIDE: usize = 8;
/// How many people wait to be told something; beyond it they are not.
const TELLING_BOUND: usize = 1000;
/// Where the notes are in the state.
const PREFIX: &str = "waiting/";

/// One event that waits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Waiter {
    #[serde(skip)]
    number: u64,
    room: String,
    event: String,
    since: Timestamp,
}

/// Something that somebody is to be told.
#[derive(Debug)]
struct Word {
    room: String,
    /// The event it is about; none: the whole room.
    event: Option<String>,
    text: &'static str,
    key: String,
}

/// What waits.
#[derive(Debug, Default)]
pub(crate) struct Waiting {
    rooms: Mutex<BTreeMap<String, VecDeque<Waiter>>>,
    words: Mutex<VecDeque<Word>>,
    next: AtomicU64,
    wake: Notify,
}

impl Waiting {
    fn rooms(&self) -> MutexGuard<'_, BTreeMap<String, VecDeque<Waiter>>> {
        self.rooms.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether something of a room waits, so that what comes now waits behind it.
    pub(crate) fn holds(&self, room: &str) -> bool {
        self.rooms().contains_key(room)
    }

    /// A key came: perhaps somebody waited for it.
    pub(crate) fn key_came(&self) {
        self.wake.notify_one();
    }

    fn add(&self, waiter: Waiter) {
        let mut rooms = self.rooms();
        let line = rooms.entry(waiter.room.clone()).or_default();
        if !line.iter().any(|other| other.event == waiter.event) {
            line.push_back(waiter);
        }
        drop(rooms);
        self.wake.notify_one();
    }

    /// The first of a room, and how many wait there.
    fn first(&self, room: &str) -> Option<(Waiter, usize)> {
        let rooms = self.rooms();
        let line = rooms.get(room)?;
        Some((line.front()?.clone(), line.len()))
    }

    fn remove_first(&self, room: &str) {
        let mut rooms = self.rooms();
        if let Some(line) = rooms.get_mut(room) {
            line.pop_front();
            if line.is_empty() {
                rooms.remove(room);
            }
        }
    }

    fn tell(&self, word: Word) {
        let mut words = self.words.lock().unwrap_or_else(PoisonError::into_inner);
        if words.len() < TELLING_BOUND {
            words.push_back(word);
        }
        drop(words);
        self.wake.notify_one();
    }

    fn next_word(&self) -> Option<Word> {
        self.words.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }
}

fn key_of(number: u64) -> String {
    format!("{PREFIX}{number:020}")
}

/// Whether an event is not waited for any longer.
fn is_late(waiter: &Waiter, behind: usize, now: Timestamp) -> bool {
    behind > ROOM_BOUND || now.millis_since(waiter.since) >= u64::try_from(PATIENCE.as_millis()).unwrap_or(u64::MAX)
}

impl Homeserver {
    /// Reads what waited when the hub ended. Its time begins anew: its keys may be among what the homeserver has for us.
    pub(crate) async fn recall_waiting(&self) {
        let now = self.context.clock.now();
        for (key, value) in self.context.state.scan(PREFIX).await.unwrap_or_default() {
            let number = key.strip_prefix(PREFIX).and_then(|number| number.parse().ok());
            let waiter: Option<Waiter> = serde_json::from_slice(&value).ok();
            if let (Some(number), Some(waiter)) = (number, waiter) {
                self.waiting.next.fetch_max(number + 1, Ordering::Relaxed);
                self.waiting.add(Waiter {
                    number,
                    since: now,
                    ..waiter
                });
            }
        }
    }

    /// Has an event wait behind what waits in its room already. It is on stable storage when this returns.
    pub(crate) async fn wait_for_key(&self, raw: &RoomEvent) -> Result<(), Rejected> {
        metric::event(Fate::Waiting);
        let waiter = Waiter {
            number: self.waiting.next.fetch_add(1, Ordering::Relaxed),
            room: raw.room_id.clone(),
            event: raw.event_id.clone(),
            since: self.context.clock.now(),
        };
        let value = serde_json::to_vec(&waiter).ok();
        let stored = self.context.state.put(vec![(key_of(waiter.number), value)]).await;
        stored.map_err(|error| {
            tracing::error!(%error, "An event whose key is missing could not be noted; the homeserver sends it again.");
            Rejected::NotStored
        })?;
        self.waiting.add(waiter);
        Ok(())
    }

    /// Tells the sender of an event, in its room, why it was not passed on.
    pub(crate) fn tell_unread(&self, room: &str, event: &str, why: Unread) {
        metric::event(Fate::Unreadable);
        tracing::warn!(room, event, ?why, "A message could not be read and is not passed on.");
        self.waiting.tell(Word {
            room: room.to_owned(),
            event: Some(event.to_owned()),
            text: why.say(self.context.language),
            key: format!("unread-{event}"),
        });
    }

    /// Tells a room that it does not fit its mirror, once a day.
    pub(crate) fn tell_unfit(&self, room: &str, unfit: Unfit) {
        const DAY: u64 = 24 * 60 * 60 * 1000;
        let day = self.context.clock.now().as_millis() / DAY;
        let key = format!("unfit-{unfit:?}-{room}-{day}");
        if self.intake.is_news(&key) {
            let text = unfit.say(self.context.language);
            tracing::warn!(
                room,
                ?unfit,
                "A room's encryption does not fit its mirror: nothing crosses."
            );
            self.waiting.tell(Word {
                room: room.to_owned(),
                event: None,
                text,
                key,
            });
        }
    }

    /// Sees to whatever waits. Never ends.
    pub(crate) async fn tend_waiting(&self) {
        loop {
            let idle = self.waiting.rooms().is_empty();
            let woken = self.waiting.wake.notified();
            if idle {
                woken.await;
            } else {
                tokio::time::timeout(CHECK, woken).await.ok();
            }
            while let Some(word) = self.waiting.next_word() {
                if word.event.is_none() {
                    self.observer.unfit(&word.room, word.text).await;
                }
                let said = self
                    .notice(&word.room, word.text, word.event.as_deref(), &word.key)
                    .await;
                if let Err(error) = said {
                    tracing::warn!(room = word.room, %error, "A room could not be told why something was not passed on.");
                }
            }
            let rooms: Vec<String> = self.waiting.rooms().keys().cloned().collect();
            let served = futures_util::stream::iter(rooms).map(|room| async move { self.serve_waiting(&room).await });
            served.buffer_unordered(SIDE_BY_SIDE).collect::<Vec<()>>().await;
        }
    }

    /// Hands over what waits in a room, as far as it can be read or is not waited for any longer.
    async fn serve_waiting(&self, room: &str) {
        while let Some((waiter, behind)) = self.waiting.first(room) {
            let late = is_late(&waiter, behind, self.context.clock.now());
            let raw = match self.fetch(room, &waiter.event).await {
                Ok(raw) => Some(raw),
                Err(error) if error.is_missing() || error.is("M_FORBIDDEN") => None,
                Err(error) => {
                    tracing::info!(room, %error, "An event that waited cannot be fetched yet.");
                    return;
                }
            };
            let opened = match (raw, self.crypto()) {
                (None, _) => Opened::Never(Unread::Gone),
                (Some(raw), Some(crypto)) if raw.kind == ENCRYPTED && !raw.is_empty() => self.open(crypto, &raw).await,
                // It was attended to when it came.
                (Some(raw), _) => {
                    if self.hand_over_waiting(raw).await.is_err() {
                        return;
                    }
                    self.note_served(&waiter).await;
                    continue;
                }
            };
            let why = match opened {
                Opened::Missing if !late => return,
                Opened::Missing => Unread::NoKey,
                Opened::Never(why) => why,
                Opened::Clear(raw) => {
                    self.attend(&raw).await;
                    if self.hand_over_waiting(*raw).await.is_err() {
                        return;
                    }
                    self.note_served(&waiter).await;
                    continue;
                }
            };
            self.tell_unread(room, &waiter.event, why);
            self.waiting.remove_first(room);
            self.note_served(&waiter).await;
        }
    }

    async fn note_served(&self, waiter: &Waiter) {
        let gone = vec![(key_of(waiter.number), None)];
        if let Err(error) = self.context.state.put(gone).await {
            tracing::warn!(%error, "That an event does not wait any longer could not be noted.");
        }
    }

    /// Hands over the first that waits. What comes meanwhile comes after it.
    async fn hand_over_waiting(&self, raw: RoomEvent) -> Result<(), Rejected> {
        let room = raw.room_id.clone();
        let turn = self.intake.turn().await;
        let tickets = self.hand_over(vec![raw]).await?;
        self.waiting.remove_first(&room);
        drop(turn);
        for ticket in tickets {
            ticket.await?;
        }
        Ok(())
    }

    async fn fetch(&self, room: &str, event: &str) -> Result<RoomEvent, ApiError> {
        let path = format!("/_matrix/client/v3/rooms/{}/event/{}", segment(room), segment(event));
        let mut raw: RoomEvent = self.api.get(&path, As::BOT).await?;
        // The homeserver need not repeat what was asked for.
        room.clone_into(&mut raw.room_id);
        Ok(raw)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waiter(number: u64, event: &str) -> Waiter {
        Waiter {
            number,
            room: "!r".into(),
            event: event.into(),
            since: Timestamp(1_000),
        }
    }

    #[test]
    fn what_comes_after_waits_behind_and_each_once() {
        let waiting = Waiting::default();
        assert!(!waiting.holds("!r"));
        for (number, event) in [(1, "$a"), (2, "$b"), (3, "$a")] {
            waiting.add(waiter(number, event));
        }
        assert!(waiting.holds("!r") && !waiting.holds("!other"));
        assert_eq!(waiting.first("!r"), Some((waiter(1, "$a"), 2)));
        waiting.remove_first("!r");
        assert_eq!(waiting.first("!r").map(|(first, _)| first.event).as_deref(), Some("$b"));
        waiting.remove_first("!r");
        assert!(!waiting.holds("!r"));
    }

    #[test]
    fn a_key_is_waited_for_so_long_and_for_so_many() {
        let first = waiter(1, "$a");
        assert!(!is_late(&first, 1, Timestamp(30_999)));
        assert!(is_late(&first, 1, Timestamp(31_000)));
        assert!(is_late(&first, ROOM_BOUND + 1, Timestamp(1_000)));
    }
}
