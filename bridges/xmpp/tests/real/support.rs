//! What the tests have in common.

use std::sync::Arc;

use viaduct_model::{Content, Message, Reaction};

use crate::common::Server;
use crate::common::hub::{Hub, Memory};
use crate::common::person::Person;
use crate::common::prosody::Prosody;

pub const ROOM: &str = "project@conference.localhost";

pub fn text(text: &str) -> Content {
    Content::Message(Message::plain(text))
}

pub fn reaction(key: &str) -> Reaction {
    Reaction {
        key: key.into(),
        image: None,
    }
}

/// A server, a person in the room, and a hub that is in, too.
pub async fn scene(extra: serde_json::Value) -> Option<(Prosody, Person, Hub)> {
    let server = Prosody::start().await?;
    let (bob, hub) = scene_on(&server, Memory::default(), extra).await;
    Some((server, bob, hub))
}

/// A person in the room, who made it, and a hub that is in, too.
pub async fn scene_on(server: &dyn Server, memory: Memory, extra: serde_json::Value) -> (Person, Hub) {
    let bob = Person::join(server, ROOM, "bob", "Bob").await;
    let hub = Hub::start(server, ROOM, &Arc::new(memory), extra);
    hub.until_up(1).await;
    (bob, hub)
}

/// Makes the hub an owner of the room.
pub async fn let_the_hub_rule(bob: &mut Person) {
    let owner = "<query xmlns='http://jabber.org/protocol/muc#admin'>\
        <item jid='viaduct@bridge.localhost' affiliation='owner'/></query>";
    assert!(bob.ask("set", owner).await.contains("type='result'"));
}

/// Sets something of the room as its owner.
pub async fn configure(owner: &mut Person, fields: &[(&str, &str)]) {
    let fields: String = [("FORM_TYPE", "http://jabber.org/protocol/muc#roomconfig")]
        .iter()
        .chain(fields)
        .map(|(name, value)| format!("<field var='{name}'><value>{value}</value></field>"))
        .collect();
    let form = format!("<x xmlns='jabber:x:data' type='submit'>{fields}</x>");
    let answer = owner
        .ask(
            "set",
            &format!("<query xmlns='http://jabber.org/protocol/muc#owner'>{form}</query>"),
        )
        .await;
    assert!(answer.contains("type='result'"), "{answer}");
}

/// The bytes of a file that the session opens.
pub async fn bytes_of(media: viaduct_bridge::Media) -> Vec<u8> {
    let pieces: Vec<_> = futures_util::StreamExt::collect(media.stream).await;
    pieces.into_iter().flat_map(|piece| piece.unwrap().to_vec()).collect()
}
