//! Calls spaced ahead, so that a service with published limits never has to refuse one.
//!
//! What may be called how often is a handful of [`Rate`]s, which all hold at once. A service counts a call when it arrives, which
//! is some time between its leaving here and its answer; so a call counts from its [`Turn`] until that is dropped, and its span
//! begins with the end. Whatever the ways of two calls, they cannot arrive closer to each other than they may.
//!
//! Calls of one key go in the order in which they asked; those of other keys are not held up by them. A call that counts under
//! several keys takes its turn under all of them at once, or none: while it waits for one, it uses up nothing of the others.
//!
//! What a process before this one called is not known: right after a restart a service may refuse a call, and then
//! [`Pacer::block`] waits as long as it asks for.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Added to each span, for clocks that run apart: a part of the span, and this at most.
const MARGIN: Duration = Duration::from_millis(30);
/// Which part of the span.
const PART: u32 = 20;
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

    /// For how long a call counts.
    fn counts(&self) -> Duration {
        self.span + MARGIN.min(self.span / PART)
    }
}

/// What was called under one key.
#[derive(Debug, Default)]
struct Calls {
    /// How many are being made.
    making: usize,
    /// When the last ones ended.
    made: VecDeque<Instant>,
    /// Not before this.
    blocked: Option<Instant>,
    /// For how long a call counts at most.
    longest: Duration,
}

impl Calls {
    /// Until when the next call has to wait, as far as that is known; none if it may be made.
    fn wait(&mut self, rates: &[Rate], now: Instant) -> Option<Instant> {
        let mut until = self.blocked.unwrap_or(now);
        for rate in rates {
            self.longest = self.longest.max(rate.counts());
            let free = match rate.calls.max(1).checked_sub(self.making) {
                None | Some(0) => Some(now),
                Some(left) => self
                    .made
                    .len()
                    .checked_sub(left)
                    .and_then(|index| self.made.get(index))
                    .copied(),
            };
            if let Some(last) = free {
                until = until.max(last + rate.counts());
            }
        }
        let kept = rates.iter().map(|rate| rate.calls.max(1)).max().unwrap_or_default();
        let surplus = self.made.len().saturating_sub(kept);
        self.made.drain(..surplus);
        (until > now).then_some(until)
    }

    fn is_at_rest(&self, now: Instant) -> bool {
        let is_over = |last: &Instant| *last + self.longest <= now;
        self.making == 0 && self.made.back().is_none_or(is_over) && self.blocked.is_none_or(|until| until <= now)
    }
}

/// One key: who is next, and what was called.
#[derive(Debug, Default)]
struct Window {
    /// Held by whose turn is next; fair to those who wait for it.
    next: tokio::sync::Mutex<()>,
    calls: Mutex<Calls>,
}

impl Window {
    fn calls(&self) -> MutexGuard<'_, Calls> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait(&self, rates: &[Rate]) -> Option<Instant> {
        self.calls().wait(rates, Instant::now())
    }

    async fn free(&self, rates: &[Rate]) {
        while let Some(until) = self.wait(rates) {
            tokio::time::sleep_until(until).await;
        }
    }
}

/// A call that may be made now. It counts as underway until this is dropped: drop it when the answer is there.
#[derive(Debug)]
#[must_use = "the call counts as over when this is dropped"]
pub struct Turn {
    windows: Vec<Arc<Window>>,
}

impl Drop for Turn {
    fn drop(&mut self) {
        let now = Instant::now();
        for window in &self.windows {
            let mut calls = window.calls();
            calls.making = calls.making.saturating_sub(1);
            calls.made.push_back(now);
        }
    }
}

/// Remembers when what was called.
#[derive(Debug, Default)]
pub struct Pacer {
    windows: Mutex<HashMap<String, Arc<Window>>>,
}

impl Pacer {
    /// Waits until a call may be made under each of these keys, and counts it under all. Name them from the narrow to the wide (a
    /// conversation, then its tenant), always in the same order, and none twice. A caller that gives up while waiting has used
    /// nothing.
    pub async fn turn(&self, keys: &[(&str, &[Rate])]) -> Turn {
        let windows: Vec<Arc<Window>> = keys.iter().map(|(key, _)| self.window(key)).collect();
        let asked: Vec<(&Window, &[Rate])> = windows
            .iter()
            .zip(keys)
            .map(|(window, (_, rates))| (&**window, *rates))
            .collect();
        let mut places = Vec::with_capacity(asked.len());
        while let Some((window, rates)) = asked.get(places.len()) {
            places.push(window.next.lock().await);
            window.free(rates).await;
            // While the wider was waited for, the service may have asked for a pause in the narrower: that is waited for without
            // holding up others in the wider.
            let waits = |(window, rates): &(&Window, &[Rate])| window.wait(rates).is_some();
            if let Some(narrower) = asked.iter().take(places.len()).position(waits)
                && let Some((window, rates)) = asked.get(narrower)
            {
                places.truncate(narrower + 1);
                window.free(rates).await;
            }
        }
        for window in &windows {
            window.calls().making += 1;
        }
        drop(places);
        drop(asked);
        Turn { windows }
    }

    /// Lets nobody call under this key for so long: what `Retry-After` asks for.
    pub fn block(&self, key: &str, wait: Duration) {
        self.window(key).calls().blocked = Some(Instant::now() + wait);
    }

    fn window(&self, key: &str) -> Arc<Window> {
        let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        if windows.len() > KEYS {
            let now = Instant::now();
            windows.retain(|_, window| Arc::strong_count(window) > 1 || !window.calls().is_at_rest(now));
        }
        Arc::clone(windows.entry(key.to_owned()).or_default())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tokio::task::JoinSet;
    use tokio::time::sleep;

    use super::*;

    const ONE: Duration = Duration::from_secs(1);
    const TEN: Duration = Duration::from_secs(10);

    /// No span holds more arrivals than the rates allow.
    fn check(mut arrived: Vec<Duration>, rates: &[Rate]) -> Result<(), TestCaseError> {
        arrived.sort();
        for rate in rates {
            for window in arrived.windows(rate.calls + 1) {
                prop_assert!(window[rate.calls] > window[0] + rate.span, "{rate:?} {arrived:?}");
            }
        }
        Ok(())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn every_window_holds_where_calls_arrive_under_each_of_their_keys(
            calls in proptest::collection::vec((0..3_usize, 0..2000_u64, 0..3000_u64, 0..500_u64), 1..60),
        ) {
            const NARROW: [Rate; 2] = [Rate::new(3, ONE), Rate::new(5, TEN)];
            const WIDE: [Rate; 1] = [Rate::new(4, ONE)];
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
            let arrived = runtime.block_on(async {
                let (pacer, start, mut tasks) = (Arc::new(Pacer::default()), Instant::now(), JoinSet::new());
                for (key, asks, there, back) in calls.clone() {
                    let pacer = Arc::clone(&pacer);
                    tasks.spawn(async move {
                        sleep(Duration::from_millis(asks)).await;
                        let name = key.to_string();
                        let turn = pacer.turn(&[(&name, &NARROW), ("all", &WIDE)]).await;
                        sleep(Duration::from_millis(there)).await;
                        let arrived = start.elapsed();
                        sleep(Duration::from_millis(back)).await;
                        drop(turn);
                        (key, arrived)
                    });
                }
                tasks.join_all().await
            });
            prop_assert_eq!(arrived.len(), calls.len());
            for key in 0..3 {
                check(arrived.iter().filter(|(of, _)| *of == key).map(|(_, at)| *at).collect(), &NARROW)?;
            }
            check(arrived.into_iter().map(|(_, at)| at).collect(), &WIDE)?;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn calls_go_as_soon_as_they_may_and_in_order() {
        let (pacer, start) = (Pacer::default(), Instant::now());
        let rates = [Rate::new(2, ONE)];
        let mut made = Vec::new();
        for _ in 0..5 {
            drop(pacer.turn(&[("a", &rates)]).await);
            made.push(start.elapsed().as_millis());
        }
        assert_eq!(made, [0, 0, 1030, 1030, 2060]);
        let begun = Instant::now();
        drop(pacer.turn(&[("b", &rates)]).await);
        assert_eq!(begun.elapsed(), Duration::ZERO, "another key waits for nobody");
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_for_one_key_holds_up_nobody_under_the_other() {
        let pacer = Arc::new(Pacer::default());
        let (narrow, wide) = ([Rate::new(1, TEN)], [Rate::new(2, ONE)]);
        drop(pacer.turn(&[("a", &narrow), ("all", &wide)]).await);
        let waiting = tokio::spawn({
            let pacer = Arc::clone(&pacer);
            async move { drop(pacer.turn(&[("a", &narrow), ("all", &wide)]).await) }
        });
        tokio::task::yield_now().await;
        let begun = Instant::now();
        drop(pacer.turn(&[("b", &narrow), ("all", &wide)]).await);
        assert_eq!(begun.elapsed(), Duration::ZERO);
        waiting.await.unwrap();
        assert!(begun.elapsed() >= TEN);
    }

    #[tokio::test(start_paused = true)]
    async fn a_blocked_key_waits_also_where_that_comes_while_waiting_for_another() {
        let pacer = Arc::new(Pacer::default());
        let (narrow, wide) = ([Rate::new(5, ONE)], [Rate::new(1, ONE)]);
        drop(pacer.turn(&[("b", &narrow), ("all", &wide)]).await);
        let start = Instant::now();
        let blocked = tokio::spawn({
            let pacer = Arc::clone(&pacer);
            async move { drop(pacer.turn(&[("a", &narrow), ("all", &wide)]).await) }
        });
        tokio::task::yield_now().await;
        pacer.block("a", Duration::from_secs(7));
        drop(pacer.turn(&[("b", &narrow), ("all", &wide)]).await);
        assert!(start.elapsed() < 3 * ONE, "others are not held up by it");
        blocked.await.unwrap();
        assert!(start.elapsed() >= Duration::from_secs(7));
    }

    #[tokio::test(start_paused = true)]
    async fn keys_at_rest_are_forgotten_and_others_are_not() {
        let pacer = Pacer::default();
        let rates = [Rate::new(1, TEN)];
        let held = pacer.turn(&[("held", &rates)]).await;
        for number in 0..KEYS {
            drop(pacer.turn(&[(&number.to_string(), &rates)]).await);
        }
        tokio::time::advance(2 * TEN).await;
        drop(pacer.turn(&[("new", &rates)]).await);
        drop(pacer.turn(&[("other", &rates)]).await);
        let mut left: Vec<String> = pacer.windows.lock().unwrap().keys().cloned().collect();
        left.sort();
        assert_eq!(left, ["held", "new", "other"]);
        drop(held);
    }
}
