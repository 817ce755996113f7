//! The house's imports run one way. This reads every crate's manifest and compares it with the plan.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Which crates of this house a folder may use. A bridge may use the same as `bridges/*`.
const ALLOWED: [(&str, &[&str]); 15] = [
    ("core/model", &[]),
    ("core/compliance", &["model"]),
    ("core/bridge", &["model", "compliance"]),
    ("core/store", &["model"]),
    ("core/audit", &["model"]),
    ("core/token", &["model"]),
    ("core/matrix", &["model", "compliance", "bridge"]),
    ("core/governance", &["model", "compliance", "store", "audit"]),
    ("core/inspect", &["model", "compliance", "bridge"]),
    (
        "core/engine",
        &[
            "model",
            "compliance",
            "bridge",
            "store",
            "audit",
            "governance",
            "inspect",
            "matrix",
        ],
    ),
    (
        "core/admin",
        &["model", "compliance", "store", "audit", "governance", "engine", "token"],
    ),
    ("core/cli", &["*"]),
    ("bridges/*", &["model", "compliance", "bridge", "token"]),
    ("config", &["model", "compliance", "audit", "governance", "inspect"]),
    ("tests", &["*"]),
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Every folder of the workspace with a manifest, relative to the root.
fn crates() -> BTreeMap<String, toml::Table> {
    let workspace: toml::Table = std::fs::read_to_string(root().join("Cargo.toml"))
        .unwrap()
        .parse()
        .unwrap();
    let members = workspace["workspace"]["members"].as_array().unwrap();
    let mut folders: Vec<String> = Vec::new();
    for member in members.iter().filter_map(toml::Value::as_str) {
        let Some(parent) = member.strip_suffix("/*") else {
            folders.push(member.to_owned());
            continue;
        };
        for entry in std::fs::read_dir(root().join(parent)).unwrap() {
            folders.push(format!(
                "{parent}/{}",
                entry.unwrap().file_name().into_string().unwrap()
            ));
        }
    }
    let manifest = |folder: &String| {
        let text = std::fs::read_to_string(root().join(folder).join("Cargo.toml")).ok()?;
        Some((folder.clone(), text.parse().unwrap()))
    };
    folders.iter().filter_map(manifest).collect()
}

/// The crates of this house that a manifest names, outside of its tests.
fn used(manifest: &toml::Table) -> BTreeSet<String> {
    let tables = ["dependencies", "build-dependencies"];
    let names = tables
        .iter()
        .filter_map(|table| manifest.get(*table)?.as_table())
        .flat_map(toml::Table::keys);
    names
        .filter_map(|name| name.strip_prefix("viaduct-"))
        .map(str::to_owned)
        .collect()
}

fn allowed(folder: &str) -> Option<&'static [&'static str]> {
    let pattern = match folder.split_once('/') {
        Some(("bridges", _)) => "bridges/*",
        Some(("tests", _)) => "tests",
        _ => folder,
    };
    ALLOWED
        .iter()
        .find(|(name, _)| *name == pattern)
        .map(|(_, allowed)| *allowed)
}

#[test]
fn imports_run_one_way() {
    let crates = crates();
    assert!(crates.len() >= 12, "the crates were not found: {:?}", crates.keys());
    let mut wrong = Vec::new();
    for (folder, manifest) in &crates {
        let Some(allowed) = allowed(folder) else {
            wrong.push(format!("{folder} has no place in the plan"));
            continue;
        };
        for name in used(manifest) {
            if !allowed.contains(&"*") && !allowed.contains(&name.as_str()) {
                wrong.push(format!("{folder} must not use viaduct-{name}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn packages_are_named_after_their_folders() {
    for (folder, manifest) in crates() {
        let name = manifest["package"]["name"].as_str().unwrap();
        let expected = folder.rsplit('/').next().unwrap();
        assert_eq!(name, format!("viaduct-{expected}"), "{folder}");
    }
}

/// The command line is the only crate that names the bridges.
#[test]
fn only_the_command_line_names_bridges() {
    let crates = crates();
    let bridges: BTreeSet<&str> = crates
        .keys()
        .filter_map(|folder| folder.strip_prefix("bridges/"))
        .collect();
    for (folder, manifest) in crates
        .iter()
        .filter(|(folder, _)| *folder != "core/cli" && !folder.starts_with("tests"))
    {
        let named: Vec<_> = used(manifest)
            .into_iter()
            .filter(|name| bridges.contains(name.as_str()))
            .collect();
        assert!(named.is_empty(), "{folder} names {named:?}");
    }
}
