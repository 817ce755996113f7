//! Putting events in order that come over several sockets at once.
//!
//! Slack spreads events over the sockets, so a later one may be read first. Each socket by itself is in order: an event may go
//! on when every socket has brought a later one, or when it was held for long enough.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

use crate::client::socket::Incoming;
use crate::convert::ids::micros;

/// How long an event is held for earlier ones.
pub const HOLD: Duration = Duration::from_millis(25);
/// After how long a silent socket is forgotten.
const SILENT: Duration = Duration::from_secs(10);

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
#[derive(Debug, Default)]
pub struct Order {
    held: Vec<Held>,
    /// The latest event of each socket, and when it came.
    ways: HashMap<u64, (u64, Instant)>,
    /// The latest time seen: what has no time of its own stays behind what came before it.
    last: u64,
}

impl Order {
    /// Takes an event that came just now.
    pub fn take(&mut self, incoming: Incoming, now: Instant) {
        let event = incoming
            .callback
            .as_ref()
            .and_then(|callback| callback.event.as_deref());
        let at = event.map_or(0, |event| micros(event.event_ts.as_deref().unwrap_or(&event.ts)));
        let at = if at == 0 { self.last } else { at };
        self.last = self.last.max(at);
        let way = self.ways.entry(incoming.way).or_insert((0, now));
        *way = (way.0.max(at), now);
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

    /// The events that may go on, in order. `several` says whether there are several sockets at all.
    pub fn ready(&mut self, several: bool, now: Instant) -> Vec<Incoming> {
        self.ways.retain(|_, (_, since)| *since + SILENT > now);
        // Stable, and quick on what is nearly in order.
        self.held.sort_by_key(|held| held.at);
        let reached = self.ways.values().map(|(at, _)| *at).min().unwrap_or(0);
        let reached = if !several {
            u64::MAX
        } else if self.ways.len() > 1 {
            reached
        } else {
            // The others may be about to bring something.
            0
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

    #[tokio::test(start_paused = true)]
    async fn an_event_waits_for_earlier_ones_of_other_sockets_but_not_for_long() {
        let mut order = Order::default();
        let now = Instant::now();
        order.take(event(1, 12), now);
        order.take(event(1, 14), now);
        assert!(order.ready(true, now).is_empty());
        order.take(event(2, 13), now);
        assert_eq!(names(&order.ready(true, now)), ["12", "13"]);
        assert_eq!(order.next(), Some(now + HOLD));
        assert_eq!(names(&order.ready(true, now + HOLD)), ["14"]);
        assert_eq!(order.len(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn with_one_socket_nothing_waits() {
        let mut order = Order::default();
        let now = Instant::now();
        order.take(event(1, 12), now);
        assert_eq!(names(&order.ready(false, now)), ["12"]);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_due_takes_the_earlier_ones_along() {
        let mut order = Order::default();
        let now = Instant::now();
        order.take(event(1, 20), now);
        order.take(event(2, 11), now + HOLD);
        assert_eq!(names(&order.ready(true, now + HOLD)), ["11", "20"]);
    }
}
