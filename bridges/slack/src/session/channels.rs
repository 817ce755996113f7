//! What is known of the mirrored channels, and the gate before each.
//!
//! Events of a channel go straight to the hub while its gate is open. While something has to be asked first (the history after
//! an absence, who somebody is) the gate is shut: what comes waits in order, and one task works it off. So one channel's
//! trouble holds up no other, and a channel where all is known costs no task.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use viaduct_model::{ChannelId, NetworkName, Place};

use super::memory::{Memory, Reactions, Replies};
use crate::client::calls::Conversation;
use crate::client::socket::Incoming;
use crate::convert::ids::is_channel;

/// How many events wait at a shut gate. Further ones are not acknowledged, and the history is read once more.
const WAITING: usize = 2000;
/// How many people of a channel are remembered.
pub const MEMBERS: usize = 10_000;

/// A mirrored channel.
#[derive(Debug)]
pub struct Channel {
    /// As the configuration spells it, which is how the hub names it.
    pub spelling: ChannelId,
    /// The place for the hub.
    pub place: Place,
    state: Mutex<Known>,
}

/// What is known of a channel.
#[derive(Debug, Default)]
pub struct Known {
    /// Its id, once it was found.
    pub id: Option<String>,
    /// Its name.
    pub name: String,
    /// Its topic.
    pub topic: String,
    /// Its purpose.
    pub purpose: String,
    /// Whether it is shared with another organisation.
    pub shared: bool,
    /// Why it cannot be used; none if it can.
    pub trouble: Option<String>,
    /// Whether its mirror has ended: it is not used again.
    pub ended: bool,
    /// Who is in it, as far as it was told.
    pub members: HashSet<String>,
    /// The newest message seen, in microseconds.
    pub newest: u64,
    /// Messages and threads that were seen lately.
    pub memory: Memory,
    /// Replies that were seen lately.
    pub replies: Replies,
    /// Reactions that were told.
    pub reactions: Reactions,
    /// Whether anything of that changed since it was last kept.
    pub changed: bool,
    gate: Gate,
}

#[derive(Debug, Default)]
enum Gate {
    #[default]
    Open,
    Shut {
        waiting: VecDeque<Incoming>,
        overflowed: bool,
    },
}

/// What became of an event at a gate.
#[derive(Debug)]
pub enum Passage {
    /// It may go on at once.
    Free(Incoming),
    /// It waits.
    Waits,
}

/// What a channel's task does next.
#[derive(Debug)]
pub enum Work {
    /// This event.
    Event(Incoming),
    /// The history, once more: not everything that came could wait.
    History,
    /// Nothing; the gate is open again.
    Done,
}

impl Channel {
    fn new(network: &NetworkName, spelling: &ChannelId) -> Self {
        Self {
            spelling: spelling.clone(),
            place: Place::new(network.clone(), spelling.clone()),
            state: Mutex::default(),
        }
    }

    /// What is known.
    pub fn known(&self) -> MutexGuard<'_, Known> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The channel's id, if it was found and can be used.
    ///
    /// # Errors
    ///
    /// Why it cannot be used.
    pub fn usable(&self) -> Result<String, String> {
        let known = self.known();
        match (&known.id, &known.trouble) {
            (_, Some(trouble)) => Err(trouble.clone()),
            (Some(id), None) => Ok(id.clone()),
            (None, None) => Err("the channel was not looked up yet".to_owned()),
        }
    }

    /// Lets an event pass, or wait.
    pub fn admit(&self, incoming: Incoming) -> Passage {
        match &mut self.known().gate {
            Gate::Open => Passage::Free(incoming),
            Gate::Shut { waiting, overflowed } => {
                if waiting.len() < WAITING {
                    waiting.push_back(incoming);
                } else {
                    *overflowed = true;
                }
                Passage::Waits
            }
        }
    }

    /// Shuts the gate, with these events waiting first. Says whether it was open, so that a task is needed.
    pub fn shut(&self, first: Option<Incoming>) -> bool {
        let mut known = self.known();
        if let Gate::Shut { waiting, .. } = &mut known.gate {
            waiting.extend(first);
            return false;
        }
        known.gate = Gate::Shut {
            waiting: first.into_iter().collect(),
            overflowed: false,
        };
        true
    }

    /// Shuts the gate anew: nothing waits any more.
    pub fn reset(&self) {
        self.known().gate = Gate::Shut {
            waiting: VecDeque::new(),
            overflowed: false,
        };
    }

    /// Opens the gate: there is nothing to be asked for as long as the channel cannot be used.
    pub fn open(&self) {
        self.known().gate = Gate::Open;
    }

    /// Wants the history to be read again, by the task that is at work or, if it says so, by a new one.
    pub fn review(&self) -> bool {
        let mut known = self.known();
        if let Gate::Shut { overflowed, .. } = &mut known.gate {
            *overflowed = true;
            return false;
        }
        known.gate = Gate::Shut {
            waiting: VecDeque::new(),
            overflowed: true,
        };
        true
    }

    /// What is next at a shut gate.
    pub fn next(&self) -> Work {
        let mut known = self.known();
        let Gate::Shut { waiting, overflowed } = &mut known.gate else {
            return Work::Done;
        };
        if std::mem::take(overflowed) {
            return Work::History;
        }
        if let Some(incoming) = waiting.pop_front() {
            return Work::Event(incoming);
        }
        known.gate = Gate::Open;
        Work::Done
    }
}

impl Known {
    /// Takes what Slack says of the channel.
    pub fn learn(&mut self, conversation: &Conversation) {
        self.id = Some(conversation.id.clone());
        self.name.clone_from(&conversation.name);
        self.topic = conversation
            .topic
            .as_ref()
            .map(|topic| topic.value.clone())
            .unwrap_or_default();
        self.purpose = conversation
            .purpose
            .as_ref()
            .map(|purpose| purpose.value.clone())
            .unwrap_or_default();
        self.shared = conversation.is_ext_shared;
    }

    /// Remembers a message: one of the channel's own, or a reply in a thread.
    pub fn note(&mut self, ts: &str, thread: Option<&str>) {
        let at = crate::convert::ids::micros(ts);
        self.newest = self.newest.max(at);
        self.changed = true;
        match thread {
            None => self.memory.said(at),
            Some(root) => {
                self.memory.replied(root, at);
                self.replies.said(root, at);
            }
        }
    }

    /// Forgets a message that was deleted.
    pub fn forget(&mut self, ts: &str) {
        self.memory.forget(ts);
        self.replies.forget(ts);
        self.reactions.forget(ts);
        self.changed = true;
    }

    /// What is to be kept of it, by the name of its row; nothing if nothing changed.
    pub fn to_keep(&mut self) -> Vec<(&'static str, Vec<u8>)> {
        if !std::mem::take(&mut self.changed) {
            return Vec::new();
        }
        let rows = [
            ("memory", serde_json::to_vec(&self.memory).ok()),
            ("replies", serde_json::to_vec(&self.replies).ok()),
            ("reactions", self.reactions.kept()),
        ];
        rows.into_iter().filter_map(|(name, row)| Some((name, row?))).collect()
    }
}

/// All mirrored channels.
#[derive(Debug)]
pub struct Table {
    /// All of them.
    pub all: Vec<Arc<Channel>>,
    by_spelling: HashMap<ChannelId, Arc<Channel>>,
    by_id: Mutex<HashMap<String, Arc<Channel>>>,
}

impl Table {
    /// The channels of these spellings.
    pub fn new(network: &NetworkName, spellings: &[ChannelId]) -> Self {
        let all: Vec<_> = spellings
            .iter()
            .map(|spelling| Arc::new(Channel::new(network, spelling)))
            .collect();
        Self {
            by_spelling: all
                .iter()
                .map(|channel| (channel.spelling.clone(), Arc::clone(channel)))
                .collect(),
            all,
            by_id: Mutex::default(),
        }
    }

    /// The channel that the hub names so.
    pub fn spelled(&self, spelling: &ChannelId) -> Option<&Arc<Channel>> {
        self.by_spelling.get(spelling)
    }

    /// The channel with this id.
    pub fn with_id(&self, id: &str) -> Option<Arc<Channel>> {
        self.by_id
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(id)
            .cloned()
    }

    /// A channel has this id from now on.
    pub fn identify(&self, channel: &Arc<Channel>, id: &str) {
        let mut by_id = self.by_id.lock().unwrap_or_else(PoisonError::into_inner);
        by_id.retain(|_, known| !Arc::ptr_eq(known, channel));
        by_id.insert(id.to_owned(), Arc::clone(channel));
    }

    /// A channel is no longer listened to.
    pub fn dismiss(&self, channel: &Arc<Channel>) {
        let mut by_id = self.by_id.lock().unwrap_or_else(PoisonError::into_inner);
        by_id.retain(|_, known| !Arc::ptr_eq(known, channel));
    }

    /// How many can be used.
    pub fn usable(&self) -> usize {
        self.all.iter().filter(|channel| channel.usable().is_ok()).count()
    }
}

/// A spelling as an id or as a name without `#`.
#[derive(Debug, PartialEq, Eq)]
pub enum Spelled<'a> {
    /// An id.
    Id(&'a str),
    /// A name.
    Name(&'a str),
}

/// What a spelling means.
pub fn spelled(spelling: &ChannelId) -> Spelled<'_> {
    let text = spelling.as_str();
    if is_channel(text) {
        return Spelled::Id(text);
    }
    Spelled::Name(text.strip_prefix('#').unwrap_or(text))
}

/// Whether a channel may be spelled so.
pub fn is_spelling(spelling: &ChannelId) -> bool {
    match spelled(spelling) {
        Spelled::Id(id) => !id.starts_with('D'),
        Spelled::Name(name) => {
            (1..=80).contains(&name.chars().count())
                && !name.contains(|c: char| c.is_whitespace() || c.is_uppercase() || "#@/:<>&|".contains(c))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::socket::Ack;

    fn channel() -> Channel {
        Channel::new(&NetworkName::new("s").unwrap(), &ChannelId::new("#a").unwrap())
    }

    fn incoming(name: &str) -> Incoming {
        Incoming {
            callback: None,
            raw: name.into(),
            ack: Ack::Nobody,
            way: 0,
        }
    }

    #[test]
    fn what_waits_keeps_its_order_and_the_gate_opens_behind_it() {
        let channel = channel();
        assert!(matches!(channel.admit(incoming("0")), Passage::Free(_)));
        assert!(channel.shut(Some(incoming("1"))));
        assert!(!channel.shut(None));
        assert!(matches!(channel.admit(incoming("2")), Passage::Waits));
        let mut seen = Vec::new();
        while let Work::Event(event) = channel.next() {
            seen.push(event.raw.to_string());
        }
        assert_eq!(seen, ["1", "2"]);
        assert!(matches!(channel.admit(incoming("3")), Passage::Free(_)));
    }

    #[test]
    fn more_than_can_wait_means_the_history_once_more() {
        let channel = channel();
        channel.reset();
        for _ in 0..=WAITING {
            drop(channel.admit(incoming("x")));
        }
        assert!(matches!(channel.next(), Work::History));
        assert!(matches!(channel.next(), Work::Event(_)));
    }

    #[test]
    fn spellings() {
        for (text, good) in [
            ("#general", true),
            ("general", true),
            ("C0123", true),
            ("D0123", false),
            ("#A b", false),
        ] {
            assert_eq!(is_spelling(&ChannelId::new(text).unwrap()), good, "{text}");
        }
        assert_eq!(spelled(&ChannelId::new("#x").unwrap()), Spelled::Name("x"));
    }
}
