//! What is remembered about the latest messages of a room, to translate between the ids that stanzas use.

use std::collections::{HashMap, VecDeque};

use viaduct_model::MessageId;

/// So many messages of a room are remembered.
const BOUND: usize = 4096;

/// One message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// The id its sender gave the stanza.
    pub stanza: Option<String>,
    /// Who sent it: a person's id, or a puppet's address.
    pub sender: String,
    /// Their nick then.
    pub nick: String,
    /// The beginning of its text.
    pub text: String,
    /// Its thread's name.
    pub thread: Option<String>,
}

/// The latest messages of a room.
#[derive(Debug, Default)]
pub struct Index {
    events: HashMap<MessageId, Known>,
    stanzas: HashMap<(String, String), MessageId>,
    threads: HashMap<String, MessageId>,
    order: VecDeque<MessageId>,
}

impl Index {
    /// Remembers a message, forgetting the oldest if there are too many. A message already known stays as it is.
    pub fn remember(&mut self, id: MessageId, known: Known) {
        if self.events.contains_key(&id) {
            return;
        }
        if self.order.len() >= BOUND {
            self.forget_oldest();
        }
        if let Some(stanza) = &known.stanza {
            self.stanzas.insert((known.sender.clone(), stanza.clone()), id.clone());
        }
        if let Some(thread) = &known.thread {
            self.threads.entry(thread.clone()).or_insert_with(|| id.clone());
        }
        self.order.push_back(id.clone());
        self.events.insert(id, known);
    }

    fn forget_oldest(&mut self) {
        let Some(oldest) = self.order.pop_front() else { return };
        let Some(known) = self.events.remove(&oldest) else {
            return;
        };
        if let Some(stanza) = known.stanza {
            self.stanzas.remove(&(known.sender, stanza));
        }
        if let Some(thread) = known.thread.filter(|thread| self.threads.get(thread) == Some(&oldest)) {
            self.threads.remove(&thread);
        }
    }

    /// A message by its id.
    pub fn get(&self, id: &MessageId) -> Option<&Known> {
        self.events.get(id)
    }

    /// A sender's message by the id they gave it.
    pub fn by_stanza(&self, sender: &str, stanza: &str) -> Option<&MessageId> {
        self.stanzas.get(&(sender.to_owned(), stanza.to_owned()))
    }

    /// Anybody's message by the id it was given; for rooms that give no ids of their own.
    pub fn by_any_stanza(&self, stanza: &str) -> Option<&MessageId> {
        self.order.iter().rev().find(|id| {
            self.events
                .get(id)
                .is_some_and(|known| known.stanza.as_deref() == Some(stanza))
        })
    }

    /// The first message of a thread.
    pub fn thread_root(&self, thread: &str) -> Option<&MessageId> {
        self.threads.get(thread)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(stanza: &str) -> Known {
        Known {
            stanza: Some(stanza.into()),
            sender: "s".into(),
            nick: "n".into(),
            text: String::new(),
            thread: Some(format!("t{stanza}")),
        }
    }

    #[test]
    fn the_oldest_is_forgotten_everywhere() {
        let mut index = Index::default();
        for number in 0..=BOUND {
            index.remember(
                MessageId::new(format!("e{number}")).unwrap(),
                known(&number.to_string()),
            );
        }
        assert_eq!(index.by_stanza("s", "0"), None);
        assert_eq!(index.thread_root("t0"), None);
        assert_eq!(index.by_stanza("s", "1").map(MessageId::as_str), Some("e1"));
        assert_eq!(index.by_any_stanza("1").map(MessageId::as_str), Some("e1"));
        assert_eq!(
            (index.events.len(), index.stanzas.len(), index.threads.len()),
            (BOUND, BOUND, BOUND)
        );
    }
}
