//! Lists of what is protected, made and used on the command line: the example policy, with the files that its comments name.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::{Path, PathBuf};
use std::process::Command;

fn say(folder: &Path, line: &[&str]) -> (bool, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_viaduct"))
        .args(line)
        .current_dir(folder)
        .env_remove("VIADUCT_CONFIG")
        .output()
        .unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&said).into_owned())
}

fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config/policies/know-how")
}

#[test]
fn s45_the_example_policy_protects_what_its_lists_were_made_of() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    for name in ["know-how.yaml", "customers.txt", "plan.txt", "letterhead.txt"] {
        std::fs::copy(examples().join(name), folder.join(name)).unwrap();
    }
    let good = |line: &[&str]| {
        let (well, said) = say(folder, line);
        assert!(well, "{line:?}: {said}");
        said
    };
    let (well, said) = say(folder, &["policy", "test", "know-how.yaml"]);
    assert!(!well && said.contains("know-how.key cannot be read"), "{said}");
    // As the comments of the policy say.
    let policy = std::fs::read_to_string(folder.join("know-how.yaml")).unwrap();
    let commands: Vec<Vec<&str>> = policy
        .lines()
        .filter_map(|line| line.strip_prefix("#   viaduct "))
        .map(|line| line.split_whitespace().collect())
        .collect();
    assert!(commands.len() >= 4, "{commands:?}");
    for command in &commands {
        good(command);
    }
    let list = std::fs::read_to_string(folder.join("customers.list")).unwrap();
    assert!(!list.contains("4711") && list.lines().count() > 3, "{list}");
    let said = good(&["policy", "test", "know-how.yaml"]);
    assert!(!said.contains("warning"), "{said}");

    let (well, said) = say(folder, &["policy", "protect", "key", "--out", "know-how.key"]);
    assert!(
        !well && said.contains("cannot be written"),
        "nothing is overwritten: {said}"
    );
    good(&["policy", "protect", "key", "--out", "other.key"]);
    std::fs::copy(folder.join("other.key"), folder.join("know-how.key")).unwrap();
    let (well, said) = say(folder, &["policy", "test", "know-how.yaml"]);
    assert!(!well && said.contains("made with another key"), "{said}");
    std::fs::write(folder.join("short.txt"), "ab\n").unwrap();
    let short = [
        "policy",
        "protect",
        "values",
        "short.txt",
        "--key",
        "other.key",
        "--out",
        "x",
    ];
    let (well, said) = say(folder, &short);
    assert!(
        !well && said.contains("fewer than 4") && !folder.join("x").exists(),
        "{said}"
    );
    std::fs::write(folder.join("locked.bin"), b"\x00\x01\x02").unwrap();
    let locked = [
        "policy",
        "protect",
        "documents",
        "locked.bin",
        "--key",
        "other.key",
        "--out",
        "x",
    ];
    let (well, said) = say(folder, &locked);
    assert!(!well && said.contains("not all of this can be read"), "{said}");
}
