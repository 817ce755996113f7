//! What one policy makes of an event.

use std::sync::Arc;

use viaduct_model::{Outbound, Place};

use crate::compile::{Compiled, PolicyError, label_key};
use crate::context::{Approval, Context};
use crate::decide::{Changes, Opinion, Stop, decide_all, release_all};
use crate::decision::{Decision, Finding};
use crate::policy::{Direction, Mode, Overriding, Policy, Rule, RuleAction, ScanResult};
use crate::policy_list::PolicyList;
use crate::rules::{Facts, Matched, in_group, match_rule};
use crate::text::Part;

/// A policy made ready to decide quickly. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    compiled: Arc<Compiled>,
    /// What is wrong with the policy: then everything is held.
    problem: Option<String>,
    /// Whom policy lists do not want.
    list: Option<Arc<PolicyList>>,
}

impl Filter {
    /// Makes a policy ready. A policy that cannot be used holds everything; use [`Filter::compile`] to learn why.
    pub fn new(policy: Policy) -> Self {
        Self::compile(policy).unwrap_or_else(|errors| Self {
            problem: Some(errors.first().map(ToString::to_string).unwrap_or_default()),
            ..Self::default()
        })
    }

    /// A filter that refuses whom these lists do not want, and nothing else.
    pub fn of_list(list: Arc<PolicyList>) -> Self {
        Self {
            list: Some(list),
            ..Self::default()
        }
    }

    /// Makes a policy ready.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with it, so that it can be mended in one go.
    pub fn compile(policy: Policy) -> Result<Self, Vec<PolicyError>> {
        Ok(Self {
            compiled: Arc::new(Compiled::new(policy)?),
            ..Self::default()
        })
    }

    /// What is wrong with the policy, for the operator; then everything is held.
    pub fn problem(&self) -> Option<&str> {
        self.problem.as_deref()
    }

    /// The policy; an empty one if it cannot be used.
    pub fn policy(&self) -> &Policy {
        &self.compiled.policy
    }

    /// What the lists hold that the policy names by their files: the SHA-256 of each, in the order of the rules. Whoever tells
    /// versions of a policy apart must tell these apart, too.
    pub fn lists(&self) -> Vec<[u8; 32]> {
        self.compiled.scanner.lists().collect()
    }

    /// Decides about one outbound event of which nothing else is known; see [`Filter::decide_with`].
    pub fn decide(&self, outbound: Outbound) -> Decision {
        self.decide_with(&Context::default(), outbound)
    }

    /// Decides about one outbound event.
    ///
    /// First what no rule can allow: classified labels, infected files, files that the scanner could not scan, people who are
    /// not admitted, barriers, labels above the ceiling. Then the rules, of which the strictest that matches wins. What cannot be decided is held.
    pub fn decide_with(&self, context: &Context<'_>, outbound: Outbound) -> Decision {
        decide_all([self], context, outbound)
    }

    /// Decides again about an event that was held and that a second person wants to let go: rules that hold let it pass, if
    /// the approver is neither the sender nor the author of one of them and gives a reason; all other rules count as before.
    /// If the approver is the sender, those rules give way, holding or refusing, that have `override: justified`, and only
    /// for a reason of [`JUSTIFICATION`](crate::JUSTIFICATION) characters.
    pub fn release(&self, context: &Context<'_>, outbound: Outbound, approval: &Approval<'_>) -> Decision {
        release_all([self], context, outbound, approval)
    }

    /// Whether any rule asks about files what only their bytes can tell: then they must be looked into beforehand.
    pub fn looks_at_files(&self) -> bool {
        self.reads_files() || self.policy().rules.iter().any(|rule| rule.attachments.is_some())
    }

    /// Whether anything looks at what is within files.
    pub(crate) fn reads_files(&self) -> bool {
        self.compiled.reads_files()
    }

    /// The barrier that stands between two places whoever speaks there; a mirror must not join them.
    pub fn barrier_between(&self, one: &Place, other: &Place) -> Option<&str> {
        let side = |groups: &[String], place: &Place| {
            groups
                .iter()
                .filter_map(|name| self.compiled.group(name))
                .any(|group| crate::rules::place_in_group(group, place))
        };
        let stands = |barrier: &&crate::policy::Barrier| {
            (side(&barrier.between, one) && side(&barrier.and, other))
                || (side(&barrier.between, other) && side(&barrier.and, one))
        };
        self.compiled
            .policy
            .barriers
            .iter()
            .find(stands)
            .map(|barrier| barrier.name.as_str())
    }

    /// Whether anything looks at texts.
    pub(crate) fn reads(&self) -> bool {
        self.compiled.reads()
    }

    /// What this policy alone makes of an event.
    pub(crate) fn opinion(
        &self,
        context: &Context<'_>,
        outbound: &Outbound,
        parts: &[Part],
        approval: Option<&Approval<'_>>,
    ) -> Opinion {
        if self.problem.is_some() {
            let stop = Stop::hold("policy", "the policy cannot be used, and so everything waits");
            return Opinion {
                stops: vec![stop],
                ..Opinion::default()
            };
        }
        let compiled = &*self.compiled;
        let hits = compiled.scanner.scan(parts);
        let facts = Facts {
            compiled,
            context,
            outbound,
            hits: &hits,
        };
        let mut labels: Vec<String> = context.labels.iter().map(|label| label_key(label)).collect();
        let matched = matched_rules(&facts, &mut labels);
        let acting: Vec<&Matched<'_>> = matched.iter().filter(|matched| acts(compiled, matched)).collect();
        Opinion {
            findings: matched.iter().map(|matched| finding(compiled, matched)).collect(),
            stops: barred(&facts, &labels)
                .into_iter()
                .chain(self.unwanted(outbound))
                .chain(stopped(outbound, &acting, approval))
                .chain(unscanned(&facts, approval))
                .collect(),
            changes: Changes::of(&acting),
        }
    }

    /// What policy lists make of an event.
    fn unwanted(&self, outbound: &Outbound) -> Option<Stop> {
        let list = self.list.as_ref()?;
        if list.bans(outbound) {
            return Some(Stop::refuse(
                "policy list",
                "a policy list does not want this person, server or room",
            ));
        }
        list.is_overfull()
            .then(|| Stop::hold("policy list", "a policy list has more rules than can be kept"))
    }

    /// Whether anything that these rules mask is found in these texts.
    pub(crate) fn still_masks(
        &self,
        context: &Context<'_>,
        outbound: &Outbound,
        parts: &[Part],
        rules: &[usize],
    ) -> bool {
        if rules.is_empty() {
            return false;
        }
        let hits = self.compiled.scanner.scan(parts);
        let facts = Facts {
            compiled: &self.compiled,
            context,
            outbound,
            hits: &hits,
        };
        rules
            .iter()
            .any(|number| match_rule(&facts, *number, &[], true).is_some())
    }
}

/// The rules that match, in order, up to the first that allows. Labels that they give are added to `labels`.
fn matched_rules<'a>(facts: &Facts<'a>, labels: &mut Vec<String>) -> Vec<Matched<'a>> {
    let mut all = Vec::new();
    for number in 0..facts.compiled.policy.rules.len() {
        let Some(matched) = match_rule(facts, number, labels, false) else {
            continue;
        };
        let acts = acts(facts.compiled, &matched);
        let action = matched.rule.action;
        if let (RuleAction::Label, Some(label), true) = (action, &matched.rule.label, acts) {
            labels.push(label_key(label));
        }
        all.push(matched);
        if action == RuleAction::Allow && acts {
            break;
        }
    }
    all
}

fn acts(compiled: &Compiled, matched: &Matched<'_>) -> bool {
    compiled.policy.mode == Mode::Enforce && matched.rule.mode == Mode::Enforce
}

fn finding(compiled: &Compiled, matched: &Matched<'_>) -> Finding {
    let rule = matched.rule;
    Finding {
        rule: rule.name.clone(),
        count: matched.count,
        action: rule.action,
        mode: if acts(compiled, matched) {
            Mode::Enforce
        } else {
            Mode::Monitor
        },
        sorts: matched.sorts.iter().map(|sort| (*sort).to_owned()).collect(),
        label: rule.label.clone().filter(|_| rule.action == RuleAction::Label),
        notice: rule.reason.clone().filter(|_| rule.action == RuleAction::Warn),
    }
}

/// Whether a label is one of the German classification levels: what carries it never crosses.
pub(crate) fn is_classified(label: &str) -> bool {
    let key = label_key(label);
    [
        "vsnfd",
        "vsnurfurdendienstgebrauch",
        "vsvertraulich",
        "geheim",
        "strenggeheim",
    ]
    .contains(&key.as_str())
}

fn barred(facts: &Facts<'_>, labels: &[String]) -> Option<Stop> {
    if labels.iter().any(|label| is_classified(label)) {
        return Some(Stop::refuse("classified", "classified information never crosses"));
    }
    if scanned(facts, ScanResult::Infected) {
        return Some(Stop::refuse("malware", "the malware scanner found something in a file"));
    }
    let policy = &facts.compiled.policy;
    if policy.mode == Mode::Monitor {
        return None;
    }
    if let Some(admitted) = &policy.admit
        && !in_any(facts, admitted)
    {
        return Some(Stop::refuse("admit", "the sender is not admitted here"));
    }
    let speaks = |groups: &[String]| in_any(facts, groups);
    let hears = |groups: &[String]| {
        let groups = groups.iter().filter_map(|name| facts.compiled.group(name));
        groups
            .into_iter()
            .any(|group| crate::rules::place_in_group(group, &facts.outbound.to))
    };
    for barrier in &policy.barriers {
        if (speaks(&barrier.between) && hears(&barrier.and)) || (speaks(&barrier.and) && hears(&barrier.between)) {
            return Some(Stop::refuse(&barrier.name, "the two sides must not talk to each other"));
        }
    }
    let ladder: Vec<String> = policy.labels.iter().map(|label| label_key(label)).collect();
    let height = |label: &String| ladder.iter().position(|step| step == label);
    if let Some(floor) = policy.encrypted_from.as_deref().map(label_key)
        && !facts.context.encrypted
    {
        // A label that nobody knows asks for everything.
        let asks = |label: &String| height(label).is_none_or(|height_of| Some(height_of) >= height(&floor));
        if labels.iter().any(asks) {
            return Some(Stop::refuse(
                "encryption",
                "its label asks for an end-to-end encrypted room",
            ));
        }
    }
    let ceiling = label_key(policy.ceiling.as_deref()?);
    let above = |label: &String| height(label).is_none_or(|height_of| Some(height_of) > height(&ceiling));
    labels
        .iter()
        .any(above)
        .then(|| Stop::refuse("ceiling", "its label is too high to cross"))
}

/// Whether the malware scan of any file said this.
fn scanned(facts: &Facts<'_>, result: ScanResult) -> bool {
    facts.context.evidence.iter().any(|evidence| evidence.scan == result)
}

/// What could not be scanned waits for a second person.
fn unscanned(facts: &Facts<'_>, approval: Option<&Approval<'_>>) -> Option<Stop> {
    if !scanned(facts, ScanResult::Unavailable) {
        return None;
    }
    let reason = match approval {
        None => "a file could not be scanned for malware",
        Some(approval) => objection(facts.outbound, approval)?,
    };
    Some(Stop::hold("malware", reason))
}

/// Why this person cannot release anything of this event.
fn objection(outbound: &Outbound, approval: &Approval<'_>) -> Option<&'static str> {
    if approval.reason.trim().is_empty() {
        Some("a release needs a reason")
    } else if outbound.author.person.id.as_str() == approval.approver {
        Some("nobody can release what they sent")
    } else {
        None
    }
}

fn in_any(facts: &Facts<'_>, groups: &[String]) -> bool {
    groups
        .iter()
        .filter_map(|name| facts.compiled.group(name))
        .any(|group| in_group(group, facts.outbound))
}

/// What the rules that stop an event make of it, one by one; nothing if it goes on.
fn stopped(outbound: &Outbound, acting: &[&Matched<'_>], approval: Option<&Approval<'_>>) -> Vec<Stop> {
    let of = |action: RuleAction| {
        acting
            .iter()
            .map(|matched| matched.rule)
            .filter(move |rule| rule.action == action)
    };
    let reason = |rule: &Rule| {
        rule.reason
            .clone()
            .unwrap_or_else(|| "not allowed by policy".to_owned())
    };
    let overridden =
        approval.is_some_and(|approval| approval.is_by(&outbound.author.person) && approval.is_justified());
    let overridable = |rule: &Rule| rule.overriding == Overriding::Justified && is_overridable(outbound);
    let given_way = |rule: &&Rule| overridden && overridable(rule);
    let refuse = |rule: &Rule| Stop::refuse(&rule.name, &reason(rule)).unless_overridden(overridable(rule));
    let mut stops: Vec<Stop> = of(RuleAction::Refuse)
        .filter(|rule| !given_way(rule))
        .map(refuse)
        .collect();
    let wrote =
        |approval: &Approval<'_>| of(RuleAction::Hold).any(|rule| rule.author.as_deref() == Some(approval.approver));
    let problem = approval.map(|approval| {
        let own_rule = || wrote(approval).then_some("nobody can release what their own rule holds");
        objection(outbound, approval).or_else(own_rule)
    });
    for rule in of(RuleAction::Hold).filter(|rule| !given_way(rule)) {
        let stop = match problem {
            None => Stop::hold(&rule.name, &reason(rule)),
            Some(Some(problem)) => Stop::hold(&rule.name, problem),
            Some(None) => continue,
        };
        stops.push(stop.unless_overridden(overridable(rule)));
    }
    stops
}

/// Whether a sender could send it all the same at all: they wrote it, and can be known again.
fn is_overridable(outbound: &Outbound) -> bool {
    outbound.author.person.network.is_matrix() && outbound.content.message().is_some()
}

/// The direction in which an event goes.
pub(crate) fn direction(outbound: &Outbound) -> Direction {
    if outbound.to.network.is_matrix() {
        Direction::In
    } else {
        Direction::Out
    }
}
