//! Every step has its entry, in the same commit.
#![allow(missing_docs, clippy::unwrap_used, reason = "tests")]

mod common;

use std::path::Path;
use std::sync::Arc;

use common::{FakeSide, Script, TestEntropy, place, settings, start_audited, until};
use viaduct_audit::note::Signer;
use viaduct_audit::{Action, Reader, Record, verify};
use viaduct_bridge::DeliveryError;
use viaduct_compliance::{Policy, Rule};
use viaduct_engine::{Audit, NamedPolicy, Policies};
use viaduct_model::Lookup;
use viaduct_store::{MemoryStore, Store};

const ORIGIN: &str = "hub.example.org/viaduct";

fn audit(folder: &Path) -> Audit {
    Audit {
        folder: folder.join("ledger"),
        keys: folder.join("keys"),
        origin: ORIGIN.to_owned(),
        signer: Signer::generate(ORIGIN, &TestEntropy).unwrap(),
        seal: viaduct_governance::HubKey::generate(&TestEntropy),
        exporters: Vec::new(),
        host: "hub".to_owned(),
    }
}

fn two() -> Vec<Arc<FakeSide>> {
    vec![
        FakeSide::new("left", Lookup::Queryable),
        FakeSide::new("right", Lookup::None),
    ]
}

fn records(folder: &Path) -> Vec<Record> {
    let key = audit(folder).signer.verifier();
    let found = verify(&audit(folder).folder, &key, &[]).unwrap();
    assert!(found.is_good(), "{found:?}");
    Reader::open(&audit(folder).folder, &key)
        .unwrap()
        .map(Result::unwrap)
        .collect()
}

/// The actions on an event, in order.
fn actions(records: &[Record], event: &str, to: Option<&str>) -> Vec<Action> {
    records
        .iter()
        .map(|record| &record.entry)
        .filter(|entry| entry.event.as_ref().is_some_and(|id| id.as_str() == event))
        .filter(|entry| entry.to.as_ref().map(|to| to.network.as_str()) == to)
        .map(|entry| entry.action)
        .collect()
}

#[tokio::test(start_paused = true)]
async fn every_step_has_one_entry_and_repetitions_none() {
    let folder = tempfile::tempdir().unwrap();
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let mut wanted = settings(&two());
    let rule: Rule = serde_json::from_value(serde_json::json!({
        "name": "no-secrets", "patterns": ["secret"], "action": "refuse",
    }))
    .unwrap();
    let mask: Rule = serde_json::from_value(serde_json::json!({
        "name": "hide", "patterns": ["hidden"], "action": "mask",
    }))
    .unwrap();
    wanted.mirrors[0].members[1].policies = Policies {
        inward: None,
        outward: Some(NamedPolicy {
            name: "partner".to_owned(),
            policy: Policy {
                rules: vec![rule, mask],
                ..Policy::default()
            },
        }),
    };
    let hub = start_audited(store.clone(), two(), wanted.clone(), Some(audit(folder.path()))).await;
    let left = &hub.sides[0];
    hub.sides[1].told(Script::Fail(DeliveryError::permanent("banned")));
    let mut events: Vec<_> = ["a", "b", "my secret", "is hidden"]
        .iter()
        .map(|id| left.message("c", id))
        .collect();
    left.push(events.clone()).await;
    left.push(events.clone()).await;
    hub.home.wait_for(4).await;
    assert_eq!(hub.sides[1].wait_for(2).await, ["b", "is ██████"]);
    until(|| left.feedback.lock().unwrap().len() >= 2).await;
    hub.engine.stop().await.unwrap();

    let found = records(folder.path());
    for id in ["a", "b", "my secret", "is hidden"] {
        assert_eq!(actions(&found, id, None), [Action::Accepted], "{id}");
        assert_eq!(actions(&found, id, Some("matrix")), [Action::Delivered], "{id}");
    }
    assert_eq!(actions(&found, "a", Some("right")), [Action::Failed]);
    assert_eq!(actions(&found, "b", Some("right")), [Action::Delivered]);
    assert_eq!(actions(&found, "my secret", Some("right")), [Action::Refused]);
    assert_eq!(
        actions(&found, "is hidden", Some("right")),
        [Action::Changed, Action::Delivered]
    );
    let refused = found.iter().find(|record| record.entry.action == Action::Refused);
    let refused = &refused.unwrap().entry;
    assert_eq!(refused.rule.as_deref(), Some("no-secrets"));
    assert!(refused.policy.as_ref().unwrap().starts_with("partner@"), "{refused:?}");
    assert_eq!(refused.partner.as_deref(), Some("own"));
    assert_eq!(refused.actor.as_ref().unwrap().key(), "own.1");
    assert_eq!(refused.findings.get("no-secrets"), Some(&1));
    let text = format!("{found:?}");
    assert!(!text.contains("Ann"), "no names: {text}");
    for action in [Action::Started, Action::Stopped] {
        assert_eq!(found.iter().filter(|record| record.entry.action == action).count(), 1);
    }
    assert_eq!(
        found
            .iter()
            .filter(|record| record.entry.action == Action::KeyMade)
            .count(),
        2,
        "the own organisation's, for pseudonyms and for content"
    );
    assert!(store.state_scan("ledger", "").await.is_err(), "the store is closed");

    // Another run goes on where this one ended, and does not note a third time what came before.
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let hub = start_audited(store, two(), wanted, Some(audit(folder.path()))).await;
    events.truncate(1);
    hub.home.push(vec![hub.home.message("!room", "$1")]).await;
    assert_eq!(hub.sides[0].wait_for(1).await, ["$1"]);
    hub.engine.stop().await.unwrap();
    let found = records(folder.path());
    assert_eq!(actions(&found, "$1", Some("left")), [Action::Delivered]);
    assert_eq!(found.last().unwrap().entry.action, Action::Stopped);
    assert_eq!(found[found.len() - 2].entry.to, Some(place("right", "c")));
}

#[tokio::test(start_paused = true)]
async fn however_many_entries_come_at_once_what_they_record_keeps_its_order() {
    const PUSHES: usize = 60;
    const EACH: usize = 100;
    let folder = tempfile::tempdir().unwrap();
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let hub = start_audited(store, two(), settings(&two()), Some(audit(folder.path()))).await;
    let side = hub.sides[0].clone();
    let ids: Vec<String> = (0..PUSHES * EACH).map(|number| format!("m{number}")).collect();
    let mut tickets = Vec::new();
    for push in ids.chunks(EACH) {
        let events = push.iter().map(|id| side.message("c", id)).collect();
        tickets.push(side.context().inbox.push(events).await.unwrap());
    }
    for ticket in tickets {
        ticket.await.unwrap();
    }
    assert_eq!(hub.sides[1].wait_for(ids.len()).await, ids);
    hub.engine.stop().await.unwrap();
    let records = records(folder.path());
    let accepted = records.iter().filter(|record| record.entry.action == Action::Accepted);
    assert_eq!(accepted.count(), ids.len());
}
