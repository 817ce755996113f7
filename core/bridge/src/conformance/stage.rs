//! What a scenario works with: the session under test between the fake hub and the remote person.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;
use viaduct_compliance::{Cleared, Decision, Filter};
use viaduct_model::{
    Author, Capabilities, ChannelId, Content, DeliveryKey, Event, Message, MessageId, NetworkName, Outbound, Person,
    PersonId, Place, Receipt, Support,
};

use super::hub::{Hub, Intake};
use super::remote::{Remote, RemoteError, Seen, What};
use super::{Options, Problem, Step, fail};
use crate::{Connection, DeliveryError, Factory, Failure, Session, SessionError};

/// The contract's bound for ending a session.
pub(super) const STOP_BOUND: Duration = Duration::from_secs(5);
/// The longest the kit waits before it tries a delivery again, whatever the session asks for.
const RETRY_BOUND: Duration = Duration::from_secs(2);
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

    // ---- the session's life ----

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

    // ---- from the hub to the network ----

    /// Something on its way to the channel, with a key of its own.
    pub fn outbound(&mut self, author: &Author, content: Content, parts: &[MessageId]) -> Step<Outbound> {
        self.counter += 1;
        let room = ChannelId::new("!room:hub.invalid").map_err(|error| fail(error.to_string()))?;
        let id = MessageId::new(format!("$event{}", self.counter)).map_err(|error| fail(error.to_string()))?;
        let from = Place::new(NetworkName::matrix(), room);
        let to = self.hub.place();
        Ok(Outbound {
            key: DeliveryKey::derive(&from, &id, &to),
            to,
            from,
            author: author.clone(),
            at: self.hub.now(),
            content,
            parts: parts.to_vec(),
        })
    }

    /// One attempt to deliver.
    pub async fn attempt(&self, outbound: &Outbound) -> Step<Result<Receipt, DeliveryError>> {
        let session = self.session()?;
        let cleared = clear(outbound.clone())?;
        let work = async {
            session.prepare(&cleared).await;
            session.deliver(&cleared).await
        };
        timeout(self.options.patience, work).await.map_err(|_| {
            fail(format!(
                "a delivery of kind {} did not end in time",
                outbound.content.kind().as_str()
            ))
        })
    }

    /// Delivers, trying again as the engine does, until there is an answer other than to try again.
    pub async fn deliver(&self, outbound: &Outbound) -> Step<Result<Receipt, DeliveryError>> {
        let end = Instant::now() + self.options.patience;
        loop {
            match self.attempt(outbound).await? {
                Err(DeliveryError {
                    failure: Failure::Retry(after),
                    reason,
                }) => {
                    if Instant::now() >= end {
                        return Err(fail(format!("a delivery was put off until patience ended: {reason}")));
                    }
                    sleep(after.unwrap_or(Duration::from_millis(100)).min(RETRY_BOUND)).await;
                }
                Err(DeliveryError {
                    failure: Failure::AuthLost,
                    reason,
                }) => {
                    return Err(fail(format!("the session says its credentials are lost: {reason}")));
                }
                answer => return Ok(answer),
            }
        }
    }

    /// Looks a delivery up by its key, again for as long as the session asks for it; whether it arrived.
    pub async fn look_up(&self, outbound: &Outbound) -> Step<bool> {
        let end = Instant::now() + self.options.patience;
        loop {
            match self.session()?.find_delivered(&self.channel(), &outbound.key).await {
                Ok(found) => return Ok(found.is_some()),
                Err(error) if matches!(error.failure, Failure::Retry(_)) && Instant::now() < end => {
                    sleep(Duration::from_millis(100)).await;
                }
                Err(error) => return Err(fail(format!("the key could not be looked up: {error}"))),
            }
        }
    }

    /// Delivers content that has to arrive.
    pub async fn send_as(&mut self, author: &Author, content: Content, parts: &[MessageId]) -> Step<Receipt> {
        let kind = content.kind().as_str();
        let outbound = self.outbound(author, content, parts)?;
        self.deliver(&outbound).await?.map_err(|error| {
            fail(format!(
                "a delivery of kind {kind} failed ({:?}): {error}",
                error.failure
            ))
        })
    }

    /// Delivers content of Alice's that has to arrive.
    pub async fn send(&mut self, content: Content, parts: &[MessageId]) -> Step<Receipt> {
        self.send_as(&person("Alice")?, content, parts).await
    }

    /// Alice says something.
    pub async fn say_out(&mut self, text: &str) -> Step<Receipt> {
        self.send(Content::Message(Message::plain(text)), &[]).await
    }

    /// Delivers content that a fallback-level capability may leave to the engine. `None` when it did.
    pub async fn offer(&mut self, support: Support, content: Content, parts: &[MessageId]) -> Step<Option<Receipt>> {
        let kind = content.kind().as_str();
        let outbound = self.outbound(&person("Alice")?, content, parts)?;
        match self.deliver(&outbound).await? {
            Ok(receipt) => Ok(Some(receipt)),
            Err(DeliveryError {
                failure: Failure::Unsupported,
                ..
            }) if support == Support::Fallback => Ok(None),
            Err(error) => Err(fail(format!(
                "a delivery of kind {kind} failed ({:?}): {error}",
                error.failure
            ))),
        }
    }

    /// What the remote person sees, in order, up to and with the first that is wanted.
    pub async fn see_until(&mut self, what: &str, mut wanted: impl FnMut(&Seen) -> bool) -> Step<Vec<Seen>> {
        let end = Instant::now() + self.options.patience;
        let mut all = Vec::new();
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let next = timeout(left + ATTEMPT, self.remote.expect_next(left))
                .await
                .map_err(|_| fail("expect_next of this test's remote person did not keep its bound"))??;
            let Some(seen) = next else {
                return Err(fail(format!(
                    "the remote person never saw {what}; it saw {}",
                    shown(&all)
                )));
            };
            let found = wanted(&seen);
            self.diary.push(seen.clone());
            all.push(seen);
            if found {
                return Ok(all);
            }
        }
    }

    /// Waits until the remote person sees what is wanted.
    pub async fn see(&mut self, what: &str, wanted: impl FnMut(&Seen) -> bool) -> Step<Seen> {
        self.see_until(what, wanted)
            .await?
            .pop()
            .ok_or_else(|| fail("nothing was seen"))
    }

    /// Waits until the remote person sees a text that holds this word.
    pub async fn see_text(&mut self, word: &str) -> Step<Seen> {
        self.see(&format!("a text with {word:?}"), |seen| seen.text.contains(word))
            .await
    }

    /// Says something after everything else, and gives all that the remote person saw before that arrived.
    pub async fn seen_by_now(&mut self) -> Step<Vec<Seen>> {
        let word = self.word();
        self.say_out(&format!("mark {word}")).await?;
        let mut all = self
            .see_until("the closing mark", |seen| seen.text.contains(&word))
            .await?;
        all.pop();
        Ok(all)
    }

    /// How many messages with this word the remote person has seen in all, once everything before has arrived.
    pub async fn times_seen(&mut self, word: &str) -> Step<usize> {
        self.seen_by_now().await?;
        Ok(self.diary.iter().filter(|seen| seen.text.contains(word)).count())
    }

    // ---- from the network to the hub ----

    /// A point in what was pushed, for [`Stage::hear_since`].
    pub fn mark(&self) -> usize {
        self.hub.desk().heard.len()
    }

    /// Waits until the session pushes what is wanted, after a mark.
    pub async fn hear_since(&self, mark: usize, what: &str, wanted: impl Fn(&Event) -> bool) -> Step<Event> {
        self.hub
            .wait(self.options.patience, |desk| {
                desk.heard.iter().skip(mark).find(|event| wanted(event)).cloned()
            })
            .await
            .ok_or_else(|| {
                fail(format!(
                    "the session never pushed {what}; its last events were {}",
                    self.last_events()
                ))
            })
    }

    /// Waits until the session pushes a message of somebody else's that holds this word.
    pub async fn hear_text(&self, word: &str) -> Step<Event> {
        self.hear_since(0, &format!("a message with {word:?}"), |event| {
            said(std::slice::from_ref(event), word).is_some()
        })
        .await
    }

    /// The remote person says something after everything else; gives all messages that were pushed with one of these words.
    pub async fn heard_by_now(&mut self, words: &[String]) -> Step<Vec<String>> {
        let mark = self.word();
        self.remote.say(&format!("mark {mark}")).await?;
        self.hear_text(&mark).await?;
        let desk = self.hub.desk();
        Ok(desk
            .heard
            .iter()
            .filter_map(|event| {
                words
                    .iter()
                    .find(|word| said(std::slice::from_ref(event), word).is_some())
            })
            .cloned()
            .collect())
    }

    fn last_events(&self) -> String {
        let desk = self.hub.desk();
        let last: Vec<String> = desk
            .heard
            .iter()
            .rev()
            .take(3)
            .map(|event| format!("{:?}", event.content))
            .collect();
        if last.is_empty() {
            "none".to_owned()
        } else {
            last.join("; ")
        }
    }
}

/// Lets the default policy clear something: the kit sends only what is cleared, as everybody else.
pub(super) fn clear(outbound: Outbound) -> Step<Cleared<Outbound>> {
    match Filter::default().decide(outbound) {
        Decision::Pass { outbound, .. } => Ok(*outbound),
        _ => Err(fail("the default policy let nothing through")),
    }
}

/// The last new message with this word that is not the hub's own coming back.
pub(super) fn said<'e>(events: &'e [Event], word: &str) -> Option<&'e Event> {
    events.iter().rev().find(|event| {
        event.echo_of.is_none()
            && matches!(&event.content, Content::Message(message) if message.body.to_plain().contains(word))
    })
}

/// What was seen, for a complaint.
pub(super) fn shown(all: &[Seen]) -> String {
    let texts: Vec<String> = all
        .iter()
        .rev()
        .take(6)
        .map(|seen| match seen.what {
            What::Message => format!("{:?}", seen.text),
            other => format!("{other:?} {:?}", seen.text),
        })
        .collect();
    if texts.is_empty() {
        "nothing".to_owned()
    } else {
        texts.join(", then before that ")
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
