//! What the ledger remembers of a step: who, where, what was decided; keyed hashes, never names or contents.

use std::collections::BTreeMap;

use viaduct_audit::{Action, Entry};
use viaduct_compliance::{Finding, Mode, RuleAction, Verdict};
use viaduct_governance::{Keys, PartnerName};
use viaduct_model::{Event, MessageId, Place, Timestamp};
use viaduct_store::DeliveryState;

use crate::end::End;
use crate::govern::Terms;
use crate::routes::{Mirror, PolicyVersion};

/// How much of a reason is kept, in characters.
const REASON: usize = 500;
/// How many ids of one delivery are kept.
const IDS: usize = 64;

/// The policies of several filters, in one word.
pub(crate) fn policies_of<'a>(versions: impl Iterator<Item = &'a PolicyVersion>) -> Option<String> {
    let mut all = String::new();
    for version in versions {
        if !all.is_empty() {
            all.push('+');
        }
        all.push_str(version.as_str());
    }
    (!all.is_empty()).then_some(all)
}

/// An entry that says only when, what and why.
pub(crate) fn plain(at: Timestamp, action: Action, reason: impl Into<String>) -> Entry {
    let mut entry = Entry::new(at, action);
    entry.reason = Some(clip(&reason.into()));
    entry
}

/// The entry of an event's acceptance; `keeper` is in whose name it is kept.
pub(crate) fn accepted(keys: &Keys, keeper: &PartnerName, at: Timestamp, mirror: &Mirror, event: &Event) -> Entry {
    let mut entry = about(keys, keeper, at, mirror, event);
    entry.content = keys.content(keeper, &event.content);
    entry
}

fn about(keys: &Keys, keeper: &PartnerName, at: Timestamp, mirror: &Mirror, event: &Event) -> Entry {
    let mut entry = Entry::new(at, Action::Accepted);
    entry.actor = keys.person(keeper, &event.sender);
    entry.partner = Some(keeper.to_string());
    entry.mirror = Some(mirror.name.clone());
    entry.from = Some(event.place.clone());
    entry.event = Some(event.id.clone());
    entry.kind = Some(event.content.kind());
    entry
}

/// The entry of one delivery on its way: what is known before it ends.
#[derive(Debug)]
pub(crate) struct Trace {
    entry: Entry,
    changed: bool,
}

impl Trace {
    /// Before anything is decided.
    pub(crate) fn of(
        keys: &Keys,
        (here, there): (&Terms, &Terms),
        mirror: &Mirror,
        to: &Place,
        event: &Event,
    ) -> Box<Self> {
        let keeper = if there.own { &here.keeper } else { &there.keeper };
        // Time and action are those of its end.
        let mut entry = about(keys, keeper, Timestamp::default(), mirror, event);
        entry.to = Some(to.clone());
        // Under the same key the content has the hash that is in the entry of its acceptance.
        if *keeper != here.keeper {
            entry.content = keys.content(keeper, &event.content);
        }
        Box::new(Self { entry, changed: false })
    }

    /// Notes that these policies let it pass, what they found, and whether it goes on in another form than it came.
    pub(crate) fn passed(&mut self, policies: Option<String>, findings: &[Finding]) {
        self.entry.policy = policies;
        self.entry.findings = counted(findings);
        let changes = |finding: &Finding| {
            finding.mode == Mode::Enforce && matches!(finding.action, RuleAction::Mask | RuleAction::StripAttachment)
        };
        self.changed = findings.iter().any(changes);
    }

    /// Notes which of these policies kept it back.
    pub(crate) fn kept(&mut self, policies: Option<String>, verdict: &Verdict) {
        self.entry.policy = policies;
        self.entry.rule = Some(verdict.rule.clone());
        self.entry.findings = counted(&verdict.findings);
    }

    /// The entries of the delivery that ended so: none if the destination has nothing like it.
    pub(crate) fn settled(self, at: Timestamp, end: &End) -> Vec<Entry> {
        let action = match &end.record {
            Some((DeliveryState::Held, _)) => Action::Held,
            Some((DeliveryState::Refused, _)) => Action::Refused,
            Some((DeliveryState::Failed, _)) => Action::Failed,
            Some((DeliveryState::Unknown, _)) => Action::Unknown,
            None if end.arrived() => Action::Delivered,
            None => return Vec::new(),
        };
        let mut entry = self.entry;
        entry.at = at;
        let changed = self.changed.then(|| Entry {
            action: Action::Changed,
            content: None,
            ..entry.clone()
        });
        entry.action = action;
        let arrived = end.copied.iter().flat_map(|copied| &copied.ids);
        entry.ids = arrived.take(IDS).cloned().collect::<Vec<MessageId>>();
        entry.reason = end.record.as_ref().map(|(_, reason)| clip(reason));
        changed.into_iter().chain(std::iter::once(entry)).collect()
    }
}

fn counted(findings: &[Finding]) -> BTreeMap<String, u32> {
    findings
        .iter()
        .map(|finding| (finding.rule.clone(), finding.count))
        .collect()
}

/// The beginning of a reason, as far as it is kept.
fn clip(reason: &str) -> String {
    reason.chars().take(REASON).collect()
}
