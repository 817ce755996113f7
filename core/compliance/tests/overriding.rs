//! What a sender may send all the same, and what never.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail like tests")]

mod common;

use common::{filter, outbound, policy, said};
use proptest::prelude::*;
use proptest::sample::select;
use viaduct_compliance::{
    Approval, Context, Decision, Filter, Mode, Overriding, Policy, Release, Rule, RuleAction, decide_all, release_all,
};
use viaduct_model::{Content, NetworkName, Outbound};

const SENDER: &str = "@anna:example.org";
const REASON: &str = "the customer asked for it";

fn by<'a>(approver: &'a str, reason: &'a str) -> Approval<'a> {
    Approval { approver, reason }
}

/// What was decided, in one word, with who may let it go.
fn word(decision: &Decision) -> &'static str {
    match decision {
        Decision::Pass { .. } => "pass",
        Decision::Refuse(_) => "refuse",
        Decision::Hold(verdict) => match verdict.release {
            Release::SecondPerson => "second",
            Release::SecondPersonOrSender => "either",
            Release::Sender => "sender",
        },
    }
}

fn asked(filters: &[Filter], event: Outbound) -> &'static str {
    word(&decide_all(filters, &Context::default(), event))
}

fn overridden(filters: &[Filter], event: Outbound) -> &'static str {
    word(&release_all(filters, &Context::default(), event, &by(SENDER, REASON)))
}

#[test]
fn what_a_rule_lets_its_sender_decide_is_held_for_them() {
    let refusing = filter("rules: [{ name: r, patterns: [falke], action: refuse, override: justified }]");
    let holding = filter("rules: [{ name: h, patterns: [falke], action: hold, override: justified }]");
    assert_eq!(asked(std::slice::from_ref(&refusing), said("falke")), "sender");
    assert_eq!(asked(std::slice::from_ref(&holding), said("falke")), "either");
    assert_eq!(asked(&[holding.clone(), refusing.clone()], said("falke")), "sender");
    for (approver, reason, wanted) in [
        (SENDER, REASON, "pass"),
        (SENDER, "urgent", "refuse"),
        (SENDER, "a \u{7}\u{7}\u{7}\u{7}\u{7}\u{7}\u{7}\u{7}", "refuse"),
        ("@dora:example.org", REASON, "refuse"),
    ] {
        let decision = refusing.release(&Context::default(), said("falke"), &by(approver, reason));
        assert_eq!(word(&decision), wanted, "{approver} {reason}");
    }
    for (approver, reason, wanted) in [
        (SENDER, REASON, "pass"),
        (SENDER, "urgent", "second"),
        ("@dora:example.org", "fine", "pass"),
    ] {
        let decision = holding.release(&Context::default(), said("falke"), &by(approver, reason));
        assert_eq!(word(&decision), wanted, "{approver} {reason}");
    }
    match refusing.release(&Context::default(), said("falke"), &by(SENDER, REASON)) {
        Decision::Pass { findings, .. } => assert_eq!(findings[0].rule, "r", "it is still recorded"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_strictest_wins_where_a_rule_does_not_allow_it() {
    let text = r"
        labels: [public, internal]
        ceiling: public
        rules:
          - { name: r, patterns: [falke], action: refuse, override: justified }
          - { name: h, patterns: [adler], action: hold }
          - { name: p, patterns: [milan], action: refuse }
    ";
    let filters = [filter(text)];
    for (event, before, after) in [
        ("falke", "sender", "pass"),
        ("falke adler", "refuse", "second"),
        ("falke milan", "refuse", "refuse"),
    ] {
        assert_eq!(asked(&filters, said(event)), before, "{event}");
        assert_eq!(overridden(&filters, said(event)), after, "{event}");
    }
    // No rule lets anything over the ceiling.
    for labels in [["internal".to_owned()], ["VS-NfD".to_owned()]] {
        let context = Context {
            labels: &labels,
            ..Context::default()
        };
        assert_eq!(word(&decide_all(&filters, &context, said("falke"))), "refuse");
        assert_eq!(
            word(&release_all(&filters, &context, said("falke"), &by(SENDER, REASON))),
            "refuse"
        );
    }
}

#[test]
fn only_words_of_people_on_the_homeserver_can_be_overridden() {
    let filters = [filter(
        "rules: [{ name: r, patterns: [falke], action: refuse, override: justified }]",
    )];
    let topic = outbound(Content::Topic {
        topic: "falke".to_owned(),
    });
    assert_eq!(asked(&filters, topic.clone()), "refuse");
    assert_eq!(overridden(&filters, topic), "refuse");
    let mut remote = said("falke");
    remote.author.person.network = NetworkName::new("acme-slack").unwrap();
    assert_eq!(asked(&filters, remote.clone()), "refuse");
    assert_eq!(
        overridden(&filters, remote),
        "refuse",
        "whoever has the same id elsewhere"
    );
}

#[test]
fn only_what_stops_can_be_overridden() {
    let wrong = policy("rules: [{ name: m, patterns: [falke], action: mask, override: justified }]");
    let errors = Filter::compile(wrong).unwrap_err();
    assert!(errors[0].to_string().contains("override"), "{errors:?}");
}

fn rule() -> impl Strategy<Value = Rule> {
    let action = select(
        &[
            RuleAction::Refuse,
            RuleAction::Hold,
            RuleAction::Mask,
            RuleAction::Warn,
            RuleAction::Allow,
        ][..],
    );
    let pattern = select(&["falke", "adler", "milan"][..]);
    let mode = select(&[Mode::Enforce, Mode::Enforce, Mode::Monitor][..]);
    (action, pattern, mode, any::<bool>()).prop_map(|(action, pattern, mode, justified)| {
        let stops = matches!(action, RuleAction::Refuse | RuleAction::Hold);
        Rule {
            name: "r".to_owned(),
            patterns: vec![pattern.to_owned()],
            action,
            mode,
            overriding: if justified && stops {
                Overriding::Justified
            } else {
                Overriding::Never
            },
            ..Rule::default()
        }
    })
}

fn policies() -> impl Strategy<Value = Vec<Policy>> {
    let policy = proptest::collection::vec(rule(), 0..5).prop_map(|rules| Policy {
        rules,
        ..Policy::default()
    });
    proptest::collection::vec(policy, 1..3)
}

fn compiled(policies: &[Policy], wanted: impl Fn(&Rule) -> Rule) -> Vec<Filter> {
    let of = |policy: &Policy| Policy {
        rules: policy.rules.iter().map(&wanted).collect(),
        ..policy.clone()
    };
    policies
        .iter()
        .map(|policy| Filter::compile(of(policy)).unwrap())
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    /// A sender's decision does no more than if the rules that allow it were not there; and it does just that.
    #[test]
    fn an_override_never_lets_through_what_another_rule_stops(
        policies in policies(),
        words in proptest::collection::vec(select(&["falke", "adler", "milan", "hello"][..]), 1..4),
    ) {
        let event = said(&words.join(" "));
        let plain = |rule: &Rule| Rule { overriding: Overriding::Never, ..rule.clone() };
        let warned = |rule: &Rule| match rule.overriding {
            Overriding::Never => rule.clone(),
            Overriding::Justified => Rule { action: RuleAction::Warn, ..plain(rule) },
        };
        let filters = compiled(&policies, Rule::clone);
        let without = decide_all(&compiled(&policies, warned), &Context::default(), event.clone());
        let with = release_all(&filters, &Context::default(), event.clone(), &by(SENDER, REASON));
        prop_assert_eq!(word(&with), word(&without));
        if let (Decision::Pass { outbound: one, .. }, Decision::Pass { outbound: two, .. }) = (&with, &without) {
            prop_assert_eq!(one.get(), two.get());
        }
        // Without that decision nothing more crosses than if no rule allowed it.
        let before = decide_all(&compiled(&policies, plain), &Context::default(), event.clone());
        let asked = decide_all(&filters, &Context::default(), event);
        prop_assert_eq!(word(&asked) == "pass", word(&before) == "pass");
        // It is held for the sender if, and only if, their decision would do.
        if ["either", "sender"].contains(&word(&asked)) {
            prop_assert_eq!(word(&with), "pass");
        }
    }
}
