//! An agreement with a partner, as the configuration describes it.

use serde_json::{Value, json};

/// The keys of an agreement that is signed and in force: with this partner, about these networks, up to the label `ceiling`,
/// for everybody there.
pub fn agreement(organisation: &str, networks: &[&str], ceiling: &str) -> Value {
    let signed = json!({ "by": "The office", "on": "2020-01-01" });
    json!({
        "organisation": organisation, "purpose": "the northern bridge", "controller": "Own AG, Exampletown",
        "networks": networks, "people": ["*"], "valid_from": "2020-01-02", "valid_until": "2099-12-31",
        "region": "eea", "ceiling": ceiling,
        "retention": { "messages": 365, "files": 90, "versions": 30, "metadata": 90, "quarantine": 14, "ledger": 0 },
        "contract": {
            "reference": "DPA-1", "valid_until": "2099-12-31",
            "sha256": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        },
        "contacts": [{ "name": "Privacy", "role": "dpo", "address": "privacy@own.example" }],
        "sign_offs": { "it": signed, "dpo": signed, "management": signed },
    })
}
