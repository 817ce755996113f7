//! Putting events in order that come over several sockets at once.
//!
//! Slack spreads events over the sockets, so a later one may be read first. Each socket by itself is in order: an event may go
//! on when every socket has brought a later one, or when it was held for long enough. A socket that was just opened, or that
//! lags, is waited for like the others.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use tokio::time::Instant;

use crate::client::socket::Incoming;
use crate::convert::ids::micros;

/// How long an event is held for earlier ones.
pub const HOLD: Duration = Duration::from_millis(25);

/// An event that is held.
#[derive(Debug)]
struct Held {
    /// When it happened, in microseconds.
    at: u64,
    /// Until when it is held.
    until: Instant,
    incoming: Incoming,
}

/// Events in the order in which they happened.
#[derive(Debug)]
pub struct Order {
    held: Vec<Held>,
    /// The time of the latest event of each socket; 0 where none has come.
    ways: HashMap<u64, u64>,
    /// How many sockets there are to be.
    expected: usize,
    /// The latest time seen: what has no time of its own stays behind what came before it.
    last: u64,
}

impl Order {
    /// Nothing is held yet. With fewer sockets than `expected`, every event is held for [`HOLD`].
    pub fn new(expected: usize) -> Self {
        Self {
            held: Vec::new(),
            ways: HashMap::new(),
            expected,
            last: 0,
        }
    }

    /// Waits for these sockets as well.
    pub fn join(&mut self, open: &BTreeSet<u64>) {
        for way in open {
            self.ways.entry(*way).or_default();
        }
    }

    /// Waits for no others than these sockets: all that came over the others was taken.
    pub fn leave(&mut self, open: &BTreeSet<u64>) {
        self.ways.retain(|way, _| open.contains(way));
    }

    /// Takes an event that came just now.
    pub fn take(&mut self, incoming: Incoming, now: Instant) {
        let event = incoming
            .callback
            .as_ref()
            .and_then(|callback| callback.event.as_deref());
        let at = event.map_or(0, |event| micros(event.event_ts.as_deref().unwrap_or(&event.ts)));
        let at = if at == 0 { self.last } else { at };
        self.last = self.last.max(at);
        let way = self.ways.entry(incoming.way).or_default();
        *way = at.max(*way);
        self.held.push(Held {
            at,
            until: now + HOLD,
            incoming,
        });
    }

    /// Until when the next event is held; none if nothing is.
    pub fn next(&self) -> Option<Instant> {
        self.held.iter().map(|held| held.until).min()
    }

    /// How many events are held.
    pub fn len(&self) -> usize {
        self.held.len()
    }

    /// The events that may go on, in order.
    pub fn ready(&mut self, now: Instant) -> Vec<Incoming> {
        // Stable, and quick on what is nearly in order.
        self.held.sort_by_key(|held| held.at);
        let reached = match self.ways.len() {
            // The others may be about to bring something.
            open if open < self.expected => 0,
            1 => u64::MAX,
            _ => self.ways.values().copied().min().unwrap_or(0),
        };
        let passed = self.held.partition_point(|held| held.at <= reached);
        let due = self
            .held
            .iter()
            .rposition(|held| held.until <= now)
            .map_or(0, |last| last + 1);
        self.held.drain(..passed.max(due)).map(|held| held.incoming).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::payload::{Callback, Message};
    use crate::client::socket::Ack;

    fn event(way: u64, at: u64) -> Incoming {
        let message = Message {
            ts: format!("{at}.000000"),
            ..Message::default()
        };
        Incoming {
            callback: Some(Box::new(Callback {
                event: Some(Box::new(message)),
                ..Callback::default()
            })),
            raw: at.to_string().into(),
            ack: Ack::Nobody,
            way,
        }
    }

    fn names(ready: &[Incoming]) -> Vec<&str> {
        ready.iter().map(|incoming| &*incoming.raw).collect()
    }

    fn order(expected: usize, open: &[u64]) -> Order {
        let mut order = Order::new(expected);
        order.join(&open.iter().copied().collect());
        order
    }

    #[tokio::test(start_paused = true)]
    async fn an_event_waits_for_earlier_ones_of_other_sockets_but_not_for_long() {
        let mut order = order(2, &[1, 2]);
        let now = Instant::now();
        order.take(event(1, 12), now);
        order.take(event(1, 14), now);
        assert!(order.ready(now).is_empty());
        order.take(event(2, 13), now);
        assert_eq!(names(&order.ready(now)), ["12", "13"]);
        assert_eq!(order.next(), Some(now + HOLD));
        assert_eq!(names(&order.ready(now + HOLD)), ["14"]);
        assert_eq!(order.len(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn with_one_socket_nothing_waits_until_it_is_exchanged() {
        let mut order = order(1, &[1]);
        let now = Instant::now();
        order.take(event(1, 12), now);
        assert_eq!(names(&order.ready(now)), ["12"]);
        order.join(&BTreeSet::from([1, 2]));
        order.take(event(2, 14), now);
        assert!(order.ready(now).is_empty());
        order.take(event(1, 13), now);
        assert_eq!(names(&order.ready(now)), ["13"]);
        order.leave(&BTreeSet::from([2]));
        assert_eq!(names(&order.ready(now)), ["14"]);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_due_takes_the_earlier_ones_along() {
        let mut order = order(2, &[1, 2]);
        let now = Instant::now();
        order.take(event(1, 20), now);
        order.take(event(2, 11), now + HOLD);
        assert_eq!(names(&order.ready(now + HOLD)), ["11", "20"]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_socket_that_has_brought_nothing_yet_is_waited_for() {
        let mut order = order(2, &[1, 2]);
        let now = Instant::now();
        order.join(&BTreeSet::from([1, 2, 3]));
        order.take(event(1, 21), now);
        order.take(event(2, 22), now);
        assert!(order.ready(now).is_empty(), "the third may bring an earlier one");
        order.take(event(3, 20), now);
        order.take(event(3, 23), now);
        assert_eq!(names(&order.ready(now)), ["20", "21"]);
        assert_eq!(names(&order.ready(now + HOLD)), ["22", "23"]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_socket_that_lags_is_waited_for_until_it_is_closed() {
        let mut order = order(2, &[1, 2, 3]);
        let now = Instant::now();
        (1..=3).for_each(|way| order.take(event(way, 10), now));
        assert_eq!(order.ready(now).len(), 3);
        let later = now + Duration::from_mins(10);
        order.take(event(1, 21), later);
        order.take(event(2, 22), later);
        assert!(order.ready(later).is_empty());
        order.leave(&BTreeSet::from([1, 2]));
        assert_eq!(names(&order.ready(later)), ["21"]);
    }

    #[tokio::test(start_paused = true)]
    async fn without_all_sockets_everything_waits_but_not_for_long() {
        let mut order = order(2, &[1]);
        let now = Instant::now();
        order.take(event(1, 12), now);
        assert!(order.ready(now).is_empty());
        assert_eq!(names(&order.ready(now + HOLD)), ["12"]);
    }
}
