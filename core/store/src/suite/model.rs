//! Random batches, compared with the memory store.

use std::future::Future;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseError, TestRunner};
use viaduct_model::Timestamp;

use super::{accept, copied, event, id, lane, mirror, place};
use crate::api::{Batch, DeliveryFilter, DeliveryState, Op, Portal, Seq, Store};
use crate::memory::MemoryStore;

const NAMES: [&str; 3] = ["a", "b", "c"];
const PLACES: [&str; 3] = ["x", "y", "z"];
const SEQS: u64 = 12;

fn name() -> impl Strategy<Value = &'static str> {
    proptest::sample::select(NAMES.as_slice())
}

fn at() -> impl Strategy<Value = &'static str> {
    proptest::sample::select(PLACES.as_slice())
}

fn number() -> impl Strategy<Value = String> {
    (0_u8..20).prop_map(|n| format!("m{n}"))
}

fn seq() -> impl Strategy<Value = Seq> {
    (0..=SEQS).prop_map(Seq)
}

fn outcome() -> impl Strategy<Value = Option<(DeliveryState, String, Timestamp)>> {
    let states = [
        DeliveryState::Held,
        DeliveryState::Refused,
        DeliveryState::Failed,
        DeliveryState::Unknown,
    ];
    proptest::option::of((
        proptest::sample::select(states.to_vec()),
        ".{0,10}",
        (0_u64..5).prop_map(Timestamp),
    ))
}

fn op() -> impl Strategy<Value = Op> {
    let value = prop_oneof![4 => 0_usize..50, 1 => 4000_usize..10_000];
    prop_oneof![
        6 => (name(), at(), number(), proptest::option::of("[a-z]{1,5}"), value.clone()).prop_map(|(n, p, i, cursor, size)| {
            let mut event = event(p, &i, &"t".repeat(size));
            event.cursor = cursor;
            accept(n, event)
        }),
        2 => (name(), at(), seq()).prop_map(|(n, p, through)| Op::Begin { lane: lane(n, p), through }),
        5 => (name(), at(), seq(), proptest::collection::vec(number(), 0..3), outcome()).prop_map(|(n, p, seq, ids, record)| {
            let ids: Vec<_> = ids.iter().map(String::as_str).collect();
            let copied = if ids.is_empty() { None } else { copied("x", "m0", &ids) };
            Op::Settle { lane: lane(n, p), seq, copied, record }
        }),
        1 => (name(), at(), seq()).prop_map(|(n, p, seq)| Op::Forget { lane: lane(n, p), seq }),
        1 => (name(), at()).prop_map(|(n, p)| Op::Open { lane: lane(n, p) }),
        1 => (name(), at()).prop_map(|(n, p)| Op::Close { lane: lane(n, p) }),
        1 => (at(), ".{0,9}").prop_map(|(p, cursor)| Op::Cursor { place: place(p), cursor }),
        1 => (at(), name(), ".{0,9}").prop_map(|(p, n, room)| {
            Op::PutPortal(Portal { place: place(p), room, mirror: mirror(n), direct_to: None })
        }),
        1 => at().prop_map(|p| Op::RemovePortal(place(p))),
        2 => (name(), "[ab]{0,3}", proptest::option::of(value)).prop_map(|(owner, key, size)| Op::State {
            owner: owner.to_owned(),
            key,
            value: size.map(|size| vec![1; size]),
        }),
        1 => (name(), seq()).prop_map(|(n, through)| Op::Trim { mirror: mirror(n), through }),
        1 => (name(), proptest::collection::vec(seq(), 0..4)).prop_map(|(n, seqs)| Op::Erase { mirror: mirror(n), seqs }),
    ]
}

/// Everything the trait tells, as text.
async fn dump(store: &dyn Store) -> Vec<String> {
    let mut out = Vec::new();
    for name in NAMES {
        let key = mirror(name);
        out.push(format!("{:?}", store.last(&key).await));
        out.push(format!("{:?}", store.journal(&key, Seq(0), 1000).await));
        out.push(format!("{:?}", store.state_scan(name, "").await));
        for to in PLACES {
            out.push(format!("{:?}", store.lane(&lane(name, to)).await));
            for seq in 0..=SEQS {
                out.push(format!("{:?}", store.copies(&key, Seq(seq), &place(to)).await));
                out.push(format!("{:?}", store.delivery(&lane(name, to), Seq(seq)).await));
            }
        }
    }
    for at in PLACES {
        out.push(format!(
            "{:?} {:?}",
            store.cursor(&place(at)).await,
            store.portal(&place(at)).await
        ));
        for number in 0..20 {
            out.push(format!(
                "{:?}",
                store.locate(&place(at), &id(&format!("m{number}"))).await
            ));
        }
    }
    out.push(format!("{:?}", store.deliveries(&DeliveryFilter::default()).await));
    out.push(format!("{:?}", store.portals().await));
    out
}

/// Applies `cases` random sequences of batches to a store that `make` gives and to a [`MemoryStore`]; every answer and, at
/// the end, everything readable must be the same. Batches are submitted without waiting, so that they are grouped.
///
/// # Panics
///
/// When they differ; the message holds the smallest sequence found.
pub fn model<S, F>(cases: u32, make: impl Fn() -> F)
where
    S: Store + 'static,
    F: Future<Output = S>,
{
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime can be made");
    let config = Config {
        cases,
        failure_persistence: None,
        ..Config::default()
    };
    let batches = proptest::collection::vec(proptest::collection::vec(op(), 0..6), 1..25);
    let outcome = TestRunner::new(config).run(&batches, |batches| {
        runtime.block_on(async {
            let store = make().await;
            let reference = MemoryStore::new();
            let mut waiting = Vec::new();
            for ops in batches {
                let batch = Batch::from(ops);
                let expected = reference.submit(batch.clone()).await.expect("memory takes it").await;
                waiting.push((store.submit(batch).await.expect("the store takes it"), expected));
            }
            for (commit, expected) in waiting {
                prop_assert_eq!(commit.await, expected);
            }
            prop_assert_eq!(dump(&store).await, dump(&reference).await);
            store
                .close()
                .await
                .map_err(|error| TestCaseError::fail(error.to_string()))
        })
    });
    if let Err(error) = outcome {
        panic!("{error}");
    }
}
