//! The note that sending begins stays, whatever becomes of the batches around it.
#![allow(missing_docs, clippy::unwrap_used, reason = "tests")]

mod common;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use common::{FakeSide, settings, start};
use viaduct_model::{Cursor, Event, Lookup, MessageId, MirrorName, Place};
use viaduct_store::{
    Batch, Commit, Delivery, DeliveryFilter, Lane, LaneMark, Located, MemoryStore, Op, Portal, Seq, Store, StoreError,
};

/// A store whose disk is full for the first settled delivery that carries a note, and that keeps the mark of one lane after
/// every batch.
#[derive(Debug)]
struct FullOnce {
    inner: MemoryStore,
    full: AtomicBool,
    marks: Mutex<Vec<Seq>>,
}

impl FullOnce {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            inner: MemoryStore::new(),
            full: AtomicBool::new(true),
            marks: Mutex::default(),
        })
    }
}

#[async_trait]
impl Store for FullOnce {
    async fn submit(&self, batch: Batch) -> Result<Commit, StoreError> {
        let lane = batch.ops.iter().find_map(|op| match op {
            Op::Settle { lane, .. } | Op::Begin { lane, .. } => Some(lane.clone()),
            _ => None,
        });
        let settles = batch.ops.iter().any(|op| matches!(op, Op::Settle { .. }));
        let notes = batch.ops.iter().any(|op| matches!(op, Op::Begin { .. }));
        if settles && notes && self.full.swap(false, Ordering::SeqCst) {
            let (reply, commit) = Commit::new();
            reply.send(Err(StoreError::Full)).unwrap();
            return Ok(commit);
        }
        let commit = self.inner.submit(batch).await?;
        if let Some(lane) = lane.filter(|lane| lane.to.network.as_str() == "right") {
            let mark = self.inner.lane(&lane).await?.unwrap_or_default();
            self.marks.lock().unwrap().push(mark.begun);
        }
        Ok(commit)
    }

    async fn journal(&self, mirror: &MirrorName, after: Seq, limit: usize) -> Result<Vec<(Seq, Event)>, StoreError> {
        self.inner.journal(mirror, after, limit).await
    }

    async fn last(&self, mirror: &MirrorName) -> Result<Seq, StoreError> {
        self.inner.last(mirror).await
    }

    async fn lane(&self, lane: &Lane) -> Result<Option<LaneMark>, StoreError> {
        self.inner.lane(lane).await
    }

    async fn locate(&self, place: &Place, id: &MessageId) -> Result<Option<Located>, StoreError> {
        self.inner.locate(place, id).await
    }

    async fn copies(&self, mirror: &MirrorName, seq: Seq, place: &Place) -> Result<Vec<MessageId>, StoreError> {
        self.inner.copies(mirror, seq, place).await
    }

    async fn delivery(&self, lane: &Lane, seq: Seq) -> Result<Option<Delivery>, StoreError> {
        self.inner.delivery(lane, seq).await
    }

    async fn deliveries(&self, filter: &DeliveryFilter) -> Result<Vec<Delivery>, StoreError> {
        self.inner.deliveries(filter).await
    }

    async fn cursor(&self, place: &Place) -> Result<Option<Cursor>, StoreError> {
        self.inner.cursor(place).await
    }

    async fn portal(&self, place: &Place) -> Result<Option<Portal>, StoreError> {
        self.inner.portal(place).await
    }

    async fn portals(&self) -> Result<Vec<Portal>, StoreError> {
        self.inner.portals().await
    }

    async fn state(&self, owner: &str, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        self.inner.state(owner, key).await
    }

    async fn state_scan(&self, owner: &str, prefix: &str) -> Result<Vec<(String, Vec<u8>)>, StoreError> {
        self.inner.state_scan(owner, prefix).await
    }

    async fn close(&self) -> Result<(), StoreError> {
        self.inner.close().await
    }
}

#[tokio::test(start_paused = true)]
async fn a_batch_written_again_does_not_take_back_the_notes_after_it() {
    let sides = vec![
        FakeSide::new("left", Lookup::Queryable),
        FakeSide::new("right", Lookup::None),
    ];
    let store = FullOnce::new();
    let hub = start(store.clone(), sides.clone(), settings(&sides)).await;
    let events = (0..8).map(|n| hub.sides[0].message("c", &format!("m{n}"))).collect();
    hub.sides[0].push(events).await;
    assert_eq!(hub.sides[1].wait_for(8).await.len(), 8);
    hub.engine.stop().await.unwrap();
    assert!(!store.full.load(Ordering::SeqCst), "the disk was full once");
    let marks = store.marks.lock().unwrap().clone();
    assert!(marks.is_sorted(), "a note was taken back: {marks:?}");
}
