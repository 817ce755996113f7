//! How people say things, what they show of themselves, and what they may.

use std::sync::Arc;

use serde_json::json;
use viaduct_bridge::{Connection, Failure, Session};
use viaduct_model::document::{Block, Inline};
use viaduct_model::{Content, Document, Message, MessageStyle};

use crate::common::hub::{Hub, Memory};
use crate::common::person::Person;
use crate::common::prosody::Prosody;
use crate::support::{ROOM, configure, scene, text};

const ALICE: &str = "alice\\3ahs.example@bridge.localhost";

#[tokio::test]
async fn actions_and_covered_texts_cross_both_ways() {
    let Some((_server, mut bob, hub)) = scene(json!({})).await else {
        return;
    };
    bob.say("m1", "<body>/me waves</body>").await;
    let wave = hub.message("waves").await;
    assert_eq!(wave.content.message().unwrap().style, MessageStyle::Action);
    bob.say(
        "m2",
        "<body>the butler</body><spoiler xmlns='urn:xmpp:spoiler:0'>who did it</spoiler>",
    )
    .await;
    let covered = hub
        .event("the covered text", |event| {
            let Some(message) = event.content.message() else { return false };
            matches!(message.body.blocks.first(), Some(Block::Paragraph(content))
                if matches!(content.first(), Some(Inline::Spoiler { reason: Some(reason), .. }) if reason == "who did it"))
        })
        .await;
    assert!(format!("{covered:?}").contains("the butler"));

    let action = Content::Message(Message {
        style: MessageStyle::Action,
        ..Message::plain("waves back")
    });
    hub.deliver("Alice", "$1", action).await;
    bob.until("the action", |xml| xml.contains("<body>/me waves back</body>"))
        .await;
    let secret = Inline::Spoiler {
        reason: Some("the end".into()),
        content: vec![Inline::Text("it was her".into())],
    };
    let hidden = Content::Message(Message {
        body: Document::paragraph(vec![secret]),
        ..Message::default()
    });
    hub.deliver("Alice", "$2", hidden).await;
    bob.until("the covered text", |xml| {
        xml.contains("it was her") && xml.contains("<spoiler xmlns='urn:xmpp:spoiler:0'>the end</spoiler>")
    })
    .await;
    hub.stop().await;
}

#[tokio::test]
async fn typing_crosses_where_asked_for() {
    for typing in [true, false] {
        let Some((_server, mut bob, hub)) = scene(json!({"typing": typing})).await else {
            return;
        };
        hub.deliver("Alice", "$1", text("hello")).await;
        bob.until("the message", |xml| xml.contains("hello")).await;
        bob.say("m1", "<composing xmlns='http://jabber.org/protocol/chatstates'/>")
            .await;
        bob.say("m2", "<body>done</body>").await;
        hub.message("done").await;
        let told = hub
            .memory
            .events
            .lock()
            .unwrap()
            .iter()
            .any(|event| matches!(event.content, Content::Typing { active: true }));
        assert_eq!(told, typing);
        let out = hub
            .try_deliver(hub.outbound("Alice", "$2", Content::Typing { active: true }))
            .await;
        if typing {
            out.unwrap();
            bob.until("typing", |xml| xml.contains("<composing") && xml.contains("/Alice'"))
                .await;
        } else {
            assert_eq!(out.unwrap_err().failure, Failure::Unsupported);
        }
        hub.stop().await;
    }
}

#[tokio::test]
async fn presence_is_shown_where_asked_for() {
    for (presence, answer) in [(false, "type='unsubscribed'"), (true, "type='subscribed'")] {
        let Some((_server, mut bob, hub)) = scene(json!({"presence": presence})).await else {
            return;
        };
        let from = bob.address.clone();
        bob.send(&format!("<presence type='subscribe' from='{from}' to='{ALICE}'/>"))
            .await;
        bob.until("the answer", |xml| xml.contains(answer) && xml.contains(ALICE))
            .await;
        if presence {
            bob.until("her presence", |xml| {
                xml.contains("<presence") && xml.contains(ALICE) && !xml.contains("type=")
            })
            .await;
        }
        hub.stop().await;
    }
}

#[tokio::test]
async fn whoever_gives_a_name_is_called_by_it() {
    let Some((_server, bob, hub)) = scene(json!({})).await else {
        return;
    };
    let inner = "<body>it is me</body><nick xmlns='http://jabber.org/protocol/nick'>Robert</nick>";
    bob.whisper(ALICE, "m1", inner).await;
    let event = hub.message("it is me").await;
    assert_eq!(
        (event.sender.name.as_str(), event.sender.id.as_str()),
        ("Robert", "bob@people.localhost")
    );
    hub.stop().await;
}

#[tokio::test]
async fn names_that_no_room_takes_are_made_possible() {
    let Some((_server, mut bob, hub)) = scene(json!({})).await else {
        return;
    };
    for (number, name) in ["Zoë 🎉 Ünï", "\u{202e}evil\u{200b}", "\u{e000}\u{fffe}", " ", "a/b@c d"]
        .into_iter()
        .enumerate()
    {
        let mut outbound = hub.outbound(&format!("p{number}"), "$1", text(&format!("I am number {number}")));
        outbound.author.person.name = name.to_owned();
        outbound.author.display = name.to_owned();
        let receipt = hub.try_deliver(outbound).await.unwrap();
        assert_eq!(receipt.losses, [""; 0], "{name:?} has a nick of their own");
        let seen = bob
            .until("the message", |xml| xml.contains(&format!("I am number {number}")))
            .await;
        assert!(!seen.contains("/viaduct'"), "{seen}");
        assert!(!seen.contains(['\u{202e}', '\u{200b}']), "{seen}");
    }
    hub.stop().await;
}

#[tokio::test]
async fn whoever_has_no_voice_is_told() {
    let Some((_server, mut bob, hub)) = scene(json!({})).await else {
        return;
    };
    configure(&mut bob, &[("muc#roomconfig_moderatedroom", "1")]).await;
    let error = hub
        .try_deliver(hub.outbound("Alice", "$1", text("hi")))
        .await
        .unwrap_err();
    assert_eq!(error.failure, Failure::Permanent);
    assert!(error.reason.contains("does not allow it"), "{error:?}");
    let voice = "<query xmlns='http://jabber.org/protocol/muc#admin'><item nick='Alice' role='participant'/></query>";
    assert!(bob.ask("set", voice).await.contains("type='result'"));
    hub.deliver("Alice", "$2", text("now I may")).await;
    hub.stop().await;
}

#[tokio::test]
async fn a_server_that_cannot_be_reached_is_told_to_the_sender() {
    let Some((_server, _bob, hub)) = scene(json!({})).await else {
        return;
    };
    let other = "bob@nowhere.invalid".parse().unwrap();
    let mut outbound = hub.outbound("Alice", "$1", text("anybody?"));
    outbound.to.channel = hub.session.direct_channel(&other, "@alice:hs.example").await.unwrap();
    let channel = outbound.to.channel.clone();
    // The server says so at once, or after it has tried; then it is told as a message.
    if let Err(error) = hub.try_deliver(outbound).await {
        assert_ne!(error.failure, Failure::UnknownOutcome, "{error:?}");
    } else {
        let told = hub
            .event("the failure", |event| {
                crate::common::hub::text_of(event).is_some_and(|text| text.contains("not delivered"))
            })
            .await;
        assert_eq!(told.place.channel, channel);
    }
    hub.stop().await;
}

#[tokio::test]
async fn one_closed_room_stops_no_other() {
    const CLOSED: &str = "closed@conference.localhost";
    let Some(server) = Prosody::start().await else { return };
    let mut owner = Person::join_from(&server, "others.localhost", CLOSED, "owner", "owner").await;
    configure(&mut owner, &[("muc#roomconfig_membersonly", "1")]).await;
    let mut bob = Person::join(&server, ROOM, "viaduct", "viaduct").await;
    let memory = Arc::new(Memory::default());
    let hub = Hub::start_in(&server, &[CLOSED, ROOM], &memory, json!({}));
    // Somebody else even has the hub's nick.
    hub.until_up(1).await;
    hub.deliver("Alice", "$1", text("here all the same")).await;
    bob.until("the message", |xml| xml.contains("here all the same")).await;
    bob.say("m1", "<body>and here</body>").await;
    hub.message("and here").await;
    let down = hub.memory.reports.lock().unwrap().iter().any(|(channel, state)| {
        channel.as_ref().is_some_and(|channel| channel.as_str() == CLOSED)
            && matches!(state, Connection::Down(reason) if reason.contains("members only"))
    });
    assert!(down, "{:?}", hub.memory.reports.lock().unwrap());
    hub.stop().await;
}
