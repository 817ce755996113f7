//! What a scenario works with: the session under test between the fake hub and the remote person. Here is the session's life;
//! `outward` and `inward` are the two ways.

mod inward;
mod outward;

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;
use viaduct_model::{Author, Capabilities, ChannelId, NetworkName, Person, PersonId};

pub(super) use inward::said;
pub(super) use outward::{clear, shown};

use super::hub::{Hub, Intake};
use super::remote::{Remote, RemoteError, Seen};
use super::{Options, Problem, Step, fail};
use crate::{Connection, Factory, Session, SessionError};

/// The contract's bound for ending a session.
pub(super) const STOP_BOUND: Duration = Duration::from_secs(5);
/// How long one attempt to be heard by a session that is coming up may take.
const ATTEMPT: Duration = Duration::from_secs(2);

/// A session at work, started again whenever it gives up, as the engine does.
struct Running {
    session: Arc<dyn Session>,
    stop: CancellationToken,
    task: JoinHandle<Result<(), SessionError>>,
}

/// Everything a scenario works with.
pub(super) struct Stage<'a> {
    pub remote: &'a dyn Remote,
    pub options: &'a Options,
    pub hub: Hub,
    pub factory: &'a dyn Factory,
    pub section: &'a Value,
    running: Option<Running>,
    counter: u64,
    /// All that the remote person saw in this run.
    diary: Vec<Seen>,
}

/// Somebody on the Matrix side.
pub(super) fn person(name: &str) -> Step<Author> {
    let id = PersonId::new(format!("@{}:hub.invalid", name.to_lowercase())).map_err(|error| fail(error.to_string()))?;
    let network = NetworkName::matrix();
    let person = Person {
        network,
        id,
        name: name.to_owned(),
        avatar: None,
        organisation: None,
        bot: false,
    };
    Ok(Author {
        person,
        display: name.to_owned(),
    })
}

async fn supervise(session: Arc<dyn Session>, stop: CancellationToken) -> Result<(), SessionError> {
    let mut pause = Duration::from_millis(50);
    loop {
        let result = session.run().await;
        if stop.is_cancelled() || matches!(result, Err(SessionError::Stopping)) {
            return result;
        }
        tracing::debug!(?result, "The session ended and is started again.");
        sleep(pause).await;
        pause = (pause * 2).min(Duration::from_secs(1));
    }
}

impl<'a> Stage<'a> {
    pub fn new(
        remote: &'a dyn Remote,
        factory: &'a dyn Factory,
        section: &'a Value,
        options: &'a Options,
        network: NetworkName,
    ) -> Self {
        let hub = Hub::new(network, remote.channel(), options.seed, options.epoch);
        Self {
            remote,
            options,
            hub,
            factory,
            section,
            running: None,
            counter: 0,
            diary: Vec::new(),
        }
    }

    /// A word that no other text of this run holds.
    pub fn word(&mut self) -> String {
        self.counter += 1;
        // Letters at both ends, so that no word is a part of another.
        format!("w{}x", self.counter)
    }

    pub fn session(&self) -> Step<Arc<dyn Session>> {
        self.running
            .as_ref()
            .map(|running| running.session.clone())
            .ok_or_else(|| fail("no session is running"))
    }

    pub fn capabilities(&self) -> Step<Capabilities> {
        Ok(self.session()?.capabilities(&self.channel()))
    }

    pub fn channel(&self) -> ChannelId {
        self.remote.channel()
    }

    /// Opens and starts a session, and waits until it reports its network up.
    pub async fn start(&mut self) -> Step {
        let stop = CancellationToken::new();
        let context = self.hub.context(stop.clone());
        let session = timeout(self.options.patience, self.factory.open(self.section.clone(), context))
            .await
            .map_err(|_| fail("the session was not opened in time"))?
            .map_err(|error| fail(format!("the session could not be opened: {error}")))?;
        let task = tokio::spawn(supervise(session.clone(), stop.clone()));
        self.running = Some(Running { session, stop, task });
        self.wait_connection("reported its network up", |connection| *connection == Connection::Up)
            .await
    }

    /// Waits until the session's last word about its network is one of the wanted.
    pub async fn wait_connection(&self, what: &str, wanted: impl Fn(&Connection) -> bool) -> Step {
        let found = self
            .hub
            .wait(self.options.patience, |desk| {
                desk.network.as_ref().is_some_and(&wanted).then_some(())
            })
            .await;
        found.ok_or_else(|| {
            fail(format!(
                "the session never {what}; its last word was {:?}",
                self.hub.desk().network
            ))
        })
    }

    /// Ends the session as the contract says, and checks that it obeys. Gives back the ended session.
    pub async fn stop(&mut self) -> Step<Arc<dyn Session>> {
        let Some(Running {
            session,
            stop,
            mut task,
        }) = self.running.take()
        else {
            return Err(fail("no session is running"));
        };
        stop.cancel();
        match timeout(STOP_BOUND, &mut task).await {
            Ok(Ok(Ok(()))) => Ok(session),
            Ok(Ok(Err(error))) => Err(fail(format!(
                "run ended with an error although it was asked to stop: {error}"
            ))),
            Ok(Err(panic)) => Err(fail(format!("run did not end but broke: {panic}"))),
            Err(_) => {
                task.abort();
                Err(fail(format!(
                    "run did not end within {} s after stop",
                    STOP_BOUND.as_secs()
                )))
            }
        }
    }

    /// Ends the hub underneath the session: nothing is stored any more, then everything goes.
    pub async fn crash(&mut self) {
        self.hub.close();
        if let Some(Running { stop, mut task, .. }) = self.running.take() {
            stop.cancel();
            if timeout(STOP_BOUND, &mut task).await.is_err() {
                task.abort();
            }
        }
        self.hub.intake(Intake::Open);
    }

    /// Puts everything back in order after a scenario that failed.
    pub async fn recover(&mut self) -> Step {
        self.crash().await;
        self.hub.violations();
        self.remote.restore().await?;
        if let Err(RemoteError::Failed(reason)) = self.remote.join().await {
            tracing::debug!(reason, "The remote person did not come back; perhaps it never left.");
        }
        self.start().await?;
        self.settle().await
    }

    /// Makes sure that both directions work, by saying things until they arrive.
    pub async fn settle(&mut self) -> Step {
        let word = self.word();
        self.say_out(&format!("settle {word}")).await?;
        self.see_text(&word).await?;
        let end = Instant::now() + self.options.patience;
        loop {
            let word = self.word();
            self.remote.say(&format!("settle {word}")).await?;
            let bound = ATTEMPT.min(self.options.patience);
            match self.hub.wait(bound, |desk| said(&desk.heard, &word).map(|_| ())).await {
                Some(()) => return Ok(()),
                None if Instant::now() < end => {}
                None => {
                    return Err(fail(
                        "the session is up, but nothing that the remote person says is pushed",
                    ));
                }
            }
        }
    }
}

impl From<RemoteError> for Problem {
    fn from(error: RemoteError) -> Self {
        match error {
            RemoteError::Absent(reason) => Self::Absent(reason),
            other => Self::Failed(other.to_string()),
        }
    }
}
