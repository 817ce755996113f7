//! What becomes of channels, and of the app in them.

use viaduct_bridge::testing::Hub;
use viaduct_bridge::{Connection, Failure, ProbeStatus};
use viaduct_model::Content;
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
