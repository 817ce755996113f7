//! What follows from lists of what is protected: masking, files, and lists that cannot be used.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail like tests")]

mod common;

use common::lists::{Lists, evidence, filter_of, refusing, with_file};
use common::{decided, decided_with, said, verdict};
use viaduct_compliance::{Context, Decision, Filter, Policy, PolicyError, Rule, RuleAction, TextPart, Values};

#[test]
fn values_are_masked_where_they_stand() {
    let lists = Lists::new();
    let filter = filter_of(vec![Rule {
        values: Some(lists.values("KD-4711 0815")),
        action: RuleAction::Mask,
        ..refusing("values")
    }]);
    assert_eq!(
        common::passed(&filter, said("Kunde kd4711-0815 ruft an")),
        "Kunde ███████████ ruft an"
    );
}

#[test]
fn what_is_within_files_counts_and_what_cannot_be_read_does_too() {
    let lists = Lists::new();
    let everywhere = filter_of(vec![Rule {
        values: Some(lists.values("KD-4711 0815")),
        ..refusing("values")
    }]);
    let said_only = filter_of(vec![Rule {
        values: Some(lists.values("KD-4711 0815")),
        texts: vec![TextPart::Body, TextPart::FileName],
        ..refusing("values")
    }]);
    let detector = common::filter("rules: [{ name: d, detectors: [iban], texts: [file], action: refuse }]");
    let usual = common::filter("rules: [{ name: d, detectors: [iban], action: refuse }]");
    for (read, whole, filter, wanted) in [
        ("Kunde KD 47110815", true, &everywhere, "refuse"),
        ("Kunde KD 47110816", true, &everywhere, "pass"),
        ("", false, &everywhere, "refuse"),
        ("", true, &everywhere, "pass"),
        ("Kunde KD 47110815", false, &said_only, "pass"),
        ("DE89 3704 0044 0532 0130 00", true, &detector, "refuse"),
        ("DE89 3704 0044 0532 0130 00", false, &usual, "pass"),
    ] {
        let evidence = evidence(read, whole);
        let context = Context {
            evidence: &evidence,
            ..Context::default()
        };
        assert_eq!(
            decided_with(filter, &context, with_file("a.txt")),
            wanted,
            "{read:?} {whole}"
        );
    }
    assert_eq!(
        decided(&everywhere, with_file("a.txt")),
        "refuse",
        "nobody looked into it"
    );
    assert_eq!(decided(&said_only, with_file("KD-4711-0815.txt")), "refuse");
    let allowing = filter_of(vec![
        Rule {
            values: Some(lists.values("KD-4711 0815")),
            action: RuleAction::Allow,
            ..refusing("values")
        },
        refusing("all"),
    ]);
    assert_eq!(
        decided(&allowing, with_file("a.txt")),
        "refuse",
        "not knowing opens nothing"
    );
    assert_eq!(decided(&allowing, said("KD-4711 0815")), "pass");
}

#[test]
fn lists_that_cannot_be_used_hold_everything_and_say_why() {
    let lists = Lists::new();
    let good = lists.values("KD-4711 0815");
    let compile = |rule: Rule| {
        let policy = Policy {
            rules: vec![rule],
            ..Policy::default()
        };
        (
            Filter::compile(policy.clone()).err().unwrap_or_default(),
            Filter::new(policy),
        )
    };
    let rule = |values: Values| Rule {
        values: Some(values),
        ..refusing("values")
    };
    let missing = Values {
        list_file: lists.folder().join("nothing"),
        ..good.clone()
    };
    let (errors, filter) = compile(rule(missing));
    assert!(
        matches!(
            &*errors,
            [PolicyError::List {
                condition: "values",
                ..
            }]
        ),
        "{errors:?}"
    );
    assert_eq!(decided(&filter, said("hello")), "hold");
    let fingerprints = |share| {
        let mut fingerprints = lists.documents(&["Ein Text mit genug Buchstaben für Abdrücke. ".repeat(3)], 0.3, 60);
        fingerprints.share = share;
        Rule {
            fingerprints: Some(fingerprints),
            ..refusing("documents")
        }
    };
    for share in [0.0, 1.1, f64::NAN] {
        assert_eq!(compile(fingerprints(share)).0.len(), 1, "{share}");
    }
    let masking = Rule {
        action: RuleAction::Mask,
        ..fingerprints(0.3)
    };
    let (errors, _) = compile(masking);
    assert!(matches!(&*errors, [PolicyError::Condition { .. }]), "{errors:?}");
    assert_eq!(compile(rule(good)).0, []);
}

#[test]
fn findings_name_the_sort_and_not_the_value() {
    let lists = Lists::new();
    let filter = filter_of(vec![Rule {
        values: Some(lists.values("KD-4711 0815")),
        ..refusing("values")
    }]);
    let decision = filter.decide(said("KD-4711 0815 und kd47110815"));
    assert_eq!(verdict(&decision), "refuse");
    let Decision::Refuse(refused) = &decision else {
        panic!("{decision:?}")
    };
    assert_eq!(
        (refused.findings[0].count, refused.findings[0].sorts.join(" ")),
        (2, "values".to_owned())
    );
    assert!(!format!("{decision:?}").contains("0815"));
}

#[test]
fn another_list_in_the_same_file_is_another_version_of_the_policy() {
    let lists = Lists::new();
    let version = |values: &str, text: &str| {
        let of_values = Rule {
            values: Some(lists.values(values)),
            ..refusing("values")
        };
        let of_documents = Rule {
            fingerprints: Some(lists.documents(&[text.repeat(40)], 0.3, 200)),
            ..refusing("documents")
        };
        filter_of(vec![of_values, of_documents]).lists()
    };
    let before = version("KD-4711 0815", "Die Welle hat 30 mm.");
    assert_eq!(before, version("KD-4711 0815", "Die Welle hat 30 mm."));
    let (values, documents) = (
        version("KD-4711 0816", "Die Welle hat 30 mm."),
        version("KD-4711 0815", "Die Welle hat 31 mm."),
    );
    assert!(before[0] != values[0] && before[1] == values[1]);
    assert!(before[0] == documents[0] && before[1] != documents[1]);
}
