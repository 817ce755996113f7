//! The rest of a hub around the homeserver side: what it tells, and what it asks for.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use async_trait::async_trait;
use viaduct_bridge::{Connection, Inbox, InboxClosed, Media, MediaError, MediaSource, State, StateError, Ticket};
use viaduct_matrix::Observer;
use viaduct_model::{ChannelId, Clock, Cursor, Event, MediaRef, Timestamp};

/// The rest of a hub: journal, memory, files, clock, observer.
#[derive(Debug, Default)]
pub struct Hub {
    pub events: Mutex<Vec<Event>>,
    pub reports: Mutex<Vec<Connection>>,
    pub told: Mutex<Vec<String>>,
    pub memory: Mutex<BTreeMap<String, Vec<u8>>>,
    /// Tickets are kept unresolved while this is set.
    pub slow: Mutex<Option<Vec<tokio::sync::oneshot::Sender<()>>>>,
    pub file: Mutex<Option<Vec<u8>>>,
    /// How much later it is than at the beginning, in milliseconds.
    pub later: AtomicU64,
    /// Whether nothing can be stored.
    pub full: AtomicBool,
}

impl Clock for Hub {
    fn now(&self) -> Timestamp {
        Timestamp(1_800_000_000_000 + self.later.load(Ordering::Relaxed))
    }
}

#[async_trait]
impl Inbox for Hub {
    async fn push(&self, events: Vec<Event>) -> Result<Ticket, InboxClosed> {
        self.events.lock().unwrap().extend(events);
        let (sender, ticket) = Ticket::new();
        match self.slow.lock().unwrap().as_mut() {
            Some(waiting) => waiting.push(sender),
            None => sender.send(()).unwrap(),
        }
        Ok(ticket)
    }

    fn report(&self, _: Option<&ChannelId>, connection: Connection) {
        self.reports.lock().unwrap().push(connection);
    }

    async fn cursor(&self, _: &ChannelId) -> Option<Cursor> {
        None
    }
}

#[async_trait]
impl State for Hub {
    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, StateError> {
        Ok(self.memory.lock().unwrap().get(key).cloned())
    }

    async fn scan(&self, prefix: &str) -> Result<Vec<(String, Vec<u8>)>, StateError> {
        let memory = self.memory.lock().unwrap();
        Ok(memory
            .iter()
            .filter(|(key, _)| key.starts_with(prefix))
            .map(|(k, v)| (k.clone(), v.clone()))
            .collect())
    }

    async fn put(&self, changes: Vec<(String, Option<Vec<u8>>)>) -> Result<(), StateError> {
        if self.full.load(Ordering::Relaxed) {
            return Err(StateError("full".to_owned()));
        }
        let mut memory = self.memory.lock().unwrap();
        for (key, value) in changes {
            match value {
                Some(value) => memory.insert(key, value),
                None => memory.remove(&key),
            };
        }
        Ok(())
    }
}

#[async_trait]
impl MediaSource for Hub {
    async fn open(&self, _: &MediaRef) -> Result<Media, MediaError> {
        let bytes = self.file.lock().unwrap().clone().ok_or(MediaError::Gone)?;
        let pieces: Vec<_> = bytes
            .chunks(50_000)
            .map(|piece| Ok(bytes::Bytes::copy_from_slice(piece)))
            .collect();
        let stream = Box::pin(futures_util::stream::iter(pieces));
        Ok(Media {
            mime: Some("image/png".into()),
            size: None,
            name: None,
            stream,
        })
    }

    fn link(&self, _: &MediaRef, name: &str) -> Option<String> {
        Some(format!("https://files.example.org/{name}"))
    }
}

#[async_trait]
impl Observer for Hub {
    async fn invited(&self, room: &str, invitee: &str, by: &str, direct: bool) {
        self.told
            .lock()
            .unwrap()
            .push(format!("invited {room} {invitee} {by} {direct}"));
    }

    async fn upgraded(&self, room: &str, replacement: &str) {
        self.told.lock().unwrap().push(format!("upgraded {room} {replacement}"));
    }

    async fn labelled(&self, room: &str, label: Option<&str>) {
        self.told.lock().unwrap().push(format!("labelled {room} {label:?}"));
    }

    async fn command(&self, room: &str, sender: &str, text: &str, event_id: &str) {
        self.told
            .lock()
            .unwrap()
            .push(format!("command {room} {sender} {text} {event_id}"));
    }

    async fn user_exists(&self, mxid: &str) -> bool {
        mxid.contains("bob")
    }

    async fn alias_exists(&self, _: &str) -> bool {
        false
    }

    fn is_mirrored(&self, room: &str) -> bool {
        room.starts_with("!room")
    }

    fn is_encrypted(&self, room: &str) -> bool {
        room.starts_with("!room-sealed")
    }
}
