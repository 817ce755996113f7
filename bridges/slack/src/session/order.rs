//! Putting events in order that come over several sockets at once.
//!
//! Slack gives each event to one of the sockets, so a later one may be read first. Two things are certain: each socket by
//! itself is in order, and an event's own time is its place in its channel. So an event may go on when every other socket is
//! known to have brought all that was sent before it: because a later event came over it, or because it answered a question
//! that was put after the event had come. A socket that lags, that is about to be closed or was just opened answers late, and is
//! waited for; where nothing lags, an event is held for [`HOLD`], or for the way to Slack and back where that is longer.
//!
//! A socket that does not answer for [`LONGEST`] is waited for no more until it speaks again. What comes over it afterwards is
//! late: it is told all the same, behind what was told already, with the time at which it was said. If such a socket breaks,
//! the history is read again.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use tokio::time::Instant;

use crate::client::socket::Incoming;
use crate::convert::ids::micros;
use crate::telemetry;

/// How long an event is held where no later one shows that nothing is missing: what Slack hands to several sockets at once may
/// leave it in another order.
pub const HOLD: Duration = Duration::from_millis(25);
/// After how long the sockets are asked whether they have brought everything.
const ASK: Duration = Duration::from_millis(5);
/// How long an event is held at most. Slack repeats what is not acknowledged within three seconds.
pub const LONGEST: Duration = Duration::from_secs(2);
/// How many events are held at most.
pub const HELD: usize = 8192;

/// An event that is held.
#[derive(Debug)]
struct Held {
    /// When it happened, in microseconds.
    at: u64,
    /// When it came.
    since: Instant,
    /// The question that was put after it had come.
    question: Option<u64>,
    /// The newest socket there was when it came: what younger ones bring was sent later.
    newest: u64,
    incoming: Incoming,
}

/// How far a socket has come.
#[derive(Debug, Default)]
struct Way {
    /// The time of its latest event; 0 where none has come.
    last: u64,
    /// The latest question that it answered.
    answered: u64,
    /// Whether it let an event wait for too long, and has brought nothing since.
    silent: bool,
}

/// Events in the order in which they happened.
#[derive(Debug)]
pub struct Order {
    held: Vec<Held>,
    ways: HashMap<u64, Way>,
    /// How many sockets there are to be.
    expected: usize,
    /// The latest time seen: what has no time of its own stays behind what came before it.
    last: u64,
    /// The latest time that went on.
    told: u64,
    /// The number of the last question.
    asked: u64,
    /// When it was last looked what may go on.
    looked: Option<Instant>,
}

impl Order {
    /// Nothing is held yet. With fewer sockets than `expected`, every event is held for [`HOLD`].
    pub fn new(expected: usize) -> Self {
        Self {
            held: Vec::new(),
            ways: HashMap::new(),
            expected,
            last: 0,
            told: 0,
            asked: 0,
            looked: None,
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
        way.last = at.max(way.last);
        way.silent = false;
        let newest = self.ways.keys().copied().max().unwrap_or(0);
        self.held.push(Held {
            at,
            since: now,
            question: None,
            newest,
            incoming,
        });
    }

    /// A socket answered a question: what was sent over it before that has come.
    pub fn answered(&mut self, way: u64, question: u64) {
        if let Some(way) = self.ways.get_mut(&way) {
            way.answered = way.answered.max(question);
            way.silent = false;
        }
    }

    /// A question to put to all sockets, by its number, if one is due.
    pub fn ask(&mut self, now: Instant) -> Option<u64> {
        let due = |held: &Held| held.question.is_none() && held.since + ASK <= now;
        if !self.held.iter().any(due) {
            return None;
        }
        self.asked += 1;
        let open = self.held.iter_mut().filter(|held| held.question.is_none());
        open.for_each(|held| held.question = Some(self.asked));
        Some(self.asked)
    }

    /// When to look again, if nothing comes until then; none if nothing is held.
    pub fn next(&self) -> Option<Instant> {
        let steps = self
            .held
            .iter()
            .flat_map(|held| [held.since + ASK, held.since + HOLD, held.since + LONGEST]);
        steps.filter(|at| self.looked.is_none_or(|looked| *at > looked)).min()
    }

    /// The events that may go on, in order.
    pub fn ready(&mut self, now: Instant) -> Vec<Incoming> {
        self.looked = Some(now);
        self.give_up(now);
        // Stable, and quick on what is nearly in order.
        self.held.sort_by_key(|held| held.at);
        let passed = self.held.iter().rposition(|held| self.passes(held, now));
        let passed = passed.map_or(0, |last| last + 1);
        // More than can be held goes on as it is.
        let passed = passed.max(self.held.len().saturating_sub(HELD));
        let late = self.held.iter().take(passed).filter(|held| held.at < self.told);
        telemetry::late(late.count());
        let ready: Vec<Held> = self.held.drain(..passed).collect();
        self.told = ready.last().map_or(self.told, |held| held.at.max(self.told));
        ready.into_iter().map(|held| held.incoming).collect()
    }

    /// Whether nothing that was sent before this event can still come; earlier ones go along with it.
    fn passes(&self, held: &Held, now: Instant) -> bool {
        let rested = held.since + HOLD <= now;
        if !rested && self.ways.len() < self.expected {
            return false;
        }
        let mut ways = self.ways.iter().filter(|(number, _)| **number <= held.newest);
        ways.all(|(_, way)| {
            let answered = held.question.is_some_and(|question| way.answered >= question);
            way.silent || way.last >= held.at || (rested && answered)
        })
    }

    /// Whichever socket let an event wait for too long is not waited for any more.
    fn give_up(&mut self, now: Instant) {
        for held in self.held.iter().filter(|held| held.since + LONGEST <= now) {
            let ways = self.ways.iter_mut().filter(|(number, _)| **number <= held.newest);
            for (number, way) in ways {
                let answered = held.question.is_some_and(|question| way.answered >= question);
                if !answered && way.last < held.at && !way.silent {
                    tracing::info!(socket = number, "A socket lags: what it brings may come out of order.");
                    way.silent = true;
                }
            }
        }
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
    async fn an_event_waits_until_the_other_sockets_have_brought_all_before_it() {
        let mut order = order(2, &[1, 2]);
        let now = Instant::now();
        order.take(event(1, 12), now);
        order.take(event(1, 14), now);
        assert!(order.ready(now).is_empty());
        order.take(event(2, 13), now);
        assert_eq!(names(&order.ready(now)), ["12", "13"]);
        assert_eq!(order.next(), Some(now + ASK));
        assert_eq!(order.ask(now), None);
        let question = order.ask(now + ASK).unwrap();
        assert_eq!(order.ask(now + ASK), None, "one question is enough");
        assert!(order.ready(now + ASK).is_empty());
        order.answered(2, question);
        assert_eq!(order.next(), Some(now + HOLD));
        assert_eq!(names(&order.ready(now + HOLD)), ["14"]);
        assert_eq!((order.held.len(), order.next()), (0, None));
    }

    #[tokio::test(start_paused = true)]
    async fn a_socket_that_lags_is_waited_for_until_it_answers() {
        let mut order = order(2, &[1, 2]);
        let now = Instant::now();
        order.take(event(1, 12), now);
        let question = order.ask(now + ASK).unwrap();
        order.answered(1, question);
        let later = now + HOLD * 20;
        assert!(
            order.ready(later).is_empty(),
            "the other may still bring an earlier one"
        );
        order.take(event(2, 11), later);
        order.answered(2, question);
        assert_eq!(names(&order.ready(later)), ["11", "12"]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_socket_that_never_answers_is_given_up_until_it_speaks_again() {
        let mut order = order(2, &[1, 2]);
        let now = Instant::now();
        order.take(event(1, 12), now);
        order.ask(now + ASK).unwrap();
        assert_eq!(order.next(), Some(now + ASK));
        assert!(order.ready(now + LONGEST - ASK).is_empty());
        assert_eq!(order.next(), Some(now + LONGEST));
        assert_eq!(names(&order.ready(now + LONGEST)), ["12"]);
        let later = now + LONGEST * 2;
        order.take(event(1, 15), later);
        order.ask(later + ASK).unwrap();
        assert_eq!(names(&order.ready(later + HOLD)), ["15"], "nobody waits for it");
        order.take(event(2, 14), later + HOLD);
        assert_eq!(names(&order.ready(later + HOLD)), ["14"], "late, but not lost");
        order.take(event(1, 16), later + HOLD);
        assert!(order.ready(later + HOLD * 3).is_empty(), "it is waited for again");
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
    async fn a_socket_opened_later_has_nothing_earlier() {
        let mut order = order(1, &[1, 2]);
        let now = Instant::now();
        order.take(event(1, 20), now);
        order.join(&BTreeSet::from([1, 2, 3]));
        let question = order.ask(now + ASK).unwrap();
        order.answered(2, question);
        assert_eq!(names(&order.ready(now + HOLD)), ["20"]);
        order.take(event(1, 21), now);
        order.take(event(2, 22), now);
        assert!(order.ready(now).is_empty(), "the third may bring an earlier one");
    }

    #[tokio::test(start_paused = true)]
    async fn without_all_sockets_everything_waits_a_little() {
        let mut order = order(2, &[1]);
        let now = Instant::now();
        order.take(event(1, 12), now);
        assert!(order.ready(now).is_empty());
        assert_eq!(names(&order.ready(now + HOLD)), ["12"]);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_held_is_bounded() {
        let mut order = order(2, &[1, 2]);
        let now = Instant::now();
        for at in 0..HELD as u64 + 3 {
            order.take(event(1, 100 + at), now);
        }
        assert_eq!(names(&order.ready(now)), ["100", "101", "102"]);
        assert_eq!(order.held.len(), HELD);
    }
}
