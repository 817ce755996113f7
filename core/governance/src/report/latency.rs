//! How long deliveries took, in little memory.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use viaduct_compliance::Direction;

/// How long deliveries in one direction took, from acceptance to arrival, as the ledger has both. To three digits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Latency {
    /// The direction, seen from the own organisation.
    pub direction: Direction,
    /// The median, in milliseconds.
    pub median: u64,
    /// 95 % took at most so many milliseconds.
    pub p95: u64,
    /// How many deliveries were measured.
    pub count: u64,
}

/// Durations by how often they occurred, to three digits: so there are never more than a few thousand.
#[derive(Debug, Default)]
pub(super) struct Durations {
    counts: BTreeMap<u64, u64>,
    total: u64,
}

impl Durations {
    pub(super) fn add(&mut self, millis: u64) {
        *self.counts.entry(rounded(millis)).or_default() += 1;
        self.total += 1;
    }

    /// The duration that so many of a hundred did not exceed.
    fn percentile(&self, percent: u64) -> u64 {
        let rank = (self.total.saturating_mul(percent)).div_ceil(100);
        let mut seen = 0;
        for (millis, count) in &self.counts {
            seen += count;
            if seen >= rank {
                return *millis;
            }
        }
        0
    }

    pub(super) fn latency(&self, direction: Direction) -> Option<Latency> {
        (self.total > 0).then(|| Latency {
            direction,
            median: self.percentile(50),
            p95: self.percentile(95),
            count: self.total,
        })
    }
}

/// A number to its first three digits, rounded down.
fn rounded(number: u64) -> u64 {
    let mut unit = 1_u64;
    while number / unit >= 1000 {
        unit = unit.saturating_mul(10);
    }
    number / unit * unit
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_median_and_what_95_of_100_did_not_exceed() {
        let mut durations = Durations::default();
        assert_eq!(durations.latency(Direction::In), None);
        for millis in 1..=100 {
            durations.add(millis);
        }
        let latency = durations.latency(Direction::In).unwrap();
        assert_eq!((latency.median, latency.p95, latency.count), (50, 95, 100));
    }

    proptest! {
        #[test]
        fn rounding_loses_less_than_one_in_a_hundred(number in any::<u64>()) {
            let near = rounded(number);
            prop_assert!(near <= number && number - near <= number / 100);
        }
    }
}
