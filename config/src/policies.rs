//! Tries the policies: their patterns, and every rule's own examples.

use serde_json::Value;
use viaduct_compliance::{ExampleOutcome, ExampleResult, Policy};

use crate::problem::{Position, Report};
use crate::rules::find;
use crate::tree::Node;

/// Checks all policies of a configuration that can be read; what cannot is told by others.
pub(crate) fn check(tree: &Node, value: &Value, report: &mut Report) {
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
