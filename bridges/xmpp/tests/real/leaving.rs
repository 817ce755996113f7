//! Leaving a room for good.

use std::sync::Arc;

use serde_json::json;
use viaduct_bridge::{Connection, Session};

use crate::common::Server;
use crate::common::ejabberd::Ejabberd;
use crate::common::hub::{Hub, Memory};
use crate::common::person::Person;
use crate::common::prosody::{Prosody, SECRET};
use crate::support::{ROOM, scene_on, text};

/// The question for everybody in the room but Bob, who made it.
const OTHERS: &str = "<query xmlns='http://jabber.org/protocol/muc#admin'><item role='participant'/></query>";

async fn others(bob: &mut Person) -> usize {
    let answer = bob.ask("get", OTHERS).await;
    assert!(answer.contains("type='result'"), "{answer}");
    answer.matches("<item ").count()
}

async fn everybody_leaves_on(server: &dyn Server) {
    let (mut bob, hub) = scene_on(server, Memory::default(), json!({})).await;
    for (name, id) in [("Alice", "$1"), ("Carol", "$2"), ("Dave", "$3")] {
        hub.deliver(name, id, text("hello")).await;
    }
    assert_eq!(others(&mut bob).await, 4);
    hub.session.leave(&hub.channel).await.unwrap();
    assert_eq!(others(&mut bob).await, 0, "only Bob is left");
    let remembered: Vec<String> = {
        let state = hub.memory.state.lock().unwrap();
        state.keys().filter(|key| key.contains(ROOM)).cloned().collect()
    };
    assert_eq!(remembered, [""; 0]);
    // Nobody goes back in: not for a delivery, not when invited, not over a new connection.
    let error = hub
        .try_deliver(hub.outbound("Alice", "$4", text("hello?")))
        .await
        .unwrap_err();
    assert!(error.reason.contains("for good"), "{error:?}");
    bob.send(&format!(
        "<message from='{}' to='viaduct@bridge.localhost'><x xmlns='jabber:x:conference' jid='{ROOM}'/></message>",
        bob.address
    ))
    .await;
    assert_eq!(hub.session.leave(&hub.channel).await, Ok(()), "once more does no harm");
    assert_eq!(hub.session.leave(&"a@b c@d".parse().unwrap()).await, Ok(()));
    bob.say("m", "<body>anybody?</body>").await;
    bob.until("the own message", |xml| xml.contains("anybody?")).await;
    assert_eq!(others(&mut bob).await, 0, "only Bob is left");
    let reports = hub.memory.reports.lock().unwrap().clone();
    assert!(
        !reports.iter().any(|(_, state)| matches!(state, Connection::Down(_))),
        "{reports:?}"
    );
    hub.stop().await;
}

#[tokio::test]
async fn everybody_leaves_on_prosody() {
    if let Some(server) = Prosody::start().await {
        everybody_leaves_on(&server).await;
    }
}

#[tokio::test]
async fn everybody_leaves_on_ejabberd() {
    if let Some(server) = Ejabberd::start().await {
        everybody_leaves_on(&server).await;
    }
}

#[tokio::test]
async fn an_account_forgets_its_bookmark() {
    let Some(server) = Prosody::start().await else { return };
    let mut bob = Person::join(&server, ROOM, "bob", "Bob").await;
    let section = json!({
        "account": {
            "address": "bridge@localhost", "password": SECRET, "host": "127.0.0.1", "port": server.client_port(),
            "ca_file": server.ca_file(),
        },
    });
    let bookmarks = "<pubsub xmlns='http://jabber.org/protocol/pubsub'><items node='urn:xmpp:bookmarks:1'/></pubsub>";
    let memory = Arc::new(Memory::default());
    let is_noted = async |leaves: bool, life: usize| {
        let hub = Hub::start_with(ROOM, &memory, section.clone());
        hub.until_up(life + 1).await;
        hub.deliver("Ada", &format!("${life}"), text("here")).await;
        if leaves {
            hub.session.leave(&hub.channel).await.unwrap();
        }
        hub.stop().await;
        let mut account = Person::login(&server, "bridge", ROOM, "viaduct").await;
        account
            .ask_of("bridge@localhost", "get", bookmarks)
            .await
            .contains(ROOM)
    };
    // The room is noted some time after it was entered.
    let mut life = 0;
    while !is_noted(false, life).await {
        life += 1;
        assert!(life < 20, "the room is not bookmarked");
    }
    assert!(!is_noted(true, life + 1).await, "the bookmark is still there");
    assert_eq!(others(&mut bob).await, 0, "only Bob is left");
}
