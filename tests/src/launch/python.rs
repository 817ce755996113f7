//! Programs in Python that drive what the tests look at: other people's clients and tools.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde_json::Value;

use super::{Missing, project_root};

/// How long such a program may take.
const BOUND: Duration = Duration::from_mins(2);

/// A Python that has a module: from `VIADUCT_PYTHON`, else the one `tests/run` installed.
///
/// # Errors
///
/// [`Missing`] when there is none, or it has no such module; naming what to install, as pip calls it.
pub fn python(module: &str, package: &str) -> anyhow::Result<PathBuf> {
    let python =
        env::var_os("VIADUCT_PYTHON").map_or_else(|| project_root().join(".run/synapse/bin/python"), PathBuf::from);
    let has_it = Command::new(&python)
        .args(["-c", &format!("import {module}")])
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    if has_it {
        return Ok(python);
    }
    Err(Missing(format!(
        "{} has no {module} (tests/run installs it; or pip install {package})",
        python.display()
    ))
    .into())
}

/// Runs one of the project's scripts with a task in JSON as its only argument, and gives what it printed.
///
/// # Errors
///
/// When it fails or takes too long; with what it said.
pub async fn run_script(python: &Path, script: &str, task: &Value) -> anyhow::Result<String> {
    let output = tokio::process::Command::new(python)
        .arg(project_root().join(script))
        .arg(task.to_string())
        .env("NO_PROXY", "127.0.0.1")
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(BOUND, output)
        .await
        .with_context(|| format!("{script} took too long"))??;
    let (said, complaints) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    ensure!(output.status.success(), "{script}: {said}\n{complaints}");
    Ok(said.into_owned())
}
