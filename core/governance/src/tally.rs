//! What became of records, by network: deleted, retained with its basis, refused.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use viaduct_model::Language;

use crate::date::Day;
use crate::notices::day;
use crate::phrases::Phrase;

/// The line of the hub's own records in a table by network. No network can have this name.
pub const HERE: &str = "viaduct.journal";
/// How many different reasons are told apart for one network.
const REASONS: usize = 20;
/// The longest reason kept, in characters.
const REASON_BOUND: usize = 200;

/// Why something is retained.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "basis", rename_all = "snake_case")]
pub enum Basis {
    /// A legal hold.
    Hold {
        /// Its id.
        hold: String,
        /// Its reason.
        reason: String,
    },
    /// A duty to keep it (Art. 17 (3) b GDPR).
    Statutory {
        /// The norm.
        norm: String,
        /// The last day.
        until: Day,
    },
    /// It waits for its delivery, or for its deletion elsewhere.
    Undelivered,
    /// The ledger accounts for what was done (Art. 5 (2) GDPR).
    Ledger {
        /// The last day.
        until: Day,
    },
}

impl Basis {
    /// In words.
    pub fn say(&self, language: Language) -> String {
        match self {
            Self::Hold { hold, reason } => Phrase::BasisHold.say(language, &[("hold", hold), ("reason", reason)]),
            Self::Statutory { norm, until } => {
                Phrase::BasisStatutory.say(language, &[("basis", norm), ("until", &day(*until, language))])
            }
            Self::Undelivered => Phrase::BasisUndelivered.say(language, &[]),
            Self::Ledger { until } => Phrase::BasisLedger.say(language, &[("until", &day(*until, language))]),
        }
    }
}

/// What became of one network's records.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Line {
    /// How many were deleted or redacted.
    pub deleted: u64,
    /// How many were retained, and why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub retained: Vec<(Basis, u64)>,
    /// How many the network refused to delete, and why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub refused: Vec<(String, u64)>,
}

/// What became of records, by network; the hub's own under [`HERE`].
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Tally(pub BTreeMap<String, Line>);

impl Tally {
    /// Counts something deleted.
    pub fn deleted(&mut self, network: &str, count: u64) {
        self.line(network).deleted += count;
    }

    /// Counts something retained.
    pub fn retained(&mut self, network: &str, basis: Basis, count: u64) {
        add(&mut self.line(network).retained, basis, count);
    }

    /// Counts something refused.
    pub fn refused(&mut self, network: &str, reason: &str, count: u64) {
        let refused = &mut self.line(network).refused;
        let mut reason: String = reason.chars().filter(|c| !c.is_control()).take(REASON_BOUND).collect();
        if refused.len() >= REASONS && !refused.iter().any(|(known, _)| *known == reason) {
            "…".clone_into(&mut reason);
        }
        add(refused, reason, count);
    }

    /// One network's line.
    pub fn line(&mut self, network: &str) -> &mut Line {
        self.0.entry(network.to_owned()).or_default()
    }
}

fn add<K: PartialEq>(counts: &mut Vec<(K, u64)>, key: K, count: u64) {
    match counts.iter_mut().find(|(known, _)| *known == key) {
        Some((_, known)) => *known += count,
        None => counts.push((key, count)),
    }
}
