//! How often each method may be called: spaced ahead, so that Slack never has to refuse a call.
//!
//! A rate is so many calls in any span of so long. Calls of one key go in the order in which they asked; others are not held
//! up by them.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::config::Limits;

/// Added to each span, for clocks and the way to Slack.
const MARGIN: Duration = Duration::from_millis(30);
/// How many keys are remembered before those at rest are dropped.
const KEYS: usize = 4096;

/// So many calls in so long.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rate {
    /// How many calls.
    pub calls: usize,
    /// In how long.
    pub span: Duration,
}

/// The rate of a method.
pub fn rate(method: &str, limits: &Limits) -> Rate {
    let per_minute = match method {
        "apps.connections.open" => limits.tier_1,
        "conversations.history" | "conversations.replies" => limits.history,
        "conversations.list"
        | "users.list"
        | "users.conversations"
        | "emoji.list"
        | "usergroups.list"
        | "pins.list"
        | "conversations.setTopic"
        | "reactions.remove" => limits.tier_2,
        "users.info"
        | "conversations.members"
        | "files.info"
        | "files.getUploadURLExternal"
        | "files.completeUploadExternal"
        | "chat.postEphemeral" => limits.tier_4,
        _ => limits.tier_3,
    };
    Rate {
        calls: per_minute as usize,
        span: Duration::from_mins(1),
    }
}

/// The rate of posting into one channel.
pub fn posting(limits: &Limits) -> Rate {
    Rate {
        calls: 1,
        span: Duration::from_secs_f64(1.0 / limits.posts_per_second.max(0.01)),
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
    /// Takes the next turn of a key and waits for it.
    pub async fn turn(&self, key: &str, rate: Rate) {
        let at = self.reserve(key, rate, Instant::now());
        tokio::time::sleep_until(at).await;
    }

    /// Lets nobody call for so long.
    pub fn block(&self, key: &str, wait: Duration) {
        let until = Instant::now() + wait;
        let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        windows.entry(key.to_owned()).or_default().blocked = Some(until);
    }

    fn reserve(&self, key: &str, rate: Rate, now: Instant) -> Instant {
        let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        if windows.len() > KEYS {
            windows.retain(|_, window| {
                window.calls.back().is_some_and(|last| *last + rate.span > now)
                    || window.blocked.is_some_and(|until| until > now)
            });
        }
        if !windows.contains_key(key) {
            windows.insert(key.to_owned(), Window::default());
        }
        let Some(window) = windows.get_mut(key) else {
            return now;
        };
        while window.calls.len() > rate.calls {
            window.calls.pop_front();
        }
        let mut at = window.blocked.filter(|until| *until > now).unwrap_or(now);
        if window.calls.len() >= rate.calls.max(1)
            && let Some(oldest) = window.calls.pop_front()
        {
            at = at.max(oldest + rate.span + MARGIN);
        }
        window.calls.push_back(at);
        at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn any_span_holds_so_many_calls() {
        let pacer = Pacer::default();
        let rate = Rate {
            calls: 3,
            span: Duration::from_secs(10),
        };
        let start = Instant::now();
        let mut made = Vec::new();
        for _ in 0..10 {
            pacer.turn("a", rate).await;
            made.push(start.elapsed());
        }
        for window in made.windows(4) {
            assert!(window[3].saturating_sub(window[0]) > rate.span, "{made:?}");
        }
        assert!(made[2] < Duration::from_millis(5));
        let before = Instant::now();
        pacer.turn("b", rate).await;
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
        pacer
            .turn(
                "a",
                Rate {
                    calls: 5,
                    span: Duration::from_secs(1),
                },
            )
            .await;
        assert!(start.elapsed() >= Duration::from_secs(7));
    }
}
