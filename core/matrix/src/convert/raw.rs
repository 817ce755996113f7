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

/// What the body of a transaction says about keys, in the stable and the unstable names; both spellings of the counts are in
/// use. Read only where encryption is on.
#[derive(Debug, Deserialize)]
pub(crate) struct KeyChanges<'a> {
    #[serde(borrow, default)]
    to_device: Vec<&'a RawValue>,
    #[serde(borrow, default, rename = "de.sorunome.msc2409.to_device")]
    to_device_unstable: Vec<&'a RawValue>,
    #[serde(borrow)]
    device_lists: Option<&'a RawValue>,
    #[serde(borrow, rename = "org.matrix.msc3202.device_lists")]
    device_lists_unstable: Option<&'a RawValue>,
    #[serde(borrow)]
    device_one_time_keys_count: Option<&'a RawValue>,
    #[serde(borrow, rename = "org.matrix.msc3202.device_one_time_keys_count")]
    counts_unstable: Option<&'a RawValue>,
    #[serde(borrow, rename = "org.matrix.msc3202.device_one_time_key_counts")]
    counts_other: Option<&'a RawValue>,
    #[serde(borrow)]
    device_unused_fallback_key_types: Option<&'a RawValue>,
    #[serde(borrow, rename = "org.matrix.msc3202.device_unused_fallback_key_types")]
    fallbacks_unstable: Option<&'a RawValue>,
}

impl<'a> KeyChanges<'a> {
    /// The messages to devices.
    pub(crate) fn to_device(&self) -> impl Iterator<Item = &&'a RawValue> {
        self.to_device.iter().chain(&self.to_device_unstable)
    }

    /// Whose devices changed.
    pub(crate) fn device_lists(&self) -> [Option<&'a RawValue>; 2] {
        [self.device_lists, self.device_lists_unstable]
    }

    /// How many one-time keys the homeserver has left, by user and device.
    pub(crate) fn counts(&self) -> [Option<&'a RawValue>; 3] {
        [self.device_one_time_keys_count, self.counts_unstable, self.counts_other]
    }

    /// Which sorts of fallback keys it has, by user and device.
    pub(crate) fn fallbacks(&self) -> [Option<&'a RawValue>; 2] {
        [self.device_unused_fallback_key_types, self.fallbacks_unstable]
    }

    /// Whether there is anything.
    pub(crate) fn is_there(&self) -> bool {
        let said = self
            .device_lists()
            .into_iter()
            .chain(self.counts())
            .chain(self.fallbacks());
        self.to_device().next().is_some() || said.flatten().next().is_some()
    }
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
    /// The same event with what was encrypted in it.
    pub(crate) fn opened(&self, kind: String, content: Value) -> Self {
        Self {
            kind,
            room_id: self.room_id.clone(),
            event_id: self.event_id.clone(),
            sender: self.sender.clone(),
            origin_server_ts: self.origin_server_ts,
            content,
            state_key: None,
            redacts: None,
            unsigned: Value::Null,
            prev_content: Value::Null,
        }
    }

    /// Whether nothing is left in it, as after it was withdrawn.
    pub(crate) fn is_empty(&self) -> bool {
        self.content.as_object().is_none_or(serde_json::Map::is_empty)
    }

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
