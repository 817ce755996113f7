//! What a filter decided.

use serde::{Deserialize, Serialize};
use viaduct_model::Outbound;

use crate::Cleared;
use crate::policy::{Mode, RuleAction};

/// What a filter decided about one outbound event.
#[derive(Debug, Clone, PartialEq)]
pub enum Decision {
    /// It may cross, in this (perhaps masked) form.
    Pass {
        /// What may be sent.
        outbound: Box<Cleared<Outbound>>,
        /// What was found on the way, for the ledger.
        findings: Vec<Finding>,
    },
    /// It waits for somebody to let it go: see [`Verdict::release`].
    Hold(Verdict),
    /// It must not cross.
    Refuse(Verdict),
}

/// Why something did not cross.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// The name of the rule that decided.
    pub rule: String,
    /// What the sender may be told; never repeats what matched.
    pub reason: String,
    /// Everything that was found.
    pub findings: Vec<Finding>,
    /// Of what is held: who may let it go.
    #[serde(default)]
    pub release: Release,
}

/// Who may let go what is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Release {
    /// A second person.
    #[default]
    SecondPerson,
    /// A second person, or the sender with a reason: every rule that holds it allows that.
    SecondPersonOrSender,
    /// Only the sender, with a reason: a rule refuses it, and every rule that stops it allows that.
    Sender,
}

impl Release {
    /// Whether a second person may.
    pub fn by_second_person(self) -> bool {
        self != Self::Sender
    }

    /// Whether the sender may, with a reason.
    pub fn by_sender(self) -> bool {
        self != Self::SecondPerson
    }
}

/// That a rule matched and what it had found; never the text itself.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Finding {
    /// The rule that matched.
    pub rule: String,
    /// How many texts or files it matched; 0 for a rule that looks at neither.
    pub count: u32,
    /// What the rule does.
    #[serde(default)]
    pub action: RuleAction,
    /// Whether it acted, or only reports.
    #[serde(default)]
    pub mode: Mode,
    /// The sorts of things found: names of detectors, `pattern`, `words`, `values`, `fingerprints`, `file`, `unread file`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sorts: Vec<String>,
    /// The label given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// For a warning: what to tell the sender.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notice: Option<String>,
}
