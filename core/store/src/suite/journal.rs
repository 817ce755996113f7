//! Accepting, numbering, trimming.

use super::{accept, copied, done, event, id, lane, mirror, place, state};
use crate::api::{Accepted, Located, Op, Seq, Store};

pub(super) async fn journal_is_numbered_and_paged(store: &dyn Store) {
    let first: Vec<_> = (0..5)
        .map(|n| accept("a", event("x", &format!("m{n}"), &format!("text {n}"))))
        .collect();
    let applied = done(store, first).await;
    assert_eq!(applied, (1..=5).map(|n| Accepted::New(Seq(n))).collect::<Vec<_>>());
    assert_eq!(
        done(store, vec![accept("b", event("y", "m0", "other"))]).await,
        vec![Accepted::New(Seq(1))]
    );
    assert_eq!(store.last(&mirror("a")).await.unwrap(), Seq(5));
    assert_eq!(store.last(&mirror("b")).await.unwrap(), Seq(1));
    let page = store.journal(&mirror("a"), Seq(1), 2).await.unwrap();
    assert_eq!(
        page,
        vec![
            (Seq(2), event("x", "m1", "text 1")),
            (Seq(3), event("x", "m2", "text 2"))
        ]
    );
    assert_eq!(store.journal(&mirror("a"), Seq(4), 100).await.unwrap().len(), 1);
    assert!(store.journal(&mirror("a"), Seq(5), 100).await.unwrap().is_empty());
    assert!(
        store
            .journal(&mirror("a"), Seq(u64::MAX), 100)
            .await
            .unwrap()
            .is_empty()
    );
    assert!(store.journal(&mirror("a"), Seq(0), 0).await.unwrap().is_empty());
    assert_eq!(
        store.locate(&place("x"), &id("m3")).await.unwrap(),
        Some(Located {
            mirror: mirror("a"),
            seq: Seq(4)
        })
    );
    assert_eq!(
        store.copies(&mirror("a"), Seq(4), &place("x")).await.unwrap(),
        vec![id("m3")]
    );
}

pub(super) async fn duplicates_change_nothing_but_the_cursor(store: &dyn Store) {
    let with = |number: &str, text: &str, cursor: &str| {
        let mut event = event("x", number, text);
        event.cursor = Some(cursor.to_owned());
        event
    };
    let applied = done(
        store,
        vec![
            accept("a", with("m1", "one", "c1")),
            accept("a", with("m1", "two", "c2")),
        ],
    )
    .await;
    assert_eq!(applied, vec![Accepted::New(Seq(1)), Accepted::Duplicate(Seq(1))]);
    assert_eq!(store.cursor(&place("x")).await.unwrap().as_deref(), Some("c2"));
    // Of another mirror, in another batch, and without a cursor: the cursor stays.
    assert_eq!(
        done(store, vec![accept("b", event("x", "m1", "three"))]).await,
        vec![Accepted::Duplicate(Seq(1))]
    );
    assert_eq!(store.cursor(&place("x")).await.unwrap().as_deref(), Some("c2"));
    assert_eq!(store.last(&mirror("b")).await.unwrap(), Seq(0));
    let journal = store.journal(&mirror("a"), Seq(0), 10).await.unwrap();
    assert_eq!(journal, vec![(Seq(1), with("m1", "one", "c1"))]);
    // The same id at another place is another event.
    assert_eq!(
        done(store, vec![accept("a", event("z", "m1", "four"))]).await,
        vec![Accepted::New(Seq(2))]
    );
}

pub(super) async fn trimming_keeps_map_and_copies(store: &dyn Store) {
    let events: Vec<_> = (1..=600)
        .map(|n| accept("a", event("x", &format!("m{n}"), "text")))
        .collect();
    done(store, events).await;
    done(store, vec![accept("b", event("y", "n1", "other"))]).await;
    let arrived = Op::Settle {
        lane: lane("a", "y"),
        seq: Seq(3),
        copied: copied("x", "m3", &["p3"]),
        record: None,
    };
    done(store, vec![arrived]).await;
    let trim = |through| Op::Trim {
        mirror: mirror("a"),
        through: Seq(through),
    };
    done(store, vec![trim(590)]).await;
    done(store, vec![trim(5)]).await;
    let left: Vec<_> = store
        .journal(&mirror("a"), Seq(0), 100)
        .await
        .unwrap()
        .into_iter()
        .map(|(seq, _)| seq.0)
        .collect();
    assert_eq!(left, (591..=600).collect::<Vec<_>>());
    let located = store.locate(&place("x"), &id("m3")).await.unwrap();
    assert_eq!(
        located,
        Some(Located {
            mirror: mirror("a"),
            seq: Seq(3)
        })
    );
    assert_eq!(
        store.copies(&mirror("a"), Seq(3), &place("x")).await.unwrap(),
        vec![id("m3")]
    );
    assert_eq!(
        store.copies(&mirror("a"), Seq(3), &place("y")).await.unwrap(),
        vec![id("p3")]
    );
    assert_eq!(
        done(store, vec![accept("a", event("x", "m3", "again"))]).await,
        vec![Accepted::Duplicate(Seq(3))]
    );
    // Holes do not shorten a page, and a page that is not full means the end.
    let erase = Op::Erase {
        mirror: mirror("a"),
        seqs: [591, 593, 594, 600, 700].map(Seq).to_vec(),
    };
    done(store, vec![erase]).await;
    let page = store.journal(&mirror("a"), Seq(590), 3).await.unwrap();
    assert_eq!(page.iter().map(|(seq, _)| seq.0).collect::<Vec<_>>(), [592, 595, 596]);
    assert_eq!(store.journal(&mirror("a"), Seq(599), 3).await.unwrap(), Vec::new());
    // Beyond the end: everything there is, and what comes later stays.
    done(store, vec![trim(u64::MAX)]).await;
    assert!(store.journal(&mirror("a"), Seq(0), 100).await.unwrap().is_empty());
    assert_eq!(
        done(store, vec![accept("a", event("x", "m601", "new"))]).await,
        vec![Accepted::New(Seq(601))]
    );
    assert_eq!(store.journal(&mirror("a"), Seq(0), 100).await.unwrap().len(), 1);
    assert_eq!(store.journal(&mirror("b"), Seq(0), 100).await.unwrap().len(), 1);
}

pub(super) async fn a_batch_sees_its_own_changes(store: &dyn Store) {
    let applied = done(
        store,
        vec![
            accept("a", event("x", "m1", "one")),
            Op::Settle {
                lane: lane("a", "y"),
                seq: Seq(1),
                copied: copied("x", "m1", &["p1"]),
                record: None,
            },
            accept("a", event("y", "p1", "echo")),
            Op::Open { lane: lane("a", "z") },
            state("net", "k", Some(b"1")),
            state("net", "k", None),
            Op::Trim {
                mirror: mirror("a"),
                through: Seq(1),
            },
            accept("a", event("x", "m2", "two")),
        ],
    )
    .await;
    assert_eq!(
        applied,
        vec![
            Accepted::New(Seq(1)),
            Accepted::Duplicate(Seq(1)),
            Accepted::New(Seq(2))
        ]
    );
    assert_eq!(store.lane(&lane("a", "z")).await.unwrap().unwrap().settled, Seq(1));
    assert_eq!(store.state("net", "k").await.unwrap(), None);
    assert_eq!(
        store.journal(&mirror("a"), Seq(0), 9).await.unwrap(),
        vec![(Seq(2), event("x", "m2", "two"))]
    );
}
