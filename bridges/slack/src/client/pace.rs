//! How often each method may be called, as Slack publishes it.
//!
//! Calls are spaced by when they leave here, and counted by when they reach Slack: a little later, and not always by the same. So
//! a minute is taken for a second longer than it is, and the next message into a channel leaves a second after the answer to the
//! one before. Rates are those of the app in its workspace, whoever's token is used.

use std::time::Duration;

use viaduct_bridge::Rate;

use crate::config::Limits;

/// A minute, and how much the ways of two calls to Slack may differ.
const MINUTE: Duration = Duration::from_secs(61);

/// The rate of a method.
pub fn rate(method: &str, limits: &Limits) -> Rate {
    let per_minute = match method {
        "apps.connections.open" => limits.tier_1,
        "conversations.history" | "conversations.replies" => limits.history,
        "auth.teams.list"
        | "conversations.list"
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
    Rate::new(per_minute as usize, MINUTE)
}

/// The pause between the answer to one message into a channel and the next message.
pub fn pause(limits: &Limits) -> Duration {
    Duration::from_secs_f64(1.0 / limits.posts_per_second.max(0.01))
}

/// The rate of messages into all channels.
pub fn posting(limits: &Limits) -> Rate {
    Rate::new(limits.posts_per_minute as usize, MINUTE)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tokio::time::{Instant, sleep};
    use viaduct_bridge::Pacer;

    use super::*;

    const METHODS: [&str; 4] = ["apps.connections.open", "users.list", "chat.update", "users.info"];

    /// When so many calls of a method reach Slack, as fast as they may be made, if their ways take so many milliseconds.
    async fn arrivals(method: &str, calls: usize, ways: &[u64]) -> Vec<Duration> {
        let (pacer, limits, begun) = (Pacer::default(), Limits::default(), Instant::now());
        let mut out = Vec::new();
        for way in ways.iter().cycle().take(calls) {
            pacer.turn(method, &[rate(method, &limits)]).await;
            out.push(begun.elapsed() + Duration::from_millis(*way));
        }
        out.sort();
        out
    }

    proptest! {
        #[test]
        fn no_minute_at_slack_holds_more_calls_than_granted(
            method in 0..METHODS.len(),
            ways in proptest::collection::vec(5_u64..1000, 1..50),
        ) {
            let method = METHODS[method];
            let granted = rate(method, &Limits::default()).calls;
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
            let seen = runtime.block_on(arrivals(method, 3 * granted, &ways));
            for window in seen.windows(granted + 1) {
                prop_assert!(window[granted] > window[0] + Duration::from_mins(1), "{method}");
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_next_message_leaves_a_second_after_the_answer() {
        let (pacer, limits) = (Pacer::default(), Limits::default());
        let mut reached: Vec<Instant> = Vec::new();
        for way in [5, 900, 10, 400, 0, 999, 0] {
            pacer.turn("post/C1", &[Rate::new(1, pause(&limits))]).await;
            sleep(Duration::from_millis(way)).await;
            reached.push(Instant::now());
            pacer.block("post/C1", pause(&limits));
        }
        assert!(reached.windows(2).all(|two| two[1] - two[0] >= Duration::from_secs(1)));
    }
}
