//! What `check` has to say: what is wrong, where, and what to do.

use std::fmt;
use std::path::PathBuf;

use serde::Serialize;

/// How bad a problem is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// viaduct will not start like this.
    Error,
    /// It will, but something should be changed.
    Warning,
}

/// A position in the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct Position {
    /// The line, from 1.
    pub line: usize,
    /// The column, from 1, in characters.
    pub column: usize,
}

/// One problem of a configuration. Its text never repeats a secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// How bad it is.
    pub severity: Severity,
    /// The file.
    pub file: PathBuf,
    /// Where in the file.
    #[serde(flatten)]
    pub at: Position,
    /// The key it is about, such as `mirrors[0].room`; empty for the whole file.
    pub key: String,
    /// What is wrong.
    pub what: String,
    /// What to do.
    pub fix: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let severity = if self.severity == Severity::Error {
            "error"
        } else {
            "warning"
        };
        let colon = if self.key.is_empty() { "" } else { ": " };
        writeln!(f, "{severity}: {}{colon}{}", self.key, self.what)?;
        write!(f, "  --> {}:{}:{}", self.file.display(), self.at.line, self.at.column)?;
        if !self.fix.is_empty() {
            write!(f, "\n  fix: {}", self.fix)?;
        }
        Ok(())
    }
}

/// Collects the problems of one file.
#[derive(Debug)]
pub(crate) struct Report {
    file: PathBuf,
    problems: Vec<Problem>,
}

impl Report {
    pub(crate) fn new(file: PathBuf) -> Self {
        Self {
            file,
            problems: Vec::new(),
        }
    }

    pub(crate) fn error(&mut self, at: Position, key: &str, what: impl Into<String>, fix: impl Into<String>) {
        self.add(Severity::Error, at, key, what.into(), fix.into());
    }

    pub(crate) fn warning(&mut self, at: Position, key: &str, what: impl Into<String>, fix: impl Into<String>) {
        self.add(Severity::Warning, at, key, what.into(), fix.into());
    }

    fn add(&mut self, severity: Severity, at: Position, key: &str, what: String, fix: String) {
        let problem = Problem {
            severity,
            file: self.file.clone(),
            at,
            key: key.to_owned(),
            what,
            fix,
        };
        if !self.problems.contains(&problem) {
            self.problems.push(problem);
        }
    }

    /// An empty report about the same file, for trying something out.
    pub(crate) fn scratch(&self) -> Self {
        Self::new(self.file.clone())
    }

    pub(crate) fn append(&mut self, other: Self) {
        self.problems.extend(other.problems);
    }

    pub(crate) fn len(&self) -> usize {
        self.problems.len()
    }

    pub(crate) fn has_errors(&self) -> bool {
        self.problems.iter().any(|problem| problem.severity == Severity::Error)
    }

    /// The problems, in the order of the text.
    pub(crate) fn into_problems(mut self) -> Vec<Problem> {
        self.problems.sort_by_key(|problem| problem.at);
        self.problems
    }
}

/// The one of `known` that is most like `given`, if it is like enough to be what was meant.
pub(crate) fn nearest<'a>(given: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    known
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(given, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= 1 + candidate.chars().count() / 3)
        .min()
        .map(|(_, candidate)| candidate)
}

/// A fix for something that is not among `known`: the nearest one, or all of them.
pub(crate) fn suggest(given: &str, known: &[&str], none: &str) -> String {
    match nearest(given, known.iter().copied()) {
        Some(candidate) => format!("did you mean `{candidate}`?"),
        None if known.is_empty() => none.to_owned(),
        None => format!(
            "known here: {}",
            known
                .iter()
                .map(|name| format!("`{name}`"))
                .collect::<Vec<_>>()
                .join(", ")
        ),
    }
}
