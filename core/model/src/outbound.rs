//! What is about to be sent to a destination.

use serde::{Deserialize, Serialize};

use crate::event::{Content, Person};
use crate::ids::{DeliveryKey, MessageId, Place};
use crate::time::Timestamp;

/// One event on its way to one destination, already planned against that destination's capabilities: every id inside
/// [`Outbound::content`] is an id *there*, and the content is of a kind the destination can express.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Outbound {
    /// Recognises a repeated attempt.
    pub key: DeliveryKey,
    /// Where it goes.
    pub to: Place,
    /// Where it comes from.
    pub from: Place,
    /// On whose behalf it is sent.
    pub author: Author,
    /// When it happened at the source.
    pub at: Timestamp,
    /// What to send.
    pub content: Content,
    /// All parts at the destination of the message that [`Content::target`] names: a long message may have become several
    /// there. The first is the target itself. Of a reaction taken back: the ids of the reaction itself, where it has any.
    /// Empty when there is no target.
    pub parts: Vec<MessageId>,
}

impl Outbound {
    /// The messages at the destination that this is about: all of [`Outbound::parts`], or the target alone where nothing is
    /// known of parts. Empty when there is no target.
    pub fn targets(&self) -> &[MessageId] {
        if self.parts.is_empty() {
            self.content.target().map(std::slice::from_ref).unwrap_or_default()
        } else {
            &self.parts
        }
    }
}

/// On whose behalf something is sent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Author {
    /// The person at the source.
    pub person: Person,
    /// The name to show when the author cannot be represented by a puppet, told apart from others of the same name.
    pub display: String,
}

impl Author {
    /// The name as it can stand in front of somebody's words: in at most `bound` characters, without what turns the direction
    /// of writing or cannot be seen. The person's id where nothing is left of the name.
    pub fn shown(&self, bound: usize) -> String {
        let clean = |text: &str| -> String {
            let visible = |c: &char| !c.is_control() && !matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
            text.chars()
                .filter(visible)
                .take(bound)
                .collect::<String>()
                .trim()
                .to_owned()
        };
        let name = clean(&self.display);
        if name.is_empty() {
            clean(self.person.id.as_str())
        } else {
            name
        }
    }
}

/// What a destination made of an [`Outbound`].
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Receipt {
    /// The ids it was given there, in order; empty for what leaves no trace (a deletion, a topic).
    pub ids: Vec<MessageId>,
    /// When the destination accepted it, by the destination's clock, where it tells.
    pub at: Option<Timestamp>,
    /// What could not be expressed there, in a few words for the sender ("picture left out"); empty if nothing.
    pub losses: Vec<String>,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Outbound;
    use crate::arbitrary;
    use crate::capabilities::{Capabilities, Lookup, Support};
    use crate::event::Event;

    proptest! {
        #[test]
        fn events_survive_json(event in arbitrary::event()) {
            let json = serde_json::to_string(&event).unwrap();
            prop_assert_eq!(serde_json::from_str::<Event>(&json).unwrap(), event);
        }

        #[test]
        fn outbounds_survive_json(outbound in arbitrary::outbound()) {
            let json = serde_json::to_string(&outbound).unwrap();
            prop_assert_eq!(serde_json::from_str::<Outbound>(&json).unwrap(), outbound);
        }
    }

    proptest! {
        #[test]
        fn what_an_outbound_is_about_is_all_its_parts_or_its_target(outbound in arbitrary::outbound()) {
            let (targets, target) = (outbound.targets(), outbound.content.target());
            if outbound.parts.is_empty() {
                prop_assert_eq!((targets.first(), targets.len()), (target, usize::from(target.is_some())));
            } else {
                prop_assert_eq!(targets, outbound.parts.as_slice());
            }
        }
    }

    #[test]
    fn capabilities_survive_json() {
        let capabilities = Capabilities {
            edit: Support::Native,
            text_limit: Some(512),
            lookup: Lookup::Queryable,
            ..Capabilities::default()
        };
        let json = serde_json::to_string(&capabilities).unwrap();
        assert_eq!(serde_json::from_str::<Capabilities>(&json).unwrap(), capabilities);
    }
}
