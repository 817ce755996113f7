//! What crosses only under an agreement, and what a second person has to release.
#![allow(missing_docs, clippy::unwrap_used, reason = "tests")]

mod common;

use std::path::Path;
use std::sync::atomic::Ordering;

use common::partner::{DAY, TODAY, audit, hub, partnered};
use common::until;
use viaduct_audit::{Action, Reader};
use viaduct_bridge::Outcome;
use viaduct_compliance::{Policy, Rule};
use viaduct_engine::{NamedPolicy, Policies, Settings};
use viaduct_governance::{Day, PartnerName};
use viaduct_model::{Content, Message};
use viaduct_store::{DeliveryFilter, DeliveryState};

fn actions(folder: &Path) -> Vec<Action> {
    let key = audit(folder).signer.verifier();
    Reader::open(&audit(folder).folder, &key)
        .unwrap()
        .map(|record| record.unwrap().entry.action)
        .collect()
}

#[tokio::test(start_paused = true)]
async fn s35_a_channel_without_an_agreement_gets_and_gives_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mut wanted = partnered();
    wanted.partners.clear();
    let (hub, _) = hub(folder.path(), wanted.clone()).await;
    hub.sides[0].push(vec![hub.sides[0].message("c", "a")]).await;
    assert_eq!(hub.home.wait_for(1).await, ["a"], "the own networks talk to each other");
    hub.sides[1].push(vec![hub.sides[1].message("c", "b")]).await;
    tokio::time::sleep(std::time::Duration::from_mins(5)).await;
    assert!(hub.sides[1].texts().is_empty());
    assert_eq!(hub.home.texts(), ["a"]);
    // Nothing was dropped: with an agreement it goes on.
    hub.engine.reload(partnered()).await.unwrap();
    assert_eq!(hub.sides[1].wait_for(1).await, ["a"]);
    assert_eq!(hub.home.wait_for(2).await, ["a", "b"]);
}

#[tokio::test(start_paused = true)]
async fn s38_only_those_the_agreement_names_may_speak() {
    let folder = tempfile::tempdir().unwrap();
    let (hub, _) = hub(folder.path(), partnered()).await;
    let mut stranger = hub.sides[1].message("c", "hello");
    stranger.sender.id = viaduct_model::PersonId::new("mallory").unwrap();
    hub.sides[1]
        .push(vec![stranger, hub.sides[1].message("c", "from ann")])
        .await;
    assert_eq!(hub.home.wait_for(1).await, ["from ann"]);
    let records = hub.engine.deliveries(&DeliveryFilter::default()).await.unwrap();
    assert!(
        records.iter().all(|record| record.state == DeliveryState::Refused),
        "{records:?}"
    );
    assert_eq!(records.len(), 2, "neither to the room nor to the own network");
}

#[tokio::test(start_paused = true)]
async fn s47_an_agreement_warns_ends_and_goes_on_when_renewed() {
    let folder = tempfile::tempdir().unwrap();
    let mut wanted = partnered();
    wanted.operators = Some(wanted.mirrors[0].room.clone());
    let (hub, clock) = hub(folder.path(), wanted).await;
    hub.sides[0].push(vec![hub.sides[0].message("c", "a")]).await;
    assert_eq!(hub.sides[1].wait_for(1).await, ["a"]);
    let says = |text: &'static str| {
        let home = hub.home.clone();
        async move { until(|| home.notices.lock().unwrap().iter().any(|notice| notice.contains(text))).await }
    };
    says("within 30 days").await;
    clock.0.store(TODAY + 28 * DAY, Ordering::SeqCst);
    tokio::time::sleep(std::time::Duration::from_mins(2)).await;
    says("within 7 days").await;
    clock.0.store(TODAY + 30 * DAY, Ordering::SeqCst);
    tokio::time::sleep(std::time::Duration::from_mins(2)).await;
    says("nothing is exchanged any more").await;
    says("Own AG").await;
    hub.sides[0].push(vec![hub.sides[0].message("c", "b")]).await;
    tokio::time::sleep(std::time::Duration::from_mins(2)).await;
    assert_eq!(hub.sides[1].texts(), ["a"]);
    let name = PartnerName::new("acme").unwrap();
    let last = Day::parse("2026-12-31").unwrap();
    hub.engine.renew_partner(&name, last, "@boss:hs").await.unwrap();
    assert_eq!(hub.sides[1].wait_for(2).await, ["a", "b"]);
    hub.engine.suspend_partner(&name, "audit", "@boss:hs").await.unwrap();
    hub.sides[0].push(vec![hub.sides[0].message("c", "c")]).await;
    tokio::time::sleep(std::time::Duration::from_mins(2)).await;
    assert_eq!(hub.sides[1].texts(), ["a", "b"]);
    hub.engine.resume_partner(&name, "@boss:hs").await.unwrap();
    assert_eq!(hub.sides[1].wait_for(3).await, ["a", "b", "c"]);
    hub.engine.stop().await.unwrap();
    let agreed = actions(folder.path());
    assert!(
        agreed.iter().filter(|action| **action == Action::Notified).count() >= 3,
        "{agreed:?}"
    );
    assert!(agreed.iter().filter(|action| **action == Action::Agreement).count() >= 4);
}

fn holding() -> Settings {
    let mut wanted = partnered();
    let rule: Rule = serde_json::from_value(serde_json::json!({
        "name": "numbers", "patterns": ["secret"], "action": "hold", "author": "@author:hs",
    }))
    .unwrap();
    wanted.mirrors[0].members[1].policies = Policies {
        inward: None,
        outward: Some(NamedPolicy {
            name: "partner".to_owned(),
            policy: Policy {
                rules: vec![rule],
                ..Policy::default()
            },
        }),
    };
    wanted
}

#[tokio::test(start_paused = true)]
async fn what_is_held_waits_for_a_second_person_and_keeps_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let (hub, _) = hub(folder.path(), holding()).await;
    let left = &hub.sides[0];
    left.push(vec![left.message("c", "secret"), left.message("c", "open")])
        .await;
    assert_eq!(hub.sides[1].wait_for(1).await, ["open"]);
    // What refers to it waits behind it.
    let edit = Content::Edit {
        target: viaduct_model::MessageId::new("secret").unwrap(),
        message: Message::plain("better"),
    };
    left.push(vec![left.event("c", "e", edit)]).await;
    until(|| {
        left.feedback
            .lock()
            .unwrap()
            .iter()
            .any(|told| matches!(told.outcome, Outcome::Held(_)))
    })
    .await;
    hub.home.wait_for(3).await;
    let mut held = hub.engine.held().await.unwrap();
    for _ in 0..1000 {
        if held.len() == 2 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        held = hub.engine.held().await.unwrap();
    }
    assert_eq!(held.len(), 2, "{held:?}");
    let id = held[0].id.clone();
    for (by, reason) in [("ann", "ok"), ("@author:hs", "ok"), ("@second:hs", " ")] {
        assert!(hub.engine.release_held(&id, by, reason).await.is_err(), "{by} {reason}");
    }
    let (_, shown) = hub.engine.show_held(&id, "@second:hs", "review").await.unwrap();
    assert_eq!(shown.content.message().unwrap().body.to_plain(), "secret");
    hub.engine.release_held(&id, "@second:hs", "harmless").await.unwrap();
    assert_eq!(hub.sides[1].wait_for(3).await[1], "secret");
    until(|| hub.sides[1].texts()[2].starts_with("edit:right-")).await;
    assert!(hub.engine.held().await.unwrap().is_empty());
    assert!(
        hub.engine
            .deliveries(&DeliveryFilter::default())
            .await
            .unwrap()
            .is_empty()
    );
    hub.engine.stop().await.unwrap();
    let seen = actions(folder.path());
    for action in [Action::Held, Action::Released, Action::Unmasked] {
        assert!(seen.contains(&action), "{action:?}: {seen:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_sender_is_told_what_a_policy_did_and_never_what_it_found() {
    let folder = tempfile::tempdir().unwrap();
    let mut wanted = holding();
    let policy = wanted.mirrors[0].members[1].policies.outward.as_mut().unwrap();
    policy.policy.rules[0].action = viaduct_compliance::RuleAction::Mask;
    let (hub, _) = hub(folder.path(), wanted).await;
    let mut event = hub.home.message("!room", "$1");
    event.content = Content::Message(Message::plain("our secret"));
    hub.home.push(vec![event]).await;
    hub.sides[1].wait_for(1).await;
    let advice = |notices: &Vec<String>| notices.iter().find(|notice| notice.contains("unreadable")).cloned();
    until(|| advice(&hub.home.notices.lock().unwrap()).is_some()).await;
    let said = advice(&hub.home.notices.lock().unwrap()).unwrap();
    assert!(
        said.contains("Acme GmbH") && said.contains("numbers") && !said.contains("secret"),
        "{said}"
    );
}

#[tokio::test(start_paused = true)]
async fn what_nobody_releases_is_rejected() {
    let folder = tempfile::tempdir().unwrap();
    let (hub, clock) = hub(folder.path(), holding()).await;
    let left = &hub.sides[0];
    left.push(vec![left.message("c", "secret"), left.message("c", "my secret")])
        .await;
    hub.home.wait_for(2).await;
    until(|| left.feedback.lock().unwrap().len() == 2).await;
    let mut held = hub.engine.held().await.unwrap();
    while held.len() < 2 {
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        held = hub.engine.held().await.unwrap();
    }
    assert_eq!(
        hub.engine.reject_held(&held[0].id, "@second:hs", "no").await.unwrap(),
        1
    );
    clock.0.store(TODAY + 3 * DAY, Ordering::SeqCst);
    tokio::time::sleep(std::time::Duration::from_mins(2)).await;
    assert!(hub.engine.held().await.unwrap().is_empty());
    let refused = |told: &&viaduct_bridge::Feedback| matches!(told.outcome, Outcome::Refused(_));
    until(|| left.feedback.lock().unwrap().iter().filter(refused).count() == 2).await;
    assert!(hub.sides[1].texts().is_empty());
    hub.engine.stop().await.unwrap();
    assert_eq!(
        actions(folder.path())
            .iter()
            .filter(|action| **action == Action::Rejected)
            .count(),
        2
    );
}
