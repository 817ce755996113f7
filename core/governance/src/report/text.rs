//! A report as people read it.

use viaduct_compliance::Direction;
use viaduct_model::Language;

use super::{Ending, HitOutcome, Latency, PartnerReport, Volume};
use crate::date::Day;
use crate::notices::day;
use crate::phrases::Phrase;

impl PartnerReport {
    /// In words.
    pub fn text(&self, language: Language) -> String {
        let month = match language {
            Language::German => self.month.first().german().chars().skip(3).collect(),
            Language::English => self.month.to_string(),
        };
        let mut lines = vec![Phrase::ReportHead.say(
            language,
            &[
                ("month", &month),
                ("organisation", &self.organisation),
                ("partner", self.partner.as_str()),
                ("from", &day(self.month.first(), language)),
                ("until", &day(self.month.last(), language)),
            ],
        )];
        let mut part = |heading: Phrase, rows: Vec<String>| {
            lines.extend([String::new(), heading.say(language, &[])]);
            if rows.is_empty() {
                lines.push(Phrase::Nothing.say(language, &[]));
            }
            lines.extend(rows);
        };
        let volumes = self.volumes.iter().map(|volume| volume.text(language));
        part(Phrase::ReportVolumes, volumes.collect());
        part(Phrase::ReportHits, self.hits(language));
        let disputed = self.disputed.iter().map(|(rule, count)| {
            let values = [("rule", &**rule), ("count", &count.to_string())];
            Phrase::ReportDispute.say(language, &values)
        });
        part(Phrase::ReportDisputes, disputed.collect());
        let latency = self.latency.iter().map(|latency| latency.text(language));
        part(Phrase::ReportLatency, latency.collect());
        part(Phrase::ReportHolds, vec![self.held(language)]);
        let readers = self.readers.iter().map(|readers| {
            let count = readers.count.to_string();
            let values = [
                ("mirror", readers.mirror.as_str()),
                ("count", &count),
                ("version", &readers.version),
            ];
            Phrase::ReportReadOne.say(language, &values)
        });
        part(Phrase::ReportRead, readers.collect());
        let due = self.due.iter().map(|due| {
            let values = [("day", &*day(due.day, language)), ("what", &due.what.text(language))];
            Phrase::ReportDueOne.say(language, &values)
        });
        part(Phrase::ReportDue, due.collect());
        let made = day(Day::of(self.made), language);
        lines.extend([String::new(), Phrase::ReportFoot.say(language, &[("made", &made)])]);
        lines.join("\n")
    }

    fn hits(&self, language: Language) -> Vec<String> {
        let row = |hit: &super::Hit| {
            let outcome = match hit.outcome {
                HitOutcome::Passed => Phrase::OutcomePassed,
                HitOutcome::Changed => Phrase::OutcomeChanged,
                HitOutcome::Held => Phrase::OutcomeHeld,
                HitOutcome::Refused => Phrase::OutcomeRefused,
            };
            let values = [
                ("rule", &*hit.rule),
                ("outcome", outcome.wording(language)),
                ("events", &hit.events.to_string()),
                ("findings", &hit.findings.to_string()),
            ];
            Phrase::ReportHit.say(language, &values)
        };
        self.hits.iter().map(row).collect()
    }

    fn held(&self, language: Language) -> String {
        let holds = &self.holds;
        let values = [
            ("held", &*holds.held.to_string()),
            ("second", &holds.by_second_person.to_string()),
            ("sender", &holds.by_sender.to_string()),
            ("rejected", &holds.rejected.to_string()),
            ("expired", &holds.expired.to_string()),
            ("waiting", &holds.waiting.to_string()),
        ];
        Phrase::ReportHoldsOne.say(language, &values)
    }
}

impl Volume {
    fn text(&self, language: Language) -> String {
        let kinds: Vec<String> = self
            .kinds
            .iter()
            .map(|(kind, count)| format!("{} {count}", named(kind, language)))
            .collect();
        let kinds = if kinds.is_empty() {
            "\u{2013}".to_owned()
        } else {
            kinds.join(", ")
        };
        let values = [
            ("place", &*self.place.to_string()),
            ("direction", towards(self.direction, language)),
            ("accepted", &self.accepted.to_string()),
            ("delivered", &self.delivered.to_string()),
            ("kinds", &kinds),
            ("changed", &self.changed.to_string()),
            ("held", &self.held.to_string()),
            ("refused", &self.refused.to_string()),
            ("failed", &self.failed.to_string()),
            ("unknown", &self.unknown.to_string()),
        ];
        Phrase::ReportVolume.say(language, &values)
    }
}

impl Latency {
    fn text(&self, language: Language) -> String {
        let values = [
            ("direction", towards(self.direction, language)),
            ("median", &seconds(self.median, language)),
            ("p95", &seconds(self.p95, language)),
            ("count", &self.count.to_string()),
        ];
        Phrase::ReportLatencyOne.say(language, &values)
    }
}

impl Ending {
    fn text(self, language: Language) -> String {
        match self {
            Self::Agreement => Phrase::DueAgreement.say(language, &[]),
            Self::Contract => Phrase::DueContract.say(language, &[]),
            Self::Held(count) => Phrase::DueHeld.say(language, &[("count", &count.to_string())]),
        }
    }
}

/// The name of a kind of event; those that are rare have one only.
fn named(kind: &str, language: Language) -> &str {
    match kind {
        "message" => language.pick("messages", "Nachrichten"),
        "edit" => language.pick("edits", "Änderungen"),
        "delete" => language.pick("deletions", "Löschungen"),
        "reaction" => language.pick("reactions", "Reaktionen"),
        "membership" => language.pick("joins and leaves", "Kommen und Gehen"),
        rare => rare,
    }
}

fn towards(direction: Direction, language: Language) -> &'static str {
    match direction {
        Direction::In => Phrase::FromPartner.wording(language),
        Direction::Out => Phrase::ToPartner.wording(language),
    }
}

/// Milliseconds as seconds.
fn seconds(millis: u64, language: Language) -> String {
    let point = language.pick(".", ",");
    format!("{}{point}{:03}", millis / 1000, millis % 1000)
}
