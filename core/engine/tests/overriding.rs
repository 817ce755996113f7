//! A sender sends all the same what a rule stopped, where every rule that stopped it allows that; and what the labels of a
//! room keep back, whatever its rules say.
#![allow(missing_docs, clippy::unwrap_used, reason = "tests")]

mod common;

use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::Duration;

use common::partner::{DAY, TODAY, audit, hub, partnered};
use common::{Hub, until};
use viaduct_audit::{Action, Entry, Reader};
use viaduct_bridge::Outcome;
use viaduct_compliance::{Policy, Release};
use viaduct_engine::{NamedPolicy, Policies, Settings};
use viaduct_governance::Held;
use viaduct_model::{Content, Message, PersonId};
use viaduct_store::{DeliveryFilter, DeliveryState};

const ANNA: &str = "@anna:hs";
const REASON: &str = "the customer asked for it";

fn entries(folder: &Path) -> Vec<Entry> {
    let key = audit(folder).signer.verifier();
    let reader = Reader::open(&audit(folder).folder, &key).unwrap();
    reader.map(|record| record.unwrap().entry).collect()
}

/// With a rule that lets its senders decide, and one that does not.
fn overridable() -> Settings {
    let mut wanted = partnered();
    let rules = serde_json::json!([
        { "name": "numbers", "patterns": ["secret"], "action": "refuse", "override": "justified" },
        { "name": "drafts", "patterns": ["draft"], "action": "hold", "override": "justified" },
        { "name": "never", "patterns": ["never"], "action": "refuse" },
    ]);
    wanted.mirrors[0].members[1].policies = Policies {
        inward: None,
        outward: Some(NamedPolicy {
            name: "partner".to_owned(),
            policy: Policy {
                rules: serde_json::from_value(rules).unwrap(),
                ..Policy::default()
            },
        }),
    };
    wanted
}

async fn says(hub: &Hub, id: &str, text: &str) {
    says_in(hub, "!room", id, text).await;
}

async fn says_in(hub: &Hub, room: &str, id: &str, text: &str) {
    let mut event = hub.home.message(room, id);
    event.sender.id = PersonId::new(ANNA).unwrap();
    event.content = Content::Message(Message::plain(text));
    hub.home.push(vec![event]).await;
}

async fn held(hub: &Hub, count: usize) -> Vec<Held> {
    for _ in 0..10_000 {
        let held = hub.engine.held().await.unwrap();
        if held.len() == count {
            return held;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    hub.engine.held().await.unwrap()
}

/// Says something to the bot, in the room; its answer.
async fn command(hub: &Hub, sender: &str, text: &str) -> String {
    hub.home.observer().command("!room", sender, text, "$command").await;
    hub.home.notices.lock().unwrap().last().cloned().unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_sender_is_told_how_and_sends_it_all_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let (hub, _) = hub(folder.path(), overridable()).await;
    says(&hub, "$1", "our secret").await;
    let waiting = held(&hub, 1).await;
    let (id, number) = (waiting[0].id.clone(), waiting[0].id.number());
    assert_eq!(
        (waiting[0].release, waiting[0].rule.as_str()),
        (Release::Sender, "numbers")
    );
    let offered = |notice: &String| notice.contains(&format!("!viaduct anyway {number} REASON"));
    until(|| hub.home.notices.lock().unwrap().iter().any(offered)).await;
    let offer = hub
        .home
        .notices
        .lock()
        .unwrap()
        .iter()
        .find(|notice| offered(notice))
        .cloned();
    assert!(!offer.unwrap().contains("secret"), "what matched is not repeated");
    until(|| !hub.home.feedback.lock().unwrap().is_empty()).await;
    assert!(matches!(
        hub.home.feedback.lock().unwrap()[0].outcome,
        Outcome::Refused(_)
    ));

    // Only the sender, only with a reason, only under this number; and no second person instead.
    let good = format!("!viaduct anyway {number} {REASON}");
    assert!(
        command(&hub, "@bert:hs", &good)
            .await
            .starts_with("No message of yours")
    );
    assert!(
        command(&hub, ANNA, &format!("!viaduct anyway {number} urgent"))
            .await
            .contains("at least 10")
    );
    assert!(
        command(&hub, ANNA, "!viaduct trotzdem 5 weil es sein muss")
            .await
            .starts_with("Unter dieser Nummer")
    );
    assert!(hub.engine.release_held(&id, "@second:hs", "fine by me").await.is_err());
    tokio::time::sleep(Duration::from_mins(2)).await;
    assert!(hub.sides[1].texts().is_empty(), "nothing crossed");

    assert!(command(&hub, ANNA, &good).await.starts_with("Your message goes on"));
    assert_eq!(hub.sides[1].wait_for(1).await, ["our secret"]);
    assert!(held(&hub, 0).await.is_empty());
    // What was shown as refused is shown as delivered, and its sender reads that it arrived.
    until(|| hub.home.feedback.lock().unwrap().len() == 2).await;
    assert_eq!(hub.home.feedback.lock().unwrap()[1].outcome, Outcome::Delivered);
    let arrived = |notice: &String| notice.contains("Acme GmbH was released and delivered");
    until(|| hub.home.notices.lock().unwrap().iter().any(arrived)).await;
    assert!(
        command(&hub, ANNA, &good).await.starts_with("No message of yours"),
        "once"
    );
    assert!(
        hub.engine
            .deliveries(&DeliveryFilter::default())
            .await
            .unwrap()
            .is_empty()
    );
    hub.engine.stop().await.unwrap();

    let all = entries(folder.path());
    let one = |action: Action| {
        let found: Vec<&Entry> = all
            .iter()
            .filter(|entry| entry.action == action && entry.partner.as_deref() == Some("acme"))
            .collect();
        assert_eq!(found.len(), 1, "{action:?}: {found:?}");
        found[0].clone()
    };
    let (kept, released) = (one(Action::Held), one(Action::Released));
    assert_eq!(released.rule.as_deref(), Some("numbers"));
    assert_eq!(released.reason.as_deref(), Some(REASON));
    assert!(
        released.actor.is_some() && released.actor == kept.actor,
        "the sender approved it"
    );
    assert_eq!(released.findings.get("numbers"), Some(&1));
}

#[tokio::test(start_paused = true)]
async fn where_another_rule_stops_it_nothing_is_offered_and_nothing_crosses() {
    let folder = tempfile::tempdir().unwrap();
    let (hub, _) = hub(folder.path(), overridable()).await;
    says(&hub, "$1", "never a secret").await;
    until(|| !hub.home.feedback.lock().unwrap().is_empty()).await;
    hub.sides[0].wait_for(1).await;
    let records = hub.engine.deliveries(&DeliveryFilter::default()).await.unwrap();
    assert_eq!((records.len(), records[0].state), (1, DeliveryState::Refused));
    assert!(hub.engine.held().await.unwrap().is_empty());

    // A rule that came since counts: what its sender let go is refused after all.
    says(&hub, "$2", "our secret").await;
    let number = held(&hub, 1).await[0].id.number();
    let mut stricter = overridable();
    let outward = stricter.mirrors[0].members[1].policies.outward.as_mut().unwrap();
    outward.policy.rules[2].patterns = vec!["our".to_owned()];
    hub.engine.reload(stricter).await.unwrap();
    command(&hub, ANNA, &format!("trotzdem {number} {REASON}")).await;
    assert!(held(&hub, 0).await.is_empty());
    assert!(hub.sides[1].texts().is_empty());
    assert!(
        !hub.home
            .notices
            .lock()
            .unwrap()
            .iter()
            .any(|notice| notice.contains("secret"))
    );
}

#[tokio::test(start_paused = true)]
async fn what_a_rule_holds_either_may_let_go_and_time_rejects() {
    let folder = tempfile::tempdir().unwrap();
    let (hub, clock) = hub(folder.path(), overridable()).await;
    says(&hub, "$1", "draft one").await;
    says(&hub, "$2", "draft two").await;
    says(&hub, "$3", "a secret").await;
    let waiting = held(&hub, 3).await;
    assert!(
        waiting[..2]
            .iter()
            .all(|held| held.release == Release::SecondPersonOrSender)
    );
    hub.engine
        .release_held(&waiting[0].id, "@second:hs", "fine")
        .await
        .unwrap();
    assert_eq!(hub.sides[1].wait_for(1).await, ["draft one"]);
    command(
        &hub,
        ANNA,
        &format!("!viaduct trotzdem {} {REASON}", waiting[1].id.number()),
    )
    .await;
    assert_eq!(hub.sides[1].wait_for(2).await, ["draft one", "draft two"]);
    clock.0.store(TODAY + 3 * DAY, Ordering::SeqCst);
    tokio::time::sleep(Duration::from_mins(2)).await;
    assert!(held(&hub, 0).await.is_empty());
    let late = command(
        &hub,
        ANNA,
        &format!("!viaduct anyway {} {REASON}", waiting[2].id.number()),
    )
    .await;
    assert!(late.starts_with("No message of yours"), "{late}");
    assert_eq!(hub.sides[1].texts().len(), 2);
    hub.engine.stop().await.unwrap();
    let rejected = entries(folder.path())
        .into_iter()
        .filter(|entry| entry.action == Action::Rejected);
    assert_eq!(rejected.count(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_rooms_label_counts_as_soon_as_it_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let (hub, _) = hub(folder.path(), partnered()).await;
    let room = hub.engine.status().await.mirrors[0].room.clone().unwrap();
    let observer = hub.home.observer();
    says(&hub, "$1", "one").await;
    assert_eq!(hub.sides[1].wait_for(1).await, ["one"], "without a label");
    observer.labelled(&room, Some("internal")).await;
    says(&hub, "$2", "two").await;
    assert_eq!(hub.sides[1].wait_for(2).await, ["one", "two"], "under the ceiling");
    for (id, label) in [("$3", "confidential"), ("$4", "VS-NfD"), ("$5", "unheard of")] {
        observer.labelled(&room, Some(label)).await;
        says(&hub, id, label).await;
        hub.sides[0].wait_for(2).await;
        until(|| {
            hub.home
                .feedback
                .lock()
                .unwrap()
                .iter()
                .any(|told| told.id.as_str() == id)
        })
        .await;
    }
    assert_eq!(hub.sides[1].texts(), ["one", "two"]);
    // What is classified goes nowhere, not even to networks of the own organisation.
    assert!(!hub.sides[0].texts().contains(&"VS-NfD".to_owned()));
    // An upgraded room keeps its label until it has another.
    observer.labelled(&room, Some("vs-nfd")).await;
    observer.upgraded(&room, "!new").await;
    says_in(&hub, "!new", "$6", "six").await;
    until(|| {
        hub.home
            .feedback
            .lock()
            .unwrap()
            .iter()
            .any(|told| told.id.as_str() == "$6")
    })
    .await;
    observer.labelled("!new", None).await;
    says_in(&hub, "!new", "$7", "seven").await;
    assert_eq!(hub.sides[1].wait_for(3).await, ["one", "two", "seven"]);
}

#[tokio::test(start_paused = true)]
async fn a_label_that_a_room_has_already_is_read_before_anything_crosses() {
    let folder = tempfile::tempdir().unwrap();
    let home = common::FakeSide::new("matrix", viaduct_model::Lookup::Idempotent);
    *home.label.lock().unwrap() = Some("VS - NfD".to_owned());
    let store = std::sync::Arc::new(viaduct_store::MemoryStore::new());
    let (sides, clock) = (
        common::partner::two(),
        std::sync::Arc::new(common::TestClock::default()),
    );
    clock.0.store(TODAY, Ordering::SeqCst);
    let ledger = Some(audit(folder.path()));
    let hub = common::start_at_home(home, store, sides, partnered(), ledger, clock).await;
    hub.sides[0].push(vec![hub.sides[0].message("c", "a")]).await;
    until(|| !hub.sides[0].feedback.lock().unwrap().is_empty()).await;
    until(|| hub.sides[0].feedback.lock().unwrap().len() == 2).await;
    assert!(hub.sides[1].texts().is_empty() && hub.home.texts().is_empty());
}
