//! How events reach an app: spread over its sockets, each again until it is acknowledged, or signed to its address.
//!
//! An event that finds no socket is lost, as the worst of what Slack does: whoever was away has to read the history.

mod socket;
mod webhook;

pub(super) use socket::serve;
pub(super) use webhook::{Endpoint, verify};

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use serde_json::json;
use tokio::sync::{Notify, mpsc};
use tokio::time::Instant;

/// Sockets an app may have.
const MOST_SOCKETS: usize = 10;

/// When an event counts as not acknowledged, and when it comes again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Patience {
    /// How long an acknowledgement may take. Slack: 3 seconds.
    pub ack: Duration,
    /// How long after a failed attempt the next one follows; after the last the event is lost. Slack: at once, a
    /// minute, five minutes.
    pub retries: Vec<Duration>,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            ack: Duration::from_secs(3),
            retries: vec![Duration::ZERO, Duration::from_mins(1), Duration::from_mins(5)],
        }
    }
}

/// What became of an app's events.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct DeliveryCounts {
    /// Events there were for it.
    pub events: u64,
    /// Attempts made, the first of each event among them.
    pub attempts: u64,
    /// Attempts after the first.
    pub retries: u64,
    /// Events acknowledged.
    pub acked: u64,
    /// Acknowledgements of what was not, or no longer, awaiting one.
    pub stray_acks: u64,
    /// Events that found nobody, or were never acknowledged.
    pub lost: u64,
    /// Sockets that ever connected.
    pub sockets: u64,
}

/// Faults of delivery that were asked for; each counts down.
#[derive(Debug, Default)]
struct Faults {
    duplicate: u64,
    lose: u64,
    ignore_acks: u64,
    /// How many events to hold before they go out backwards.
    shuffle: usize,
    held: Vec<Event>,
}

/// An event on its way.
#[derive(Debug, Clone)]
struct Event {
    payload: Arc<str>,
    attempt: usize,
    reason: &'static str,
}

#[derive(Debug)]
struct Awaited {
    event: Event,
    socket: u64,
    until: Instant,
}

/// What a socket is told to do.
#[derive(Debug)]
enum Frame {
    Text(String),
    /// Closes it in order.
    Close,
    /// Breaks it.
    Break,
    /// Leaves it open, and does nothing with it any more.
    Freeze,
}

#[derive(Debug)]
struct Socket {
    number: u64,
    frames: mpsc::UnboundedSender<Frame>,
    /// Takes no new events: it is about to close.
    closing: bool,
}

#[derive(Debug, Default)]
struct Inner {
    app: String,
    patience: Patience,
    sockets: Vec<Socket>,
    turn: usize,
    count: u64,
    awaited: HashMap<String, Awaited>,
    /// Attempts that are still to come.
    later: VecDeque<(Instant, Event)>,
    endpoint: Option<mpsc::UnboundedSender<Event>>,
    /// Events handed to the endpoint that have no outcome yet.
    posting: usize,
    faults: Faults,
    counts: DeliveryCounts,
}

/// The way of events to one app.
#[derive(Debug)]
pub(super) struct Delivery {
    inner: Mutex<Inner>,
    /// Something was acknowledged, lost, connected or closed.
    changed: Notify,
}

/// Which of an app's sockets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// All of them.
    All,
    /// The one that connected first.
    Oldest,
    /// The one that connected last.
    Newest,
}

impl Delivery {
    pub(super) fn new(app: String, patience: Patience) -> Arc<Self> {
        let inner = Inner {
            app,
            patience,
            ..Inner::default()
        };
        let delivery = Arc::new(Self {
            inner: Mutex::new(inner),
            changed: Notify::new(),
        });
        tokio::spawn(keep_time(Arc::downgrade(&delivery)));
        delivery
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends an event on its way, in order.
    pub(super) fn push(&self, payload: Arc<str>) {
        let mut inner = self.lock();
        inner.counts.events += 1;
        let event = Event {
            payload,
            attempt: 0,
            reason: "",
        };
        if inner.faults.lose > 0 {
            inner.faults.lose -= 1;
            inner.counts.lost += 1;
        } else if inner.faults.held.len() < inner.faults.shuffle {
            inner.faults.held.push(event);
            if inner.faults.held.len() == inner.faults.shuffle {
                inner.faults.shuffle = 0;
                let held = std::mem::take(&mut inner.faults.held);
                held.into_iter().rev().for_each(|event| inner.send(event));
            }
        } else {
            if inner.faults.duplicate > 0 {
                inner.faults.duplicate -= 1;
                inner.send(event.clone());
            }
            inner.send(event);
        }
        drop(inner);
        self.changed.notify_waiters();
    }

    /// How many events wait for an acknowledgement.
    pub(super) fn awaited(&self) -> usize {
        let inner = self.lock();
        inner.awaited.len() + inner.later.len() + inner.posting
    }

    pub(super) fn counts(&self) -> DeliveryCounts {
        self.lock().counts.clone()
    }

    /// How many sockets are connected and take events.
    pub(super) fn sockets(&self) -> usize {
        self.lock().sockets.iter().filter(|socket| !socket.closing).count()
    }

    pub(super) fn set_patience(&self, patience: Patience) {
        self.lock().patience = patience;
    }

    pub(super) fn duplicate_next(&self, count: u64) {
        self.lock().faults.duplicate = count;
    }

    pub(super) fn lose_next(&self, count: u64) {
        self.lock().faults.lose = count;
    }

    pub(super) fn ignore_acks(&self, count: u64) {
        self.lock().faults.ignore_acks = count;
    }

    pub(super) fn shuffle_next(&self, count: usize) {
        self.lock().faults.shuffle = count;
    }

    /// From now on events go to an address, or to sockets again.
    pub(super) fn set_endpoint(self: &Arc<Self>, endpoint: Option<Endpoint>) {
        let sender = endpoint.map(|endpoint| {
            let (sender, events) = mpsc::unbounded_channel();
            tokio::spawn(webhook::run(Arc::downgrade(self), endpoint, events));
            sender
        });
        self.lock().endpoint = sender;
    }

    /// Tells sockets that they are about to close, and closes them after `grace`.
    pub(super) fn refresh(self: &Arc<Self>, which: Which, reason: &'static str, grace: Duration) {
        let numbers = self.lock().choose(which);
        if grace.is_zero() {
            self.close(&numbers, reason);
            return;
        }
        self.tell(&numbers, "warning");
        let delivery = Arc::clone(self);
        tokio::spawn(async move {
            tokio::time::sleep(grace).await;
            delivery.close(&numbers, reason);
        });
    }

    /// Breaks sockets, without a word.
    pub(super) fn break_sockets(&self, which: Which) {
        let mut inner = self.lock();
        let numbers = inner.choose(which);
        for socket in inner
            .sockets
            .iter_mut()
            .filter(|socket| numbers.contains(&socket.number))
        {
            socket.closing = true;
            socket.frames.send(Frame::Break).ok();
        }
    }

    /// Lets sockets fall silent. They still take events, which nobody gets.
    pub(super) fn freeze_sockets(&self, which: Which) {
        let inner = self.lock();
        let numbers = inner.choose(which);
        for socket in inner.sockets.iter().filter(|socket| numbers.contains(&socket.number)) {
            socket.frames.send(Frame::Freeze).ok();
        }
    }

    fn tell(&self, numbers: &[u64], reason: &str) {
        let inner = self.lock();
        for socket in inner.sockets.iter().filter(|socket| numbers.contains(&socket.number)) {
            socket.frames.send(Frame::Text(farewell(reason))).ok();
        }
    }

    fn close(&self, numbers: &[u64], reason: &str) {
        let mut inner = self.lock();
        for socket in inner
            .sockets
            .iter_mut()
            .filter(|socket| numbers.contains(&socket.number))
        {
            socket.closing = true;
            socket.frames.send(Frame::Text(farewell(reason))).ok();
            socket.frames.send(Frame::Close).ok();
        }
    }

    /// A socket that has connected: its number, and what it is to send.
    fn connect(&self) -> (u64, mpsc::UnboundedReceiver<Frame>) {
        let (frames, receiver) = mpsc::unbounded_channel();
        let mut inner = self.lock();
        inner.counts.sockets += 1;
        let number = inner.counts.sockets;
        let full = inner.sockets.len() >= MOST_SOCKETS;
        let greeting = if full {
            farewell("too_many_websockets")
        } else {
            json!({
                "type": "hello", "num_connections": inner.sockets.len() + 1,
                "debug_info": { "host": "applink-stand-in", "build_number": 1, "approximate_connection_time": 18_060 },
                "connection_info": { "app_id": inner.app },
            })
            .to_string()
        };
        frames.send(Frame::Text(greeting)).ok();
        if full {
            frames.send(Frame::Close).ok();
        }
        inner.sockets.push(Socket {
            number,
            frames,
            closing: full,
        });
        drop(inner);
        self.changed.notify_waiters();
        (number, receiver)
    }

    /// A socket is gone; what it had not acknowledged comes again.
    fn disconnect(&self, number: u64) {
        let mut inner = self.lock();
        inner.sockets.retain(|socket| socket.number != number);
        drop(inner);
        self.changed.notify_waiters();
    }

    /// Takes an acknowledgement.
    fn acknowledge(&self, envelope: &str) {
        let mut inner = self.lock();
        if inner.faults.ignore_acks > 0 {
            inner.faults.ignore_acks -= 1;
        } else if inner.awaited.remove(envelope).is_some() {
            inner.counts.acked += 1;
        } else {
            inner.counts.stray_acks += 1;
        }
        drop(inner);
        self.changed.notify_waiters();
    }

    /// An attempt to post an event has ended.
    fn posted(&self, event: Event, outcome: Result<(), Option<&'static str>>) {
        let mut inner = self.lock();
        inner.posting = inner.posting.saturating_sub(1);
        match outcome {
            Ok(()) => inner.counts.acked += 1,
            Err(Some(reason)) => inner.again(event, reason),
            Err(None) => inner.counts.lost += 1,
        }
        drop(inner);
        self.changed.notify_waiters();
    }

    /// Waits until fewer than `window` events await an acknowledgement.
    pub(super) async fn room(&self, window: usize) {
        loop {
            let changed = self.changed.notified();
            if self.awaited() < window {
                return;
            }
            changed.await;
        }
    }
}

impl Inner {
    fn choose(&self, which: Which) -> Vec<u64> {
        let mut open = self
            .sockets
            .iter()
            .filter(|socket| !socket.closing)
            .map(|socket| socket.number);
        match which {
            Which::All => open.collect(),
            Which::Oldest => open.next().into_iter().collect(),
            Which::Newest => open.next_back().into_iter().collect(),
        }
    }

    /// Makes an attempt.
    fn send(&mut self, event: Event) {
        self.counts.attempts += 1;
        self.counts.retries += u64::from(event.attempt > 0);
        if let Some(endpoint) = &self.endpoint {
            self.posting += usize::from(endpoint.send(event).is_ok());
            return;
        }
        let open: Vec<usize> = (0..self.sockets.len())
            .filter(|index| self.sockets.get(*index).is_some_and(|socket| !socket.closing))
            .collect();
        self.turn = self.turn.wrapping_add(1);
        let chosen = open
            .get(self.turn % open.len().max(1))
            .and_then(|index| self.sockets.get(*index));
        let Some(socket) = chosen else {
            self.counts.lost += 1;
            return;
        };
        self.count += 1;
        let id = format!("{:08x}-57a2-4d10-8000-{:012x}", self.count >> 16, self.count);
        let text = format!(
            r#"{{"envelope_id":"{id}","payload":{},"type":"events_api","accepts_response_payload":false,"retry_attempt":{},"retry_reason":"{}"}}"#,
            event.payload, event.attempt, event.reason
        );
        socket.frames.send(Frame::Text(text)).ok();
        let awaited = Awaited {
            event,
            socket: socket.number,
            until: Instant::now() + self.patience.ack,
        };
        self.awaited.insert(id, awaited);
    }

    /// Plans the next attempt, or gives up.
    fn again(&mut self, mut event: Event, reason: &'static str) {
        let Some(wait) = self.patience.retries.get(event.attempt) else {
            self.counts.lost += 1;
            return;
        };
        event.attempt += 1;
        event.reason = reason;
        self.later.push_back((Instant::now() + *wait, event));
    }

    /// Sends what is due, in the order in which it first went.
    fn tick(&mut self) {
        let now = Instant::now();
        let mut overdue: Vec<String> = self
            .awaited
            .iter()
            .filter(|(_, awaited)| {
                awaited.until <= now || !self.sockets.iter().any(|socket| socket.number == awaited.socket)
            })
            .map(|(id, _)| id.clone())
            .collect();
        overdue.sort();
        for id in overdue {
            if let Some(awaited) = self.awaited.remove(&id) {
                let reason = if awaited.until <= now {
                    "timeout"
                } else {
                    "connection_closed"
                };
                self.again(awaited.event, reason);
            }
        }
        for (at, event) in std::mem::take(&mut self.later) {
            if at <= now {
                self.send(event);
            } else {
                self.later.push_back((at, event));
            }
        }
    }
}

/// What a socket is told before it closes.
fn farewell(reason: &str) -> String {
    json!({ "type": "disconnect", "reason": reason, "debug_info": { "host": "applink-stand-in" } }).to_string()
}

/// Looks for what is due, until the app is gone.
async fn keep_time(delivery: Weak<Delivery>) {
    loop {
        tokio::time::sleep(Duration::from_millis(20)).await;
        let Some(delivery) = delivery.upgrade() else { return };
        delivery.lock().tick();
        delivery.changed.notify_waiters();
    }
}
