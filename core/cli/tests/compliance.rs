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

/// Anna is there for compliance, Boris decides, Dora protects data; the administrator is `@a:localhost`.
fn with_people(folder: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    let everybody = [("anna", "compliance, auditor"), ("boris", "approver"), ("dora", "dpo")];
    let people = everybody.map(|(name, roles)| {
        let file = format!("secrets/{name}");
        std::fs::write(folder.join(&file), format!("{name}-token\n")).unwrap();
        std::fs::set_permissions(folder.join(&file), std::fs::Permissions::from_mode(0o600)).unwrap();
        format!("    \"@{name}:localhost\": {{roles: [{roles}], token_file: {file}}}\n")
    });
    let people = format!("  people:\n{}", people.concat());
    let config = folder.join("viaduct.yaml");
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(config, text.replacen("  users: ", &format!("{people}  users: "), 1)).unwrap();
}

#[tokio::test]
async fn s33_each_acts_in_their_own_name_and_within_their_role() {
    rustls::crypto::aws_lc_rs::default_provider().install_default().ok();
    let mut hub = Hub::start_with(with_people);
    hub.wait_for("/healthz", "", |code, _| code == 200).await;
    let folder = hub.folder.path().to_owned();
    std::fs::write(folder.join("acme.yaml"), AGREEMENT).unwrap();
    let token = |name: &str| format!("secrets/{name}");
    let (anna, boris, dora) = (token("anna"), token("boris"), token("dora"));

    let suspend = ["partner", "suspend", "acme", "--reason", "x"];
    let by = |line: &[&'static str], token: &str| -> Vec<String> {
        let shown = ["--token-file", token].map(str::to_owned);
        line.iter().map(|word| (*word).to_owned()).chain(shown).collect()
    };
    let good_by = |line: &[&'static str], token: &str| {
        let line = by(line, token);
        good(&folder, &line.iter().map(String::as_str).collect::<Vec<_>>())
    };
    let bad_by = |line: &[&'static str], token: &str| {
        let line = by(line, token);
        bad(&folder, &line.iter().map(String::as_str).collect::<Vec<_>>())
    };
    assert!(good_by(&["partner", "add", "acme", "acme.yaml"], &anna).contains("draft"));
    // Whoever makes an agreement does not sign it, and each office has its own people.
    assert!(bad_by(&["partner", "sign", "acme", "management"], &anna).contains("needs the role approver"));
    good_by(&["partner", "sign", "acme", "management"], &boris);
    assert!(bad_by(&["partner", "sign", "acme", "dpo"], &boris).contains("needs the role dpo"));
    good_by(&["partner", "sign", "acme", "dpo"], &dora);
    assert!(bad_by(&suspend, &boris).contains("needs the role compliance"));
    let as_anna = ["partner", "suspend", "acme", "--reason", "x", "--by", "@anna:localhost"];
    let told = bad_by(&as_anna, &boris);
    assert!(
        told.contains("@anna:localhost gives it, but it is given by @boris:localhost"),
        "{told}"
    );
    let told = bad(&folder, &as_anna);
    assert!(
        told.contains("but it is given by @a:localhost"),
        "the administrator's token is theirs: {told}"
    );
    good_by(&as_anna, &anna);

    // Two agree before anybody learns whose a pseudonym is.
    let unmask = ["subject", "unmask", "own.1:00", "--reason", "incident 12"];
    assert!(bad_by(&unmask, &anna).contains("nobody has granted it"));
    good_by(
        &[
            "subject",
            "grant",
            "own.1:00",
            "--to",
            "@anna:localhost",
            "--reason",
            "agreed",
        ],
        &dora,
    );
    assert!(good_by(&unmask, &anna).contains("nobody who is known here"));
    assert!(bad_by(&unmask, &anna).contains("nobody has granted it"));

    // Who is taken out is out as soon as the configuration is read again.
    let config = folder.join("viaduct.yaml");
    let text = std::fs::read_to_string(&config).unwrap();
    let without: Vec<&str> = text.lines().filter(|line| !line.contains("@anna:localhost")).collect();
    std::fs::write(&config, without.join("\n")).unwrap();
    hub.signal("-HUP");
    hub.wait_for("/api/v1/status", "anna-token", |code, _| code == 401)
        .await;
    assert!(bad_by(&suspend, &anna).contains("missing or wrong"));

    hub.signal("-TERM");
    assert!(hub.end().await.success());
    let refused = good(&folder, &["audit", "find", "--action", "access", "--json"]);
    assert_eq!(refused.matches("suspend_partner was refused").count(), 3, "{refused}");
    assert!(
        !refused.contains("@anna") && !refused.contains("@boris"),
        "no names: {refused}"
    );
    assert!(good(&folder, &["audit", "verify"]).contains("every byte as it was signed"));
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
