//! What the ledger remembers of one step.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use viaduct_model::{EventKind, MessageId, MirrorName, Place, Timestamp};

use crate::LedgerError;
use crate::keys::Tag;

/// The largest entry, in bytes of its JSON.
pub const ENTRY_BOUND: usize = 16 * 1024;

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// An event was accepted from its source.
    Accepted,
    /// A filter let it pass as it was.
    Passed,
    /// A filter let it pass in another form.
    Changed,
    /// A filter held it, for a second person or for its sender to justify.
    Held,
    /// A second person released what was held; or its sender did, where the rules allow it: then the actor is the one of
    /// [`Action::Held`].
    Released,
    /// What was held was rejected, by a person or by its expiry.
    Rejected,
    /// A filter said no.
    Refused,
    /// The sender says that what a filter found is no such thing.
    Disputed,
    /// The destination took it.
    Delivered,
    /// The destination said no for good.
    Failed,
    /// Nobody can say whether the destination took it.
    Unknown,
    /// An agreement was made, renewed, suspended or ended.
    Agreement,
    /// The configuration, a policy or a mirror was changed.
    Configured,
    /// A key for keyed hashes was made.
    KeyMade,
    /// A key for keyed hashes was destroyed: tags made with it can no longer be linked to anything.
    KeyDestroyed,
    /// A hold was placed on records.
    HoldPlaced,
    /// A hold was lifted.
    HoldLifted,
    /// Somebody was shown the person behind a pseudonym.
    Unmasked,
    /// Records were exported.
    Exported,
    /// Records were erased.
    Erased,
    /// Somebody was refused at the desk, or came in beside the identity provider.
    Access,
    /// People were told something, such as that the room is bridged.
    Notified,
    /// The hub started.
    Started,
    /// The hub stopped.
    Stopped,
}

impl Action {
    /// All of them.
    pub const ALL: [Self; 24] = [
        Self::Accepted,
        Self::Passed,
        Self::Changed,
        Self::Held,
        Self::Released,
        Self::Rejected,
        Self::Refused,
        Self::Disputed,
        Self::Delivered,
        Self::Failed,
        Self::Unknown,
        Self::Agreement,
        Self::Configured,
        Self::KeyMade,
        Self::KeyDestroyed,
        Self::HoldPlaced,
        Self::HoldLifted,
        Self::Unmasked,
        Self::Exported,
        Self::Erased,
        Self::Access,
        Self::Notified,
        Self::Started,
        Self::Stopped,
    ];

    /// Its name in the ledger and in exports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Passed => "passed",
            Self::Changed => "changed",
            Self::Held => "held",
            Self::Released => "released",
            Self::Rejected => "rejected",
            Self::Refused => "refused",
            Self::Disputed => "disputed",
            Self::Delivered => "delivered",
            Self::Failed => "failed",
            Self::Unknown => "unknown",
            Self::Agreement => "agreement",
            Self::Configured => "configured",
            Self::KeyMade => "key_made",
            Self::KeyDestroyed => "key_destroyed",
            Self::HoldPlaced => "hold_placed",
            Self::HoldLifted => "hold_lifted",
            Self::Unmasked => "unmasked",
            Self::Exported => "exported",
            Self::Erased => "erased",
            Self::Access => "access",
            Self::Notified => "notified",
            Self::Started => "started",
            Self::Stopped => "stopped",
        }
    }
}

/// One step. Holds neither content nor names: persons and contents are [`Tag`]s, keyed hashes that mean nothing once their key
/// is destroyed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// When.
    pub at: Timestamp,
    /// What.
    pub action: Action,
    /// By whom, as a pseudonym.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<Tag>,
    /// The partner concerned, by the operator's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partner: Option<String>,
    /// The mirror concerned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mirror: Option<MirrorName>,
    /// Where the event happened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Place>,
    /// Where it was going.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<Place>,
    /// The event's id at its source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event: Option<MessageId>,
    /// Its ids at the destination.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ids: Vec<MessageId>,
    /// Its kind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<EventKind>,
    /// The version of the policy that decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<String>,
    /// The rule that decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// What was found, by rule, and how often; never what matched.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub findings: BTreeMap<String, u32>,
    /// The content, as a keyed hash.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<Tag>,
    /// Why, in the operator's words; never content.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl Entry {
    /// An entry that says only when and what.
    pub fn new(at: Timestamp, action: Action) -> Self {
        Self {
            at,
            action,
            actor: None,
            partner: None,
            mirror: None,
            from: None,
            to: None,
            event: None,
            ids: Vec::new(),
            kind: None,
            policy: None,
            rule: None,
            findings: BTreeMap::new(),
            content: None,
            reason: None,
        }
    }
}

/// An entry with its place in the ledger: one line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Its place, from 0 without gaps.
    pub seq: u64,
    /// The number it had in the outbox. Rises from record to record; a commit that failed leaves a gap.
    pub number: u64,
    /// The entry.
    #[serde(flatten)]
    pub entry: Entry,
}

impl Record {
    /// The bytes that are stored and hashed, without the line feed. The same record always gives the same bytes.
    ///
    /// # Errors
    ///
    /// [`LedgerError::TooLarge`] beyond [`ENTRY_BOUND`].
    pub fn line(&self) -> Result<Vec<u8>, LedgerError> {
        let line = serde_json::to_vec(self).map_err(|error| LedgerError::note(error.to_string()))?;
        if line.len() > ENTRY_BOUND {
            Err(LedgerError::TooLarge(line.len()))
        } else {
            Ok(line)
        }
    }

    /// Reads a line; none if it is not one that [`Record::line`] could have written, in this version or a newer one.
    pub fn parse(line: &[u8]) -> Option<Self> {
        serde_json::from_slice(line).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn actions_are_named_as_they_are_written() {
        for action in Action::ALL {
            assert_eq!(serde_json::to_value(action).unwrap(), action.as_str());
        }
    }

    #[test]
    fn a_record_is_one_line_and_comes_back() {
        let mut entry = Entry::new(Timestamp(7), Action::Refused);
        entry.reason = Some("line\nfeed and \"quotes\"".to_owned());
        entry.findings.insert("iban".to_owned(), 2);
        let record = Record {
            seq: 3,
            number: 5,
            entry,
        };
        let line = record.line().unwrap();
        insta::assert_snapshot!(String::from_utf8(line.clone()).unwrap(), @r#"{"seq":3,"number":5,"at":7,"action":"refused","findings":{"iban":2},"reason":"line\nfeed and \"quotes\""}"#);
        assert_eq!(Record::parse(&line), Some(record));
    }

    #[test]
    fn an_entry_has_a_bound() {
        let mut entry = Entry::new(Timestamp(7), Action::Refused);
        entry.reason = Some("x".repeat(ENTRY_BOUND));
        assert!(matches!(
            Record {
                seq: 0,
                number: 0,
                entry
            }
            .line(),
            Err(LedgerError::TooLarge(_))
        ));
    }
}
