//! What most tests begin with: a workspace, its channel and somebody in it.

use serde_json::{Value, json};
use viaduct_model::{Content, Message};
use viaduct_tests::slack::{Kind, Limits, SlackStandIn};

/// The mirrored channel.
pub const NAME: &str = "#project";

/// A workspace, its channel and somebody in it.
pub async fn workspace() -> (SlackStandIn, String, String) {
    let slack = SlackStandIn::start().await.unwrap();
    slack.set_limits(Limits::none());
    let channel = slack.add_channel("project", Kind::Private);
    let sue = slack.add_user("sue");
    slack.join(&channel, &sue);
    slack.join(&channel, &slack.app().bot_user);
    (slack, channel, sue)
}

/// A section for the stand-in, without waiting for rates.
pub fn section(slack: &SlackStandIn) -> Value {
    json!({
        "bot_token": slack.app().bot_token,
        "app_token": slack.app().app_token,
        "base_url": slack.api_url(),
        "limits": {"posts_per_second": 1000.0, "tier_1": 10000, "tier_2": 10000, "tier_3": 10000, "tier_4": 10000,
                   "history": 10000},
    })
}

/// Nothing was asked for that Slack does not offer.
pub fn no_violations(slack: &SlackStandIn) {
    let violations = slack.violations();
    assert!(violations.is_empty(), "{violations:#?}");
}

/// A message with this text.
pub fn message(text: &str) -> Content {
    Content::Message(Message::plain(text))
}
