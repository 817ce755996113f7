use viaduct_audit::{Action, Record};
use viaduct_store::Seq;

use crate::testing::*;
use crate::*;

async fn raised(world: &World, alarms: &Alarms, to: &str, seq: u64, id: &str) -> u32 {
    let event = said("matrix/project", id, "@anna:x", "2026-06-01", "secret");
    let (register, lane) = (world.agreements.register(), lane(to));
    let raised = alarms.raise(&register, (&lane, Seq(seq)), &event, &["iban"], world.now());
    let (number, step) = raised.unwrap().unwrap();
    world.book.commit(step).await.unwrap();
    number
}

#[tokio::test]
async fn only_the_sender_says_it_once_an_event_and_not_for_ever() {
    let world = World::new("2026-06-01").await;
    let alarms = Alarms::new(world.store.clone(), world.keys.clone());
    let first = raised(&world, &alarms, "acme-irc/#project", 1, "$1").await;
    let other_way = raised(&world, &alarms, "beta-xmpp/project", 1, "$1").await;
    let late = raised(&world, &alarms, "acme-irc/#project", 2, "$2").await;
    let now = world.now();
    for (number, sender) in [(first, "@berta:x"), (1, "@anna:x"), (first, "")] {
        let answer = alarms.dispute(number, sender, now).await.unwrap();
        assert!(matches!(answer, Dispute::Unknown), "{number} {sender}");
    }
    let Dispute::Noted(alarm, step) = alarms.dispute(first, "@anna:x", now).await.unwrap() else {
        panic!("it is theirs")
    };
    assert_eq!((alarm.partner, alarm.rules), (name("acme"), vec!["iban".to_owned()]));
    world.book.commit(step).await.unwrap();
    for number in [first, other_way] {
        let answer = alarms.dispute(number, "@anna:x", now).await.unwrap();
        assert!(matches!(answer, Dispute::Twice), "of one event once, whatever its way");
    }
    let entry = world.book.entries.lock().unwrap().last().cloned().unwrap();
    assert_eq!((entry.action, entry.findings["iban"]), (Action::Disputed, 1));
    assert_eq!(
        entry.actor,
        world.keys.person(&name("acme"), &person("matrix", "@anna:x"))
    );
    assert!(!serde_json::to_string(&entry).unwrap().contains("secret"));

    world.clock.to("2026-07-01");
    let answer = alarms.dispute(late, "@anna:x", world.now()).await.unwrap();
    assert!(matches!(answer, Dispute::Unknown), "too long ago");
    assert_eq!(alarms.tidy(world.now()).await.unwrap().ops.len(), 3, "the alarms");
    world.clock.to("2026-08-01");
    let step = alarms.tidy(world.now()).await.unwrap();
    assert_eq!(step.ops.len(), 4, "and what was said of them");
    world.book.commit(step).await.unwrap();
    assert!(alarms.tidy(world.now()).await.unwrap().is_empty());
}

#[test]
fn rules_are_counted_the_most_often_disputed_first() {
    let record = |seq: u64, action: Action, rule: &str| {
        let mut entry = viaduct_audit::Entry::new(viaduct_model::Timestamp(seq), action);
        entry.findings.insert(rule.to_owned(), 1);
        entry.event = viaduct_model::MessageId::new(format!("${seq}")).ok();
        Ok(Record {
            seq,
            number: seq,
            entry,
        })
    };
    let dispute = |seq, rule| record(seq, Action::Disputed, rule);
    let all = vec![
        dispute(1, "old"),
        dispute(5, "b"),
        dispute(6, "a"),
        dispute(7, "a"),
        record(8, Action::Held, "b"),
    ];
    let found = disputed(all.into_iter(), viaduct_model::Timestamp(5)).unwrap();
    let told: Vec<_> = found
        .iter()
        .map(|rule| (rule.rule.as_str(), rule.count, rule.last.0))
        .collect();
    assert_eq!(told, [("a", 2, 7), ("b", 1, 5)]);
    assert_eq!(found[0].events.len(), 2);
    let many = (0..100).map(|seq| dispute(seq, "a"));
    assert_eq!(disputed(many, viaduct_model::Timestamp(0)).unwrap()[0].events.len(), 20);
}
