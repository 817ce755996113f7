//! What is said, and by whom.

use viaduct_bridge::Failure;
use viaduct_bridge::testing::{Hub, PATIENCE, plain};
use viaduct_model::{Content, MessageId, MessageStyle, Reaction};
use viaduct_slack::SlackFactory;
use viaduct_tests::slack::Fault;

use crate::common::stage::{NAME, message, no_violations, section, workspace};

#[tokio::test]
async fn people_are_shown_with_name_and_picture_and_nothing_about_them_travels_beside() {
    let (slack, channel, _) = workspace().await;
    let hub = Hub::new("acme-slack");
    let running = hub.start(&SlackFactory, &section(&slack), &[NAME]).await;
    let id = running.say(NAME, "hello <!channel> & co").await;
    let posted = slack.message(&channel, id.as_str().parse().unwrap()).unwrap();
    assert_eq!(posted["username"], "anna");
    assert!(
        posted["icons"].to_string().contains("files.example") || posted["icon_url"].is_string(),
        "{posted}"
    );
    assert_eq!(posted["text"], "hello &lt;!channel&gt; &amp; co");
    let metadata = posted["metadata"].to_string();
    assert!(
        metadata.contains("viaduct_delivery") && !metadata.contains("anna"),
        "{metadata}"
    );
    running.stop().await;
    no_violations(&slack);
}

#[tokio::test]
async fn what_is_no_edit_is_none_and_gone_parents_are_gone() {
    let (slack, channel, sue) = workspace().await;
    let hub = Hub::new("acme-slack");
    let running = hub.start(&SlackFactory, &section(&slack), &[NAME]).await;
    let linked = slack.say(&channel, &sue, "https://example.org");
    slack.unfurl(&channel, linked, "Example");
    let parent = slack.say(&channel, &sue, "parent");
    slack.reply(&channel, &sue, parent, "child", false);
    slack.edit(&channel, linked, &sue, "better");
    slack.delete(&channel, parent);
    slack.say_me(&channel, &sue, "waves");
    slack.say(&channel, &sue, "done");
    hub.hear("done").await;
    slack.settled(PATIENCE).await.unwrap();
    let events = hub.events();
    let edits: Vec<_> = events
        .iter()
        .filter(|event| matches!(event.content, Content::Edit { .. }))
        .collect();
    assert_eq!(edits.len(), 1, "{edits:#?}");
    let gone = events
        .iter()
        .any(|event| matches!(&event.content, Content::Delete { target, .. } if target.as_str() == parent.to_string()));
    assert!(gone, "{events:#?}");
    let child = events
        .iter()
        .find(|event| plain(event).as_deref() == Some("child"))
        .unwrap();
    assert_eq!(
        child.content.message().unwrap().thread.as_ref().unwrap().as_str(),
        parent.to_string()
    );
    let waves = events
        .iter()
        .find(|event| plain(event).as_deref() == Some("waves"))
        .unwrap();
    assert_eq!(waves.content.message().unwrap().style, MessageStyle::Action);
    running.stop().await;
    no_violations(&slack);
}

#[tokio::test]
async fn reactions_of_several_people_are_counted() {
    let (slack, channel, sue) = workspace().await;
    slack.add_emoji("partyparrot", None);
    let hub = Hub::new("acme-slack");
    let running = hub.start(&SlackFactory, &section(&slack), &[NAME]).await;
    let ts = slack.say(&channel, &sue, "like this");
    hub.hear("like this").await;
    let target = MessageId::new(ts.to_string()).unwrap();
    let react = |added: bool| {
        let (target, reaction) = (
            target.clone(),
            Reaction {
                key: "👍".to_owned(),
                image: None,
            },
        );
        if added {
            Content::React { target, reaction }
        } else {
            Content::Unreact { target, reaction }
        }
    };
    let count = || {
        slack.message(&channel, ts).unwrap()["reactions"]
            .as_array()
            .map_or(0, Vec::len)
    };
    for (name, added, expected) in [
        ("anna", true, 1),
        ("bert", true, 1),
        ("anna", false, 1),
        ("anna", false, 1),
        ("bert", false, 0),
    ] {
        running
            .deliver(hub.outbound_of(name, NAME, react(added)))
            .await
            .unwrap();
        assert_eq!(count(), expected, "{name} {added}");
    }
    slack.react(&channel, ts, &sue, "partyparrot", true);
    let image = hub
        .until("a reaction with a picture", |events, _| {
            events.iter().find_map(|event| match &event.content {
                Content::React { reaction, .. } => reaction.image.clone(),
                _ => None,
            })
        })
        .await;
    assert_eq!(image.locator, "emoji partyparrot");
    running.stop().await;
    no_violations(&slack);
}

#[tokio::test]
async fn an_unknown_outcome_is_found_by_its_key_after_a_restart() {
    let (slack, channel, _) = workspace().await;
    let hub = Hub::new("acme-slack");
    let running = hub.start(&SlackFactory, &section(&slack), &[NAME]).await;
    let long = "word ".repeat(2000);
    let outbound = hub.outbound(NAME, message(&long));
    slack.fail_next("chat.postMessage", Fault::CutAnswer, 1);
    let error = running.deliver(outbound.clone()).await.unwrap_err();
    assert_eq!(error.failure, Failure::UnknownOutcome, "{error:?}");
    running.kill();
    let running = hub.start(&SlackFactory, &section(&slack), &[NAME]).await;
    let place = outbound.to.channel.clone();
    assert_eq!(
        running.session.find_delivered(&place, &outbound.key).await.unwrap(),
        None,
        "only its first part arrived"
    );
    let receipt = running.deliver(outbound.clone()).await.unwrap();
    let found = running
        .session
        .find_delivered(&place, &outbound.key)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(found.ids, receipt.ids);
    let posted = slack
        .history(&channel)
        .iter()
        .filter(|message| message["username"] == "anna")
        .count();
    assert_eq!(posted, receipt.ids.len(), "no part was posted twice");
    running.stop().await;
    no_violations(&slack);
}
