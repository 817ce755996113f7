//! How fast lines may be sent: the counting that IRC servers do, done beforehand.

use std::time::Duration;

use tokio::time::Instant;

/// Counts what is owed. Each line costs a share of the burst, paid back at a steady rate.
#[derive(Debug)]
pub struct Pacer {
    rate: Option<(f64, f64)>,
    owed: f64,
    at: Instant,
}

/// Lines up to so many bytes cost one; servers charge longer ones half as much again.
const SHORT: usize = 256;

impl Pacer {
    /// At most `burst` lines at once, `rate` a second after that; none for no bound.
    pub fn new(rate: Option<(u32, f64)>) -> Self {
        let rate = rate.map(|(burst, rate)| (f64::from(burst).max(1.0), rate.clamp(0.01, 1e6)));
        Self {
            rate,
            owed: 0.0,
            at: Instant::now(),
        }
    }

    /// Whether there is no bound.
    pub fn is_off(&self) -> bool {
        self.rate.is_none()
    }

    /// How long to wait before lines of so many bytes each may be sent together; none if now, and then they count as sent.
    pub fn take(&mut self, sizes: impl Iterator<Item = usize>, now: Instant) -> Option<Duration> {
        let (burst, rate) = self.rate?;
        self.owed = (self.owed - now.saturating_duration_since(self.at).as_secs_f64() * rate).max(0.0);
        self.at = now;
        let cost: f64 = sizes.map(|bytes| if bytes > SHORT { 1.5 } else { 1.0 }).sum();
        // What costs more than the burst goes out when nothing is owed, or it could never be sent.
        let too_much = self.owed + cost.min(burst) - burst;
        if too_much > 1e-9 {
            return Some(Duration::from_secs_f64((too_much / rate).max(0.001)));
        }
        self.owed += cost;
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_burst_and_then_the_rate() {
        let mut pacer = Pacer::new(Some((4, 2.0)));
        let start = Instant::now();
        let mut sent = Vec::new();
        while sent.len() < 11 {
            match pacer.take([10].into_iter(), Instant::now()) {
                Some(pause) => tokio::time::sleep(pause).await,
                None => sent.push(start.elapsed().as_secs_f64()),
            }
        }
        assert_eq!(sent.iter().filter(|at| **at < 0.05).count(), 4);
        assert!((3.4..3.7).contains(sent.last().unwrap()), "{sent:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn off_is_off_and_a_burst_of_one_still_sends() {
        let mut off = Pacer::new(None);
        assert!((0..10_000).all(|_| off.take([500].into_iter(), Instant::now()).is_none()));
        let mut one = Pacer::new(Some((1, 1.0)));
        assert!(one.take([512].into_iter(), Instant::now()).is_none());
        assert!(one.take([512].into_iter(), Instant::now()).is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn lines_that_belong_together_are_all_paid_for() {
        let mut pacer = Pacer::new(Some((4, 2.0)));
        assert!(pacer.take([10; 10].into_iter(), Instant::now()).is_none());
        tokio::time::advance(Duration::from_secs(3)).await;
        assert!(pacer.take([10].into_iter(), Instant::now()).is_some());
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(pacer.take([10].into_iter(), Instant::now()).is_none());
    }
}
