//! What the archive is for.

use std::sync::Arc;

use serde_json::json;
use tokio::time::Instant;
use viaduct_bridge::Session;
use viaduct_model::{Content, Lookup};

use crate::common::hub::{Hub, text_of};
use crate::support::{ROOM, scene, text};

#[tokio::test]
async fn what_was_missed_is_caught_up_once_and_in_order() {
    let Some((server, bob, hub)) = scene(json!({})).await else {
        return;
    };
    bob.say("before", "<body>before</body>").await;
    hub.message("before").await;
    let memory = Arc::clone(&hub.memory);
    hub.kill().await;

    let count = 1_000;
    for number in 0..count {
        bob.say(&format!("n{number}"), &format!("<body>missed {number}</body>"))
            .await;
    }
    bob.say(
        "edit",
        "<body>after</body><replace xmlns='urn:xmpp:message-correct:0' id='before'/>",
    )
    .await;
    let begun = Instant::now();
    let hub = Hub::start(&server, ROOM, &memory, json!({}));
    bob.say("live", "<body>live</body>").await;
    hub.message("live").await;
    println!("caught up {count} messages in {:?}", begun.elapsed());
    let events = memory.events.lock().unwrap().clone();
    let missed: Vec<String> = events
        .iter()
        .filter_map(text_of)
        .filter(|text| text.starts_with("missed"))
        .collect();
    let expected: Vec<String> = (0..count).map(|number| format!("missed {number}")).collect();
    assert_eq!(missed, expected);
    let before = events
        .iter()
        .find(|event| text_of(event).as_deref() == Some("before"))
        .unwrap();
    let edit = events
        .iter()
        .find(|event| text_of(event).as_deref() == Some("after"))
        .unwrap();
    assert!(
        matches!(&edit.content, Content::Edit { target, .. } if *target == before.id),
        "{edit:?}"
    );
    let position = |text: &str| events.iter().position(|event| text_of(event).as_deref() == Some(text));
    assert!(position("live") > position("after") && position("after") > position("missed 999"));
    hub.stop().await;
}

#[tokio::test]
async fn what_was_missed_before_anything_was_said_is_caught_up() {
    let Some((server, bob, hub)) = scene(json!({})).await else {
        return;
    };
    let memory = Arc::clone(&hub.memory);
    hub.stop().await;
    bob.say("m", "<body>while away</body>").await;
    let hub = Hub::start(&server, ROOM, &memory, json!({}));
    hub.message("while away").await;
    hub.stop().await;
}

#[tokio::test]
async fn an_unknown_outcome_is_found_in_the_archive_and_told_apart_from_nothing() {
    let Some((server, mut bob, hub)) = scene(json!({})).await else {
        return;
    };
    let memory = Arc::clone(&hub.memory);
    let outbound = hub.outbound("Alice", "$1", text("did it arrive?"));
    let receipt = hub.try_deliver(outbound.clone()).await.unwrap();
    bob.until("the message", |xml| xml.contains("did it arrive?")).await;
    hub.kill().await;

    // The hub died before it noted the receipt: its next life asks the archive.
    let hub = Hub::start(&server, ROOM, &memory, json!({}));
    hub.until_up(2).await;
    assert_eq!(hub.session.capabilities(&hub.channel).lookup, Lookup::Queryable);
    let found = hub
        .session
        .find_delivered(&hub.channel, &outbound.key)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(found.ids, receipt.ids);
    let other = hub.outbound("Alice", "$2", text("never sent"));
    assert_eq!(
        hub.session.find_delivered(&hub.channel, &other.key).await.unwrap(),
        None
    );
    // And the archive shows it as the hub's own, never as somebody else's.
    let echo = hub
        .event("the echo", |event| event.echo_of.as_ref() == Some(&outbound.key))
        .await;
    assert_eq!(echo.id, receipt.ids[0]);

    // Somebody else cannot claim a key.
    bob.say(
        other.key.as_str(),
        &format!(
            "<body>forged</body><origin-id xmlns='urn:xmpp:sid:0' id='{}'/>",
            other.key
        ),
    )
    .await;
    let forged = hub.message("forged").await;
    assert_eq!(forged.echo_of, None);
    assert_eq!(
        hub.session.find_delivered(&hub.channel, &other.key).await.unwrap(),
        None
    );
    hub.stop().await;
}
