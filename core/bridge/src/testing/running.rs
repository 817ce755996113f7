//! Sessions, and what they are given to deliver.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use viaduct_compliance::{Cleared, Decision, Filter};
use viaduct_model::{
    Author, ChannelId, Clock, Content, DeliveryKey, MediaRef, Message, MessageId, NetworkName, Outbound, Person,
    PersonId, Place, Receipt,
};

use super::{Counting, Hub, PATIENCE};
use crate::{Connection, Context, DeliveryError, Factory, Failure, Inbox, MediaSource, Session, SessionError, State};

/// The pause before a session is run, or a delivery tried, again.
const AGAIN: Duration = Duration::from_millis(50);
/// The contract's bound for ending a session.
const STOP_BOUND: Duration = Duration::from_secs(5);

/// A session at work.
pub struct Running {
    /// The hub around it.
    pub hub: Arc<Hub>,
    /// The session.
    pub session: Arc<dyn Session>,
    stop: CancellationToken,
    task: tokio::task::JoinHandle<Result<(), SessionError>>,
}

impl Hub {
    /// Opens and starts a session, and waits until it is up.
    pub async fn start(self: &Arc<Self>, factory: &dyn Factory, section: &Value, channels: &[&str]) -> Running {
        let running = self.open(factory, section, channels).await;
        self.wait_for("the session is up", |hub| hub.standing(None) == Some(Connection::Up))
            .await;
        running
    }

    /// Opens and starts a session. It is started again whenever it ends by itself.
    pub async fn open(self: &Arc<Self>, factory: &dyn Factory, section: &Value, channels: &[&str]) -> Running {
        self.forget_reports();
        let stop = CancellationToken::new();
        let session = self.session(factory, section, channels, stop.clone()).await;
        let (running, ending) = (Arc::clone(&session), stop.clone());
        let task = tokio::spawn(async move {
            loop {
                let result = running.run().await;
                if ending.is_cancelled() {
                    return result;
                }
                tokio::time::sleep(AGAIN).await;
            }
        });
        Running {
            hub: Arc::clone(self),
            session,
            stop,
            task,
        }
    }

    /// Opens a session that does not run.
    pub async fn session(
        self: &Arc<Self>,
        factory: &dyn Factory,
        section: &Value,
        channels: &[&str],
        stop: CancellationToken,
    ) -> Arc<dyn Session> {
        let context = Context {
            network: self.network.clone(),
            channels: channels.iter().map(|name| ChannelId::new(*name).unwrap()).collect(),
            inbox: Arc::clone(self) as Arc<dyn Inbox>,
            state: Arc::clone(self) as Arc<dyn State>,
            media: Arc::clone(self) as Arc<dyn MediaSource>,
            clock: Arc::clone(&self.clock) as Arc<dyn Clock>,
            entropy: Arc::new(Counting::default()),
            language: *self.language.lock().unwrap(),
            stop,
        };
        factory.open(section.clone(), context).await.unwrap()
    }

    /// Something on its way to a channel, from Anna.
    pub fn outbound(&self, channel: &str, content: Content) -> Outbound {
        self.outbound_of("anna", channel, content)
    }

    /// Something on its way to a channel.
    pub fn outbound_of(&self, name: &str, channel: &str, content: Content) -> Outbound {
        let number = self.count.fetch_add(1, Ordering::Relaxed);
        let from = Place::new(NetworkName::matrix(), ChannelId::new("!room:example.org").unwrap());
        let to = Place::new(self.network.clone(), ChannelId::new(channel).unwrap());
        let id = MessageId::new(format!("${number}")).unwrap();
        Outbound {
            key: DeliveryKey::derive(&from, &id, &to),
            to,
            from,
            author: Author {
                person: Person {
                    network: NetworkName::matrix(),
                    id: PersonId::new(format!("@{name}:example.org")).unwrap(),
                    name: name.to_owned(),
                    avatar: Some(MediaRef {
                        network: NetworkName::matrix(),
                        locator: "mxc://example.org/face".to_owned(),
                    }),
                    organisation: None,
                    bot: false,
                },
                display: name.to_owned(),
            },
            at: self.clock.now(),
            content,
            parts: Vec::new(),
        }
    }
}

/// Clears something as the policy does that refuses nothing.
pub fn clear(outbound: Outbound) -> Cleared<Outbound> {
    match Filter::default().decide(outbound) {
        Decision::Pass { outbound, .. } => *outbound,
        _ => panic!("nothing is refused here"),
    }
}

impl Running {
    /// Delivers something once.
    ///
    /// # Errors
    ///
    /// The session's own.
    pub async fn deliver(&self, outbound: Outbound) -> Result<Receipt, DeliveryError> {
        self.session.deliver(&clear(outbound)).await
    }

    /// Delivers something as the engine would: again where it has to, after a look-up where nobody knows.
    pub async fn settle(&self, outbound: Outbound) -> Receipt {
        let until = Instant::now() + PATIENCE;
        loop {
            match self.deliver(outbound.clone()).await {
                Ok(receipt) => return receipt,
                Err(error) if error.failure == Failure::UnknownOutcome => {
                    let found = self.session.find_delivered(&outbound.to.channel, &outbound.key).await;
                    if let Ok(Some(receipt)) = found {
                        return receipt;
                    }
                }
                Err(error) => {
                    let again = matches!(error.failure, Failure::Retry(_) | Failure::AuthLost);
                    assert!(again && Instant::now() < until, "{error:?}");
                }
            }
            tokio::time::sleep(AGAIN).await;
        }
    }

    /// Says something in a channel, at the first attempt; gives its id.
    pub async fn say(&self, channel: &str, text: &str) -> MessageId {
        let outbound = self.hub.outbound(channel, Content::Message(Message::plain(text)));
        self.deliver(outbound).await.unwrap().ids.remove(0)
    }

    /// Somebody says something in a channel, as the engine would deliver it; gives the id of its first part.
    pub async fn say_of(&self, name: &str, channel: &str, content: Content) -> MessageId {
        let outbound = self.hub.outbound_of(name, channel, content);
        self.settle(outbound).await.ids.remove(0)
    }

    /// Ends it in good order, in the time that the contract gives.
    pub async fn stop(self) {
        let up = self.hub.standing(None) == Some(Connection::Up);
        self.stop.cancel();
        let ended = tokio::time::timeout(STOP_BOUND, self.task).await;
        let ended = ended.expect("it ends in time").unwrap();
        // Whoever is not let in may be refused once more at that moment.
        assert!(ended.is_ok() || !up, "{ended:?}");
    }

    /// Ends it without a goodbye.
    pub fn kill(self) {
        self.stop.cancel();
        self.task.abort();
    }
}
