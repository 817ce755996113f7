//! What happened with a partner in a month, computed from the ledger: how much, what filters found, how fast, what was held,
//! what ends. Neither contents nor names are read.
//!
//! [`Gathering`] takes the ledger's entries one by one, from its beginning, and remembers little of each; so a report of a
//! month costs one pass over the ledger, and memory that does not grow with it.

mod gather;
mod latency;
mod text;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use viaduct_compliance::Direction;
use viaduct_model::{MirrorName, Place, Timestamp};

use crate::PartnerName;
use crate::date::{Day, Month};
use crate::quarantine::Held;
use crate::register::Partner;

pub use gather::Gathering;
pub(crate) use gather::side_of;
pub use latency::Latency;

/// How many days ahead a report looks for what ends.
const AHEAD: u32 = 90;

/// The report of one partner and month.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartnerReport {
    /// The partner.
    pub partner: PartnerName,
    /// Its organisation.
    pub organisation: String,
    /// The month.
    pub month: Month,
    /// When it was made.
    pub made: Timestamp,
    /// What was exchanged, by channel and direction.
    pub volumes: Vec<Volume>,
    /// What filters found, by rule and what became of it.
    pub hits: Vec<Hit>,
    /// How often senders called a rule wrong.
    pub disputed: BTreeMap<String, u64>,
    /// How long deliveries took, by direction.
    pub latency: Vec<Latency>,
    /// What was held.
    pub holds: HeldCounts,
    /// How many have read the notices of the partner's rooms.
    pub readers: Vec<Readers>,
    /// What ends soon.
    pub due: Vec<DueDay>,
}

/// What was exchanged with one channel in one direction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Volume {
    /// The partner's channel.
    pub place: Place,
    /// The direction, seen from the own organisation.
    pub direction: Direction,
    /// Events that came from the channel.
    pub accepted: u64,
    /// Deliveries: an event that goes to several places is one at each.
    pub delivered: u64,
    /// The same by kind of event.
    pub kinds: BTreeMap<String, u64>,
    /// Deliveries in another form, by a filter.
    pub changed: u64,
    /// Held by a filter.
    pub held: u64,
    /// Refused by a filter.
    pub refused: u64,
    /// Refused by the destination.
    pub failed: u64,
    /// Of unknown outcome.
    pub unknown: u64,
}

/// What a rule found, and what became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hit {
    /// The rule.
    pub rule: String,
    /// What became of it.
    pub outcome: HitOutcome,
    /// In how many deliveries.
    pub events: u64,
    /// How often in all.
    pub findings: u64,
}

/// What became of an event in which a rule found something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HitOutcome {
    /// It passed as it was.
    Passed,
    /// It passed in another form.
    Changed,
    /// It was held.
    Held,
    /// It was refused.
    Refused,
}

/// What was held, and how that ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct HeldCounts {
    /// Held in this month.
    pub held: u64,
    /// Released in it by a second person.
    pub by_second_person: u64,
    /// Sent in it all the same by the sender, with a reason.
    pub by_sender: u64,
    /// Rejected in it.
    pub rejected: u64,
    /// Rejected in it because nobody released it in time.
    pub expired: u64,
    /// Still waiting at its end.
    pub waiting: u64,
}

/// How many have read a room's notice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Readers {
    /// The mirror.
    pub mirror: MirrorName,
    /// The version of its notice now.
    pub version: String,
    /// How many people said that they have read it. Not who.
    pub count: u64,
}

/// Something that ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DueDay {
    /// Its last day.
    pub day: Day,
    /// What.
    pub what: Ending,
}

/// What ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// The agreement.
    Agreement,
    /// The processing contract.
    Contract,
    /// The time of so many held messages: then they are rejected.
    Held(u64),
}

/// What of a partner ends within the next days, the first first.
fn ending(name: &PartnerName, partner: &Partner, held: &[Held], now: Timestamp) -> Vec<DueDay> {
    let contract = partner.agreement.contract.as_ref();
    let mut ends = vec![(partner.last_day(), Ending::Agreement)];
    ends.extend(contract.map(|contract| (contract.valid_until, Ending::Contract)));
    let mut days: BTreeMap<Day, u64> = BTreeMap::new();
    for held in held.iter().filter(|held| held.partner == *name) {
        *days.entry(Day::of(held.until)).or_default() += 1;
    }
    ends.extend(days.into_iter().map(|(day, count)| (day, Ending::Held(count))));
    let today = Day::of(now);
    ends.retain(|(day, _)| (today..=today.plus_days(AHEAD)).contains(day));
    ends.sort_unstable();
    ends.into_iter().map(|(day, what)| DueDay { day, what }).collect()
}
