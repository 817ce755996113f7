//! Edits, reactions, answers and withdrawals, both ways.

use serde_json::json;
use viaduct_model::{Content, Message};

use crate::support::{reaction, scene, text};

#[tokio::test]
async fn messages_are_changed_answered_and_withdrawn_by_xmpp_people() {
    let Some((_server, bob, hub)) = scene(json!({})).await else {
        return;
    };
    bob.say("m1", "<body>frist</body>").await;
    let first = hub.message("frist").await;
    bob.say(
        "m2",
        "<body>first</body><replace xmlns='urn:xmpp:message-correct:0' id='m1'/>",
    )
    .await;
    let edit = hub.message("first").await;
    assert!(
        matches!(&edit.content, Content::Edit { target, .. } if *target == first.id),
        "{edit:?}"
    );

    let id = first.id.as_str();
    let react = |set: &str| {
        format!("<reactions xmlns='urn:xmpp:reactions:0' id='{id}'>{set}</reactions><store xmlns='urn:xmpp:hints'/>")
    };
    bob.say("m3", &react("<reaction>👍</reaction><reaction>🎉</reaction>"))
        .await;
    bob.say("m4", &react("<reaction>🎉</reaction>")).await;
    hub.event("the reaction's end", |event| {
        matches!(&event.content, Content::Unreact { target, reaction } if *target == first.id && reaction.key == "👍")
    })
    .await;
    let added = hub
        .memory
        .events
        .lock()
        .unwrap()
        .iter()
        .filter(|e| matches!(e.content, Content::React { .. }))
        .count();
    assert_eq!(added, 2, "what stays in the set is not added again");

    let reply = format!(
        "<body>&gt; first\nyes</body><reply xmlns='urn:xmpp:reply:0' id='{id}'/>\
        <fallback xmlns='urn:xmpp:fallback:0' for='urn:xmpp:reply:0'><body start='0' end='8'/></fallback>"
    );
    bob.say("m5", &reply).await;
    let answer = hub.message("yes").await;
    assert_eq!(answer.content.message().unwrap().reply_to.as_ref(), Some(&first.id));

    let retract = format!("<retract xmlns='urn:xmpp:message-retract:1' id='{id}'/><store xmlns='urn:xmpp:hints'/>");
    bob.say("m6", &retract).await;
    hub.event(
        "the retraction",
        |event| matches!(&event.content, Content::Delete { target, .. } if *target == first.id),
    )
    .await;

    bob.say("m7", "<subject>new topic</subject>").await;
    hub.event(
        "the topic",
        |event| matches!(&event.content, Content::Topic { topic } if topic == "new topic"),
    )
    .await;
    hub.stop().await;
}

#[tokio::test]
async fn messages_are_changed_answered_and_withdrawn_by_others() {
    let Some((_server, mut bob, hub)) = scene(json!({})).await else {
        return;
    };
    let receipt = hub.deliver("Alice", "$1", text("frist")).await;
    let first = receipt.ids[0].clone();
    bob.until("the message", |xml| xml.contains("frist")).await;

    let edit = Content::Edit {
        target: first.clone(),
        message: Message::plain("first"),
    };
    let edited = hub.deliver("Alice", "$2", edit).await;
    assert_ne!(edited.ids[0], first);
    let original = hub.outbound("Alice", "$1", text("")).key;
    bob.until("the correction", |xml| {
        xml.contains("<body>first</body>") && xml.contains(&format!("id='{original}'"))
    })
    .await;

    hub.deliver(
        "Carol",
        "$3",
        Content::React {
            target: first.clone(),
            reaction: reaction("👍"),
        },
    )
    .await;
    hub.deliver(
        "Carol",
        "$4",
        Content::React {
            target: first.clone(),
            reaction: reaction("🎉"),
        },
    )
    .await;
    bob.until("both reactions", |xml| {
        xml.contains("/Carol'") && xml.contains("👍") && xml.contains("🎉")
    })
    .await;
    hub.deliver(
        "Carol",
        "$5",
        Content::Unreact {
            target: first.clone(),
            reaction: reaction("👍"),
        },
    )
    .await;
    bob.until("one reaction", |xml| {
        xml.contains("<reactions") && !xml.contains("👍") && xml.contains("🎉")
    })
    .await;

    let reply = Message {
        reply_to: Some(first.clone()),
        ..Message::plain("yes")
    };
    hub.deliver("Carol", "$6", Content::Message(reply)).await;
    bob.until("the reply", |xml| {
        xml.contains("&gt; Alice:\n&gt; frist\nyes")
            && xml.contains(&format!("id='{first}'"))
            && xml.contains("<fallback")
    })
    .await;

    hub.deliver(
        "Alice",
        "$7",
        Content::Delete {
            target: first.clone(),
            reason: None,
        },
    )
    .await;
    bob.until("the retraction", |xml| {
        xml.contains("<retract") && xml.contains("/Alice'")
    })
    .await;
    hub.stop().await;
}
