//! The shapes of JSON that the homeserver pushes. Lenient: what is not understood is left to be ignored event by event.

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

/// The body of a transaction. The events stay text until each is looked at, so that one bad event spoils no other.
#[derive(Debug, Deserialize)]
pub(crate) struct Transaction<'a> {
    #[serde(borrow, default)]
    pub(crate) events: Vec<&'a RawValue>,
    #[serde(borrow, default)]
    pub(crate) ephemeral: Vec<&'a RawValue>,
    #[serde(borrow, default, rename = "de.sorunome.msc2409.ephemeral")]
    pub(crate) ephemeral_unstable: Vec<&'a RawValue>,
}

/// A room event.
#[derive(Debug, Deserialize)]
pub(crate) struct RoomEvent {
    #[serde(rename = "type")]
    pub(crate) kind: String,
    pub(crate) room_id: String,
    pub(crate) event_id: String,
    pub(crate) sender: String,
    #[serde(default)]
    pub(crate) origin_server_ts: u64,
    #[serde(default)]
    pub(crate) content: Value,
    #[serde(default)]
    pub(crate) state_key: Option<String>,
    /// The target of a redaction in room versions 1 to 10; later ones have it in the content.
    #[serde(default)]
    pub(crate) redacts: Option<Value>,
    #[serde(default)]
    unsigned: Value,
    #[serde(default)]
    prev_content: Value,
}

impl RoomEvent {
    /// What the state was before, where the homeserver tells.
    pub(crate) fn before(&self) -> Option<&Value> {
        [self.unsigned.get("prev_content"), Some(&self.prev_content)]
            .into_iter()
            .flatten()
            .find(|value| value.is_object())
    }
}

/// A typing notification or receipt.
#[derive(Debug, Deserialize)]
pub(crate) struct EphemeralEvent {
    #[serde(rename = "type")]
    pub(crate) kind: String,
    pub(crate) room_id: String,
    #[serde(default)]
    pub(crate) content: Value,
}

/// A text in a JSON object.
pub(crate) fn text<'a>(value: &'a Value, key: &str) -> Option<&'a str> {
    value.get(key)?.as_str()
}

/// What an event refers to, and how.
pub(crate) fn relation(content: &Value) -> Option<&Value> {
    content.get("m.relates_to").filter(|value| value.is_object())
}
