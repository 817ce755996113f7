//! Reports and records on the command line, beside a running hub and without one.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::path::Path;

use support::{Hub, viaduct};

/// Whether it went well, and everything that was said.
fn say(folder: &Path, line: &[&str]) -> (bool, String) {
    let output = viaduct(folder, line).output().unwrap();
    let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    (output.status.success(), said.concat())
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
notice: {every_days: 30, words: {de: Bitte duzen., en: Be kind.}}
"#;

#[tokio::test]
async fn a_hub_gives_account_on_the_command_line() {
    rustls::crypto::aws_lc_rs::default_provider().install_default().ok();
    let mut hub = Hub::start();
    hub.wait_for("/healthz", "", |code, _| code == 200).await;
    let folder = hub.folder.path().to_owned();
    std::fs::write(folder.join("acme.yaml"), AGREEMENT).unwrap();
    let said = |line: &str, well: bool| {
        let words: Vec<&str> = line.split(' ').collect();
        let (went, said) = say(&folder, &words);
        assert_eq!(went, well, "{line}: {said}");
        said
    };
    said("partner add acme acme.yaml", true);

    let english = said("partner report acme --month 2026-11 --language en", true);
    assert!(
        english.contains("Monthly report 2026-11") && english.contains("ACME Bau GmbH"),
        "{english}"
    );
    let german = said("partner report acme --month 2026-11 --language de", true);
    assert!(german.contains("Monatsbericht 11.2026"), "{german}");
    let json = said("partner report acme --month 2026-11 --json", true);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["month"], "2026-11");
    assert!(said("partner report acme --month soon", false).contains("2026-11"));
    assert!(said("partner report nobody --month 2026-11", false).contains("no partner nobody"));

    assert!(said("policy reports", true).contains("no rule was reported"));
    assert_eq!(said("policy reports --json", true).trim(), "[]");
    let breach = "partner incident acme --since 2026-11-01 --until 2026-11-03 --reason laptop --language de";
    let breach = said(breach, true);
    assert!(
        breach.contains("Meldung nach Art. 33") && breach.contains("2026-11-04 00:00:00"),
        "{breach}"
    );

    // The running hub knows the agreements made by command, the configuration does not.
    assert!(said("partner record --language de", true).contains("Austausch mit ACME Bau GmbH (acme)"));
    hub.signal("-TERM");
    assert!(hub.end().await.success());
    let alone = said("partner record --language de", true);
    assert!(alone.contains("Art. 30") && !alone.contains("ACME"), "{alone}");
    assert!(said("audit find --action exported", true).contains("notification of a breach: laptop"));
}
