//! The program as its users meet it.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

fn viaduct(folder: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_viaduct"))
        .args(args)
        .current_dir(folder)
        .env_remove("VIADUCT_CONFIG")
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

const INIT: [&str; 7] = [
    "init",
    "--homeserver",
    "http://127.0.0.1:8008",
    "--domain",
    "example.org",
    "--admin",
    "@admin:example.org",
];

#[test]
fn init_writes_what_check_accepts_and_never_overwrites() {
    let folder = tempfile::tempdir().unwrap();
    let output = viaduct(folder.path(), &INIT);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(text(&output.stdout).contains("app_service_config_files"));
    for name in ["as_token", "hs_token", "admin_token"] {
        let path = folder.path().join("secrets").join(name);
        assert_eq!(
            std::fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600,
            "{name}"
        );
        assert_eq!(std::fs::read_to_string(&path).unwrap().trim().len(), 64);
    }
    let checked = viaduct(folder.path(), &["check"]);
    assert!(checked.status.success(), "{}", text(&checked.stdout));
    assert!(
        text(&checked.stdout).contains("0 errors, 0 warnings"),
        "{}",
        text(&checked.stdout)
    );

    let registration = std::fs::read_to_string(folder.path().join("viaduct-registration.yaml")).unwrap();
    let printed = viaduct(folder.path(), &["registration"]);
    assert_eq!(text(&printed.stdout).trim(), registration.trim());
    let token = std::fs::read_to_string(folder.path().join("secrets/as_token")).unwrap();
    assert!(registration.contains(token.trim()));

    let again = viaduct(folder.path(), &INIT);
    assert!(!again.status.success());
    assert!(text(&again.stderr).contains("already"), "{}", text(&again.stderr));
    assert_eq!(
        std::fs::read_to_string(folder.path().join("secrets/as_token")).unwrap(),
        token
    );
}

#[test]
fn init_with_an_answer_that_cannot_be_meant_can_be_given_again() {
    let folder = tempfile::tempdir().unwrap();
    let far = INIT.map(|word| {
        if word.starts_with("http:") {
            "http://synapse.example:8008"
        } else {
            word
        }
    });
    let wrong = viaduct(folder.path(), &[&far[..], &["--plaintext", "x"]].concat());
    assert!(
        !wrong.status.success() && text(&wrong.stderr).contains("plaintext"),
        "{}",
        text(&wrong.stderr)
    );
    let right = viaduct(
        folder.path(),
        &[&far[..], &["--plaintext", "the same machine room, own cable"]].concat(),
    );
    assert!(right.status.success(), "{}", text(&right.stderr));
}

#[test]
fn problems_are_told_with_place_and_remedy() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("viaduct.yaml"), "homeserver:\n  urll: x\n").unwrap();
    let output = viaduct(folder.path(), &["check"]);
    assert_eq!(output.status.code(), Some(1));
    let told = text(&output.stdout);
    assert!(
        told.contains("viaduct.yaml:2:3") && told.contains("did you mean `url`?"),
        "{told}"
    );
    let output = viaduct(folder.path(), &["check", "--json"]);
    let problems: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(
        problems.as_array().unwrap().iter().any(|problem| problem["line"] == 2),
        "{problems}"
    );

    let output = viaduct(folder.path(), &["run", "-c", "missing.yaml"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        text(&output.stderr).contains("viaduct init"),
        "{}",
        text(&output.stderr)
    );
}

#[test]
fn deliveries_without_a_hub_or_store_say_so() {
    let folder = tempfile::tempdir().unwrap();
    assert!(viaduct(folder.path(), &INIT).status.success());
    let path = folder.path().join("viaduct.yaml");
    let config = std::fs::read_to_string(&path)
        .unwrap()
        .replace("127.0.0.1:29321", "127.0.0.1:1");
    std::fs::write(&path, config).unwrap();
    let output = viaduct(folder.path(), &["deliveries", "list"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        text(&output.stderr).contains("no hub running"),
        "{}",
        text(&output.stderr)
    );
}

#[test]
fn the_help_has_examples() {
    let output = viaduct(Path::new("."), &["--help"]);
    assert!(text(&output.stdout).contains("viaduct init --homeserver"));
    let output = viaduct(Path::new("."), &["capabilities", "--markdown"]);
    assert!(text(&output.stdout).contains("| echo |") || text(&output.stdout).contains(" echo "));
}
