//! Whether one rule matches one event.

use viaduct_model::{Attachment, Outbound, Place, Timestamp};

use crate::compile::{Compiled, Ready, label_key};
use crate::context::{Context, Evidence};
use crate::filter::direction;
use crate::policy::{AttachmentCondition, Group, Rule, RuleAction, ScanResult};
use crate::scan::{Hit, Hits};
use crate::text::{Span, fold};
use crate::wildcard::{any_wildcard, wildcard};

/// Everything a rule looks at.
#[derive(Clone, Copy)]
pub(crate) struct Facts<'a> {
    pub(crate) compiled: &'a Compiled,
    pub(crate) context: &'a Context<'a>,
    pub(crate) outbound: &'a Outbound,
    pub(crate) hits: &'a Hits,
}

/// That a rule matches, and what.
#[derive(Debug)]
pub(crate) struct Matched<'a> {
    pub(crate) number: usize,
    pub(crate) rule: &'a Rule,
    pub(crate) count: u32,
    pub(crate) sorts: Vec<&'static str>,
    /// The characters that were found.
    pub(crate) spans: Vec<Span>,
    /// The files that answer the description.
    pub(crate) files: Vec<usize>,
}

/// What is known about a condition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Known {
    Yes,
    No,
    Unknown,
}

impl Known {
    fn of(yes: bool) -> Self {
        if yes { Self::Yes } else { Self::No }
    }

    fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::No, _) | (_, Self::No) => Self::No,
            (Self::Unknown, _) | (_, Self::Unknown) => Self::Unknown,
            _ => Self::Yes,
        }
    }

    /// Not knowing never opens anything.
    fn counts(self, action: RuleAction) -> bool {
        self == Self::Yes || (self == Self::Unknown && action != RuleAction::Allow)
    }
}

/// Whether the rule of this number matches. With `texts_only`, only what it says about texts and files counts.
pub(crate) fn match_rule<'a>(
    facts: &Facts<'a>,
    number: usize,
    labels: &[String],
    texts_only: bool,
) -> Option<Matched<'a>> {
    let rule = facts.compiled.policy.rules.get(number)?;
    let ready = facts.compiled.rules.get(number)?;
    let applies = || scope(facts, rule, labels) && in_time(ready, facts.context.now).counts(rule.action);
    if !(texts_only || applies()) {
        return None;
    }
    let mut matched = Matched {
        number,
        rule,
        count: 0,
        sorts: Vec::new(),
        spans: Vec::new(),
        files: Vec::new(),
    };
    if !ready.matchers.is_empty() {
        match_texts(facts, rule, ready, &mut matched)?;
    }
    if let Some(condition) = &rule.attachments {
        match_files(facts, rule, ready, condition, &mut matched)?;
    }
    Some(matched)
}

fn scope(facts: &Facts<'_>, rule: &Rule, labels: &[String]) -> bool {
    let outbound = facts.outbound;
    let person = &outbound.author.person;
    let any = |list: &[String], value: &str| list.is_empty() || list.iter().any(|entry| entry == value);
    let organisation = || {
        person
            .organisation
            .as_deref()
            .is_some_and(|own| any_wildcard(&rule.organisations, own))
    };
    let group = |name: &String| {
        facts
            .compiled
            .group(name)
            .is_some_and(|group| in_group(group, outbound))
    };
    (rule.senders.is_empty() || any_wildcard(&rule.senders, person.id.as_str()))
        && any(&rule.from, outbound.from.network.as_str())
        && any(&rule.to, outbound.to.network.as_str())
        && any(&rule.kinds, outbound.content.kind().as_str())
        && rule.direction.is_none_or(|wanted| wanted == direction(outbound))
        && (rule.organisations.is_empty() || organisation())
        && (rule.groups.is_empty() || rule.groups.iter().any(group))
        && (rule.labels.is_empty() || rule.labels.iter().any(|label| labels.contains(&label_key(label))))
}

fn in_time(ready: &Ready, now: Option<Timestamp>) -> Known {
    match (now, ready.from, ready.until) {
        (_, None, None) => Known::Yes,
        (None, _, _) => Known::Unknown,
        (Some(now), from, until) => {
            Known::of(from.is_none_or(|from| now >= from) && until.is_none_or(|until| now < until))
        }
    }
}

/// Whether the author of an event is in a group.
pub(crate) fn in_group(group: &Group, outbound: &Outbound) -> bool {
    let person = &outbound.author.person;
    any_wildcard(&group.people, person.id.as_str())
        || person
            .organisation
            .as_deref()
            .is_some_and(|own| any_wildcard(&group.organisations, own))
        || group.networks.iter().any(|network| network == person.network.as_str())
        || place_in_group(group, &outbound.from)
}

/// Whether a place is in a group.
pub(crate) fn place_in_group(group: &Group, place: &Place) -> bool {
    group.networks.iter().any(|network| network == place.network.as_str())
        || (!group.places.is_empty() && any_wildcard(&group.places, &place.to_string()))
}

fn match_texts(facts: &Facts<'_>, rule: &Rule, ready: &Ready, matched: &mut Matched<'_>) -> Option<()> {
    let wanted = |hit: &&Hit| rule.texts.is_empty() || rule.texts.contains(&hit.kind);
    for list in &ready.matchers {
        let before = matched.count;
        for matcher in list {
            let mut some = false;
            for hit in facts.hits.get(*matcher).into_iter().flatten().filter(wanted) {
                some = true;
                matched.count += 1;
                matched.spans.extend(hit.spans.iter().copied());
            }
            if let (true, Some(sort)) = (some, facts.compiled.scanner.sort(*matcher)) {
                matched.sorts.push(sort.as_str());
            }
        }
        if matched.count == before {
            return None;
        }
    }
    (matched.count >= rule.min_count.unwrap_or(1)).then_some(())
}

fn match_files(
    facts: &Facts<'_>,
    rule: &Rule,
    ready: &Ready,
    condition: &AttachmentCondition,
    matched: &mut Matched<'_>,
) -> Option<()> {
    let message = facts.outbound.content.message()?;
    for (number, attachment) in message.attachments.iter().enumerate() {
        let evidence = facts
            .context
            .evidence
            .iter()
            .find(|evidence| evidence.attachment == number);
        if answers(condition, ready, attachment, evidence).counts(rule.action) {
            matched.files.push(number);
            matched.count += 1;
        }
    }
    matched.sorts.push("file");
    (!matched.files.is_empty()).then_some(())
}

/// Whether a file answers a description.
fn answers(
    condition: &AttachmentCondition,
    ready: &Ready,
    attachment: &Attachment,
    evidence: Option<&Evidence>,
) -> Known {
    let mut known = Known::Yes;
    if !condition.names.is_empty() {
        let name = fold(&attachment.name).to_lowercase();
        known = known.and(Known::of(any_wildcard(
            &ready.file_names,
            name.trim_end_matches([' ', '.']),
        )));
    }
    let claimed = attachment.mime.as_deref().map(essence);
    let seen = evidence.and_then(|evidence| evidence.sniffed.as_deref()).map(essence);
    let is = |patterns: &[String], kind: &String| patterns.iter().any(|pattern| wildcard(&essence(pattern), kind));
    if !condition.types.is_empty() {
        let any = [&claimed, &seen]
            .into_iter()
            .flatten()
            .any(|kind| is(&condition.types, kind));
        let none = if claimed.is_none() && seen.is_none() {
            Known::Unknown
        } else {
            Known::No
        };
        known = known.and(if any { Known::Yes } else { none });
    }
    if !condition.types_other_than.is_empty() {
        let told = [&claimed, &seen].into_iter().flatten().collect::<Vec<_>>();
        let other = told.iter().any(|kind| !is(&condition.types_other_than, kind));
        known = known.and(if told.is_empty() {
            Known::Unknown
        } else {
            Known::of(other)
        });
    }
    if let Some(bound) = condition.larger_than {
        // Whoever tells a size may tell less than it is.
        let size = evidence.and_then(|evidence| evidence.size).or(attachment.size);
        known = known.and(size.map_or(Known::Unknown, |size| Known::of(size > bound)));
    }
    if let Some(bound) = condition.archive_deeper_than {
        let depth = evidence.and_then(|evidence| evidence.archive_depth);
        known = known.and(depth.map_or(Known::Unknown, |depth| Known::of(depth > bound)));
    }
    if let Some(bound) = condition.archive_ratio_over {
        let ratio = evidence.and_then(|evidence| match evidence.archive_depth {
            Some(0) => Some(0),
            _ => evidence.archive_ratio,
        });
        known = known.and(ratio.map_or(Known::Unknown, |ratio| Known::of(ratio > bound)));
    }
    if condition.disguised {
        let disguised = match (&claimed, &seen) {
            (Some(claimed), Some(seen)) => Known::of(!same_type(claimed, seen)),
            (_, None) if evidence.is_none() => Known::Unknown,
            _ => Known::No,
        };
        known = known.and(disguised);
    }
    if !condition.scan.is_empty() {
        let scan = evidence.map_or(ScanResult::Missing, |evidence| evidence.scan);
        known = known.and(Known::of(condition.scan.contains(&scan)));
    }
    known
}

/// A media type without its parameters, in small letters.
fn essence(mime: &str) -> String {
    mime.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// Whether a claimed and a seen type can be one: many formats are ZIP or XML inside, and many names mean the same.
fn same_type(claimed: &str, seen: &str) -> bool {
    let bare = |kind: &str| kind.replace("/x-", "/").replace("/vnd.", "/").replace("jpg", "jpeg");
    let (claimed, seen) = (bare(claimed), bare(seen));
    let inside = |container: &str, formats: &[&str]| {
        seen.ends_with(container) && formats.iter().any(|format| claimed.contains(format))
    };
    claimed == seen
        || claimed == "application/octet-stream"
        || inside(
            "/zip",
            &["openxmlformats", "opendocument", "epub", "zip", "jar", "java-archive"],
        )
        || inside("/xml", &["xml", "svg", "html"])
        || inside("/ole-storage", &["msword", "ms-excel", "ms-powerpoint", "ms-outlook"])
        || (claimed.starts_with("audio/") && seen.starts_with("audio/"))
        || (claimed.starts_with("video/") && seen.starts_with("video/"))
        || (claimed.starts_with("audio/") && matches!(seen.as_str(), "video/mp4" | "video/webm" | "video/ogg"))
}
