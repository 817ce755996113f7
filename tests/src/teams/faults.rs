//! Faults of calls, on demand.

use serde::Deserialize;

/// How a call can fail.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// This status, such as 412, 429, 502 or 504, with `Retry-After` where it is given (seconds); nothing is done.
    Status {
        /// The HTTP status.
        status: u16,
        /// Seconds to wait.
        retry_after: Option<u64>,
    },
    /// It is done, and answered with this status all the same.
    DoneThen(
        /// Such as 502 or 504.
        u16,
    ),
    /// It is done, but never answered.
    LoseAnswer,
    /// It is done, and the connection breaks within the answer.
    CutAnswer,
    /// Never answered; nothing is done.
    Hang,
}

impl Fault {
    /// This status, without `Retry-After`; nothing is done.
    pub const fn status(status: u16) -> Self {
        Self::Status {
            status,
            retry_after: None,
        }
    }

    /// Whether what was asked for is done all the same.
    pub(super) fn is_done(&self) -> bool {
        matches!(self, Self::LoseAnswer | Self::CutAnswer | Self::DoneThen(_))
    }
}

/// A fault and the calls it strikes.
#[derive(Debug)]
struct Plan {
    /// An operation or the beginning of some, up to a dot; empty for any.
    operation: String,
    fault: Fault,
    /// Strikes that are left.
    left: u64,
    /// Strikes every so manieth call.
    every: u64,
    seen: u64,
}

impl Plan {
    fn is_for(&self, operation: &str) -> bool {
        operation
            .strip_prefix(self.operation.as_str())
            .is_some_and(|rest| self.operation.is_empty() || rest.is_empty() || rest.starts_with('.'))
    }
}

/// What was asked for.
#[derive(Debug, Default)]
pub(super) struct Faults(Vec<Plan>);

impl Faults {
    pub(super) fn plan(&mut self, operation: &str, fault: Fault, count: u64, every: u64) {
        self.0.push(Plan {
            operation: operation.to_owned(),
            fault,
            left: count,
            every: every.max(1),
            seen: 0,
        });
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// What strikes this call.
    pub(super) fn strike(&mut self, operation: &str) -> Option<Fault> {
        self.0.retain(|plan| plan.left > 0);
        let plan = self.0.iter_mut().find(|plan| plan.is_for(operation))?;
        plan.seen += 1;
        if plan.seen % plan.every != 0 {
            return None;
        }
        plan.left -= 1;
        Some(plan.fault.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_strikes_what_it_was_meant_for_as_often_as_asked() {
        let mut faults = Faults::default();
        faults.plan("graph", Fault::Hang, 2, 1);
        assert_eq!(faults.strike("connector.reply"), None);
        assert_eq!(faults.strike("graphic"), None);
        assert_eq!(faults.strike("graph.messages"), Some(Fault::Hang));
        assert_eq!(faults.strike("graph.team"), Some(Fault::Hang));
        assert_eq!(faults.strike("graph.team"), None);
        faults.plan("", Fault::status(500), u64::MAX, 3);
        let struck: Vec<bool> = (0..6).map(|_| faults.strike("c").is_some()).collect();
        assert_eq!(struck, [false, false, true, false, false, true]);
        faults.clear();
        assert_eq!(faults.strike("c"), None);
    }
}
