//! What happened while the hub was away.

use std::time::Instant;

use serde_json::json;
use viaduct_bridge::testing::{Hub, PATIENCE};
use viaduct_model::Content;
use viaduct_slack::SlackFactory;
use viaduct_tests::slack::Limits;

use crate::common::stage::{NAME, no_violations, section, workspace};

#[tokio::test]
async fn an_absence_is_caught_up_with_replies_edits_and_deletions() {
    let (slack, channel, sue) = workspace().await;
    let hub = Hub::new("acme-slack");
    let running = hub.start(&SlackFactory, &section(&slack), &[NAME]).await;
    let old = slack.say(&channel, &sue, "old thread");
    slack.reply(&channel, &sue, old, "first reply", false);
    let edited = slack.say(&channel, &sue, "typo");
    let deleted = slack.say(&channel, &sue, "regret");
    let before = running.say(NAME, "ours before").await;
    hub.hear("regret").await;
    slack.settled(PATIENCE).await.unwrap();
    running.stop().await;

    slack.reply(&channel, &sue, old, "second reply", false);
    slack.edit(&channel, edited, &sue, "no typo");
    slack.delete(&channel, deleted);
    let missed = slack.say(&channel, &sue, "missed");
    slack.reply(&channel, &sue, missed, "reply to missed", false);
    slack.react(&channel, missed, &sue, "tada", true);
    let running = hub.start(&SlackFactory, &section(&slack), &[NAME]).await;
    slack.say(&channel, &sue, "live");
    hub.hear("live").await;
    slack.settled(PATIENCE).await.unwrap();
    let events = hub.events();
    let texts: Vec<String> = hub.texts();
    assert_eq!(
        texts,
        [
            "old thread",
            "first reply",
            "typo",
            "regret",
            "second reply",
            "missed",
            "reply to missed",
            "live"
        ],
    );
    assert!(
        events
            .iter()
            .any(|event| matches!(&event.content, Content::Edit { target, message }
        if target.as_str() == edited.to_string() && message.body.to_plain() == "no typo"))
    );
    let deletions: Vec<_> = events
        .iter()
        .filter_map(|event| match &event.content {
            Content::Delete { target, .. } => Some(target.as_str().to_owned()),
            _ => None,
        })
        .collect();
    assert_eq!(deletions, [deleted.to_string()], "ours was {before}");
    assert!(
        events
            .iter()
            .any(|event| matches!(&event.content, Content::React { target, reaction }
        if target.as_str() == missed.to_string() && reaction.key == "🎉"))
    );
    running.stop().await;
    no_violations(&slack);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_thousand_missed_events_come_in_order_within_the_limits() {
    let (slack, channel, sue) = workspace().await;
    slack.set_limits(Limits::default());
    let mut section = section(&slack);
    section["limits"] = json!({});
    let hub = Hub::new("acme-slack");
    let running = hub.start(&SlackFactory, &section, &[NAME]).await;
    slack.say(&channel, &sue, "before");
    hub.hear("before").await;
    running.stop().await;
    for number in 0..2000 {
        slack.say(&channel, &sue, &format!("missed {number}"));
    }
    let begun = Instant::now();
    let running = hub.start(&SlackFactory, &section, &[NAME]).await;
    slack.say(&channel, &sue, "live");
    hub.hear("live").await;
    println!(
        "2,000 missed messages after {} ms, {} calls of history",
        begun.elapsed().as_millis(),
        slack.calls("conversations.history").len()
    );
    let expected: Vec<String> = ["before".to_owned()]
        .into_iter()
        .chain((0..2000).map(|number| format!("missed {number}")))
        .chain(["live".to_owned()])
        .collect();
    assert_eq!(hub.texts(), expected);
    assert_eq!(slack.limited(), 0);
    running.stop().await;
}
