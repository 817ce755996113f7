//! Slack's rate limits: so many calls a minute for each method and app, and one message a second into each channel.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use tokio::time::Instant;

/// A minute, to the letter: calls that come closer together on their way are refused.
const MINUTE: Duration = Duration::from_mins(1);

/// How often a method may be called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tier {
    /// 1 a minute.
    One,
    /// 20 a minute.
    Two,
    /// 50 a minute.
    Three,
    /// 100 a minute.
    Four,
    /// One message a second into a channel with a small burst, and several hundred a minute into a workspace.
    Posting,
    /// Without a limit that matters here.
    Free,
}

/// What is allowed. [`Limits::default`] are Slack's published figures, taken strictly: no minute holds more calls than
/// the tier says, where Slack itself lets some bursts pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Whether anything is limited.
    pub enforce: bool,
    /// Messages into one channel at once; after them one a second.
    pub channel_burst: u32,
    /// Messages a minute of one app into all channels.
    pub posts_per_minute: usize,
    /// As for an app that is sold and not listed: history and replies 1 a minute, 15 messages a page.
    pub commercial: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            enforce: true,
            channel_burst: 3,
            posts_per_minute: 600,
            commercial: false,
        }
    }
}

impl Limits {
    /// Nothing is limited.
    pub fn none() -> Self {
        Self {
            enforce: false,
            ..Self::default()
        }
    }

    fn per_minute(&self, tier: Tier) -> Option<usize> {
        match tier {
            Tier::One => Some(1),
            Tier::Two => Some(20),
            Tier::Three => Some(50),
            Tier::Four => Some(100),
            Tier::Posting => Some(self.posts_per_minute),
            Tier::Free => None,
        }
    }
}

/// What was called lately.
#[derive(Debug, Default)]
pub(super) struct Usage {
    calls: HashMap<(String, &'static str), VecDeque<Instant>>,
    /// Messages left, and when that was true.
    channels: HashMap<(String, String), (f64, Instant)>,
}

impl Usage {
    /// Counts a call of `method` by an app, into `channel` where it posts. The wait, if it is too early for it; such a
    /// call is not counted.
    pub(super) fn take(
        &mut self,
        limits: &Limits,
        app: &str,
        method: &'static str,
        tier: Tier,
        channel: &str,
    ) -> Result<(), Duration> {
        if !limits.enforce {
            return Ok(());
        }
        let now = Instant::now();
        let bucket = (tier == Tier::Posting).then(|| (app.to_owned(), channel.to_owned()));
        if let Some(bucket) = &bucket {
            let burst = f64::from(limits.channel_burst);
            let (left, since) = self.channels.entry(bucket.clone()).or_insert((burst, now));
            *left = (*left + now.duration_since(*since).as_secs_f64()).min(burst);
            *since = now;
            if *left < 1.0 {
                return Err(Duration::from_secs_f64(1.0 - *left));
            }
        }
        if let Some(most) = limits.per_minute(tier) {
            let calls = self.calls.entry((app.to_owned(), method)).or_default();
            while calls.front().is_some_and(|first| now.duration_since(*first) >= MINUTE) {
                calls.pop_front();
            }
            if let Some(first) = calls.front().filter(|_| calls.len() >= most) {
                return Err(MINUTE.saturating_sub(now.duration_since(*first)));
            }
            calls.push_back(now);
        }
        if let Some((left, _)) = bucket.and_then(|bucket| self.channels.get_mut(&bucket)) {
            *left -= 1.0;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_channel_takes_a_burst_and_then_one_a_second() {
        let (mut usage, limits) = (Usage::default(), Limits::default());
        let mut post = |channel| usage.take(&limits, "A1", "chat.postMessage", Tier::Posting, channel);
        assert!((0..3).all(|_| post("C1").is_ok()));
        assert!(post("C1").unwrap_err() <= Duration::from_secs(1));
        assert!(post("C2").is_ok(), "another channel is not held up");
        for _ in 0..20 {
            tokio::time::advance(Duration::from_secs(1)).await;
            assert!(post("C1").is_ok());
            assert!(post("C1").is_err());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn no_minute_holds_more_calls_than_the_tier_says() {
        let (mut usage, limits) = (Usage::default(), Limits::default());
        let mut call = |app| usage.take(&limits, app, "users.list", Tier::Two, "");
        assert!((0..20).all(|_| call("A1").is_ok()));
        let wait = call("A1").unwrap_err();
        assert!(call("A2").is_ok(), "each app has its own");
        tokio::time::advance(wait).await;
        assert!(call("A1").is_ok());
        assert!(Usage::default().take(&Limits::none(), "A1", "x", Tier::One, "").is_ok());
    }
}
