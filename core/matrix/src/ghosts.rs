//! Ghosts: the Matrix users that stand for remote people.
//!
//! A ghost is made when first needed: registered, named, joined, at most four requests with its first message. What was done
//! is remembered in a bounded cache and written behind ([`Notebook`](crate::notebook::Notebook)); all of it may be repeated
//! without harm. Each ghost has its own lock, so that two deliveries do not make it twice and none waits for another's.

use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use lru::LruCache;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::sync::Mutex as AsyncMutex;
use viaduct_model::{MediaRef, Person};

use crate::client::{As, segment};
use crate::error::ApiError;
use crate::{Homeserver, metric};

/// How many ghosts are kept in memory; others are looked up again.
const CACHE_BOUND: NonZeroUsize = NonZeroUsize::new(10_000).unwrap();
/// How many rooms of one ghost are remembered.
const ROOM_BOUND: usize = 150;
/// How long a message waits for its author's picture at most.
const PICTURE_PATIENCE: Duration = Duration::from_secs(10);

/// One ghost.
#[derive(Debug)]
pub(crate) struct Ghost {
    pub(crate) mxid: Arc<str>,
    record: AsyncMutex<Option<Record>>,
}

/// What was done for a ghost already.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Record {
    /// Whether it is registered.
    #[serde(default)]
    made: bool,
    /// The display name it was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    name: Option<Box<str>>,
    /// The picture it was given (or that was tried), by its source's locator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    picture: Option<Box<str>>,
    /// The rooms it is in.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    rooms: Vec<Box<str>>,
}

impl Record {
    fn is_in(&self, room: &str) -> bool {
        self.rooms.iter().any(|known| **known == *room)
    }

    /// Whether nothing is left to do for a person who is called `name` here.
    fn suits(&self, name: &str, person: &Person) -> bool {
        let picture = person.avatar.as_ref().map(|picture| picture.locator.as_str());
        self.made && self.name.as_deref() == Some(name) && (picture.is_none() || self.picture.as_deref() == picture)
    }

    fn entered(&mut self, room: &str) {
        if !self.is_in(room) {
            if self.rooms.len() >= ROOM_BOUND {
                self.rooms.remove(0);
            }
            self.rooms.push(room.into());
        }
    }
}

/// The ghosts in memory.
#[derive(Debug)]
pub(crate) struct Ghosts(Mutex<LruCache<Arc<str>, Arc<Ghost>>>);

impl Ghosts {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(LruCache::new(CACHE_BOUND)))
    }

    pub(crate) fn get(&self, mxid: &str) -> Arc<Ghost> {
        let mut cache = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(ghost) = cache.get(mxid) {
            return ghost.clone();
        }
        let mxid: Arc<str> = mxid.into();
        let ghost = Arc::new(Ghost {
            mxid: mxid.clone(),
            record: AsyncMutex::new(None),
        });
        cache.put(mxid, ghost.clone());
        ghost
    }
}

fn note_key(mxid: &str) -> String {
    format!("ghost/{mxid}")
}

impl Homeserver {
    /// The ghost of a person, made, named as they are now, and in the room.
    pub(crate) async fn ghost_in(&self, person: &Person, room: &str) -> Result<Arc<Ghost>, ApiError> {
        let ghost = self.made_ghost(person).await?;
        self.enter(&ghost, room).await?;
        Ok(ghost)
    }

    /// The ghost of a person, made and named as they are now.
    pub(crate) async fn made_ghost(&self, person: &Person) -> Result<Arc<Ghost>, ApiError> {
        let ghost = self.ghosts.get(&self.ghost_id(person));
        let mut guard = ghost.record.lock().await;
        let record = self.loaded(&ghost, &mut guard).await;
        let name = self.config.ghost_display_name(person);
        let mut result = Ok(());
        if !record.suits(&name, person) {
            let before = record.clone();
            result = self.dress(&ghost, record, name, person).await;
            if *record != before {
                self.remember(&ghost, record);
            }
        }
        drop(guard);
        result.map(|()| ghost)
    }

    /// Whether a person's ghost is made, named as they are now and in the room, as far as known without waiting.
    pub(crate) fn is_ready(&self, person: &Person, room: &str) -> bool {
        let ghost = self.ghosts.get(&self.ghost_id(person));
        let Ok(record) = ghost.record.try_lock() else {
            return false;
        };
        let name = self.config.ghost_display_name(person);
        record
            .as_ref()
            .is_some_and(|record| record.suits(&name, person) && record.is_in(room))
    }

    async fn dress(&self, ghost: &Ghost, record: &mut Record, name: String, person: &Person) -> Result<(), ApiError> {
        if !record.made {
            self.register(&ghost.mxid).await?;
            metric::ghost_made();
            record.made = true;
        }
        if record.name.as_deref() != Some(name.as_str()) {
            self.set_profile(&ghost.mxid, "displayname", &name).await?;
            record.name = Some(name.into());
        }
        if let Some(picture) = &person.avatar
            && record.picture.as_deref() != Some(picture.locator.as_str())
        {
            // A picture is not worth losing or delaying a message for: noted as tried either way.
            record.picture = Some(picture.locator.as_str().into());
            let shown = tokio::time::timeout(PICTURE_PATIENCE, self.show_picture(&ghost.mxid, picture)).await;
            if !matches!(shown, Ok(Ok(()))) {
                tracing::info!(ghost = %ghost.mxid, "The picture of a ghost could not be set.");
            }
        }
        Ok(())
    }

    async fn show_picture(&self, mxid: &str, picture: &MediaRef) -> Result<(), ApiError> {
        let url = self.picture_url(picture).await?;
        self.set_profile(mxid, "avatar_url", &url).await
    }

    async fn set_profile(&self, mxid: &str, key: &str, value: &str) -> Result<(), ApiError> {
        let path = format!("/_matrix/client/v3/profile/{}/{key}", segment(mxid));
        self.api
            .put(&path, As::user(mxid), &json!({ key: value }))
            .await
            .map(drop)
    }

    /// Registers one of our users. One that is there already is as good.
    pub(crate) async fn register(&self, mxid: &str) -> Result<(), ApiError> {
        let local = mxid
            .strip_prefix('@')
            .and_then(|rest| rest.split_once(':'))
            .map_or(mxid, |(local, _)| local);
        let body = json!({ "type": "m.login.application_service", "username": local, "inhibit_login": true });
        match self.api.post("/_matrix/client/v3/register", As::BOT, &body).await {
            Err(error) if !error.is("M_USER_IN_USE") => Err(error),
            _ => Ok(()),
        }
    }

    /// Brings a ghost into a room.
    pub(crate) async fn enter(&self, ghost: &Ghost, room: &str) -> Result<(), ApiError> {
        let mut guard = ghost.record.lock().await;
        let record = self.loaded(ghost, &mut guard).await;
        if record.is_in(room) {
            return Ok(());
        }
        self.join(room, &ghost.mxid).await?;
        record.entered(room);
        self.remember(ghost, record);
        Ok(())
    }

    /// Joins a room as one of our users, with an invitation by the bot where one is needed.
    pub(crate) async fn join(&self, room: &str, mxid: &str) -> Result<(), ApiError> {
        let path = format!("/_matrix/client/v3/join/{}", segment(room));
        let empty = json!({});
        match self.api.post(&path, As::user(mxid), &empty).await {
            Err(error) if error.is("M_FORBIDDEN") => {
                let invite = format!("/_matrix/client/v3/rooms/{}/invite", segment(room));
                // It may be invited already; the second attempt to join tells.
                self.api.post(&invite, As::BOT, &json!({ "user_id": mxid })).await.ok();
                self.api.post(&path, As::user(mxid), &empty).await.map(drop)
            }
            other => other.map(drop),
        }
    }

    /// Takes a ghost out of a room.
    pub(crate) async fn exit(&self, ghost: &Ghost, room: &str, reason: Option<&str>) -> Result<(), ApiError> {
        if !self.is_inside(ghost, room).await {
            return Ok(());
        }
        let path = format!("/_matrix/client/v3/rooms/{}/leave", segment(room));
        let body = reason.map_or_else(|| json!({}), |reason| json!({ "reason": reason }));
        match self.api.post(&path, As::user(&ghost.mxid), &body).await {
            // It is out already.
            Err(error) if !error.is("M_FORBIDDEN") && !error.is_missing() => Err(error),
            _ => {
                self.forget_room(ghost, room).await;
                Ok(())
            }
        }
    }

    /// Whether a ghost is in a room, as far as remembered.
    pub(crate) async fn is_inside(&self, ghost: &Ghost, room: &str) -> bool {
        let mut guard = ghost.record.lock().await;
        self.loaded(ghost, &mut guard).await.is_in(room)
    }

    /// Whether a ghost was made, as far as remembered.
    pub(crate) async fn is_made(&self, ghost: &Ghost) -> bool {
        let mut guard = ghost.record.lock().await;
        self.loaded(ghost, &mut guard).await.made
    }

    /// Notes that a ghost is in a room.
    pub(crate) async fn note_room(&self, ghost: &Ghost, room: &str) {
        let mut guard = ghost.record.lock().await;
        let record = self.loaded(ghost, &mut guard).await;
        record.entered(room);
        self.remember(ghost, record);
    }

    /// Notes that a ghost is no longer in a room.
    pub(crate) async fn forget_room(&self, ghost: &Ghost, room: &str) {
        let mut guard = ghost.record.lock().await;
        let record = self.loaded(ghost, &mut guard).await;
        if record.is_in(room) {
            record.rooms.retain(|known| **known != *room);
            self.remember(ghost, record);
        }
    }

    async fn loaded<'a>(&self, ghost: &Ghost, slot: &'a mut Option<Record>) -> &'a mut Record {
        if slot.is_none() {
            let noted = self.notebook.read(&note_key(&ghost.mxid)).await;
            *slot = noted.and_then(|value| serde_json::from_slice(&value).ok());
        }
        slot.get_or_insert_default()
    }

    fn remember(&self, ghost: &Ghost, record: &Record) {
        if let Ok(value) = serde_json::to_vec(record) {
            self.notebook.note(note_key(&ghost.mxid), Some(value));
        }
    }
}
