//! The note that sending begins stays, whatever becomes of the batches around it.
#![allow(missing_docs, clippy::unwrap_used, reason = "tests")]

mod common;

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use common::store::{Taking, Tampered};
use common::{FakeSide, settings, start};
use viaduct_model::Lookup;
use viaduct_store::{Batch, Commit, MemoryStore, Op, Seq, Store, StoreError};

/// A store whose disk is full for the first settled delivery that carries a note, and that keeps the mark of one lane after
/// every batch.
#[derive(Debug)]
struct FullOnce {
    full: AtomicBool,
    marks: Mutex<Vec<Seq>>,
}

#[async_trait]
impl Taking for FullOnce {
    async fn take(&self, inner: &MemoryStore, batch: Batch) -> Result<Commit, StoreError> {
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
        let commit = inner.submit(batch).await?;
        if let Some(lane) = lane.filter(|lane| lane.to.network.as_str() == "right") {
            let mark = inner.lane(&lane).await?.unwrap_or_default();
            self.marks.lock().unwrap().push(mark.begun);
        }
        Ok(commit)
    }
}

#[tokio::test(start_paused = true)]
async fn a_batch_written_again_does_not_take_back_the_notes_after_it() {
    let sides = vec![
        FakeSide::new("left", Lookup::Queryable),
        FakeSide::new("right", Lookup::None),
    ];
    let store = Tampered::new(FullOnce {
        full: AtomicBool::new(true),
        marks: Mutex::default(),
    });
    let hub = start(store.clone(), sides.clone(), settings(&sides)).await;
    let events = (0..8).map(|n| hub.sides[0].message("c", &format!("m{n}"))).collect();
    hub.sides[0].push(events).await;
    assert_eq!(hub.sides[1].wait_for(8).await.len(), 8);
    hub.engine.stop().await.unwrap();
    assert!(!store.taking.full.load(Ordering::SeqCst), "the disk was full once");
    let marks = store.taking.marks.lock().unwrap().clone();
    assert!(marks.is_sorted(), "a note was taken back: {marks:?}");
}
