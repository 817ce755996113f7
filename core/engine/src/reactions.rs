//! Remembering reactions, so that one taken back can be found again: networks name it by (message, person, emoji), the
//! homeserver by the reaction's own event.

use viaduct_model::{Content, DeliveryKey, Event, MessageId, Place, Reaction};
use viaduct_store::{Op, Store, StoreError};

/// The engine's own rows in the store's state table.
pub(crate) const OWNER: &str = "engine";

/// What is written with a reaction's acceptance.
pub(crate) fn remember(event: &Event) -> Option<Op> {
    let Content::React { target, reaction } = &event.content else {
        return None;
    };
    let key = key_of(&event.place, target, event.sender.id.as_str(), reaction)?;
    Some(Op::State {
        owner: OWNER.to_owned(),
        key,
        value: Some(event.id.as_str().as_bytes().to_vec()),
    })
}

/// The event by which `sender` last reacted so to `target`.
pub(crate) async fn find(
    store: &dyn Store,
    place: &Place,
    target: &MessageId,
    sender: &str,
    reaction: &Reaction,
) -> Result<Option<MessageId>, StoreError> {
    let Some(key) = key_of(place, target, sender, reaction) else {
        return Ok(None);
    };
    let value = store.state(OWNER, &key).await?;
    Ok(value
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .and_then(|id| MessageId::new(id).ok()))
}

/// A key of bounded length for (place, message, person, emoji).
fn key_of(place: &Place, target: &MessageId, sender: &str, reaction: &Reaction) -> Option<String> {
    let parts = MessageId::new(DeliveryKey::derive(place, target, place).as_str()).ok()?;
    let who = viaduct_model::ChannelId::new(sender).ok()?;
    let emoji = viaduct_model::ChannelId::new(if reaction.key.is_empty() { "?" } else { &reaction.key }).ok()?;
    let network = place.network.clone();
    let key = DeliveryKey::derive(&Place::new(network.clone(), who), &parts, &Place::new(network, emoji));
    Some(format!("reaction/{key}"))
}
