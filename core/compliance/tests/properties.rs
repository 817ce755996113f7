//! What holds for every policy and every event.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail like tests")]

mod common;

use common::{outbound, written};
use proptest::prelude::*;
use proptest::sample::select;
use viaduct_compliance::{
    Context, Decision, Detector, Dictionary, Filter, Policy, Rule, RuleAction, TextPart, decide_all,
};
use viaduct_model::{Content, Document, Inline, Message, MessageId, Outbound, arbitrary};

/// What policies look for, mixed with what they do not.
const PIECES: &[&str] = &[
    "Falke",
    "falke",
    "Adler",
    " ",
    " ",
    "\n",
    "ACME-1234",
    "DE89 3704 0044 0532 0130 00",
    "4111 1111 1111 1111",
    "DE89 3704",
    "0044 0532 0130 00",
    "hello",
    "Größe",
    "Fa\u{200b}lke",
    "Fаlke",
    "42",
    "e\u{301}",
    "password: Xk9$wq2LmP",
    "`",
    "*",
    "👩‍👩‍👧‍👦",
];

fn text() -> impl Strategy<Value = String> {
    proptest::collection::vec(select(PIECES), 0..8).prop_map(|pieces| pieces.concat())
}

/// A message of such texts, cut by markup in odd places.
fn event() -> impl Strategy<Value = Outbound> {
    let inline = (text(), 0_u8..5).prop_map(|(text, kind)| match kind {
        0 => Inline::Strong(vec![Inline::Text(text)]),
        1 => Inline::Code(text),
        2 => Inline::Link {
            url: text.clone(),
            content: vec![Inline::Text(text)],
        },
        3 => Inline::Spoiler {
            reason: Some(text.clone()),
            content: vec![Inline::Text(text)],
        },
        _ => Inline::Text(text),
    });
    let body = proptest::collection::vec(inline, 0..6)
        .prop_map(Document::paragraph)
        .boxed();
    let id = || MessageId::new("x").unwrap();
    prop_oneof![
        4 => body.clone().prop_map(written),
        1 => body.prop_map(move |body| {
            outbound(Content::Edit { target: id(), message: Message { body, ..Message::default() } })
        }),
        1 => text().prop_map(|topic| outbound(Content::Topic { topic })),
        1 => text().prop_map(|name| {
            let mut event = written(Document::plain("hello"));
            event.author.display = name;
            event
        }),
        1 => arbitrary::outbound(),
    ]
}

fn rule(actions: &'static [RuleAction]) -> impl Strategy<Value = Rule> {
    let words = Dictionary {
        terms: vec!["falke".to_owned()],
        near: Vec::new(),
        within: 80,
    };
    let near = Dictionary {
        terms: vec!["falke".to_owned()],
        near: vec!["adler".to_owned()],
        within: 8,
    };
    let looks = prop_oneof![
        select(&[Detector::Iban, Detector::Card, Detector::Secret][..]).prop_map(|detector| Rule {
            detectors: vec![detector],
            ..Rule::default()
        }),
        Just(Rule {
            words: Some(words),
            ..Rule::default()
        }),
        Just(Rule {
            words: Some(near),
            ..Rule::default()
        }),
        Just(Rule {
            patterns: vec![r"ACME-\d+".to_owned()],
            ..Rule::default()
        }),
        Just(Rule {
            patterns: vec!["Größe|hello".to_owned()],
            ..Rule::default()
        }),
    ];
    let part = select(&[None, Some(TextPart::Body), Some(TextPart::Topic), Some(TextPart::Link)][..]);
    let kind = select(&[None, Some("message"), Some("edit")][..]);
    (looks, part, kind, select(actions), 0_u32..3).prop_map(|(rule, part, kind, action, count)| Rule {
        name: "r".to_owned(),
        texts: part.into_iter().collect(),
        kinds: kind.into_iter().map(str::to_owned).collect(),
        min_count: (count > 1).then_some(count),
        action,
        ..rule
    })
}

const ANY: &[RuleAction] = &[
    RuleAction::Allow,
    RuleAction::Warn,
    RuleAction::Notify,
    RuleAction::Mask,
    RuleAction::Hold,
    RuleAction::Refuse,
];
const RESTRICTING: &[RuleAction] = &[RuleAction::Mask, RuleAction::Hold, RuleAction::Refuse];

/// A character as somebody writes it who wants it read by people and not by a filter.
fn disguised(character: char, trick: u8) -> String {
    let moved = |base: u32, first: char| char::from_u32(base + u32::from(character) - u32::from(first));
    let other = match (trick, character) {
        (0, '!'..='~') => moved(0xff01, '!'),
        (1, 'A'..='Z') => moved(0x1d400, 'A'),
        (1, 'a'..='z') => moved(0x1d41a, 'a'),
        (1, '0'..='9') => moved(0x1d7ce, '0'),
        (2, '0'..='9') => moved(0x660, '0'),
        (2, _) => {
            let alike = [
                ('A', 'А'),
                ('a', 'а'),
                ('C', 'С'),
                ('c', 'с'),
                ('E', 'Е'),
                ('e', 'е'),
                ('P', 'Р'),
                ('j', 'ј'),
            ];
            alike
                .iter()
                .find(|(latin, _)| *latin == character)
                .map(|(_, cyrillic)| *cyrillic)
        }
        (3, ' ') => Some('\u{2003}'),
        (3, '-') => Some('\u{2011}'),
        _ => None,
    };
    let character = other.unwrap_or(character);
    match trick {
        4 => format!("{character}\u{200b}"),
        5 => format!("\u{202d}{character}\u{202c}"),
        6 if character != ' ' && character != '-' => format!("{character}\u{336}"),
        7 => format!("{character}\u{ad}\u{2060}\u{fe0f}"),
        8 => format!("\u{0}{character}"),
        _ => character.to_string(),
    }
}

fn decide(rules: Vec<Rule>, event: &Outbound) -> Decision {
    Filter::compile(Policy {
        rules,
        ..Policy::default()
    })
    .unwrap()
    .decide(event.clone())
}

fn strictness(decision: &Decision) -> u8 {
    match decision {
        Decision::Pass { .. } => 0,
        Decision::Hold(_) => 1,
        Decision::Refuse(_) => 2,
    }
}

/// Everything that can be read in an event, character by character.
fn readable(event: &Outbound) -> String {
    serde_json::to_string(event).unwrap()
}

/// Whether `less` is `more` with characters blocked out or taken away.
fn is_part_of(less: &str, more: &str) -> bool {
    let mut rest = more.chars();
    less.chars()
        .filter(|character| *character != '█')
        .all(|wanted| rest.any(|character| character == wanted))
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn adding_a_restricting_rule_never_lets_more_through(
        rules in proptest::collection::vec(rule(ANY), 0..4),
        added in rule(RESTRICTING),
        at in 0_usize..5,
        event in event(),
    ) {
        let before = decide(rules.clone(), &event);
        let mut more = rules;
        more.insert(at.min(more.len()), added);
        let after = decide(more, &event);
        prop_assert!(strictness(&after) >= strictness(&before), "{:?} became {:?}", before, after);
        if let (Decision::Pass { outbound: one, .. }, Decision::Pass { outbound: two, .. }) = (&before, &after) {
            prop_assert!(is_part_of(&readable(two), &readable(one)), "{:?} became {:?}", one, two);
        }
    }

    #[test]
    fn adding_a_policy_never_lets_more_through(
        one in proptest::collection::vec(rule(ANY), 0..3),
        other in proptest::collection::vec(rule(ANY), 0..3),
        first in any::<bool>(),
        event in event(),
    ) {
        let filter = |rules| Filter::compile(Policy { rules, ..Policy::default() }).unwrap();
        let (one, other) = (filter(one), filter(other));
        let both = if first { [&other, &one] } else { [&one, &other] };
        let before = decide_all([&one], &Context::default(), event.clone());
        let after = decide_all(both, &Context::default(), event);
        prop_assert!(strictness(&after) >= strictness(&before), "{:?} became {:?}", before, after);
        if let (Decision::Pass { outbound: one, .. }, Decision::Pass { outbound: two, .. }) = (&before, &after) {
            prop_assert!(is_part_of(&readable(two), &readable(one)), "{:?} became {:?}", one, two);
        }
    }

    #[test]
    fn no_disguise_leads_around_a_rule(
        secret in select(&["Projekt Falke", "DE89 3704 0044 0532 0130 00", "4111 1111 1111 1111", "ACME-1234"][..]),
        tricks in proptest::collection::vec(0_u8..10, 32),
        styles in proptest::collection::vec(0_u8..6, 32),
    ) {
        let rules = vec![Rule {
            name: "r".to_owned(),
            detectors: vec![Detector::Iban, Detector::Card],
            ..Rule::default()
        }, Rule {
            name: "r".to_owned(),
            words: Some(Dictionary { terms: vec!["projekt falke".to_owned()], near: Vec::new(), within: 1 }),
            ..Rule::default()
        }, Rule {
            name: "r".to_owned(),
            patterns: vec![r"ACME-\d+".to_owned()],
            ..Rule::default()
        }];
        let mut inlines = Vec::new();
        for ((character, trick), style) in secret.chars().zip(tricks).zip(styles) {
            let text = Inline::Text(disguised(character, trick));
            inlines.push(match style {
                0 => Inline::Strong(vec![text]),
                1 => Inline::Spoiler { reason: None, content: vec![Inline::Emphasis(vec![text])] },
                2 => Inline::Link { url: "https://example.org".to_owned(), content: vec![text] },
                _ => text,
            });
        }
        let document = Document::paragraph(inlines);
        let decision = decide(rules, &written(document.clone()));
        prop_assert_eq!(strictness(&decision), 2, "{:?}", document.to_plain());
    }

    #[test]
    fn what_a_rule_masked_it_finds_no_more(
        rules in proptest::collection::vec(rule(&[RuleAction::Mask]), 1..4),
        event in event(),
    ) {
        let named = rules.into_iter().enumerate().map(|(number, rule)| Rule { name: number.to_string(), ..rule });
        let filter = Filter::compile(Policy { rules: named.collect(), ..Policy::default() }).unwrap();
        if let Decision::Pass { outbound, findings } = filter.decide(event) {
            // Another rule may find more now: masking a part of a word can leave a whole one.
            if let Decision::Pass { findings: again, .. } = filter.decide(outbound.into_inner()) {
                let twice = again.iter().find(|finding| findings.iter().any(|before| before.rule == finding.rule));
                prop_assert_eq!(twice, None);
            }
        }
    }

    #[test]
    fn any_event_is_decided(event in arbitrary::outbound()) {
        let rules = Detector::ALL.map(|detector| Rule {
            name: "d".to_owned(),
            detectors: vec![detector],
            patterns: vec!["[a-z]{3}".to_owned()],
            action: RuleAction::Mask,
            ..Rule::default()
        });
        let decision = decide(rules.to_vec(), &event);
        prop_assert!(strictness(&decision) <= 2);
    }

    #[test]
    fn a_policy_without_findings_changes_nothing(event in arbitrary::outbound()) {
        let rule = Rule {
            name: "r".to_owned(),
            words: Some(Dictionary { terms: vec!["does-not-occur".to_owned()], near: Vec::new(), within: 1 }),
            action: RuleAction::Mask,
            ..Rule::default()
        };
        match decide(vec![rule], &event) {
            Decision::Pass { outbound, .. } => prop_assert_eq!(outbound.into_inner(), event),
            other => prop_assert!(false, "{:?}", other),
        }
    }

    #[test]
    fn exactly_what_matched_is_masked(before in "[a-z ,.]{0,20}", after in "[a-zäöü ,.]{0,20}", cuts in proptest::collection::vec(1_usize..26, 0..4)) {
        let number = "DE89 3704 0044 0532 0130 00";
        let mut cuts: Vec<usize> = cuts;
        cuts.sort_unstable();
        cuts.dedup();
        let mut inlines = vec![Inline::Text(format!("{before} "))];
        let mut rest = number;
        let mut done = 0;
        for cut in cuts {
            let (head, tail) = rest.split_at(cut - done);
            inlines.push(Inline::Strong(vec![Inline::Text(head.to_owned())]));
            inlines.push(Inline::Text(String::new()));
            rest = tail;
            done = cut;
        }
        inlines.push(Inline::Text(rest.to_owned()));
        inlines.push(Inline::Text(format!(" {after}")));
        let rules = vec![Rule { name: "m".to_owned(), detectors: vec![Detector::Iban], action: RuleAction::Mask, ..Rule::default() }];
        match decide(rules, &written(Document::paragraph(inlines))) {
            Decision::Pass { outbound, .. } => prop_assert_eq!(
                outbound.content.message().unwrap().body.to_plain(),
                format!("{before} ████ ████ ████ ████ ████ ██ {after}")
            ),
            other => prop_assert!(false, "{:?}", other),
        }
    }
}
