//! Tries the policies: their patterns, every rule's own examples, and whether a mirror joins what a barrier keeps apart.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use viaduct_compliance::{ExampleOutcome, ExampleResult, Filter, Policy};
use viaduct_model::{ChannelId, NetworkName, Place};

use crate::problem::{Position, Report};
use crate::rules::find;
use crate::tree::Node;

/// Checks all policies of a configuration that can be read; what cannot is told by others.
pub(crate) fn check(tree: &Node, value: &Value, report: &mut Report) {
    let mut sound = BTreeMap::new();
    for entry in tree.get("policies").map(Node::entries).unwrap_or_default() {
        let key = format!("policies.{}", entry.key);
        let Some(policy) = value.get("policies").and_then(|all| all.get(&entry.key)) else {
            continue;
        };
        let Ok(policy) = serde_json::from_value::<Policy>(policy.clone()) else {
            continue;
        };
        match policy.test() {
            Ok(results) => {
                sound.insert(entry.key.as_str(), Filter::new(policy.clone()));
                for result in results.iter().filter(|result| !result.is_good()) {
                    let number = policy
                        .rules
                        .iter()
                        .position(|rule| rule.name == result.rule)
                        .unwrap_or_default();
                    let key = format!("{key}.rules[{number}]");
                    let (at, _) = find(tree, &key);
                    tell(result, &key, at, report);
                }
            }
            Err(errors) => {
                for error in errors {
                    report.error(entry.key_at, &key, error.to_string(), "correct the rule");
                }
            }
        }
    }
    for (number, mirror) in tree
        .get("mirrors")
        .map(Node::items)
        .unwrap_or_default()
        .iter()
        .enumerate()
    {
        apart(tree, mirror, &format!("mirrors[{number}].members"), &sound, report);
    }
}

/// The policies that a network or a member of a mirror names.
fn named(node: &Node) -> impl Iterator<Item = &str> {
    let policy = node.get("policy");
    ["in", "out"]
        .into_iter()
        .filter_map(move |way| policy.and_then(|policy| policy.text_of(way)).map(|(name, _)| name))
}

/// A mirror joins nothing that a barrier of one of its policies keeps apart.
fn apart(tree: &Node, mirror: &Node, key: &str, sound: &BTreeMap<&str, Filter>, report: &mut Report) {
    let members = mirror.get("members").map(Node::items).unwrap_or_default();
    let place = |network: &str, channel: &str| {
        Some(Place::new(
            NetworkName::new(network).ok()?,
            ChannelId::new(channel).ok()?,
        ))
    };
    let mut places: Vec<(Place, Position)> = Vec::new();
    let mut policies: BTreeSet<&str> = BTreeSet::new();
    for member in members {
        policies.extend(named(member));
        let Some((network, at)) = member.text_of("network") else {
            continue;
        };
        let section = tree.get("networks").and_then(|networks| networks.get(network));
        policies.extend(section.into_iter().flat_map(named));
        let channel = member
            .text_of("channel")
            .and_then(|(channel, _)| place(network, channel));
        places.extend(channel.map(|place| (place, at)));
    }
    for (position, (one, at)) in places.iter().enumerate() {
        for (other, _) in places.iter().take(position) {
            let filters = policies.iter().filter_map(|name| Some((*name, sound.get(name)?)));
            let mut standing = filters.filter_map(|(name, filter)| Some((name, filter.barrier_between(one, other)?)));
            let Some((policy, barrier)) = standing.next() else {
                continue;
            };
            let what = format!(
                "the barrier `{barrier}` of the policy `{policy}` stands between {}/{} and {}/{}",
                one.network, one.channel, other.network, other.channel
            );
            report.error(
                *at,
                key,
                what,
                "put them into mirrors of their own, or change the barrier",
            );
        }
    }
}

fn tell(result: &ExampleResult, key: &str, at: Position, report: &mut Report) {
    let rule = &result.rule;
    match &result.outcome {
        ExampleOutcome::AsExpected => {}
        ExampleOutcome::DoesNotMatch => {
            let what = format!("an example that the rule `{rule}` should match is not matched by it");
            report.error(at, key, what, "correct the rule or the example");
        }
        ExampleOutcome::Matches => {
            let what = format!("an example that the rule `{rule}` should pass is matched by it");
            report.error(at, key, what, "correct the rule or the example");
        }
        ExampleOutcome::Missing => {
            let fix = "give it `examples: {match: [...]}`, which are tried each time";
            report.warning(
                at,
                key,
                format!("nothing shows that the rule `{rule}` matches what it should"),
                fix,
            );
        }
        ExampleOutcome::Invalid(why) => {
            let what = format!("an example of the rule `{rule}` cannot be tried: {why}");
            report.error(at, key, what, "correct the example");
        }
    }
}
