//! Trying policies on what is in the journal: nothing is sent, and nothing is written.
//!
//! What was said is judged as it was said, before a destination's capabilities change its form, and under the labels that its
//! room has now. Files are not looked into again: each judgement says how many there are, and rules that ask what is in them
//! count as they do where that is not known. What was found in them at the time is in the ledger.

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};
use viaduct_compliance::{Context, Decision, Filter, Finding, decide_all};
use viaduct_governance::Register;
use viaduct_model::{
    Author, DeliveryKey, Event, EventKind, Message, MessageId, MirrorName, Outbound, Place, Timestamp,
};
use viaduct_store::{Seq, Store, StoreError};

use crate::govern::Terms;
use crate::routes::{Mirror, Routes};
use crate::settings::Settings;
use crate::{labels, resolve};

/// How many journal entries are read at once.
const PAGE: usize = 256;
/// How many events a replay names.
const NAMED: usize = 1000;

/// Which way a candidate policy is tried.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Wanted {
    /// Only this mirror.
    pub mirror: Option<MirrorName>,
    /// Only what was said since then.
    pub since: Option<Timestamp>,
}

/// What a candidate policy would have made of the journal.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Replayed {
    /// How many deliveries were judged.
    pub judged: u64,
    /// How many of them would have passed, passed in another form, been held, been refused.
    pub decisions: BTreeMap<String, u64>,
    /// How many deliveries each rule matched.
    pub rules: BTreeMap<String, u64>,
    /// How many of them have files, which were not looked into.
    #[serde(default)]
    pub files_unseen: u64,
    /// Those that would not simply have passed, the first thousand.
    pub events: Vec<Judged>,
}

/// What one delivery would meet.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Judged {
    /// The event's id at its source.
    pub event: MessageId,
    /// When it happened.
    pub at: Timestamp,
    /// Its kind.
    pub kind: EventKind,
    /// The mirror.
    pub mirror: MirrorName,
    /// Where it happened.
    pub from: Place,
    /// Where it goes.
    pub to: Place,
    /// The policies that were asked, with the beginning of their hashes.
    pub policies: Vec<String>,
    /// `pass`, `change`, `hold` or `refuse`.
    pub decision: String,
    /// The rule that decided, if it does not pass.
    pub rule: Option<String>,
    /// What the sender is told.
    pub reason: Option<String>,
    /// Every rule that matched, and by what sort of evidence; never what matched.
    pub findings: Vec<Finding>,
    /// The labels it was judged under: the mirror's, and its room's.
    #[serde(default)]
    pub labels: Vec<String>,
    /// How many files it has, none of which was looked into.
    #[serde(default)]
    pub files_unseen: usize,
}

/// Puts the journal through one candidate policy.
///
/// # Errors
///
/// When the store fails.
pub async fn replay(
    store: &dyn Store,
    settings: &Settings,
    candidate: &Filter,
    wanted: &Wanted,
) -> Result<Replayed, StoreError> {
    let routes = Routes::of(settings);
    let mut result = Replayed::default();
    let rooms = labels::of_rooms(store).await?;
    let mut mirrors: Vec<_> = routes.mirrors().collect();
    mirrors.sort_by(|a, b| a.name.cmp(&b.name));
    for mirror in mirrors {
        if wanted.mirror.as_ref().is_some_and(|name| *name != mirror.name) {
            continue;
        }
        let labels = labelled(mirror, &rooms);
        let mut after = Seq(0);
        loop {
            let page = store.journal(&mirror.name, after, PAGE).await?;
            let Some((last, _)) = page.last() else { break };
            after = *last;
            for (_, event) in page {
                if wanted.since.is_some_and(|since| event.at < since) {
                    continue;
                }
                let previous = previous(store, &event).await?;
                for member in mirror.destinations(&event.place) {
                    let known = Known {
                        previous: previous.as_ref(),
                        labels: &labels,
                        encrypted: mirror.is_encrypted(),
                    };
                    result.count(judge(mirror, &event, &member.place, &known, &[candidate], Vec::new()));
                }
            }
        }
    }
    Ok(result)
}

impl Replayed {
    fn count(&mut self, judged: Judged) {
        self.judged += 1;
        self.files_unseen += u64::from(judged.files_unseen > 0);
        *self.decisions.entry(judged.decision.clone()).or_default() += 1;
        for finding in &judged.findings {
            *self.rules.entry(finding.rule.clone()).or_default() += 1;
        }
        if judged.decision != "pass" && self.events.len() < NAMED {
            self.events.push(judged);
        }
    }
}

/// What the policies in force and the agreements make of one event on each of its ways now; empty if it is not in the journal
/// (any more).
///
/// # Errors
///
/// When the store fails.
pub async fn explain(
    store: &dyn Store,
    settings: &Settings,
    (register, now): (&Register, Timestamp),
    id: &MessageId,
) -> Result<Vec<Judged>, StoreError> {
    let routes = Routes::of(settings);
    let rooms = labels::of_rooms(store).await?;
    let mut all = Vec::new();
    for mirror in routes.mirrors() {
        let labels = labelled(mirror, &rooms);
        for source in &mirror.members {
            let Some(at) = store.locate(&source.place, id).await? else {
                continue;
            };
            let Some(event) = resolve::entry(store, &at.mirror, at.seq).await? else {
                continue;
            };
            let previous = previous(store, &event).await?;
            let known = Known {
                previous: previous.as_ref(),
                labels: &labels,
                encrypted: mirror.is_encrypted(),
            };
            let here = Terms::of(register, &event.place, now);
            let inward = mirror.member(&event.place).map(|member| &member.filters.inward);
            for member in mirror.destinations(&event.place) {
                let there = Terms::of(register, &member.place, now);
                let own = inward.into_iter().flatten().chain(&member.filters.outward);
                let asked: Vec<_> = own.chain(&here.inward).chain(&there.outward).collect();
                let filters: Vec<&Filter> = asked.iter().map(|versioned| &versioned.filter).collect();
                let names = asked.iter().map(|versioned| versioned.version.as_str().to_owned());
                let judged = judge(mirror, &event, &member.place, &known, &filters, names.collect());
                if !all.contains(&judged) {
                    all.push(judged);
                }
            }
        }
    }
    Ok(all)
}

/// For an edit: the wording it replaces.
async fn previous(store: &dyn Store, event: &Event) -> Result<Option<Message>, StoreError> {
    let Some(target) = event.content.target() else {
        return Ok(None);
    };
    let Some(at) = store.locate(&event.place, target).await? else {
        return Ok(None);
    };
    let original = resolve::entry(store, &at.mirror, at.seq).await?;
    Ok(original.and_then(|event| event.content.message().cloned()))
}

/// The labels of a mirror: its own, and what its room's state says.
fn labelled(mirror: &Mirror, rooms: &HashMap<MirrorName, String>) -> Vec<String> {
    mirror.labels.iter().chain(rooms.get(&mirror.name)).cloned().collect()
}

/// What is known around an event.
struct Known<'a> {
    /// For an edit: the wording it replaces.
    previous: Option<&'a Message>,
    labels: &'a [String],
    encrypted: bool,
}

fn judge(
    mirror: &Mirror,
    event: &Event,
    to: &Place,
    known: &Known<'_>,
    filters: &[&Filter],
    policies: Vec<String>,
) -> Judged {
    let outbound = Outbound {
        key: DeliveryKey::derive(&event.place, &event.id, to),
        to: to.clone(),
        from: event.place.clone(),
        author: Author {
            display: event.sender.name.clone(),
            person: event.sender.clone(),
        },
        at: event.at,
        content: event.content.clone(),
        parts: Vec::new(),
    };
    let before = outbound.clone();
    let context = Context {
        now: Some(event.at),
        previous: known.previous,
        labels: known.labels,
        encrypted: known.encrypted,
        ..Context::default()
    };
    let (decision, verdict, findings) = match decide_all(filters.iter().copied(), &context, outbound) {
        Decision::Pass { outbound, findings } if *outbound.get() == before => ("pass", None, findings),
        Decision::Pass { findings, .. } => ("change", None, findings),
        Decision::Hold(verdict) => ("hold", Some((verdict.rule, verdict.reason)), verdict.findings),
        Decision::Refuse(verdict) => ("refuse", Some((verdict.rule, verdict.reason)), verdict.findings),
    };
    let (rule, reason) = verdict.unzip();
    Judged {
        event: event.id.clone(),
        at: event.at,
        kind: event.content.kind(),
        mirror: mirror.name.clone(),
        from: event.place.clone(),
        to: to.clone(),
        policies,
        decision: decision.to_owned(),
        rule,
        reason,
        findings,
        labels: known.labels.to_vec(),
        files_unseen: event.content.message().map_or(0, |message| message.attachments.len()),
    }
}
