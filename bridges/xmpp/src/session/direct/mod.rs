//! Conversations between two people: a Matrix person, and somebody on the network (or an occupant of a room, by private
//! message).
//!
//! Where Matrix people have puppets, the puppet is one side; elsewhere the hub speaks for them, with their name in front, and
//! [`acquaintance`] tells for whom an answer is. There is neither a reflection nor an archive. A delivery counts as made once
//! the server has answered a request sent after the message: it has then taken the message, and has told if it refuses it.

mod acquaintance;
mod inbound;
mod outbound;
mod pair;
mod relayed;

use viaduct_model::MessageId;

pub use pair::{Own, Pair};
pub(super) use relayed::Asked;

use crate::convert::names;
use crate::convert::outgoing::key_of;

/// A delivery key has so many characters.
const KEY_LENGTH: usize = 32;

/// The message meant by an id in a stanza of this sender: one of the hub's, by its key, or one of the sender's own.
fn target_of(sender: &str, id: &str) -> Option<MessageId> {
    let key = key_of(id);
    if key.len() == KEY_LENGTH
        && key
            .bytes()
            .all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
    {
        return MessageId::new(id).ok();
    }
    names::made_id(sender, id)
}

/// What stanzas call a message.
fn name_of(id: &MessageId) -> String {
    id.as_str()
        .split_once(' ')
        .map_or_else(|| id.to_string(), |(_, name)| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_lead_back_to_names() {
        let id = names::made_id("bob@x", "m 1").unwrap();
        assert_eq!(name_of(&id), "m 1");
        let key = "0123456789abcdef0123456789abcdef";
        assert_eq!(target_of("bob@x", key).unwrap().as_str(), key);
        assert_eq!(target_of("bob@x", "m 1"), Some(id));
    }
}
