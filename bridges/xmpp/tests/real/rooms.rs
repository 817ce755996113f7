//! Rooms: what they are called, who may enter, and what becomes of them.

use std::sync::Arc;

use serde_json::json;
use viaduct_bridge::{Connection, Session};
use viaduct_model::Content;

use crate::common::hub::{Hub, Memory, network};
use crate::common::person::Person;
use crate::common::prosody::Prosody;
use crate::support::{ROOM, configure, scene, text};

async fn until_out(hub: &Hub, reason: &str) {
    hub.until(reason, |memory| {
        let reports = memory.reports.lock().unwrap();
        let found = reports.iter().any(|(channel, state)| {
            channel.is_some() && matches!(state, Connection::Down(why) if why.contains(reason))
        });
        found.then_some(())
    })
    .await;
}

#[tokio::test]
async fn names_and_pictures_are_told() {
    let Some((_server, mut bob, hub)) = scene(json!({})).await else {
        return;
    };
    configure(&mut bob, &[("muc#roomconfig_roomname", "The Project")]).await;
    hub.event(
        "the name",
        |event| matches!(&event.content, Content::Name { name } if name == "The Project"),
    )
    .await;
    let photo = "<PHOTO><TYPE>image/png</TYPE><BINVAL>YWJj</BINVAL></PHOTO>";
    let answer = bob
        .ask("set", &format!("<vCard xmlns='vcard-temp'>{photo}</vCard>"))
        .await;
    assert!(answer.contains("type='result'"), "{answer}");
    let event = hub
        .event("the picture", |event| {
            matches!(&event.content, Content::Picture { picture: Some(_) })
        })
        .await;
    let Content::Picture { picture: Some(picture) } = event.content else {
        panic!()
    };
    let media = hub.session.open_media(&picture.locator).await.unwrap();
    let pieces: Vec<_> = futures_util::StreamExt::collect(media.stream).await;
    assert_eq!(pieces[0].as_ref().unwrap().as_ref(), b"abc");
    // What was told once is not told again.
    let memory = Arc::clone(&hub.memory);
    let count = || {
        let events = memory.events.lock().unwrap();
        events
            .iter()
            .filter(|event| matches!(event.content, Content::Name { .. } | Content::Picture { .. }))
            .count()
    };
    let before = count();
    configure(&mut bob, &[("muc#roomconfig_roomdesc", "of all")]).await;
    bob.say("m", "<body>done</body>").await;
    hub.message("done").await;
    assert_eq!(count(), before);
    hub.stop().await;
}

#[tokio::test]
async fn a_members_only_room_is_told_and_entered_on_invitation() {
    let Some(server) = Prosody::start().await else { return };
    let mut bob = Person::join(&server, ROOM, "bob", "Bob").await;
    configure(&mut bob, &[("muc#roomconfig_membersonly", "1")]).await;
    let hub = Hub::start(&server, ROOM, &Arc::new(Memory::default()), json!({}));
    until_out(&hub, "for members only").await;
    let invite = "<invite to='viaduct@bridge.localhost'/>";
    bob.send(&format!(
        "<message from='{}' to='{ROOM}'><x xmlns='http://jabber.org/protocol/muc#user'>{invite}</x></message>",
        bob.address
    ))
    .await;
    hub.until_up(1).await;
    hub.stop().await;
}

#[tokio::test]
async fn a_password_may_stand_in_a_file() {
    let Some(server) = Prosody::start().await else { return };
    let mut bob = Person::join(&server, ROOM, "bob", "Bob").await;
    let protect = [
        ("muc#roomconfig_passwordprotectedroom", "1"),
        ("muc#roomconfig_roomsecret", "sesame"),
    ];
    configure(&mut bob, &protect).await;
    let hub = Hub::start(&server, ROOM, &Arc::new(Memory::default()), json!({}));
    until_out(&hub, "another password").await;
    hub.stop().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("password");
    std::fs::write(&file, "sesame\n").unwrap();
    let passwords = json!({"room_passwords": {ROOM: {"password_file": file}}});
    let hub = Hub::start(&server, ROOM, &Arc::new(Memory::default()), passwords);
    hub.until_up(1).await;
    // Puppets need it, too.
    hub.deliver("Alice", "$1", text("open")).await;
    bob.until("the puppet", |xml| xml.contains("/Alice'") && xml.contains("open"))
        .await;
    hub.stop().await;
}

#[tokio::test]
async fn a_destroyed_room_is_not_made_anew() {
    let Some((_server, mut bob, hub)) = scene(json!({})).await else {
        return;
    };
    let destroy = "<destroy jid='new@conference.localhost'><reason>we moved</reason></destroy>";
    let query = format!("<query xmlns='http://jabber.org/protocol/muc#owner'>{destroy}</query>");
    assert!(bob.ask("set", &query).await.contains("type='result'"));
    until_out(&hub, "moved to new@conference.localhost").await;
    hub.event(
        "the closing",
        |event| matches!(&event.content, Content::Closed { reason } if reason.contains("we moved")),
    )
    .await;
    let info = "<query xmlns='http://jabber.org/protocol/disco#info'/>";
    assert!(
        bob.ask("get", info).await.contains("item-not-found"),
        "the room is back"
    );
    let error = hub
        .try_deliver(hub.outbound("Alice", "$1", text("hello?")))
        .await
        .unwrap_err();
    assert!(error.reason.contains("destroyed"), "{error:?}");

    // Whoever makes it again and invites the hub has it back.
    bob.enter().await;
    let invite = format!("<x xmlns='jabber:x:conference' jid='{ROOM}'/>");
    bob.send(&format!(
        "<message from='{}' to='viaduct@bridge.localhost'>{invite}</message>",
        bob.address
    ))
    .await;
    hub.event("the opening", |event| event.content == Content::Opened).await;
    hub.stop().await;
}

#[tokio::test]
async fn people_are_invited() {
    let Some((server, _bob, hub)) = scene(json!({})).await else {
        return;
    };
    let mut dora = Person::connect(&server, "others.localhost", ROOM, "dora", "Dora").await;
    let mut outbound = hub.outbound("Alice", "$1", text(""));
    let mut person = outbound.author.person.clone();
    person.network = network();
    person.id = "dora@others.localhost".parse().unwrap();
    outbound.content = Content::Membership {
        person,
        change: viaduct_model::Membership::Invite,
        reason: Some("come in".into()),
    };
    hub.try_deliver(outbound).await.unwrap();
    dora.until("the invitation", |xml| {
        xml.contains("<invite") && xml.contains("come in")
    })
    .await;
    hub.stop().await;
}

#[tokio::test]
async fn markers_and_receipts_cross_where_asked_for() {
    let Some((_server, mut bob, hub)) = scene(json!({"receipts": true})).await else {
        return;
    };
    hub.deliver("Alice", "$1", text("hello")).await;
    bob.say("m1", "<body>read me</body>").await;
    let message = hub.message("read me").await;
    hub.deliver(
        "Alice",
        "$2",
        Content::Read {
            target: message.id.clone(),
        },
    )
    .await;
    bob.until("a marker", |xml| {
        xml.contains("/Alice'") && xml.contains("<displayed") && xml.contains(message.id.as_str())
    })
    .await;
    bob.say(
        "m2",
        &format!("<displayed xmlns='urn:xmpp:chat-markers:0' id='{}'/>", message.id),
    )
    .await;
    hub.event(
        "a marker",
        |event| matches!(&event.content, Content::Read { target } if *target == message.id),
    )
    .await;
    bob.send(&format!(
        "<message type='chat' id='d1' from='{}' to='alice\\3ahs.example@bridge.localhost'><body>psst</body>\
         <request xmlns='urn:xmpp:receipts'/></message>",
        bob.address
    ))
    .await;
    bob.until("a receipt", |xml| xml.contains("<received") && xml.contains("id='d1'"))
        .await;
    hub.stop().await;
}
