//! What is known of each mirrored channel, and the gate before it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};
use tokio::time::Instant;
use viaduct_bridge::secret::Secret;
use viaduct_model::{ChannelId, NetworkName, Place, Timestamp};

use super::order::Turns;
use super::told::Told;
use crate::client::graph::Scope;
use crate::convert::ids::is_conversation;

/// How many reply chains are watched.
const CHAINS: usize = 60;
/// How many messages that people posted in their own names are remembered.
const OWN: usize = 100;
/// How many messages that came back are remembered.
const RETURNED: usize = 20;
/// How many messages may be told of while Graph is read.
const MEANWHILE: usize = 20_000;

/// How the operator names a channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spelled<'a> {
    /// By the id of a channel or chat.
    Id(&'a str),
    /// By a team and a channel in it, each by its name or id.
    Names(&'a str, &'a str),
}

/// Reads a spelling; none if it is no channel.
pub fn spelled(channel: &ChannelId) -> Option<Spelled<'_>> {
    let text = channel.as_str();
    if is_conversation(text) {
        return Some(Spelled::Id(text));
    }
    let (team, name) = text.split_once('/')?;
    let (team, name) = (team.trim(), name.trim());
    (!team.is_empty() && !name.is_empty()).then_some(Spelled::Names(team, name))
}

/// Where a channel is; kept durably.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Location {
    /// Its id.
    pub thread: Option<String>,
    /// The team's group, which Graph wants.
    pub group: Option<String>,
    /// The team's own id, which activities name.
    pub team: Option<String>,
    /// The address of the connector.
    pub service: Option<String>,
    /// Its name.
    pub name: String,
    /// How Graph names a chat, where that is another name than the connector's.
    pub chat: Option<String>,
}

impl Location {
    /// Takes over what an activity says; whether something of it is new.
    pub fn learn(&mut self, service: &str, group: Option<&str>, team: Option<&str>) -> bool {
        let said = [
            (&mut self.service, Some(service)),
            (&mut self.group, group),
            (&mut self.team, team),
        ];
        let mut changed = false;
        for (known, said) in said {
            if said.is_some() && known.as_deref() != said {
                *known = said.map(str::to_owned);
                changed = true;
            }
        }
        changed
    }
}

/// What was seen lately; kept durably.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Memory {
    /// Up to here, in milliseconds, everything that changed was told.
    pub swept: Option<u64>,
    /// What was said up to here is older than the mirror and never told, in milliseconds.
    pub begun: Option<u64>,
    /// What was told of messages: a digest of the wording, zero where the message is gone.
    pub told: Told,
    /// Reply chains that went on, and when.
    pub chains: BTreeMap<String, u64>,
    /// Messages that were withdrawn and came back, under the name they have now.
    pub returned: BTreeMap<String, String>,
    /// Messages that we posted in their authors' own names.
    pub own: VecDeque<String>,
}

impl Memory {
    /// A reply chain goes on.
    pub fn goes_on(&mut self, root: &str, at: u64) {
        let last = self.chains.entry(root.to_owned()).or_default();
        *last = at.max(*last);
        if self.chains.len() > CHAINS {
            let oldest = self
                .chains
                .iter()
                .min_by_key(|(_, at)| **at)
                .map(|(root, _)| root.clone());
            if let Some(oldest) = oldest {
                self.chains.remove(&oldest);
            }
        }
    }

    /// We posted a message in its author's own name.
    pub fn speaks(&mut self, id: &str) {
        self.own.push_back(id.to_owned());
        let surplus = self.own.len().saturating_sub(OWN);
        self.own.drain(..surplus);
    }

    /// A message came back under another name.
    pub fn comes_back(&mut self, id: &str, now: &str) {
        self.returned.insert(id.to_owned(), now.to_owned());
        while self.returned.len() > RETURNED {
            self.returned.pop_first();
        }
    }
}

/// A subscription of Graph's for one channel.
#[derive(Debug, Clone)]
pub struct Subscription {
    /// Its id.
    pub id: String,
    /// What every notification of it has to carry.
    pub secret: Secret,
    /// When it ends.
    pub until: Timestamp,
    /// When it is renewed.
    pub renewed: Timestamp,
}

/// What is known of a channel.
#[derive(Debug, Default)]
pub struct Known {
    /// Where it is.
    pub location: Location,
    /// What was seen lately.
    pub memory: Memory,
    /// What was told and is not on stable storage yet.
    pub pending: BTreeMap<String, u64>,
    /// What of that was added since it was last asked for.
    pub fresh: Vec<(String, u64)>,
    /// The messages of which something was told since it was begun to read Graph; what is read of them may be older.
    pub meanwhile: Option<BTreeSet<String>>,
    /// Whether the memory changed since it was kept.
    pub changed: bool,
    /// Why the channel cannot be used.
    pub trouble: Option<String>,
    /// Whether that is because the app is not there; then it is looked now and then.
    pub removed: bool,
    /// Why its history cannot be read.
    pub unread: Option<String>,
    /// The subscription, while there is one.
    pub subscription: Option<Subscription>,
    /// Why there is no subscription.
    pub unsubscribed: Option<String>,
    /// When it was asked last which group the team is.
    pub asked: Option<Instant>,
    /// The newest position told.
    pub newest: u64,
    /// When the newest first message of a reply chain was said that was told.
    pub newest_root: u64,
    /// When it is asked whether something was missed.
    pub checks: Turns,
    /// Whether the mirror has ended: nothing of the channel concerns us any more.
    pub left: bool,
    /// The reactions that messages have, as far as they were seen since the start: message, person, kind.
    pub reactions: BTreeMap<String, Vec<(String, String)>>,
}

impl Known {
    /// The app is not there.
    pub fn shut_out(&mut self) {
        self.removed = true;
        self.trouble = Some("the app was removed in Teams, or never installed there; install it".to_owned());
    }

    /// What was told of a message, stored or not.
    pub fn digest(&self, id: &str) -> Option<u64> {
        self.pending.get(id).copied().or_else(|| self.memory.told.digest(id))
    }

    /// Something is told of a message.
    pub fn tell(&mut self, id: &str, digest: u64) {
        self.touch(id);
        self.pending.insert(id.to_owned(), digest);
        self.fresh.push((id.to_owned(), digest));
    }

    /// Something of a message is another from now on than Graph may have said before.
    pub fn touch(&mut self, id: &str) {
        if let Some(meanwhile) = &mut self.meanwhile
            && meanwhile.len() < MEANWHILE
        {
            meanwhile.insert(id.to_owned());
        }
    }

    /// The messages that were touched since it was begun to read Graph; none if they were too many to remember.
    pub fn touched(&mut self) -> Option<BTreeSet<String>> {
        let touched = self.meanwhile.take().unwrap_or_default();
        (touched.len() < MEANWHILE).then_some(touched)
    }

    /// What was told is on stable storage, or never will be.
    pub fn settle(&mut self, told: Vec<(String, u64)>, stored: bool) {
        for (id, digest) in told {
            if self.pending.get(&id) == Some(&digest) {
                self.pending.remove(&id);
            }
            if stored {
                self.memory.told.tell(&id, digest);
                self.changed = true;
            }
        }
    }
}

/// One mirrored channel.
#[derive(Debug)]
pub struct Channel {
    /// As the operator spells it.
    pub spelling: ChannelId,
    /// As the hub names it.
    pub place: Place,
    /// Of a chat between two people: the Matrix user.
    pub direct_to: Option<String>,
    /// Held while the channel's events are put in order.
    pub gate: Arc<tokio::sync::Mutex<()>>,
    known: Mutex<Known>,
}

impl Channel {
    /// A channel of which nothing is known.
    pub fn new(network: &NetworkName, spelling: &ChannelId) -> Self {
        Self {
            place: Place::new(network.clone(), spelling.clone()),
            spelling: spelling.clone(),
            direct_to: None,
            gate: Arc::default(),
            known: Mutex::default(),
        }
    }

    /// A chat with a Matrix user, ordered together with the others of the same person.
    pub fn direct(network: &NetworkName, spelling: &ChannelId, with: &str, gate: &Arc<tokio::sync::Mutex<()>>) -> Self {
        Self {
            direct_to: Some(with.to_owned()),
            gate: Arc::clone(gate),
            ..Self::new(network, spelling)
        }
    }

    /// What is known of it.
    pub fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Its id, if it is known and can be used.
    ///
    /// # Errors
    ///
    /// Why not.
    pub fn usable(&self) -> Result<String, String> {
        let known = self.known();
        match (&known.location.thread, &known.trouble) {
            _ if known.left => Err("the mirror has ended".to_owned()),
            (_, Some(trouble)) => Err(trouble.clone()),
            (Some(thread), None) => Ok(thread.clone()),
            (None, None) => Err("the channel has not been found yet".to_owned()),
        }
    }

    /// Where Graph has its messages, once that is known.
    pub fn scope(&self) -> Option<Scope> {
        let known = self.known();
        let thread = known.location.thread.clone()?;
        if is_chat(&thread) {
            return Some(Scope::Chat(known.location.chat.clone().unwrap_or(thread)));
        }
        known.location.group.clone().map(|group| Scope::Channel(group, thread))
    }

    /// Whether it is a chat and no channel of a team.
    pub fn is_chat(&self) -> bool {
        let known = self.known();
        match (&known.location.thread, spelled(&self.spelling)) {
            _ if self.direct_to.is_some() => true,
            (Some(thread), _) => is_chat(thread),
            (None, Some(Spelled::Id(id))) => is_chat(id),
            _ => false,
        }
    }
}

fn is_chat(thread: &str) -> bool {
    !thread.contains("@thread.tacv2") && !thread.contains("@thread.skype")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channels_are_spelled_by_id_or_by_names() {
        let read = |text: &str| spelled(&ChannelId::new(text).unwrap()).map(|found| format!("{found:?}"));
        assert_eq!(read("19:a@thread.tacv2").as_deref(), Some("Id(\"19:a@thread.tacv2\")"));
        assert_eq!(
            read("Sales / General").as_deref(),
            Some("Names(\"Sales\", \"General\")")
        );
        assert_eq!(read("General"), None);
        assert_eq!(read("/x"), None);
    }

    #[test]
    fn memory_is_bounded_and_keeps_the_newest() {
        let mut memory = Memory::default();
        let name = |number: u64| format!("1485983408511/{:013}", 1_485_983_408_511 + number);
        for number in 0..1000_u64 {
            memory.told.tell(&name(number), u64::MAX - number);
            memory.speaks(&name(number));
            memory.goes_on(&format!("{number:013}"), 1_485_983_408_511 + number);
            memory.comes_back(&name(number), &format!("again/{}/1485983408511", name(number)));
        }
        memory.told.tell(&name(999), 7);
        assert_eq!(
            (memory.told.digest(&name(999)), memory.told.digest(&name(1))),
            (Some(7), None)
        );
        assert!(memory.chains.contains_key("0000000000999") && !memory.chains.contains_key("0000000000000"));
        assert!(serde_json::to_vec(&memory).unwrap().len() < 16 * 1024);
    }
}
