//! How an agreement stands at a time: a pure function of what was agreed, of what happened to it since, and of the time.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};
use viaduct_model::{NetworkName, Timestamp};

use crate::agreement::{Agreement, Contract};
use crate::date::{DAY, Day};

/// Days before the end at which the operator is warned, the first warning first.
pub const WARNINGS: [u32; 3] = [30, 7, 1];

/// What has to be known of a network to judge an agreement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkFacts {
    /// The kind of bridge, such as `slack`.
    pub kind: String,
    /// Whether it belongs to the own organisation: then it needs no agreement.
    pub own: bool,
}

/// Kinds of network whose operators sit outside of the European Economic Area wherever the data is kept: agreements about them
/// need a recorded basis for the transfer whatever their region says.
pub const FOREIGN_KINDS: [&str; 2] = ["slack", "teams"];

/// All networks of the configuration.
pub type Networks = BTreeMap<NetworkName, NetworkFacts>;

/// How an agreement stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// Something is missing; nothing crosses.
    Draft(Vec<Gap>),
    /// Its first day is still to come.
    NotYet,
    /// In force.
    Active,
    /// In force; it, or its processing contract, ends after so many days (the last one counted).
    ExpiresIn(u32),
    /// Stopped for now, and why.
    Suspended(String),
    /// Its last day is over.
    Ended,
    /// Ended, deleted and certified.
    Offboarded,
}

impl Standing {
    /// Whether anything may cross.
    pub fn permits(&self) -> bool {
        matches!(self, Self::Active | Self::ExpiresIn(_))
    }

    /// Its name in lists and metrics.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Draft(_) => "draft",
            Self::NotYet => "not_yet",
            Self::Active => "active",
            Self::ExpiresIn(_) => "expiring",
            Self::Suspended(_) => "suspended",
            Self::Ended => "ended",
            Self::Offboarded => "offboarded",
        }
    }
}

impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Draft(gaps) => {
                let gaps: Vec<String> = gaps.iter().map(ToString::to_string).collect();
                write!(f, "is a draft: {}", gaps.join("; "))
            }
            Self::NotYet => f.write_str("has not begun yet"),
            Self::Active => f.write_str("is in force"),
            Self::ExpiresIn(days) => write!(f, "is in force and ends in {days} days"),
            Self::Suspended(reason) => write!(f, "is suspended: {reason}"),
            Self::Ended => f.write_str("has ended"),
            Self::Offboarded => f.write_str("has ended and was wound up"),
        }
    }
}

/// What an agreement lacks before anything may cross under it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Gap {
    /// Purpose, organisation or controller is empty.
    Empty(&'static str),
    /// It ends before it begins.
    Dates,
    /// It names no network.
    NoNetwork,
    /// It names a network that is not configured.
    UnknownNetwork(NetworkName),
    /// It names a network of the own organisation.
    OwnNetwork(NetworkName),
    /// Nobody may speak under it.
    NobodyAdmitted,
    /// Data leaves the European Economic Area and no basis is recorded.
    NoThirdCountryBasis,
    /// There is no processing contract.
    NoContract,
    /// The contract's hash is not one.
    ContractHash,
    /// There is nobody to ask.
    NoContact,
    /// The ceiling is not one of the labels.
    Ceiling,
    /// The label from which encryption is asked for is not one of the labels.
    EncryptedFrom,
    /// Somebody has not signed: `it`, `dpo` or `management`.
    NoSignOff(&'static str),
}

impl fmt::Display for Gap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty(key) => write!(f, "`{key}` is empty"),
            Self::Dates => f.write_str("`valid_until` is before `valid_from`"),
            Self::NoNetwork => f.write_str("`networks` is empty"),
            Self::UnknownNetwork(network) => write!(f, "there is no network `{network}`"),
            Self::OwnNetwork(network) => write!(f, "network `{network}` belongs to the own organisation"),
            Self::NobodyAdmitted => f.write_str("nobody may speak: give `organisations` or `people`"),
            Self::NoThirdCountryBasis => {
                f.write_str("data leaves the European Economic Area: record the `third_country_basis`")
            }
            Self::NoContract => f.write_str("there is no processing `contract`"),
            Self::ContractHash => f.write_str("`contract.sha256` is not 64 hexadecimal digits"),
            Self::NoContact => f.write_str("there is nobody to ask: give `contacts`"),
            Self::EncryptedFrom => f.write_str("`encrypted_from` is not one of `labels`"),
            Self::Ceiling => f.write_str("`ceiling` is not one of `labels`"),
            Self::NoSignOff(who) => write!(f, "`sign_offs.{who}` is missing"),
        }
    }
}

/// Everything an agreement lacks.
pub fn gaps(agreement: &Agreement, networks: &Networks) -> Vec<Gap> {
    let mut gaps = Vec::new();
    for (key, text) in [
        ("organisation", &agreement.organisation),
        ("purpose", &agreement.purpose),
        ("controller", &agreement.controller),
    ] {
        if text.trim().is_empty() {
            gaps.push(Gap::Empty(key));
        }
    }
    if agreement.valid_until < agreement.valid_from {
        gaps.push(Gap::Dates);
    }
    if agreement.networks.is_empty() {
        gaps.push(Gap::NoNetwork);
    }
    let mut foreign = !agreement.region.is_eea();
    for network in &agreement.networks {
        match networks.get(network) {
            None => gaps.push(Gap::UnknownNetwork(network.clone())),
            Some(facts) if facts.own => gaps.push(Gap::OwnNetwork(network.clone())),
            Some(facts) => foreign |= FOREIGN_KINDS.contains(&facts.kind.as_str()),
        }
    }
    if agreement.organisations.is_empty() && agreement.people.is_empty() {
        gaps.push(Gap::NobodyAdmitted);
    }
    let basis = agreement.third_country_basis.as_deref().unwrap_or_default().trim();
    if foreign && (basis.is_empty() || basis.eq_ignore_ascii_case("unset")) {
        gaps.push(Gap::NoThirdCountryBasis);
    }
    match &agreement.contract {
        None => gaps.push(Gap::NoContract),
        Some(contract) if !is_sha256(contract) => gaps.push(Gap::ContractHash),
        Some(_) => {}
    }
    if agreement.contacts.is_empty() {
        gaps.push(Gap::NoContact);
    }
    if !agreement.labels.contains(&agreement.ceiling) {
        gaps.push(Gap::Ceiling);
    }
    let floor = agreement.encrypted_from.as_ref();
    if floor.is_some_and(|floor| !agreement.labels.contains(floor)) {
        gaps.push(Gap::EncryptedFrom);
    }
    let signed = &agreement.sign_offs;
    for (who, sign_off) in [
        ("it", &signed.it),
        ("dpo", &signed.dpo),
        ("management", &signed.management),
    ] {
        if sign_off.as_ref().is_none_or(|sign_off| sign_off.by.trim().is_empty()) {
            gaps.push(Gap::NoSignOff(who));
        }
    }
    gaps
}

fn is_sha256(contract: &Contract) -> bool {
    contract.sha256.len() == 64 && contract.sha256.chars().all(|c| c.is_ascii_hexdigit())
}

/// What happened to an agreement since it was written; kept in the store.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct History {
    /// It goes on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub renewed: Option<Renewal>,
    /// It was suspended by command, and why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suspended: Option<String>,
    /// Winding it up has begun: it never comes back into force.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub offboarding: bool,
    /// Winding it up is done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offboarded: Option<Timestamp>,
    /// What the operator was told already: each of these once.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub told: BTreeSet<String>,
}

/// A new last day, for as long as the agreement still has the old one: whoever writes another one into the configuration
/// overrules it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Renewal {
    /// The last day before.
    pub instead_of: Day,
    /// The last day now.
    pub until: Day,
}

/// An agreement's last day, renewals counted.
pub fn last_day(agreement: &Agreement, history: &History) -> Day {
    let renewed = history
        .renewed
        .filter(|renewal| renewal.instead_of == agreement.valid_until);
    renewed.map_or(agreement.valid_until, |renewal| renewal.until)
}

/// How an agreement stands. Over time alone it only ever goes from not yet over active to ended; what turns it back is a
/// renewal or another wording.
pub fn standing(agreement: &Agreement, history: &History, networks: &Networks, now: Timestamp) -> Standing {
    if history.offboarded.is_some() {
        return Standing::Offboarded;
    }
    if history.offboarding {
        return Standing::Suspended("it is being wound up".to_owned());
    }
    let gaps = gaps(agreement, networks);
    if !gaps.is_empty() {
        return Standing::Draft(gaps);
    }
    let last = last_day(agreement, history);
    if now >= last.end() {
        return Standing::Ended;
    }
    if let Some(reason) = agreement.suspended.as_ref().or(history.suspended.as_ref()) {
        return Standing::Suspended(reason.clone());
    }
    let contract = agreement
        .contract
        .as_ref()
        .map_or(last, |contract| contract.valid_until);
    if now >= contract.end() {
        return Standing::Suspended(format!("its processing contract ended on {contract}"));
    }
    if now < agreement.valid_from.start() {
        return Standing::NotYet;
    }
    match days_left(last.min(contract), now) {
        days if days <= WARNINGS[0] => Standing::ExpiresIn(days),
        _ => Standing::Active,
    }
}

/// How many days are left up to the end of a day, the one that runs counted.
pub(crate) fn days_left(last: Day, now: Timestamp) -> u32 {
    let left = last.end().millis_since(now).div_ceil(DAY);
    u32::try_from(left).unwrap_or(u32::MAX)
}
