//! Lanes, settling, delivery records.

use viaduct_model::Timestamp;

use super::{accept, copied, done, event, id, lane, mirror, place};
use crate::api::{Accepted, Delivery, DeliveryFilter, DeliveryState, LaneMark, Located, Op, Seq, Store};

pub(super) async fn marks_never_move_back(store: &dyn Store) {
    let way = lane("a", "y");
    let settle = |seq| Op::Settle {
        lane: lane("a", "y"),
        seq: Seq(seq),
        copied: None,
        record: None,
    };
    assert_eq!(store.lane(&way).await.unwrap(), None);
    done(
        store,
        vec![Op::Begin {
            lane: way.clone(),
            through: Seq(7),
        }],
    )
    .await;
    assert_eq!(
        store.lane(&way).await.unwrap(),
        Some(LaneMark {
            settled: Seq(0),
            begun: Seq(7)
        })
    );
    done(
        store,
        vec![
            settle(5),
            settle(3),
            Op::Begin {
                lane: way.clone(),
                through: Seq(2),
            },
        ],
    )
    .await;
    assert_eq!(
        store.lane(&way).await.unwrap(),
        Some(LaneMark {
            settled: Seq(5),
            begun: Seq(5)
        })
    );
    // What was begun is taken back, but never below what is settled.
    for (through, begun) in [(9, 9), (6, 6), (1, 5)] {
        let op = Op::Begin {
            lane: way.clone(),
            through: Seq(through),
        };
        done(store, vec![op]).await;
        assert_eq!(store.lane(&way).await.unwrap().unwrap().begun, Seq(begun));
    }
    done(store, vec![settle(4)]).await;
    done(store, vec![settle(9)]).await;
    assert_eq!(
        store.lane(&way).await.unwrap(),
        Some(LaneMark {
            settled: Seq(9),
            begun: Seq(9)
        })
    );
    assert_eq!(store.lane(&lane("a", "z")).await.unwrap(), None);
}

pub(super) async fn settling_maps_and_copies(store: &dyn Store) {
    done(
        store,
        vec![
            accept("a", event("x", "m1", "one")),
            accept("a", event("x", "m2", "two")),
        ],
    )
    .await;
    let settle = |ids: &[&str]| Op::Settle {
        lane: lane("a", "y"),
        seq: Seq(1),
        copied: copied("x", "m1", ids),
        record: None,
    };
    done(store, vec![settle(&["p1", "p2"])]).await;
    done(store, vec![settle(&["p2", "p3"])]).await;
    let copies = store.copies(&mirror("a"), Seq(1), &place("y")).await.unwrap();
    assert_eq!(copies, vec![id("p1"), id("p2"), id("p3")]);
    for part in ["p1", "p2", "p3"] {
        let located = store.locate(&place("y"), &id(part)).await.unwrap();
        assert_eq!(
            located,
            Some(Located {
                mirror: mirror("a"),
                seq: Seq(1)
            })
        );
    }
    assert_eq!(
        store.copies(&mirror("a"), Seq(1), &place("x")).await.unwrap(),
        vec![id("m1")]
    );
    assert!(
        store
            .copies(&mirror("a"), Seq(2), &place("y"))
            .await
            .unwrap()
            .is_empty()
    );
    // What was delivered comes back from there: known.
    assert_eq!(
        done(store, vec![accept("a", event("y", "p3", "echo"))]).await,
        vec![Accepted::Duplicate(Seq(1))]
    );
}

pub(super) async fn records_are_kept_listed_and_forgotten(store: &dyn Store) {
    let settle = |name: &str, to: &str, seq, state, at| Op::Settle {
        lane: lane(name, to),
        seq: Seq(seq),
        copied: None,
        record: Some((state, format!("because {seq}"), Timestamp(at))),
    };
    done(
        store,
        vec![
            settle("a", "y", 1, DeliveryState::Held, 30),
            settle("a", "y", 2, DeliveryState::Failed, 10),
            settle("b", "y", 1, DeliveryState::Held, 20),
            settle("b", "z", 300, DeliveryState::Unknown, 20),
        ],
    )
    .await;
    let list = async |filter: DeliveryFilter| -> Vec<(String, u64)> {
        let found = store.deliveries(&filter).await.unwrap();
        found
            .into_iter()
            .map(|delivery| (delivery.lane.mirror.to_string(), delivery.seq.0))
            .collect()
    };
    let entry = |name: &str, seq: u64| (name.to_owned(), seq);
    let everything = list(DeliveryFilter::default()).await;
    assert_eq!(
        everything,
        vec![entry("a", 2), entry("b", 1), entry("b", 300), entry("a", 1)]
    );
    let of_a = DeliveryFilter {
        mirror: Some(mirror("a")),
        ..DeliveryFilter::default()
    };
    assert_eq!(list(of_a).await, vec![entry("a", 2), entry("a", 1)]);
    let held = DeliveryFilter {
        state: Some(DeliveryState::Held),
        ..DeliveryFilter::default()
    };
    assert_eq!(list(held).await, vec![entry("b", 1), entry("a", 1)]);
    let one = DeliveryFilter {
        limit: 1,
        ..DeliveryFilter::default()
    };
    assert_eq!(list(one).await, vec![entry("a", 2)]);
    let expected = Delivery {
        lane: lane("a", "y"),
        seq: Seq(2),
        state: DeliveryState::Failed,
        reason: "because 2".to_owned(),
        at: Timestamp(10),
    };
    assert_eq!(store.delivery(&lane("a", "y"), Seq(2)).await.unwrap(), Some(expected));
    // Settling again without a record leaves it; forgetting removes that one only.
    done(
        store,
        vec![Op::Settle {
            lane: lane("a", "y"),
            seq: Seq(2),
            copied: copied("x", "m2", &["q"]),
            record: None,
        }],
    )
    .await;
    assert!(store.delivery(&lane("a", "y"), Seq(2)).await.unwrap().is_some());
    done(
        store,
        vec![Op::Forget {
            lane: lane("a", "y"),
            seq: Seq(2),
        }],
    )
    .await;
    assert_eq!(store.delivery(&lane("a", "y"), Seq(2)).await.unwrap(), None);
    assert!(store.delivery(&lane("a", "y"), Seq(1)).await.unwrap().is_some());
    assert_eq!(store.lane(&lane("a", "y")).await.unwrap().unwrap().settled, Seq(2));
}

pub(super) async fn lanes_open_at_the_end(store: &dyn Store) {
    let open = || Op::Open { lane: lane("a", "y") };
    done(
        store,
        vec![
            accept("a", event("x", "m1", "one")),
            accept("a", event("x", "m2", "two")),
            open(),
        ],
    )
    .await;
    let mark = LaneMark {
        settled: Seq(2),
        begun: Seq(2),
    };
    assert_eq!(store.lane(&lane("a", "y")).await.unwrap(), Some(mark));
    done(store, vec![accept("a", event("x", "m3", "three")), open()]).await;
    assert_eq!(store.lane(&lane("a", "y")).await.unwrap(), Some(mark));
    let close = || Op::Close { lane: lane("a", "y") };
    done(store, vec![close(), close()]).await;
    assert_eq!(store.lane(&lane("a", "y")).await.unwrap(), None);
    done(store, vec![open(), close(), open()]).await;
    let end = LaneMark {
        settled: Seq(3),
        begun: Seq(3),
    };
    assert_eq!(store.lane(&lane("a", "y")).await.unwrap(), Some(end));
    done(
        store,
        vec![Op::Open {
            lane: lane("empty", "y"),
        }],
    )
    .await;
    assert_eq!(
        store.lane(&lane("empty", "y")).await.unwrap(),
        Some(LaneMark::default())
    );
}
