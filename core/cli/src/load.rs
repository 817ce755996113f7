//! Reads and checks the configuration.

use std::path::Path;

use viaduct_config::{Checked, Problem, Severity};

use crate::registry::Registry;
use crate::trouble::Trouble;

/// Reads and checks a configuration.
///
/// # Errors
///
/// If the file cannot be read. What is wrong inside is the inner error.
pub fn read(path: &Path, registry: &Registry) -> anyhow::Result<Result<Checked, Vec<Problem>>> {
    let text = std::fs::read_to_string(path).map_err(|error| {
        let fix = if error.kind() == std::io::ErrorKind::NotFound {
            "`viaduct init` writes a first one; or name yours with -c"
        } else {
            ""
        };
        Trouble::error(
            format!("the configuration cannot be read: {error}"),
            path.display(),
            fix,
        )
    })?;
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    Ok(viaduct_config::check(&text, &path, registry))
}

/// Reads a configuration that has no errors.
///
/// # Errors
///
/// If it cannot be read, or with all its problems as text.
pub fn load(path: &Path, registry: &Registry) -> anyhow::Result<Checked> {
    read(path, registry)?.map_err(|problems| {
        let errors = problems
            .iter()
            .filter(|problem| problem.severity == Severity::Error)
            .count();
        let told: Vec<String> = problems.iter().map(ToString::to_string).collect();
        anyhow::anyhow!("{}\n\n{errors} error(s) in {}", told.join("\n"), path.display())
    })
}
