//! What the stub remembers.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

/// One event that was sent into a room.
#[derive(Debug, Clone)]
pub struct Sent {
    /// The transaction id it was sent with.
    pub transaction: String,
    /// Who sent it.
    pub sender: String,
    /// Its type.
    pub kind: String,
    /// The text of a message; of others, the whole content as JSON.
    pub body: String,
    /// When it arrived.
    pub at: Instant,
}

/// What was counted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts {
    /// Messages taken.
    pub messages: u64,
    /// Sends that came again with the same transaction id, and were not taken again.
    pub repeats: u64,
    /// Sends that came again with the same transaction id but another content, type or room.
    pub violations: u64,
    /// Sends that were made to fail.
    pub faults: u64,
    /// Users registered.
    pub registered: u64,
    /// Requests of any kind.
    pub requests: u64,
    /// Requests that the stub does not know, by method and path; at most a hundred are kept.
    pub unknown: Vec<String>,
}

/// How a send can fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// 429 with this wait.
    Limited {
        /// How long the sender is asked to wait.
        retry_after: Duration,
    },
    /// 500, not taken.
    ServerError,
    /// 502 with a page that is not JSON, as a proxy would give; not taken.
    BadGateway,
    /// Taken, but the connection breaks before the answer.
    LoseAnswer,
    /// Never answered; not taken.
    Hang,
}

#[derive(Debug, Default)]
pub(super) struct Faults {
    pub(super) next: Option<(Fault, u64)>,
    pub(super) every: Option<(Fault, u64)>,
    count: u64,
}

impl Faults {
    /// How the send that has just come is to fail.
    pub(super) fn draw(&mut self) -> Option<Fault> {
        self.count += 1;
        if let Some((fault, left)) = self.next.take() {
            if left > 1 {
                self.next = Some((fault, left - 1));
            }
            return Some(fault);
        }
        self.every
            .filter(|(_, n)| self.count.is_multiple_of(*n))
            .map(|(fault, _)| fault)
    }
}

#[derive(Debug, Default)]
pub(super) struct RoomState {
    pub(super) members: HashSet<String>,
    pub(super) sent: Vec<Sent>,
    /// By type and state key.
    pub(super) state: HashMap<(String, String), Value>,
}

/// An event as it was first sent.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct First {
    pub(super) event: String,
    pub(super) room: String,
    pub(super) kind: String,
    pub(super) content: u64,
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) bot: String,
    pub(super) users: HashSet<String>,
    pub(super) rooms: HashMap<String, RoomState>,
    pub(super) aliases: HashMap<String, String>,
    /// By sender and transaction id.
    pub(super) transactions: HashMap<(String, String), First>,
    pub(super) media: HashMap<String, (String, Vec<u8>)>,
    pub(super) profiles: HashMap<(String, String), Value>,
    pub(super) counts: Counts,
    pub(super) faults: Faults,
    pub(super) send_delay: Duration,
    pub(super) hub: Option<(String, String)>,
    serial: u64,
}

impl State {
    pub(super) fn new(bot: String) -> Self {
        Self {
            users: HashSet::from([bot.clone()]),
            bot,
            rooms: HashMap::new(),
            aliases: HashMap::new(),
            transactions: HashMap::new(),
            media: HashMap::new(),
            profiles: HashMap::new(),
            counts: Counts::default(),
            faults: Faults::default(),
            send_delay: Duration::ZERO,
            hub: None,
            serial: 0,
        }
    }

    /// A number that was not given before.
    pub(super) fn serial(&mut self) -> u64 {
        self.serial += 1;
        self.serial
    }

    pub(super) fn room(&mut self, id: &str) -> &mut RoomState {
        self.rooms.entry(id.to_owned()).or_default()
    }

    /// Whether somebody may speak in a room.
    pub(super) fn is_joined(&self, room: &str, user: &str) -> bool {
        self.rooms.get(room).is_some_and(|room| room.members.contains(user))
    }

    /// Takes an event once for each sender and transaction id; gives its event id.
    pub(super) fn take(&mut self, room: &str, sent: Sent, content: u64) -> String {
        let key = (sent.sender.clone(), sent.transaction.clone());
        if let Some(first) = self.transactions.get(&key) {
            self.counts.repeats += 1;
            if (first.room.as_str(), first.kind.as_str(), first.content) != (room, sent.kind.as_str(), content) {
                self.counts.violations += 1;
            }
            return first.event.clone();
        }
        let event = format!("$sent{}", self.serial());
        if sent.kind == "m.room.message" {
            self.counts.messages += 1;
        }
        let first = First {
            event: event.clone(),
            room: room.to_owned(),
            kind: sent.kind.clone(),
            content,
        };
        self.transactions.insert(key, first);
        self.room(room).sent.push(sent);
        event
    }
}
