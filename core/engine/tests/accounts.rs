//! What people are told again and say they have read, what senders call wrong, and what the hub gives account of.
#![allow(missing_docs, clippy::unwrap_used, reason = "tests")]

mod common;

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use common::partner::{DAY, TODAY, audit, hub, partnered, two};
use common::{FakeSide, Hub, TestClock, start_at_home, until};
use viaduct_audit::{Action, Reader};
use viaduct_compliance::Policy;
use viaduct_engine::{NamedPolicy, Policies, Settings};
use viaduct_governance::{Day, Disputed, HitOutcome, Month, PartnerName, PartnerReport};
use viaduct_model::{Content, Language, Lookup, Message, PersonId, Timestamp};
use viaduct_store::{MemoryStore, Store};

const ANNA: &str = "@anna:hs";

fn acme() -> PartnerName {
    PartnerName::new("acme").unwrap()
}

async fn says(hub: &Hub, id: &str, text: &str) {
    let mut event = hub.home.message("!room", id);
    event.sender.id = PersonId::new(ANNA).unwrap();
    event.content = Content::Message(Message::plain(text));
    hub.home.push(vec![event]).await;
}

fn notices(hub: &Hub) -> Vec<String> {
    hub.home.notices.lock().unwrap().clone()
}

/// Says something to the bot, in the room; its answer.
async fn command(hub: &Hub, sender: &str, text: &str) -> String {
    hub.home.observer().command("!room", sender, text, "$command").await;
    notices(hub).last().cloned().unwrap()
}

/// With rules to the partner: one refuses a word, one masks another, one refuses a kind.
fn ruled() -> Settings {
    let mut wanted = partnered();
    let rules = serde_json::json!([
        { "name": "numbers", "patterns": ["secret"], "action": "refuse" },
        { "name": "hide", "patterns": ["hidden"], "action": "mask" },
        { "name": "topics", "kinds": ["topic"], "action": "refuse" },
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

/// The number by which the sender may call the rule wrong, once they were told.
async fn number(hub: &Hub, rule: &str) -> u32 {
    let offer = format!("Is the rule {rule} wrong here?");
    until(|| notices(hub).iter().any(|notice| notice.contains(&offer))).await;
    let told = notices(hub).into_iter().find(|notice| notice.contains(&offer)).unwrap();
    let (_, rest) = told.split_once("!viaduct false-alarm ").unwrap();
    rest.split_once('.').unwrap().0.parse().unwrap()
}

/// What the ledger has, once it has so many disputes.
async fn disputed(hub: &Hub, rules: usize) -> Vec<Disputed> {
    let mut found = Vec::new();
    for _ in 0..10_000 {
        found = hub.engine.disputed(Timestamp(0)).await.unwrap();
        if found.len() == rules {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
    }
    found
}

#[tokio::test]
async fn a_sender_calls_a_rule_wrong_once_and_the_compliance_side_sees_it() {
    let folder = tempfile::tempdir().unwrap();
    let (hub, _) = hub(folder.path(), ruled()).await;
    says(&hub, "$1", "our secret").await;
    let refused = number(&hub, "numbers").await;
    says(&hub, "$2", "is hidden").await;
    assert_eq!(hub.sides[1].wait_for(1).await, ["is ██████"]);
    let masked = number(&hub, "hide").await;
    let told = notices(&hub);
    let of_mask: Vec<_> = told.iter().filter(|notice| notice.contains("(rule hide)")).collect();
    assert!(
        of_mask.len() == 1 && of_mask[0].contains("false-alarm"),
        "in one notice: {told:?}"
    );
    // What a rule stops because of its kind is no finding that could be wrong.
    let topic = hub.home.event(
        "!room",
        "$3",
        Content::Topic {
            topic: "new".to_owned(),
        },
    );
    hub.home.push(vec![topic]).await;
    until(|| hub.home.feedback.lock().unwrap().len() == 2).await;

    let good = format!("!viaduct false-alarm {refused} this was our secret");
    assert!(
        command(&hub, "@bert:hs", &good)
            .await
            .starts_with("You were told of no finding")
    );
    assert!(
        command(&hub, ANNA, "!viaduct fehlalarm 1")
            .await
            .starts_with("Unter dieser Nummer")
    );
    assert!(disputed(&hub, 0).await.is_empty());
    let thanks = command(&hub, ANNA, &good).await;
    assert_eq!(
        thanks,
        "Thank you; Office (dpo@example.org) looks into whether the rule numbers is too strict."
    );
    assert!(command(&hub, ANNA, &good).await.starts_with("You have said so"));
    assert!(
        command(&hub, ANNA, &format!("fehlalarm {masked}"))
            .await
            .starts_with("Danke; Office")
    );

    let found = disputed(&hub, 2).await;
    let told: Vec<_> = found.iter().map(|rule| (rule.rule.as_str(), rule.count)).collect();
    assert_eq!(told, [("hide", 1), ("numbers", 1)]);
    assert_eq!(found[1].events[0].as_str(), "$1");
    let report = hub
        .engine
        .partner_report(&acme(), Month::parse("2026-06").unwrap())
        .await
        .unwrap();
    assert_eq!(report.disputed["numbers"], 1);
    hub.engine.stop().await.unwrap();
    let key = audit(folder.path()).signer.verifier();
    let entries = Reader::open(&audit(folder.path()).folder, &key).unwrap();
    let entries: Vec<_> = entries.map(|record| record.unwrap().entry).collect();
    let one = |action| {
        entries
            .iter()
            .find(|entry| entry.action == action && entry.to.is_some())
            .unwrap()
    };
    assert_eq!(one(Action::Disputed).actor, one(Action::Refused).actor, "a pseudonym");
    let all = format!("{entries:?}{:?}", notices(&hub));
    assert!(
        !all.contains("secret") && !all.contains(ANNA),
        "neither content nor names"
    );
    assert!(!notices(&hub).iter().any(|notice| notice.contains("topics")));
}

/// A hub at a time, with a homeserver and a ledger of its own: the one before still holds its own.
async fn at(folder: &std::path::Path, store: &Arc<dyn Store>, settings: Settings, now: u64) -> (Hub, Arc<TestClock>) {
    let clock = Arc::new(TestClock::default());
    clock.0.store(now, Ordering::SeqCst);
    let home = FakeSide::new("matrix", Lookup::Idempotent);
    let ledger = Some(audit(&folder.join(now.to_string())));
    let hub = start_at_home(home, store.clone(), two(), settings, ledger, clock.clone()).await;
    (hub, clock)
}

#[tokio::test(start_paused = true)]
async fn rooms_are_told_again_after_so_many_days_and_a_restart_repeats_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let mut wanted = partnered();
    wanted.partners.get_mut(&acme()).unwrap().notice.every_days = NonZeroU32::new(7);
    let (hub, clock) = at(folder.path(), &store, wanted.clone(), TODAY).await;
    for (number, (day, told)) in [(0, 1), (6, 1), (7, 2), (13, 2), (14, 3)].into_iter().enumerate() {
        clock.0.store(TODAY + day * DAY, Ordering::SeqCst);
        says(&hub, &format!("${number}"), "x").await;
        hub.sides[1].wait_for(number + 1).await;
        assert_eq!(notices(&hub).len(), told, "on day {day}");
    }
    drop(hub);
    for (number, (day, told)) in [(20, 0), (21, 1)].into_iter().enumerate() {
        let (hub, _) = at(folder.path(), &store, wanted.clone(), TODAY + day * DAY).await;
        says(&hub, &format!("$again{number}"), "x").await;
        hub.sides[1].wait_for(1).await;
        assert_eq!(notices(&hub).len(), told, "on day {day}, by another run");
    }
}

#[tokio::test(start_paused = true)]
async fn whoever_writes_to_somebody_for_the_first_time_is_told_first() {
    let folder = tempfile::tempdir().unwrap();
    let mut wanted = partnered();
    wanted.mirrors.clear();
    let (hub, _) = hub(folder.path(), wanted).await;
    let right = &hub.sides[1];
    for id in ["d1", "d2"] {
        let mut event = right.message("dm", id);
        event.direct_to = Some(ANNA.to_owned());
        right.push(vec![event]).await;
    }
    hub.home.wait_for(2).await;
    let told = notices(&hub);
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(
        told[0].contains("Acme GmbH") && told[0].contains("!viaduct gelesen"),
        "{told:?}"
    );
}

async fn report(hub: &Hub, delivered: u64) -> PartnerReport {
    let month = Month::parse("2026-06").unwrap();
    for _ in 0..10_000 {
        let report = hub.engine.partner_report(&acme(), month).await.unwrap();
        if report.volumes.iter().map(|volume| volume.delivered).sum::<u64>() >= delivered {
            return report;
        }
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
    }
    hub.engine.partner_report(&acme(), month).await.unwrap()
}

#[tokio::test]
async fn a_month_with_a_partner_is_reported_and_who_read_the_notice_is_a_number() {
    let folder = tempfile::tempdir().unwrap();
    let (hub, _) = hub(folder.path(), ruled()).await;
    says(&hub, "$1", "good morning").await;
    says(&hub, "$2", "is hidden").await;
    says(&hub, "$3", "secret").await;
    hub.sides[1].push(vec![hub.sides[1].message("c", "hello")]).await;
    hub.sides[1].wait_for(2).await;
    hub.home.wait_for(1).await;
    for (reader, words) in [
        (ANNA, "!viaduct gelesen"),
        ("@bert:hs", "!viaduct read"),
        (ANNA, "!viaduct read"),
    ] {
        let answer = command(&hub, reader, words).await;
        assert!(
            answer.starts_with("Danke") || answer.starts_with("Thank you"),
            "{answer}"
        );
    }
    let report = report(&hub, 4).await;
    let volumes: Vec<_> = report
        .volumes
        .iter()
        .map(|volume| (volume.accepted, volume.delivered, volume.changed, volume.refused))
        .collect();
    assert_eq!(volumes, [(1, 2, 0, 0), (0, 2, 1, 1)], "in and out: {report:?}");
    let hits: Vec<_> = report.hits.iter().map(|hit| (hit.rule.as_str(), hit.outcome)).collect();
    assert_eq!(hits, [("hide", HitOutcome::Changed), ("numbers", HitOutcome::Refused)]);
    assert_eq!(
        report.latency.iter().map(|latency| latency.count).collect::<Vec<_>>(),
        [2, 2]
    );
    assert_eq!((report.readers.len(), report.readers[0].count), (1, 2));
    assert_eq!(report.due[0].day.to_string(), "2026-06-30");
    for language in Language::ALL {
        let text = report.text(language);
        assert!(
            text.contains("right/c") && !text.contains("secret") && !text.contains(ANNA),
            "{text}"
        );
    }
    let nobody = PartnerName::new("nobody").unwrap();
    assert!(hub.engine.partner_report(&nobody, report.month).await.is_err());
    hub.engine.stop().await.unwrap();
}

#[tokio::test]
async fn a_breach_is_told_by_interval_with_a_reason_and_an_entry() {
    let folder = tempfile::tempdir().unwrap();
    let (hub, _) = hub(folder.path(), partnered()).await;
    says(&hub, "$1", "good morning").await;
    hub.sides[1].wait_for(1).await;
    report(&hub, 1).await;
    let today = Day::of(Timestamp(TODAY));
    let interval = (today.start(), today.end());
    assert!(
        hub.engine.incident(&acme(), interval, "@dpo:hs", " ").await.is_err(),
        "why?"
    );
    let incident = hub
        .engine
        .incident(&acme(), interval, "@dpo:hs", "lost laptop")
        .await
        .unwrap();
    assert_eq!(
        (incident.people.len(), incident.events.len(), incident.delivered),
        (1, 1, 1)
    );
    assert_eq!(incident.events[0].event.as_str(), "$1");
    let text = incident.text(Language::German);
    assert!(text.contains("Acme GmbH") && !text.contains(ANNA), "{text}");
    let before = (Timestamp(0), today.start());
    let none = hub
        .engine
        .incident(&acme(), before, "@dpo:hs", "lost laptop")
        .await
        .unwrap();
    assert!(none.events.is_empty());
    assert!(
        hub.engine
            .processing_record(Language::German)
            .contains("Austausch mit Acme GmbH (acme)")
    );
    hub.engine.stop().await.unwrap();
    let key = audit(folder.path()).signer.verifier();
    let exported = Reader::open(&audit(folder.path()).folder, &key)
        .unwrap()
        .map(|record| record.unwrap().entry)
        .filter(|entry| entry.action == Action::Exported);
    let reasons: Vec<_> = exported.map(|entry| entry.reason.unwrap()).collect();
    assert_eq!(reasons, ["notification of a breach: lost laptop"; 2]);
}
