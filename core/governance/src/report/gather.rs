//! From the ledger's entries to a report.

use std::collections::hash_map::DefaultHasher;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::hash::{Hash, Hasher};

use viaduct_audit::{Action, Entry, Tag};
use viaduct_compliance::Direction;
use viaduct_model::{MessageId, Place, Timestamp};

use super::latency::Durations;
use super::{HeldCounts, Hit, HitOutcome, PartnerReport, Readers, Volume, ending};
use crate::PartnerName;
use crate::date::Month;
use crate::quarantine::{EXPIRED, Held};
use crate::register::Partner;

/// How many accepted events are remembered until they are delivered. What is delivered later than that is not measured.
const WINDOW: usize = 100_000;

/// Names an event on its way, shorter than its ids.
type Key = u64;

fn key(parts: impl Hash) -> Key {
    let mut hasher = DefaultHasher::new();
    parts.hash(&mut hasher);
    hasher.finish()
}

/// When events were accepted: the last so many of them.
#[derive(Debug, Default)]
struct Acceptances {
    at: HashMap<Key, Timestamp>,
    order: VecDeque<Key>,
}

impl Acceptances {
    fn note(&mut self, from: &Place, event: &MessageId, at: Timestamp) {
        let key = key((from, event));
        if self.at.insert(key, at).is_none() {
            self.order.push_back(key);
        }
        if self.order.len() > WINDOW
            && let Some(oldest) = self.order.pop_front()
        {
            self.at.remove(&oldest);
        }
    }

    fn when(&self, from: &Place, event: &MessageId) -> Option<Timestamp> {
        self.at.get(&key((from, event))).copied()
    }
}

/// Something that was held and has not ended.
#[derive(Debug)]
struct Open {
    actor: Option<Tag>,
    released: bool,
}

/// The partner's side of an entry's way, and the direction seen from the own organisation; none if it is not the partner's.
pub(crate) fn side_of<'e>(name: &PartnerName, partner: &Partner, entry: &'e Entry) -> Option<(&'e Place, Direction)> {
    let from = entry.from.as_ref()?;
    let agreement = &partner.agreement;
    if let Some(to) = entry.to.as_ref().filter(|to| agreement.covers(to)) {
        return Some((to, Direction::Out));
    }
    if agreement.covers(from) {
        return Some((from, Direction::In));
    }
    // The agreement may have covered it then.
    let theirs = entry.partner.as_deref() == Some(name.as_str());
    match &entry.to {
        Some(to) if theirs && !to.network.is_matrix() => Some((to, Direction::Out)),
        _ if theirs && !from.network.is_matrix() => Some((from, Direction::In)),
        _ => None,
    }
}

/// Takes the entries of a ledger, and gives the report of a partner and month.
#[derive(Debug)]
pub struct Gathering<'a> {
    name: &'a PartnerName,
    partner: &'a Partner,
    month: Month,
    accepted: Acceptances,
    open: HashMap<Key, Open>,
    /// The delivery that the entry before said to have been changed.
    changed: Option<Key>,
    volumes: BTreeMap<(Place, bool), Volume>,
    hits: BTreeMap<(String, HitOutcome), (u64, u64)>,
    disputed: BTreeMap<String, u64>,
    inward: Durations,
    outward: Durations,
    holds: HeldCounts,
}

impl<'a> Gathering<'a> {
    /// Of this partner, in this month.
    pub fn new(name: &'a PartnerName, partner: &'a Partner, month: Month) -> Self {
        Self {
            name,
            partner,
            month,
            accepted: Acceptances::default(),
            open: HashMap::new(),
            changed: None,
            volumes: BTreeMap::new(),
            hits: BTreeMap::new(),
            disputed: BTreeMap::new(),
            inward: Durations::default(),
            outward: Durations::default(),
            holds: HeldCounts::default(),
        }
    }

    /// Takes one entry. They have to come in the order of the ledger, from its beginning on.
    pub fn take(&mut self, entry: &Entry) {
        if entry.at >= self.month.last().end() {
            return;
        }
        let within = entry.at >= self.month.first().start();
        let (Some(from), Some(event)) = (&entry.from, &entry.event) else {
            return;
        };
        if entry.action == Action::Accepted {
            self.accepted.note(from, event, entry.at);
        }
        let Some((place, direction)) = side_of(self.name, self.partner, entry) else {
            return;
        };
        if within {
            self.count(entry, place, direction);
        }
        let way = entry.to.as_ref().map(|to| key((from, event, to)));
        if let Some(way) = way {
            self.settle(entry, way, direction, within);
        }
        self.changed = way.filter(|_| entry.action == Action::Changed);
    }

    fn count(&mut self, entry: &Entry, place: &Place, direction: Direction) {
        if entry.action == Action::Disputed {
            for rule in entry.findings.keys() {
                *self.disputed.entry(rule.clone()).or_default() += 1;
            }
            return;
        }
        if matches!(entry.action, Action::Released | Action::Rejected) {
            return;
        }
        let volume = self
            .volumes
            .entry((place.clone(), direction == Direction::Out))
            .or_insert_with(|| Volume {
                place: place.clone(),
                direction,
                accepted: 0,
                delivered: 0,
                kinds: BTreeMap::new(),
                changed: 0,
                held: 0,
                refused: 0,
                failed: 0,
                unknown: 0,
            });
        match entry.action {
            Action::Accepted => volume.accepted += 1,
            Action::Changed => volume.changed += 1,
            Action::Held => volume.held += 1,
            Action::Refused => volume.refused += 1,
            Action::Failed => volume.failed += 1,
            Action::Unknown => volume.unknown += 1,
            Action::Delivered => {
                volume.delivered += 1;
                if let Some(kind) = entry.kind {
                    *volume.kinds.entry(kind.as_str().to_owned()).or_default() += 1;
                }
            }
            _ => {}
        }
    }

    /// What was held, what was found, and how long it took.
    fn settle(&mut self, entry: &Entry, way: Key, direction: Direction, within: bool) {
        let count = u64::from(within);
        let outcome = match entry.action {
            Action::Held => {
                self.holds.held += count;
                let open = Open {
                    actor: entry.actor.clone(),
                    released: false,
                };
                self.open.insert(way, open);
                HitOutcome::Held
            }
            Action::Released => {
                let open = self.open.get_mut(&way);
                let by_sender = open.as_ref().is_some_and(|open| open.actor == entry.actor);
                if by_sender {
                    self.holds.by_sender += count;
                } else {
                    self.holds.by_second_person += count;
                }
                if let Some(open) = open {
                    open.released = true;
                }
                return;
            }
            Action::Rejected => {
                self.open.remove(&way);
                if entry.reason.as_deref() == Some(EXPIRED) {
                    self.holds.expired += count;
                } else {
                    self.holds.rejected += count;
                }
                return;
            }
            // What was held was counted then, and took as long as somebody thought about it.
            Action::Delivered | Action::Refused | Action::Failed | Action::Unknown
                if self.open.remove(&way).is_some() =>
            {
                return;
            }
            Action::Refused => HitOutcome::Refused,
            Action::Delivered | Action::Failed | Action::Unknown if self.changed == Some(way) => HitOutcome::Changed,
            Action::Delivered | Action::Failed | Action::Unknown => HitOutcome::Passed,
            _ => return,
        };
        if !within {
            return;
        }
        for (rule, findings) in &entry.findings {
            let hit = self.hits.entry((rule.clone(), outcome)).or_default();
            hit.0 += 1;
            hit.1 += u64::from(*findings);
        }
        if entry.action == Action::Delivered
            && let (Some(from), Some(event)) = (&entry.from, &entry.event)
            && let Some(accepted) = self.accepted.when(from, event)
        {
            let durations = match direction {
                Direction::In => &mut self.inward,
                Direction::Out => &mut self.outward,
            };
            durations.add(entry.at.millis_since(accepted));
        }
    }

    /// The report. `readers` are those of the notices of the partner's rooms; `held` is what waits now.
    pub fn report(mut self, readers: Vec<Readers>, held: &[Held], now: Timestamp) -> PartnerReport {
        self.holds.waiting = self.open.values().filter(|open| !open.released).count() as u64;
        let latency = [self.inward.latency(Direction::In), self.outward.latency(Direction::Out)];
        let hit = |((rule, outcome), (events, findings))| Hit {
            rule,
            outcome,
            events,
            findings,
        };
        PartnerReport {
            partner: self.name.clone(),
            organisation: self.partner.agreement.organisation.clone(),
            month: self.month,
            made: now,
            volumes: self.volumes.into_values().collect(),
            hits: self.hits.into_iter().map(hit).collect(),
            disputed: self.disputed,
            latency: latency.into_iter().flatten().collect(),
            holds: self.holds,
            readers,
            due: ending(self.name, self.partner, held, now),
        }
    }
}
