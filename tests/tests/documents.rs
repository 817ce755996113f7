//! What the documents tell administrators to write and to type is understood by the program.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, ensure};
use serde_json::{Map, Value};
use viaduct_tests::launch::{Hub, Place, available, project_root};

/// The documents with commands and snippets of configuration.
const DOCUMENTS: [&str; 3] = ["README.md", "deploy/README.md", "deploy/xmpp.md"];

/// Where the documents put secrets; here they are beside the configuration.
const SECRETS: &str = "/etc/viaduct/";

/// The fenced parts of a document in one language.
fn fenced(text: &str, language: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut parts = text.split("```");
    // Every second part is inside; the language stands behind the opening fence.
    while let (Some(_), Some(inside)) = (parts.next(), parts.next()) {
        if let Some(body) = inside.strip_prefix(language).and_then(|body| body.strip_prefix('\n')) {
            found.push(body.to_owned());
        }
    }
    found
}

/// Puts one mapping over another.
fn lay_over(base: &mut Map<String, Value>, above: Map<String, Value>) {
    for (key, value) in above {
        match (base.get_mut(&key), value) {
            (Some(Value::Object(below)), Value::Object(value)) => lay_over(below, value),
            (_, value) => drop(base.insert(key, value)),
        }
    }
}

/// The files that secrets are to be read from.
fn secret_files(value: &Value, found: &mut Vec<PathBuf>) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                match value.as_str().filter(|_| key.ends_with("_file")) {
                    Some(path) => found.push(PathBuf::from(path)),
                    None => secret_files(value, found),
                }
            }
        }
        Value::Array(list) => list.iter().for_each(|value| secret_files(value, found)),
        _ => {}
    }
}

/// Checks a snippet, laid over what `viaduct init` writes.
fn check(snippet: &str, hub: &Path) -> anyhow::Result<()> {
    let place = Place::new("documents")?;
    let path = place.file("viaduct.yaml");
    let given = [
        "--homeserver",
        "http://127.0.0.1:8008",
        "--domain",
        "example.org",
        "--admin",
        "@you:example.org",
    ];
    let made = Command::new(hub)
        .arg("-c")
        .arg(&path)
        .arg("init")
        .args(given)
        .output()?;
    ensure!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let mut whole: Map<String, Value> = serde_norway::from_str(&fs::read_to_string(&path)?)?;
    let here = format!("{}/", place.path().display());
    let snippet: Map<String, Value> =
        serde_norway::from_str(&snippet.replace(SECRETS, &here)).with_context(|| format!("not YAML: {snippet}"))?;
    lay_over(&mut whole, snippet);
    let whole = Value::Object(whole);
    let mut secrets = Vec::new();
    secret_files(&whole, &mut secrets);
    for secret in secrets
        .into_iter()
        .map(|secret| place.path().join(secret))
        .filter(|secret| !secret.exists())
    {
        fs::create_dir_all(secret.parent().context("a folder")?)?;
        fs::write(&secret, "a secret of a test, long enough")?;
        fs::set_permissions(secret, fs::Permissions::from_mode(0o600))?;
    }
    fs::write(&path, whole.to_string())?;
    let checked = Command::new(hub).arg("-c").arg(&path).arg("check").output()?;
    let told = [checked.stdout, checked.stderr].concat();
    let told = String::from_utf8_lossy(&told);
    ensure!(
        checked.status.success(),
        "{told}\nof {snippet:?}",
        snippet = whole.to_string()
    );
    Ok(())
}

#[test]
fn every_snippet_of_configuration_passes_the_check() -> anyhow::Result<()> {
    let Some(hub) = available(Hub::binary())? else {
        return Ok(());
    };
    let mut count = 0;
    for document in DOCUMENTS {
        let text = fs::read_to_string(project_root().join(document))?;
        for snippet in fenced(&text, "yaml") {
            // Values of the chart (tests/tests/packages/chart.rs) and another program's configuration have checks of their own.
            if snippet.starts_with("# my-values.yaml") || snippet.starts_with("listen:") {
                continue;
            }
            check(&snippet, &hub).with_context(|| format!("{document}:\n{snippet}"))?;
            count += 1;
        }
    }
    assert!(count >= 3, "only {count} snippets were found");
    Ok(())
}

/// The commands that a line tells to type: the words behind `viaduct` up to the first that is not a command's, each choice
/// (`release | reject`) on its own.
fn commands(line: &str) -> Vec<Vec<String>> {
    let line = line.split('#').next().unwrap_or_default();
    let line = line
        .split_once("exec viaduct-0 -- ")
        .map_or(line, |(_, command)| command);
    let mut words = line
        .split_whitespace()
        .skip_while(|word| matches!(*word, "sudo" | "-u") || word.ends_with("=1"));
    let Some(first) = words.next() else { return Vec::new() };
    let mut words: Vec<&str> = words.collect();
    match (first, words.first()) {
        // sudo -u viaduct viaduct …
        ("viaduct", Some(&"viaduct")) => drop(words.remove(0)),
        ("viaduct" | "target/release/viaduct", _) => {}
        _ => return Vec::new(),
    }
    let is_word = |word: &str| !word.is_empty() && word.chars().all(|c| c.is_ascii_lowercase() || c == '-');
    let mut told = vec![Vec::new()];
    let mut words = words.into_iter().peekable();
    while let Some(word) = words.next() {
        if word == "-c" {
            words.next();
            continue;
        }
        if !is_word(word) || word.starts_with('-') {
            break;
        }
        let mut choices = vec![word];
        while words.next_if_eq(&"|").is_some() {
            choices.extend(words.next());
        }
        let longer = |so_far: &Vec<String>| {
            let so_far = so_far.clone();
            choices
                .iter()
                .map(move |choice| [so_far.clone(), vec![(*choice).to_owned()]].concat())
                .collect::<Vec<_>>()
        };
        told = told.iter().flat_map(longer).collect();
    }
    told
}

#[test]
fn every_command_is_one_of_the_program() -> anyhow::Result<()> {
    let Some(hub) = available(Hub::binary())? else {
        return Ok(());
    };
    let mut count = 0;
    for document in DOCUMENTS {
        let text = fs::read_to_string(project_root().join(document))?;
        // Every second part is a fenced one; what stands in single quotes is in the others.
        let (fenced, prose): (Vec<_>, Vec<_>) = text.split("```").enumerate().partition(|(number, _)| number % 2 == 1);
        let typed = fenced.iter().flat_map(|(_, part)| part.lines());
        let quoted = prose.iter().flat_map(|(_, part)| part.split('`').skip(1).step_by(2));
        for command in typed.chain(quoted).flat_map(commands) {
            // Commands named after a kind of network are the bridges' own, and ask the configuration which there are.
            if command.is_empty() || ["slack", "teams"].contains(&command[0].as_str()) {
                continue;
            }
            let asked = Command::new(&hub).args(&command).arg("--help").output()?;
            let told = String::from_utf8_lossy(&asked.stderr);
            ensure!(
                asked.status.success(),
                "{document}: viaduct {}: {told}",
                command.join(" ")
            );
            count += 1;
        }
    }
    assert!(count >= 25, "only {count} commands were found");
    Ok(())
}

#[test]
fn the_first_steps_in_containers_work_as_written() -> anyhow::Result<()> {
    let Some(hub) = available(Hub::binary())? else {
        return Ok(());
    };
    let text = fs::read_to_string(project_root().join("deploy/compose.yaml"))?;
    let steps: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix('#')).collect();
    let steps = steps.join("\n");
    let (_, init) = steps.split_once("viaduct init").context("no init in the first steps")?;
    let (init, rest) = init.split_once("\n   # in").context("no end of init")?;
    let place = Place::new("compose")?;
    let path = place.file("viaduct.yaml");
    let made = Command::new("sh")
        .args(["-euc", &format!("\"$HUB\" -c \"$FILE\" init {init}")])
        .envs([
            ("HUB", hub.as_path()),
            ("FILE", path.as_path()),
            ("SERVER_NAME", Path::new("example.org")),
        ])
        .output()?;
    ensure!(
        made.status.success(),
        "{init}: {}",
        String::from_utf8_lossy(&made.stderr)
    );
    let written = fs::read_to_string(&path)?;
    assert!(
        written.contains("url: \"http://viaduct:29320\"") && written.contains("0.0.0.0:29320"),
        "{written}"
    );
    // The rest of the hub's file system is read-only: what it writes has to go where the volume is.
    for key in ["store:", "folder:", "keys:", "listen:"] {
        assert!(rest.contains(key), "{key} is not told: {rest}");
    }
    let compose: Value = serde_norway::from_str(&text)?;
    let service = &compose["services"]["viaduct"];
    assert_eq!(
        (&service["read_only"], &service["cap_drop"][0]),
        (&true.into(), &"ALL".into())
    );
    let image = fs::read_to_string(project_root().join("deploy/Containerfile"))?;
    for volume in service["volumes"].as_array().context("no volumes")? {
        let target = volume
            .as_str()
            .and_then(|volume| volume.split(':').nth(1))
            .context("a volume's target")?;
        assert!(image.contains(target), "{target} is not in the image");
    }
    Ok(())
}
