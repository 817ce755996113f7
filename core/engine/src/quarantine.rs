//! What a policy held: kept sealed until somebody who may lets it go, and then delivered the rest of the way.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use viaduct_bridge::Outcome;
use viaduct_compliance::{Approval, Verdict};
use viaduct_governance::{EXPIRED, Held, HeldId, Hold, Quarantine, Step, Text};
use viaduct_model::{Event, Timestamp};
use viaduct_store::{DeliveryState, Lane, Op, Seq, StoreError};

use crate::EngineError;
use crate::core::Core;
use crate::deliver::{Delivering, Prepared};
use crate::end::End;
use crate::prepare::is_said;
use crate::{deliver, notices, resolve};

/// How often there is a look without being told to: a destination may have come back.
const EVERY: Duration = Duration::from_mins(1);
/// What is noted of an event that only waits behind another one.
const BEHIND: &str = "it refers to something that is held";

fn quarantine(core: &Core) -> Result<&Quarantine, EngineError> {
    core.govern.quarantine.as_ref().ok_or(EngineError::NoLedger)
}

/// The end of a delivery that was held: with what keeps the event, sealed, in the same commit. Without a ledger there is
/// nothing to keep it in, and only a record is made.
pub(crate) fn hold(core: &Core, lane: &Lane, seq: Seq, event: &Event, verdict: &Verdict, author: Option<&str>) -> End {
    let reason = format!("{}: {}", verdict.rule, verdict.reason);
    let what = Hold {
        lane,
        seq,
        event,
        verdict: Some(verdict),
        rule_author: author,
        behind: None,
    };
    ended(core, &what, reason)
}

fn ended(core: &Core, what: &Hold<'_>, reason: String) -> End {
    let Some(quarantine) = &core.govern.quarantine else {
        let releasable = what.verdict.is_none_or(|verdict| verdict.release.by_second_person());
        let state = if releasable {
            DeliveryState::Held
        } else {
            DeliveryState::Refused
        };
        return End::recorded(state, reason);
    };
    match quarantine.hold(&core.govern.register(), what, core.clock.now()) {
        Ok(step) => End::recorded(DeliveryState::Held, reason).with(step),
        Err(error) => {
            tracing::error!(lane = %what.lane.to, %error, "What a policy holds cannot be kept, and is refused.");
            End::recorded(DeliveryState::Refused, format!("{reason}; it cannot be kept: {error}"))
        }
    }
}

/// Whether an event refers to one that is held on its lane; then it waits behind that one.
pub(crate) async fn behind(core: &Arc<Core>, lane: &Lane, seq: Seq, event: &Event) -> Result<Option<End>, StoreError> {
    let Some(quarantine) = &core.govern.quarantine else {
        return Ok(None);
    };
    let message = event.content.message();
    let targets = event
        .content
        .target()
        .into_iter()
        .chain(message.and_then(|message| message.reply_to.as_ref()))
        .chain(message.and_then(|message| message.thread.as_ref()));
    for target in targets {
        let Some(at) = core.store.locate(&event.place, target).await? else {
            continue;
        };
        let held = quarantine.holds(lane, at.seq).await.map_err(store_error)?;
        if at.mirror == lane.mirror && held {
            let what = Hold {
                lane,
                seq,
                event,
                verdict: None,
                rule_author: None,
                behind: Some(at.seq),
            };
            if is_said(event.content.kind()) {
                let why = Text::HeldBehind.say(core.settings().language, &[]);
                deliver::tell(core, &event.place, &event.id, &lane.to, Outcome::Held(why));
            }
            return Ok(Some(ended(core, &what, BEHIND.to_owned())));
        }
    }
    Ok(None)
}

/// What went wrong in the store, as the lane knows it: it tries again.
pub(crate) fn store_error(error: viaduct_governance::GovernanceError) -> StoreError {
    match error {
        viaduct_governance::GovernanceError::Store(error) => error,
        other => StoreError::Io(other.to_string()),
    }
}

/// Delivers what is released, until the hub stops.
pub(crate) async fn run(core: Arc<Core>) {
    let busy: Arc<Mutex<HashSet<Lane>>> = Arc::default();
    while !core.stop.is_cancelled() {
        if let Err(error) = deliver_ready(&core, &busy).await {
            tracing::error!(%error, "What was released could not be read.");
        }
        tokio::select! {
            () = core.govern.released.notified() => {}
            () = tokio::time::sleep(EVERY) => {}
            () = core.stop.cancelled() => return,
        }
    }
}

/// Starts a task for every lane with something ready: one that hangs holds up no other.
async fn deliver_ready(core: &Arc<Core>, busy: &Arc<Mutex<HashSet<Lane>>>) -> Result<(), EngineError> {
    let Some(quarantine) = &core.govern.quarantine else {
        return Ok(());
    };
    let mut ready = quarantine.ready().await?.into_iter().peekable();
    while let Some(first) = ready.next() {
        let mut same = vec![first];
        while let Some(next) = ready.next_if(|next| same.first().is_some_and(|first| first.lane == next.lane)) {
            same.push(next);
        }
        let Some(lane) = same.first().map(|held| held.lane.clone()) else {
            continue;
        };
        let free = busy.lock().unwrap_or_else(PoisonError::into_inner).insert(lane.clone());
        if !free {
            continue;
        }
        let (core, busy) = (core.clone(), busy.clone());
        core.tasks.clone().spawn(async move {
            for held in same {
                if let Err(error) = deliver_one(&core, &held).await {
                    tracing::error!(id = %held.id, %error, "What was released could not be delivered yet.");
                    break;
                }
            }
            busy.lock().unwrap_or_else(PoisonError::into_inner).remove(&lane);
        });
    }
    Ok(())
}

async fn deliver_one(core: &Arc<Core>, held: &Held) -> Result<(), EngineError> {
    let quarantine = quarantine(core)?;
    let Some(mirror) = core.routes().named(&held.lane.mirror).cloned() else {
        return Ok(());
    };
    let (Some(member), Some(side)) = (mirror.member(&held.lane.to).cloned(), core.side(&held.lane.to.network)) else {
        return Ok(());
    };
    let now = core.clock.now();
    if core.govern.at(&held.lane.to, now).obstacle.is_some() || core.govern.at(&held.from, now).obstacle.is_some() {
        return Ok(());
    }
    let event = quarantine.event(held).await?;
    let resolved = resolve::resolve(&*core.store, &event, &held.lane.to).await?;
    let delivering = Delivering {
        core,
        mirror: &mirror,
        member: &member,
        side: &side,
    };
    let (source, id) = (event.place.clone(), event.id.clone());
    let approval = held.approval();
    let end = match delivering.approved(held.seq, event, &resolved, approval.as_ref()).await {
        Prepared::Send(mut sending) => {
            let trace = sending.trace.take();
            delivering.deliver(*sending).await.traced(trace)
        }
        Prepared::End(end) => end,
        Prepared::Elsewhere => End::nothing(),
    };
    // What the policies hold even now was asked about: it is not asked about again.
    let Some(mut end) = end.into_settled().map(End::not_held) else {
        return Ok(());
    };
    let arrived = end.arrived();
    let mut entries = end.entries(now);
    let step = quarantine.settled(held).await?;
    let record = end.record.map(|(state, reason)| (state, reason, now));
    let mut ops = vec![
        Op::Forget {
            lane: held.lane.clone(),
            seq: held.seq,
        },
        Op::Settle {
            lane: held.lane.clone(),
            seq: held.seq,
            copied: end.copied,
            record,
        },
    ];
    ops.extend(step.ops);
    entries.extend(step.entries);
    core.submit(ops, entries).await?.await?;
    if arrived {
        deliver::tell(core, &source, &id, &held.lane.to, Outcome::Delivered);
        notices::released(core, held);
    }
    // What waited behind it is ready now.
    core.govern.released.notify_one();
    Ok(())
}

/// Rejects what nobody released in time.
pub(crate) async fn expire(core: &Arc<Core>, now: Timestamp) -> Result<(), EngineError> {
    let Some(quarantine) = &core.govern.quarantine else {
        return Ok(());
    };
    for (step, rejected) in quarantine.expired(now).await? {
        let told = Text::Expired.say(core.settings().language, &[]);
        settle_rejected(core, step, &rejected, EXPIRED, &told).await?;
    }
    Ok(())
}

/// Writes down what was rejected, and why; its senders are `told` so.
async fn settle_rejected(
    core: &Arc<Core>,
    step: Step,
    rejected: &[Held],
    reason: &str,
    told: &str,
) -> Result<(), EngineError> {
    let now = core.clock.now();
    let refused = rejected.iter().map(|held| Op::Settle {
        lane: held.lane.clone(),
        seq: held.seq,
        copied: None,
        record: Some((DeliveryState::Refused, format!("rejected: {reason}"), now)),
    });
    let ops = step.ops.into_iter().chain(refused).collect();
    core.submit(ops, step.entries).await?.await?;
    for held in rejected {
        let outcome = Outcome::Refused(told.to_owned());
        deliver::tell(core, &held.from, &held.event, &held.lane.to, outcome);
    }
    core.govern.released.notify_one();
    Ok(())
}

impl crate::Engine {
    /// Everything that is held: neither content nor names.
    ///
    /// # Errors
    ///
    /// When the store fails, or no ledger is kept.
    pub async fn held(&self) -> Result<Vec<Held>, EngineError> {
        Ok(quarantine(&self.core)?.list().await?)
    }

    /// Shows what is held to a reviewer; that it was shown is in the ledger before this returns.
    ///
    /// # Errors
    ///
    /// If it is not held, no reason is given, or the store fails.
    pub async fn show_held(&self, id: &HeldId, by: &str, reason: &str) -> Result<(Held, Event), EngineError> {
        let now = self.core.clock.now();
        Ok(quarantine(&self.core)?.open(id, by, reason, now).await?)
    }

    /// Releases what is held, as a second person: it goes the rest of the way.
    ///
    /// # Errors
    ///
    /// If they sent it, wrote the rule that holds it, or give no reason.
    pub async fn release_held(&self, id: &HeldId, by: &str, reason: &str) -> Result<(), EngineError> {
        let approval = Approval { approver: by, reason };
        let step = quarantine(&self.core)?
            .release(id, &approval, self.core.clock.now())
            .await?;
        self.core.submit(step.ops, step.entries).await?.await?;
        self.core.govern.released.notify_one();
        Ok(())
    }

    /// Rejects what is held, and what refers to it.
    ///
    /// # Errors
    ///
    /// If it is not held, or no reason is given.
    pub async fn reject_held(&self, id: &HeldId, by: &str, reason: &str) -> Result<usize, EngineError> {
        let (step, rejected) = quarantine(&self.core)?
            .reject(id, by, reason, self.core.clock.now())
            .await?;
        let told = Text::Rejected.say(self.core.settings().language, &[("reason", reason)]);
        settle_rejected(&self.core, step, &rejected, reason, &told).await?;
        Ok(rejected.len())
    }
}
