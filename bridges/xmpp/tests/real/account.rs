//! The bridge as a client with an ordinary account.

use std::sync::Arc;

use serde_json::{Value, json};
use viaduct_bridge::{Connection, Failure, Session};
use viaduct_model::document::MentionTarget;
use viaduct_model::{Content, Lookup, Message, Reaction};

use crate::common::Server;
use crate::common::ejabberd::Ejabberd;
use crate::common::hub::{Hub, Memory};
use crate::common::person::Person;
use crate::common::prosody::{Prosody, SECRET};
use crate::common::proxy::Proxy;
use crate::support::{ROOM, reaction, text};

fn section(server: &dyn Server, port: u16) -> Value {
    json!({
        "account": {
            "address": "bridge@localhost", "password": SECRET, "host": "127.0.0.1", "port": port,
            "ca_file": server.ca_file(),
        },
        "muc_services": ["conference.localhost"],
        "timeouts": {"reflection": 10, "request": 10, "resume": 15},
    })
}

/// A person in the room, and a hub that came in as a client through a proxy.
async fn scene(server: &dyn Server) -> (Proxy, Person, Hub) {
    let proxy = Proxy::start(server.client_port()).await;
    let bob = Person::join(server, ROOM, "bob", "Bob").await;
    let section = section(server, proxy.port);
    let hub = Hub::start_with(ROOM, &Arc::new(Memory::default()), section);
    hub.until_up(1).await;
    (proxy, bob, hub)
}

#[tokio::test]
async fn people_are_relayed_by_name() {
    let Some(server) = Prosody::start().await else { return };
    let (_proxy, mut bob, hub) = scene(&server).await;
    let receipt = hub.deliver("Ada", "$1", text("hi *Bob*")).await;
    let seen = bob.until("the relayed message", |xml| xml.contains("Ada: hi")).await;
    assert!(seen.contains(&format!("from='{ROOM}/viaduct'")), "{seen}");
    assert!(seen.contains(&format!("id='{}'", receipt.ids[0])), "{seen}");

    bob.say("m1", "<body>Ada: hello</body>").await;
    let event = hub.message("Ada: hello").await;
    let mentions = event.content.message().unwrap().body.mentions();
    assert!(matches!(&mentions[..], [mention]
        if matches!(&mention.target, MentionTarget::Person { id, .. } if id.as_str() == "@ada:hs.example")));
    hub.stop().await;
}

#[tokio::test]
async fn changes_are_real_stanzas_and_reactions_are_counted() {
    let Some(server) = Prosody::start().await else { return };
    let (_proxy, mut bob, hub) = scene(&server).await;
    let first = hub.deliver("Ada", "$1", text("frist")).await.ids[0].clone();
    let message = Message::plain("first");
    let edit = Content::Edit {
        target: first.clone(),
        message,
    };
    hub.deliver("Ada", "$2", edit).await;
    bob.until("the correction", |xml| {
        xml.contains("<body>Ada: first</body>") && xml.contains("<replace")
    })
    .await;

    let target = first.clone();
    let react = |reaction: Reaction| Content::React {
        target: target.clone(),
        reaction,
    };
    let unreact = |reaction: Reaction| Content::Unreact {
        target: target.clone(),
        reaction,
    };
    hub.deliver("Ada", "$3", react(reaction("👍"))).await;
    hub.deliver("Bea", "$4", react(reaction("👍"))).await;
    hub.deliver("Bea", "$5", react(reaction("🎉"))).await;
    hub.deliver("Ada", "$6", unreact(reaction("👍"))).await;
    hub.deliver("Ada", "$7", text("marker")).await;
    // Ada's is Bea's, too: nothing changes in the room until the last of them takes it back.
    let seen = bob.until("both", |xml| xml.contains("👍") && xml.contains("🎉")).await;
    assert!(seen.contains("<reactions"), "{seen}");
    bob.until("the marker with no change before it", |xml| {
        assert!(!xml.contains("<reactions"), "{xml}");
        xml.contains("marker")
    })
    .await;
    hub.deliver("Bea", "$8", unreact(reaction("👍"))).await;
    bob.until("one reaction", |xml| {
        xml.contains("<reactions") && !xml.contains("👍") && xml.contains("🎉")
    })
    .await;
    hub.deliver(
        "Ada",
        "$9",
        Content::Delete {
            target: first,
            reason: None,
        },
    )
    .await;
    bob.until("the retraction", |xml| xml.contains("<retract")).await;
    hub.stop().await;
}

async fn a_broken_connection_is_resumed_on(server: &dyn Server) {
    let (proxy, mut bob, hub) = scene(server).await;
    hub.deliver("Ada", "$1", text("before")).await;
    proxy.close();
    // What is said into the broken connection arrives once it is taken up again.
    let hub = Arc::new(hub);
    let sending = tokio::spawn({
        let hub = Arc::clone(&hub);
        async move { hub.try_deliver(hub.outbound("Ada", "$2", text("into the void"))).await }
    });
    bob.say("m1", "<body>meanwhile</body>").await;
    bob.until("the message", |xml| xml.contains("meanwhile")).await;
    proxy.open();
    let receipt = sending.await.unwrap().unwrap();
    assert_eq!(receipt.ids.len(), 1);
    bob.until("the message", |xml| xml.contains("into the void")).await;
    hub.message("meanwhile").await;
    let reports = hub.memory.reports.lock().unwrap().clone();
    assert!(
        !reports.iter().any(|(_, state)| matches!(state, Connection::Down(_))),
        "it was not resumed: {reports:?}"
    );
    // Nobody in the room has noticed.
    hub.deliver("Ada", "$3", text("after")).await;
    bob.until("the message", |xml| {
        assert!(!xml.contains("type='unavailable'"), "the hub left the room: {xml}");
        xml.contains("after")
    })
    .await;
    Arc::into_inner(hub).unwrap().stop().await;
}

#[tokio::test]
async fn a_broken_connection_is_resumed_on_prosody() {
    if let Some(server) = Prosody::start().await {
        a_broken_connection_is_resumed_on(&server).await;
    }
}

#[tokio::test]
async fn a_broken_connection_is_resumed_on_ejabberd() {
    if let Some(server) = Ejabberd::start().await {
        a_broken_connection_is_resumed_on(&server).await;
    }
}

#[tokio::test]
async fn the_server_may_restart() {
    let Some(mut server) = Prosody::start().await else {
        return;
    };
    let (_proxy, _bob, hub) = scene(&server).await;
    let outbound = hub.outbound("Ada", "$1", text("one"));
    let receipt = hub.try_deliver(outbound.clone()).await.unwrap();
    server.kill().await;
    server.resume().await;
    hub.until_up(2).await;
    assert_eq!(hub.session.capabilities(&hub.channel).lookup, Lookup::Queryable);
    let found = hub.session.find_delivered(&hub.channel, &outbound.key).await.unwrap();
    assert_eq!(found.unwrap().ids, receipt.ids);
    let other = hub.outbound("Ada", "$2", text("two"));
    assert_eq!(
        hub.session.find_delivered(&hub.channel, &other.key).await.unwrap(),
        None
    );
    hub.deliver("Ada", "$3", text("three")).await;
    hub.stop().await;
}

#[tokio::test]
async fn what_was_missed_is_caught_up() {
    let Some(server) = Prosody::start().await else { return };
    let (proxy, bob, hub) = scene(&server).await;
    bob.say("m0", "<body>before</body>").await;
    hub.message("before").await;
    let memory = Arc::clone(&hub.memory);
    hub.kill().await;
    for number in 0..300 {
        bob.say(&format!("n{number}"), &format!("<body>missed {number}</body>"))
            .await;
    }
    let hub = Hub::start_with(ROOM, &memory, section(&server, proxy.port));
    hub.message("missed 299").await;
    let texts: Vec<String> = {
        let events = memory.events.lock().unwrap();
        let texts = events.iter().filter_map(crate::common::hub::text_of);
        texts.filter(|text| text.starts_with("missed")).collect()
    };
    let expected: Vec<String> = (0..300).map(|number| format!("missed {number}")).collect();
    assert_eq!(texts, expected);
    hub.stop().await;
}

/// The first thing the session says of its connection that is not an attempt.
async fn first_word(section: Value) -> Connection {
    let hub = Hub::start_with(ROOM, &Arc::new(Memory::default()), section);
    hub.until("a word about the connection", |memory| {
        let reports = memory.reports.lock().unwrap();
        let found = reports
            .iter()
            .find(|(channel, state)| channel.is_none() && *state != Connection::Connecting);
        found.map(|(_, state)| state.clone())
    })
    .await
}

#[tokio::test]
async fn direct_tls_works_and_mistakes_are_told_apart() {
    let Some(server) = Prosody::start().await else { return };
    let with = |pointer: &str, value: Value| {
        let mut section = section(&server, server.client_port());
        section["account"][pointer] = value;
        section
    };
    let mut direct = with("tls", json!("direct"));
    direct["account"]["port"] = json!(server.direct_port);
    assert_eq!(first_word(direct).await, Connection::Up);

    let wrong = first_word(with("password", json!("wrong"))).await;
    assert!(
        matches!(&wrong, Connection::AuthLost(reason) if reason.contains("NotAuthorized")),
        "{wrong:?}"
    );

    let mut untrusted = section(&server, server.client_port());
    untrusted["account"].as_object_mut().unwrap().remove("ca_file");
    let untrusted = first_word(untrusted).await;
    assert!(
        matches!(&untrusted, Connection::Down(reason) if reason.contains("TLS")),
        "{untrusted:?}"
    );
}

#[tokio::test]
async fn doctor_speaks_of_the_account() {
    let Some(server) = Prosody::start().await else { return };
    let (_proxy, _bob, hub) = scene(&server).await;
    let probes = hub.session.probe().await;
    assert!(probes[0].finding.contains("bridge@localhost"), "{probes:?}");
    let mut nobody = hub.outbound("Ada", "$1", text("psst"));
    nobody.to.channel = "ada@x bob@y".parse().unwrap();
    let error = hub.try_deliver(nobody).await.unwrap_err();
    assert_eq!(error.failure, Failure::Unsupported);
    hub.stop().await;
}
