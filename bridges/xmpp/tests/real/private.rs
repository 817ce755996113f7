//! Private chats in which the hub speaks for its people, because they have no addresses of their own.

use std::sync::Arc;

use serde_json::json;
use viaduct_bridge::Session;
use viaduct_model::{ChannelId, Content, Message, PersonId};

use crate::common::Server;
use crate::common::ejabberd::Ejabberd;
use crate::common::hub::{Hub, Memory};
use crate::common::person::Person;
use crate::common::prosody::{Prosody, SECRET};
use crate::support::{ROOM, reaction, text};

const HUB: &str = "bridge@localhost";

async fn channel(hub: &Hub, other: &str, person: &str) -> ChannelId {
    let other = PersonId::new(other).unwrap();
    let own = format!("@{person}:hs.example");
    hub.session.direct_channel(&other, &own).await.unwrap()
}

async fn tell(hub: &Hub, channel: &ChannelId, name: &str, id: &str, content: Content) -> String {
    let mut outbound = hub.outbound(name, id, content);
    outbound.to.channel = channel.clone();
    let receipt = hub.try_deliver(outbound).await.unwrap();
    receipt.ids.first().map(ToString::to_string).unwrap_or_default()
}

async fn people_write_through_an_account_on(server: &dyn Server) {
    let mut bob = Person::join(server, ROOM, "bob", "Bob").await;
    let section = json!({
        "account": {
            "address": HUB, "password": SECRET, "host": "127.0.0.1", "port": server.client_port(),
            "ca_file": server.ca_file(),
        },
        "timeouts": {"reflection": 10, "request": 10},
    });
    let memory = Arc::new(Memory::default());
    let hub = Hub::start_with(ROOM, &memory, section.clone());
    hub.until_up(1).await;

    // Ada begins, and Bob's answer is hers.
    let ada = channel(&hub, "bob@people.localhost", "ada").await;
    let first = tell(&hub, &ada, "Ada", "$1", text("hello Bob")).await;
    let seen = bob.until("the message", |xml| xml.contains("hello Bob")).await;
    assert!(
        seen.contains("type='chat'") && seen.contains(&format!("from='{HUB}/")),
        "{seen}"
    );
    assert!(seen.contains("<body>Ada: hello Bob</body>"), "{seen}");
    bob.whisper(HUB, "b1", "<body>hello yourself</body>").await;
    let answer = hub.message("hello yourself").await;
    assert_eq!(answer.direct_to.as_deref(), Some("@ada:hs.example"));
    assert_eq!(
        (answer.place.channel.clone(), answer.sender.id.as_str()),
        (ada.clone(), "bob@people.localhost")
    );

    // Somebody else writes, too: then Bob has to say whom he means, and what he does not say so reaches nobody.
    let bert = channel(&hub, "bob@people.localhost", "bert").await;
    assert_ne!(ada, bert);
    tell(&hub, &bert, "Bert", "$2", text("me too")).await;
    bob.until("the message", |xml| xml.contains("Bert: me too")).await;
    bob.whisper(HUB, "b2", "<body>a secret</body>").await;
    bob.until("the question", |xml| {
        xml.contains("not delivered") && xml.contains("Bert, Ada")
    })
    .await;
    bob.whisper(HUB, "b3", "<body>Bert: for your eyes</body>").await;
    let named = hub.message("for your eyes").await;
    assert_eq!(named.direct_to.as_deref(), Some("@bert:hs.example"));
    bob.whisper(HUB, "b4", "<body>only</body>").await;
    assert_eq!(hub.message("only").await.direct_to.as_deref(), Some("@bert:hs.example"));
    bob.whisper(
        HUB,
        "b5",
        &format!("<body>indeed</body><reply xmlns='urn:xmpp:reply:0' id='{first}'/>"),
    )
    .await;
    let replied = hub.message("indeed").await;
    assert_eq!(replied.direct_to.as_deref(), Some("@ada:hs.example"));
    assert_eq!(
        replied.content.message().unwrap().reply_to.as_ref().unwrap().as_str(),
        first
    );
    let events = hub.memory.events.lock().unwrap().clone();
    assert!(
        !events
            .iter()
            .any(|event| crate::common::hub::text_of(event).as_deref() == Some("a secret"))
    );

    // Changes find whom they concern, also after a restart.
    hub.stop().await;
    let hub = Hub::start_with(ROOM, &memory, section);
    hub.until_up(2).await;
    bob.whisper(
        HUB,
        "b6",
        "<body>your ears</body><replace xmlns='urn:xmpp:message-correct:0' id='b3'/>",
    )
    .await;
    let edit = hub
        .event("the correction", |event| {
            matches!(&event.content, Content::Edit { target, message } if *target == named.id && message.body.to_plain() == "your ears")
        })
        .await;
    assert_eq!(edit.direct_to.as_deref(), Some("@bert:hs.example"));
    let set = format!("<reactions xmlns='urn:xmpp:reactions:0' id='{first}'><reaction>👍</reaction></reactions>");
    bob.whisper(HUB, "b7", &set).await;
    let react = hub
        .event(
            "the reaction",
            |event| matches!(&event.content, Content::React { target, .. } if target.as_str() == first),
        )
        .await;
    assert_eq!(react.direct_to.as_deref(), Some("@ada:hs.example"));
    let back = Content::React {
        target: answer.id.clone(),
        reaction: reaction("🎉"),
    };
    tell(&hub, &ada, "Ada", "$3", back).await;
    bob.until("the reaction", |xml| xml.contains("id='b1'") && xml.contains("🎉"))
        .await;
    let reply = Content::Message(Message {
        reply_to: Some(answer.id),
        ..Message::plain("quite")
    });
    tell(&hub, &ada, "Ada", "$4", reply).await;
    let seen = bob.until("the answer", |xml| xml.contains("Ada: quite")).await;
    assert!(seen.contains("<reply xmlns='urn:xmpp:reply:0' id='b1'"), "{seen}");

    // Bob begins, with somebody who has never written.
    bob.whisper(HUB, "b8", "<body>@cleo:hs.example good morning</body>")
        .await;
    assert_eq!(
        hub.message("good morning").await.direct_to.as_deref(),
        Some("@cleo:hs.example")
    );

    // And by private message within the room.
    bob.whisper(&format!("{ROOM}/viaduct"), "b9", "<body>@ada:hs.example: psst</body>")
        .await;
    let private = hub.message("psst").await;
    assert_eq!(private.place.channel.as_str(), format!("@ada:hs.example {ROOM}/Bob"));
    tell(&hub, &private.place.channel, "Ada", "$5", text("what?")).await;
    bob.until("the private answer", |xml| {
        xml.contains("Ada: what?") && xml.contains(&format!("from='{ROOM}/viaduct'"))
    })
    .await;
    hub.stop().await;
}

#[tokio::test]
async fn people_write_through_an_account_on_prosody() {
    if let Some(server) = Prosody::start().await {
        people_write_through_an_account_on(&server).await;
    }
}

#[tokio::test]
async fn people_write_through_an_account_on_ejabberd() {
    if let Some(server) = Ejabberd::start().await {
        people_write_through_an_account_on(&server).await;
    }
}
