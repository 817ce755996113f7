//! What `check` reports about agreements, told as an operator reads it.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;

use insta::assert_snapshot;
use serde_json::{Value, json};
use viaduct_config::{Kinds, check};
use viaduct_governance::{PartnerName, Period};

struct Stub;

impl Kinds for Stub {
    fn names(&self) -> Vec<String> {
        vec!["irc".into(), "slack".into()]
    }

    fn schema(&self, _kind: &str) -> Option<Value> {
        Some(json!({"type": "object", "additionalProperties": false}))
    }

    fn check(&self, _kind: &str, section: &Value) -> Vec<(String, String)> {
        let own = section.get("own").is_some();
        if own {
            vec![("own".into(), "the bridge must not see this".into())]
        } else {
            Vec::new()
        }
    }
}

/// The problems of a configuration with these networks and partners and one mirror of `acme` `#project`.
fn told(networks: &str, partners: &str) -> String {
    let text = format!(
        "homeserver: {{url: \"http://127.0.0.1:8008\", domain: example.org}}
appservice: {{as_token_env: PATH, hs_token_env: CARGO_MANIFEST_DIR}}
networks: {networks}
partners:
{partners}
mirrors: [{{name: a, room: \"#a:example.org\", members: [{{network: acme, channel: \"#project\"}}]}}]
"
    );
    let problems = match check(&text, Path::new("viaduct.yaml"), &Stub) {
        Ok(checked) => checked.warnings,
        Err(problems) => problems,
    };
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

const GOOD: &str = "  acme-gmbh:
    organisation: ACME
    purpose: planning
    controller: Example AG
    networks: [acme]
    people: [\"*\"]
    valid_from: 2026-01-01
    valid_until: 2026-12-31
    region: de
    retention: {messages: 30, files: {in: 1, out: 2}, versions: 7, metadata: 7, quarantine: 7, ledger: 365}
    ceiling: internal
    contract: {reference: x, sha256: 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855', valid_until: 2026-12-31}
    contacts: [{name: n, role: dpo, address: a}]
    sign_offs: {it: {by: a, on: 2025-12-01}, dpo: {by: b, on: 2025-12-01}, management: {by: c, on: 2025-12-01}}
";

#[test]
fn s35_a_mirror_without_an_agreement_is_reported() {
    assert_snapshot!(told("{acme: {kind: irc}}", ""), @r##"
    warning: mirrors[0].members[0].network: no agreement covers `#project` of `acme`, so nothing crosses there
      --> viaduct.yaml:6:65
      fix: describe the partner under `partners` or with `viaduct partner add`, or set `own: true` at `networks.acme` if it belongs to your organisation
    "##);
    assert_eq!(told("{acme: {kind: irc, own: true}}", ""), "");
    assert_eq!(told("{acme: {kind: irc}}", GOOD), "");
    let elsewhere = format!("{GOOD}    channels: [\"acme/#other\"]\n");
    assert!(told("{acme: {kind: irc}}", &elsewhere).contains("no agreement covers `#project` of `acme`"));
    let here = format!("{GOOD}    channels: [\"acme/#project\"]\n");
    assert_eq!(told("{acme: {kind: irc}}", &here), "");
}

#[test]
fn slack_and_other_countries_need_a_basis() {
    assert!(told("{acme: {kind: slack}}", GOOD).contains("no basis is recorded"));
    assert!(told("{acme: {kind: irc}}", &GOOD.replace("region: de", "region: us")).contains("no basis is recorded"));
    let basis = format!("{GOOD}    third_country_basis: SCC 2026, file 4711\n");
    assert_eq!(told("{acme: {kind: slack}}", &basis), "");
}

#[test]
fn a_draft_is_told_what_it_lacks() {
    let partners = "  acme:
    organisation: ACME
    purpose: planning
    controller: Example AG
    networks: [acme]
    valid_from: 2026-01-01
    valid_until: 2026-12-31
    region: de
    retention: {messages: 30, files: 30, versions: 7, metadata: 7, quarantine: 7, ledger: 365}
    ceiling: internal";
    assert_snapshot!(told("{acme: {kind: irc}}", partners), @r##"
    warning: partners.acme: nothing crosses yet: nobody may speak
      --> viaduct.yaml:5:3
      fix: list `organisations`, or `people`; `people: ["*"]` is everybody there
    warning: partners.acme: nothing crosses yet: there is no processing contract
      --> viaduct.yaml:5:3
      fix: give `contract`, with reference, sha256 and valid_until
    warning: partners.acme: nothing crosses yet: there is nobody to ask
      --> viaduct.yaml:5:3
      fix: list `contacts`, the data protection officer first
    warning: partners.acme: nothing crosses yet: `it` has not signed
      --> viaduct.yaml:5:3
      fix: have it signed: `sign_offs: {it: {by: NAME, on: DAY}}`
    warning: partners.acme: nothing crosses yet: `dpo` has not signed
      --> viaduct.yaml:5:3
      fix: have it signed: `sign_offs: {dpo: {by: NAME, on: DAY}}`
    warning: partners.acme: nothing crosses yet: `management` has not signed
      --> viaduct.yaml:5:3
      fix: have it signed: `sign_offs: {management: {by: NAME, on: DAY}}`
    "##);
}

#[test]
fn every_mistake_has_its_place() {
    let partners = "  own:
    organisation: ACME
    purpose: planning
    controller: Example AG
    networks: [acne, ours]
    channels: [\"other/#x\"]
    people: [\"*\"]
    valid_from: 2026-12-31
    valid_until: 2026-01-01
    region: europe
    retention: {messages: {in: 30}, files: for ever, versions: 7, metadata: 7, quarantine: 7, ledger: 365}
    ceiling: secret
    contract: {reference: x, sha256: abc, valid_until: soon}";
    assert_snapshot!(told("{acme: {kind: irc}, ours: {kind: irc, own: true}}", partners), @r##"
    error: partners.own: `own` stands for the own organisation
      --> viaduct.yaml:5:3
      fix: choose another name
    warning: partners.own: nothing crosses yet: data leaves the European Economic Area and no basis is recorded
      --> viaduct.yaml:5:3
      fix: record the `third_country_basis`, such as the contractual clauses with their file number
    warning: partners.own: nothing crosses yet: there is nobody to ask
      --> viaduct.yaml:5:3
      fix: list `contacts`, the data protection officer first
    warning: partners.own: nothing crosses yet: `it` has not signed
      --> viaduct.yaml:5:3
      fix: have it signed: `sign_offs: {it: {by: NAME, on: DAY}}`
    warning: partners.own: nothing crosses yet: `dpo` has not signed
      --> viaduct.yaml:5:3
      fix: have it signed: `sign_offs: {dpo: {by: NAME, on: DAY}}`
    warning: partners.own: nothing crosses yet: `management` has not signed
      --> viaduct.yaml:5:3
      fix: have it signed: `sign_offs: {management: {by: NAME, on: DAY}}`
    error: partners.own.networks[0]: there is no network `acne`
      --> viaduct.yaml:9:16
      fix: did you mean `acme`?
    error: partners.own.networks[1]: network `ours` belongs to the own organisation (`own: true`)
      --> viaduct.yaml:9:22
      fix: remove it here, or remove `own` there
    error: partners.own.channels[0]: `other/#x` is no channel of this partner's networks
      --> viaduct.yaml:10:16
      fix: write network/channel, with one of its `networks`
    error: partners.own.valid_until: the last day is before the first
      --> viaduct.yaml:13:18
      fix: exchange them
    error: partners.own.region: this is not a region
      --> viaduct.yaml:14:13
      fix: write eea, or a country's two letters such as us
    error: partners.own.retention.messages: the key `out` is missing
      --> viaduct.yaml:15:27
      fix: For what goes to the partner.
    error: partners.own.retention.files: expected a whole number or keys and values, found text
      --> viaduct.yaml:15:44
    error: partners.own.ceiling: `secret` is not one of the labels
      --> viaduct.yaml:16:14
      fix: known here: `public`, `internal`, `confidential`
    error: partners.own.contract.sha256: this is not a SHA-256
      --> viaduct.yaml:17:38
      fix: write the 64 hexadecimal digits that `sha256sum` prints
    error: partners.own.contract.valid_until: this is not a day
      --> viaduct.yaml:17:56
      fix: write it as 2026-12-31
    warning: mirrors[0].members[0].network: no agreement covers `#project` of `acme`, so nothing crosses there
      --> viaduct.yaml:18:65
      fix: describe the partner under `partners` or with `viaduct partner add`, or set `own: true` at `networks.acme` if it belongs to your organisation
    "##);
}

#[test]
fn a_partner_is_read() {
    let text = format!(
        "homeserver: {{url: \"http://127.0.0.1:8008\", domain: example.org}}
appservice: {{as_token_env: PATH, hs_token_env: CARGO_MANIFEST_DIR}}
networks: {{acme: {{kind: irc}}}}
partners:\n{GOOD}"
    );
    let config = check(&text, Path::new("viaduct.yaml"), &Stub).unwrap().config;
    let partner = &config.partners[&PartnerName::new("acme-gmbh").unwrap()];
    assert_eq!(partner.retention.messages, Period::Both(30));
    assert!(matches!(partner.retention.files, Period::Each(each) if each.inward == 1 && each.outward == 2));
    assert!(!config.networks.values().next().unwrap().own);
}
