//! The bridge on a real Prosody. Skipped, with a printed reason, where Prosody is not installed.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::needless_pass_by_value,
    clippy::match_wild_err_arm,
    clippy::format_collect,
    clippy::format_push_string,
    clippy::assigning_clones,
    clippy::too_many_lines,
    missing_docs,
    reason = "a test says what it sees, and stops at the first surprise"
)]

mod common;

use std::sync::Arc;

use common::hub::{Hub, Memory, network, text_of};
use common::person::Person;
use common::prosody::Prosody;
use serde_json::json;
use tokio::time::Instant;
use viaduct_bridge::{Failure, Session};
use viaduct_model::document::MentionTarget;
use viaduct_model::{
    Attachment, AttachmentKind, Content, Event, Lookup, MediaRef, Membership, Message, NetworkName, Reaction,
};

const ROOM: &str = "project@conference.localhost";

fn text(text: &str) -> Content {
    Content::Message(Message::plain(text))
}

fn reaction(key: &str) -> Reaction {
    Reaction {
        key: key.into(),
        image: None,
    }
}

/// A server, a person in the room, and a hub that is in, too.
async fn scene(extra: serde_json::Value) -> Option<(Prosody, Person, Hub)> {
    let server = Prosody::start().await?;
    let bob = Person::join(&server, ROOM, "bob", "Bob").await;
    let hub = Hub::start(&server, ROOM, &Arc::new(Memory::default()), extra);
    hub.until_up(1).await;
    Some((server, bob, hub))
}

#[tokio::test]
async fn text_crosses_both_ways_with_puppets() {
    let Some((_server, mut bob, hub)) = scene(json!({})).await else {
        return;
    };
    bob.say("m1", "<body>hello *there*</body>").await;
    let event = hub.message("hello there").await;
    assert_eq!(event.sender.name, "Bob");
    assert!(event.cursor.is_some());

    let receipt = hub.deliver("Alice", "$1", text("hi Bob")).await;
    assert_eq!(receipt.ids.len(), 1);
    let seen = bob.until("the puppet's message", |xml| xml.contains("hi Bob")).await;
    assert!(seen.contains(&format!("from='{ROOM}/Alice'")), "{seen}");
    assert!(
        seen.contains(&format!("id='{}'", receipt.ids[0])),
        "the receipt has the room's stanza-id: {seen}"
    );
    hub.stop().await;
}

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

#[tokio::test]
async fn the_server_may_die() {
    let Some((mut server, _bob, hub)) = scene(json!({})).await else {
        return;
    };
    hub.deliver("Alice", "$1", text("one")).await;
    server.kill().await;
    hub.until("noticing", |memory| {
        let reports = memory.reports.lock().unwrap();
        reports
            .iter()
            .any(|(channel, state)| channel.is_none() && matches!(state, viaduct_bridge::Connection::Down(_)))
            .then_some(())
    })
    .await;
    let error = hub
        .try_deliver(hub.outbound("Alice", "$2", text("two")))
        .await
        .unwrap_err();
    assert!(matches!(error.failure, Failure::Retry(_)), "{error:?}");
    server.resume().await;
    hub.until_up(2).await;
    hub.deliver("Alice", "$2", text("two")).await;
    hub.stop().await;
}

#[tokio::test]
async fn nicks_collide_and_people_come_and_go() {
    let Some((server, mut bob, hub)) = scene(json!({})).await else {
        return;
    };
    hub.deliver("Bob", "$1", text("the other Bob")).await;
    bob.until("another nick", |xml| {
        xml.contains("the other Bob") && xml.contains("/Bob (2)'")
    })
    .await;
    let dora = Person::join_from(&server, "others.localhost", ROOM, "dora", "Dora").await;
    let joined = |event: &Event, name: &str, wanted: &Membership| matches!(&event.content, Content::Membership { person, change, .. } if person.name == name && change == wanted);
    hub.event("a join", |event| joined(event, "Dora", &Membership::Join))
        .await;
    dora.send(&format!("<presence from='{}' to='{ROOM}/Theodora'/>", dora.address))
        .await;
    hub.event("a rename", |event| {
        joined(event, "Theodora", &Membership::Rename { from: "Dora".into() })
    })
    .await;
    let kick = "<query xmlns='http://jabber.org/protocol/muc#admin'><item nick='Theodora' role='none'><reason>spam</reason></item></query>";
    assert!(bob.ask("set", kick).await.contains("type='result'"));
    hub.event("a kick", |event| joined(event, "Theodora", &Membership::Kick))
        .await;
    // The puppets' own coming is nobody's news.
    assert!(
        !hub.memory
            .events
            .lock()
            .unwrap()
            .iter()
            .any(|event| joined(event, "Bob (2)", &Membership::Join))
    );
    // A kicked puppet is told to the other side, and comes back with its next message.
    let kick = "<query xmlns='http://jabber.org/protocol/muc#admin'><item nick='Bob (2)' role='none'/></query>";
    assert!(bob.ask("set", kick).await.contains("type='result'"));
    let kicked = hub
        .event("the puppet's kick", |event| joined(event, "Bob (2)", &Membership::Kick))
        .await;
    assert!(matches!(&kicked.content, Content::Membership { person, .. }
        if person.network == NetworkName::matrix() && person.id.as_str() == "@bob:hs.example"));
    hub.deliver("Bob", "$2", text("back again")).await;
    hub.stop().await;
}

#[tokio::test]
async fn the_hub_comes_back_after_a_kick_and_misses_nothing() {
    let Some((_server, mut bob, hub)) = scene(json!({})).await else {
        return;
    };
    let kick = "<query xmlns='http://jabber.org/protocol/muc#admin'><item nick='viaduct' role='none'/></query>";
    assert!(bob.ask("set", kick).await.contains("type='result'"));
    bob.say("m", "<body>unheard?</body>").await;
    hub.message("unheard?").await;
    hub.until_up(2).await;
    hub.stop().await;
}

#[tokio::test]
async fn mentions_lead_to_people() {
    let Some((_server, mut bob, hub)) = scene(json!({})).await else {
        return;
    };
    hub.deliver("Alice", "$1", text("here")).await;
    bob.say("m", "<body>Alice: look</body>").await;
    let event = hub.message("Alice: look").await;
    let mentions = event
        .content
        .message()
        .unwrap()
        .body
        .mentions()
        .into_iter()
        .cloned()
        .collect::<Vec<_>>();
    assert!(matches!(&mentions[..], [mention]
        if matches!(&mention.target, MentionTarget::Person { id, .. } if id.as_str() == "@alice:hs.example")));
    bob.until("the message", |xml| xml.contains("here")).await;
    hub.stop().await;
}

#[tokio::test]
async fn files_are_uploaded_and_fetched() {
    let extra = json!({"upload_service": "upload.localhost", "file_hosts": ["127.0.0.1"]});
    let Some((_server, mut bob, hub)) = scene(extra).await else {
        return;
    };
    let attachment = Attachment {
        media: MediaRef {
            network: NetworkName::matrix(),
            locator: "the bytes of the file".into(),
        },
        name: "notes.txt".into(),
        mime: Some("text/plain".into()),
        size: None,
        kind: AttachmentKind::File,
        dimensions: None,
        duration: None,
        spoiler: false,
    };
    let message = Message {
        attachments: vec![attachment],
        ..Message::plain("see here")
    };
    let receipt = hub.deliver("Alice", "$1", Content::Message(message)).await;
    assert_eq!((receipt.ids.len(), receipt.losses.len()), (2, 0));
    let seen = bob.until("the file", |xml| xml.contains("<url>")).await;
    let (_, after) = seen.split_once("<url>").unwrap();
    let (url, _) = after.split_once("</url>").unwrap();

    bob.say(
        "m",
        &format!("<body>{url}</body><x xmlns='jabber:x:oob'><url>{url}</url></x>"),
    )
    .await;
    let event = hub.event("the file", |event| {
        event.echo_of.is_none()
            && event
                .content
                .message()
                .is_some_and(|message| !message.attachments.is_empty())
    });
    let event = event.await;
    let file = &event.content.message().unwrap().attachments[0];
    assert_eq!(
        (file.name.as_str(), file.media.network.clone()),
        ("notes.txt", network())
    );
    let media = hub.session.open_media(&file.media.locator).await.unwrap();
    let pieces: Vec<_> = futures_util::StreamExt::collect(media.stream).await;
    let bytes: Vec<u8> = pieces.into_iter().flat_map(|piece| piece.unwrap().to_vec()).collect();
    assert_eq!(bytes, b"the bytes of the file");
    assert!(hub.session.open_media("http://169.254.169.254/x").await.is_err());
    hub.stop().await;
}

#[tokio::test]
async fn whoever_is_banned_stays_out() {
    let Some((_server, mut bob, hub)) = scene(json!({})).await else {
        return;
    };
    let jid = "alice\\3ahs.example@bridge.localhost";
    let ban = format!(
        "<query xmlns='http://jabber.org/protocol/muc#admin'><item jid='{jid}' affiliation='outcast'/></query>"
    );
    assert!(bob.ask("set", &ban).await.contains("type='result'"));
    let error = hub
        .try_deliver(hub.outbound("Alice", "$1", text("hi")))
        .await
        .unwrap_err();
    assert_eq!(error.failure, Failure::Permanent, "{error:?}");
    hub.deliver("Carol", "$2", text("hello")).await;
    hub.stop().await;
}

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
async fn without_puppets_the_hub_speaks_for_people() {
    let Some((_server, mut bob, hub)) = scene(json!({"puppets": false})).await else {
        return;
    };
    hub.deliver("Alice", "$1", text("hi")).await;
    bob.until("the relayed message", |xml| {
        xml.contains("/viaduct'") && xml.contains("<body>Alice: hi</body>")
    })
    .await;
    let error = hub
        .try_deliver(hub.outbound("Alice", "$2", Content::Pins { pinned: vec![] }))
        .await
        .unwrap_err();
    assert_eq!(error.failure, Failure::Unsupported);
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

/// Figures: `cargo test -p viaduct-xmpp --test real -- --ignored --nocapture figure`.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement"]
async fn figure_puppets() {
    let Some((_server, _bob, hub)) = scene(json!({"membership": false})).await else {
        return;
    };
    let hub = Arc::new(hub);
    for count in [100, 200, 700] {
        let begun = Instant::now();
        let joins: Vec<_> = (0..count)
            .map(|number| {
                let hub = Arc::clone(&hub);
                tokio::spawn(async move {
                    let outbound = hub.outbound(&format!("P{count}x{number}"), "$1", text("unsaid"));
                    hub.prepare(outbound).await;
                })
            })
            .collect();
        for join in joins {
            join.await.unwrap();
        }
        println!("{count} more puppets entered in {:?}", begun.elapsed());
    }
    hub.deliver("P700x699", "$2", text("all here")).await;
}

/// Figures: `cargo test -p viaduct-xmpp --test real -- --ignored --nocapture figure`.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement"]
async fn figure_catch_up() {
    let Some((server, bob, hub)) = scene(json!({})).await else {
        return;
    };
    let memory = Arc::clone(&hub.memory);
    hub.kill().await;
    let count = 5_000;
    for number in 0..count {
        bob.say(&format!("n{number}"), &format!("<body>missed {number}</body>"))
            .await;
    }
    let mut bob = bob;
    bob.until("the last", |xml| xml.contains("missed 4999")).await;
    let (begun, cpu) = (Instant::now(), cpu_time());
    let hub = Hub::start(&server, ROOM, &memory, json!({}));
    hub.message("missed 4999").await;
    println!(
        "{count} missed messages in {:?}, {:.2} s of the bridge's CPU",
        begun.elapsed(),
        cpu_time() - cpu
    );
    let events = memory.events.lock().unwrap().clone();
    let missed: Vec<String> = events
        .iter()
        .filter_map(text_of)
        .filter(|text| text.starts_with("missed"))
        .collect();
    assert_eq!(
        missed,
        (0..count).map(|number| format!("missed {number}")).collect::<Vec<_>>()
    );
    hub.stop().await;
}

/// Figures: `cargo test -p viaduct-xmpp --test real -- --ignored --nocapture figure`.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement"]
async fn figure_live() {
    let Some((_server, bob, hub)) = scene(json!({})).await else {
        return;
    };
    let count = 5_000;
    let begun = Instant::now();
    for number in 0..count {
        bob.say(&format!("n{number}"), &format!("<body>live {number}</body>"))
            .await;
    }
    hub.message("live 4999").await;
    println!(
        "{count} live messages in {:?} (sender, server and bridge on one machine)",
        begun.elapsed()
    );
    hub.stop().await;
}

/// Seconds of CPU that this process has used.
fn cpu_time() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let (_, after) = stat.rsplit_once(") ").unwrap();
    let ticks: f64 = after
        .split(' ')
        .skip(11)
        .take(2)
        .map(|field| field.parse::<f64>().unwrap())
        .sum();
    ticks / 100.0
}

#[tokio::test]
async fn doctor_sees_what_is_there() {
    let Some((_server, _bob, hub)) = scene(json!({"upload_service": "nothing.localhost"})).await else {
        return;
    };
    let probes = hub.session.probe().await;
    let status = |subject: &str| {
        probes
            .iter()
            .find(|probe| probe.subject.starts_with(subject))
            .map(|probe| probe.status)
    };
    assert_eq!(status("component"), Some(viaduct_bridge::ProbeStatus::Ok));
    assert_eq!(status("room service"), Some(viaduct_bridge::ProbeStatus::Ok));
    assert_eq!(status("upload service"), Some(viaduct_bridge::ProbeStatus::Error));
    assert_eq!(status("room project"), Some(viaduct_bridge::ProbeStatus::Ok));
    hub.stop().await;
}
