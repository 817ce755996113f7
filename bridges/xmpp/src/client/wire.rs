//! The handle through which everything is sent, and the table of requests that wait for their answers.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;
use tokio_xmpp::Stanza;
use xmpp_parsers::iq::Iq;
use xmpp_parsers::jid::Jid;
use xmpp_parsers::minidom::Element;
use xmpp_parsers::stanza_error::{DefinedCondition, ErrorType, StanzaError};

use crate::xep::xep0313_archive::Archived;

/// At most so many requests wait at a time.
const REQUEST_BOUND: usize = 4096;
/// At most so many archived messages are taken for one page.
pub const PAGE_BOUND: usize = 500;

/// Why a request got no result.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum RequestError {
    /// There is no connection (any more).
    #[error("not connected")]
    Closed,
    /// No answer in time.
    #[error("no answer within {0} s")]
    Timeout(u64),
    /// Too many requests wait already.
    #[error("too many requests are waiting")]
    Busy,
    /// An error came back.
    #[error("{}", describe(.0))]
    Refused(Box<StanzaError>),
}

impl RequestError {
    /// The condition that came back, if one did.
    pub fn condition(&self) -> Option<&DefinedCondition> {
        match self {
            Self::Refused(error) => Some(&error.defined_condition),
            _ => None,
        }
    }
}

/// A stanza error in words.
pub fn describe(error: &StanzaError) -> String {
    let condition = Element::from(error.defined_condition.clone()).name().to_owned();
    match error.texts.values().find(|text| !text.is_empty()) {
        Some(text) => format!("{condition} ({})", text.chars().take(200).collect::<String>()),
        None => condition,
    }
}

/// Whether trying again later may help.
pub fn is_passing(error: &StanzaError) -> bool {
    error.type_ == ErrorType::Wait
        || matches!(
            error.defined_condition,
            DefinedCondition::RemoteServerTimeout
                | DefinedCondition::RemoteServerNotFound
                | DefinedCondition::ResourceConstraint
                | DefinedCondition::InternalServerError
        )
}

/// What is asked, by whom, of whom.
#[derive(Debug, Clone)]
pub struct Ask {
    /// On whose behalf.
    pub from: Jid,
    /// Whom.
    pub to: Jid,
    /// Whether it changes something (`set`) or only asks (`get`).
    pub set: bool,
    /// What.
    pub payload: Element,
}

type Answer = Result<Option<Element>, StanzaError>;

#[derive(Default)]
struct Table {
    waiting: HashMap<String, (Jid, oneshot::Sender<Answer>)>,
    pages: HashMap<String, (Jid, Vec<Archived>)>,
}

/// The sending end of a connection.
pub struct Wire {
    outgoing: mpsc::Sender<Stanza>,
    table: Mutex<Table>,
    next: AtomicU64,
    prefix: String,
    patience: Duration,
}

impl Wire {
    /// A wire onto a link's queue. `prefix` makes its ids differ from those of other connections.
    pub fn new(outgoing: mpsc::Sender<Stanza>, prefix: String, patience: Duration) -> Self {
        Self {
            outgoing,
            table: Mutex::default(),
            next: AtomicU64::new(1),
            prefix,
            patience,
        }
    }

    fn table(&self) -> std::sync::MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// An id not used before.
    pub fn fresh_id(&self) -> String {
        format!("{}-{}", self.prefix, self.next.fetch_add(1, Ordering::Relaxed))
    }

    /// Queues a stanza, waiting while the queue is full.
    pub async fn send(&self, stanza: impl Into<Stanza>) -> Result<(), RequestError> {
        self.outgoing
            .send(stanza.into())
            .await
            .map_err(|_| RequestError::Closed)
    }

    /// Queues a stanza if there is room; for answers, which must never hold up reading.
    pub fn send_or_drop(&self, stanza: impl Into<Stanza>) {
        if self.outgoing.try_send(stanza.into()).is_err() {
            tracing::debug!("An answer was dropped because the queue is full.");
        }
    }

    /// Asks, and waits for the answer.
    pub async fn request(&self, ask: Ask) -> Result<Option<Element>, RequestError> {
        let id = self.fresh_id();
        let (sender, receiver) = oneshot::channel();
        {
            let mut table = self.table();
            if table.waiting.len() >= REQUEST_BOUND {
                return Err(RequestError::Busy);
            }
            table.waiting.insert(id.clone(), (ask.to.clone(), sender));
        }
        let _forget = Forget {
            wire: self,
            id: id.clone(),
        };
        let (from, to) = (Some(ask.from), Some(ask.to));
        let payload = ask.payload;
        let iq = if ask.set {
            Iq::Set { from, to, id, payload }
        } else {
            Iq::Get { from, to, id, payload }
        };
        self.send(iq).await?;
        match timeout(self.patience, receiver).await {
            Ok(Ok(Ok(payload))) => Ok(payload),
            Ok(Ok(Err(error))) => Err(RequestError::Refused(Box::new(error))),
            Ok(Err(_)) => Err(RequestError::Closed),
            Err(_) => Err(RequestError::Timeout(self.patience.as_secs())),
        }
    }

    /// Takes an answer to the one who waits for it. Answers from others than the one asked are ignored.
    pub fn settle(&self, iq: Iq) {
        let from = iq.from().cloned();
        let mut table = self.table();
        let expected = table
            .waiting
            .get(iq.id())
            .is_some_and(|(asked, _)| from.as_ref() == Some(asked));
        let Some((_, sender)) = expected.then(|| table.waiting.remove(iq.id())).flatten() else {
            return;
        };
        drop(table);
        let answer = match iq {
            Iq::Result { payload, .. } => Ok(payload),
            Iq::Error { error, .. } => Err(error),
            Iq::Get { .. } | Iq::Set { .. } => return,
        };
        drop(sender.send(answer));
    }

    /// Expects the archived messages of a query from `archive`.
    pub fn open_page(&self, query: &str, archive: Jid) {
        self.table().pages.insert(query.to_owned(), (archive, Vec::new()));
    }

    /// Takes an archived message to its query; gives it back if nobody asked for it.
    pub fn file(&self, from: Option<&Jid>, archived: Archived) -> bool {
        match self.table().pages.get_mut(&archived.query) {
            Some((archive, page)) if from == Some(archive) && page.len() < PAGE_BOUND => {
                page.push(archived);
                true
            }
            _ => false,
        }
    }

    /// What came for a query.
    pub fn close_page(&self, query: &str) -> Vec<Archived> {
        self.table()
            .pages
            .remove(query)
            .map(|(_, page)| page)
            .unwrap_or_default()
    }

    /// Fails everything that waits: the connection is gone.
    pub fn fail_all(&self) {
        let table = std::mem::take(&mut *self.table());
        drop(table);
    }
}

struct Forget<'a> {
    wire: &'a Wire,
    id: String,
}

impl Drop for Forget<'_> {
    fn drop(&mut self) {
        self.wire.table().waiting.remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn jid(text: &str) -> Jid {
        Jid::new(text).unwrap()
    }

    #[tokio::test]
    async fn only_the_one_asked_can_answer() {
        let (sender, mut receiver) = mpsc::channel(8);
        let wire = std::sync::Arc::new(Wire::new(sender, "t".into(), Duration::from_secs(5)));
        let ask = Ask {
            from: jid("m.example"),
            to: jid("c.example"),
            set: false,
            payload: xmpp_parsers::ping::Ping.into(),
        };
        let asking = tokio::spawn({
            let wire = std::sync::Arc::clone(&wire);
            async move { wire.request(ask).await }
        });
        let Some(Stanza::Iq(sent)) = receiver.recv().await else {
            panic!("no request")
        };
        let answer = |from: &str| Iq::Result {
            from: Some(jid(from)),
            to: None,
            id: sent.id().to_owned(),
            payload: None,
        };
        wire.settle(answer("evil.example"));
        assert_eq!(wire.table().waiting.len(), 1);
        wire.settle(answer("c.example"));
        assert_eq!(asking.await.unwrap(), Ok(None));
        assert!(wire.table().waiting.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_without_answer_is_forgotten() {
        let (sender, _receiver) = mpsc::channel(8);
        let wire = Wire::new(sender, "t".into(), Duration::from_secs(5));
        let ask = Ask {
            from: jid("m.example"),
            to: jid("c.example"),
            set: true,
            payload: xmpp_parsers::ping::Ping.into(),
        };
        assert_eq!(wire.request(ask).await, Err(RequestError::Timeout(5)));
        assert!(wire.table().waiting.is_empty());
    }
}
