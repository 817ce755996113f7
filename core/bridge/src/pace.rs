//! Calls spaced ahead, so that a service with published limits never has to refuse one.
//!
//! What may be called how often is a handful of [`Rate`]s, which all hold at once. Calls of one key go in the order in which
//! they asked; those of other keys are not held up by them.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Added to each span, for clocks and the way to the service.
const MARGIN: Duration = Duration::from_millis(30);
/// How many keys are remembered before those at rest are dropped.
const KEYS: usize = 4096;

/// So many calls in so long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// How many calls; 0 counts as 1.
    pub calls: usize,
    /// In any span of this length.
    pub span: Duration,
}

impl Rate {
    /// So many calls in any span of so long.
    pub const fn new(calls: usize, span: Duration) -> Self {
        Self { calls, span }
    }
}

#[derive(Debug, Default)]
struct Window {
    /// When the last calls were, or will be, made.
    calls: VecDeque<Instant>,
    /// Not before this.
    blocked: Option<Instant>,
}

/// Remembers when what was called.
#[derive(Debug, Default)]
pub struct Pacer {
    windows: Mutex<HashMap<String, Window>>,
}

impl Pacer {
    /// Takes the next turn of a key and waits for it. A caller that gives up while waiting has used its turn.
    pub async fn turn(&self, key: &str, rates: &[Rate]) {
        let at = self.reserve(key, rates, Instant::now());
        tokio::time::sleep_until(at).await;
    }

    /// Lets nobody call under this key for so long: what `Retry-After` asks for.
    pub fn block(&self, key: &str, wait: Duration) {
        let until = Instant::now() + wait;
        let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        windows.entry(key.to_owned()).or_default().blocked = Some(until);
    }

    fn reserve(&self, key: &str, rates: &[Rate], now: Instant) -> Instant {
        let longest = rates.iter().map(|rate| rate.span).max().unwrap_or_default();
        let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        if windows.len() > KEYS {
            windows.retain(|_, window| {
                window.calls.back().is_some_and(|last| *last + longest > now)
                    || window.blocked.is_some_and(|until| until > now)
            });
        }
        let window = windows.entry(key.to_owned()).or_default();
        while window
            .calls
            .front()
            .is_some_and(|first| *first + longest + MARGIN <= now)
        {
            window.calls.pop_front();
        }
        let mut at = window.blocked.filter(|until| *until > now).unwrap_or(now);
        if let Some(last) = window.calls.back() {
            at = at.max(*last);
        }
        for rate in rates {
            let back = window.calls.len().checked_sub(rate.calls.max(1));
            if let Some(oldest) = back.and_then(|index| window.calls.get(index)) {
                at = at.max(*oldest + rate.span + MARGIN);
            }
        }
        window.calls.push_back(at);
        at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn every_window_holds_at_once() {
        let pacer = Pacer::default();
        let rates = [
            Rate::new(3, Duration::from_secs(1)),
            Rate::new(5, Duration::from_secs(10)),
        ];
        let start = Instant::now();
        let mut made = Vec::new();
        for _ in 0..16 {
            pacer.turn("a", &rates).await;
            made.push(start.elapsed());
        }
        for rate in &rates {
            for window in made.windows(rate.calls + 1) {
                assert!(window[rate.calls] > window[0] + rate.span, "{rate:?} {made:?}");
            }
        }
        let before = Instant::now();
        pacer.turn("b", &rates).await;
        assert!(
            before.elapsed() < Duration::from_millis(5),
            "another key waits for nobody"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_blocked_key_waits() {
        let pacer = Pacer::default();
        pacer.block("a", Duration::from_secs(7));
        let start = Instant::now();
        pacer.turn("a", &[Rate::new(5, Duration::from_secs(1))]).await;
        assert!(start.elapsed() >= Duration::from_secs(7));
    }
}
