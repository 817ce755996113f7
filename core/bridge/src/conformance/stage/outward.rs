//! From the hub to the network: what is delivered, and what the remote person sees of it.

use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};
use viaduct_compliance::{Cleared, Decision, Filter};
use viaduct_model::{
    Author, ChannelId, Content, DeliveryKey, Message, MessageId, NetworkName, Outbound, Place, Receipt, Support,
};

use super::{ATTEMPT, Stage, person};
use crate::conformance::remote::{Seen, What};
use crate::conformance::{Step, fail};
use crate::{DeliveryError, Failure};

/// The longest the kit waits before it tries a delivery again, whatever the session asks for.
const RETRY_BOUND: Duration = Duration::from_secs(2);

impl Stage<'_> {
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
}

/// Lets the default policy clear something: the kit sends only what is cleared, as everybody else.
pub(in crate::conformance) fn clear(outbound: Outbound) -> Step<Cleared<Outbound>> {
    match Filter::default().decide(outbound) {
        Decision::Pass { outbound, .. } => Ok(*outbound),
        _ => Err(fail("the default policy let nothing through")),
    }
}

/// What was seen, for a complaint.
pub(in crate::conformance) fn shown(all: &[Seen]) -> String {
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
