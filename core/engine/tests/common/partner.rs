//! A hub with a ledger and one partner, on the network `right`.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use viaduct_audit::note::Signer;
use viaduct_engine::{Audit, Settings};
use viaduct_governance::{Agreement, HubKey, PartnerName};
use viaduct_model::Lookup;
use viaduct_store::{MemoryStore, Store};

use super::{FakeSide, Hub, TestClock, TestEntropy, settings, start_with};

pub const ORIGIN: &str = "hub.example.org/viaduct";
/// 2026-06-01.
pub const TODAY: u64 = 1_780_272_000_000;
pub const DAY: u64 = 24 * 60 * 60 * 1000;

pub fn audit(folder: &Path) -> Audit {
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

pub fn two() -> Vec<Arc<FakeSide>> {
    vec![
        FakeSide::new("left", Lookup::Queryable),
        FakeSide::new("right", Lookup::None),
    ]
}

pub fn agreement() -> Agreement {
    serde_json::from_value(serde_json::json!({
        "organisation": "Acme GmbH", "purpose": "Tests", "controller": "Own AG",
        "networks": ["right"], "people": ["ann"],
        "valid_from": "2026-01-01", "valid_until": "2026-06-30", "region": "eea",
        "retention": { "messages": 30, "files": 30, "versions": 30, "metadata": 30, "quarantine": 2, "ledger": 30 },
        "ceiling": "internal",
        "contract": { "reference": "A-1", "sha256": "00".repeat(32), "valid_until": "2027-01-01" },
        "contacts": [{ "name": "Office", "role": "dpo", "address": "dpo@example.org" }],
        "sign_offs": {
            "it": { "by": "a", "on": "2025-12-01" },
            "dpo": { "by": "b", "on": "2025-12-01" },
            "management": { "by": "c", "on": "2025-12-01" },
        },
    }))
    .unwrap()
}

pub fn partnered() -> Settings {
    let mut wanted = settings(&two());
    wanted.networks[1].own = false;
    wanted.partners.insert(PartnerName::new("acme").unwrap(), agreement());
    wanted
}

pub async fn hub(folder: &Path, settings: Settings) -> (Hub, Arc<TestClock>) {
    let clock = Arc::new(TestClock::default());
    clock.0.store(TODAY, Ordering::SeqCst);
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let hub = start_with(store, two(), settings, Some(audit(folder)), clock.clone()).await;
    (hub, clock)
}
