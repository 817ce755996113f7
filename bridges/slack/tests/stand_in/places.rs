//! What becomes of channels, and of the app in them.

use viaduct_bridge::testing::{Hub, PATIENCE};
use viaduct_bridge::{Connection, Failure, ProbeStatus};
use viaduct_model::{Content, Event, MessageStyle};
use viaduct_slack::SlackFactory;
use viaduct_tests::slack::{Kind, Limits, SlackStandIn};

use crate::common::stage::{NAME, message, no_violations, section, workspace};

#[tokio::test]
async fn lost_tokens_and_removals_are_told_and_drop_nothing() {
    let (slack, channel, sue) = workspace().await;
    let hub = Hub::new("acme-slack");
    let running = hub.start(&SlackFactory, &section(&slack), &[NAME]).await;
    let owner = sue.clone();
    let bot = slack.app().bot_user.clone();
    slack.leave(&channel, &bot, &owner);
    hub.until("the removal", |events, _| {
        events
            .iter()
            .find(|event| matches!(event.content, Content::Closed { .. }))
            .map(|_| ())
    })
    .await;
    let error = running.deliver(hub.outbound(NAME, message("waits"))).await.unwrap_err();
    assert!(matches!(error.failure, Failure::Retry(_)), "{error:?}");
    let probes = running.session.probe().await;
    assert!(
        probes
            .iter()
            .any(|probe| probe.status == ProbeStatus::Error && probe.subject.contains(NAME)),
        "{probes:#?}"
    );
    slack.say(&channel, &sue, "while outside");
    slack.join(&channel, &bot);
    hub.hear("while outside").await;
    running.say(NAME, "back").await;

    slack.uninstall();
    hub.until("the loss", |_, reports| {
        reports
            .iter()
            .any(|(channel, connection)| channel.is_none() && matches!(connection, Connection::AuthLost(_)))
            .then_some(())
    })
    .await;
    let error = running
        .deliver(hub.outbound(NAME, message("waits too")))
        .await
        .unwrap_err();
    assert_eq!(error.failure, Failure::AuthLost, "{error:?}");
    let probes = running.session.probe().await;
    assert!(
        probes.iter().any(|probe| probe.status == ProbeStatus::Error),
        "{probes:#?}"
    );
    running.stop().await;
}

#[tokio::test]
async fn a_channel_begins_to_work_when_the_app_is_invited() {
    let slack = SlackStandIn::start().await.unwrap();
    slack.set_limits(Limits::none());
    let channel = slack.add_channel("project", Kind::Private);
    let sue = slack.add_user("sue");
    slack.join(&channel, &sue);
    let hub = Hub::new("acme-slack");
    let running = hub.start(&SlackFactory, &section(&slack), &[channel.as_str()]).await;
    let error = running
        .deliver(hub.outbound(&channel, message("too early")))
        .await
        .unwrap_err();
    assert!(matches!(error.failure, Failure::Retry(_)), "{error:?}");
    slack.join(&channel, &slack.app().bot_user);
    slack.say(&channel, &sue, "welcome");
    hub.hear("welcome").await;
    running.say(&channel, "at last").await;
    running.stop().await;
    no_violations(&slack);
}

#[tokio::test]
async fn renames_topics_archives_and_new_ids_are_followed() {
    let (slack, channel, sue) = workspace().await;
    let hub = Hub::new("acme-slack");
    let running = hub.start(&SlackFactory, &section(&slack), &[NAME]).await;
    slack.set_topic(&channel, &sue, "A & B");
    slack.set_purpose(&channel, &sue, "hidden by the topic");
    slack.rename_channel(&channel, &sue, "renamed");
    let now = slack.renumber_channel(&channel).unwrap();
    slack.say(&now, &sue, "under a new id");
    hub.hear("under a new id").await;
    running.say(NAME, "still there").await;
    slack.set_archived(&now, &sue, true);
    slack.set_archived(&now, &sue, false);
    hub.until("the end", |events, _| {
        events
            .iter()
            .any(|event| matches!(event.content, Content::Opened))
            .then_some(())
    })
    .await;
    let kinds: Vec<String> = hub
        .events()
        .iter()
        .filter_map(|event| match &event.content {
            Content::Topic { topic } => Some(format!("topic {topic}")),
            Content::Name { name } => Some(format!("name {name}")),
            Content::Closed { .. } => Some("closed".to_owned()),
            Content::Opened => Some("opened".to_owned()),
            _ => None,
        })
        .collect();
    assert_eq!(kinds, ["topic A & B", "name renamed", "closed", "opened"]);
    running.stop().await;
    // The name in the configuration is the old one; the id is remembered.
    let running = hub.start(&SlackFactory, &section(&slack), &[NAME]).await;
    slack.say(&now, &sue, "after a restart");
    hub.hear("after a restart").await;
    running.stop().await;
    no_violations(&slack);
}

/// What was told to be pinned, each time.
fn pinned(events: &[Event]) -> Vec<Vec<String>> {
    let of = |event: &Event| match &event.content {
        Content::Pins { pinned } => Some(pinned.iter().map(ToString::to_string).collect()),
        _ => None,
    };
    events.iter().filter_map(of).collect()
}

#[tokio::test]
async fn pins_are_told_as_a_state_also_after_an_absence() {
    let (slack, channel, sue) = workspace().await;
    let hub = Hub::new("acme-slack");
    let running = hub.start(&SlackFactory, &section(&slack), &[NAME]).await;
    let [first, second] = ["first", "second"].map(|text| slack.say(&channel, &sue, text));
    slack.pin(&channel, first, &sue, true);
    let once = |events: &[Event], told: &[String]| pinned(events).last().is_some_and(|last| last == told).then_some(());
    hub.until("one is pinned", |events, _| once(events, &[first.to_string()]))
        .await;
    slack.settled(PATIENCE).await.unwrap();
    running.stop().await;
    slack.pin(&channel, first, &sue, false);
    slack.pin(&channel, second, &sue, true);
    let running = hub.start(&SlackFactory, &section(&slack), &[NAME]).await;
    hub.until("the other is pinned", |events, _| once(events, &[second.to_string()]))
        .await;
    running.stop().await;
    no_violations(&slack);
}

#[tokio::test]
async fn it_is_told_that_a_channel_is_shared_and_no_longer() {
    let (slack, channel, _) = workspace().await;
    let globex = slack.add_team("Globex");
    let hub = Hub::new("acme-slack");
    let running = hub.start(&SlackFactory, &section(&slack), &[NAME]).await;
    assert!(slack.share(&channel, &globex));
    let notice = |wanted: &'static str| {
        move |events: &[Event], _: &[_]| {
            let mut messages = events.iter().filter_map(|event| event.content.message());
            messages.find_map(|message| {
                (message.style == MessageStyle::Notice && message.body.to_plain().contains(wanted)).then_some(())
            })
        }
    };
    hub.until("it is shared", notice("now shared with another organisation"))
        .await;
    assert!(slack.unshare(&channel, &globex));
    hub.until("it is no longer", notice("no longer shared with another organisation"))
        .await;
    running.stop().await;
    no_violations(&slack);
}

#[tokio::test]
async fn a_channel_that_cannot_be_left_is_no_longer_heard() {
    let (slack, channel, sue) = workspace().await;
    let other = slack.add_channel("other", Kind::Private);
    for user in [&sue, &slack.app().bot_user] {
        slack.join(&other, user);
    }
    let hub = Hub::new("acme-slack");
    let running = hub.start(&SlackFactory, &section(&slack), &[NAME, "#other"]).await;
    slack.say(&channel, &sue, "heard");
    hub.hear("heard").await;
    let place = hub.outbound(NAME, message("")).to.channel;
    let error = running.session.leave(&place).await.unwrap_err();
    assert_eq!(error.failure, Failure::Unsupported, "{error:?}");
    assert!(slack.members(&channel).contains(&slack.app().bot_user));
    slack.say(&channel, &sue, "not for the hub");
    slack.say(&other, &sue, "for the hub");
    hub.hear("for the hub").await;
    slack.settled(PATIENCE).await.unwrap();
    assert!(!hub.texts().contains(&"not for the hub".to_owned()));
    running.stop().await;
    no_violations(&slack);
}
