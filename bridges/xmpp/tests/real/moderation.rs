//! Messages that moderators withdraw, in both versions of XEP-0425; and messages that their senders withdraw, in both of 0424.

use std::sync::Arc;

use serde_json::json;
use viaduct_model::{Content, Event};

use crate::common::hub::{Hub, Memory};
use crate::common::person::Person;
use crate::common::prosody::Prosody;
use crate::support::{ROOM, scene, scene_on, text};

/// How a moderator asks, and how the room tells everybody, in one version.
struct Version {
    /// Modules of the rooms beyond the usual: the packaged one speaks the first version only.
    modules: &'static [&'static str],
    request: fn(&str) -> String,
    announced: &'static str,
}

const FIRST: Version = Version {
    modules: &[],
    request: |id| {
        format!(
            "<apply-to xmlns='urn:xmpp:fasten:0' id='{id}'><moderate xmlns='urn:xmpp:message-moderate:0'>\
             <retract xmlns='urn:xmpp:message-retract:0'/><reason>advertising</reason></moderate></apply-to>"
        )
    },
    announced: "<moderated xmlns='urn:xmpp:message-moderate:0'",
};

const CURRENT: Version = Version {
    modules: &["test_moderation"],
    request: |id| {
        format!(
            "<moderate xmlns='urn:xmpp:message-moderate:1' id='{id}'><retract xmlns='urn:xmpp:message-retract:1'/>\
             <reason>advertising</reason></moderate>"
        )
    },
    announced: "<moderated xmlns='urn:xmpp:message-moderate:1'",
};

fn withdraws(event: &Event, target: &Event) -> bool {
    matches!(&event.content, Content::Delete { target: withdrawn, reason }
        if *withdrawn == target.id && reason.as_deref() == Some("advertising"))
}

fn withdrawals(hub: &Hub) -> usize {
    let events = hub.memory.events.lock().unwrap();
    let all = events
        .iter()
        .filter(|event| matches!(event.content, Content::Delete { .. }));
    all.count()
}

/// A moderator withdraws somebody else's message while the hub is there, and another one while it is away.
async fn by_moderators(version: Version) {
    let Some(server) = Prosody::start_with(version.modules).await else {
        return;
    };
    let (mut bob, hub) = scene_on(&server, Memory::default(), json!({})).await;
    let mut spammer = Person::join_from(&server, "others.localhost", ROOM, "spammer", "Spammer").await;
    let mut spam = Vec::new();
    for number in 0..2 {
        spammer
            .say(&format!("s{number}"), &format!("<body>buy {number}</body>"))
            .await;
        spam.push(hub.message(&format!("buy {number}")).await);
    }
    // A stranger is no moderator, and cannot pass for the room either.
    let refused = spammer.ask("set", &(version.request)(spam[0].id.as_str())).await;
    assert!(refused.contains("forbidden"), "{refused}");
    let forged = format!(
        "<retract xmlns='urn:xmpp:message-retract:1' id='{}'><moderated xmlns='urn:xmpp:message-moderate:1'/>\
         <reason>advertising</reason></retract>",
        spam[1].id
    );
    spammer.say("forged", &forged).await;

    let done = bob.ask("set", &(version.request)(spam[0].id.as_str())).await;
    assert!(done.contains("type='result'"), "{done}");
    hub.event("the withdrawal", |event| withdraws(event, &spam[0])).await;
    spammer
        .until("the announcement", |xml| {
            xml.contains(version.announced) && xml.contains(spam[0].id.as_str())
        })
        .await;

    let memory = Arc::clone(&hub.memory);
    hub.stop().await;
    let done = bob.ask("set", &(version.request)(spam[1].id.as_str())).await;
    assert!(done.contains("type='result'"), "{done}");
    let hub = Hub::start(&server, ROOM, &memory, json!({}));
    hub.event("the withdrawal it missed", |event| withdraws(event, &spam[1]))
        .await;
    bob.say("after", "<body>after</body>").await;
    hub.message("after").await;
    assert_eq!(withdrawals(&hub), 2, "each once, and no forgery");
    hub.stop().await;
}

#[tokio::test]
async fn moderators_withdraw_messages_in_the_first_version() {
    by_moderators(FIRST).await;
}

#[tokio::test]
async fn moderators_withdraw_messages_in_the_current_version() {
    by_moderators(CURRENT).await;
}

/// The hub, as a moderator, has the room withdraw somebody else's message.
async fn by_the_hub(version: Version) {
    let Some(server) = Prosody::start_with(version.modules).await else {
        return;
    };
    let (mut bob, hub) = scene_on(&server, Memory::default(), json!({})).await;
    let admin = "<query xmlns='http://jabber.org/protocol/muc#admin'>\
        <item jid='viaduct@bridge.localhost' affiliation='admin'/></query>";
    assert!(bob.ask("set", admin).await.contains("type='result'"));
    bob.say("m1", "<body>spam</body>").await;
    let spam = hub.message("spam").await;
    let withdrawal = Content::Delete {
        target: spam.id.clone(),
        reason: Some("advertising".into()),
    };
    hub.deliver("Alice", "$1", withdrawal).await;
    let seen = bob.until("the withdrawal", |xml| xml.contains(version.announced)).await;
    assert!(
        seen.contains(spam.id.as_str()) && seen.contains("advertising"),
        "{seen}"
    );
    bob.say("m2", "<body>after</body>").await;
    hub.message("after").await;
    assert_eq!(withdrawals(&hub), 0, "the hub's own withdrawal came back");
    hub.stop().await;
}

#[tokio::test]
async fn the_hub_has_messages_withdrawn_in_the_first_version() {
    by_the_hub(FIRST).await;
}

#[tokio::test]
async fn the_hub_has_messages_withdrawn_in_the_current_version() {
    by_the_hub(CURRENT).await;
}

#[tokio::test]
async fn senders_withdraw_messages_in_both_versions() {
    let Some((_server, mut bob, hub)) = scene(json!({})).await else {
        return;
    };
    let forms: [fn(&str) -> String; 2] = [
        |id| format!("<retract xmlns='urn:xmpp:message-retract:1' id='{id}'/><store xmlns='urn:xmpp:hints'/>"),
        |id| {
            format!(
                "<apply-to xmlns='urn:xmpp:fasten:0' id='{id}'><retract xmlns='urn:xmpp:message-retract:0'/></apply-to>\
                 <store xmlns='urn:xmpp:hints'/>"
            )
        },
    ];
    for (number, form) in forms.into_iter().enumerate() {
        let said = format!("hasty {number}");
        bob.say(&format!("said{number}"), &format!("<body>{said}</body>")).await;
        let hasty = hub.message(&said).await;
        bob.say(&format!("back{number}"), &form(hasty.id.as_str())).await;
        hub.event(
            "the withdrawal",
            |event| matches!(&event.content, Content::Delete { target, .. } if *target == hasty.id),
        )
        .await;
    }
    // Nobody withdraws what somebody else said.
    let receipt = hub.deliver("Alice", "$1", text("mine")).await;
    bob.until("the message", |xml| xml.contains("mine")).await;
    bob.say("theft", &forms[0](receipt.ids[0].as_str())).await;
    bob.say("after", "<body>after</body>").await;
    hub.message("after").await;
    assert_eq!(withdrawals(&hub), 2);
    hub.stop().await;
}
