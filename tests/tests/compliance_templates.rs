//! The templates for contracts, assessments and operation: they are there in German and English, and every command and key of the
//! configuration that they name exists.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, ensure};
use serde_json::Value;
use viaduct_tests::launch::{Hub, available};

/// What a partnership needs, by file.
const DOCUMENTS: [&str; 5] = [
    "contract-annex.md",
    "impact-assessment.md",
    "record-of-processing.md",
    "runbooks.md",
    "works-agreement.md",
];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/templates")
}

fn read(path: &str) -> anyhow::Result<String> {
    fs::read_to_string(folder().join(path)).with_context(|| path.to_owned())
}

/// What is set as code within a line.
fn code(text: &str) -> BTreeSet<String> {
    let lines = text.lines().filter(|line| !line.starts_with("```"));
    let spans = lines.flat_map(|line| line.split('`').skip(1).step_by(2));
    spans.map(str::to_owned).collect()
}

/// The blocks of configuration in a text.
fn blocks(text: &str) -> Vec<&str> {
    let after = text.split("```yaml\n").skip(1);
    after.filter_map(|rest| rest.split("```").next()).collect()
}

fn run(program: &Path, arguments: &[&str]) -> anyhow::Result<(bool, String)> {
    let output = Command::new(program).args(arguments).output()?;
    Ok((
        output.status.success(),
        String::from_utf8_lossy(&output.stdout).into_owned(),
    ))
}

/// Whether the schema knows a key; a part in capitals stands for any name.
fn knows(schema: &Value, at: &Value, path: &[&str]) -> bool {
    let Some((first, rest)) = path.split_first() else {
        return true;
    };
    if let Some(name) = at.get("$ref").and_then(Value::as_str) {
        let target = schema.pointer(name.trim_start_matches('#'));
        return target.is_some_and(|target| knows(schema, target, path));
    }
    let choices = ["anyOf", "oneOf", "allOf"]
        .into_iter()
        .filter_map(|key| at.get(key)?.as_array());
    if choices.flatten().any(|choice| knows(schema, choice, path)) {
        return true;
    }
    if let Some(items) = at.get("items") {
        return knows(schema, items, path);
    }
    let any = first.chars().all(char::is_uppercase);
    let next = if any {
        at.get("additionalProperties")
    } else {
        at.get("properties").and_then(|properties| properties.get(first))
    };
    next.is_some_and(|next| next.is_object() && knows(schema, next, rest))
}

#[test]
fn s52_every_document_is_there_in_german_and_english_and_says_what_it_is() -> anyhow::Result<()> {
    let index = read("README.md")?;
    for (language, disclaimer) in [("de", "Vorlage"), ("en", "template")] {
        let there: BTreeSet<String> = fs::read_dir(folder().join(language))?
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .collect();
        ensure!(there == DOCUMENTS.map(str::to_owned).into(), "{language}: {there:?}");
        for name in DOCUMENTS {
            let text = read(&format!("{language}/{name}"))?;
            ensure!(
                index.contains(&format!("({language}/{name})")),
                "{language}/{name} is not linked"
            );
            let beginning: Vec<&str> = text.lines().take(4).collect();
            ensure!(
                beginning.concat().contains(disclaimer),
                "{language}/{name} does not say what it is"
            );
        }
    }
    // Both say the same: the same keys, commands, headings and blocks.
    for name in DOCUMENTS {
        let [german, english] = ["de", "en"].map(|language| read(&format!("{language}/{name}")));
        let (german, english) = (german?, english?);
        ensure!(code(&german) == code(&english), "{name}");
        ensure!(blocks(&german) == blocks(&english), "{name}");
        let headings = |text: &str| text.lines().filter(|line| line.starts_with('#')).count();
        ensure!(headings(&german) == headings(&english), "{name}");
    }
    Ok(())
}

#[test]
fn s52_whatever_they_name_exists() -> anyhow::Result<()> {
    let Some(program) = available(Hub::binary())? else {
        return Ok(());
    };
    let (_, schema) = run(&program, &["schema"])?;
    let schema: Value = serde_json::from_str(&schema)?;
    let mut commands = 0;
    for name in DOCUMENTS {
        let text = read(&format!("en/{name}"))?;
        for span in code(&text) {
            if let Some(command) = span.strip_prefix("viaduct ") {
                let (options, words): (Vec<&str>, Vec<&str>) =
                    command.split(' ').partition(|word| word.starts_with("--"));
                let (is_known, help) = run(&program, &[&*words, &["--help"]].concat())?;
                ensure!(is_known, "{name}: there is no `{span}`");
                ensure!(options.iter().all(|option| help.contains(option)), "{name}: `{span}`");
                commands += 1;
            } else {
                let path: Vec<&str> = span.split('.').collect();
                ensure!(knows(&schema, &schema, &path), "{name}: there is no key `{span}`");
            }
        }
        for block in blocks(&text) {
            let file = tempfile::Builder::new().suffix(".yaml").tempfile()?;
            fs::write(file.path(), block)?;
            let path = file.path().to_str().context("a path")?;
            let (is_good, told) = run(&program, &["policy", "test", path])?;
            ensure!(is_good, "{name}: {told}");
        }
    }
    ensure!(commands > 10, "{commands}");
    ensure!(
        !knows(&schema, &schema, &["partners", "NAME", "nonsense"]),
        "it can fail"
    );
    Ok(())
}
