use crate::testing::*;
use crate::*;
use viaduct_model::Language;

#[test]
fn s15_s41_the_room_is_told_in_both_languages() {
    let notice = notice(&register(), &mirror(), true).unwrap();
    insta::assert_snapshot!(notice.text(), @r##"
    Diese Bridge entschlüsselt die Nachrichten dieses Raums und leitet sie weiter: Die Ende-zu-Ende-Verschlüsselung reicht bis zur Bridge, nicht darüber hinaus.
    Dieser Raum ist mit acme GmbH verbunden (acme-irc, Region DE). Was hier geschrieben wird, lesen auch Menschen dort; was sie schreiben, erscheint hier. Zweck: planning the bridge. Verantwortlich: Example AG. Protokolliert werden Zeit, Richtung, Entscheidung der Filter, Nachrichtenkennungen, ein Pseudonym des Absenders und ein Schlüsselhash des Inhalts. Gelöscht werden Nachrichten nach 90 Tagen, Dateien nach 30 (vom Partner) und 60 (an den Partner), ersetzte Fassungen nach 7, Übriges nach 10. Die Vereinbarung gilt bis 31.12.2026. Fragen: Datenschutz (privacy@example.org).
    Dieser Raum ist mit beta GmbH verbunden (beta-xmpp, Region DE). Was hier geschrieben wird, lesen auch Menschen dort; was sie schreiben, erscheint hier. Zweck: planning the bridge. Verantwortlich: Example AG. Protokolliert werden Zeit, Richtung, Entscheidung der Filter, Nachrichtenkennungen, ein Pseudonym des Absenders und ein Schlüsselhash des Inhalts. Gelöscht werden Nachrichten nach 90 Tagen, Dateien nach 30 (vom Partner) und 60 (an den Partner), ersetzte Fassungen nach 7, Übriges nach 10. Die Vereinbarung gilt bis 31.12.2026. Fragen: Datenschutz (privacy@example.org).
    Gelesen? Schreiben Sie: !viaduct gelesen. Gezählt wird nur, wie viele es sind.

    This bridge decrypts this room's messages and passes them on: end-to-end encryption reaches as far as the bridge, and not beyond.
    This room is joined with acme GmbH (acme-irc, region DE). What is written here is read by people there, too; what they write appears here. Purpose: planning the bridge. Controller: Example AG. Logged are time, direction, the filters' decision, message ids, a pseudonym of the sender and a keyed hash of the content. Messages are deleted after 90 days, files after 30 (from the partner) and 60 (to the partner), replaced wordings after 7, everything else after 10. The agreement lasts until 2026-12-31. Questions: Datenschutz (privacy@example.org).
    This room is joined with beta GmbH (beta-xmpp, region DE). What is written here is read by people there, too; what they write appears here. Purpose: planning the bridge. Controller: Example AG. Logged are time, direction, the filters' decision, message ids, a pseudonym of the sender and a keyed hash of the content. Messages are deleted after 90 days, files after 30 (from the partner) and 60 (to the partner), replaced wordings after 7, everything else after 10. The agreement lasts until 2026-12-31. Questions: Datenschutz (privacy@example.org).
    Have you read this? Write: !viaduct read. Only the number of people is counted.
    "##);
}

#[test]
fn s41_help_about_data_protection() {
    insta::assert_snapshot!(help(&register(), &mirror(), false, Language::German), @r##"
    Datenschutz in diesem Raum: Dieser Raum ist mit acme GmbH verbunden (acme-irc, Region DE). Was hier geschrieben wird, lesen auch Menschen dort; was sie schreiben, erscheint hier. Zweck: planning the bridge. Verantwortlich: Example AG. Protokolliert werden Zeit, Richtung, Entscheidung der Filter, Nachrichtenkennungen, ein Pseudonym des Absenders und ein Schlüsselhash des Inhalts. Gelöscht werden Nachrichten nach 90 Tagen, Dateien nach 30 (vom Partner) und 60 (an den Partner), ersetzte Fassungen nach 7, Übriges nach 10. Die Vereinbarung gilt bis 31.12.2026. Fragen: Datenschutz (privacy@example.org).
    Dieser Raum ist mit beta GmbH verbunden (beta-xmpp, Region DE). Was hier geschrieben wird, lesen auch Menschen dort; was sie schreiben, erscheint hier. Zweck: planning the bridge. Verantwortlich: Example AG. Protokolliert werden Zeit, Richtung, Entscheidung der Filter, Nachrichtenkennungen, ein Pseudonym des Absenders und ein Schlüsselhash des Inhalts. Gelöscht werden Nachrichten nach 90 Tagen, Dateien nach 30 (vom Partner) und 60 (an den Partner), ersetzte Fassungen nach 7, Übriges nach 10. Die Vereinbarung gilt bis 31.12.2026. Fragen: Datenschutz (privacy@example.org).
    Gelesen? Schreiben Sie: !viaduct gelesen. Gezählt wird nur, wie viele es sind. Sie können Auskunft über Ihre Daten (Art. 15 DSGVO) und ihre Löschung (Art. 17) verlangen: Datenschutz (privacy@example.org). Was ein Filter anhält, sieht nur, wer es prüft, und jede Einsicht wird protokolliert. Anwesenheit und Lesebestätigungen werden nicht weitergegeben.
    "##);
    let own = MirrorPlaces {
        members: ["matrix/project", "house/#all"].map(place).to_vec(),
        ..mirror()
    };
    assert_eq!(notice(&register(), &own, false), None);
    assert!(notice(&register(), &own, true).is_some_and(|notice| notice.english.contains("decrypts")));
    assert!(help(&register(), &own, false, Language::English).contains("joined with no partner"));
}

#[tokio::test]
async fn a_room_is_told_once_a_version_and_each_member_too() {
    let world = World::new("2026-06-01").await;
    let notices = Notices::new(world.store.clone(), world.keys.clone());
    let (mirror, anna) = (mirror(), person("matrix", "@anna:x"));
    let first = notice(&world.agreements.register(), &mirror, false).unwrap();
    let telling = async |notice: &Notice| notices.telling(&mirror.name, notice, world.now()).await.unwrap();
    assert_eq!(telling(&first).await, Telling::Due);
    let (step, known) = notices.said(&mirror.name, &first, world.now()).await.unwrap();
    world.book.commit(step).await.unwrap();
    assert_eq!((telling(&first).await, known), (known, Telling::Known { until: None }));
    assert!(notices.is_due_to(&mirror.name, &first, &anna).await.unwrap());
    world
        .book
        .commit(notices.said_to(&mirror.name, &first, &anna, world.now()))
        .await
        .unwrap();
    assert!(!notices.is_due_to(&mirror.name, &first, &anna).await.unwrap());
    assert!(
        notices
            .is_due_to(&mirror.name, &first, &person("matrix", "@berta:x"))
            .await
            .unwrap()
    );

    // Another last day is another notice.
    let until = Day::parse("2027-06-30").unwrap();
    world.agreements.renew(&name("acme"), until, "@a:x").await.unwrap();
    let second = notice(&world.agreements.register(), &mirror, false).unwrap();
    assert_ne!(first.version, second.version);
    assert_eq!(telling(&second).await, Telling::Due);
    assert!(notices.is_due_to(&mirror.name, &second, &anna).await.unwrap());
    assert!(world.ledger().contains(&format!("notified - notice {}", first.version)));
}

#[tokio::test]
async fn whoever_has_read_it_counts_once_a_version() {
    let world = World::new("2026-06-01").await;
    let notices = Notices::new(world.store.clone(), world.keys.clone());
    let mirror = mirror();
    let first = notice(&world.agreements.register(), &mirror, false).unwrap();
    for reader in ["@anna:x", "@berta:x", "@anna:x"] {
        let step = notices.read_by(&mirror.name, &first, &person("matrix", reader));
        assert!(step.entries.is_empty(), "nobody is named in the ledger");
        world.book.commit(step).await.unwrap();
    }
    assert_eq!(notices.readers(&mirror.name, &first).await.unwrap(), 2);
    // What is remembered of readers goes with the version they have read.
    let until = Day::parse("2027-06-30").unwrap();
    world.agreements.renew(&name("acme"), until, "@a:x").await.unwrap();
    let second = notice(&world.agreements.register(), &mirror, false).unwrap();
    let (step, _) = notices.said(&mirror.name, &second, world.now()).await.unwrap();
    world.book.commit(step).await.unwrap();
    for notice in [&first, &second] {
        assert_eq!(notices.readers(&mirror.name, notice).await.unwrap(), 0);
    }
}

#[tokio::test]
async fn the_shortest_time_counts_and_a_restart_repeats_nothing() {
    let mut wanted = configured();
    for (partner, days) in [("acme", 30), ("beta", 7)] {
        wanted.get_mut(&name(partner)).unwrap().notice.every_days = std::num::NonZeroU32::new(days);
    }
    let words = serde_norway::from_str("{de: Bitte duzen., en: Be kind.}").unwrap();
    wanted.get_mut(&name("beta")).unwrap().notice.words = Some(words);
    let world = World::with("2026-06-01", wanted).await;
    let notices = Notices::new(world.store.clone(), world.keys.clone());
    let mirror = mirror();
    let notice = notice(&world.agreements.register(), &mirror, false).unwrap();
    assert!(notice.german.contains("\nBitte duzen.\n") && notice.english.contains("\nBe kind.\n"));
    let (step, known) = notices.said(&mirror.name, &notice, world.now()).await.unwrap();
    world.book.commit(step).await.unwrap();
    let until = Day::parse("2026-06-08").unwrap().start();
    assert_eq!(known, Telling::Known { until: Some(until) });
    let again = Notices::new(world.store.clone(), world.keys.clone());
    for (day, due) in [("2026-06-07", known), ("2026-06-08", Telling::Due)] {
        world.clock.to(day);
        assert_eq!(
            again.telling(&mirror.name, &notice, world.now()).await.unwrap(),
            due,
            "{day}"
        );
    }
}
