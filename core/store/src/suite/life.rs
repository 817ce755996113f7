//! Many submitters, and the end.

use std::sync::Arc;

use super::{accept, commit, event, mirror};
use crate::api::{Accepted, Batch, Seq, Series, Store, StoreError};

pub(super) async fn submitters_side_by_side<S: Store + 'static>(store: Arc<S>) {
    const SUBMITTERS: u64 = 8;
    const EACH: u64 = 50;
    let tasks: Vec<_> = (0..SUBMITTERS)
        .map(|who| {
            let store = Arc::clone(&store);
            tokio::spawn(async move {
                let name = format!("m{}", who % 2);
                let mut commits = Vec::new();
                for n in 0..EACH {
                    let op = accept(&name, event("x", &format!("{who}-{n}"), "text"));
                    commits.push(store.submit(Batch::of(op)).await.unwrap());
                }
                let mut numbers = Vec::new();
                for commit in commits {
                    match commit.await.unwrap().as_slice() {
                        [Accepted::New(seq)] => numbers.push(*seq),
                        other => panic!("{other:?} is not one new event"),
                    }
                }
                // One submitter's batches keep their order.
                assert!(numbers.is_sorted());
                numbers
            })
        })
        .collect();
    let mut all = Vec::new();
    for task in tasks {
        all.extend(task.await.unwrap());
    }
    all.sort();
    let expected: Vec<_> = (1..=SUBMITTERS / 2 * EACH).flat_map(|n| [Seq(n), Seq(n)]).collect();
    assert_eq!(all, expected);
}

pub(super) async fn nothing_of_a_series_overtakes(store: &dyn Store) {
    let series = Series::default();
    let next = |id: &str, series: &Series| Batch {
        ops: vec![accept("a", event("x", id, "text"))],
        series: Some(series.clone()),
    };
    let stored = store.submit(next("m1", &series)).await.unwrap().await;
    assert_eq!(stored, Ok(vec![Accepted::New(Seq(1))]));
    series.fail();
    for id in ["m2", "m3"] {
        let behind = store.submit(next(id, &series)).await.unwrap().await;
        assert_eq!(behind, Err(StoreError::Behind));
    }
    // Another series, and what belongs to none, goes on.
    let other = store.submit(next("m4", &Series::default())).await.unwrap().await;
    assert_eq!(other, Ok(vec![Accepted::New(Seq(2))]));
    series.resume();
    let stored = store.submit(next("m2", &series)).await.unwrap().await;
    assert_eq!(stored, Ok(vec![Accepted::New(Seq(3))]));
}

pub(super) async fn closed_is_closed(store: &dyn Store) {
    let waiting = store
        .submit(Batch::of(accept("a", event("x", "m1", "one"))))
        .await
        .unwrap();
    store.close().await.unwrap();
    assert_eq!(
        waiting.await,
        Ok(vec![Accepted::New(Seq(1))]),
        "a batch submitted before the close is lost"
    );
    assert_eq!(store.last(&mirror("a")).await, Err(StoreError::Closed));
    assert_eq!(
        commit(store, vec![accept("a", event("x", "m2", "two"))]).await,
        Err(StoreError::Closed)
    );
    assert_eq!(store.close().await, Ok(()));
}
