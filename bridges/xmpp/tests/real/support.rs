//! What the tests have in common.

use std::sync::Arc;

use viaduct_model::{Content, Message, Reaction};

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
    let bob = Person::join(&server, ROOM, "bob", "Bob").await;
    let hub = Hub::start(&server, ROOM, &Arc::new(Memory::default()), extra);
    hub.until_up(1).await;
    Some((server, bob, hub))
}
