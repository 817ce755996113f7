//! Policies: ordered rules.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use viaduct_model::{EventKind, Outbound};

use crate::{Cleared, Decision, Verdict};

/// Which way something goes, seen from the own organisation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// From a network into the homeserver.
    In,
    /// To a network.
    Out,
}

/// An ordered list of rules. The first that matches decides; without a match everything passes.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// The rules, in order.
    #[serde(default)]
    pub rules: Vec<Rule>,
}

/// One rule: when all its conditions match, its action is taken. A condition left out always matches.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Its name, shown to operators and (with the reason) to senders.
    pub name: String,
    /// Senders, by their id on their own network; `*` stands for any run of characters.
    #[serde(default)]
    pub senders: Vec<String>,
    /// Networks the event comes from.
    #[serde(default)]
    pub from: Vec<String>,
    /// Networks the event goes to.
    #[serde(default)]
    pub to: Vec<String>,
    /// Kinds of event, such as `message`, `edit` or `topic`.
    #[serde(default)]
    pub kinds: Vec<String>,
    /// The direction.
    #[serde(default)]
    pub direction: Option<Direction>,
    /// What to do.
    pub action: RuleAction,
    /// What the sender is told.
    #[serde(default)]
    pub reason: Option<String>,
}

/// What a rule does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RuleAction {
    /// Let it cross.
    Allow,
    /// Keep it until a second person releases it.
    Hold,
    /// Do not let it cross.
    Refuse,
}

/// A policy made ready to decide quickly.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    policy: Policy,
}

impl Filter {
    /// Makes a policy ready.
    pub fn new(policy: Policy) -> Self {
        Self { policy }
    }

    /// Decides about one outbound event.
    pub fn decide(&self, outbound: Outbound) -> Decision {
        match self.policy.rules.iter().find(|rule| rule.matches(&outbound)) {
            None | Some(Rule { action: RuleAction::Allow, .. }) => {
                Decision::Pass { outbound: Box::new(Cleared::seal(outbound)), findings: Vec::new() }
            }
            Some(rule) => {
                let verdict = Verdict {
                    rule: rule.name.clone(),
                    reason: rule.reason.clone().unwrap_or_else(|| "not allowed by policy".to_owned()),
                    findings: Vec::new(),
                };
                if rule.action == RuleAction::Hold { Decision::Hold(verdict) } else { Decision::Refuse(verdict) }
            }
        }
    }
}

impl Rule {
    fn matches(&self, outbound: &Outbound) -> bool {
        let kind: EventKind = outbound.content.kind();
        let direction = if outbound.to.network.is_matrix() { Direction::In } else { Direction::Out };
        let any = |list: &[String], value: &str| list.is_empty() || list.iter().any(|entry| entry == value);
        (self.senders.is_empty()
            || self.senders.iter().any(|pattern| wildcard(pattern, outbound.author.person.id.as_str())))
            && any(&self.from, outbound.from.network.as_str())
            && any(&self.to, outbound.to.network.as_str())
            && any(&self.kinds, kind.as_str())
            && self.direction.is_none_or(|wanted| wanted == direction)
    }
}

/// Whether `pattern`, in which `*` stands for any run of characters, describes the whole of `text`. Linear in both.
fn wildcard(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else { return false };
    let Some(last) = parts.next_back() else { return rest.is_empty() };
    for part in parts {
        match rest.split_once(part) {
            Some((_, after)) => rest = after,
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::wildcard;

    #[test]
    fn wildcards() {
        assert!(wildcard("*", ""));
        assert!(wildcard("a*c", "abc"));
        assert!(wildcard("a*b*c", "a-b-b-c"));
        assert!(!wildcard("a*c", "abcd"));
        assert!(!wildcard("ab", "abc"));
        assert!(!wildcard("aa*aa", "aaa"));
    }
}
