//! What people are told, what they may demand, and how a partnership ends.
#![allow(missing_docs, clippy::unwrap_used, reason = "tests")]

mod common;

use std::sync::atomic::Ordering;

use common::partner::{DAY, TODAY, audit, hub, partnered};
use common::until;
use viaduct_audit::{Action, Reader, verify};
use viaduct_compliance::{AttachmentCondition, Policy, Rule, RuleAction};
use viaduct_engine::{NamedPolicy, Policies};
use viaduct_governance::{Certificate, PartnerName, Scope};
use viaduct_model::{Attachment, AttachmentKind, Content, MediaRef, Membership, Message, NetworkName, PersonId};
use viaduct_store::DeliveryFilter;

fn acme() -> PartnerName {
    PartnerName::new("acme").unwrap()
}

#[tokio::test(start_paused = true)]
async fn s15_s41_a_room_is_told_before_the_first_relay_and_whoever_joins_as_well() {
    let folder = tempfile::tempdir().unwrap();
    let (hub, _) = hub(folder.path(), partnered()).await;
    hub.sides[1].push(vec![hub.sides[1].message("c", "a")]).await;
    hub.home.wait_for(1).await;
    let told = hub.home.notices.lock().unwrap().clone();
    assert!(told[0].contains("Acme GmbH") && told[0].contains("Own AG"), "{told:?}");
    assert!(told[0].contains("Löschung") || told[0].contains("Gelöscht"), "{told:?}");
    let mut join = hub.home.message("!room", "$join");
    join.content = Content::Membership {
        person: join.sender.clone(),
        change: Membership::Join,
        reason: None,
    };
    hub.home.push(vec![join.clone()]).await;
    until(|| hub.home.notices.lock().unwrap().len() == 2).await;
    // Once is enough.
    hub.home.push(vec![join]).await;
    hub.home.push(vec![hub.home.message("!room", "$1")]).await;
    hub.sides[1].wait_for(1).await;
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    assert_eq!(hub.home.notices.lock().unwrap().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn what_is_due_is_deleted_unless_a_hold_covers_it() {
    let folder = tempfile::tempdir().unwrap();
    let (hub, clock) = hub(folder.path(), partnered()).await;
    let mut event = hub.sides[1].message("c", "old");
    event.at = viaduct_model::Timestamp(TODAY);
    hub.sides[1].push(vec![event]).await;
    hub.home.wait_for(1).await;
    hub.sides[0].wait_for(1).await;
    let scope = Scope {
        partner: Some(acme()),
        ..Scope::default()
    };
    let hold = hub.engine.place_hold(scope, "court", "@dpo:hs").await.unwrap();
    clock.0.store(TODAY + 40 * DAY, Ordering::SeqCst);
    // The lanes' last marks are written in the background.
    tokio::time::sleep(std::time::Duration::from_secs(5)).await;
    let report = hub.engine.retain().await.unwrap();
    assert_eq!((report.deleted.len(), report.held), (0, 1), "{report:?}");
    hub.engine.lift_hold(&hold.id, "closed", "@dpo:hs").await.unwrap();
    let report = hub.engine.retain().await.unwrap();
    assert_eq!(
        (report.deleted.values().sum::<u64>(), report.held),
        (1, 0),
        "{report:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_person_gets_all_of_their_data_and_may_have_it_erased() {
    let folder = tempfile::tempdir().unwrap();
    let (hub, _) = hub(folder.path(), partnered()).await;
    hub.sides[1].push(vec![hub.sides[1].message("c", "mine")]).await;
    hub.home.push(vec![hub.home.message("!room", "$theirs")]).await;
    hub.home.wait_for(1).await;
    hub.sides[0].wait_for(2).await;
    tokio::time::sleep(std::time::Duration::from_secs(5)).await;
    let ids = vec![(NetworkName::new("right").unwrap(), PersonId::new("ann").unwrap())];
    assert!(
        hub.engine.export_subject(ids.clone(), "@dpo:hs", " ").await.is_err(),
        "why?"
    );
    let export = hub
        .engine
        .export_subject(ids.clone(), "@dpo:hs", "letter")
        .await
        .unwrap();
    assert_eq!(export.journal.len(), 1);
    assert!(export.ledger.len() >= 2, "accepted and delivered: {:?}", export.ledger);
    let tally = hub.engine.erase_subject(ids, "@dpo:hs", "letter").await.unwrap();
    let line = |name: &str| tally.0.get(name).map_or(0, |line| line.deleted);
    assert_eq!((line("matrix"), line("left")), (1, 1), "{tally:?}");
    until(|| hub.home.texts().iter().any(|text| text.starts_with("delete:"))).await;
}

#[tokio::test(start_paused = true)]
async fn s26_s49_a_partnership_ends_with_everything_deleted_and_a_certificate() {
    let folder = tempfile::tempdir().unwrap();
    let (hub, _) = hub(folder.path(), partnered()).await;
    hub.sides[1].push(vec![hub.sides[1].message("c", "from acme")]).await;
    hub.home.push(vec![hub.home.message("!room", "$ours")]).await;
    hub.home.wait_for(1).await;
    hub.sides[1].wait_for(1).await;
    hub.sides[0].wait_for(2).await;
    tokio::time::sleep(std::time::Duration::from_secs(5)).await;
    let preview = hub.engine.preview_offboarding(&acme()).await.unwrap();
    assert!(preview.jobs.len() > 5, "{preview}");
    assert_eq!(hub.sides[1].texts().len(), 1, "a preview does nothing");
    let certificate: Certificate = hub.engine.offboard(&acme(), "@boss:hs").await.unwrap();
    let key = audit(folder.path()).signer.verifier();
    let text = Certificate::check(&certificate.english, &key).unwrap();
    assert!(text.contains("Acme GmbH") && text.contains("Network right"), "{text}");
    assert!(
        Certificate::check(&certificate.german, &key)
            .unwrap()
            .starts_with("Löschbescheinigung")
    );
    // What had been carried over is deleted on both sides, and the ghosts are gone.
    let deleted = |texts: Vec<String>| texts.iter().any(|text| text.starts_with("delete:"));
    assert!(deleted(hub.home.texts()) && deleted(hub.sides[1].texts()));
    assert!(hub.home.texts().iter().any(|text| text.starts_with("membership:")));
    // Nothing crosses any more, and a second call gives the same certificate.
    hub.sides[0].push(vec![hub.sides[0].message("c", "later")]).await;
    let before = hub.sides[1].texts().len();
    tokio::time::sleep(std::time::Duration::from_mins(3)).await;
    assert_eq!(hub.sides[1].texts().len(), before);
    assert_eq!(hub.engine.offboard(&acme(), "@boss:hs").await.unwrap(), certificate);
    hub.engine.stop().await.unwrap();
    assert!(verify(&audit(folder.path()).folder, &key, &[]).unwrap().is_good());
    let actions: Vec<Action> = Reader::open(&audit(folder.path()).folder, &key)
        .unwrap()
        .map(|record| record.unwrap().entry.action)
        .collect();
    assert!(actions.contains(&Action::KeyDestroyed), "{actions:?}");
}

fn file(name: &str, network: &str) -> Message {
    Message {
        attachments: vec![Attachment {
            media: MediaRef {
                network: NetworkName::new(network).unwrap(),
                locator: name.to_owned(),
            },
            name: name.to_owned(),
            mime: Some("image/png".to_owned()),
            size: Some(1),
            kind: AttachmentKind::File,
            dimensions: None,
            duration: None,
            spoiler: false,
        }],
        ..Message::plain("see the file")
    }
}

#[tokio::test]
async fn what_a_file_really_is_decides_and_exactly_those_bytes_cross() {
    let folder = tempfile::tempdir().unwrap();
    let mut wanted = partnered();
    let rule = Rule {
        name: "no-programs".to_owned(),
        attachments: Some(AttachmentCondition {
            types: vec!["application/x-executable".to_owned()],
            ..AttachmentCondition::default()
        }),
        action: RuleAction::Refuse,
        ..Rule::default()
    };
    wanted.mirrors[0].members[1].policies = Policies {
        inward: None,
        outward: Some(NamedPolicy {
            name: "files".to_owned(),
            policy: Policy {
                rules: vec![rule],
                ..Policy::default()
            },
        }),
    };
    let (hub, _) = hub(folder.path(), wanted).await;
    let left = &hub.sides[0];
    let mut elf = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x02\0\x3e\0".to_vec();
    elf.resize(128, 0);
    left.files.lock().unwrap().insert("evil.png".to_owned(), elf);
    left.files
        .lock()
        .unwrap()
        .insert("plan.png".to_owned(), b"plain words".to_vec());
    left.push(vec![
        left.event("c", "evil", Content::Message(file("evil.png", "left"))),
        left.event("c", "good", Content::Message(file("plan.png", "left"))),
    ])
    .await;
    hub.sides[1].wait_for(1).await;
    let delivered = hub.sides[1].delivered.lock().unwrap().clone();
    assert_eq!(delivered.len(), 1);
    let attachment = delivered[0].content.message().unwrap().attachments[0].clone();
    assert_eq!(attachment.size, Some(11), "the real size");
    let records = hub.engine.deliveries(&DeliveryFilter::default()).await.unwrap();
    assert_eq!(records.len(), 1);
    assert!(records[0].reason.starts_with("no-programs"), "{records:?}");
    // The file is exchanged at its source: what crosses are the bytes that were looked into, or none.
    left.files
        .lock()
        .unwrap()
        .insert("plan.png".to_owned(), b"other words".to_vec());
    let media = hub.sides[1].context().media.open(&attachment.media).await.unwrap();
    let bytes: Vec<u8> = futures_util::TryStreamExt::try_fold(media.stream, Vec::new(), |mut all, piece| async move {
        all.extend_from_slice(&piece);
        Ok(all)
    })
    .await
    .unwrap();
    assert_eq!(bytes, b"plain words");
    hub.engine.stop().await.unwrap();
}
