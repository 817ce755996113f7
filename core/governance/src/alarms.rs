//! What filters found and told a sender of, so that the sender can say that a rule is wrong.
//!
//! An alarm is remembered for [`DAYS`] days: which rules, which event, whose (a pseudonym); never what matched. The sender names
//! it by its number. That they dispute it is an entry of the ledger, once an event; [`disputed`] counts them by rule.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use viaduct_audit::{Action, Entry, LedgerError, Record, Tag};
use viaduct_model::{DeliveryKey, Event, EventKind, MessageId, NetworkName, PersonId, Place, Timestamp};
use viaduct_store::{Lane, Seq, Store};

use crate::date::DAY;
use crate::keys::Keys;
use crate::quarantine::HeldId;
use crate::step::{OWNER, Step, keep, raw, scan};
use crate::{GovernanceError, PartnerName, Register};

/// How many days a sender may dispute what they were told.
pub const DAYS: u32 = 30;
const ALARM: &str = "alarm/";
const DISPUTED: &str = "disputed/";
/// How many rules of one alarm are remembered.
const RULES: usize = 16;
/// How many events of one rule are listed.
const EVENTS: usize = 20;

/// What a sender was told of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alarm {
    /// In whose name it is noted.
    pub partner: PartnerName,
    /// Its way.
    pub lane: Lane,
    /// Where the event happened.
    pub from: Place,
    /// Its id there.
    pub event: MessageId,
    /// Its kind.
    pub kind: EventKind,
    /// The sender, as a pseudonym.
    pub sender: Tag,
    /// The rules that found something.
    pub rules: Vec<String>,
    /// When they were told.
    pub at: Timestamp,
}

impl Alarm {
    /// Whether it is too old to be disputed.
    fn is_over(&self, now: Timestamp) -> bool {
        self.at.plus_millis(u64::from(DAYS) * DAY) <= now
    }

    /// What is noted of its event once its sender has disputed it, whatever the lane.
    fn mark(&self) -> String {
        format!("{DISPUTED}{}", DeliveryKey::derive(&self.from, &self.event, &self.from))
    }

    fn entry(&self, now: Timestamp) -> Entry {
        let mut entry = Entry::new(now, Action::Disputed);
        entry.partner = Some(self.partner.to_string());
        entry.actor = Some(self.sender.clone());
        entry.mirror = Some(self.lane.mirror.clone());
        entry.from = Some(self.from.clone());
        entry.to = Some(self.lane.to.clone());
        entry.event = Some(self.event.clone());
        entry.kind = Some(self.kind);
        entry.findings = self.rules.iter().map(|rule| (rule.clone(), 1)).collect();
        entry
    }
}

/// What came of a sender's word.
#[derive(Debug)]
pub enum Dispute {
    /// It is noted with this step.
    Noted(Box<Alarm>, Step),
    /// They said so of this event before.
    Twice,
    /// They were told of nothing under this number, or it was too long ago.
    Unknown,
}

/// The alarms of a hub.
#[derive(Debug)]
pub struct Alarms {
    store: Arc<dyn Store>,
    keys: Arc<Keys>,
}

impl Alarms {
    /// The alarms in a store.
    pub fn new(store: Arc<dyn Store>, keys: Arc<Keys>) -> Self {
        Self { store, keys }
    }

    /// The step that remembers what a sender is told of an event on a lane, and the number to name it by; none where nobody
    /// could be recognised as its sender later, because the partner has no key any more.
    ///
    /// # Errors
    ///
    /// Never in practice.
    pub fn raise(
        &self,
        register: &Register,
        (lane, seq): (&Lane, Seq),
        event: &Event,
        rules: &[&str],
        now: Timestamp,
    ) -> Result<Option<(u32, Step)>, GovernanceError> {
        let partner = register.keeper_between(&event.place, &lane.to);
        let Some(sender) = self.keys.person(&partner, &event.sender) else {
            return Ok(None);
        };
        let alarm = Alarm {
            partner,
            lane: lane.clone(),
            from: event.place.clone(),
            event: event.id.clone(),
            kind: event.content.kind(),
            sender,
            rules: rules.iter().take(RULES).map(|rule| (*rule).to_owned()).collect(),
            at: now,
        };
        let id = HeldId::of(lane, seq);
        let key = format!("{ALARM}{}/{id}", id.number());
        Ok(Some((id.number(), Step::default().with(keep(&key, Some(&alarm))?))))
    }

    /// What becomes of it when a user of the homeserver disputes what they were told under a number.
    ///
    /// # Errors
    ///
    /// When the store fails or a record in it is damaged.
    pub async fn dispute(&self, number: u32, sender: &str, now: Timestamp) -> Result<Dispute, GovernanceError> {
        let Ok(sender) = PersonId::new(sender) else {
            return Ok(Dispute::Unknown);
        };
        let theirs = |alarm: &Alarm| {
            let tag = self.keys.tag(&alarm.partner, &NetworkName::matrix(), &sender);
            tag.as_ref() == Some(&alarm.sender)
        };
        let found = scan::<Alarm>(&*self.store, &format!("{ALARM}{number}/")).await?;
        let found = found.into_iter().map(|(_, alarm)| alarm);
        let Some(alarm) = found.into_iter().find(|alarm| theirs(alarm) && !alarm.is_over(now)) else {
            return Ok(Dispute::Unknown);
        };
        let mark = alarm.mark();
        if self.store.state(OWNER, &mark).await?.is_some() {
            return Ok(Dispute::Twice);
        }
        let step = Step::entry(alarm.entry(now)).with(keep(&mark, Some(&now))?);
        Ok(Dispute::Noted(Box::new(alarm), step))
    }

    /// The step that forgets what is too old to be disputed, and what was disputed then.
    ///
    /// # Errors
    ///
    /// When the store fails or a record in it is damaged.
    pub async fn tidy(&self, now: Timestamp) -> Result<Step, GovernanceError> {
        let alarms = scan::<Alarm>(&*self.store, ALARM).await?;
        let old = alarms.into_iter().filter(|(_, alarm)| alarm.is_over(now));
        let marks = scan::<Timestamp>(&*self.store, DISPUTED).await?;
        // An event may be told of until it is forgotten, so what is noted of it outlives all of its alarms.
        let past = |at: Timestamp| at.plus_millis(2 * u64::from(DAYS) * DAY) <= now;
        let marks = marks.into_iter().filter(|(_, at)| past(*at)).map(|(key, _)| key);
        let keys = old.map(|(key, _)| key).chain(marks);
        Ok(Step {
            ops: keys.map(|key| raw(&key, None)).collect(),
            entries: Vec::new(),
        })
    }
}

/// A rule that senders call wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Disputed {
    /// The rule.
    pub rule: String,
    /// How often.
    pub count: u64,
    /// When last.
    pub last: Timestamp,
    /// The newest events in question, by their ids at their source; at most twenty.
    pub events: Vec<MessageId>,
}

/// The rules that senders call wrong, the most often called so first.
///
/// # Errors
///
/// When the records cannot be read.
pub fn disputed(
    records: impl Iterator<Item = Result<Record, LedgerError>>,
    since: Timestamp,
) -> Result<Vec<Disputed>, LedgerError> {
    let mut rules: BTreeMap<String, Disputed> = BTreeMap::new();
    for record in records {
        let entry = record?.entry;
        if entry.action != Action::Disputed || entry.at < since {
            continue;
        }
        for rule in entry.findings.into_keys() {
            let known = rules.entry(rule.clone()).or_insert_with(|| Disputed {
                rule,
                count: 0,
                last: entry.at,
                events: Vec::new(),
            });
            known.count += 1;
            known.last = known.last.max(entry.at);
            if known.events.len() >= EVENTS {
                known.events.remove(0);
            }
            known.events.extend(entry.event.clone());
        }
    }
    let mut all: Vec<Disputed> = rules.into_values().collect();
    all.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.rule.cmp(&b.rule)));
    Ok(all)
}
