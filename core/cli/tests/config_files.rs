//! The committed configuration files are those that this program understands.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::{Path, PathBuf};

use viaduct_cli::registry::Registry;
use viaduct_config::{Severity, check, schema};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config")
}

/// The problems that are not about this machine (variables that are not set here).
fn problems(name: &str) -> Vec<String> {
    let path = folder().join(name);
    let text = std::fs::read_to_string(&path).unwrap();
    let problems = match check(&text, &path, &Registry::new()) {
        Ok(checked) => checked.warnings,
        Err(problems) => problems,
    };
    let here = |problem: &&viaduct_config::Problem| {
        problem.severity == Severity::Error || !problem.what.contains("is not set here")
    };
    problems.iter().filter(here).map(ToString::to_string).collect()
}

#[test]
fn the_examples_have_no_problems() {
    for name in ["example.yaml", "minimal.yaml"] {
        let problems = problems(name);
        assert!(problems.is_empty(), "{name}:\n{}", problems.join("\n"));
    }
}

#[test]
fn the_schema_file_is_up_to_date() {
    let path = folder().join("viaduct.schema.json");
    let expected = serde_json::to_string_pretty(&schema(&Registry::new())).unwrap() + "\n";
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        found == expected,
        "write it again: cargo run --bin viaduct -- schema > config/viaduct.schema.json"
    );
}

#[test]
fn the_example_shows_every_section() {
    let text = std::fs::read_to_string(folder().join("example.yaml")).unwrap();
    let schema = schema(&Registry::new());
    for section in schema["properties"].as_object().unwrap().keys() {
        assert!(
            text.contains(&format!("\n{section}:")),
            "{section} is not in the example"
        );
    }
    for section in ["Homeserver", "Appservice", "StoreSection", "Admin", "Logging"] {
        for key in schema["$defs"][section]["properties"].as_object().unwrap().keys() {
            let secret = ["as_token", "hs_token", "token"]
                .iter()
                .any(|name| key.starts_with(name));
            assert!(
                secret || text.contains(&format!("{key}:")),
                "{section}.{key} is not in the example"
            );
        }
    }
}
