//! How long to wait before trying again.

use std::time::Duration;

use viaduct_model::Entropy;

/// Doubles from `first` to `most`, each wait between half and all of it, so that many waiting parties spread out.
#[derive(Debug, Clone)]
pub(crate) struct Backoff {
    first: Duration,
    most: Duration,
    attempt: u32,
}

impl Backoff {
    pub(crate) fn new(first: Duration, most: Duration) -> Self {
        Self {
            first,
            most,
            attempt: 0,
        }
    }

    /// The next wait; `asked` is what the other side asked for, which is never undercut.
    pub(crate) fn next(&mut self, asked: Option<Duration>, entropy: &dyn Entropy) -> Duration {
        let full = self.first.saturating_mul(1 << self.attempt.min(16)).min(self.most);
        self.attempt = self.attempt.saturating_add(1);
        let half = full / 2;
        let spread = u64::try_from(half.as_millis()).unwrap_or(u64::MAX);
        let jittered = half + Duration::from_millis(entropy.below(spread.saturating_add(1)));
        asked.map_or(jittered, |asked| asked.max(jittered))
    }

    /// Starts again from the beginning.
    pub(crate) fn reset(&mut self) {
        self.attempt = 0;
    }

    pub(crate) fn attempts(&self) -> u32 {
        self.attempt
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Zero;
    impl Entropy for Zero {
        fn fill(&self, buffer: &mut [u8]) {
            buffer.fill(0);
        }
    }

    #[test]
    fn doubles_up_to_the_bound_and_respects_the_other_side() {
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(1));
        let waits: Vec<_> = (0..6).map(|_| backoff.next(None, &Zero).as_millis()).collect();
        assert_eq!(waits, [50, 100, 200, 400, 500, 500]);
        assert_eq!(
            backoff.next(Some(Duration::from_secs(9)), &Zero),
            Duration::from_secs(9)
        );
        backoff.reset();
        assert_eq!(backoff.next(None, &Zero).as_millis(), 50);
    }
}
