//! Reactions (XEP-0444): a stanza carries all reactions of one person to one message, an event one that changed.

use viaduct_model::{ChannelId, Content, Event, MessageId, Person, Reaction, Timestamp};

use super::Xmpp;
use super::room::Room;
use crate::convert::incoming::reaction_set;
use crate::convert::names::short_hash;

/// Under which name the reactions of a person to a message are remembered.
pub(super) fn key(channel: &ChannelId, target: &MessageId, person: &str) -> String {
    format!("react/{channel}/{}/{}", short_hash(target.as_str()), short_hash(person))
}

/// What changed from one set to another, each with a part for its event's id.
pub(super) fn changes(target: &MessageId, before: &[String], now: &[String]) -> Vec<(String, Content)> {
    let reaction = |emoji: &String| Reaction {
        key: emoji.clone(),
        image: None,
    };
    let gone = before.iter().filter(|emoji| !now.contains(emoji)).map(|emoji| {
        (
            format!("-{emoji}"),
            Content::Unreact {
                target: target.clone(),
                reaction: reaction(emoji),
            },
        )
    });
    let new = now.iter().filter(|emoji| !before.contains(emoji)).map(|emoji| {
        (
            format!("+{emoji}"),
            Content::React {
                target: target.clone(),
                reaction: reaction(emoji),
            },
        )
    });
    gone.chain(new).collect()
}

/// A set after one reaction was added or taken back.
pub(super) fn changed(mut set: Vec<String>, emoji: &str, added: bool) -> Vec<String> {
    set.retain(|other| other != emoji);
    if added {
        set.push(emoji.to_owned());
    }
    reaction_set(set.into_iter())
}

/// What a stanza with reactions says beside the reactions.
pub(super) struct Reacted {
    /// Its event id.
    pub id: MessageId,
    /// Who reacts.
    pub sender: Person,
    /// When.
    pub at: Timestamp,
    /// The room's resume position.
    pub cursor: Option<String>,
}

impl Xmpp {
    /// What changed with a person's new set. The set is only noted: [`Xmpp::keep_notes`] makes it last, after the events are
    /// in the inbox, so that a crash in between repeats them rather than loses them.
    pub(super) async fn reaction_events(
        &self,
        room: &Room,
        reacted: Reacted,
        target: &MessageId,
        set: &[String],
    ) -> Vec<Event> {
        let key = key(&room.channel, target, reacted.sender.id.as_str());
        let noted = room.state().noted_reactions.get(&key).cloned();
        let before = match noted {
            Some(noted) => noted,
            None => self.kept_reactions(&key).await,
        };
        let changes = changes(target, &before, set);
        if !changes.is_empty() {
            room.state().noted_reactions.insert(key, set.to_vec());
        }
        let event = |(part, content): (String, Content)| {
            Some(Event {
                place: room.place.clone(),
                id: MessageId::new(format!("{}/{part}", reacted.id)).ok()?,
                sender: reacted.sender.clone(),
                at: reacted.at,
                content,
                cursor: reacted.cursor.clone(),
                echo_of: None,
                direct_to: None,
            })
        };
        changes.into_iter().filter_map(event).collect()
    }

    /// The set remembered for good.
    pub(super) async fn kept_reactions(&self, key: &str) -> Vec<String> {
        let value = self.context.state.get(key).await.ok().flatten();
        value
            .and_then(|value| serde_json::from_slice(&value).ok())
            .unwrap_or_default()
    }

    /// Remembers a set for good.
    pub(super) async fn remember_reactions(&self, key: &str, set: &[String]) {
        let value = if set.is_empty() {
            None
        } else {
            serde_json::to_vec(set).ok()
        };
        if let Err(error) = self.context.state.put(vec![(key.to_owned(), value)]).await {
            tracing::warn!(%error, "Reactions could not be remembered.");
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn changes_lead_from_one_set_to_the_other(
            before in prop::collection::btree_set("[a-e]", 0..5),
            now in prop::collection::btree_set("[a-e]", 0..5),
        ) {
            let target = MessageId::new("t").unwrap();
            let (before, now): (Vec<_>, Vec<_>) = (before.into_iter().collect(), now.into_iter().collect());
            let mut set = before.clone();
            for (_, content) in changes(&target, &before, &now) {
                set = match content {
                    Content::React { reaction, .. } => changed(set, &reaction.key, true),
                    Content::Unreact { reaction, .. } => changed(set, &reaction.key, false),
                    other => panic!("{other:?}"),
                };
            }
            set.sort();
            prop_assert_eq!(set, now);
        }
    }
}
