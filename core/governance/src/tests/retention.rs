use proptest::prelude::*;
use viaduct_compliance::Direction::{self, In, Out};
use viaduct_model::{Content, Message, MessageId, MirrorName, PersonId, Timestamp};
use viaduct_store::Seq;

use crate::testing::*;
use crate::*;

fn edit(at: &str, id: &str, day: &str, target: &str) -> viaduct_model::Event {
    let content = Content::Edit {
        target: MessageId::new(target).unwrap(),
        message: Message::plain("new wording"),
    };
    event(at, id, "anna", day, content)
}

fn any_item() -> impl Strategy<Value = Item> {
    let class = prop::sample::select(vec![Class::Messages, Class::Files, Class::Versions, Class::Metadata]);
    let who = prop::sample::select(vec!["acme", "beta"]);
    let place = prop::sample::select(vec!["project", "other"]);
    (
        1_u64..50,
        class,
        who,
        any::<bool>(),
        place,
        0_u64..4,
        0_u64..400,
        any::<bool>(),
    )
        .prop_map(|(seq, class, who, inward, mirror, sender, day, settled)| {
            let at = Day::parse("2026-01-01").unwrap().start().plus_millis(day * 86_400_000);
            Item {
                mirror: MirrorName::new(mirror).unwrap(),
                seq: Seq(seq),
                class,
                partners: vec![(name(who), if inward { Direction::In } else { Direction::Out })],
                people: vec![(network("acme-irc"), PersonId::new(format!("p{sender}")).unwrap())],
                at,
                since: at,
                settled,
            }
        })
}

fn any_hold() -> impl Strategy<Value = LegalHold> {
    let some = |values: Vec<&'static str>| prop::option::of(prop::sample::select(values));
    let day = || prop::option::of(0_u64..400);
    (
        some(vec!["acme", "beta"]),
        some(vec!["project", "other"]),
        prop::option::of(0_u64..4),
        day(),
        day(),
    )
        .prop_map(|(partner, mirror, person, since, until)| LegalHold {
            id: "1".to_owned(),
            scope: Scope {
                partner: partner.map(name),
                mirror: mirror.map(|mirror| MirrorName::new(mirror).unwrap()),
                person: person.map(|person| (network("acme-irc"), PersonId::new(format!("p{person}")).unwrap())),
                since: since.map(|day| Day::parse("2026-01-01").unwrap().start().plus_millis(day * 86_400_000)),
                until: until.map(|day| Day::parse("2026-01-01").unwrap().start().plus_millis(day * 86_400_000)),
            },
            reason: "r".to_owned(),
            author: "@a:x".to_owned(),
            at: Timestamp(0),
        })
}

/// What a hold covers, said again in the plainest way.
fn is_covered(hold: &LegalHold, item: &Item) -> bool {
    let scope = &hold.scope;
    !(scope
        .partner
        .as_ref()
        .is_some_and(|partner| item.partners[0].0 != *partner)
        || scope.mirror.as_ref().is_some_and(|mirror| item.mirror != *mirror)
        || scope.person.as_ref().is_some_and(|person| item.people[0] != *person)
        || scope.since.is_some_and(|since| item.at < since)
        || scope.until.is_some_and(|until| item.at >= until))
}

proptest! {
    #[test]
    fn retention_never_deletes_what_a_hold_covers_or_what_is_not_due(
        items in prop::collection::vec(any_item(), 0..40),
        holds in prop::collection::vec(any_hold(), 0..3),
        day in 0_u64..900,
    ) {
        let register = register();
        let now = Day::parse("2026-01-01").unwrap().start().plus_millis(day * 86_400_000);
        let planned = plan(&register, &holds, items.clone(), 7, now);
        for item in &planned.delete {
            prop_assert!(!holds.iter().any(|hold| is_covered(hold, item)), "{item:?}");
            prop_assert!(item.settled && due(&register, item, 7) <= now);
        }
        let is_due = |item: &&Item| due(&register, item, 7) <= now;
        let rest = items.iter().filter(is_due).count();
        prop_assert_eq!(planned.delete.len() + planned.held.len() + planned.waiting.len(), rest, "nothing is forgotten");
        // Another hold never makes more go.
        let fewer = plan(&register, holds.get(1..).unwrap_or_default(), items, 7, now);
        prop_assert!(planned.delete.iter().all(|item| fewer.delete.contains(item)));
    }
}

#[test]
fn each_class_and_direction_has_its_time() {
    let register = register();
    let day = |class: Class, partners: &[(&str, Direction)]| {
        let at = Day::parse("2026-01-01").unwrap().start();
        let item = Item {
            mirror: mirror().name,
            seq: Seq(1),
            class,
            partners: partners
                .iter()
                .map(|(who, direction)| (name(who), *direction))
                .collect(),
            people: Vec::new(),
            at,
            since: at,
            settled: true,
        };
        due(&register, &item, 5).millis_since(at) / 86_400_000
    };
    assert_eq!(day(Class::Messages, &[("acme", In)]), 90);
    assert_eq!(day(Class::Files, &[("acme", In)]), 30);
    assert_eq!(day(Class::Files, &[("acme", Out)]), 60);
    assert_eq!(
        day(Class::Files, &[("acme", Out), ("beta", In)]),
        30,
        "the shortest counts"
    );
    assert_eq!(day(Class::Versions, &[("acme", In)]), 7);
    assert_eq!(day(Class::Messages, &[]), 5, "within the own organisation");
}

#[tokio::test]
async fn the_job_deletes_what_is_due_and_nothing_else() {
    let world = World::new("2026-02-01").await;
    let at = "acme-irc/#project";
    world
        .carry(vec![
            said(at, "m1", "anna", "2026-01-01", "old wording"),
            said(at, "m2", "anna", "2026-01-02", "stays longer"),
            edit(at, "e1", "2026-01-20", "m1"),
        ])
        .await;
    let run = async |world: &World| {
        let holds = world.holds.list().await.unwrap();
        let job = RetentionJob::new(world.store.clone(), world.book.clone(), world.keys.clone());
        job.run(&world.agreements.register(), &holds, &[mirror()], 7, world.now())
            .await
            .unwrap()
    };
    // The replaced wording goes seven days after it was replaced, not 90 after it was written.
    world.clock.to("2026-01-26");
    assert_eq!(run(&world).await, RetentionReport::default());
    world.clock.to("2026-01-27");
    let report = run(&world).await;
    assert_eq!(report.deleted, [(Class::Versions, 1)].into());
    assert_eq!(world.journal().await, [2, 3]);

    let scope = Scope {
        person: Some((network("acme-irc"), PersonId::new("anna").unwrap())),
        ..Scope::default()
    };
    let hold = world
        .holds
        .place(scope, "court, file 17", "@dpo:x", world.now())
        .await
        .unwrap();
    world.clock.to("2026-08-01");
    let report = run(&world).await;
    assert_eq!((report.deleted.len(), report.held), (0, 2));
    assert_eq!(world.journal().await, [2, 3]);
    assert!(world.holds.lift(&hold.id, "", "@dpo:x", world.now()).await.is_err());
    world
        .holds
        .lift(&hold.id, "closed", "@dpo:x", world.now())
        .await
        .unwrap();
    assert_eq!(run(&world).await.deleted, [(Class::Messages, 2)].into());
    assert!(world.journal().await.is_empty());
    assert!(
        world
            .holds
            .place(Scope::default(), "all", "@dpo:x", world.now())
            .await
            .is_err()
    );
    let ledger: Vec<String> = world
        .ledger()
        .into_iter()
        .filter(|line| !line.starts_with("key_made"))
        .collect();
    insta::assert_snapshot!(ledger.join("\n"), @r##"
    erased - retention
    hold_placed - hold 1769472000000: court, file 17
    hold_lifted - hold 1769472000000: closed
    erased - retention
    "##);
}

#[tokio::test]
async fn what_has_not_arrived_is_kept_until_its_agreement_ends() {
    let world = World::new("2026-12-01").await;
    let event = std::sync::Arc::new(said("matrix/project", "$1", "@a:x", "2026-01-01", "never arrived"));
    let accept = viaduct_store::Op::Accept {
        mirror: mirror().name,
        event,
    };
    world.submit(vec![accept]).await;
    let job = RetentionJob::new(world.store.clone(), world.book.clone(), world.keys.clone());
    let report = job
        .run(&world.agreements.register(), &[], &[mirror()], 7, world.now())
        .await
        .unwrap();
    assert_eq!((report.waiting, world.journal().await.len()), (1, 1));
    // Both partners' agreements end; only the way to the homeserver counts then.
    world.clock.to("2027-01-02");
    let settle = viaduct_store::Op::Settle {
        lane: lane("matrix/project"),
        seq: Seq(1),
        copied: None,
        record: None,
    };
    world.submit(vec![settle]).await;
    let report = job
        .run(&world.agreements.register(), &[], &[mirror()], 7, world.now())
        .await
        .unwrap();
    assert_eq!((report.waiting, world.journal().await.len()), (0, 0));
}

#[tokio::test]
async fn the_ledger_loses_its_pseudonyms_in_time() {
    let world = World::new("2027-12-31").await;
    let due = |day: &str, holds: &[LegalHold]| {
        keys_due(&world.agreements.register(), holds, Day::parse(day).unwrap().start())
    };
    assert!(due("2027-12-31", &[]).is_empty());
    assert_eq!(due("2028-01-01", &[]), ["acme", "beta"].map(name));
    let hold = LegalHold {
        id: "1".to_owned(),
        scope: Scope {
            partner: Some(name("acme")),
            ..Scope::default()
        },
        reason: "r".to_owned(),
        author: "@a:x".to_owned(),
        at: Timestamp(0),
    };
    assert_eq!(due("2028-01-01", &[hold]), ["beta"].map(name));
    world.clock.to("2028-01-01");
    let job = RetentionJob::new(world.store.clone(), world.book.clone(), world.keys.clone());
    let report = job
        .run(&world.agreements.register(), &[], &[], 7, world.now())
        .await
        .unwrap();
    assert_eq!(report.keys.len(), 2);
    assert!(!world.keys.has_pseudonyms(&name("acme")) && world.keys.has_pseudonyms(&PartnerName::own()));
    let report = job
        .run(&world.agreements.register(), &[], &[], 7, world.now())
        .await
        .unwrap();
    assert!(report.keys.is_empty(), "once is enough");
}
