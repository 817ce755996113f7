//! What a person on Matrix sees.

use serde_json::Value;

/// One event of a room's timeline.
#[derive(Debug, Clone, PartialEq)]
pub struct Seen {
    /// The room.
    pub room: String,
    /// The event as the homeserver sent it.
    pub event: Value,
}

impl Seen {
    /// A value within the event by JSON pointer, as text; empty if it is not there.
    pub fn text(&self, pointer: &str) -> &str {
        self.event.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
    }

    /// Its id.
    pub fn id(&self) -> &str {
        self.text("/event_id")
    }

    /// Its sender.
    pub fn sender(&self) -> &str {
        self.text("/sender")
    }

    /// Its type.
    pub fn kind(&self) -> &str {
        self.text("/type")
    }

    /// The text of a message.
    pub fn body(&self) -> &str {
        self.text("/content/body")
    }

    /// Whether it gives an event another wording, this one.
    pub fn rewords(&self, event: &str, words: &str) -> bool {
        self.text("/content/m.relates_to/rel_type") == "m.replace"
            && self.text("/content/m.relates_to/event_id") == event
            && self.text("/content/m.new_content/body") == words
    }

    /// Whether it takes an event back; where that stands has moved between versions of rooms.
    pub fn redacts(&self, event: &str) -> bool {
        self.kind() == "m.room.redaction" && [self.text("/redacts"), self.text("/content/redacts")].contains(&event)
    }

    /// Whether it is a reaction to an event, with this emoji.
    pub fn reacts(&self, event: &str, key: &str) -> bool {
        self.kind() == "m.reaction"
            && self.text("/content/m.relates_to/event_id") == event
            && self.text("/content/m.relates_to/key") == key
    }

    /// The first event of the thread it is in; empty if it is in none.
    pub fn thread(&self) -> &str {
        match self.text("/content/m.relates_to/rel_type") {
            "m.thread" => self.text("/content/m.relates_to/event_id"),
            _ => "",
        }
    }

    /// What somebody became in the room, such as `join`, if it is about them.
    pub fn membership(&self, person: &str) -> &str {
        match (self.kind(), self.text("/state_key")) {
            ("m.room.member", key) if key == person => self.text("/content/membership"),
            _ => "",
        }
    }
}
