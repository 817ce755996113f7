//! Clock and chance.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use viaduct_model::{Clock, Entropy, Timestamp};

/// The machine's clock.
#[derive(Debug)]
pub struct RealClock;

impl Clock for RealClock {
    #[expect(clippy::disallowed_methods, reason = "stand-ins and servers have the machine's time")]
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
        Timestamp(u64::try_from(since.as_millis()).unwrap())
    }
}

/// The machine's clock, which a test may put forward.
#[derive(Debug, Default)]
pub struct TestClock(AtomicU64);

impl TestClock {
    /// It is later by so many milliseconds.
    pub fn forward(&self, millis: u64) {
        self.0.fetch_add(millis, Ordering::Relaxed);
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        RealClock.now().plus_millis(self.0.load(Ordering::Relaxed))
    }
}

/// Chance that can be foretold.
#[derive(Debug, Default)]
pub struct Counting(AtomicU64);

impl Entropy for Counting {
    fn fill(&self, buffer: &mut [u8]) {
        for byte in buffer {
            *byte = self.0.fetch_add(7, Ordering::Relaxed).to_le_bytes()[0];
        }
    }
}
