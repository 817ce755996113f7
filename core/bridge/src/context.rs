//! What the engine hands a session.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task;

use async_trait::async_trait;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;
use viaduct_model::{ChannelId, Clock, Cursor, Entropy, Event, Language, NetworkName};

use crate::media::MediaSource;

/// Everything a session may use of the hub.
#[derive(Clone)]
pub struct Context {
    /// The session's network.
    pub network: NetworkName,
    /// The channels the operator has mirrored, in the configuration's spelling. Others may only be touched for direct chats.
    pub channels: Vec<ChannelId>,
    /// Where events go.
    pub inbox: Arc<dyn Inbox>,
    /// A small durable memory of the session's own.
    pub state: Arc<dyn State>,
    /// Files of other sides.
    pub media: Arc<dyn MediaSource>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Chance, for jitter and ids.
    pub entropy: Arc<dyn Entropy>,
    /// The language in which the session speaks to people where it has words of its own.
    pub language: Language,
    /// Cancelled when the session is to end.
    pub stop: CancellationToken,
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context")
            .field("network", &self.network)
            .finish_non_exhaustive()
    }
}

/// How a session stands with its network, as it reports it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Connection {
    /// Trying.
    Connecting,
    /// Working. Deliveries that waited for this go on.
    Up,
    /// Not working, and why, in the operator's words.
    Down(String),
    /// The network refuses our credentials, or removed us; somebody has to act.
    AuthLost(String),
}

/// The engine's intake.
#[async_trait]
pub trait Inbox: Send + Sync {
    /// Queues events of one channel, in order, waiting while the hub is busy. When this returns the order is fixed; when the
    /// [`Ticket`] resolves they are on stable storage, each once, together with the last cursor among them.
    ///
    /// Ephemeral events may be in the list; they are passed on if somebody listens, and never stored.
    ///
    /// # Errors
    ///
    /// [`InboxClosed`] when the hub is stopping: do not acknowledge upstream.
    async fn push(&self, events: Vec<Event>) -> Result<Ticket, InboxClosed>;

    /// Reports how the session stands, for the whole network or one channel.
    fn report(&self, channel: Option<&ChannelId>, connection: Connection);

    /// The resume position of a channel: the cursor of its last committed event.
    async fn cursor(&self, channel: &ChannelId) -> Option<Cursor>;
}

/// The hub is stopping; nothing was stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the hub is stopping")]
pub struct InboxClosed;

/// Resolves when pushed events are on stable storage.
#[derive(Debug)]
pub struct Ticket(oneshot::Receiver<()>);

impl Ticket {
    /// A ticket, and the sender that resolves it. Dropping the sender resolves it to [`InboxClosed`].
    pub fn new() -> (oneshot::Sender<()>, Self) {
        let (sender, receiver) = oneshot::channel();
        (sender, Self(receiver))
    }
}

impl Future for Ticket {
    type Output = Result<(), InboxClosed>;

    fn poll(mut self: Pin<&mut Self>, context: &mut task::Context<'_>) -> task::Poll<Self::Output> {
        Pin::new(&mut self.0)
            .poll(context)
            .map(|result| result.map_err(|_| InboxClosed))
    }
}

/// A session's small durable memory: keys to values, of its own network only. Values stay small (at most 16 KiB).
#[async_trait]
pub trait State: Send + Sync {
    /// The value of a key.
    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, StateError>;

    /// All keys that start with `prefix`, with their values, in order.
    async fn scan(&self, prefix: &str) -> Result<Vec<(String, Vec<u8>)>, StateError>;

    /// Sets (or, with none, removes) keys in one atomic step; durable when it returns.
    async fn put(&self, changes: Vec<(String, Option<Vec<u8>>)>) -> Result<(), StateError>;
}

/// The store could not be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("state: {0}")]
pub struct StateError(pub String);
