//! What of a channel crosses is switched by channel, kind and direction.
#![allow(missing_docs, clippy::unwrap_used, reason = "tests")]

mod common;

use std::sync::Arc;

use common::partner::two;
use common::{FakeSide, settings, start, until};
use viaduct_compliance::Policy;
use viaduct_engine::{NamedPolicy, Policies};
use viaduct_model::{
    Attachment, AttachmentKind, Content, Event, EventKind, MediaRef, Membership, Message, MessageId, Outbound, Reaction,
};
use viaduct_store::MemoryStore;

/// Everything that can be switched off, by the rule that does it, and what of it would be seen at a destination.
const SWITCHES: [(&str, &str); 5] = [
    (r#"{"kinds": ["edit"], "action": "refuse"}"#, "edit"),
    (r#"{"kinds": ["reaction"], "action": "refuse"}"#, "reaction"),
    (
        r#"{"attachments": {"names": ["*"]}, "action": "strip_attachment"}"#,
        "file",
    ),
    (r#"{"kinds": ["typing"], "action": "refuse"}"#, "typing"),
    (r#"{"kinds": ["membership"], "action": "refuse"}"#, "membership"),
];
const ALL: [&str; 6] = ["edit", "file", "membership", "message", "reaction", "typing"];

fn everything(side: &FakeSide) -> Vec<Event> {
    let target = || MessageId::new("m1").unwrap();
    let mut file = Message::plain("see");
    file.attachments = vec![Attachment {
        media: MediaRef {
            network: side.name.clone(),
            locator: "plan".to_owned(),
        },
        name: "plan.txt".to_owned(),
        mime: Some("text/plain".to_owned()),
        size: Some(10),
        kind: AttachmentKind::File,
        dimensions: None,
        duration: None,
        spoiler: false,
    }];
    side.files
        .lock()
        .unwrap()
        .insert("plan".to_owned(), b"plain text".to_vec());
    let join = Content::Membership {
        person: side.message("c", "j").sender,
        change: Membership::Join,
        reason: None,
    };
    let contents = [
        ("m1", Content::Message(Message::plain("first"))),
        ("f1", Content::Message(file)),
        (
            "e1",
            Content::Edit {
                target: target(),
                message: Message::plain("second"),
            },
        ),
        (
            "r1",
            Content::React {
                target: target(),
                reaction: Reaction {
                    key: "👍".to_owned(),
                    image: None,
                },
            },
        ),
        ("j1", join),
        ("t1", Content::Typing { active: true }),
    ];
    contents
        .into_iter()
        .map(|(id, content)| side.event("c", id, content))
        .collect()
}

/// What arrived, by kind; a message with a file is a file.
fn seen(side: &FakeSide) -> Vec<&'static str> {
    let name = |outbound: &Outbound| match outbound.content.kind() {
        EventKind::Message
            if outbound
                .content
                .message()
                .is_some_and(|said| !said.attachments.is_empty()) =>
        {
            "file"
        }
        kind => kind.as_str(),
    };
    let mut seen: Vec<_> = side.delivered.lock().unwrap().iter().map(name).collect();
    seen.sort_unstable();
    seen.dedup();
    seen
}

/// Which kinds arrive at `left` and `right` and in the room when the rule stands at `right` in one direction and everything is
/// said at `from`.
async fn arriving(rule: &str, outward: bool, from: usize) -> Vec<(String, Vec<&'static str>)> {
    let mut wanted = settings(&two());
    let mut rule: serde_json::Value = serde_json::from_str(rule).unwrap();
    rule["name"] = "switch".into();
    let policy = Some(NamedPolicy {
        name: "switches".to_owned(),
        policy: Policy {
            rules: vec![serde_json::from_value(rule).unwrap()],
            ..Policy::default()
        },
    });
    let (inward, outward) = if outward { (None, policy) } else { (policy, None) };
    wanted.mirrors[0].members[1].policies = Policies { inward, outward };
    let hub = start(Arc::new(MemoryStore::new()), two(), wanted).await;
    let sides: Vec<&Arc<FakeSide>> = hub.sides.iter().chain([&hub.home]).collect();
    until(|| hub.sides.iter().all(|side| *side.runs.lock().unwrap() == 1)).await;
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    hub.sides[from].push(everything(&hub.sides[from])).await;
    // Nothing else is under way once all that can come has come.
    tokio::time::sleep(std::time::Duration::from_secs(30)).await;
    let told = |side: &&Arc<FakeSide>| side.name.as_str() != hub.sides[from].name.as_str();
    sides
        .into_iter()
        .filter(told)
        .map(|side| (side.name.to_string(), seen(side)))
        .collect()
}

#[tokio::test(start_paused = true)]
async fn edits_reactions_files_typing_and_presence_are_switched_by_channel_and_direction() {
    for (rule, kind) in SWITCHES {
        let without: Vec<_> = ALL.into_iter().filter(|known| known != &kind).collect();
        // To one channel: the others have it all the same.
        let found = arriving(rule, true, 0).await;
        assert_eq!(
            found,
            [
                ("right".to_owned(), without.clone()),
                ("matrix".to_owned(), ALL.to_vec())
            ],
            "{rule}"
        );
        // From that channel: nobody has it.
        let found = arriving(rule, false, 1).await;
        assert_eq!(
            found,
            [("left".to_owned(), without.clone()), ("matrix".to_owned(), without)],
            "{rule}"
        );
        // The other direction of the same channel is not concerned.
        let found = arriving(rule, true, 1).await;
        assert_eq!(
            found,
            [("left".to_owned(), ALL.to_vec()), ("matrix".to_owned(), ALL.to_vec())],
            "{rule}"
        );
    }
}
