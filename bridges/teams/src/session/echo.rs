//! What was done in a person's own name comes back by every feed, as theirs: recognised, so that it is not told again.
//!
//! A message is recognised by its id; and before that is known (the answer may come late, or never) by its wording, once for
//! each piece that is underway. What follows it is noted before it is done.

use std::collections::VecDeque;

use viaduct_model::{MessageId, Timestamp};

use super::channels::Channel;
use super::{Teams, locked};
use crate::convert::said::Said;

/// How many doings are remembered.
const DONE: usize = 512;
/// How far Microsoft's time of something may be from ours, in milliseconds.
const ABOUT: u64 = 300_000;

/// What was done in people's own names lately, and when.
#[derive(Debug, Default)]
pub struct Doings(VecDeque<(String, Timestamp)>);

impl Doings {
    fn note(&mut self, what: String, now: Timestamp) {
        self.0.push_back((what, now));
        let surplus = self.0.len().saturating_sub(DONE);
        self.0.drain(..surplus);
    }

    /// Whether it was done about then.
    fn holds(&self, what: &str, at: Timestamp) -> bool {
        let about = |then: Timestamp| then.as_millis().abs_diff(at.as_millis()) <= ABOUT;
        self.0.iter().any(|(known, then)| known == what && about(*then))
    }
}

fn edit(channel: &Channel, id: &MessageId, wording: &str) -> String {
    format!("edit {} {id} {wording}", channel.spelling)
}

fn reaction(channel: &Channel, id: &MessageId, user: &str, key: &str, added: bool) -> String {
    let key = key.replace('\u{fe0f}', "");
    format!("react {} {id} {user} {key} {added}", channel.spelling)
}

impl Teams {
    /// A message is about to get this wording in its author's own name.
    pub(super) fn rewording(&self, channel: &Channel, id: &MessageId, wording: &str) {
        locked(&self.doings).note(edit(channel, id, wording), self.context.clock.now());
    }

    /// A reaction is about to come or go in its author's own name.
    pub(super) fn reacting(&self, channel: &Channel, id: &MessageId, user: &str, key: &str, added: bool) {
        locked(&self.doings).note(reaction(channel, id, user, key, added), self.context.clock.now());
    }

    /// A message is about to be taken back in its author's own name; gives what undoes the note.
    pub(super) fn withdrawing(channel: &Channel, id: &MessageId) -> Option<u64> {
        let mut known = channel.known();
        let before = known.digest(id.as_str());
        known.touch(id.as_str());
        known.pending.remove(id.as_str());
        known.memory.told.tell(id.as_str(), 0);
        known.changed = true;
        before
    }

    /// It was not taken back after all.
    pub(super) fn not_withdrawn(channel: &Channel, id: &MessageId, before: Option<u64>) {
        channel.known().memory.told.tell(id.as_str(), before.unwrap_or(1));
    }

    /// Whether a message is one that we posted in its author's own name.
    pub(super) fn is_echo(&self, channel: &Channel, said: &Said) -> bool {
        let Some(user) = said.who.directory.as_deref() else {
            return false;
        };
        if channel.direct_to.is_some() || self.on_matrix(user).is_none() {
            return false;
        }
        let Some(id) = said.message_id() else { return false };
        if channel.known().memory.own.iter().any(|own| *own == id.as_str()) {
            return true;
        }
        let wording = super::lookup::wording(&said.readable());
        if locked(&self.doings).holds(&edit(channel, &id, &wording), said.modified) {
            return true;
        }
        let mut begun = locked(&self.begun);
        let own = begun.get_mut(&channel.spelling).into_iter().flatten();
        own.filter(|begun| begun.author.as_deref() == Some(user))
            .any(|begun| begun.covers(&id, &wording, said.at))
    }

    /// Whether an edit is one that we made in its author's own name.
    pub(super) fn is_echo_of_edit(&self, channel: &Channel, said: &Said) -> bool {
        if self.logins.is_empty() {
            return false;
        }
        let wording = super::lookup::wording(&said.readable());
        said.message_id()
            .is_some_and(|id| locked(&self.doings).holds(&edit(channel, &id, &wording), said.modified))
    }

    /// Whether a reaction is one that we put, or took back, in its author's own name.
    pub(super) fn is_echo_of_reaction(&self, channel: &Channel, what: Reacting<'_>) -> bool {
        let Reacting {
            target,
            user,
            key,
            added,
            at,
        } = what;
        locked(&self.doings).holds(&reaction(channel, target, user, key, added), at)
    }
}

/// A reaction that came or went.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reacting<'a> {
    pub target: &'a MessageId,
    pub user: &'a str,
    pub key: &'a str,
    pub added: bool,
    pub at: Timestamp,
}
