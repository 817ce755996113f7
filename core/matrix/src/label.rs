//! The label of a room: what its people say about how far it may go, as a piece of the room's state.
//!
//! The state event has the type [`LABEL`], an empty state key, and the content `{"label": "internal"}`; without a label in it
//! the room has none. Whoever may set the room's state may set it, by default its moderators.

use serde_json::Value;
use viaduct_bridge::DeliveryError;

use crate::Homeserver;
use crate::client::As;

/// The type of the state event that labels a room.
pub const LABEL: &str = "eu.viaduct.label";
/// What stands for a label that cannot be read: no policy knows it, so it is above every ceiling.
const UNREADABLE: &str = "unreadable";
/// The longest label, in characters.
const LABEL_BOUND: usize = 100;

/// The label in the content of a state event.
pub(crate) fn label_of(content: &Value) -> Option<String> {
    let label = match content.get("label") {
        None | Some(Value::Null) => return None,
        Some(Value::String(label)) => label.trim(),
        Some(_) => UNREADABLE,
    };
    let readable = label.chars().count() <= LABEL_BOUND && !label.chars().any(char::is_control);
    let label = if readable { label } else { UNREADABLE };
    (!label.is_empty()).then(|| label.to_owned())
}

impl Homeserver {
    /// The label of a room, as its state says now.
    ///
    /// # Errors
    ///
    /// As of any delivery; if the bot (or in a direct chat its ghost) may not see the room's state, permanent.
    pub async fn label(&self, room: &str) -> Result<Option<String>, DeliveryError> {
        let ghost = self.ghost_of_direct(room).await;
        let who = As {
            user: ghost.as_deref(),
            at: None,
        };
        match self.api.state(room, LABEL, "", who).await {
            Ok(content) => Ok(label_of(&content)),
            Err(error) if error.is_missing() => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_cannot_be_read_is_no_label_of_anybody() {
        for none in [json!({}), json!({ "label": null }), json!({ "label": " " }), json!([])] {
            assert_eq!(label_of(&none), None, "{none}");
        }
        assert_eq!(label_of(&json!({ "label": " VS-NfD " })).as_deref(), Some("VS-NfD"));
        let odd = [json!(1), json!(["public"]), json!("x".repeat(101)), json!("a\u{0}b")];
        for odd in odd {
            assert_eq!(label_of(&json!({ "label": odd })).as_deref(), Some(UNREADABLE), "{odd}");
        }
    }
}
