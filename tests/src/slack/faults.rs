//! Faults of the Web API, on demand.

use serde::Deserialize;

/// How a call can fail.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// 429 with this `Retry-After` (seconds); nothing is done.
    Limited {
        /// Seconds to wait.
        retry_after: u64,
    },
    /// This HTTP status with a page that is not JSON, as a proxy would give; nothing is done.
    Status(
        /// Such as 500, 502 or 503.
        u16,
    ),
    /// `ok: false` with this error, such as `internal_error`; nothing is done.
    Error(
        /// Slack's word for it.
        String,
    ),
    /// It is done, but never answered.
    LoseAnswer,
    /// It is done, and the connection breaks within the answer.
    CutAnswer,
    /// Never answered; nothing is done.
    Hang,
}

impl Fault {
    /// Whether what was asked for is done all the same.
    pub(super) fn is_done(&self) -> bool {
        matches!(self, Self::LoseAnswer | Self::CutAnswer)
    }
}

/// A fault and the calls it strikes.
#[derive(Debug)]
struct Plan {
    /// Empty for any.
    method: String,
    fault: Fault,
    /// Strikes that are left.
    left: u64,
    /// Strikes every so manieth call.
    every: u64,
    seen: u64,
}

/// What was asked for.
#[derive(Debug, Default)]
pub(super) struct Faults(Vec<Plan>);

impl Faults {
    pub(super) fn next(&mut self, method: &str, fault: Fault, count: u64) {
        self.0.push(Plan {
            method: method.to_owned(),
            fault,
            left: count,
            every: 1,
            seen: 0,
        });
    }

    pub(super) fn every(&mut self, method: &str, fault: Fault, n: u64) {
        self.0.push(Plan {
            method: method.to_owned(),
            fault,
            left: u64::MAX,
            every: n.max(1),
            seen: 0,
        });
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// What strikes this call.
    pub(super) fn strike(&mut self, method: &str) -> Option<Fault> {
        self.0.retain(|plan| plan.left > 0);
        let plan = self
            .0
            .iter_mut()
            .find(|plan| plan.method.is_empty() || plan.method == method)?;
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
        faults.next("a", Fault::Hang, 2);
        assert_eq!(faults.strike("b"), None);
        assert_eq!(
            [faults.strike("a"), faults.strike("a"), faults.strike("a")],
            [Some(Fault::Hang), Some(Fault::Hang), None]
        );
        faults.every("", Fault::Status(500), 3);
        let struck: Vec<bool> = (0..6).map(|_| faults.strike("c").is_some()).collect();
        assert_eq!(struck, [false, false, true, false, false, true]);
        faults.clear();
        assert_eq!(faults.strike("c"), None);
    }
}
