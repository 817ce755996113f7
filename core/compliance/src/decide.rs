//! The decision: what all policies on an event's way make of it together.

use viaduct_model::Outbound;

use crate::context::{Approval, Context, Metadata};
use crate::decision::{Decision, Finding, Release, Verdict};
use crate::policy::RuleAction;
use crate::rules::Matched;
use crate::text::{Masked, Part, Span, mask, read, read_file, read_previous};
use crate::{Cleared, Filter};

/// The most text that is looked at in one event, in bytes. What has more is held.
const TEXT_BOUND: usize = 1024 * 1024;
/// The same of the texts of its files.
const FILE_TEXT_BOUND: usize = 16 * 1024 * 1024;

/// Asks all filters on an event's way: the source's inwards, the destination's outwards. Each looks at the event as it came;
/// the strictest decision wins, and what any of them masks or takes away is gone. All findings are kept, in the order of the
/// filters. Adding a filter never lets more through.
pub fn decide_all<'f>(
    filters: impl IntoIterator<Item = &'f Filter>,
    context: &Context<'_>,
    outbound: Outbound,
) -> Decision {
    decide(filters.into_iter().collect(), context, outbound, None)
}

/// Asks all filters on an event's way again about an event that was held; see [`Filter::release`]. Of a sender's own decision
/// only rules that allow it take notice; whatever another rule stops stays stopped.
pub fn release_all<'f>(
    filters: impl IntoIterator<Item = &'f Filter>,
    context: &Context<'_>,
    outbound: Outbound,
    approval: &Approval<'_>,
) -> Decision {
    decide(filters.into_iter().collect(), context, outbound, Some(approval))
}

/// What one policy makes of an event.
#[derive(Default)]
pub(crate) struct Opinion {
    pub(crate) findings: Vec<Finding>,
    pub(crate) stops: Vec<Stop>,
    pub(crate) changes: Changes,
}

/// Why an event does not go on.
pub(crate) struct Stop {
    refused: bool,
    /// Its sender may send it all the same.
    overridable: bool,
    rule: String,
    reason: String,
}

impl Stop {
    pub(crate) fn hold(rule: &str, reason: &str) -> Self {
        Self {
            refused: false,
            overridable: false,
            rule: rule.to_owned(),
            reason: reason.to_owned(),
        }
    }

    pub(crate) fn refuse(rule: &str, reason: &str) -> Self {
        Self {
            refused: true,
            ..Self::hold(rule, reason)
        }
    }

    /// The same, but its sender may send it all the same if `overridable`.
    pub(crate) fn unless_overridden(self, overridable: bool) -> Self {
        Self { overridable, ..self }
    }
}

/// What several stops come to. If its sender may override every one of them, it is held for that; otherwise the strictest
/// wins, as if none could be overridden.
fn stopped(stops: Vec<Stop>, findings: Vec<Finding>, approved: bool) -> Decision {
    let overridable = !approved && stops.iter().all(|stop| stop.overridable);
    let refused = stops.iter().any(|stop| stop.refused);
    let Some(stop) = stops.into_iter().find(|stop| stop.refused == refused) else {
        return Stop::hold("policy", "it could not be decided").decided(findings, Release::SecondPerson, false);
    };
    match (overridable, refused) {
        (true, true) => stop.decided(findings, Release::Sender, false),
        (true, false) => stop.decided(findings, Release::SecondPersonOrSender, false),
        (false, refused) => stop.decided(findings, Release::SecondPerson, refused),
    }
}

impl Stop {
    fn decided(self, findings: Vec<Finding>, release: Release, refused: bool) -> Decision {
        let verdict = Verdict {
            rule: self.rule,
            reason: self.reason,
            findings,
            release,
        };
        if refused {
            Decision::Refuse(verdict)
        } else {
            Decision::Hold(verdict)
        }
    }
}

/// How an event is to be changed before it crosses.
#[derive(Default)]
pub(crate) struct Changes {
    /// The first rule that masks, and the numbers of all that do.
    masker: Option<String>,
    masking: Vec<usize>,
    spans: Vec<Span>,
    /// The first rule that takes files away.
    stripper: Option<String>,
    files: Vec<usize>,
    /// The first rule that takes metadata away.
    cleaner: Option<String>,
    pictures: Vec<usize>,
}

impl Changes {
    pub(crate) fn of(acting: &[&Matched<'_>]) -> Self {
        let of = |action: RuleAction| acting.iter().filter(move |matched| matched.rule.action == action);
        let name = |matched: &&Matched<'_>| matched.rule.name.clone();
        let files = |action: RuleAction| of(action).flat_map(|matched| matched.files.iter().copied()).collect();
        Self {
            masker: of(RuleAction::Mask).next().map(name),
            masking: of(RuleAction::Mask).map(|matched| matched.number).collect(),
            spans: of(RuleAction::Mask)
                .flat_map(|matched| matched.spans.iter().copied())
                .collect(),
            stripper: of(RuleAction::StripAttachment).next().map(name),
            files: files(RuleAction::StripAttachment),
            cleaner: of(RuleAction::StripMetadata).next().map(name),
            pictures: files(RuleAction::StripMetadata),
        }
    }
}

fn decide(
    filters: Vec<&Filter>,
    context: &Context<'_>,
    mut outbound: Outbound,
    approval: Option<&Approval<'_>>,
) -> Decision {
    // What no policy can allow is looked at even where there is none.
    let none = Filter::default();
    let mut filters: Vec<&Filter> = filters;
    if filters.is_empty() {
        filters.push(&none);
    }
    let mut parts = Vec::new();
    if filters.iter().any(|filter| filter.reads()) {
        let Some(read) = texts(&filters, context, &mut outbound) else {
            let stop = Stop::hold("policy", "it has more text than can be examined");
            return stopped(vec![stop], Vec::new(), approval.is_some());
        };
        parts = read;
    }
    let mut findings = Vec::new();
    let mut stops = Vec::new();
    let mut changes = Vec::new();
    for filter in &filters {
        let mut opinion = filter.opinion(context, &outbound, &parts, approval);
        findings.append(&mut opinion.findings);
        stops.append(&mut opinion.stops);
        changes.push(opinion.changes);
    }
    // What cannot be changed as it must be need not wait for anybody either.
    if stops.iter().all(|stop| !stop.refused || stop.overridable) {
        stops.extend(change(&filters, context, &mut outbound, &changes));
    }
    if !stops.is_empty() {
        return stopped(stops, findings, approval.is_some());
    }
    Decision::Pass {
        outbound: Box::new(Cleared::seal(outbound)),
        findings,
    }
}

/// Masks findings and takes metadata and files away; what stops the event if that cannot be done, the strictest first.
fn change(filters: &[&Filter], context: &Context<'_>, outbound: &mut Outbound, changes: &[Changes]) -> Option<Stop> {
    let masked = masked(filters, context, outbound, changes);
    let freed = freed(context, outbound, changes);
    // Last, because it changes the numbers of the files.
    let stripped = stripped(outbound, changes);
    let (refused, held): (Vec<Stop>, Vec<Stop>) = [masked, freed, stripped]
        .into_iter()
        .flatten()
        .partition(|stop| stop.refused);
    refused.into_iter().chain(held).next()
}

fn masked(filters: &[&Filter], context: &Context<'_>, outbound: &mut Outbound, changes: &[Changes]) -> Option<Stop> {
    let rule = changes.iter().find_map(|changes| changes.masker.as_deref())?;
    let spans = changes
        .iter()
        .flat_map(|changes| changes.spans.iter().copied())
        .collect();
    if mask(outbound, spans) == Masked::Impossible {
        return Some(Stop::refuse(rule, "what must be masked cannot be masked here"));
    }
    let Some(parts) = texts(filters, context, outbound) else {
        return Some(Stop::hold(rule, "it could not be masked for certain"));
    };
    let still =
        |(filter, changes): (&&Filter, &Changes)| filter.still_masks(context, outbound, &parts, &changes.masking);
    let any = filters.iter().zip(changes).any(still);
    any.then(|| Stop::hold(rule, "it could not be masked for certain"))
}

fn freed(context: &Context<'_>, outbound: &mut Outbound, changes: &[Changes]) -> Option<Stop> {
    let rule = changes.iter().find_map(|changes| changes.cleaner.as_deref())?;
    // Even what is taken away altogether: otherwise another policy that takes it away would let the rest go.
    let mut pictures = changes.iter().flat_map(|changes| &changes.pictures);
    let all = pictures.all(|number| free_of_metadata(context, outbound, *number));
    (!all).then(|| Stop::hold(rule, "what a picture says beside what it shows could not be taken away"))
}

fn stripped(outbound: &mut Outbound, changes: &[Changes]) -> Option<Stop> {
    let rule = changes.iter().find_map(|changes| changes.stripper.as_deref())?;
    let files: Vec<usize> = changes
        .iter()
        .flat_map(|changes| changes.files.iter().copied())
        .collect();
    (!strip(outbound, &files)).then(|| Stop::refuse(rule, "nothing is left when the file is taken away"))
}

/// All texts of an event; none if they are too long to look at.
fn texts(filters: &[&Filter], context: &Context<'_>, outbound: &mut Outbound) -> Option<Vec<Part>> {
    let (mut parts, bytes) = read(outbound);
    if bytes > TEXT_BOUND {
        return None;
    }
    if filters.iter().any(|filter| filter.reads_files()) {
        let texts = || context.evidence.iter().map(|evidence| &*evidence.text.read);
        if texts().map(str::len).sum::<usize>() > FILE_TEXT_BOUND {
            return None;
        }
        parts.extend(texts().filter(|text| !text.is_empty()).map(read_file));
    }
    if let Some(previous) = context.previous {
        parts.extend(read_previous(outbound, previous));
    }
    Some(parts)
}

/// Exchanges a picture for the same without metadata, if it has any; whether it has none now.
fn free_of_metadata(context: &Context<'_>, outbound: &mut Outbound, number: usize) -> bool {
    let evidence = context.evidence_of(number).map(|evidence| &evidence.metadata);
    let attachment = outbound
        .content
        .message_mut()
        .and_then(|message| message.attachments.get_mut(number));
    match (evidence, attachment) {
        (Some(Metadata::Absent), _) | (_, None) => true,
        (Some(Metadata::Removable { media, size }), Some(attachment)) => {
            attachment.media.clone_from(media);
            attachment.size = Some(*size);
            true
        }
        (Some(Metadata::Unknown) | None, Some(_)) => false,
    }
}

/// Takes files away; whether anything is left.
fn strip(outbound: &mut Outbound, files: &[usize]) -> bool {
    let Some(message) = outbound.content.message_mut() else {
        return true;
    };
    let mut number = 0;
    message.attachments.retain(|_| {
        number += 1;
        !files.contains(&(number - 1))
    });
    !message.attachments.is_empty() || !message.body.is_empty()
}
