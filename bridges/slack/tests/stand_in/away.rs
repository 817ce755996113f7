//! What happened while the hub was away.

use std::time::Instant;

use serde_json::json;
use viaduct_bridge::testing::{Hub, PATIENCE};
use viaduct_model::{Content, Event};
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
            "no typo",
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

/// What was done to messages, as `verb target detail` in the order in which it was told.
fn doings(told: &[Event]) -> Vec<String> {
    let doing = |event: &Event| match &event.content {
        Content::Edit { target, message } => Some(format!("edit {target} {}", message.body.to_plain())),
        Content::Delete { target, .. } => Some(format!("delete {target}")),
        Content::React { target, reaction } => Some(format!("react {target} {} {}", reaction.key, event.sender.name)),
        Content::Unreact { target, reaction } => {
            Some(format!("unreact {target} {} {}", reaction.key, event.sender.name))
        }
        _ => None,
    };
    told.iter().filter_map(doing).collect()
}

#[tokio::test]
async fn what_was_done_to_old_messages_and_replies_is_seen_once() {
    let (slack, channel, sue) = workspace().await;
    let tom = slack.add_user("tom");
    slack.join(&channel, &tom);
    let hub = Hub::new("acme-slack");
    let running = hub.start(&SlackFactory, &section(&slack), &[NAME]).await;
    let old = slack.say(&channel, &sue, "old");
    let root = slack.say(&channel, &sue, "a thread");
    let [kept, edited, deleted] =
        ["kept", "edited", "deleted"].map(|text| slack.reply(&channel, &tom, root, text, false));
    let quiet = slack.say(&channel, &sue, "another thread");
    let alone = slack.reply(&channel, &tom, quiet, "the only reply", false);
    slack.react(&channel, old, &sue, "eyes", true);
    slack.react(&channel, kept, &sue, "eyes", true);
    hub.until("two reactions", |events, _| (doings(events).len() == 2).then_some(()))
        .await;
    hub.hear("the only reply").await;
    slack.settled(PATIENCE).await.unwrap();
    running.stop().await;
    let before = doings(&hub.events());

    slack.react(&channel, old, &sue, "eyes", false);
    slack.react(&channel, old, &tom, "tada", true);
    slack.react(&channel, kept, &tom, "eyes", true);
    slack.edit(&channel, edited, &tom, "edited since");
    slack.delete(&channel, deleted);
    slack.delete(&channel, alone);
    let running = hub.start(&SlackFactory, &section(&slack), &[NAME]).await;
    slack.say(&channel, &sue, "live");
    hub.hear("live").await;
    slack.settled(PATIENCE).await.unwrap();
    let mut since = doings(&hub.events()).split_off(before.len());
    since.sort();
    let mut expected = [
        format!("unreact {old} 👀 sue"),
        format!("react {old} 🎉 tom"),
        format!("react {kept} 👀 tom"),
        format!("edit {edited} edited since"),
        format!("delete {deleted}"),
        format!("delete {alone}"),
    ];
    expected.sort();
    assert_eq!(since, expected);
    running.stop().await;

    let all = doings(&hub.events());
    let running = hub.start(&SlackFactory, &section(&slack), &[NAME]).await;
    slack.say(&channel, &sue, "once more");
    hub.hear("once more").await;
    assert_eq!(doings(&hub.events()), all, "nothing is told again");
    running.stop().await;
    no_violations(&slack);
}
