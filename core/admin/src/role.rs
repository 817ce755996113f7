//! Who may do what: one table, for the API, the bot and every other way in.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use viaduct_governance::Office;

use crate::order::Order;

/// What a person is there for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Networks, mirrors, deliveries.
    Operator,
    /// Policies, agreements, offboarding, holds.
    Compliance,
    /// Decides as a second person about what is held.
    Approver,
    /// Reads lists and the ledger, never contents.
    Auditor,
    /// What people may demand of their data, and whose a pseudonym is.
    Dpo,
}

impl Role {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Operator,
        Self::Compliance,
        Self::Approver,
        Self::Auditor,
        Self::Dpo,
    ];

    /// Its name, as the configuration has it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Operator => "operator",
            Self::Compliance => "compliance",
            Self::Approver => "approver",
            Self::Auditor => "auditor",
            Self::Dpo => "dpo",
        }
    }
}

/// Several of them.
pub type Roles = BTreeSet<Role>;

/// Something that is asked of the hub.
#[derive(Debug, Clone, Copy)]
pub enum Act<'a> {
    /// How everything stands.
    Status,
    /// What every network says of itself.
    Probe,
    /// The deliveries that did not simply arrive.
    Deliveries,
    /// Trying a delivery again, or giving it up.
    Settle,
    /// Reading the ledger, and checking it.
    Ledger,
    /// An order.
    Order(&'a Order),
}

impl Act<'_> {
    /// What it is called where it was refused.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Status => "status",
            Self::Probe => "probe",
            Self::Deliveries => "deliveries",
            Self::Settle => "settle",
            Self::Ledger => "ledger",
            Self::Order(order) => order.name(),
        }
    }
}

/// The roles that may do something. Whoever has one of them may.
pub fn roles_for(act: &Act<'_>) -> &'static [Role] {
    use Role::{Approver, Auditor, Compliance, Dpo, Operator};
    match act {
        Act::Status => &Role::ALL,
        Act::Probe | Act::Settle => &[Operator],
        Act::Deliveries => &[Operator, Compliance, Auditor],
        Act::Ledger => &[Compliance, Auditor, Dpo],
        Act::Order(order) => match order {
            Order::Partners => &Role::ALL,
            Order::Held => &[Compliance, Approver, Auditor],
            // Contents are for those who decide about them.
            Order::ShowHeld { .. } | Order::ReleaseHeld { .. } | Order::RejectHeld { .. } => &[Approver],
            Order::AddPartner { .. }
            | Order::RenewPartner { .. }
            | Order::SuspendPartner { .. }
            | Order::ResumePartner { .. }
            | Order::Replay { .. }
            | Order::Explain { .. }
            | Order::Offboard { .. }
            | Order::PlaceHold { .. }
            | Order::LiftHold { .. }
            | Order::Unmask { .. }
            | Order::Retain => &[Compliance],
            // Whoever makes an agreement does not sign it.
            Order::SignPartner { office, .. } => match office {
                Office::It => &[Operator],
                Office::Dpo => &[Dpo],
                Office::Management => &[Approver],
            },
            Order::PreviewOffboarding { .. } | Order::Disputed { .. } => &[Compliance, Auditor],
            Order::Holds => &[Compliance, Auditor, Dpo],
            Order::ExportSubject { .. } | Order::EraseSubject { .. } | Order::GrantUnmask { .. } => &[Dpo],
            Order::Incident { .. } => &[Compliance, Dpo],
            Order::PartnerReport { .. } | Order::ProcessingRecord { .. } | Order::NoteExport { .. } => {
                &[Compliance, Auditor, Dpo]
            }
        },
    }
}

/// Whether a role may do something.
pub fn allowed(role: Role, act: &Act<'_>) -> bool {
    roles_for(act).contains(&role)
}
