//! The decision.

use std::sync::Arc;

use viaduct_model::{Outbound, Place};

use crate::Cleared;
use crate::compile::{Compiled, PolicyError, label_key};
use crate::context::{Approval, Context};
use crate::decision::{Decision, Finding, Verdict};
use crate::policy::{Direction, Mode, Policy, Rule, RuleAction};
use crate::rules::{Facts, Matched, in_group, match_rule};
use crate::text::{Masked, Part, Span, mask, read, read_previous};

/// The most text that is looked at in one event, in bytes. What has more is held.
const TEXT_BOUND: usize = 1024 * 1024;

/// A policy made ready to decide quickly. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    compiled: Arc<Compiled>,
    /// What is wrong with the policy: then everything is held.
    problem: Option<String>,
}

/// Which of an event's rules count.
#[derive(Clone, Copy)]
enum Round<'a> {
    First,
    /// A second person released it.
    Released(&'a Approval<'a>),
}

/// How an event is to be changed before it crosses.
struct Changes {
    /// The first rule that masks, and the numbers of all that do.
    masker: Option<String>,
    masking: Vec<usize>,
    spans: Vec<Span>,
    /// The first rule that takes files away.
    stripper: Option<String>,
    files: Vec<usize>,
}

impl Changes {
    fn of(acting: &[&Matched<'_>]) -> Self {
        let of = |action: RuleAction| acting.iter().filter(move |matched| matched.rule.action == action);
        let name = |matched: &&Matched<'_>| matched.rule.name.clone();
        Self {
            masker: of(RuleAction::Mask).next().map(name),
            masking: of(RuleAction::Mask).map(|matched| matched.number).collect(),
            spans: of(RuleAction::Mask)
                .flat_map(|matched| matched.spans.iter().copied())
                .collect(),
            stripper: of(RuleAction::StripAttachment).next().map(name),
            files: of(RuleAction::StripAttachment)
                .flat_map(|matched| matched.files.iter().copied())
                .collect(),
        }
    }
}

/// What an event must not cross for, whatever the rules say.
struct Barred {
    rule: String,
    reason: &'static str,
}

impl Filter {
    /// Makes a policy ready. A policy that cannot be used holds everything; use [`Filter::compile`] to learn why.
    pub fn new(policy: Policy) -> Self {
        Self::compile(policy).unwrap_or_else(|errors| Self {
            compiled: Arc::default(),
            problem: Some(errors.first().map(ToString::to_string).unwrap_or_default()),
        })
    }

    /// Makes a policy ready.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with it, so that it can be mended in one go.
    pub fn compile(policy: Policy) -> Result<Self, Vec<PolicyError>> {
        Ok(Self {
            compiled: Arc::new(Compiled::new(policy)?),
            problem: None,
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

    /// Decides about one outbound event of which nothing else is known; see [`Filter::decide_with`].
    pub fn decide(&self, outbound: Outbound) -> Decision {
        self.decide_with(&Context::default(), outbound)
    }

    /// Decides about one outbound event.
    ///
    /// First what no rule can allow: classified labels, people who are not admitted, barriers, labels above the ceiling. Then
    /// the rules, of which the strictest that matches wins. What cannot be decided is held.
    pub fn decide_with(&self, context: &Context<'_>, outbound: Outbound) -> Decision {
        self.decide_round(context, outbound, Round::First)
    }

    /// Decides again about an event that was held and that a second person wants to let go: rules that hold let it pass, if
    /// the approver is neither the sender nor the author of one of them and gives a reason; all other rules count as before.
    pub fn release(&self, context: &Context<'_>, outbound: Outbound, approval: &Approval<'_>) -> Decision {
        self.decide_round(context, outbound, Round::Released(approval))
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

    fn decide_round(&self, context: &Context<'_>, mut outbound: Outbound, round: Round<'_>) -> Decision {
        if self.problem.is_some() {
            return hold(
                "policy",
                "the policy cannot be used, and so everything waits",
                Vec::new(),
            );
        }
        let compiled = &*self.compiled;
        let mut parts = Vec::new();
        if compiled.reads() {
            match texts(context, &mut outbound) {
                Some(read) => parts = read,
                None => return hold("policy", "it has more text than can be examined", Vec::new()),
            }
        }
        let hits = compiled.scanner.scan(&parts);
        let facts = Facts {
            compiled,
            context,
            outbound: &outbound,
            hits: &hits,
        };
        let mut labels: Vec<String> = context.labels.iter().map(|label| label_key(label)).collect();
        let matched = matched_rules(&facts, &mut labels);
        let findings: Vec<Finding> = matched.iter().map(|matched| finding(compiled, matched)).collect();
        if let Some(barred) = barred(&facts, &labels) {
            return Decision::Refuse(Verdict {
                rule: barred.rule,
                reason: barred.reason.to_owned(),
                findings,
            });
        }
        let acting: Vec<&Matched<'_>> = matched.iter().filter(|matched| acts(compiled, matched)).collect();
        if let Some(decision) = stopped(&outbound, &acting, &findings, round) {
            return decision;
        }
        let changes = Changes::of(&acting);
        match self.change(context, outbound, &changes) {
            Ok(outbound) => Decision::Pass {
                outbound: Box::new(Cleared::seal(outbound)),
                findings,
            },
            Err((RuleAction::Refuse, rule, reason)) => refuse(rule, reason, findings),
            Err((_, rule, reason)) => hold(&rule, reason, findings),
        }
    }

    /// The event with its findings masked and its files taken away; or what is to be done instead, by which rule, and why.
    fn change(
        &self,
        context: &Context<'_>,
        mut outbound: Outbound,
        changes: &Changes,
    ) -> Result<Outbound, (RuleAction, String, &'static str)> {
        if let Some(rule) = &changes.masker {
            if mask(&mut outbound, changes.spans.clone()) == Masked::Impossible {
                return Err((
                    RuleAction::Refuse,
                    rule.clone(),
                    "what must be masked cannot be masked here",
                ));
            }
            if self.still_matches(context, &mut outbound, &changes.masking) {
                return Err((RuleAction::Hold, rule.clone(), "it could not be masked for certain"));
            }
        }
        match &changes.stripper {
            Some(rule) if !strip(&mut outbound, &changes.files) => Err((
                RuleAction::Refuse,
                rule.clone(),
                "nothing is left when the file is taken away",
            )),
            _ => Ok(outbound),
        }
    }

    /// Whether anything that these rules mask can still be found.
    fn still_matches(&self, context: &Context<'_>, outbound: &mut Outbound, rules: &[usize]) -> bool {
        let Some(parts) = texts(context, outbound) else {
            return true;
        };
        let hits = self.compiled.scanner.scan(&parts);
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

/// All texts of an event; none if they are too long to look at.
fn texts(context: &Context<'_>, outbound: &mut Outbound) -> Option<Vec<Part>> {
    let (mut parts, bytes) = read(outbound);
    if bytes > TEXT_BOUND {
        return None;
    }
    if let Some(previous) = context.previous {
        parts.extend(read_previous(outbound, previous));
    }
    Some(parts)
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

fn barred(facts: &Facts<'_>, labels: &[String]) -> Option<Barred> {
    if labels.iter().any(|label| is_classified(label)) {
        return Some(Barred {
            rule: "classified".to_owned(),
            reason: "classified information never crosses",
        });
    }
    let policy = &facts.compiled.policy;
    if policy.mode == Mode::Monitor {
        return None;
    }
    if let Some(admitted) = &policy.admit
        && !in_any(facts, admitted)
    {
        return Some(Barred {
            rule: "admit".to_owned(),
            reason: "the sender is not admitted here",
        });
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
            return Some(Barred {
                rule: barrier.name.clone(),
                reason: "the two sides must not talk to each other",
            });
        }
    }
    let ceiling = label_key(policy.ceiling.as_deref()?);
    let ladder: Vec<String> = policy.labels.iter().map(|label| label_key(label)).collect();
    let height = |label: &String| ladder.iter().position(|step| step == label);
    let above = |label: &String| height(label).is_none_or(|height_of| Some(height_of) > height(&ceiling));
    labels.iter().any(above).then(|| Barred {
        rule: "ceiling".to_owned(),
        reason: "its label is too high to cross",
    })
}

fn in_any(facts: &Facts<'_>, groups: &[String]) -> bool {
    groups
        .iter()
        .filter_map(|name| facts.compiled.group(name))
        .any(|group| in_group(group, facts.outbound))
}

/// What the rules that stop an event make of it; none if it goes on.
fn stopped(outbound: &Outbound, acting: &[&Matched<'_>], findings: &[Finding], round: Round<'_>) -> Option<Decision> {
    let of = |action: RuleAction| acting.iter().find(move |matched| matched.rule.action == action);
    let reason = |rule: &Rule| {
        rule.reason
            .clone()
            .unwrap_or_else(|| "not allowed by policy".to_owned())
    };
    if let Some(matched) = of(RuleAction::Refuse) {
        let (rule, reason) = (matched.rule.name.clone(), reason(matched.rule));
        return Some(Decision::Refuse(Verdict {
            rule,
            reason,
            findings: findings.to_vec(),
        }));
    }
    let matched = of(RuleAction::Hold)?;
    let rule = matched.rule;
    let Round::Released(approval) = round else {
        return Some(hold(&rule.name, &reason(rule), findings.to_vec()));
    };
    let wrote = |matched: &&&Matched<'_>| {
        matched.rule.action == RuleAction::Hold && matched.rule.author.as_deref() == Some(approval.approver)
    };
    let problem = if approval.reason.trim().is_empty() {
        "a release needs a reason"
    } else if outbound.author.person.id.as_str() == approval.approver {
        "nobody can release what they sent"
    } else if acting.iter().any(|matched| wrote(&matched)) {
        "nobody can release what their own rule holds"
    } else {
        return None;
    };
    Some(hold(&rule.name, problem, findings.to_vec()))
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

fn hold(rule: &str, reason: &str, findings: Vec<Finding>) -> Decision {
    Decision::Hold(Verdict {
        rule: rule.to_owned(),
        reason: reason.to_owned(),
        findings,
    })
}

fn refuse(rule: String, reason: &str, findings: Vec<Finding>) -> Decision {
    Decision::Refuse(Verdict {
        rule,
        reason: reason.to_owned(),
        findings,
    })
}

/// The direction in which an event goes.
pub(crate) fn direction(outbound: &Outbound) -> Direction {
    if outbound.to.network.is_matrix() {
        Direction::In
    } else {
        Direction::Out
    }
}
