//! What the fuzzers of `tests/fuzz` call: the pure parts that read what strangers wrote, with what has to hold of them.
//!
//! A breach is a panic, which is how a fuzzer learns of it; nothing else uses this module.

use serde_json::{Value, json};
use viaduct_model::{Content, Document, Message};

use crate::convert::raw::{RoomEvent, Transaction};
use crate::convert::world::world;
use crate::convert::{html as reader, inbound, outbound, render};

/// The kinds of room events that are converted.
const KINDS: [&str; 10] = [
    "m.room.message",
    "m.sticker",
    "m.reaction",
    "m.room.redaction",
    "m.room.member",
    "m.room.power_levels",
    "m.room.topic",
    "m.room.name",
    "m.room.avatar",
    "m.room.pinned_events",
];

/// A message's HTML becomes a tree in its normal form. What is written of that tree has the same text, and from then on reading
/// and writing changes nothing: HTML can say things in ways that are not kept, such as a link around nothing.
///
/// # Panics
///
/// If that does not hold.
pub fn html(text: &str) {
    let Some(document) = reader::parse(text, &world()) else {
        assert!(
            text.len() > reader::HTML_BOUND,
            "only HTML beyond the bound is not read"
        );
        return;
    };
    assert_eq!(
        document.clone().normal(),
        document,
        "a document that was read is in its normal form"
    );
    let Some(settled) = again(&document) else { return };
    assert_eq!(
        visible(&settled),
        visible(&document),
        "text was changed by writing: {document:?}"
    );
    if let Some(back) = again(&settled) {
        assert_eq!(back, settled, "what was written reads otherwise");
    }
}

/// Writes a document and reads it. None where escaping has made it longer than what is read.
fn again(document: &Document) -> Option<Document> {
    reader::parse(&render::render(document, &world()), &world())
}

/// The characters of a document other than white space.
fn visible(document: &Document) -> String {
    document.to_plain().chars().filter(|c| !c.is_whitespace()).collect()
}

/// What the homeserver could push is converted or ignored, and each message among it can be written again within the bound of
/// an event. Bytes that are no transaction and no event are taken for the content of an event of each kind.
///
/// # Panics
///
/// If that does not hold.
pub fn event(data: &[u8]) {
    if let Ok(transaction) = serde_json::from_slice::<Transaction<'_>>(data) {
        for raw in transaction.events {
            if let Ok(event) = serde_json::from_str(raw.get()) {
                convert(&event);
            }
        }
    }
    if let Ok(event) = serde_json::from_slice(data) {
        convert(&event);
    } else if let Ok(content) = serde_json::from_slice::<Value>(data) {
        for kind in KINDS {
            let event = json!({
                "type": kind, "room_id": "!room", "event_id": "$event", "sender": "@alice:example.org", "state_key": "@bob:example.org",
                "content": content, "unsigned": { "prev_content": content },
            });
            if let Ok(event) = serde_json::from_value(event) {
                convert(&event);
            }
        }
    }
}

fn convert(raw: &RoomEvent) {
    for event in inbound::convert(raw, &world()).unwrap_or_default() {
        if let Content::Message(message) | Content::Edit { message, .. } = &event.content {
            written(message);
        }
    }
}

/// The largest content that fits into an event, in bytes of JSON.
const EVENT_BOUND: usize = 64 * 1024;

fn written(message: &Message) {
    for content in outbound::texts(message, &world()) {
        let length = Value::Object(content).to_string().len();
        assert!(length < EVENT_BOUND, "a content of {length} bytes fits into no event");
    }
}
