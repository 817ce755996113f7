//! Adding a rule or a partner's policy never lets more through elsewhere: also where files, labels and people are concerned.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail like tests")]

mod common;

use common::outbound;
use proptest::prelude::*;
use proptest::sample::select;
use viaduct_compliance::{
    AttachmentCondition, Context, Decision, Evidence, Filter, Group, Member, Metadata, Mode, Policy, Rule, RuleAction,
    ScanResult, decide_all,
};
use viaduct_model::{Attachment, AttachmentKind, Content, MediaRef, Message, NetworkName, Outbound};

fn media(locator: String) -> MediaRef {
    MediaRef {
        network: NetworkName::new("inspected").unwrap(),
        locator,
    }
}

/// A message with files, and what is known about some of them.
fn event() -> impl Strategy<Value = (Outbound, Vec<Evidence>)> {
    let metadata = |number: usize| {
        select(vec![
            Metadata::Unknown,
            Metadata::Absent,
            Metadata::Removable {
                media: media(format!("clean {number}")),
                size: 5,
            },
        ])
    };
    let scan = select(
        &[
            ScanResult::Clean,
            ScanResult::Infected,
            ScanResult::Unavailable,
            ScanResult::Missing,
        ][..],
    );
    let kind = select(
        &[
            None,
            Some("image/png"),
            Some("application/zip"),
            Some("application/x-executable"),
        ][..],
    );
    let name = select(&["a.png", "b.zip", "c.exe"][..]);
    let file = (
        name,
        kind.clone(),
        kind,
        proptest::option::of(0_u32..3),
        scan,
        any::<bool>(),
    );
    let known = (0_usize..3).prop_flat_map(move |number| (file.clone(), metadata(number)));
    let text = select(&["hello", "", "Falke"][..]);
    (text, proptest::collection::vec(known, 0..3)).prop_map(|(text, files)| {
        let mut message = Message::plain(text);
        let mut all = Vec::new();
        for (number, ((name, claimed, sniffed, depth, scan, examined), metadata)) in files.into_iter().enumerate() {
            message.attachments.push(Attachment {
                media: media(format!("file {number}")),
                name: format!("{number}-{name}"),
                mime: claimed.map(str::to_owned),
                size: None,
                kind: AttachmentKind::File,
                dimensions: None,
                duration: None,
                spoiler: false,
            });
            if examined {
                all.push(Evidence {
                    attachment: number,
                    sniffed: sniffed.map(str::to_owned),
                    size: Some(10),
                    archive_depth: depth,
                    members: vec![Member {
                        name: "in/c.exe".to_owned(),
                        sniffed: Some("application/x-executable".to_owned()),
                    }],
                    metadata,
                    scan,
                    ..Evidence::default()
                });
            }
        }
        (outbound(Content::Message(message)), all)
    })
}

fn rule(actions: &'static [RuleAction]) -> impl Strategy<Value = Rule> {
    let strings = |all: &[&str]| all.iter().map(|text| (*text).to_owned()).collect::<Vec<String>>();
    let condition = select(vec![
        AttachmentCondition {
            names: strings(&["*.exe"]),
            ..AttachmentCondition::default()
        },
        AttachmentCondition {
            types: strings(&["image/*"]),
            ..AttachmentCondition::default()
        },
        AttachmentCondition {
            types_other_than: strings(&["image/*", "application/zip"]),
            ..AttachmentCondition::default()
        },
        AttachmentCondition {
            archive_deeper_than: Some(1),
            ..AttachmentCondition::default()
        },
        AttachmentCondition {
            metadata: true,
            ..AttachmentCondition::default()
        },
        AttachmentCondition {
            encrypted: true,
            ..AttachmentCondition::default()
        },
        AttachmentCondition {
            scan: vec![ScanResult::Unavailable],
            ..AttachmentCondition::default()
        },
    ]);
    let mode = select(&[Mode::Enforce, Mode::Enforce, Mode::Monitor][..]);
    (condition, select(actions), mode, any::<bool>()).prop_map(|(condition, action, mode, own)| Rule {
        name: "r".to_owned(),
        attachments: Some(condition),
        senders: if own { vec!["@anna:*".to_owned()] } else { Vec::new() },
        action,
        mode,
        ..Rule::default()
    })
}

const ANY: &[RuleAction] = &[
    RuleAction::Allow,
    RuleAction::Warn,
    RuleAction::StripMetadata,
    RuleAction::StripAttachment,
    RuleAction::Hold,
    RuleAction::Refuse,
];
const RESTRICTING: &[RuleAction] = &[
    RuleAction::StripMetadata,
    RuleAction::StripAttachment,
    RuleAction::Hold,
    RuleAction::Refuse,
];

/// A partner's policy, with people it admits.
fn policy() -> impl Strategy<Value = Policy> {
    let admit = select(&[None, Some("@anna:*"), Some("@bob:*")][..]);
    (proptest::collection::vec(rule(ANY), 0..4), admit).prop_map(|(rules, admit)| Policy {
        rules,
        groups: admit
            .map(|people| {
                let group = Group {
                    people: vec![people.to_owned()],
                    ..Group::default()
                };
                ("admitted".to_owned(), group)
            })
            .into_iter()
            .collect(),
        admit: admit.map(|_| vec!["admitted".to_owned()]),
        ..Policy::default()
    })
}

fn strictness(decision: &Decision) -> u8 {
    match decision {
        Decision::Pass { .. } => 0,
        Decision::Hold(_) => 1,
        Decision::Refuse(_) => 2,
    }
}

/// Whether everything of `after` was in `before`, as it was there or with less in it.
fn is_less(after: &Outbound, before: &Outbound) -> bool {
    let (after, before) = (after.content.message().unwrap(), before.content.message().unwrap());
    after.body == before.body
        && after.attachments.iter().all(|file| {
            let same = before.attachments.iter().find(|other| other.name == file.name);
            same.is_some_and(|other| other.media == file.media || file.media.locator.starts_with("clean"))
        })
}

fn compile(policy: Policy) -> Filter {
    Filter::compile(policy).unwrap()
}

fn check(before: &Decision, after: &Decision) -> Result<(), TestCaseError> {
    prop_assert!(
        strictness(after) >= strictness(before),
        "{:?} became {:?}",
        before,
        after
    );
    if let (Decision::Pass { outbound: one, .. }, Decision::Pass { outbound: two, .. }) = (before, after) {
        prop_assert!(is_less(two, one), "{:?} became {:?}", one, two);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn adding_a_partners_policy_never_lets_more_through(
        policies in proptest::collection::vec(policy(), 0..3),
        added in policy(),
        at in 0_usize..4,
        (event, evidence) in event(),
    ) {
        let context = Context { evidence: &evidence, ..Context::default() };
        let mut filters: Vec<Filter> = policies.into_iter().map(compile).collect();
        let before = decide_all(&filters, &context, event.clone());
        filters.insert(at.min(filters.len()), compile(added));
        check(&before, &decide_all(&filters, &context, event))?;
    }

    #[test]
    fn adding_a_restricting_rule_never_lets_more_through(
        policy in policy(),
        added in rule(RESTRICTING),
        at in 0_usize..5,
        (event, evidence) in event(),
    ) {
        let context = Context { evidence: &evidence, ..Context::default() };
        let before = decide_all([&compile(policy.clone())], &context, event.clone());
        let mut more = policy;
        more.rules.insert(at.min(more.rules.len()), added);
        check(&before, &decide_all([&compile(more)], &context, event))?;
    }
}
