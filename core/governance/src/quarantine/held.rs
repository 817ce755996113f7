//! What is held, as data: its id, its record, what is to be held.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use viaduct_audit::{Action, Entry, Tag};
use viaduct_compliance::{Approval, Release, Verdict};
use viaduct_model::{Event, EventKind, MessageId, Place, Timestamp};
use viaduct_store::{Lane, Seq};

use crate::step::{Step, keep, raw};
use crate::{GovernanceError, PartnerName};

/// Where records are in the store.
pub(super) const RECORD: &str = "held/";
/// Where what is sealed is.
const BODY: &str = "sealed/";

/// Names what is held: its lane and its number there.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct HeldId(String);

impl HeldId {
    /// The id of an event on a lane. Ids of one lane sort as its events do.
    pub fn of(lane: &Lane, seq: Seq) -> Self {
        Self(format!("{}{:016x}", lane_prefix(lane), seq.0))
    }

    /// Takes an id as it was shown.
    ///
    /// # Errors
    ///
    /// If it cannot be one.
    pub fn parse(text: &str) -> Result<Self, GovernanceError> {
        let good = text.len() <= 64 && text.chars().all(|c| c.is_ascii_hexdigit() || c == '-') && !text.is_empty();
        if good {
            Ok(Self(text.to_ascii_lowercase()))
        } else {
            Err(GovernanceError::NotHeld(text.chars().take(64).collect()))
        }
    }

    /// A number of six digits by which senders name what they sent.
    pub fn number(&self) -> u32 {
        let digest = Sha256::digest(self.0.as_bytes());
        let head = digest
            .iter()
            .take(4)
            .fold(0_u32, |sum, byte| (sum << 8) | u32::from(*byte));
        100_000 + head % 900_000
    }

    pub(super) fn record(&self) -> String {
        format!("{RECORD}{self}")
    }

    pub(super) fn body(&self) -> String {
        format!("{BODY}{self}")
    }
}

impl fmt::Display for HeldId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// How the ids of one lane begin.
pub(super) fn lane_prefix(lane: &Lane) -> String {
    let digest = Sha256::new()
        .chain_update(lane.mirror.as_str())
        .chain_update([0])
        .chain_update(lane.to.network.as_str())
        .chain_update([0])
        .chain_update(lane.to.channel.as_str())
        .finalize();
    let digit = |nibble: u8| char::from_digit(u32::from(nibble), 16).unwrap_or('0');
    let digits = digest
        .iter()
        .take(6)
        .flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]);
    digits.chain(['-']).collect()
}

/// What is to be held.
#[derive(Debug, Clone, Copy)]
pub struct Hold<'a> {
    /// Its way.
    pub lane: &'a Lane,
    /// Its number in the mirror's journal.
    pub seq: Seq,
    /// The event as it was accepted.
    pub event: &'a Event,
    /// What the filters said; none if it only waits behind something else.
    pub verdict: Option<&'a Verdict>,
    /// Who wrote the rule that holds it.
    pub rule_author: Option<&'a str>,
    /// The event of the same lane it refers to, if that is held.
    pub behind: Option<Seq>,
}

/// What is held, as it may be listed: neither content nor names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// Its id.
    pub id: HeldId,
    /// In whose name it is kept, and with whose key it is sealed.
    pub partner: PartnerName,
    /// Its way.
    pub lane: Lane,
    /// Its number in the mirror's journal.
    pub seq: Seq,
    /// Where it happened.
    pub from: Place,
    /// Its id there.
    pub event: MessageId,
    /// Its kind.
    pub kind: EventKind,
    /// When it was written.
    pub at: Timestamp,
    /// The sender, as a pseudonym.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sender: Option<Tag>,
    /// The rule that holds it; empty if it only waits behind something else.
    pub rule: String,
    /// Why.
    pub reason: String,
    /// What was found, by rule, and how often.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub findings: BTreeMap<String, u32>,
    /// Since when it is held.
    pub since: Timestamp,
    /// When it is rejected by itself.
    pub until: Timestamp,
    /// Who may let it go.
    #[serde(default)]
    pub release: Release,
    /// Where it stands.
    pub state: HeldState,
    /// The event of the same lane that has to go before it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub behind: Option<Seq>,
}

/// Where something held stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum HeldState {
    /// It waits for whoever may let it go.
    Waiting,
    /// Nobody holds it; it waits for what it refers to.
    Free,
    /// A second person released it, or its sender sends it all the same.
    Released {
        /// Who: their Matrix user id.
        approver: String,
        /// Why.
        reason: String,
    },
}

impl Held {
    /// Whether it can be delivered now.
    pub fn is_ready(&self) -> bool {
        self.state != HeldState::Waiting && self.behind.is_none()
    }

    /// The approval to ask the policies with; none if nobody had to release it.
    pub fn approval(&self) -> Option<Approval<'_>> {
        match &self.state {
            HeldState::Released { approver, reason } => Some(Approval { approver, reason }),
            HeldState::Waiting | HeldState::Free => None,
        }
    }

    pub(super) fn entry(&self, action: Action, at: Timestamp) -> Entry {
        let mut entry = Entry::new(at, action);
        entry.partner = Some(self.partner.to_string());
        entry.mirror = Some(self.lane.mirror.clone());
        entry.from = Some(self.from.clone());
        entry.to = Some(self.lane.to.clone());
        entry.event = Some(self.event.clone());
        entry.kind = Some(self.kind);
        entry.rule = Some(self.rule.clone()).filter(|rule| !rule.is_empty());
        entry
    }

    /// The step that removes it because its partner is wound up.
    pub(crate) fn removed(&self, reason: &str, now: Timestamp) -> Result<Step, GovernanceError> {
        let mut entry = self.entry(Action::Rejected, now);
        entry.reason = Some(reason.to_owned());
        Ok(Step::entry(entry).and(self.remove()?))
    }

    /// The step that removes it without anything else.
    pub(super) fn remove(&self) -> Result<Step, GovernanceError> {
        Ok(Step::default()
            .with(keep::<Self>(&self.id.record(), None)?)
            .with(raw(&self.id.body(), None)))
    }
}
