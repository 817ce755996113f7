//! Medians in a table.

use serde_json::json;

/// One figure of one run.
#[derive(Debug, Clone, PartialEq)]
pub struct Figure {
    /// What was measured.
    pub name: String,
    /// How much.
    pub value: f64,
    /// Of what.
    pub unit: &'static str,
}

/// All figures of one run, in the order of the table.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Figures(pub Vec<Figure>);

impl Figures {
    /// Adds a figure.
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, value: f64, unit: &'static str) -> Self {
        self.0.push(Figure {
            name: name.into(),
            value,
            unit,
        });
        self
    }

    /// Adds a number of messages.
    #[must_use]
    pub fn with_count(self, name: impl Into<String>, value: u64) -> Self {
        #[expect(
            clippy::cast_precision_loss,
            reason = "counts of a run are far below the bound of exact numbers"
        )]
        self.with(name, value as f64, "messages")
    }
}

/// How the figures are told.
#[derive(Debug, Clone, Copy)]
pub struct Report {
    json: bool,
}

impl Report {
    /// As a Markdown table, or as JSON lines.
    pub fn new(json: bool) -> Self {
        Self { json }
    }

    /// What comes before the rows.
    pub fn head(self) -> String {
        if self.json {
            String::new()
        } else {
            "| measure | median | lowest | highest | runs |\n|---|---|---|---|---|".to_owned()
        }
    }

    /// A row for each figure that every run has.
    pub fn rows(self, runs: &[Figures]) -> Vec<String> {
        let Some(first) = runs.first() else { return Vec::new() };
        let mut rows = Vec::new();
        for (position, figure) in first.0.iter().enumerate() {
            let mut values: Vec<f64> = runs
                .iter()
                .filter_map(|run| run.0.get(position))
                .map(|figure| figure.value)
                .collect();
            values.sort_by(f64::total_cmp);
            rows.push(self.row(figure, &values));
        }
        rows
    }

    fn row(self, figure: &Figure, sorted: &[f64]) -> String {
        let (low, high) = (
            sorted.first().copied().unwrap_or_default(),
            sorted.last().copied().unwrap_or_default(),
        );
        let median = median(sorted);
        if self.json {
            let row = json!({
                "measure": figure.name, "median": median, "lowest": low, "highest": high, "unit": figure.unit,
                "runs": sorted.len(),
            });
            return row.to_string();
        }
        let (median, low, high) = (number(median), number(low), number(high));
        format!(
            "| {} | {median} {} | {low} | {high} | {} |",
            figure.name,
            figure.unit,
            sorted.len()
        )
    }
}

/// The middle one of sorted values; the mean of the middle two of an even number.
pub fn median(sorted: &[f64]) -> f64 {
    let middle = sorted.len() / 2;
    let at = |position: usize| sorted.get(position).copied().unwrap_or_default();
    if sorted.len().is_multiple_of(2) {
        f64::midpoint(at(middle.saturating_sub(1)), at(middle))
    } else {
        at(middle)
    }
}

/// The value below which so many hundredths of the sorted values lie.
pub fn percentile(sorted: &[f64], hundredths: usize) -> f64 {
    let rank = (sorted.len() * hundredths).div_ceil(100).max(1) - 1;
    sorted.get(rank).copied().unwrap_or_default()
}

fn number(value: f64) -> String {
    if value.abs() >= 100.0 || value.fract() == 0.0 {
        format!("{value:.0}")
    } else {
        format!("{value:.2}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_and_percentiles() {
        let values: Vec<f64> = (1..=100).map(f64::from).collect();
        assert_eq!(median(&[1.0, 2.0, 9.0]).to_bits(), 2.0_f64.to_bits());
        assert_eq!(median(&[1.0, 2.0, 4.0, 9.0]).to_bits(), 3.0_f64.to_bits());
        assert_eq!(percentile(&values, 50).to_bits(), 50.0_f64.to_bits());
        assert_eq!(percentile(&values, 99).to_bits(), 99.0_f64.to_bits());
        assert_eq!(percentile(&[], 99).to_bits(), 0.0_f64.to_bits());
    }

    #[test]
    fn a_row_tells_the_median() {
        let run = |value| Figures::default().with("IRC to Matrix", value, "messages/s");
        let rows = Report::new(false).rows(&[run(300.0), run(100.0), run(1.25)]);
        assert_eq!(rows, ["| IRC to Matrix | 100 messages/s | 1.25 | 300 | 3 |"]);
        let json = Report::new(true).rows(&[run(7.0)]);
        assert!(json.concat().contains(r#""median":7.0"#), "{json:?}");
    }
}
