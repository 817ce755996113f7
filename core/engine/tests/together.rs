//! Pushes that wait together are written together: durable before any of them is acknowledged, in order, and none takes
//! another with it.
#![allow(missing_docs, clippy::unwrap_used, reason = "tests")]

mod common;

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use common::store::{Taking, Tampered};
use common::{FakeSide, settings, start, until};
use tokio::sync::{Semaphore, oneshot};
use viaduct_bridge::{Outcome, Ticket};
use viaduct_model::{Content, Event, Lookup, Message};
use viaduct_store::{Applied, Batch, Commit, MemoryStore, Op, Store, StoreError};

type Reply = oneshot::Sender<Result<Applied, StoreError>>;

/// A store that notes the batches with events in them, and whose device a test works by hand.
#[derive(Debug)]
struct Gated {
    /// Batches may come in as often as this says.
    gate: Semaphore,
    /// The events of each batch that came in.
    batches: Mutex<Vec<Vec<String>>>,
    /// So many of the next batches are neither stored nor answered but by the test.
    held: AtomicUsize,
    waiting: Mutex<Vec<(Reply, Batch)>>,
}

fn accepted(batch: &Batch) -> Vec<String> {
    let ids = batch.ops.iter().filter_map(|op| match op {
        Op::Accept { event, .. } => Some(event.id.to_string()),
        _ => None,
    });
    ids.collect()
}

#[async_trait]
impl Taking for Gated {
    async fn take(&self, inner: &MemoryStore, batch: Batch) -> Result<Commit, StoreError> {
        let ids = accepted(&batch);
        if ids.is_empty() {
            return inner.submit(batch).await;
        }
        self.gate.acquire().await.unwrap().forget();
        self.batches.lock().unwrap().push(ids);
        let hold = |held: usize| held.checked_sub(1);
        if self
            .held
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, hold)
            .is_err()
        {
            return inner.submit(batch).await;
        }
        let (reply, commit) = Commit::new();
        self.waiting.lock().unwrap().push((reply, batch));
        Ok(commit)
    }
}

impl Gated {
    /// `open` batches may come in, and the first `held` commits wait for the test.
    fn new(open: usize, held: usize) -> Self {
        Self {
            gate: Semaphore::new(open),
            batches: Mutex::default(),
            held: AtomicUsize::new(held),
            waiting: Mutex::default(),
        }
    }

    fn batches(&self) -> Vec<Vec<String>> {
        self.batches.lock().unwrap().clone()
    }
}

struct Rig {
    hub: common::Hub,
    store: std::sync::Arc<Tampered<Gated>>,
}

impl Rig {
    async fn start(taking: Gated) -> Self {
        let sides = vec![
            FakeSide::new("left", Lookup::Idempotent),
            FakeSide::new("right", Lookup::Idempotent),
        ];
        let store = Tampered::new(taking);
        let hub = start(store.clone(), sides.clone(), settings(&sides)).await;
        Self { hub, store }
    }

    /// Pushes events, each by itself.
    async fn push_each(&self, ids: impl IntoIterator<Item = usize>) -> Vec<Ticket> {
        let mut tickets = Vec::new();
        for number in ids {
            tickets.push(self.push(self.hub.sides[0].message("c", &format!("m{number}"))).await);
        }
        tickets
    }

    /// The oldest batch that waits for the test, once there are so many.
    async fn waiting(&self, count: usize) -> (Reply, Batch) {
        let waiting = || self.store.taking.waiting.lock().unwrap();
        until(|| waiting().len() == count).await;
        waiting().remove(0)
    }

    /// The device has the oldest batch that waits, once there are so many.
    async fn land(&self, count: usize) {
        let (reply, batch) = self.waiting(count).await;
        let applied = self.store.inner.submit(batch).await.unwrap().await;
        reply.send(applied).unwrap();
    }

    async fn push(&self, event: Event) -> Ticket {
        self.hub.sides[0].context().inbox.push(vec![event]).await.unwrap()
    }
}

#[tokio::test(start_paused = true)]
async fn pushes_that_wait_together_make_one_commit() {
    let rig = Rig::start(Gated::new(0, 0)).await;
    let first = rig.push_each(0..1).await;
    // The first one is held at the store's door while the others come.
    settled().await;
    let others = rig.push_each(1..11).await;
    rig.store.taking.gate.add_permits(100);
    for ticket in first.into_iter().chain(others) {
        ticket.await.unwrap();
    }
    let sizes: Vec<usize> = rig.store.taking.batches().iter().map(Vec::len).collect();
    assert_eq!(sizes, [1, 10]);
    let shown: Vec<String> = (0..11).map(|number| format!("m{number}")).collect();
    assert_eq!(rig.hub.sides[1].wait_for(11).await, shown, "in order");
}

#[tokio::test(start_paused = true)]
async fn no_ticket_resolves_before_the_commit_of_its_batch() {
    let rig = Rig::start(Gated::new(0, 2)).await;
    let mut tickets = rig.push_each(0..1).await;
    settled().await;
    tickets.extend(rig.push_each(1..5).await);
    rig.store.taking.gate.add_permits(100);
    let mut tickets: Vec<_> = tickets.into_iter().map(waited).collect();
    settled().await;
    assert!(
        tickets.iter().all(|ticket| !ticket.is_finished()),
        "nothing is durable yet"
    );
    assert_eq!(rig.hub.sides[1].delivered.lock().unwrap().len(), 0);

    rig.land(2).await;
    let later = tickets.split_off(1);
    assert!(tickets.remove(0).await.unwrap());
    settled().await;
    assert!(
        later.iter().all(|ticket| !ticket.is_finished()),
        "theirs is not durable yet"
    );

    rig.land(1).await;
    for ticket in later {
        assert!(ticket.await.unwrap());
    }
}

/// A ticket that is waited for in a task of its own; whether it resolved well.
fn waited(ticket: Ticket) -> tokio::task::JoinHandle<bool> {
    tokio::spawn(async move { ticket.await.is_ok() })
}

/// Lets everything run that can; time is paused.
async fn settled() {
    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
}

/// What a sender was told of an event.
fn outcomes(side: &FakeSide, id: &str) -> Vec<Outcome> {
    let told = side.feedback.lock().unwrap();
    let of_it = told.iter().filter(|told| told.id.as_str() == id);
    of_it.map(|told| told.outcome.clone()).collect()
}

#[tokio::test(start_paused = true)]
async fn one_that_is_too_large_takes_no_other_with_it() {
    let rig = Rig::start(Gated::new(0, 0)).await;
    let first = rig.push_each(0..1).await;
    settled().await;
    let before = rig.push_each(1..3).await;
    let huge = Content::Message(Message::plain(&"x".repeat(2 * 1024 * 1024)));
    let huge = rig.push(rig.hub.sides[0].event("c", "huge", huge)).await;
    let after = rig.push_each(3..5).await;
    rig.store.taking.gate.add_permits(100);
    for ticket in first.into_iter().chain(before).chain(after) {
        ticket.await.unwrap();
    }
    huge.await.unwrap();
    let told = || outcomes(&rig.hub.sides[0], "huge");
    until(|| !told().is_empty()).await;
    assert!(
        told().iter().all(|outcome| matches!(outcome, Outcome::Failed(_))),
        "{:?}",
        told()
    );
    assert_eq!(rig.hub.sides[1].wait_for(5).await, ["m0", "m1", "m2", "m3", "m4"]);
}

#[tokio::test(start_paused = true)]
async fn what_failed_is_written_again_in_order() {
    let rig = Rig::start(Gated::new(0, 2)).await;
    let mut tickets = rig.push_each(0..1).await;
    settled().await;
    tickets.extend(rig.push_each(1..4).await);
    rig.store.taking.gate.add_permits(100);
    for count in [2, 1] {
        let (reply, _) = rig.waiting(count).await;
        reply.send(Err(StoreError::Full)).unwrap();
    }
    for ticket in tickets {
        ticket.await.unwrap();
    }
    let again = &rig.store.taking.batches()[2..];
    assert_eq!(again.concat(), ["m0", "m1", "m2", "m3"]);
}

#[tokio::test(start_paused = true)]
async fn what_is_behind_a_failed_batch_does_not_overtake_it() {
    let rig = Rig::start(Gated::new(1000, 1)).await;
    let mut tickets = rig.push_each(0..1).await;
    let (reply, failed) = rig.waiting(1).await;
    failed.series.unwrap().fail();
    // The device has room again before anybody learns that it had none.
    tickets.extend(rig.push_each(1..6).await);
    settled().await;
    reply.send(Err(StoreError::Full)).unwrap();
    for ticket in tickets {
        ticket.await.unwrap();
    }
    let shown: Vec<String> = (0..6).map(|number| format!("m{number}")).collect();
    assert_eq!(rig.hub.sides[1].wait_for(6).await, shown);
}

#[tokio::test(start_paused = true)]
async fn a_push_that_is_too_large_is_stored_in_parts() {
    let rig = Rig::start(Gated::new(1000, 0)).await;
    let side = &rig.hub.sides[0];
    let text = |number| format!("{number:02} {}", "x".repeat(600 * 1024));
    let message = |number| {
        let content = Content::Message(Message::plain(&text(number)));
        side.event("c", &format!("m{number}"), content)
    };
    let mut events: Vec<Event> = (0..20).map(message).collect();
    let huge = Content::Message(Message::plain(&"x".repeat(2 * 1024 * 1024)));
    events.push(side.event("c", "huge", huge));
    side.context().inbox.push(events).await.unwrap().await.unwrap();
    let shown = rig.hub.sides[1].wait_for(20).await;
    assert!(shown.is_sorted() && shown.len() == 20, "all, and in order");
}
