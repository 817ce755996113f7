//! For whom a private message is that somebody writes to the hub, where people have no addresses of their own.
//!
//! Everybody who writes to somebody through the hub is remembered with them. What they write back is for whoever wrote the
//! message it refers to; else for whom it names at its beginning; else for whoever they are talking with, as long as nobody
//! else has written in between. Anything else is for nobody: a private message that reaches the wrong person is worse than one
//! that has to be written again.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};
use viaduct_model::document::{Block, Inline};
use viaduct_model::{Document, PersonId};

use crate::convert::{mentions, names};

/// So many people are remembered who write to one.
const PEOPLE: usize = 16;
/// So many messages are remembered with whom they were for. All of it stays within what the session's memory takes.
const MESSAGES: usize = 200;
/// So much of a message's name is enough to tell it from the others, in characters.
const NAME: usize = 12;
/// The longest name of a person that is remembered, in characters.
const CALLED: usize = 60;

/// Who writes to somebody through the hub.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Acquaintance {
    /// Latest last.
    people: Vec<Known>,
    /// With whom they are talking.
    current: Option<PersonId>,
    /// Messages of either, and the person on this side of the hub: enough of both names.
    messages: VecDeque<(String, String)>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Known {
    id: PersonId,
    name: String,
}

impl Acquaintance {
    /// Somebody writes to them, with these names of the message.
    pub fn writes(&mut self, person: &PersonId, name: &str, ids: &[String]) {
        let name: String = name.chars().filter(|c| !c.is_control()).take(CALLED).collect();
        self.people.retain(|known| known.id != *person);
        self.people.push(Known {
            id: person.clone(),
            name,
        });
        if self.people.len() > PEOPLE {
            self.people.remove(0);
        }
        if self.current.as_ref() != Some(person) {
            self.current = Some(person.clone()).filter(|_| self.people.len() == 1);
        }
        self.note(person, ids);
    }

    /// They write to somebody, with these names of the message.
    pub fn answers(&mut self, person: &PersonId, ids: &[String]) {
        if !self.people.iter().any(|known| known.id == *person) {
            self.writes(person, person.as_str(), &[]);
        }
        self.current = Some(person.clone());
        self.note(person, ids);
    }

    fn note(&mut self, person: &PersonId, ids: &[String]) {
        for id in ids {
            if self.messages.len() >= MESSAGES {
                self.messages.pop_front();
            }
            self.messages.push_back((short(id), short(person.as_str())));
        }
    }

    /// On whose behalf a message was sent, or to whom.
    pub fn behind(&self, id: &str) -> Option<&PersonId> {
        let id = short(id);
        let (_, person) = self.messages.iter().rev().find(|(name, _)| *name == id)?;
        let mut people = self.people.iter().map(|known| &known.id);
        people.find(|known| short(known.as_str()) == *person)
    }

    /// With whom they are talking, if that is beyond doubt.
    pub fn current(&self) -> Option<&PersonId> {
        self.current.as_ref()
    }

    /// What people are called who write to them, latest first.
    pub fn names(&self) -> Vec<&str> {
        self.people.iter().rev().map(|known| known.name.as_str()).collect()
    }

    /// Whom a text names at its beginning: somebody known by their name, or anybody by their Matrix id. The name is taken out.
    pub fn named(&self, text: &mut Document) -> Option<PersonId> {
        let Some(Block::Paragraph(content)) = text.blocks.first_mut() else {
            return None;
        };
        let Some(Inline::Text(first)) = content.first_mut() else {
            return None;
        };
        let (person, rest) = self.addressed(first)?;
        *first = rest;
        Some(person)
    }

    fn addressed(&self, text: &str) -> Option<(PersonId, String)> {
        let word = text.split_whitespace().next()?;
        let id = word.trim_end_matches([':', ',']);
        if id.starts_with('@')
            && id
                .split_once(':')
                .is_some_and(|(local, server)| local.len() > 1 && !server.is_empty())
        {
            let rest = text.trim_start().strip_prefix(word)?;
            return Some((PersonId::new(id).ok()?, rest.trim_start().to_owned()));
        }
        let names: Vec<String> = self.people.iter().map(|known| known.name.clone()).collect();
        let name = mentions::addressed(text, names.iter())?;
        let mut like = self.people.iter().filter(|known| known.name == *name);
        let (known, another) = (like.next()?, like.next());
        if another.is_some() {
            return None;
        }
        let rest = text.strip_prefix('@').unwrap_or(text).strip_prefix(name.as_str())?;
        Some((known.id.clone(), rest.trim_start_matches([':', ',', ' ']).to_owned()))
    }
}

/// Enough of a message's name.
fn short(id: &str) -> String {
    names::short_hash(id).chars().take(NAME).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn person(name: &str) -> PersonId {
        PersonId::new(format!("@{name}:hs.example")).unwrap()
    }

    #[test]
    fn whoever_is_alone_is_meant() {
        let mut known = Acquaintance::default();
        assert_eq!(known.current(), None);
        known.writes(&person("ada"), "Ada", &["k1".into()]);
        assert_eq!(known.current(), Some(&person("ada")));
        assert_eq!(known.behind("k1"), Some(&person("ada")));
        known.writes(&person("bert"), "Bert", &[]);
        assert_eq!(known.current(), None, "it may be for either of them");
        known.answers(&person("bert"), &["m1".into()]);
        known.writes(&person("bert"), "Bert", &["k2".into()]);
        assert_eq!(known.current(), Some(&person("bert")));
        assert_eq!(known.behind("m1"), Some(&person("bert")));
        assert_eq!(known.names(), ["Bert", "Ada"]);
        known.answers(&person("new"), &[]);
        assert_eq!(known.current(), Some(&person("new")));
    }

    #[test]
    fn names_at_the_beginning_are_taken_out() {
        let mut known = Acquaintance::default();
        known.writes(&person("ada"), "Ada", &[]);
        known.writes(&person("bert"), "Bert", &[]);
        let named = |text: &str| {
            let mut text = Document::plain(text);
            let person = known.named(&mut text);
            (person.map(|person| person.to_string()), text.to_plain())
        };
        let ada = || Some("@ada:hs.example".to_owned());
        assert_eq!(named("Ada: hi"), (ada(), "hi".into()));
        assert_eq!(named("@Ada hi"), (ada(), "hi".into()));
        assert_eq!(named("@ada:hs.example, hi"), (ada(), "hi".into()));
        assert_eq!(named("@new:other hi"), (Some("@new:other".into()), "hi".into()));
        assert_eq!(named("Adam: hi"), (None, "Adam: hi".into()));
        assert_eq!(named("hi"), (None, "hi".into()));
        assert_eq!(named("@:x hi"), (None, "@:x hi".into()));
    }

    #[test]
    fn two_of_a_name_are_told_apart_by_their_ids_only() {
        let mut known = Acquaintance::default();
        known.writes(&person("ada"), "Ada", &[]);
        known.writes(&person("ada2"), "Ada", &[]);
        assert_eq!(known.named(&mut Document::plain("Ada: hi")), None);
    }

    #[test]
    fn all_of_it_fits_into_the_memory() {
        let mut known = Acquaintance::default();
        for number in 0..1_000 {
            let who = person(&format!("{}{number}", "x".repeat(200)));
            known.writes(&who, &"ß".repeat(200), &[format!("k{number}")]);
        }
        assert_eq!((known.people.len(), known.messages.len()), (PEOPLE, MESSAGES));
        let size = serde_json::to_vec(&known).unwrap().len();
        assert!(size <= 16 * 1024, "{size}");
    }
}
