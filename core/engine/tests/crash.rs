//! Killed at any step: every delivered event has its entry in the ledger, and every entry its event. Needs the feature `faults`.
#![allow(missing_docs, clippy::panic, clippy::unwrap_used, reason = "tests")]

mod common;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use common::{FakeSide, TestClock, TestEntropy, place, settings, start_at_home};
use viaduct_audit::note::Signer;
use viaduct_audit::{Action, Reader, verify};
use viaduct_engine::Audit;
use viaduct_governance::HubKey;
use viaduct_model::{DeliveryKey, Lookup, MessageId};
use viaduct_store::{SledStore, Store, StoreOptions};

const ORIGIN: &str = "hub.example.org/viaduct";
const FOLDER: &str = "VIADUCT_TEST_FOLDER";
const MESSAGES: usize = 6;

fn audit(folder: &Path) -> Audit {
    Audit {
        folder: folder.join("ledger"),
        keys: folder.join("keys"),
        origin: ORIGIN.to_owned(),
        signer: Signer::generate(ORIGIN, &TestEntropy).unwrap(),
        seal: HubKey::generate(&TestEntropy),
        exporters: Vec::new(),
        host: "hub".to_owned(),
    }
}

fn side(folder: &Path, name: &str, lookup: Lookup) -> Arc<FakeSide> {
    let side = FakeSide::new(name, lookup);
    *side.log.lock().unwrap() = Some(log(folder, name));
    side
}

fn log(folder: &Path, name: &str) -> PathBuf {
    folder.join(format!("{name}.log"))
}

fn store(folder: &Path) -> Arc<dyn Store> {
    Arc::new(SledStore::open(folder.join("store"), &StoreOptions::default()).unwrap())
}

/// One run of the hub, which is perhaps killed: everything is pushed (again), as by networks that got no acknowledgement.
#[tokio::test]
async fn one_run() {
    let Some(folder) = std::env::var_os(FOLDER).map(PathBuf::from) else {
        return;
    };
    let sides = vec![
        side(&folder, "left", Lookup::Queryable),
        side(&folder, "right", Lookup::Queryable),
    ];
    let home = side(&folder, "matrix", Lookup::Idempotent);
    let clock = Arc::new(TestClock::default());
    let hub = start_at_home(
        home,
        store(&folder),
        sides.clone(),
        settings(&sides),
        Some(audit(&folder)),
        clock,
    )
    .await;
    for number in 0..MESSAGES {
        let events = vec![hub.sides[0].message("c", &format!("m{number}"))];
        // A hub that is killed takes nobody's acknowledgement.
        hub.sides[0].push(events).await;
    }
    for name in ["matrix", "right"] {
        for _ in 0..10_000 {
            if delivered(&folder, name).len() == MESSAGES {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
    }
    hub.engine.stop().await.unwrap();
}

/// How often each delivery was made at a side.
fn delivered(folder: &Path, name: &str) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for line in std::fs::read_to_string(log(folder, name)).unwrap_or_default().lines() {
        *counts.entry(line.to_owned()).or_default() += 1;
    }
    counts
}

fn run(folder: &Path, crash_at: Option<&str>) -> bool {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "one_run"]).env(FOLDER, folder);
    if let Some(step) = crash_at {
        command.env("VIADUCT_CRASH_AT", step);
    }
    command.output().unwrap().status.success()
}

#[tokio::test]
async fn s9_killed_at_any_step_every_delivered_event_has_its_entry_and_every_entry_its_event() {
    let steps = [
        "accept-before",
        "accept-after",
        "begin-after",
        "deliver-before",
        "deliver-after",
        "settle-before",
        "settle-after",
        "entry-after",
        "ledger-after",
    ];
    for step in steps {
        for passing in [1, 4] {
            let folder = tempfile::tempdir().unwrap();
            let folder = folder.path();
            let step = format!("{step}:{passing}");
            let ended_well = run(folder, Some(&step));
            // The ledger is written rarely, so it is not passed four times.
            assert!(!ended_well || step == "ledger-after:4", "{step} was not reached");
            assert!(run(folder, None), "{step}: the run after");
            check(folder, &step).await;
        }
    }
}

async fn check(folder: &Path, step: &str) {
    let key = audit(folder).signer.verifier();
    let found = verify(&audit(folder).folder, &key, &[]).unwrap();
    assert!(found.is_good(), "{step}: {found:?}");
    let mut accepted: BTreeMap<String, usize> = BTreeMap::new();
    let mut noted: BTreeMap<(String, String), usize> = BTreeMap::new();
    for record in Reader::open(&audit(folder).folder, &key).unwrap() {
        let entry = record.unwrap().entry;
        let Some(event) = entry.event.as_ref().map(ToString::to_string) else {
            continue;
        };
        match (entry.action, &entry.to) {
            (Action::Accepted, None) => *accepted.entry(event).or_default() += 1,
            (Action::Delivered, Some(to)) => *noted.entry((to.network.to_string(), event)).or_default() += 1,
            other => panic!("{step}: {other:?}"),
        }
    }
    let store = store(folder);
    assert!(store.state_scan("ledger", "").await.unwrap().is_empty(), "{step}");
    for number in 0..MESSAGES {
        let id = format!("m{number}");
        let message = MessageId::new(&id).unwrap();
        assert_eq!(accepted.remove(&id), Some(1), "{step}: {id} is accepted once");
        assert!(store.locate(&place("left", "c"), &message).await.unwrap().is_some());
        for (network, to) in [("matrix", place("matrix", "m")), ("right", place("right", "c"))] {
            let key = DeliveryKey::derive(&place("left", "c"), &message, &to);
            let times = delivered(folder, network).remove(key.as_str()).unwrap_or_default();
            // The homeserver takes a key again, as one; the other is asked first.
            assert!(
                times == 1 || (network == "matrix" && times >= 1),
                "{step}: {id} came {times} times to {network}"
            );
            let entry = noted.remove(&(network.to_owned(), id.clone()));
            assert_eq!(entry, Some(1), "{step}: {id} to {network}");
        }
    }
    assert!(
        accepted.is_empty() && noted.is_empty(),
        "{step}: {accepted:?} {noted:?}"
    );
    store.close().await.unwrap();
}
