//! Who people are: strangers, those who log in, chats in private.

use serde_json::json;
use viaduct_bridge::testing::Hub;
use viaduct_bridge::{Connection, Failure};
use viaduct_model::document::MentionTarget;
use viaduct_model::{Content, Membership, PersonId};
use viaduct_slack::SlackFactory;
use viaduct_tests::slack::Ts;

use crate::common::stage::{NAME, message, no_violations, section, workspace};

#[tokio::test]
async fn chats_of_several_people_with_one_are_kept_apart() {
    let (slack, _, sue) = workspace().await;
    let hub = Hub::new("acme-slack");
    let running = hub.start(&SlackFactory, &section(&slack), &[NAME]).await;
    let person = PersonId::new(&sue).unwrap();
    let anna = running
        .session
        .direct_channel(&person, "@anna:example.org")
        .await
        .unwrap();
    let bert = running
        .session
        .direct_channel(&person, "@bert:example.org")
        .await
        .unwrap();
    running
        .deliver(hub.outbound_of("anna", anna.as_str(), message("hello from anna")))
        .await
        .unwrap();
    let direct = slack.direct(&sue);
    slack.say(&direct, &sue, "only anna is there");
    let event = hub.hear("only anna is there").await;
    assert_eq!(event.direct_to.as_deref(), Some("@anna:example.org"));
    assert_eq!(event.place.channel, anna);
    let first = running
        .deliver(hub.outbound_of("bert", bert.as_str(), message("hello from bert")))
        .await
        .unwrap();
    let root: Ts = first.ids[0].as_str().parse().unwrap();
    slack.say(&direct, &sue, "to whom?");
    slack.reply(&direct, &sue, root, "to bert", false);
    let event = hub.hear("to bert").await;
    assert_eq!(event.direct_to.as_deref(), Some("@bert:example.org"));
    assert_eq!(event.content.message().unwrap().thread, None);
    assert!(
        !hub.texts().contains(&"to whom?".to_owned()),
        "nobody may be told what may be for another"
    );
    assert_eq!(slack.calls("chat.postEphemeral").len(), 1);
    running.stop().await;
    slack.reply(&direct, &sue, root, "while away", false);
    let running = hub.start(&SlackFactory, &section(&slack), &[NAME]).await;
    assert_eq!(
        hub.hear("while away").await.direct_to.as_deref(),
        Some("@bert:example.org")
    );
    running.stop().await;
    no_violations(&slack);
}

#[tokio::test]
async fn strangers_of_another_organisation_are_known_as_such() {
    let (slack, channel, _) = workspace().await;
    let other = slack.add_team("Globex");
    let bob = slack.add_user_to(&other, "bob");
    slack.share(&channel, &other);
    slack.join(&channel, &bob);
    let hub = Hub::new("acme-slack");
    let running = hub.start(&SlackFactory, &section(&slack), &[NAME]).await;
    slack.say(&channel, &bob, "greetings");
    let event = hub.hear("greetings").await;
    assert_eq!(event.sender.id.as_str(), format!("{other}/{bob}"));
    assert_eq!(event.sender.organisation.as_deref(), Some("Globex"));
    assert!(event.sender.name.ends_with("(Globex)"), "{}", event.sender.name);
    running.stop().await;
    no_violations(&slack);
}

#[tokio::test]
async fn who_logs_in_speaks_as_themselves() {
    let (slack, channel, sue) = workspace().await;
    let anna = slack.add_user("anna-in-slack");
    slack.join(&channel, &anna);
    let mut section = section(&slack);
    let token = slack.user_token(&anna);
    section["people"] = json!({"@anna:example.org": {"token": token}});
    let hub = Hub::new("acme-slack");
    let running = hub.start(&SlackFactory, &section, &[NAME]).await;
    let id = running.say(NAME, "as myself").await;
    let posted = slack.message(&channel, id.as_str().parse().unwrap()).unwrap();
    assert_eq!(posted["user"], json!(anna));
    let typed = slack.say(&channel, &anna, "typed in Slack");
    // What they do in Slack is done by who they are on Matrix.
    let themselves = |event: &viaduct_model::Event| {
        event.sender.network.is_matrix() && event.sender.id.as_str() == "@anna:example.org"
    };
    assert!(themselves(&hub.hear("typed in Slack").await));
    assert!(slack.react(&channel, typed, &anna, "thumbsup", true));
    assert!(slack.edit(&channel, typed, &anna, "typed better"));
    hub.until("their reaction and their edit", |events, _| {
        let theirs = |wanted: fn(&Content) -> bool| {
            let mut done = events.iter().filter(|event| wanted(&event.content));
            done.any(themselves)
        };
        let reacted = theirs(|content| matches!(content, Content::React { .. }));
        (reacted && theirs(|content| matches!(content, Content::Edit { .. }))).then_some(())
    })
    .await;
    slack.say(&channel, &sue, &format!("<@{anna}> look"));
    let addressed = hub
        .until("they are addressed", |events, _| {
            let mut messages = events.iter().filter_map(|event| event.content.message());
            messages.find_map(|message| Some(message.body.mentions().first()?.target.clone()))
        })
        .await;
    assert!(
        matches!(&addressed, MentionTarget::Person { network, .. } if network.is_matrix()),
        "{addressed:?}"
    );
    assert!(slack.leave(&channel, &anna, &anna) && slack.join(&channel, &anna));
    slack.say(&channel, &sue, "back already");
    hub.hear("back already").await;
    assert!(
        !hub.texts().contains(&"as myself".to_owned()),
        "what was posted does not come back"
    );
    // Without a good token they are spoken for.
    slack.revoke(&token);
    let outbound = hub.outbound(NAME, message("relayed"));
    let id = loop {
        match running.deliver(outbound.clone()).await {
            Ok(mut receipt) => break receipt.ids.remove(0),
            Err(error) => assert!(matches!(error.failure, Failure::Retry(_)), "{error:?}"),
        }
    };
    let posted = slack.message(&channel, id.as_str().parse().unwrap()).unwrap();
    assert_eq!(posted["username"], "anna");
    slack.say(&channel, &anna, "still typing");
    assert!(
        !themselves(&hub.hear("still typing").await),
        "they are somebody in Slack again"
    );
    let moved = |event: &viaduct_model::Event| matches!(&event.content, Content::Membership { person, .. } if person.id.as_str() == anna);
    assert!(!hub.events().iter().any(moved), "who is on Matrix comes and goes there");
    running.stop().await;
    no_violations(&slack);
}

#[tokio::test]
async fn joins_leaves_and_new_names_are_told() {
    let (slack, channel, sue) = workspace().await;
    let hub = Hub::new("acme-slack");
    let running = hub.start(&SlackFactory, &section(&slack), &[NAME]).await;
    let joined = |id: &str| {
        let id = id.to_owned();
        move |events: &[viaduct_model::Event], _: &[(Option<viaduct_model::ChannelId>, Connection)]| {
            let hit = |event: &viaduct_model::Event| matches!(&event.content, Content::Membership { person, change: Membership::Join, .. } if person.id.as_str() == id);
            events.iter().any(hit).then_some(())
        }
    };
    hub.until("those who are there", joined(&sue)).await;
    slack.rename_user(&sue, "susan");
    hub.until("the new name", |events, _| {
        let hit = |event: &viaduct_model::Event| matches!(&event.content, Content::Membership { person, change: Membership::Rename { .. }, .. } if person.name == "susan");
        events.iter().any(hit).then_some(())
    })
    .await;
    let tom = slack.add_user("tom");
    slack.join(&channel, &tom);
    hub.until("who comes", joined(&tom)).await;
    running.stop().await;
    no_violations(&slack);
}
