//! Reactions (XEP-0444): a stanza carries all reactions of one person to one message, an event one that changed. People who
//! have no nick of their own share one set.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use viaduct_bridge::DeliveryError;
use viaduct_model::{ChannelId, Content, Event, MessageId, Outbound, Person, Reaction, Receipt, Timestamp};

use super::outbound::target_name;
use super::room::Room;
use super::{Xmpp, unsupported};
use crate::client::wire::Wire;
use crate::convert::incoming::reaction_set;
use crate::convert::names::short_hash;
use crate::convert::outgoing;

/// Under which name the reactions of a person to a message are remembered.
pub(super) fn key(channel: &ChannelId, target: &MessageId, person: &str) -> String {
    format!("react/{channel}/{}/{}", short_hash(target.as_str()), short_hash(person))
}

/// Under which name it is remembered who reacted to a message through the hub.
pub(super) fn shared_key(channel: &ChannelId, target: &MessageId) -> String {
    format!("react-for/{channel}/{}", short_hash(target.as_str()))
}

/// So many reactions of people are remembered for one message; a value of the session's memory is not large.
const SHARED_BOUND: usize = 300;

/// Who has which reaction to a message, of those who react through the hub.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Shared {
    people: BTreeMap<String, BTreeSet<String>>,
    /// The set that the room was last told.
    pub shown: Vec<String>,
}

impl Shared {
    /// Somebody added a reaction or took it back. Says whether there was room for it.
    pub fn change(&mut self, emoji: &str, person: &str, added: bool) -> bool {
        let person = short_hash(person);
        if !added {
            if let Some(people) = self.people.get_mut(emoji) {
                people.remove(&person);
            }
            self.people.retain(|_, people| !people.is_empty());
            return true;
        }
        if self.people.values().map(BTreeSet::len).sum::<usize>() >= SHARED_BOUND {
            return false;
        }
        self.people.entry(emoji.to_owned()).or_default().insert(person);
        true
    }

    /// Every reaction that somebody has.
    pub fn set(&self) -> Vec<String> {
        reaction_set(self.people.keys().cloned())
    }
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
    pub(super) async fn react(
        &self,
        room: &Room,
        wire: &Wire,
        outbound: &Outbound,
        target: &MessageId,
        emoji: &str,
        added: bool,
    ) -> Result<Receipt, DeliveryError> {
        let speaker = self.speaker_for(room, wire, outbound).await?;
        if speaker.relayed.is_some() {
            return self.react_for(room, wire, outbound, target, (emoji, added)).await;
        }
        let bare = speaker.address.to_bare();
        let key = key(&room.channel, target, bare.as_str());
        let set = changed(self.kept_reactions(&key).await, emoji, added);
        let name = target_name(room, target);
        let reflections = self
            .transmit(room, wire, &speaker, vec![outgoing::reactions(&name, &set)], outbound)
            .await?;
        self.remember_reactions(&key, &set).await;
        Ok(Receipt {
            ids: reflections.into_iter().map(|reflection| reflection.id).collect(),
            ..Receipt::default()
        })
    }

    /// Reacts for somebody without a nick of their own. All of them share the hub's one set of reactions: it has what at least
    /// one of them has.
    async fn react_for(
        &self,
        room: &Room,
        wire: &Wire,
        outbound: &Outbound,
        target: &MessageId,
        (emoji, added): (&str, bool),
    ) -> Result<Receipt, DeliveryError> {
        let key = shared_key(&room.channel, target);
        let mut shared = self.shared_reactions(&key).await;
        let person = &outbound.author.person;
        if !shared.change(emoji, &format!("{}/{}", person.network, person.id), added) {
            return Err(unsupported("too many people have reacted through the hub"));
        }
        let set = shared.set();
        let known = shared.shown == set;
        let mut receipt = Receipt::default();
        if !known {
            let stanzas = vec![outgoing::reactions(&target_name(room, target), &set)];
            let reflections = self.transmit(room, wire, &self.hub(), stanzas, outbound).await?;
            receipt.ids = reflections.into_iter().map(|reflection| reflection.id).collect();
            shared.shown = set;
        }
        self.remember_shared(&key, &shared).await;
        Ok(receipt)
    }

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

    /// Who has reacted to a message through the hub.
    pub(super) async fn shared_reactions(&self, key: &str) -> Shared {
        let value = self.context.state.get(key).await.ok().flatten();
        value
            .and_then(|value| serde_json::from_slice(&value).ok())
            .unwrap_or_default()
    }

    /// Remembers for good who has reacted to a message through the hub.
    pub(super) async fn remember_shared(&self, key: &str, shared: &Shared) {
        let value = serde_json::to_vec(shared).ok();
        if let Err(error) = self.context.state.put(vec![(key.to_owned(), value)]).await {
            tracing::warn!(%error, "Reactions could not be remembered.");
        }
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

    #[test]
    fn a_shared_reaction_stays_while_somebody_has_it() {
        let mut shared = Shared::default();
        for (emoji, person, added, expected) in [
            ("👍", "ada", true, &["👍"][..]),
            ("👍", "ada", true, &["👍"]),
            ("👍", "bert", true, &["👍"]),
            ("🎉", "bert", true, &["🎉", "👍"]),
            ("👍", "ada", false, &["🎉", "👍"]),
            ("👍", "nobody", false, &["🎉", "👍"]),
            ("👍", "bert", false, &["🎉"]),
        ] {
            assert!(shared.change(emoji, person, added));
            assert_eq!(shared.set(), expected);
        }
        let full = (0..=SHARED_BOUND)
            .filter(|number| shared.change("👍", &number.to_string(), true))
            .count();
        assert_eq!(full, SHARED_BOUND - 1);
        assert!(serde_json::to_vec(&shared).unwrap().len() < 16 * 1024);
    }

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
