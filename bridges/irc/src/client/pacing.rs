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

    /// How long to wait before a line of so many bytes may be sent; none if now, and then it counts as sent.
    pub fn take(&mut self, bytes: usize, now: Instant) -> Option<Duration> {
        let (burst, rate) = self.rate?;
        self.owed = (self.owed - now.saturating_duration_since(self.at).as_secs_f64() * rate).max(0.0);
        self.at = now;
        // No line costs more than the burst, or it could never be sent.
        let cost = if bytes > SHORT { 1.5_f64.min(burst) } else { 1.0 };
        let too_much = self.owed + cost - burst;
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
            match pacer.take(10, Instant::now()) {
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
        assert!((0..10_000).all(|_| off.take(500, Instant::now()).is_none()));
        let mut one = Pacer::new(Some((1, 1.0)));
        assert!(one.take(512, Instant::now()).is_none());
        assert!(one.take(512, Instant::now()).is_some());
    }
}
