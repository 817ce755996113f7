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
