//! The printed manifest is enough for what the configuration uses: the app gets just its scopes and its events.

use serde_json::{Value, json};
use viaduct_bridge::testing::Hub;
use viaduct_bridge::{Factory, ProbeStatus};
use viaduct_model::{Content, Message, MessageId, NetworkName, PersonId, Reaction};
use viaduct_slack::SlackFactory;
use viaduct_tests::slack::SlackStandIn;

use crate::common::stage::{NAME, message, no_violations, section, workspace};

/// Gives the app what the manifest of this section asks for, and nothing else.
fn install(slack: &SlackStandIn, section: &Value) {
    let network = NetworkName::new("acme-slack").unwrap();
    let files = SlackFactory.app(&network, section).unwrap();
    let manifest: Value = serde_json::from_slice(&files[0].contents).unwrap();
    let list =
        |pointer: &str| -> Vec<String> { serde_json::from_value(manifest.pointer(pointer).unwrap().clone()).unwrap() };
    let scopes = list("/oauth_config/scopes/bot");
    slack.set_scopes(&scopes.iter().map(String::as_str).collect::<Vec<_>>());
    let events = list("/settings/event_subscriptions/bot_events");
    slack.subscribe(&events.iter().map(String::as_str).collect::<Vec<_>>());
}

/// Does all that a section with these options offers; nothing may be refused for a missing scope.
async fn all_is_granted(options: Value) {
    let (slack, channel, sue) = workspace().await;
    let mut section = section(&slack);
    section
        .as_object_mut()
        .unwrap()
        .extend(options.as_object().unwrap().clone());
    let on = |option: &str| section[option] == true;
    install(&slack, &section);
    let hub = Hub::new("acme-slack");
    let running = hub.start(&SlackFactory, &section, &[NAME]).await;

    let said = slack.say(&channel, &sue, "hello");
    slack.reply(&channel, &sue, said, "again", false);
    slack.edit(&channel, said, &sue, "hello there");
    slack.react(&channel, said, &sue, "tada", true);
    let (_, file) = slack.upload(&channel, &sue, "plan.txt", b"the plan", true);
    if on("pins") {
        slack.pin(&channel, said, &sue, true);
        hub.until("what is pinned", |events, _| {
            let pinned =
                |event: &viaduct_model::Event| matches!(&event.content, Content::Pins { pinned } if !pinned.is_empty());
            events.iter().any(pinned).then_some(())
        })
        .await;
    }
    let uploaded = hub
        .until("the file", |events, _| {
            let found = events.iter().find(|event| event.id.as_str() == file.to_string())?;
            Some(found.content.message()?.attachments[0].media.clone())
        })
        .await;
    running.session.open_media(&uploaded.locator).await.unwrap();

    let id = running.say(NAME, "an answer").await;
    let posted = slack.message(&channel, id.as_str().parse().unwrap()).unwrap();
    assert_eq!(posted["username"] == "anna", on("customize"), "{posted}");
    let edited = Message::plain("a better answer");
    let reaction = Reaction {
        key: "👍".to_owned(),
        image: None,
    };
    let (target, seen) = (id.clone(), MessageId::new(said.to_string()).unwrap());
    let mut contents = vec![
        Content::Edit {
            target: id,
            message: edited,
        },
        Content::React {
            target: seen.clone(),
            reaction: reaction.clone(),
        },
        Content::Unreact { target: seen, reaction },
        Content::Delete { target, reason: None },
    ];
    if on("set_topic") {
        contents.push(Content::Topic {
            topic: "the topic".to_owned(),
        });
    }
    for content in contents {
        running.deliver(hub.outbound(NAME, content)).await.unwrap();
    }
    if on("direct") {
        let person = PersonId::new(&sue).unwrap();
        let direct = running
            .session
            .direct_channel(&person, "@anna:example.org")
            .await
            .unwrap();
        running
            .deliver(hub.outbound(direct.as_str(), message("in private")))
            .await
            .unwrap();
        slack.say(&slack.direct(&sue), &sue, "to you alone");
        hub.hear("to you alone").await;
    }
    let scopes = running
        .session
        .probe()
        .await
        .into_iter()
        .find(|probe| probe.subject == "scopes")
        .unwrap();
    assert_eq!(scopes.status, ProbeStatus::Ok, "{scopes:?}");
    if on("leave") {
        let place = hub.outbound(NAME, message("")).to.channel;
        running.session.leave(&place).await.unwrap();
        assert!(!slack.members(&channel).contains(&slack.app().bot_user));
    }
    running.stop().await;
    let refused: Vec<_> = slack
        .calls("")
        .into_iter()
        .filter(|call| call.error == "missing_scope")
        .collect();
    assert!(refused.is_empty(), "{refused:#?}");
    no_violations(&slack);
}

/// These options, all on or all off.
fn options(on: bool) -> Value {
    json!({"join": on, "leave": on, "customize": on, "set_topic": on, "pins": on, "direct": on})
}

#[tokio::test]
async fn the_least_is_enough_for_the_least() {
    all_is_granted(options(false)).await;
}

#[tokio::test]
async fn each_option_brings_what_it_needs() {
    all_is_granted(options(true)).await;
    for (option, _) in options(true).as_object().unwrap() {
        let mut only = options(false);
        only[option] = json!(true);
        all_is_granted(only).await;
    }
}
