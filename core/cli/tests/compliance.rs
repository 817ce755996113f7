//! Ledger, policies, agreements and quarantine on the command line, beside a running hub and without one.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::path::Path;

use support::{Hub, viaduct};

/// Whether it went well, and everything that was said.
fn say(folder: &Path, line: &[&str]) -> (bool, String) {
    let output = viaduct(folder, line).output().unwrap();
    let said = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    (output.status.success(), said)
}

fn good(folder: &Path, line: &[&str]) -> String {
    let (well, said) = say(folder, line);
    assert!(well, "{line:?}: {said}");
    said
}

fn bad(folder: &Path, line: &[&str]) -> String {
    let (well, said) = say(folder, line);
    assert!(!well, "{line:?}: {said}");
    said
}

const AGREEMENT: &str = r#"
organisation: ACME Bau GmbH
purpose: joint planning
controller: Example AG
networks: [echo]
people: ["*"]
valid_from: 2020-01-01
valid_until: 2999-12-31
region: eea
retention: {messages: 30, files: 30, versions: 30, metadata: 30, quarantine: 14, ledger: 30}
ceiling: internal
"#;

#[tokio::test]
async fn the_ledger_is_checked_searched_and_handed_out() {
    rustls::crypto::aws_lc_rs::default_provider().install_default().ok();
    let mut hub = Hub::start();
    hub.wait_for("/healthz", "", |code, _| code == 200).await;
    let folder = hub.folder.path().to_owned();

    assert!(good(&folder, &["partner", "list"]).contains("there are no partners"));
    assert!(good(&folder, &["quarantine", "list"]).contains("nothing is held"));
    std::fs::write(folder.join("acme.yaml"), AGREEMENT).unwrap();
    let added = good(&folder, &["partner", "add", "acme", "acme.yaml"]);
    assert!(added.contains("draft") && added.contains("own"), "{added}");
    assert!(bad(&folder, &["partner", "renew", "acme", "--until", "soon"]).contains("2026-01-31"));
    assert!(bad(&folder, &["partner", "suspend", "nobody", "--reason", "x"]).contains("no partner nobody"));
    good(&folder, &["partner", "sign", "acme", "dpo"]);
    good(&folder, &["partner", "suspend", "acme", "--reason", "audit"]);
    let hold = good(&folder, &["hold", "add", "--partner", "acme", "--reason", "file 7"]);
    assert!(good(&folder, &["hold", "list"]).contains("file 7"));
    let id = hold.trim().strip_prefix("placed: ").unwrap();
    good(&folder, &["hold", "end", id, "--reason", "closed"]);
    assert!(good(&folder, &["partner", "offboard", "acme", "--preview"]).contains("sign the certificate"));
    assert!(bad(&folder, &["quarantine", "release", "00-01", "--reason", "x"]).contains("nothing is held"));
    good(
        &folder,
        &[
            "audit",
            "export",
            "--partner",
            "acme",
            "--format",
            "csv",
            "--out",
            "acme.csv",
        ],
    );

    hub.signal("-TERM");
    assert!(hub.end().await.success());
    let checked = good(&folder, &["audit", "verify"]);
    assert!(checked.contains("every byte as it was signed"), "{checked}");
    let found = good(&folder, &["audit", "find", "--partner", "acme"]);
    assert!(
        found.contains("agreement") && found.contains("suspended: audit"),
        "{found}"
    );
    assert!(good(&folder, &["audit", "find", "--action", "exported"]).contains("csv"));
    assert!(bad(&folder, &["audit", "find", "--action", "danced"]).contains("delivered"));
    let manifest = std::fs::read_to_string(folder.join("acme.csv.manifest")).unwrap();
    assert!(manifest.contains("viaduct ledger export"), "{manifest}");

    // Without the configuration, with the key alone.
    let key = good(&folder, &["audit", "verifier"]);
    let alone = ["audit", "verify", "--folder", "ledger", "--key", key.trim()];
    good(&folder, &alone);
    let segment = folder.join("ledger/00000000000000000000.jsonl");
    let text = std::fs::read_to_string(&segment).unwrap();
    std::fs::write(&segment, text.replacen("suspended: audit", "suspended: other", 1)).unwrap();
    assert!(bad(&folder, &alone).contains("NOT as it was signed"));
}

#[test]
fn policies_are_tried() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let policy = "rules:\n- {name: secrets, words: {terms: [secret]}, action: refuse, examples: {match: [a secret], pass: [open]}}\n";
    std::fs::write(folder.join("good.yaml"), policy).unwrap();
    assert!(good(folder, &["policy", "test", "good.yaml"]).contains("good: 1 rules, 2 examples as expected"));
    std::fs::write(folder.join("bad.yaml"), policy.replace("[open]", "[no secret]")).unwrap();
    assert!(bad(folder, &["policy", "test", "bad.yaml"]).contains("should pass"));
    std::fs::write(folder.join("wrong.yaml"), "rules: [{name: x}]").unwrap();
    assert!(bad(folder, &["policy", "test", "wrong.yaml"]).contains("this is no policy"));
    assert!(bad(folder, &["policy", "replay", "good.yaml"]).contains("configuration"));
}

#[test]
fn files_for_a_partner_are_asked_for_by_kind() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let config = concat!(env!("CARGO_MANIFEST_DIR"), "/../../config/minimal.yaml");
    let ask = |line: &[&str]| {
        let output = viaduct(folder, &[&["-c", config], line].concat())
            .env("VIADUCT_AS_TOKEN", "a")
            .env("VIADUCT_HS_TOKEN", "b")
            .output()
            .unwrap();
        let said = format!(
            "{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        (output.status.success(), said)
    };
    assert!(
        ask(&["echo", "manifest", "echo"])
            .1
            .contains("nothing has to be set up")
    );
    assert!(
        ask(&["echo", "manifest", "other"])
            .1
            .contains("no network other of kind echo")
    );
    assert!(ask(&["echo"]).1.contains("viaduct echo manifest NETWORK"));
    let (well, said) = ask(&["dance"]);
    assert!(!well && said.contains("there is no command dance"), "{said}");
}
