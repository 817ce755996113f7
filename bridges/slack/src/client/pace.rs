//! How often each method may be called, as Slack publishes it. Rates are those of the app in its workspace, whoever's token is
//! used.

use std::time::Duration;

use viaduct_bridge::Rate;

use crate::config::Limits;

/// One minute.
const MINUTE: Duration = Duration::from_mins(1);

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

/// The rate of messages into one channel.
pub fn into_one(limits: &Limits) -> Rate {
    Rate::new(1, Duration::from_secs_f64(1.0 / limits.posts_per_second.max(0.01)))
}

/// The rate of messages into all channels.
pub fn into_all(limits: &Limits) -> Rate {
    Rate::new(limits.posts_per_minute as usize, MINUTE)
}
