//! What each part of a policy does.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail like tests")]

mod common;

use common::{decided, decided_with, filter, outbound, passed, policy, said, verdict};
use viaduct_compliance::ExampleOutcome::{AsExpected, DoesNotMatch, Matches, Missing};
use viaduct_compliance::{Approval, Context, Decision, Filter, Policy, RuleAction};
use viaduct_model::{ChannelId, Content, MessageId, NetworkName, PersonId, Place, Reaction, Timestamp};

#[test]
fn an_empty_policy_passes_everything_unchanged() {
    let event = said("DE89 3704 0044 0532 0130 00");
    match Filter::default().decide(event.clone()) {
        Decision::Pass { outbound, findings } => {
            assert_eq!(outbound.into_inner(), event);
            assert_eq!(findings, []);
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn rules_match_by_sender_network_kind_and_direction() {
    let filter = filter(
        r#"
        rules:
          - { name: mallory, senders: ["@mallory:*"], action: refuse }
          - { name: no topics, kinds: [topic], direction: out, to: [acme-slack], action: hold }
        "#,
    );
    assert_eq!(decided(&filter, said("hello")), "pass");
    assert_eq!(
        decided(&filter, outbound(Content::Topic { topic: "x".to_owned() })),
        "hold"
    );
    let mut event = said("hello");
    event.author.person.id = PersonId::new("@mallory:example.org").unwrap();
    assert_eq!(decided(&filter, event), "refuse");
    let mut event = outbound(Content::Topic { topic: "x".to_owned() });
    event.to.network = NetworkName::matrix();
    assert_eq!(decided(&filter, event), "pass");
}

#[test]
fn the_strictest_rule_wins_and_allow_ends_the_list() {
    let strict = filter(
        r"
        rules:
          - { name: a, words: { terms: [falke] }, action: hold }
          - { name: b, words: { terms: [falke] }, action: refuse }
          - { name: c, words: { terms: [falke] }, action: mask }
        ",
    );
    assert_eq!(decided(&strict, said("Falke")), "refuse");
    let open = filter(
        r#"
        rules:
          - { name: press, senders: ["@anna:*"], action: allow }
          - { name: b, words: { terms: [falke] }, action: refuse }
        "#,
    );
    assert_eq!(decided(&open, said("Falke")), "pass");
}

#[test]
fn monitoring_reports_and_lets_pass() {
    for yaml in [
        "mode: monitor\nrules: [{ name: a, detectors: [iban], action: refuse }]",
        "rules: [{ name: a, mode: monitor, detectors: [iban], action: refuse }]",
    ] {
        match filter(yaml).decide(said("DE89 3704 0044 0532 0130 00 und DE89370400440532013000")) {
            Decision::Pass { findings, .. } => {
                assert_eq!(findings.len(), 1);
                assert_eq!((findings[0].count, findings[0].action), (2, RuleAction::Refuse));
                assert_eq!(findings[0].sorts, ["iban"]);
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_broken_policy_holds_everything() {
    let broken = policy("rules: [{ name: a, patterns: ['('], action: refuse }]");
    assert!(Filter::compile(broken.clone()).is_err());
    assert_eq!(decided(&Filter::new(broken), said("hello")), "hold");
}

#[test]
fn an_unknown_condition_is_an_error() {
    let unknown = serde_norway::from_str::<Policy>("rules: [{ name: a, sender: ['x'], action: refuse }]");
    assert!(unknown.is_err());
}

#[test]
fn masking_changes_the_findings_and_nothing_else() {
    let filter = filter("rules: [{ name: a, detectors: [iban], action: mask }]");
    assert_eq!(
        passed(&filter, said("Bitte 5 € auf DE89 3704 0044 0532 0130 00 – Größe 42")),
        "Bitte 5 € auf ████ ████ ████ ████ ████ ██ – Größe 42"
    );
    let reaction = Content::React {
        target: MessageId::new("x").unwrap(),
        reaction: Reaction {
            key: "DE89370400440532013000".to_owned(),
            image: None,
        },
    };
    assert_eq!(
        decided(&filter, outbound(reaction)),
        "refuse",
        "a reaction cannot be masked"
    );
}

#[test]
fn a_count_can_be_asked_for() {
    let filter = filter("rules: [{ name: a, detectors: [card], min_count: 2, action: refuse }]");
    assert_eq!(decided(&filter, said("Karte 4111 1111 1111 1111")), "pass");
    assert_eq!(
        decided(&filter, said("Karten 4111 1111 1111 1111 und 5555555555554444")),
        "refuse"
    );
}

#[test]
fn words_match_whole_near_and_open() {
    let filter = filter(
        r#"
        rules:
          - { name: a, words: { terms: [Gehalt*, "top secret"], near: [Liste, spreadsheet], within: 30 }, action: refuse }
        "#,
    );
    assert_eq!(decided(&filter, said("Die Gehaltstabelle ist in der Liste")), "refuse");
    assert_eq!(decided(&filter, said("the spreadsheet is TOP SECRET")), "refuse");
    assert_eq!(decided(&filter, said("Das Gehalt kommt")), "pass", "nothing near");
    assert_eq!(
        decided(&filter, said("Ungehalten, sagt die Liste")),
        "pass",
        "not the beginning of a word"
    );
    assert_eq!(
        decided(&filter, said(&format!("Gehalt {} Liste", "x ".repeat(40)))),
        "pass",
        "too far"
    );
}

#[test]
fn umlauts_and_case_make_no_difference_to_words() {
    let filter = filter("rules: [{ name: a, words: { terms: [Vergütung, проект] }, action: refuse }]");
    for text in [
        "VERGÜTUNG",
        "verguetung",
        "Vergu\u{308}tung",
        "vergutung",
        "ПРОЕКТ",
        "Проект",
    ] {
        assert_eq!(decided(&filter, said(text)), "refuse", "{text}");
    }
}

#[test]
fn own_patterns_see_letters_as_they_are() {
    let filter = filter(r"rules: [{ name: a, patterns: ['Größe \d+', '(?i)acme-[0-9]{4}'], action: refuse }]");
    assert_eq!(decided(&filter, said("Größe 42")), "refuse");
    assert_eq!(decided(&filter, said("AСME-1234")), "refuse", "with a Cyrillic letter");
    assert_eq!(decided(&filter, said("Grosse 42")), "pass");
}

#[test]
fn classified_labels_never_cross_and_ceilings_count() {
    for label in ["vs-nfd", "VS-NfD", "vs nfd", "VS – Nur für den Dienstgebrauch"] {
        let labels = [label.to_owned()];
        let context = Context {
            labels: &labels,
            ..Context::default()
        };
        assert_eq!(
            decided_with(&Filter::default(), &context, said("x")),
            "refuse",
            "{label}"
        );
    }
    let filter = filter(
        r#"
        labels: [public, internal, confidential]
        ceiling: internal
        rules:
          - { name: marks, words: { terms: [vertraulich] }, action: label, label: confidential }
          - { name: classified, words: { terms: ["nur für den dienstgebrauch", "vs-nfd"] }, action: label, label: vs-nfd }
        "#,
    );
    let with = |labels: &[&str], text: &str| {
        let labels: Vec<String> = labels.iter().map(|label| (*label).to_owned()).collect();
        decided_with(
            &filter,
            &Context {
                labels: &labels,
                ..Context::default()
            },
            said(text),
        )
    };
    assert_eq!(with(&["internal"], "x"), "pass");
    assert_eq!(with(&["confidential"], "x"), "refuse");
    assert_eq!(with(&["unheard-of"], "x"), "refuse");
    assert_eq!(with(&[], "streng vertraulich"), "refuse");
    assert_eq!(with(&[], "VS–NfD: Lageplan"), "refuse");
}

#[test]
fn who_is_not_admitted_is_refused() {
    let filter = filter(
        r#"
        groups:
          ours: { organisations: [example.org] }
          guests: { people: ["*@partner.example"] }
        admit: [ours, guests]
        rules: [{ name: all, action: allow }]
        "#,
    );
    assert_eq!(decided(&filter, said("x")), "pass");
    let mut stranger = said("x");
    stranger.author.person.organisation = None;
    assert_eq!(decided(&filter, stranger.clone()), "refuse", "no rule can allow it");
    stranger.author.person.id = PersonId::new("bert@partner.example").unwrap();
    assert_eq!(decided(&filter, stranger), "pass");
}

#[test]
fn barriers_stand_in_both_directions() {
    let filter = filter(
        r#"
        groups:
          trading: { people: ["@anna:*"], places: ["matrix/!trading*"] }
          research: { networks: [acme-slack] }
        barriers: [{ name: wall, between: [research], and: [trading] }]
        "#,
    );
    assert_eq!(decided(&filter, said("x")), "refuse");
    let mut other = said("x");
    other.author.person.id = PersonId::new("@bert:example.org").unwrap();
    assert_eq!(decided(&filter, other), "pass");
    let place =
        |network: &str, channel: &str| Place::new(NetworkName::new(network).unwrap(), ChannelId::new(channel).unwrap());
    assert_eq!(
        filter.barrier_between(&place("acme-slack", "C1"), &place("matrix", "!trading:x")),
        Some("wall")
    );
    assert_eq!(
        filter.barrier_between(&place("acme-slack", "C1"), &place("matrix", "!lunch:x")),
        None
    );
}

#[test]
fn a_rule_holds_for_its_time_and_not_knowing_the_time_opens_nothing() {
    let filter = filter(
        r#"
        rules:
          - { name: fair, valid_from: "2026-03-01", valid_until: "2026-03-03", kinds: [message], action: allow }
          - { name: closed, action: refuse }
        "#,
    );
    let at = |day: u64| Some(Timestamp::from_secs(1_772_323_200 + day * 86_400 + 3_600));
    for (now, wanted) in [(at(0), "pass"), (at(2), "pass"), (at(3), "refuse"), (None, "refuse")] {
        assert_eq!(
            decided_with(
                &filter,
                &Context {
                    now,
                    ..Context::default()
                },
                said("x")
            ),
            wanted,
            "{now:?}"
        );
    }
}

#[test]
fn warnings_and_notes_travel_with_the_findings() {
    let filter = filter(
        r#"
        rules:
          - { name: w, words: { terms: [intern] }, action: warn, reason: "Bitte keine internen Themen." }
          - { name: n, words: { terms: [intern] }, action: notify }
        "#,
    );
    match filter.decide(said("rein intern")) {
        Decision::Pass { findings, .. } => {
            assert_eq!(findings[0].notice.as_deref(), Some("Bitte keine internen Themen."));
            assert_eq!(findings[1].action, RuleAction::Notify);
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_second_person_releases_and_nobody_else() {
    let filter = filter(
        r#"
        rules:
          - { name: h, author: "@carla:example.org", words: { terms: [falke] }, action: hold }
          - { name: m, detectors: [iban], action: mask }
        "#,
    );
    let event = || said("Falke DE89370400440532013000");
    assert_eq!(decided(&filter, event()), "hold");
    let release =
        |approver: &str, reason: &str| filter.release(&Context::default(), event(), &Approval { approver, reason });
    assert_eq!(verdict(&release("@anna:example.org", "mine")), "hold", "the sender");
    assert_eq!(
        verdict(&release("@carla:example.org", "mine")),
        "hold",
        "the author of the rule"
    );
    assert_eq!(verdict(&release("@dora:example.org", " ")), "hold", "no reason");
    match release("@dora:example.org", "agreed with the partner") {
        Decision::Pass { outbound, findings } => {
            assert_eq!(
                outbound.content.message().unwrap().body.to_plain(),
                "Falke ██████████████████████"
            );
            assert_eq!(findings.len(), 2, "what was released is still recorded");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn too_much_text_is_held() {
    let filter = filter("rules: [{ name: a, detectors: [iban], action: notify }]");
    assert_eq!(decided(&filter, said(&"word ".repeat(300_000))), "hold");
}

#[test]
fn rules_carry_their_own_tests() {
    let policy = policy(
        r#"
        rules:
          - name: ibans
            detectors: [iban]
            senders: ["@anna:*"]
            action: refuse
            examples:
              match: [DE89 3704 0044 0532 0130 00, { text: DE89370400440532013000, sender: "@anna:example.org" }]
              pass: [DE89 3704, { text: DE89370400440532013000, sender: "@bert:example.org" }]
          - name: wrong
            words: { terms: [falke] }
            action: refuse
            examples: { match: [adler], pass: [falke] }
          - { name: untested, words: { terms: [x1] }, action: refuse }
          - name: programs
            attachments: { names: ["*.exe"] }
            action: refuse
            examples: { match: [{ file: { name: setup.exe } }], pass: [{ file: { name: a.txt } }] }
        "#,
    );
    let results = policy.test().unwrap();
    let outcomes: Vec<_> = results
        .iter()
        .map(|result| (result.rule.as_str(), result.outcome.clone()))
        .collect();
    assert_eq!(
        outcomes,
        [
            ("ibans", AsExpected),
            ("ibans", AsExpected),
            ("ibans", AsExpected),
            ("ibans", AsExpected),
            ("wrong", DoesNotMatch),
            ("wrong", Matches),
            ("untested", Missing),
            ("programs", AsExpected),
            ("programs", AsExpected),
        ]
    );
}

#[test]
fn policy_lists_refuse_people_servers_and_rooms() {
    use std::sync::Arc;

    use viaduct_compliance::{EntityKind, ListRule, PolicyList, decide_all};

    let list = |rules: &[(EntityKind, &str)]| {
        let rules = rules.iter().map(|(kind, entity)| {
            let rule = ListRule {
                entity: Some((*entity).to_owned()),
                recommendation: Some("m.ban".to_owned()),
            };
            (*kind, rule)
        });
        Filter::of_list(Arc::new(PolicyList::new(rules)))
    };
    let from = |network: &str, id: &str, organisation: Option<&str>| {
        let mut outbound = said("hello");
        outbound.author.person.network = viaduct_model::NetworkName::new(network).unwrap();
        outbound.author.person.id = viaduct_model::PersonId::new(id).unwrap();
        outbound.author.person.organisation = organisation.map(str::to_owned);
        outbound
    };
    let server = list(&[
        (EntityKind::Server, "*.evil.example"),
        (EntityKind::Server, "bad.example"),
    ]);
    for (network, id, organisation, wanted) in [
        ("matrix", "@a:x.evil.example", None, "refuse"),
        ("matrix", "@a:x.evil.example:8448", None, "refuse"),
        ("matrix", "@a:X.Evil.example", None, "refuse"),
        ("matrix", "@a:evil.example", None, "pass"),
        ("matrix", "@evil.example:good.example", None, "pass"),
        ("acme-xmpp", "bob@bad.example/phone", None, "refuse"),
        ("acme-slack", "U1", Some("bad.example"), "refuse"),
        ("acme-slack", "U1", Some("good.example"), "pass"),
    ] {
        assert_eq!(
            decided(&server, from(network, id, organisation)),
            wanted,
            "{network} {id} {organisation:?}"
        );
    }
    let user = list(&[(EntityKind::User, "@anna:*")]);
    assert_eq!(decided(&user, said("hello")), "refuse");
    let mut joined = from("matrix", "@bert:example.org", None);
    let person = said("").author.person;
    joined.content = Content::Membership {
        person,
        change: viaduct_model::Membership::Join,
        reason: None,
    };
    assert_eq!(decided(&user, joined), "refuse", "whoever it is about");
    let room = list(&[(EntityKind::Room, "!room:example.org")]);
    assert_eq!(decided(&room, said("hello")), "refuse");
    let allow = filter("rules: [{ name: all, action: allow }]");
    let decision = decide_all([&allow, &user], &Context::default(), said("hello"));
    assert_eq!(common::verdict(&decision), "refuse", "no rule of a policy allows it");
    let full = (0..3000).map(|number| format!("@x{number}*")).collect::<Vec<_>>();
    let full: Vec<_> = full.iter().map(|entity| (EntityKind::User, entity.as_str())).collect();
    assert_eq!(decided(&list(&full), said("hello")), "hold");
}

#[test]
fn s37_a_label_that_asks_for_encryption_is_refused_in_a_room_that_is_not_encrypted() {
    let filter = filter("{ labels: [public, internal, confidential], encrypted_from: internal }");
    let with = |label: &str, encrypted: bool| {
        let labels = [label.to_owned()];
        let context = Context {
            labels: &labels,
            encrypted,
            ..Context::default()
        };
        decided_with(&filter, &context, said("x"))
    };
    for (label, in_the_clear) in [
        ("public", "pass"),
        ("internal", "refuse"),
        ("confidential", "refuse"),
        // What nobody knows asks for everything.
        ("secret", "refuse"),
    ] {
        assert_eq!(with(label, false), in_the_clear, "{label}");
        assert_eq!(with(label, true), "pass", "{label}, encrypted");
    }
    assert_eq!(decided(&filter, said("x")), "pass", "without a label");
    let unknown = Filter::compile(policy("{ labels: [public], encrypted_from: internal }"));
    assert!(unknown.is_err_and(|problems| problems[0].to_string().contains("encrypted_from")));
}
