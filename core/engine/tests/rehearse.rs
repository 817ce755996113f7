//! Policies tried on the journal: nothing is sent, and every match is named by its rule and sort of evidence.
#![allow(missing_docs, clippy::unwrap_used, reason = "tests")]

mod common;

use std::sync::Arc;

use common::{FakeSide, settings, start};
use viaduct_compliance::{Filter, Policy};
use viaduct_engine::rehearse::Wanted;
use viaduct_engine::{NamedPolicy, Policies};
use viaduct_model::{Attachment, AttachmentKind, Content, Lookup, MediaRef, Message, MessageId, MirrorName};
use viaduct_store::MemoryStore;

fn two() -> Vec<Arc<FakeSide>> {
    vec![
        FakeSide::new("left", Lookup::Queryable),
        FakeSide::new("right", Lookup::None),
    ]
}

fn policy() -> Policy {
    serde_json::from_value(serde_json::json!({ "rules": [
        { "name": "accounts", "detectors": ["iban"], "direction": "out", "action": "hold" },
        { "name": "words", "words": { "terms": ["secret"] }, "action": "refuse" },
    ]}))
    .unwrap()
}

const IBAN: &str = "DE89 3704 0044 0532 0130 00";

#[tokio::test(start_paused = true)]
async fn a_candidate_is_tried_on_what_was_said() {
    let hub = start(Arc::new(MemoryStore::new()), two(), settings(&two())).await;
    let left = &hub.sides[0];
    let edit = Content::Edit {
        target: MessageId::new("plain").unwrap(),
        message: Message::plain("a secret"),
    };
    left.push(vec![
        left.message("c", "plain"),
        left.message("c", IBAN),
        left.event("c", "edit", edit),
    ])
    .await;
    hub.home.wait_for(3).await;
    hub.sides[1].wait_for(3).await;
    let filter = Filter::compile(policy()).unwrap();
    let result = hub.engine.replay(&filter, &Wanted::default()).await.unwrap();
    // Three events, to the room and to the other channel; what comes in is no account number that goes out.
    assert_eq!(result.judged, 6);
    let count = |decision: &str| result.decisions.get(decision).copied().unwrap_or_default();
    assert_eq!((count("pass"), count("hold"), count("refuse")), (3, 1, 2), "{result:?}");
    assert_eq!(result.rules.get("words"), Some(&2));
    assert!(result.events.iter().all(|judged| judged.event.as_str() != "plain"));
    assert_eq!(hub.sides[1].texts().len(), 3, "nothing is sent");
    let other = Wanted {
        mirror: Some(MirrorName::new("other").unwrap()),
        ..Wanted::default()
    };
    assert_eq!(hub.engine.replay(&filter, &other).await.unwrap().judged, 0);
}

#[tokio::test(start_paused = true)]
async fn an_event_is_explained_by_its_id_at_the_source_and_at_a_destination() {
    let mut wanted = settings(&two());
    wanted.mirrors[0].members[1].policies = Policies {
        inward: None,
        outward: Some(NamedPolicy {
            name: "partner".to_owned(),
            policy: policy(),
        }),
    };
    let hub = start(Arc::new(MemoryStore::new()), two(), wanted).await;
    let said = Content::Message(Message::plain(IBAN));
    hub.sides[0].push(vec![hub.sides[0].event("c", "e1", said)]).await;
    hub.home.wait_for(1).await;
    let key = hub.home.delivered.lock().unwrap()[0].key.clone();
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    for id in ["e1".to_owned(), format!("matrix-{key}")] {
        let judged = hub.engine.explain(&MessageId::new(&id).unwrap()).await.unwrap();
        assert_eq!(judged.len(), 2, "{id}: {judged:?}");
        let held = judged
            .iter()
            .find(|judged| judged.to.network.as_str() == "right")
            .unwrap();
        assert_eq!(
            (held.decision.as_str(), held.rule.as_deref()),
            ("hold", Some("accounts"))
        );
        assert_eq!(held.findings[0].sorts, ["iban"]);
        assert!(held.policies[0].starts_with("partner@"));
        assert!(
            !format!("{judged:?}").contains("0532 0130"),
            "not what matched, but that it did"
        );
    }
    let unknown = hub.engine.explain(&MessageId::new("nothing").unwrap()).await.unwrap();
    assert!(unknown.is_empty());
}

#[tokio::test(start_paused = true)]
async fn labels_count_and_files_are_said_not_to_be_looked_into() {
    let mut wanted = settings(&two());
    wanted.mirrors[0].labels = vec!["internal".to_owned()];
    let hub = start(Arc::new(MemoryStore::new()), two(), wanted).await;
    let left = &hub.sides[0];
    let file = MediaRef {
        network: left.name.clone(),
        locator: "plan.pdf".to_owned(),
    };
    let mut message = Message::plain("the plan");
    message.attachments.push(Attachment {
        media: file,
        name: "plan.pdf".to_owned(),
        mime: None,
        size: None,
        kind: AttachmentKind::File,
        dimensions: None,
        duration: None,
        spoiler: false,
    });
    left.push(vec![left.event("c", "e1", Content::Message(message))]).await;
    hub.home.wait_for(1).await;
    let room = hub.engine.status().await.mirrors[0].room.clone().unwrap();
    hub.home.observer().labelled(&room, Some("vs-nfd")).await;
    let judged = hub.engine.explain(&MessageId::new("e1").unwrap()).await.unwrap();
    assert_eq!(judged.len(), 2, "{judged:?}");
    for judged in &judged {
        assert_eq!(
            (judged.labels.join(" ").as_str(), judged.files_unseen),
            ("internal vs-nfd", 1)
        );
        assert_eq!(
            judged.decision, "refuse",
            "what is classified crosses nowhere: {judged:?}"
        );
    }
    let filter = Filter::compile(Policy::default()).unwrap();
    let replayed = hub.engine.replay(&filter, &Wanted::default()).await.unwrap();
    assert_eq!((replayed.judged, replayed.files_unseen), (2, 2));
    assert_eq!(replayed.decisions.get("refuse"), Some(&2));
}
