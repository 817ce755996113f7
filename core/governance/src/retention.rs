//! What has to be deleted tonight, and the job that does it.
//!
//! Agreements say how long; a legal hold beats them; what has not arrived yet is never deleted. Each batch is one commit with
//! its ledger entry, which counts what was deleted by class.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;
use viaduct_audit::{Action, Entry};
use viaduct_model::Timestamp;
use viaduct_store::{Op, Seq, Store};

use crate::holds::{LegalHold, covering};
use crate::keys::Keys;
use crate::records::{Class, Item, MirrorPlaces, PAGE, Replaced, due, item, settled};
use crate::standing::Standing;
use crate::step::{Recorder, Step};
use crate::{GovernanceError, PartnerName, Register};

/// What is to be done with some records.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RetentionPlan {
    /// To be deleted now.
    pub delete: Vec<Item>,
    /// Due, and kept by the hold of this id.
    pub held: Vec<(Item, String)>,
    /// Due, and not arrived everywhere yet.
    pub waiting: Vec<Item>,
}

/// Decides about records. What is not due is not in the plan.
pub fn plan(
    register: &Register,
    holds: &[LegalHold],
    items: Vec<Item>,
    own_days: u32,
    now: Timestamp,
) -> RetentionPlan {
    let mut plan = RetentionPlan::default();
    for item in items {
        if due(register, &item, own_days) > now {
            continue;
        }
        if let Some(hold) = covering(holds, &item) {
            plan.held.push((item, hold.id.clone()));
        } else if item.settled {
            plan.delete.push(item);
        } else {
            plan.waiting.push(item);
        }
    }
    plan
}

/// The partners whose pseudonyms must not be traceable any more: so many days after the end, unless a hold may concern them.
pub fn keys_due(register: &Register, holds: &[LegalHold], now: Timestamp) -> Vec<PartnerName> {
    let over = |name: &PartnerName| {
        let partner = register.partner(name)?;
        let ended = match register.standing(name, now)? {
            Standing::Ended => partner.last_day().end(),
            Standing::Offboarded => partner.history.offboarded?,
            _ => return None,
        };
        let days = u64::from(partner.agreement.retention.ledger);
        Some(ended.plus_millis(days.saturating_mul(crate::date::DAY)) <= now)
    };
    let names = register.partners().keys();
    names
        .filter(|name| over(name) == Some(true) && !holds.iter().any(|hold| hold.scope.may_concern(name)))
        .cloned()
        .collect()
}

/// What the job did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct RetentionReport {
    /// Deleted, by class.
    pub deleted: BTreeMap<Class, u64>,
    /// Kept by a hold.
    pub held: u64,
    /// Not arrived everywhere yet.
    pub waiting: u64,
    /// Partners whose key for pseudonyms was destroyed.
    pub keys: Vec<PartnerName>,
}

/// The job.
#[derive(Debug)]
pub struct RetentionJob {
    store: Arc<dyn Store>,
    recorder: Arc<dyn Recorder>,
    keys: Arc<Keys>,
}

impl RetentionJob {
    /// The job over a store.
    pub fn new(store: Arc<dyn Store>, recorder: Arc<dyn Recorder>, keys: Arc<Keys>) -> Self {
        Self { store, recorder, keys }
    }

    /// Deletes what is due in these mirrors, and destroys the keys that are. `own_days` is how long entries are kept that are
    /// under no agreement.
    ///
    /// # Errors
    ///
    /// When the store fails: what is deleted by then is, and the next run goes on.
    pub async fn run(
        &self,
        register: &Register,
        holds: &[LegalHold],
        mirrors: &[MirrorPlaces],
        own_days: u32,
        now: Timestamp,
    ) -> Result<RetentionReport, GovernanceError> {
        let mut report = RetentionReport::default();
        for mirror in mirrors {
            self.mirror(register, holds, mirror, own_days, now, &mut report).await?;
        }
        for partner in keys_due(register, holds, now) {
            if self.keys.has_pseudonyms(&partner) {
                self.keys.destroy_content(&partner, &*self.recorder, now).await?;
                self.keys.destroy_pseudonyms(&partner, &*self.recorder, now).await?;
                report.keys.push(partner);
            }
        }
        Ok(report)
    }

    async fn mirror(
        &self,
        register: &Register,
        holds: &[LegalHold],
        mirror: &MirrorPlaces,
        own_days: u32,
        now: Timestamp,
        report: &mut RetentionReport,
    ) -> Result<(), GovernanceError> {
        let replaced = Replaced::of(&*self.store, &mirror.name).await?;
        let settled = settled(&*self.store, register, mirror, now).await?;
        let mut after = Seq(0);
        let end = self.store.last(&mirror.name).await?;
        loop {
            let page = self.store.journal(&mirror.name, after, PAGE).await?;
            let Some((last, _)) = page.last() else { break };
            after = *last;
            let items: Vec<Item> = page
                .iter()
                .map(|(seq, event)| item(register, mirror, &replaced, settled, *seq, event))
                .collect();
            let plan = plan(register, holds, items, own_days, now);
            report.held += plan.held.len() as u64;
            report.waiting += plan.waiting.len() as u64;
            if plan.delete.is_empty() {
                continue;
            }
            let mut entry = Entry::new(now, Action::Erased);
            entry.mirror = Some(mirror.name.clone());
            entry.reason = Some("retention".to_owned());
            for item in &plan.delete {
                *entry.findings.entry(item.class.as_str().to_owned()).or_default() += 1;
                *report.deleted.entry(item.class).or_default() += 1;
            }
            let step = Step::entry(entry).with(Op::Erase {
                mirror: mirror.name.clone(),
                seqs: plan.delete.iter().map(|item| item.seq).collect(),
            });
            self.recorder.commit(step).await?;
        }
        self.tidy(mirror, end).await
    }

    /// Trims what is empty at the beginning of a journal, so that nobody has to look through it.
    async fn tidy(&self, mirror: &MirrorPlaces, end: Seq) -> Result<(), GovernanceError> {
        let first = self.store.journal(&mirror.name, Seq(0), 1).await?;
        let through = first.first().map_or(end, |(seq, _)| Seq(seq.0.saturating_sub(1)));
        let step = Step::default().with(Op::Trim {
            mirror: mirror.name.clone(),
            through,
        });
        self.recorder.commit(step).await
    }
}
