//! What a session is given when it is only tried out: nothing that it says is kept.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use viaduct_bridge::{
    Connection, Context, Inbox, InboxClosed, Media, MediaError, MediaSource, State, StateError, Ticket,
};
use viaduct_model::{ChannelId, Cursor, Event, Language, MediaRef, NetworkName};

use crate::system::{SystemClock, SystemEntropy};

/// A context to throw away, and what the session reports about its connection.
pub fn context(
    network: NetworkName,
    channels: Vec<ChannelId>,
    stop: CancellationToken,
) -> (Context, watch::Receiver<Connection>) {
    let (sender, receiver) = watch::channel(Connection::Connecting);
    let context = Context {
        network,
        channels,
        inbox: Arc::new(Deaf(sender)),
        state: Arc::new(Brief::default()),
        media: Arc::new(Empty),
        clock: Arc::new(SystemClock),
        entropy: Arc::new(SystemEntropy),
        language: Language::default(),
        stop,
    };
    (context, receiver)
}

/// Takes no events: nothing may be acknowledged upstream that a running hub should get.
struct Deaf(watch::Sender<Connection>);

#[async_trait]
impl Inbox for Deaf {
    async fn push(&self, _events: Vec<Event>) -> Result<Ticket, InboxClosed> {
        Err(InboxClosed)
    }

    fn report(&self, channel: Option<&ChannelId>, connection: Connection) {
        if channel.is_none() {
            self.0.send_replace(connection);
        }
    }

    async fn cursor(&self, _channel: &ChannelId) -> Option<Cursor> {
        None
    }
}

/// A memory that lasts as long as the trial.
#[derive(Default)]
struct Brief(Mutex<BTreeMap<String, Vec<u8>>>);

impl Brief {
    fn with<T>(&self, act: impl FnOnce(&mut BTreeMap<String, Vec<u8>>) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[async_trait]
impl State for Brief {
    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, StateError> {
        Ok(self.with(|map| map.get(key).cloned()))
    }

    async fn scan(&self, prefix: &str) -> Result<Vec<(String, Vec<u8>)>, StateError> {
        let of = |(key, value): (&String, &Vec<u8>)| (key.clone(), value.clone());
        Ok(self.with(|map| map.iter().filter(|(key, _)| key.starts_with(prefix)).map(of).collect()))
    }

    async fn put(&self, changes: Vec<(String, Option<Vec<u8>>)>) -> Result<(), StateError> {
        self.with(|map| {
            for (key, value) in changes {
                match value {
                    Some(value) => drop(map.insert(key, value)),
                    None => drop(map.remove(&key)),
                }
            }
        });
        Ok(())
    }
}

/// Has no files.
struct Empty;

#[async_trait]
impl MediaSource for Empty {
    async fn open(&self, _media: &MediaRef) -> Result<Media, MediaError> {
        Err(MediaError::Gone)
    }

    fn link(&self, _media: &MediaRef, _name: &str) -> Option<String> {
        None
    }
}
