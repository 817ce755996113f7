//! What a policy does about files.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail like tests")]

mod common;

use common::{decided, decided_with, filter, outbound, said};
use viaduct_compliance::{Context, Decision, Evidence, ScanResult, sniff};
use viaduct_model::{Attachment, AttachmentKind, Content, MediaRef, Message, NetworkName, Outbound};

fn with_file(name: &str, mime: Option<&str>, size: Option<u64>) -> Outbound {
    let attachment = Attachment {
        media: MediaRef {
            network: NetworkName::matrix(),
            locator: "mxc://x/y".to_owned(),
        },
        name: name.to_owned(),
        mime: mime.map(str::to_owned),
        size,
        kind: AttachmentKind::File,
        dimensions: None,
        duration: None,
        spoiler: false,
    };
    outbound(Content::Message(Message {
        attachments: vec![attachment],
        ..Message::default()
    }))
}

#[test]
fn files_are_judged_by_name_size_type_and_evidence() {
    let filter = filter(
        r#"
        rules:
          - { name: programs, attachments: { names: ["*.exe", "*.js"] }, action: refuse }
          - { name: large, attachments: { larger_than: 1000 }, action: hold }
          - { name: infected, attachments: { scan: [infected] }, action: refuse }
          - { name: only pictures, direction: out, attachments: { types_other_than: ["image/*"] }, action: refuse }
          - { name: disguised, attachments: { disguised: true }, action: refuse }
          - { name: bombs, attachments: { archive_deeper_than: 1 }, action: hold }
        "#,
    );
    let known = |sniffed: Option<&str>, scan: ScanResult| Evidence {
        sniffed: sniffed.map(str::to_owned),
        archive_depth: Some(0),
        size: Some(10),
        scan,
        ..Evidence::default()
    };
    let decide = |evidence: Option<Evidence>, event: Outbound| {
        let evidence: Vec<Evidence> = evidence.into_iter().collect();
        decided_with(
            &filter,
            &Context {
                evidence: &evidence,
                ..Context::default()
            },
            event,
        )
    };
    let png = || with_file("a.png", Some("image/png"), Some(10));
    assert_eq!(decide(Some(known(Some("image/png"), ScanResult::Clean)), png()), "pass");
    assert_eq!(
        decide(Some(known(Some("image/png"), ScanResult::Infected)), png()),
        "refuse"
    );
    assert_eq!(
        decide(Some(known(Some("application/x-executable"), ScanResult::Clean)), png()),
        "refuse"
    );
    assert_eq!(decide(None, png()), "refuse", "nobody looked whether it is disguised");
    let deep = Evidence {
        archive_depth: Some(2),
        ..known(Some("image/png"), ScanResult::Clean)
    };
    assert_eq!(decide(Some(deep), png()), "hold");
    let evidence = || Some(known(Some("image/png"), ScanResult::Clean));
    assert_eq!(
        decide(evidence(), with_file("a.EXE", Some("image/png"), Some(10))),
        "refuse"
    );
    assert_eq!(
        decide(
            evidence(),
            with_file("a\u{200b}.e\u{445}e ", Some("image/png"), Some(10))
        ),
        "refuse"
    );
    assert_eq!(
        decide(evidence(), with_file("a.pdf", Some("application/pdf"), Some(10))),
        "refuse"
    );
    assert_eq!(decide(evidence(), said("no file")), "pass");
}

#[test]
fn an_unscanned_file_is_held_where_a_scan_is_asked_for() {
    let filter =
        filter("rules: [{ name: scan, attachments: { scan: [infected, unavailable, missing] }, action: hold }]");
    assert_eq!(decided(&filter, with_file("a.png", None, None)), "hold");
    let clean = [Evidence {
        scan: ScanResult::Clean,
        ..Evidence::default()
    }];
    let context = Context {
        evidence: &clean,
        ..Context::default()
    };
    assert_eq!(decided_with(&filter, &context, with_file("a.png", None, None)), "pass");
}

#[test]
fn stripping_takes_only_the_file() {
    let filter = filter("rules: [{ name: s, attachments: { names: ['*.exe'] }, action: strip_attachment }]");
    let mut event = with_file("a.exe", None, None);
    assert_eq!(decided(&filter, event.clone()), "refuse", "nothing is left");
    if let Content::Message(message) = &mut event.content {
        message.body = viaduct_model::Document::plain("look");
        message.attachments.push(Attachment {
            name: "b.txt".to_owned(),
            ..message.attachments[0].clone()
        });
    }
    match filter.decide(event) {
        Decision::Pass { outbound, .. } => {
            let names: Vec<_> = outbound
                .content
                .message()
                .unwrap()
                .attachments
                .iter()
                .map(|a| a.name.clone())
                .collect();
            assert_eq!(names, ["b.txt"]);
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn files_are_recognised_by_their_bytes() {
    assert_eq!(sniff(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"), Some("image/png"));
    assert_eq!(
        sniff(b"MZ\x90\0"),
        Some("application/vnd.microsoft.portable-executable")
    );
    assert_eq!(sniff(b""), None);
}
