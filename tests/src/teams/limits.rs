//! How often Microsoft may be asked: windows for each conversation, each tenant and each channel.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use tokio::time::Instant;

/// So many calls within so long.
pub type Window = (usize, Duration);

/// What is allowed. [`Limits::default`] are the published figures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Whether anything is limited.
    pub enforce: bool,
    /// Posting, editing and deleting by one bot in one channel or chat.
    pub send: Vec<Window>,
    /// Asking for members of one conversation.
    pub members: Vec<Window>,
    /// All of the connector's calls of one app in one tenant.
    pub tenant: Vec<Window>,
    /// All of Graph's calls of one app in one tenant.
    pub graph: Vec<Window>,
    /// Graph's calls of one app about one channel or chat.
    pub graph_channel: Vec<Window>,
}

impl Default for Limits {
    fn default() -> Self {
        let window = |most, seconds| (most, Duration::from_secs(seconds));
        Self {
            enforce: true,
            send: vec![window(7, 1), window(8, 2), window(60, 30), window(1800, 3600)],
            members: vec![window(14, 1), window(16, 2), window(120, 30), window(3600, 3600)],
            tenant: vec![window(50, 1)],
            graph: vec![window(30, 1)],
            graph_channel: vec![window(4, 1)],
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
}

/// What was called lately.
#[derive(Debug, Default)]
pub(super) struct Usage(HashMap<String, VecDeque<Instant>>);

impl Usage {
    /// Counts a call under every name. The wait, if it is too early under any of them; such a call is not counted.
    pub(super) fn take(&mut self, counted: &[(String, &[Window])]) -> Result<(), Duration> {
        let now = Instant::now();
        for (name, windows) in counted {
            let calls = self.0.entry(name.clone()).or_default();
            let longest = windows.iter().map(|(_, within)| *within).max().unwrap_or_default();
            while calls.front().is_some_and(|first| now.duration_since(*first) >= longest) {
                calls.pop_front();
            }
            for (most, within) in *windows {
                let full = calls.len().checked_sub(*most).and_then(|index| calls.get(index));
                if let Some(wait) = full.and_then(|first| within.checked_sub(now.duration_since(*first)))
                    && !wait.is_zero()
                {
                    return Err(wait);
                }
            }
        }
        for (name, _) in counted {
            self.0.entry(name.clone()).or_default().push_back(now);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn every_window_holds() {
        let limits = Limits::default();
        let mut usage = Usage::default();
        let mut post =
            |channel: &str| usage.take(&[(channel.to_owned(), &limits.send), ("all".to_owned(), &limits.tenant)]);
        assert!((0..7).all(|_| post("a").is_ok()));
        assert!(post("a").unwrap_err() <= Duration::from_secs(1));
        assert!(post("b").is_ok(), "another channel is not held up");
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(post("a").is_ok());
        assert_eq!(post("a"), Err(Duration::from_secs(1)), "8 in 2 seconds");
    }
}
