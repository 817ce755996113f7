//! How well the detectors judge messages written by hand, German and English, of which more than half only look like something; see
//! `handmade/`. Run with `--nocapture` to see the table.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "helpers of tests fail like tests"
)]

mod common;

use std::collections::BTreeMap;
use std::path::Path;

use common::said;
use viaduct_compliance::{Decision, Detector, Filter, Mode, Policy, Rule};

#[derive(Default)]
struct Score {
    right: u32,
    missed: u32,
    wrong: u32,
}

impl Score {
    fn precision(&self) -> f64 {
        f64::from(self.right) / f64::from(self.right + self.wrong)
    }

    fn recall(&self) -> f64 {
        f64::from(self.right) / f64::from(self.right + self.missed)
    }
}

fn reporting() -> Filter {
    let rules = Detector::ALL.map(|detector| Rule {
        name: detector.as_str().to_owned(),
        detectors: vec![detector],
        ..Rule::default()
    });
    Filter::compile(Policy {
        mode: Mode::Monitor,
        rules: rules.to_vec(),
        ..Policy::default()
    })
    .unwrap()
}

#[test]
fn messages_written_by_hand_are_judged_rightly() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/handmade");
    let text = ["messages.tsv", "everyday.tsv"].map(|name| std::fs::read_to_string(folder.join(name)).unwrap());
    let filter = reporting();
    let mut scores: BTreeMap<&str, Score> = BTreeMap::new();
    let (mut harmful, mut harmless) = (0, 0);
    for line in text
        .iter()
        .flat_map(|text| text.lines())
        .filter(|line| !line.starts_with('#'))
    {
        let (expected, message) = line.split_once('\t').unwrap();
        let expected: Vec<&str> = expected.split(',').filter(|name| *name != "-").collect();
        if expected.is_empty() {
            harmless += 1;
        } else {
            harmful += 1;
        }
        let Decision::Pass { findings, .. } = filter.decide(said(&message.replace("\\n", "\n"))) else {
            panic!("monitoring stops nothing")
        };
        for detector in Detector::ALL {
            let found = findings.iter().find(|finding| finding.rule == detector.as_str());
            let found = found.map_or(0, |finding| finding.count);
            let wanted = expected.iter().filter(|name| **name == detector.as_str()).count();
            let wanted = u32::try_from(wanted).unwrap();
            let score = scores.entry(detector.as_str()).or_default();
            score.right += found.min(wanted);
            score.missed += wanted.saturating_sub(found);
            score.wrong += found.saturating_sub(wanted);
            if found != wanted {
                println!("{}: {found} instead of {wanted}: {message}", detector.as_str());
            }
        }
    }
    println!(
        "{:<14} {:>9} {:>7} {:>6} {:>7} {:>6}",
        "detector", "precision", "recall", "right", "missed", "wrong"
    );
    for (name, score) in &scores {
        let (precision, recall) = (score.precision(), score.recall());
        println!(
            "{name:<14} {precision:>9.4} {recall:>7.4} {:>6} {:>7} {:>6}",
            score.right, score.missed, score.wrong
        );
    }
    assert!(harmful >= 120 && harmless >= 150, "{harmful} and {harmless}");
    for (name, score) in &scores {
        assert!(score.right >= 6, "{name} has too few messages to judge by");
        assert!(score.precision() >= 0.98 && score.recall() >= 0.95, "{name}");
    }
}
