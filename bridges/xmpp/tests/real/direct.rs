//! Chats between two people.

use serde_json::json;
use viaduct_bridge::{Failure, Session};
use viaduct_model::{Content, Message};

use crate::support::{scene, text};

#[tokio::test]
async fn two_people_talk() {
    let Some((_server, mut bob, hub)) = scene(json!({})).await else {
        return;
    };
    let alice = "alice\\3ahs.example@bridge.localhost";
    bob.send(&format!(
        "<message type='chat' id='d1' from='{}' to='{alice}'><body>psst</body></message>",
        bob.address
    ))
    .await;
    let event = hub.message("psst").await;
    assert_eq!(event.direct_to.as_deref(), Some("@alice:hs.example"));
    assert_eq!(event.sender.id.as_str(), "bob@people.localhost");
    let channel = event.place.channel.clone();
    assert_eq!(
        hub.session
            .direct_channel(&event.sender.id, "@alice:hs.example")
            .await
            .unwrap(),
        channel
    );

    let mut answer = hub.outbound(
        "Alice",
        "$1",
        Content::Message(Message {
            reply_to: Some(event.id),
            ..Message::plain("yes?")
        }),
    );
    answer.to.channel = channel.clone();
    let receipt = hub.try_deliver(answer).await.unwrap();
    let seen = bob.until("the answer", |xml| xml.contains("yes?")).await;
    assert!(
        seen.contains("type='chat'") && seen.contains(&format!("from='{alice}/viaduct'")),
        "{seen}"
    );
    assert!(seen.contains("<reply xmlns='urn:xmpp:reply:0' id='d1'"), "{seen}");
    let id = &receipt.ids[0];
    let react = format!("<reactions xmlns='urn:xmpp:reactions:0' id='{id}'><reaction>👍</reaction></reactions>");
    bob.send(&format!(
        "<message type='chat' id='d2' from='{}' to='{alice}'>{react}</message>",
        bob.address
    ))
    .await;
    hub.event(
        "the reaction",
        |event| matches!(&event.content, Content::React { target, .. } if target == id),
    )
    .await;

    let mut nobody = hub.outbound("Alice", "$2", text("anybody?"));
    nobody.to.channel = hub
        .session
        .direct_channel(
            &viaduct_model::PersonId::new("nobody@localhost").unwrap(),
            "@alice:hs.example",
        )
        .await
        .unwrap();
    let error = hub.try_deliver(nobody).await.unwrap_err();
    assert_ne!(error.failure, Failure::UnknownOutcome, "{error:?}");
    hub.stop().await;
}

#[tokio::test]
async fn a_refused_answer_is_told() {
    let Some((_server, bob, hub)) = scene(json!({})).await else {
        return;
    };
    let (address, alice) = (&bob.address, "alice\\3ahs.example@bridge.localhost");
    let error = "<error type='cancel'><gone xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>";
    bob.send(&format!(
        "<message type='error' id='late' from='{address}' to='{alice}'>{error}</message>"
    ))
    .await;
    let notice = hub.message("[not delivered: gone]").await;
    assert_eq!(notice.direct_to.as_deref(), Some("@alice:hs.example"));
    hub.stop().await;
}
