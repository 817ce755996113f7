//! What came of a run.

use std::fmt;
use std::time::Duration;

/// What came of one scenario.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It holds.
    Passed,
    /// It was left out, and why.
    Skipped(String),
    /// It does not hold, and what was seen.
    Failed(String),
}

/// One scenario of a run.
#[derive(Debug, Clone)]
pub struct Line {
    /// The scenario's name.
    pub scenario: &'static str,
    /// What came of it.
    pub outcome: Outcome,
    /// How long it took.
    pub took: Duration,
}

/// All scenarios of a run, in order. Printing it gives a table.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// The kind of network.
    pub kind: String,
    /// One line for each scenario.
    pub lines: Vec<Line>,
}

impl Report {
    /// What came of a scenario; none if there is no such scenario.
    pub fn outcome(&self, scenario: &str) -> Option<&Outcome> {
        self.lines
            .iter()
            .find(|line| line.scenario == scenario)
            .map(|line| &line.outcome)
    }

    /// The names of the scenarios that do not hold.
    pub fn failed(&self) -> Vec<&'static str> {
        self.lines
            .iter()
            .filter(|line| matches!(line.outcome, Outcome::Failed(_)))
            .map(|line| line.scenario)
            .collect()
    }

    /// The names of the scenarios that were left out.
    pub fn skipped(&self) -> Vec<&'static str> {
        self.lines
            .iter()
            .filter(|line| matches!(line.outcome, Outcome::Skipped(_)))
            .map(|line| line.scenario)
            .collect()
    }

    /// For the end of a test.
    ///
    /// # Panics
    ///
    /// If a scenario does not hold, with the whole table.
    pub fn assert(&self) {
        assert!(
            self.failed().is_empty() && !self.lines.is_empty(),
            "the bridge does not conform:\n{self}"
        );
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:<18} {:<8} {:>8}  {}", "scenario", "outcome", "ms", self.kind)?;
        for Line {
            scenario,
            outcome,
            took,
        } in &self.lines
        {
            let (word, detail) = match outcome {
                Outcome::Passed => ("passed", ""),
                Outcome::Skipped(reason) => ("skipped", reason.as_str()),
                Outcome::Failed(reason) => ("FAILED", reason.as_str()),
            };
            let line = format!("{scenario:<18} {word:<8} {:>8}  {detail}", took.as_millis());
            writeln!(f, "{}", line.trim_end())?;
        }
        write!(
            f,
            "{} scenarios, {} failed, {} skipped",
            self.lines.len(),
            self.failed().len(),
            self.skipped().len()
        )
    }
}
