//! What is remembered of a channel beyond restarts, to see after an absence what was done to messages that were told before.
//!
//! All of it is bounded, and each part fits into one value of the session's state.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde::{Deserialize, Serialize};

use crate::client::payload::Reacted;
use crate::convert::ids::{from_micros, micros};

/// How many of the channel's own messages are remembered.
const RECENT: usize = 300;
/// How many threads are watched.
const THREADS: usize = 100;
/// How many replies are remembered with their thread.
const REPLIES: usize = 400;
/// To how many messages reactions are remembered.
const REACTED: usize = 300;
/// How many people are remembered with one reaction.
const PEOPLE: usize = 100;
/// The largest value that is kept, in bytes.
const VALUE: usize = 15 * 1024;

/// The messages and threads that were seen lately.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Memory {
    /// The channel's own messages, oldest first, in microseconds.
    pub recent: VecDeque<u64>,
    /// Threads with the newest reply seen, in microseconds.
    pub threads: BTreeMap<String, u64>,
}

impl Memory {
    /// One of the channel's own messages was seen.
    pub fn said(&mut self, at: u64) {
        let place = self.recent.partition_point(|known| *known < at);
        if self.recent.get(place) != Some(&at) {
            self.recent.insert(place, at);
        }
        while self.recent.len() > RECENT {
            self.recent.pop_front();
        }
    }

    /// A reply was seen.
    pub fn replied(&mut self, root: &str, at: u64) {
        let last = self.threads.entry(root.to_owned()).or_default();
        *last = (*last).max(at);
        if self.threads.len() > THREADS {
            let oldest = self.threads.iter().min_by_key(|(_, last)| **last);
            if let Some(oldest) = oldest.map(|(root, _)| root.clone()) {
                self.threads.remove(&oldest);
            }
        }
    }

    /// A message is gone.
    pub fn forget(&mut self, ts: &str) {
        let at = micros(ts);
        self.recent.retain(|known| *known != at);
        self.threads.remove(ts);
    }
}

/// Replies with their threads, in the order in which they were seen; times in microseconds.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Replies(VecDeque<(u64, u64)>);

impl Replies {
    /// A reply was seen.
    pub fn said(&mut self, root: &str, at: u64) {
        let reply = (at, micros(root));
        if !self.0.contains(&reply) {
            self.0.push_back(reply);
        }
        while self.0.len() > REPLIES {
            self.0.pop_front();
        }
    }

    /// A reply is gone.
    pub fn forget(&mut self, ts: &str) {
        let at = micros(ts);
        self.0.retain(|(reply, _)| *reply != at);
    }

    /// The thread of a reply.
    pub fn thread_of(&self, ts: &str) -> Option<String> {
        let at = micros(ts);
        let found = self.0.iter().rev().find(|(reply, _)| *reply == at);
        found.map(|(_, root)| from_micros(*root))
    }

    /// The replies in a thread.
    pub fn of(&self, root: &str) -> impl Iterator<Item = u64> {
        let root = micros(root);
        self.0
            .iter()
            .filter(move |(_, known)| *known == root)
            .map(|(reply, _)| *reply)
    }
}

/// A reaction: its name and who reacted so.
pub type Reaction = (String, String);

/// Reactions to messages that were told.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Reactions {
    /// Of messages up to here they are not remembered.
    from: u64,
    /// By message, then by name.
    known: BTreeMap<u64, BTreeMap<String, BTreeSet<String>>>,
}

impl Reactions {
    /// Remembers nothing of messages up to here, where nothing is remembered yet.
    pub fn begin(&mut self, at: u64) {
        if self.from == 0 && self.known.is_empty() {
            self.from = at;
        }
    }

    /// Somebody reacted. Says whether that is new, as far as it is known.
    pub fn added(&mut self, ts: &str, name: &str, user: &str) -> bool {
        let at = micros(ts);
        if at <= self.from {
            return true;
        }
        let people = self.known.entry(at).or_default().entry(name.to_owned()).or_default();
        let new = if people.len() < PEOPLE {
            people.insert(user.to_owned())
        } else {
            !people.contains(user)
        };
        if self.known.len() > REACTED {
            self.drop_oldest();
        }
        new
    }

    /// Somebody took a reaction back. Says whether that is new, as far as it is known.
    pub fn removed(&mut self, ts: &str, name: &str, user: &str) -> bool {
        let at = micros(ts);
        let sure = self.from > 0 && at > self.from;
        let Some(names) = self.known.get_mut(&at) else {
            return !sure;
        };
        let people = names.get_mut(name);
        let new = people.is_some_and(|people| people.remove(user) || people.len() >= PEOPLE);
        names.retain(|_, people| !people.is_empty());
        if names.is_empty() {
            self.known.remove(&at);
        }
        new || !sure
    }

    /// A message is gone.
    pub fn forget(&mut self, ts: &str) {
        self.known.remove(&micros(ts));
    }

    /// The reactions that came and those that went since, given those that a message has now. Nothing went as far as Slack does
    /// not name everybody.
    pub fn missed(&self, at: u64, now: &[Reacted]) -> (Vec<Reaction>, Vec<Reaction>) {
        if at <= self.from {
            return Default::default();
        }
        let nobody = BTreeSet::new();
        let empty = BTreeMap::new();
        let before = self.known.get(&at).unwrap_or(&empty);
        let mut came = Vec::new();
        for reacted in now {
            let known = before.get(&reacted.name).unwrap_or(&nobody);
            let new = reacted.users.iter().filter(|user| !known.contains(*user));
            came.extend(new.map(|user| (reacted.name.clone(), user.clone())));
        }
        let mut went = Vec::new();
        for (name, people) in before {
            let is = now.iter().find(|reacted| reacted.name == *name);
            if is.is_some_and(|is| !is.is_whole()) {
                continue;
            }
            let gone = people
                .iter()
                .filter(|user| is.is_none_or(|is| !is.users.contains(*user)));
            went.extend(gone.map(|user| (name.clone(), user.clone())));
        }
        (came, went)
    }

    fn drop_oldest(&mut self) {
        if let Some((at, _)) = self.known.pop_first() {
            self.from = self.from.max(at);
        }
    }

    /// As a value to keep. The oldest are forgotten where it would be too large.
    pub fn kept(&mut self) -> Option<Vec<u8>> {
        loop {
            let value = serde_json::to_vec(self).ok()?;
            if value.len() <= VALUE {
                return Some(value);
            }
            for _ in 0..=self.known.len() / 10 {
                self.drop_oldest();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ts(number: u64) -> String {
        from_micros(1_700_000_000_000_000 + number)
    }

    fn reacted(name: &str, users: &[&str], count: u64) -> Reacted {
        Reacted {
            name: name.to_owned(),
            users: users.iter().map(|user| (*user).to_owned()).collect(),
            count: Some(count),
        }
    }

    fn pair(name: &str, user: &str) -> Reaction {
        (name.to_owned(), user.to_owned())
    }

    #[test]
    fn memory_is_bounded_and_ordered() {
        let (mut memory, mut replies, mut reactions) = (Memory::default(), Replies::default(), Reactions::default());
        for number in (0..RECENT as u64 + 10).rev() {
            memory.said(micros(&ts(number)));
        }
        for number in 0..THREADS as u64 + 10 {
            memory.replied(&ts(number), micros(&ts(9_000)));
        }
        for number in 0..REPLIES as u64 + 10 {
            replies.said(&ts(number), micros(&ts(10_000 + number)));
        }
        for number in 0..REACTED as u64 + 10 {
            for user in 0..9 {
                reactions.added(&ts(number), "white_check_mark", &format!("U0123ABCD{user}"));
            }
        }
        assert_eq!((memory.recent.len(), memory.threads.len()), (RECENT, THREADS));
        assert!(memory.recent.iter().is_sorted());
        let rows = [
            serde_json::to_vec(&memory).unwrap(),
            serde_json::to_vec(&replies).unwrap(),
        ];
        for row in rows.into_iter().chain(reactions.kept()) {
            assert!((1000..16 * 1024).contains(&row.len()), "{}", row.len());
        }
        let (came, _) = reactions.missed(micros(&ts(5)), &[reacted("tada", &["U1"], 1)]);
        assert_eq!(came, [], "what was forgotten is not guessed");
    }

    #[test]
    fn a_reply_is_found_with_its_thread() {
        let mut replies = Replies::default();
        for number in [1, 2, 2] {
            replies.said(&ts(0), micros(&ts(number)));
        }
        assert_eq!(replies.thread_of(&ts(2)), Some(ts(0)));
        replies.forget(&ts(1));
        assert_eq!(replies.of(&ts(0)).collect::<Vec<_>>(), [micros(&ts(2))]);
        assert_eq!(replies.thread_of(&ts(1)), None);
    }

    #[test]
    fn what_came_and_went_is_seen_as_far_as_slack_names_everybody() {
        let mut reactions = Reactions::default();
        reactions.begin(micros(&ts(0)));
        reactions.begin(micros(&ts(9)));
        assert!(reactions.added(&ts(1), "tada", "U1"));
        assert!(!reactions.added(&ts(1), "tada", "U1"));
        assert!(reactions.added(&ts(1), "eyes", "U1") && reactions.added(&ts(1), "wave", "U1"));
        assert!(reactions.removed(&ts(1), "wave", "U1"));
        assert!(!reactions.removed(&ts(1), "wave", "U1"), "told before");
        let at = micros(&ts(1));
        let now = [reacted("tada", &["U1", "U2"], 2)];
        let (came, went) = reactions.missed(at, &now);
        assert_eq!((came, went), (vec![pair("tada", "U2")], vec![pair("eyes", "U1")]));
        let (came, went) = reactions.missed(at, &[reacted("tada", &["U2"], 70), reacted("eyes", &[], 3)]);
        assert_eq!((came, went), (vec![pair("tada", "U2")], vec![]));
        assert_eq!(reactions.missed(micros(&ts(0)), &now), Default::default());
    }
}
