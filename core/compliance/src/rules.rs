//! Whether one rule matches one event.

use viaduct_model::{Attachment, Outbound, Place, Timestamp};

use crate::compile::{Compiled, Ready, label_key};
use crate::context::{Context, Evidence, Member, Metadata};
use crate::filter::direction;
use crate::policy::{AttachmentCondition, Group, Rule, RuleAction, ScanResult, TextPart};
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
    /// The characters that are to be masked.
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
    let mut unread = false;
    for list in &ready.matchers {
        let before = matched.count;
        let mut reads_files = false;
        for matcher in list {
            let Some(sort) = facts.compiled.scanner.sort(*matcher) else {
                continue;
            };
            let into_files = rule.texts.contains(&TextPart::File) || (rule.texts.is_empty() && sort.reads_files());
            reads_files |= into_files;
            let wanted = |hit: &&Hit| match hit.kind {
                TextPart::File => into_files,
                kind => rule.texts.is_empty() || rule.texts.contains(&kind),
            };
            let mut some = false;
            for hit in facts.hits.get(*matcher).into_iter().flatten().filter(wanted) {
                some = true;
                matched.count += 1;
                if rule.action == RuleAction::Mask {
                    matched.spans.extend(hit.spans.iter().copied());
                }
            }
            if some {
                matched.sorts.push(sort.as_str());
            }
        }
        if matched.count == before {
            // Not knowing never opens anything.
            if !(reads_files && rule.action != RuleAction::Allow && has_unread_files(facts)) {
                return None;
            }
            unread = true;
            matched.count += 1;
            matched.sorts.push("unread file");
        }
    }
    (unread || matched.count >= rule.min_count.unwrap_or(1)).then_some(())
}

/// Whether there is a file of which not everything was read.
fn has_unread_files(facts: &Facts<'_>) -> bool {
    let files = facts
        .outbound
        .content
        .message()
        .map_or(0, |message| message.attachments.len());
    (0..files).any(|number| {
        facts
            .context
            .evidence_of(number)
            .is_none_or(|evidence| !evidence.text.whole)
    })
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
        let evidence = facts.context.evidence_of(number);
        let about = About {
            condition,
            ready,
            attachment,
            evidence,
            within: rule.action != RuleAction::Allow && !is_document(attachment, evidence),
        };
        if about.answers().counts(rule.action) {
            matched.files.push(number);
            matched.count += 1;
        }
    }
    matched.sorts.push("file");
    (!matched.files.is_empty()).then_some(())
}

/// A file and the description it may answer.
struct About<'a> {
    condition: &'a AttachmentCondition,
    ready: &'a Ready,
    attachment: &'a Attachment,
    evidence: Option<&'a Evidence>,
    /// Whether the files within it count like the file itself.
    within: bool,
}

impl About<'_> {
    /// Whether the file answers the description.
    fn answers(&self) -> Known {
        let condition = self.condition;
        let mut known = Known::Yes;
        if !condition.names.is_empty() {
            known = known.and(self.names());
        }
        if !condition.types.is_empty() {
            known = known.and(self.types());
        }
        if !condition.types_other_than.is_empty() {
            known = known.and(self.types_other_than());
        }
        if let Some(bound) = condition.larger_than {
            // Whoever tells a size may tell less than it is.
            let size = self.evidence.and_then(|evidence| evidence.size);
            known = known.and(over(size.or(self.attachment.size), bound));
        }
        known = known.and(self.archive());
        if condition.encrypted {
            known = known.and(self.seen(|evidence| evidence.encrypted));
        }
        if condition.macros {
            known = known.and(self.seen(|evidence| evidence.macros));
        }
        if condition.metadata {
            known = known.and(self.seen(|evidence| match evidence.metadata {
                Metadata::Unknown => None,
                Metadata::Absent => Some(false),
                Metadata::Removable { .. } => Some(true),
            }));
        }
        if condition.disguised {
            known = known.and(self.disguised());
        }
        if !condition.scan.is_empty() {
            let scan = self.evidence.map_or(ScanResult::Missing, |evidence| evidence.scan);
            known = known.and(Known::of(condition.scan.contains(&scan)));
        }
        known
    }

    /// What the evidence says.
    fn seen(&self, of: impl Fn(&Evidence) -> Option<bool>) -> Known {
        self.evidence.and_then(of).map_or(Known::Unknown, Known::of)
    }

    fn members(&self) -> &[Member] {
        self.evidence
            .filter(|_| self.within)
            .map(|evidence| evidence.members.as_slice())
            .unwrap_or_default()
    }

    /// What is known of files within, of which none that was seen answers.
    fn unseen(&self) -> Known {
        match self.evidence {
            // Where nobody looked, only the file itself counts; where somebody did and did not see everything, anything may be.
            Some(evidence) if self.within && evidence.archive_depth.is_none() => Known::Unknown,
            _ => Known::No,
        }
    }

    fn names(&self) -> Known {
        let answers = |name: &str| {
            let name = fold(name).to_lowercase();
            any_wildcard(&self.ready.file_names, name.trim_end_matches([' ', '.']))
        };
        let base = |member: &Member| {
            let name = member.name.rsplit(['/', '\\']).next();
            answers(&member.name) || name.is_some_and(answers)
        };
        if answers(&self.attachment.name) || self.members().iter().any(base) {
            Known::Yes
        } else {
            self.unseen()
        }
    }

    fn claimed(&self) -> Option<String> {
        self.attachment.mime.as_deref().map(essence)
    }

    fn sniffed(&self) -> Option<String> {
        self.evidence?.sniffed.as_deref().map(essence)
    }

    fn types(&self) -> Known {
        let told = [self.claimed(), self.sniffed()];
        let is = |kind: &String| is_any(&self.condition.types, kind);
        if told.iter().flatten().any(is) || self.kinds_within().any(|kind| is(&kind)) {
            Known::Yes
        } else if told.iter().flatten().next().is_none() {
            Known::Unknown
        } else {
            self.unseen()
        }
    }

    fn types_other_than(&self) -> Known {
        let told = [self.claimed(), self.sniffed()];
        let other = |kind: &String| !is_any(&self.condition.types_other_than, kind);
        if told.iter().flatten().any(other) || self.kinds_within().any(|kind| other(&kind)) {
            Known::Yes
        } else if told.iter().flatten().next().is_none() {
            Known::Unknown
        } else {
            self.unseen()
        }
    }

    fn kinds_within(&self) -> impl Iterator<Item = String> {
        self.members()
            .iter()
            .filter_map(|member| member.sniffed.as_deref().map(essence))
    }

    fn archive(&self) -> Known {
        let condition = self.condition;
        let mut known = Known::Yes;
        let depth = self.evidence.and_then(|evidence| evidence.archive_depth);
        if let Some(bound) = condition.archive_deeper_than {
            known = known.and(over(depth, bound));
        }
        let of_archive = |count: fn(&Evidence) -> Option<u32>| match depth {
            Some(0) => Some(0),
            _ => self.evidence.and_then(count),
        };
        if let Some(bound) = condition.archive_ratio_over {
            known = known.and(over(of_archive(|evidence| evidence.archive_ratio), bound));
        }
        if let Some(bound) = condition.archive_entries_over {
            known = known.and(over(of_archive(|evidence| evidence.archive_entries), bound));
        }
        known
    }

    fn disguised(&self) -> Known {
        match (self.claimed(), self.sniffed()) {
            (Some(claimed), Some(seen)) => Known::of(!same_type(&claimed, &seen)),
            (_, None) if self.evidence.is_none() => Known::Unknown,
            _ => Known::No,
        }
    }
}

/// Whether a number is over a bound.
fn over<T: PartialOrd + Copy>(number: Option<T>, bound: T) -> Known {
    number.map_or(Known::Unknown, |number| Known::of(number > bound))
}

fn is_any(patterns: &[String], kind: &str) -> bool {
    patterns.iter().any(|pattern| wildcard(&essence(pattern), kind))
}

/// Whether a file is a document to whoever gets it, by its bytes and its name, although it is an archive inside. Its parts are
/// no files then.
fn is_document(attachment: &Attachment, evidence: Option<&Evidence>) -> bool {
    let formats = ["openxmlformats", "opendocument", "epub"];
    let endings = [
        ".docx", ".xlsx", ".pptx", ".docm", ".xlsm", ".pptm", ".odt", ".ods", ".odp", ".epub",
    ];
    let kind = evidence
        .and_then(|evidence| evidence.sniffed.as_deref())
        .unwrap_or_default();
    let name = fold(&attachment.name).to_lowercase();
    formats.iter().any(|format| kind.contains(format)) && endings.iter().any(|ending| name.ends_with(ending))
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
