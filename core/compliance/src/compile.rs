//! A policy made ready, and what can be wrong with it.

use time::format_description::well_known::{Iso8601, Rfc3339};
use time::{Date, Duration, OffsetDateTime, Time};
use viaduct_model::{EventKind, Timestamp};

use crate::policy::{Fingerprints, Group, Overriding, Policy, Rule, RuleAction, TextPart};
use crate::protect::{self, Threshold};
use crate::scan::Scanner;
use crate::text::fold;

/// What is wrong with a policy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    /// A pattern cannot be used.
    #[error("rule {rule:?}: the pattern {pattern:?} cannot be used: {detail}")]
    Pattern {
        /// The rule.
        rule: String,
        /// The pattern.
        pattern: String,
        /// Why.
        detail: String,
    },
    /// A dictionary cannot be used.
    #[error("rule {rule:?}: the words cannot be used: {detail}")]
    Words {
        /// The rule.
        rule: String,
        /// Why.
        detail: String,
    },
    /// A list of what is protected cannot be used.
    #[error("rule {rule:?}: {condition}: {detail}")]
    List {
        /// The rule.
        rule: String,
        /// Its condition.
        condition: &'static str,
        /// Why.
        detail: String,
    },
    /// A group is named that the policy does not define.
    #[error("{place}: there is no group {group:?}; define it under `groups`")]
    Group {
        /// Where it is named.
        place: String,
        /// The name.
        group: String,
    },
    /// A kind of event is named that does not exist.
    #[error("rule {rule:?}: there is no kind of event {kind:?}; there are {}", known_kinds())]
    Kind {
        /// The rule.
        rule: String,
        /// The name.
        kind: String,
    },
    /// A time cannot be read.
    #[error("rule {rule:?}: {value:?} is neither a day (2026-01-31) nor a time (2026-01-31T12:00:00Z)")]
    Time {
        /// The rule.
        rule: String,
        /// What is written.
        value: String,
    },
    /// The action `label` without a label, or a label that is not in the policy's list.
    #[error("{place}: the label {label:?} is not in the policy's list `labels`")]
    Label {
        /// Where it is named.
        place: String,
        /// The name.
        label: String,
    },
    /// The action needs a condition that the rule does not have.
    #[error("rule {rule:?}: the action needs {needed}")]
    Condition {
        /// The rule.
        rule: String,
        /// What is missing.
        needed: &'static str,
    },
    /// The rules together are too large to look for.
    #[error("the policy is too large: {0}")]
    Size(String),
}

const KINDS: [EventKind; 13] = [
    EventKind::Message,
    EventKind::Edit,
    EventKind::Delete,
    EventKind::Reaction,
    EventKind::Membership,
    EventKind::Role,
    EventKind::Topic,
    EventKind::Name,
    EventKind::Picture,
    EventKind::Pins,
    EventKind::Typing,
    EventKind::Read,
    EventKind::State,
];

fn known_kinds() -> String {
    KINDS.map(EventKind::as_str).join(", ")
}

/// A policy made ready.
#[derive(Debug, Clone, Default)]
pub(crate) struct Compiled {
    pub(crate) policy: Policy,
    pub(crate) rules: Vec<Ready>,
    pub(crate) scanner: Scanner,
}

/// What a rule needs at each decision, worked out once. Belongs to the rule of the same number.
#[derive(Debug, Clone, Default)]
pub(crate) struct Ready {
    pub(crate) from: Option<Timestamp>,
    pub(crate) until: Option<Timestamp>,
    /// The matchers of each kind of text condition: all of the lists need a finding, any matcher of a list will do.
    pub(crate) matchers: Vec<Vec<usize>>,
    /// File names to match, in small letters.
    pub(crate) file_names: Vec<String>,
}

impl Compiled {
    /// Makes a policy ready.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with it.
    pub(crate) fn new(policy: Policy) -> Result<Self, Vec<PolicyError>> {
        let mut errors = Vec::new();
        check_names(&policy, &mut errors);
        let mut scanner = Scanner::default();
        let rules = policy
            .rules
            .iter()
            .map(|rule| ready(rule, &mut scanner, &mut errors))
            .collect();
        let scanner = scanner.ready().unwrap_or_else(|detail| {
            errors.push(PolicyError::Size(detail));
            Scanner::default()
        });
        if errors.is_empty() {
            Ok(Self { policy, rules, scanner })
        } else {
            Err(errors)
        }
    }

    /// The group of a name.
    pub(crate) fn group(&self, name: &str) -> Option<&Group> {
        self.policy.groups.get(name)
    }

    /// Whether any rule looks at what is within files.
    pub(crate) fn reads_files(&self) -> bool {
        self.scanner.reads_files()
    }

    /// Whether any rule looks at texts.
    pub(crate) fn reads(&self) -> bool {
        self.rules.iter().any(|rule| !rule.matchers.is_empty())
    }
}

/// What a label is compared by: its letters and digits, whatever they are written with.
pub(crate) fn label_key(label: &str) -> String {
    fold(label)
        .chars()
        .filter(|c| c.is_alphanumeric())
        .flat_map(char::to_lowercase)
        .collect()
}

fn check_names(policy: &Policy, errors: &mut Vec<PolicyError>) {
    let mut groups = |place: String, names: &[String]| {
        for group in names.iter().filter(|name| !policy.groups.contains_key(*name)) {
            errors.push(PolicyError::Group {
                place: place.clone(),
                group: group.clone(),
            });
        }
    };
    groups("admit".to_owned(), policy.admit.as_deref().unwrap_or_default());
    for barrier in &policy.barriers {
        groups(format!("barrier {:?}", barrier.name), &barrier.between);
        groups(format!("barrier {:?}", barrier.name), &barrier.and);
    }
    for rule in &policy.rules {
        groups(format!("rule {:?}", rule.name), &rule.groups);
    }
    let known: Vec<String> = policy.labels.iter().map(|label| label_key(label)).collect();
    let mut label = |place: String, label: &str| {
        if !known.contains(&label_key(label)) && !crate::filter::is_classified(label) {
            errors.push(PolicyError::Label {
                place,
                label: label.to_owned(),
            });
        }
    };
    if let Some(ceiling) = &policy.ceiling {
        label("ceiling".to_owned(), ceiling);
    }
    if let Some(floor) = &policy.encrypted_from {
        label("encrypted_from".to_owned(), floor);
    }
    for rule in policy.rules.iter().filter(|rule| rule.action == RuleAction::Label) {
        label(
            format!("rule {:?}", rule.name),
            rule.label.as_deref().unwrap_or_default(),
        );
    }
    for rule in &policy.rules {
        for kind in rule
            .kinds
            .iter()
            .filter(|kind| KINDS.iter().all(|known| known.as_str() != **kind))
        {
            errors.push(PolicyError::Kind {
                rule: rule.name.clone(),
                kind: kind.clone(),
            });
        }
    }
}

fn ready(rule: &Rule, scanner: &mut Scanner, errors: &mut Vec<PolicyError>) -> Ready {
    let mut time = |value: &Option<String>, end_of_day: bool| {
        let text = value.as_deref()?;
        let time = moment(text, end_of_day);
        if time.is_none() {
            errors.push(PolicyError::Time {
                rule: rule.name.clone(),
                value: text.to_owned(),
            });
        }
        time
    };
    let (from, until) = (time(&rule.valid_from, false), time(&rule.valid_until, true));
    let mut matchers: Vec<Vec<usize>> = Vec::new();
    matchers.push(
        rule.detectors
            .iter()
            .map(|detector| scanner.detector(*detector))
            .collect(),
    );
    let mut patterns = Vec::new();
    for pattern in &rule.patterns {
        match scanner.pattern(pattern) {
            Ok(matcher) => patterns.push(matcher),
            Err(detail) => {
                errors.push(PolicyError::Pattern {
                    rule: rule.name.clone(),
                    pattern: pattern.clone(),
                    detail,
                });
            }
        }
    }
    matchers.push(patterns);
    if let Some(words) = &rule.words {
        match scanner.dictionary(words) {
            Ok(matcher) => matchers.push(vec![matcher]),
            Err(detail) => errors.push(PolicyError::Words {
                rule: rule.name.clone(),
                detail,
            }),
        }
    }
    let maskable = rule.values.is_some() || matchers.iter().any(|list| !list.is_empty());
    matchers.extend(protected(rule, scanner, errors).map(|matcher| vec![matcher]));
    matchers.retain(|list| !list.is_empty());
    if rule.texts.contains(&TextPart::File) {
        matchers
            .iter()
            .flatten()
            .for_each(|matcher| scanner.look_into_files(*matcher));
    }
    let needed = match rule.action {
        RuleAction::Mask if !maskable => Some("something to mask: `detectors`, `patterns`, `words` or `values`"),
        RuleAction::StripAttachment | RuleAction::StripMetadata if rule.attachments.is_none() => {
            Some("a description under `attachments`")
        }
        _ => None,
    };
    let stops = matches!(rule.action, RuleAction::Hold | RuleAction::Refuse);
    let vain = rule.overriding == Overriding::Justified && !stops;
    let needed = needed.or_else(|| vain.then_some("no `override`: only `hold` and `refuse` can be overridden"));
    errors.extend(needed.map(|needed| PolicyError::Condition {
        rule: rule.name.clone(),
        needed,
    }));
    let names = rule
        .attachments
        .as_ref()
        .map(|condition| condition.names.as_slice())
        .unwrap_or_default();
    Ready {
        from,
        until,
        matchers,
        file_names: names.iter().map(|name| fold(name).to_lowercase()).collect(),
    }
}

/// The matchers of what a rule protects by lists.
fn protected(rule: &Rule, scanner: &mut Scanner, errors: &mut Vec<PolicyError>) -> impl Iterator<Item = usize> {
    let mut failed = |condition, detail: String| {
        errors.push(PolicyError::List {
            rule: rule.name.clone(),
            condition,
            detail,
        });
    };
    let values = rule
        .values
        .as_ref()
        .map(|wanted| protect::values(&wanted.list_file, &wanted.key_file));
    let values = values.and_then(|list| list.map_err(|error| failed("values", error.to_string())).ok());
    let documents = rule.fingerprints.as_ref().and_then(|wanted| {
        let list = threshold(wanted).and_then(|threshold| {
            let list = protect::documents(&wanted.list_file, &wanted.key_file);
            Ok((list.map_err(|error| error.to_string())?, threshold))
        });
        list.map_err(|detail| failed("fingerprints", detail)).ok()
    });
    let values = values.map(|list| scanner.values(list));
    let documents = documents.map(|(list, threshold)| scanner.fingerprints(list, threshold, &rule.texts));
    for matcher in values.iter().chain(&documents).filter(|_| rule.texts.is_empty()) {
        scanner.look_into_files(*matcher);
    }
    values.into_iter().chain(documents)
}

fn threshold(wanted: &Fingerprints) -> Result<Threshold, String> {
    if wanted.share > 0.0 && wanted.share <= 1.0 {
        let passage = Some(wanted.passage).filter(|passage| *passage > 0);
        let share = wanted.share;
        return Ok(Threshold { share, passage });
    }
    Err("`share` is a part of 1, such as 0.3".to_owned())
}

/// A day or a time; for a day its beginning or, `end_of_day`, the beginning of the next.
fn moment(text: &str, end_of_day: bool) -> Option<Timestamp> {
    let moment = match Date::parse(text, &Iso8601::DATE) {
        Ok(day) => {
            let day = if end_of_day {
                day.checked_add(Duration::DAY)?
            } else {
                day
            };
            day.with_time(Time::MIDNIGHT).assume_utc()
        }
        Err(_) => OffsetDateTime::parse(text, &Rfc3339).ok()?,
    };
    u64::try_from(moment.unix_timestamp()).ok().map(Timestamp::from_secs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read() {
        assert_eq!(moment("1970-01-02", false), Some(Timestamp::from_secs(86_400)));
        assert_eq!(moment("1970-01-02", true), Some(Timestamp::from_secs(2 * 86_400)));
        assert_eq!(moment("1970-01-01T01:00:00+01:00", false), Some(Timestamp(0)));
        assert_eq!(moment("tomorrow", false), None);
    }

    #[test]
    fn everything_wrong_is_said_at_once() {
        let rule = Rule {
            name: "r".to_owned(),
            groups: vec!["nobody".to_owned()],
            kinds: vec!["mesage".to_owned()],
            valid_from: Some("soon".to_owned()),
            patterns: vec!["(".to_owned()],
            action: RuleAction::StripAttachment,
            ..Rule::default()
        };
        let policy = Policy {
            rules: vec![rule],
            ceiling: Some("x".to_owned()),
            ..Policy::default()
        };
        let errors = Compiled::new(policy).unwrap_err();
        assert_eq!(errors.len(), 6, "{errors:#?}");
    }

    #[test]
    fn labels_are_compared_by_their_letters() {
        assert_eq!(label_key("VS-NfD"), "vsnfd");
        assert_eq!(label_key(" vs nfd "), "vsnfd");
    }
}
