//! What other people's clients send that no side has a word for, or that says itself in an old way; on both servers.

use serde_json::json;
use viaduct_model::document::{Block, Inline};
use viaduct_model::{Content, Event, Language, MessageStyle};

use crate::common::Server;
use crate::common::ejabberd::Ejabberd;
use crate::common::hub::Memory;
use crate::common::person::Person;
use crate::common::prosody::Prosody;
use crate::support::{ROOM, configure, scene_on};

fn message(event: &Event) -> &viaduct_model::Message {
    event.content.message().unwrap()
}

async fn is_read_on(server: &dyn Server) {
    let memory = Memory::speaking(Language::German);
    let (bob, hub) = scene_on(server, memory, json!({})).await;
    // XHTML-IM, with something in it that is none.
    bob.say(
        "m1",
        "<body>rich words</body><html xmlns='http://jabber.org/protocol/xhtml-im'>\
         <body xmlns='http://www.w3.org/1999/xhtml'><p>rich <strong>words</strong><script>alert(1)</script></p></body></html>",
    )
    .await;
    let rich = hub
        .event("the marked words", |event| {
            event.content.message().is_some_and(|message| {
                let mut found = false;
                message.body.each_inline(&mut |inline| {
                    found |= matches!(inline, Inline::Strong(content) if *content == [Inline::Text("words".into())]);
                });
                found
            })
        })
        .await;
    assert!(!message(&rich).body.to_plain().contains('<'), "{rich:?}");

    // A link preview.
    bob.say(
        "m2",
        "<body>see https://a.example/</body>\
         <rdf:Description xmlns:rdf='http://www.w3.org/1999/02/22-rdf-syntax-ns#' xmlns:og='https://ogp.me/ns#' \
         rdf:about='https://a.example/'><og:title>A Title</og:title><og:description>About it</og:description>\
         </rdf:Description>",
    )
    .await;
    let preview = hub
        .event("the preview", |event| {
            event
                .content
                .message()
                .is_some_and(|message| message.body.to_plain().contains("A Title"))
        })
        .await;
    assert!(
        matches!(message(&preview).body.blocks.last(), Some(Block::Quote(_))),
        "{preview:?}"
    );

    // Calls.
    bob.say(
        "m3",
        "<invite xmlns='urn:xmpp:call-invites:0' video='true'/><store xmlns='urn:xmpp:hints'/>",
    )
    .await;
    let call = hub.message("[Videoanruf: mit einem XMPP-Programm teilnehmen]").await;
    assert_eq!(message(&call).style, MessageStyle::Notice);
    assert_eq!(call.sender.name, "Bob");

    // Encrypted messages, of both versions, said to be so and not.
    let label = "<encryption xmlns='urn:xmpp:eme:0' namespace='urn:xmpp:omemo:2'/>";
    for (id, inner) in [
        (
            "m4",
            format!(
                "<body>unreadable</body><encrypted xmlns='eu.siacs.conversations.axolotl'><header sid='1'/></encrypted>{label}"
            ),
        ),
        (
            "m5",
            "<encrypted xmlns='urn:xmpp:omemo:2'><header sid='1'/></encrypted><store xmlns='urn:xmpp:hints'/>"
                .to_owned(),
        ),
    ] {
        bob.say(id, &inner).await;
    }
    bob.say("m6", "<body>after</body>").await;
    hub.message("after").await;
    let events = hub.memory.events.lock().unwrap().clone();
    let notice = "[verschlüsselte Nachricht: die Brücke kann sie nicht lesen]";
    let texts: Vec<_> = events.iter().filter_map(crate::common::hub::text_of).collect();
    assert_eq!(texts.iter().filter(|text| *text == notice).count(), 2, "{texts:#?}");
    assert!(!texts.iter().any(|text| text.contains("unreadable")), "{texts:#?}");
    hub.stop().await;
}

#[tokio::test]
async fn strange_messages_are_read_on_prosody() {
    if let Some(server) = Prosody::start().await {
        is_read_on(&server).await;
    }
}

#[tokio::test]
async fn strange_messages_are_read_on_ejabberd() {
    if let Some(server) = Ejabberd::start().await {
        is_read_on(&server).await;
    }
}

/// Waits until what Bob says is said by a Bob with a title.
async fn titled(bob: &Person, hub: &crate::common::hub::Hub) {
    bob.say("titled", "<body>who am I?</body>").await;
    let event = hub.message("who am I?").await;
    assert_eq!(event.sender.name, "Bob (Host)");
    assert_eq!(event.sender.id.as_str(), "bob@people.localhost");
}

#[tokio::test]
async fn titles_are_shown_on_prosody() {
    let Some(server) = Prosody::start_with(&["test_hats"]).await else {
        return;
    };
    let (mut bob, hub) = scene_on(&server, Memory::default(), json!({"hats": true})).await;
    crate::support::let_the_hub_rule(&mut bob).await;
    titled(&bob, &hub).await;
    hub.stop().await;
}

#[tokio::test]
async fn titles_are_shown_on_ejabberd() {
    let Some(server) = Ejabberd::start().await else { return };
    let (mut bob, hub) = scene_on(&server, Memory::default(), json!({"hats": true})).await;
    crate::support::let_the_hub_rule(&mut bob).await;
    configure(&mut bob, &[("enable_hats", "1")]).await;
    let field = |name: &str, value: &str| format!("<field var='{name}'><value>{value}</value></field>");
    let fields = [
        field("jid", "bob@people.localhost"),
        field("hat_title", "Host"),
        field("hat_uri", "urn:test:host"),
    ];
    let command = |attributes: &str, inner: &str| {
        let node = "http://prosody.im/protocol/hats#add";
        format!("<command xmlns='http://jabber.org/protocol/commands' node='{node}' {attributes}>{inner}</command>")
    };
    let form = bob.ask("set", &command("action='execute'", "")).await;
    let (_, session) = form.split_once("sessionid='").unwrap();
    let session = session.split('\'').next().unwrap();
    let filled = format!("<x xmlns='jabber:x:data' type='submit'>{}</x>", fields.concat());
    let complete = command(&format!("action='complete' sessionid='{session}'"), &filled);
    let answer = bob.ask("set", &complete).await;
    assert!(answer.contains("completed"), "{answer}");
    titled(&bob, &hub).await;
    hub.stop().await;
}

#[tokio::test]
async fn a_server_that_spares_puppets_keeps_nothing_from_the_hub() {
    let Some(server) = Prosody::start_with(&["viaduct_puppets"]).await else {
        return;
    };
    let (mut bob, hub) = scene_on(&server, Memory::default(), json!({})).await;
    for (name, id) in [("Alice", "$1"), ("Carol", "$2")] {
        hub.deliver(name, id, crate::support::text(&format!("here is {name}")))
            .await;
        bob.until("a puppet that speaks", |xml| {
            xml.contains(&format!("from='{ROOM}/{name}'")) && xml.contains("here is")
        })
        .await;
    }
    bob.say("m1", "<body>hello both</body>").await;
    hub.message("hello both").await;
    bob.whisper(&format!("{ROOM}/Alice"), "m2", "<body>psst</body>").await;
    let private = hub.message("psst").await;
    assert_eq!(private.direct_to.as_deref(), Some("@alice:hs.example"));
    let kick = "<query xmlns='http://jabber.org/protocol/muc#admin'><item nick='Carol' role='none'/></query>";
    assert!(bob.ask("set", kick).await.contains("type='result'"));
    hub.event("the puppet's removal", |event| {
        matches!(&event.content, Content::Membership { person, change: viaduct_model::Membership::Kick, .. }
            if person.name == "Carol")
    })
    .await;
    hub.deliver("Carol", "$3", crate::support::text("back again")).await;
    hub.stop().await;
}
