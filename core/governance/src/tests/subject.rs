use viaduct_model::{Content, Language, Membership, PersonId};

use crate::testing::*;
use crate::*;

fn subject() -> Subject {
    Subject {
        ids: vec![(network("acme-irc"), PersonId::new("anna").unwrap())],
    }
}

async fn world() -> World {
    let world = World::new("2026-06-01").await;
    let kicked = Content::Membership {
        person: person("acme-irc", "anna"),
        change: Membership::Kick,
        reason: Some("berta said so".to_owned()),
    };
    world
        .carry(vec![
            said("acme-irc/#project", "m1", "anna", "2026-05-01", "mine"),
            said("acme-irc/#project", "m2", "berta", "2026-05-02", "not anna's"),
            event("acme-irc/#project", "m3", "berta", "2026-05-03", kicked),
            said("acme-irc/#project", "m4", "anna", "2026-05-04", "mine, too"),
        ])
        .await;
    world
}

fn rights<'a>(
    world: &'a World,
    register: &'a Register,
    holds: &'a [LegalHold],
    mirrors: &'a [MirrorPlaces],
) -> SubjectRights<'a> {
    SubjectRights {
        store: &*world.store,
        recorder: &*world.book,
        keys: &world.keys,
        register,
        quarantine: &world.quarantine,
        holds,
        mirrors,
        remote: &*world.remote,
        own_days: 7,
    }
}

#[tokio::test]
async fn an_export_has_everything_of_the_person_and_nothing_of_others() {
    let world = world().await;
    let (register, mirrors) = (world.agreements.register(), [mirror()]);
    let rights = rights(&world, &register, &[], &mirrors);
    assert!(
        rights
            .export(&subject(), Vec::new(), "@dpo:x", " ", world.now())
            .await
            .is_err()
    );
    let export = rights
        .export(&subject(), Vec::new(), "@dpo:x", "request 5", world.now())
        .await
        .unwrap();
    let seen: Vec<(u64, &str)> = export
        .journal
        .iter()
        .map(|record| (record.seq.0, record.role))
        .collect();
    assert_eq!(seen, [(1, "sender"), (3, "concerned"), (4, "sender")]);
    let json = serde_json::to_string(&export).unwrap();
    assert!(
        json.contains("mine, too") && !json.contains("berta") && !json.contains("not anna"),
        "{json}"
    );
    assert_eq!(export.traces.len(), 1);
    let query = subject().query(&register, &world.keys).unwrap();
    assert_eq!(query.tags.len(), 3, "two partners and the own organisation");
    assert!(
        world
            .ledger()
            .contains(&"exported - data subject access: request 5".to_owned())
    );
}

#[tokio::test]
async fn an_erasure_says_what_became_of_everything() {
    let world = world().await;
    world
        .remote
        .refuses
        .lock()
        .unwrap()
        .insert("beta-xmpp".to_owned(), "no retraction there".to_owned());
    let (register, mirrors) = (world.agreements.register(), [mirror()]);
    let tally = rights(&world, &register, &[], &mirrors)
        .erase(&subject(), "@dpo:x", "request 6", world.now())
        .await
        .unwrap();
    insta::assert_snapshot!(serde_norway::to_string(&tally).unwrap(), @r##"
    acme-irc:
      deleted: 3
    beta-xmpp:
      deleted: 0
      refused:
      - - no retraction there
        - 3
    matrix:
      deleted: 3
    viaduct.journal:
      deleted: 3
    "##);
    let done = world.remote.done.lock().unwrap().clone();
    assert!(
        done.contains(r#"redact acme-irc/#project [MessageId("m1")]"#),
        "{done:?}"
    );
    assert!(
        done.contains(r#"redact matrix/project [MessageId("m4-copy")]"#),
        "{done:?}"
    );
    assert!(
        !done.iter().any(|call| call.contains("m2")),
        "others' messages stay: {done:?}"
    );
    assert!(done.contains("forget acme-irc anna"), "{done:?}");
}

#[tokio::test]
async fn duties_and_holds_stand_against_an_erasure() {
    let world = world().await;
    let mut configured = configured();
    configured.get_mut(&name("acme")).unwrap().retention.statutory = Some(Statutory {
        basis: "HGB §257".to_owned(),
        days: 2190,
    });
    world.agreements.reload(configured, networks()).await.unwrap();
    let scope = Scope {
        since: Some(Day::parse("2026-05-03").unwrap().start()),
        ..Scope::default()
    };
    world.holds.place(scope, "court", "@dpo:x", world.now()).await.unwrap();
    let holds = world.holds.list().await.unwrap();
    let (register, mirrors) = (world.agreements.register(), [mirror()]);
    let tally = rights(&world, &register, &holds, &mirrors)
        .erase(&subject(), "@dpo:x", "r", world.now())
        .await
        .unwrap();
    let retained: Vec<(String, u64)> = tally.0[HERE]
        .retained
        .iter()
        .map(|(basis, count)| (basis.say(Language::German), *count))
        .collect();
    let hold = holds[0].id.clone();
    assert_eq!(
        retained,
        [
            ("HGB §257, bis 29.04.2032".to_owned(), 1),
            (format!("Aufbewahrungsanordnung {hold}: court"), 2)
        ]
    );
    assert_eq!(world.journal().await, [1, 2, 3, 4]);
    assert!(
        !world
            .remote
            .done
            .lock()
            .unwrap()
            .iter()
            .any(|call| call.starts_with("redact"))
    );
}

#[tokio::test]
async fn a_pseudonym_is_lifted_by_two() {
    let world = world().await;
    let (register, mirrors) = (world.agreements.register(), [mirror()]);
    let rights = rights(&world, &register, &[], &mirrors);
    let tag = world.keys.person(&name("acme"), &person("acme-irc", "anna")).unwrap();
    let alone = rights.unmask(&tag, "@a:x", "@a:x", "incident 3", world.now()).await;
    assert!(matches!(alone, Err(GovernanceError::NotAllowed(_))), "{alone:?}");
    let found = rights
        .unmask(&tag, "@a:x", "@b:x", "incident 3", world.now())
        .await
        .unwrap();
    assert_eq!(found, Some((network("acme-irc"), PersonId::new("anna").unwrap())));
    assert_eq!(
        world
            .ledger()
            .iter()
            .filter(|line| line.starts_with("unmasked"))
            .count(),
        1
    );
    world
        .keys
        .destroy_pseudonyms(&name("acme"), &*world.book, world.now())
        .await
        .unwrap();
    assert_eq!(
        rights
            .unmask(&tag, "@a:x", "@b:x", "incident 3", world.now())
            .await
            .unwrap(),
        None
    );
}

#[tokio::test]
async fn s30_erasing_one_person_touches_nothing_of_anybody_else() {
    let world = world().await;
    let (register, mirrors) = (world.agreements.register(), [mirror()]);
    rights(&world, &register, &[], &mirrors)
        .erase(&subject(), "@dpo:x", "request 7", world.now())
        .await
        .unwrap();
    assert_eq!(world.journal().await, [2], "what berta said stays");
    let done = world.remote.done.lock().unwrap().clone();
    let redacted: Vec<&String> = done.iter().filter(|call| call.starts_with("redact")).collect();
    let of_anna = |call: &&&String| ["\"m1", "\"m3", "\"m4"].iter().any(|id| call.contains(id));
    assert_eq!(redacted.iter().filter(of_anna).count(), redacted.len(), "{done:?}");
    let forgotten: Vec<&String> = done.iter().filter(|call| call.starts_with("forget")).collect();
    assert_eq!(forgotten, ["forget acme-irc anna"]);
}
