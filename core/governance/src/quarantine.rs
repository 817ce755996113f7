//! What is held waits here, sealed, until a second person releases it (or, where every rule that stops it allows it, its
//! sender gives a reason), somebody rejects it, or its time is over.
//!
//! ```text
//! hold ─▶ Waiting ── release(second person) ─▶ Released ─┐
//!            │                                           ├─▶ ready ─▶ the engine delivers ─▶ settled (gone)
//!   refers to something held: behind it ─▶ Free ─────────┘
//!            └── reject, or expiry ─▶ gone; edits, reactions and deletions of it with it, answers to it go on
//! ```
//!
//! # Places are kept
//!
//! A held event holds only itself: the lane goes on after it. What refers to it (an edit, an answer, a reaction, a deletion)
//! is put behind it, and comes free when it is settled. Released events are delivered in the order of their lane, then, and
//! say when they were written; policies are asked once more on the way (`viaduct_compliance::release_all`).
//!
//! # With the engine
//!
//! Every change is a [`Step`]: the engine commits it together with its own changes. When a filter holds an event:
//! [`Quarantine::hold`] with `Op::Settle { record: Held }`. Before a delivery that refers to an earlier event:
//! [`Quarantine::holds`]; if so, [`Quarantine::hold`] it behind that one, without a verdict. After a start and after each
//! release or settlement: [`Quarantine::ready`], deliver each with its [`Quarantine::event`], then [`Quarantine::settled`]
//! with `Op::Settle` and `Op::Forget`.

mod held;
mod overriding;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use viaduct_audit::{Action, Tag};
use viaduct_compliance::{Approval, Direction, Verdict};
use viaduct_model::{Event, EventKind, Timestamp};
use viaduct_store::{Lane, Seq, Store};

use crate::agreements::reason_given;
use crate::date::DAY;
use crate::holds::{LegalHold, covering, standing_holds};
use crate::keys::Keys;
use crate::records::{Class, Item, people};
use crate::step::{OWNER, Recorder, Step, keep, load, raw, scan};
use crate::{GovernanceError, Register};

pub use held::{Held, HeldId, HeldState, Hold};
use held::{RECORD, lane_prefix};

/// How many days what is held within the own organisation waits.
const OWN_DAYS: u32 = 14;

/// Why something was rejected that nobody released in time, as the ledger has it.
pub const EXPIRED: &str = "nobody released it in time";

/// What is sealed of an event that is held.
#[derive(Debug, Serialize, Deserialize)]
struct Body {
    event: Event,
    rule_author: Option<String>,
}

/// What is held, and how it gets out.
#[derive(Debug)]
pub struct Quarantine {
    store: Arc<dyn Store>,
    recorder: Arc<dyn Recorder>,
    keys: Arc<Keys>,
}

impl Quarantine {
    /// The quarantine in a store.
    pub fn new(store: Arc<dyn Store>, recorder: Arc<dyn Recorder>, keys: Arc<Keys>) -> Self {
        Self { store, recorder, keys }
    }

    /// The step that holds an event. Commit it together with what settles the event on its lane.
    ///
    /// # Errors
    ///
    /// [`GovernanceError::NoKey`] if the partner was wound up: then it has to be refused.
    pub fn hold(&self, register: &Register, what: &Hold<'_>, now: Timestamp) -> Result<Step, GovernanceError> {
        let Hold { lane, seq, event, .. } = *what;
        let id = HeldId::of(lane, seq);
        let partner = register.keeper_between(&event.place, &lane.to);
        let direction = if register.is_own(&lane.to) {
            Direction::In
        } else {
            Direction::Out
        };
        let agreement = register.partner(&partner).map(|partner| &partner.agreement);
        let days = agreement.map_or(OWN_DAYS, |agreement| agreement.retention.quarantine.days(direction));
        let held = Held {
            id: id.clone(),
            lane: lane.clone(),
            seq,
            from: event.place.clone(),
            event: event.id.clone(),
            kind: event.content.kind(),
            at: event.at,
            sender: self.keys.person(&partner, &event.sender),
            rule: what.verdict.map(|verdict| verdict.rule.clone()).unwrap_or_default(),
            reason: what.verdict.map_or_else(
                || "it refers to something that is held".to_owned(),
                |verdict| verdict.reason.clone(),
            ),
            findings: what.verdict.map(counts).unwrap_or_default(),
            since: now,
            until: now.plus_millis(u64::from(days).saturating_mul(DAY)),
            release: what.verdict.map(|verdict| verdict.release).unwrap_or_default(),
            state: if what.verdict.is_some() {
                HeldState::Waiting
            } else {
                HeldState::Free
            },
            behind: what.behind,
            partner,
        };
        let body = Body {
            event: event.clone(),
            rule_author: what.rule_author.map(str::to_owned),
        };
        let body = serde_json::to_vec(&body).map_err(|error| GovernanceError::invalid(error.to_string()))?;
        let sealed = self.keys.seal(&held.partner, &id.body(), &body)?;
        let mut entry = held.entry(Action::Held, now);
        entry.actor.clone_from(&held.sender);
        entry.findings.clone_from(&held.findings);
        entry.content = self.keys.content(&held.partner, &event.content);
        entry.reason = Some(held.reason.clone());
        Ok(Step::entry(entry)
            .with(keep(&id.record(), Some(&held))?)
            .with(raw(&id.body(), Some(sealed))))
    }

    /// Whether an event of a lane is held here; whatever refers to it has to wait behind it.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub async fn holds(&self, lane: &Lane, seq: Seq) -> Result<bool, GovernanceError> {
        let record = self.store.state(OWNER, &HeldId::of(lane, seq).record()).await?;
        Ok(record.is_some())
    }

    /// Everything that is held, by lane and in its order.
    ///
    /// # Errors
    ///
    /// When the store fails or a record in it is damaged.
    pub async fn list(&self) -> Result<Vec<Held>, GovernanceError> {
        let found = scan::<Held>(&*self.store, RECORD).await?;
        Ok(found.into_iter().map(|(_, held)| held).collect())
    }

    /// One of what is held.
    ///
    /// # Errors
    ///
    /// [`GovernanceError::NotHeld`] if it is not.
    pub async fn get(&self, id: &HeldId) -> Result<Held, GovernanceError> {
        let found = load(&*self.store, &id.record()).await?;
        found.ok_or_else(|| GovernanceError::NotHeld(id.to_string()))
    }

    /// What can be delivered now, by lane and in its order.
    ///
    /// # Errors
    ///
    /// When the store fails or a record in it is damaged.
    pub async fn ready(&self) -> Result<Vec<Held>, GovernanceError> {
        let mut all = self.list().await?;
        all.retain(Held::is_ready);
        Ok(all)
    }

    /// The event itself, for its delivery. For people, see [`Quarantine::open`].
    ///
    /// # Errors
    ///
    /// If it is not held, or its key is gone.
    pub async fn event(&self, held: &Held) -> Result<Event, GovernanceError> {
        Ok(self.unsealed(held).await?.event)
    }

    async fn unsealed(&self, held: &Held) -> Result<Body, GovernanceError> {
        let key = held.id.body();
        let sealed = self.store.state(OWNER, &key).await?;
        let sealed = sealed.ok_or_else(|| GovernanceError::NotHeld(held.id.to_string()))?;
        let body = self.keys.open_sealed(&held.partner, &key, &sealed)?;
        crate::step::read(&key, &body)
    }

    /// Shows what is held to a reviewer. That it was shown, to whom and why is in the ledger before this returns.
    ///
    /// # Errors
    ///
    /// If it is not held, no reason is given, or the store fails.
    pub async fn open(
        &self,
        id: &HeldId,
        reviewer: &str,
        reason: &str,
        now: Timestamp,
    ) -> Result<(Held, Event), GovernanceError> {
        let reason = reason_given(reason)?;
        let held = self.get(id).await?;
        let body = self.unsealed(&held).await?;
        let mut entry = held.entry(Action::Unmasked, now);
        entry.actor = self.keys.operator(reviewer);
        entry.reason = Some(reason);
        self.recorder.commit(Step::entry(entry)).await?;
        Ok((held, body.event))
    }

    /// The step by which a second person releases what is held; then it is ready, or waits only for what it refers to.
    ///
    /// # Errors
    ///
    /// [`GovernanceError::NotAllowed`] if they sent it, wrote the rule or give no reason, or if only the sender may let it go;
    /// or if it is not held.
    pub async fn release(&self, id: &HeldId, approval: &Approval<'_>, now: Timestamp) -> Result<Step, GovernanceError> {
        let mut held = self.get(id).await?;
        if held.state != HeldState::Waiting {
            return Err(GovernanceError::invalid(format!("{id} does not wait for a release")));
        }
        if !held.release.by_second_person() {
            let why = "its rule lets only its sender send it all the same".to_owned();
            return Err(GovernanceError::NotAllowed(why));
        }
        let body = self.unsealed(&held).await?;
        may_release(&body.event, body.rule_author.as_deref(), approval)?;
        let reason = reason_given(approval.reason)?;
        let mut entry = held.entry(Action::Released, now);
        entry.actor = self.keys.operator(approval.approver);
        entry.reason = Some(reason.clone());
        held.state = HeldState::Released {
            approver: approval.approver.to_owned(),
            reason,
        };
        Ok(Step::entry(entry).with(keep(&id.record(), Some(&held))?))
    }

    /// The step after a delivery, whatever its outcome: it is gone from here, and what waited behind it comes free.
    ///
    /// # Errors
    ///
    /// When the store fails or a record in it is damaged.
    pub async fn settled(&self, held: &Held) -> Result<Step, GovernanceError> {
        let mut step = held.remove()?;
        for mut other in self.behind(held).await? {
            other.behind = None;
            step.ops.push(keep(&other.id.record(), Some(&other))?);
        }
        Ok(step)
    }

    /// What waits behind something, directly, in the order of the lane.
    async fn behind(&self, held: &Held) -> Result<Vec<Held>, GovernanceError> {
        let prefix = format!("{RECORD}{}", lane_prefix(&held.lane));
        let lane = scan::<Held>(&*self.store, &prefix).await?;
        let lane = lane.into_iter().map(|(_, other)| other);
        Ok(lane
            .filter(|other| other.lane == held.lane && other.behind == Some(held.seq))
            .collect())
    }

    /// The step by which somebody rejects what is held, and everything that was rejected with it: edits, reactions and
    /// deletions of it. Answers to it come free.
    ///
    /// # Errors
    ///
    /// If it is not held or no reason is given; [`GovernanceError::NotAllowed`] while a legal hold covers it, because what is
    /// rejected is deleted.
    pub async fn reject(
        &self,
        id: &HeldId,
        by: &str,
        reason: &str,
        now: Timestamp,
    ) -> Result<(Step, Vec<Held>), GovernanceError> {
        let reason = reason_given(reason)?;
        let held = self.get(id).await?;
        if let Some(hold) = self.legal_hold(&held, &standing_holds(&*self.store).await?).await? {
            let why = format!("hold {} covers it ({}); lift that first", hold.id, hold.reason);
            return Err(GovernanceError::NotAllowed(why));
        }
        self.rejected(held, self.keys.operator(by).as_ref(), &reason, now).await
    }

    /// The steps that reject what nobody released in time, each with what was rejected. What a legal hold covers waits on.
    ///
    /// # Errors
    ///
    /// When the store fails or a record in it is damaged.
    pub async fn expired(&self, now: Timestamp) -> Result<Vec<(Step, Vec<Held>)>, GovernanceError> {
        let mut steps = Vec::new();
        let mut gone = BTreeSet::new();
        let holds = standing_holds(&*self.store).await?;
        for held in self.list().await? {
            if held.state == HeldState::Waiting && held.until <= now && !gone.contains(&held.id) {
                if self.legal_hold(&held, &holds).await?.is_some() {
                    continue;
                }
                let (step, rejected) = self.rejected(held, None, EXPIRED, now).await?;
                gone.extend(rejected.iter().map(|held| held.id.clone()));
                steps.push((step, rejected));
            }
        }
        Ok(steps)
    }

    /// The legal hold that covers something held. What cannot be opened any more counts as covered by whatever may concern
    /// its partner.
    async fn legal_hold<'h>(
        &self,
        held: &Held,
        holds: &'h [LegalHold],
    ) -> Result<Option<&'h LegalHold>, GovernanceError> {
        if holds.is_empty() {
            return Ok(None);
        }
        let body = match self.unsealed(held).await {
            Ok(body) => body,
            Err(GovernanceError::NoKey(_)) => {
                return Ok(holds.iter().find(|hold| hold.scope.may_concern(&held.partner)));
            }
            Err(error) => return Err(error),
        };
        let item = Item {
            mirror: held.lane.mirror.clone(),
            seq: held.seq,
            class: Class::Messages,
            // The direction makes no difference to a hold.
            partners: vec![(held.partner.clone(), Direction::Out)],
            people: people(&body.event),
            at: held.at,
            since: held.since,
            settled: false,
        };
        Ok(covering(holds, &item))
    }

    async fn rejected(
        &self,
        held: Held,
        by: Option<&Tag>,
        reason: &str,
        now: Timestamp,
    ) -> Result<(Step, Vec<Held>), GovernanceError> {
        let mut step = Step::default();
        let mut rejected = Vec::new();
        let mut open = vec![held];
        while let Some(held) = open.pop() {
            let mut entry = held.entry(Action::Rejected, now);
            entry.actor = by.cloned();
            entry.reason = Some(reason.to_owned());
            step.entries.push(entry);
            step = step.and(held.remove()?);
            for mut other in self.behind(&held).await? {
                if other.kind == EventKind::Message {
                    other.behind = None;
                    step.ops.push(keep(&other.id.record(), Some(&other))?);
                } else {
                    open.push(other);
                }
            }
            rejected.push(held);
        }
        Ok((step, rejected))
    }
}

fn counts(verdict: &Verdict) -> BTreeMap<String, u32> {
    let mut counts: BTreeMap<String, u32> = BTreeMap::new();
    for finding in &verdict.findings {
        let count = counts.entry(finding.rule.clone()).or_default();
        *count = count.saturating_add(finding.count);
    }
    counts
}

/// Whether somebody may release an event. [`viaduct_compliance::release_all`] asks again on the way, with the rules as they
/// are then.
fn may_release(event: &Event, rule_author: Option<&str>, approval: &Approval<'_>) -> Result<(), GovernanceError> {
    let refused = |why: &str| Err(GovernanceError::NotAllowed(why.to_owned()));
    if approval.reason.trim().is_empty() {
        refused("a release needs a reason")
    } else if event.sender.id.as_str() == approval.approver {
        refused("nobody can release what they sent")
    } else if rule_author == Some(approval.approver) {
        refused("nobody can release what their own rule holds")
    } else {
        Ok(())
    }
}
