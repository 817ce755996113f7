//! What a filter decided.

use serde::{Deserialize, Serialize};
use viaduct_model::Outbound;

use crate::Cleared;

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
    /// It waits for a second person.
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
}

/// That something was found; never what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// The rule that found it.
    pub rule: String,
    /// How often.
    pub count: u32,
}
