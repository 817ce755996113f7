//! One delivery: plan, clear, send, and whatever it takes until its outcome is settled.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use viaduct_bridge::{DeliveryError, Failure, Feedback, Outcome};
use viaduct_compliance::Cleared;
use viaduct_model::{ChannelId, Lookup, MessageId, NetworkName, Outbound, Person, Place, Receipt};
use viaduct_store::DeliveryState;

use crate::backoff::Backoff;
use crate::core::{Core, Side};
use crate::end::End;
use crate::ledger::Trace;
use crate::routes::{Member, Mirror, RoomOrigin};
use crate::{faults, labels, notices, telemetry};

/// The sender of an event that is still not delivered is told after so many attempts.
const DELAYED_AFTER: u32 = 5;
/// A bridge that panics over an event so often does not get it again.
const PANICS: u32 = 3;

/// What a delivery needs to know of its surroundings.
pub(crate) struct Delivering<'a> {
    pub(crate) core: &'a Arc<Core>,
    pub(crate) mirror: &'a Arc<Mirror>,
    pub(crate) member: &'a Member,
    pub(crate) side: &'a Arc<Side>,
}

/// An event that is ready to be sent, or needs no sending.
pub(crate) enum Prepared {
    /// Send it.
    Send(Box<Sending>),
    /// It ended here: nothing to say there, held or refused.
    End(End),
    /// It does not go this way at all.
    Elsewhere,
}

/// A cleared event and what is needed to tell its sender about it.
pub(crate) struct Sending {
    pub(crate) cleared: Cleared<Outbound>,
    /// Its entry in the ledger, until it ends.
    pub(crate) trace: Option<Box<Trace>>,
    /// Where it happened, and its id there.
    pub(crate) source: Place,
    pub(crate) id: MessageId,
}

/// Tells the sender of an event what became of it.
pub(crate) fn tell(core: &Arc<Core>, source: &Place, id: &MessageId, to: &Place, outcome: Outcome) {
    let Some(side) = core.side(&source.network) else { return };
    let place = actual(core, source).unwrap_or_else(|| source.clone());
    let destination = to.clone();
    let feedback = Feedback {
        place,
        id: id.clone(),
        destination,
        outcome,
    };
    // Feedback must never hold up a lane.
    core.tasks.spawn(async move {
        side.session.feedback(feedback).await;
    });
}

/// The place as its network knows it: a mirror's Matrix side is named after the mirror, the homeserver wants the room.
pub(crate) fn actual(core: &Core, place: &Place) -> Option<Place> {
    if !place.network.is_matrix() {
        return Some(place.clone());
    }
    let mirror = viaduct_model::MirrorName::new(place.channel.as_str()).ok()?;
    let room = core.room_of(&mirror)?;
    Some(Place::new(NetworkName::matrix(), ChannelId::new(room).ok()?))
}

impl Delivering<'_> {
    pub(crate) fn tell(&self, source: &Place, id: &MessageId, outcome: Outcome) {
        tell(self.core, source, id, &self.member.place, outcome);
    }

    /// What became of a delivery that was begun before the hub was killed.
    pub(crate) async fn outcome_of(&self, sending: Sending) -> End {
        match self.side.session.capabilities(&self.member.place.channel).lookup {
            Lookup::Idempotent => self.deliver(sending).await,
            Lookup::Queryable => match self.look_up(&sending).await {
                Some(Ok(Some(receipt))) => End::delivered(sending, receipt),
                Some(Ok(None)) => self.deliver(sending).await,
                Some(Err(reason)) => self.unknown(&sending, &reason),
                None => End::stopped(),
            },
            Lookup::None => self.unknown(&sending, "the hub was stopped while it was being sent"),
        }
    }

    fn unknown(&self, sending: &Sending, reason: &str) -> End {
        tracing::warn!(to = %self.member.place, reason, "Nobody can say whether an event arrived.");
        self.tell(&sending.source, &sending.id, Outcome::Unknown(reason.to_owned()));
        End::recorded(DeliveryState::Unknown, reason.to_owned())
    }

    /// Asks the network about a key until it answers. None if the hub is stopping.
    async fn look_up(&self, sending: &Sending) -> Option<Result<Option<Receipt>, String>> {
        let mut backoff = Backoff::new(Duration::from_millis(200), Duration::from_mins(1));
        loop {
            let asked = self
                .side
                .session
                .find_delivered(&self.member.place.channel, &sending.cleared.key);
            match self.guarded(asked).await? {
                Ok(found) => return Some(Ok(found)),
                Err(error) if error.failure == Failure::UnknownOutcome => return Some(Err(error.reason)),
                Err(error) => {
                    tracing::warn!(to = %self.member.place, %error, "The outcome of a delivery could not be looked up yet.");
                    self.wait(&mut backoff, error.failure).await?;
                }
            }
        }
    }

    /// Sends until it is settled, one way or the other.
    pub(crate) async fn deliver(&self, mut sending: Sending) -> End {
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_mins(1));
        let mut panics = 0;
        let mut told = false;
        loop {
            if self.address(&mut sending).await.is_none() {
                return End::stopped();
            }
            faults::point("deliver-before");
            let Some(result) = self.guarded(self.side.session.deliver(&sending.cleared)).await else {
                return End::stopped();
            };
            faults::point("deliver-after");
            let error = match result {
                Ok(receipt) => {
                    if told {
                        self.tell(&sending.source, &sending.id, Outcome::Delivered);
                    }
                    return End::delivered(sending, receipt);
                }
                Err(error) => error,
            };
            panics += u32::from(error.reason == PANICKED);
            if panics >= PANICS {
                return self.failed(&sending, "the bridge failed on this event");
            }
            match error.failure {
                Failure::Permanent | Failure::TooLarge => return self.failed(&sending, &error.reason),
                Failure::Unsupported => {
                    tracing::debug!(to = %self.member.place, %error, "The destination has nothing like it.");
                    return End::nothing();
                }
                Failure::UnknownOutcome => match self.side.session.capabilities(&self.member.place.channel).lookup {
                    Lookup::None => return self.unknown(&sending, &error.reason),
                    Lookup::Queryable => match self.look_up(&sending).await {
                        Some(Ok(Some(receipt))) => return End::delivered(sending, receipt),
                        Some(Ok(None)) => {}
                        Some(Err(reason)) => return self.unknown(&sending, &reason),
                        None => return End::stopped(),
                    },
                    Lookup::Idempotent => {}
                },
                Failure::Retry(_) | Failure::AuthLost => {}
            }
            telemetry::retried(&self.member.place.network);
            tracing::debug!(to = %self.member.place, %error, attempt = backoff.attempts(), "A delivery is tried again.");
            if backoff.attempts() >= DELAYED_AFTER && !told {
                told = true;
                tracing::warn!(to = %self.member.place, %error, "A delivery is delayed.");
                self.tell(&sending.source, &sending.id, Outcome::Delayed(error.reason.clone()));
            }
            if self.wait(&mut backoff, error.failure).await.is_none() {
                return End::stopped();
            }
        }
    }

    fn failed(&self, sending: &Sending, reason: &str) -> End {
        tracing::warn!(to = %self.member.place, reason, "A delivery failed for good.");
        self.tell(&sending.source, &sending.id, Outcome::Failed(reason.to_owned()));
        End::recorded(DeliveryState::Failed, reason.to_owned())
    }

    /// Runs a call into the bridge: a panic in it is contained, and stopping does not wait for a hanging one for ever.
    async fn guarded<T>(
        &self,
        call: impl Future<Output = Result<T, DeliveryError>>,
    ) -> Option<Result<T, DeliveryError>> {
        let call = AssertUnwindSafe(call).catch_unwind();
        tokio::pin!(call);
        let result = tokio::select! {
            result = &mut call => result,
            () = self.core.stop.cancelled() => {
                tokio::time::timeout(crate::DRAIN, call).await.ok()?
            }
        };
        Some(result.unwrap_or_else(|_| {
            tracing::error!(to = %self.member.place, "The bridge panicked; the event is tried again.");
            Err(DeliveryError::new(Failure::UnknownOutcome, PANICKED))
        }))
    }

    /// Waits before the next attempt: by backoff, or until a side that is down is up again. None if the hub is stopping.
    pub(crate) async fn wait(&self, backoff: &mut Backoff, failure: Failure) -> Option<()> {
        let asked = match failure {
            Failure::Retry(asked) => asked,
            _ => None,
        };
        let pause = backoff.next(asked, &*self.core.entropy);
        let pausing = async {
            if failure == Failure::AuthLost || !self.side.is_up() {
                // Up again ends the wait early; otherwise it is tried anyway after a while.
                tokio::time::timeout(pause.max(Duration::from_secs(5)), self.side.up())
                    .await
                    .ok();
            } else {
                tokio::time::sleep(pause).await;
            }
        };
        tokio::select! {
            () = pausing => Some(()),
            () = self.core.stop.cancelled() => None,
            () = self.side.stop.cancelled() => None,
        }
    }

    /// Writes the actual address on the event: a Matrix room may still have to be made. None if the hub is stopping.
    async fn address(&self, sending: &mut Sending) -> Option<()> {
        if !self.member.place.network.is_matrix() {
            return Some(());
        }
        let mut backoff = Backoff::new(Duration::from_millis(200), Duration::from_mins(1));
        loop {
            if let Some(place) = actual(self.core, &self.member.place) {
                notices::ensure(self.core, self.mirror).await?;
                sending.cleared.readdress(place);
                return Some(());
            }
            if let Err(error) = self.make_room(&sending.cleared.author.person).await {
                tracing::warn!(mirror = %self.mirror.name, %error, "The mirror's room is not available yet.");
                self.wait(&mut backoff, error.failure).await?;
            }
        }
    }

    async fn make_room(&self, author: &Person) -> Result<(), DeliveryError> {
        let Some(home) = self.core.home() else {
            return Err(DeliveryError::retry("the homeserver side is not there yet"));
        };
        let guard = self.core.making.lock().await;
        if self.core.room_of(&self.mirror.name).is_some() {
            return Ok(());
        }
        let room = match &self.mirror.origin {
            RoomOrigin::Configured(spec) => home.ensure_room(spec).await?,
            RoomOrigin::Direct { person, with } => home.direct_room(person.as_ref().unwrap_or(author), with).await?,
        };
        labels::read(self.core, &*home, &room).await?;
        self.core
            .save_room(self.mirror, &room)
            .await
            .map_err(|error| DeliveryError::retry(error.to_string()))?;
        drop(guard);
        Ok(())
    }
}

/// The reason given for a panic inside a bridge.
const PANICKED: &str = "the bridge panicked";
