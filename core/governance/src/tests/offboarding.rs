use std::sync::atomic::Ordering;

use viaduct_audit::note::Signer;
use viaduct_compliance::Verdict;
use viaduct_store::Seq;

use crate::testing::*;
use crate::*;

async fn world() -> World {
    let world = World::new("2026-06-01").await;
    world
        .carry(vec![
            said("acme-irc/#project", "a1", "anna", "2026-05-01", "from acme"),
            said("acme-irc/#project", "a2", "anna", "2026-05-02", "from acme"),
            said("matrix/project", "$1", "@own:x", "2026-05-03", "from us"),
            said("beta-xmpp/project", "b1", "bert", "2026-05-04", "from beta"),
        ])
        .await;
    let verdict = Verdict {
        rule: "r".to_owned(),
        reason: "because".to_owned(),
        findings: Vec::new(),
        release: viaduct_compliance::Release::SecondPerson,
    };
    let (lane, event) = (
        lane("acme-irc/#project"),
        said("matrix/project", "$2", "@own:x", "2026-05-05", "held"),
    );
    let what = Hold {
        lane: &lane,
        seq: Seq(9),
        event: &event,
        verdict: Some(&verdict),
        rule_author: None,
        behind: None,
    };
    let step = world
        .quarantine
        .hold(&world.agreements.register(), &what, world.now())
        .unwrap();
    world.book.commit(step).await.unwrap();
    world
}

fn offboarding<'a>(world: &'a World, holds: &'a [LegalHold]) -> Offboarding<'a> {
    Offboarding {
        store: &*world.store,
        recorder: &*world.book,
        keys: &world.keys,
        agreements: &world.agreements,
        quarantine: &world.quarantine,
        holds,
        remote: &*world.remote,
        signer: &world.signer,
    }
}

async fn run(world: &World, holds: &[LegalHold]) -> Result<Certificate, GovernanceError> {
    offboarding(world, holds)
        .run(&name("acme"), &[mirror()], "@a:x", &*world.clock)
        .await
}

#[tokio::test]
async fn a_preview_changes_nothing() {
    let world = world().await;
    let before = world.book.number.load(Ordering::SeqCst);
    let preview = offboarding(&world, &[])
        .preview(&name("acme"), &[mirror()])
        .await
        .unwrap();
    insta::assert_snapshot!(preview, @r##"
      1. suspend the agreement for good
      2. tell the people in matrix/project
      3. tell the people in acme-irc/#project
      4. tell the people in beta-xmpp/project
      5. redact what was carried to matrix/project (2 messages)
      6. redact what was carried to acme-irc/#project (2 messages)
      7. redact what was carried to beta-xmpp/project (2 messages)
      8. take ghosts and puppets of acme-irc/#project away
      9. leave acme-irc/#project
     10. give up the access to acme-irc
     11. delete the own records of project
     12. delete what is held
     13. destroy the keys
     14. sign the certificate
    1 held messages
    "##);
    assert_eq!(world.book.number.load(Ordering::SeqCst), before);
    assert!(world.remote.done.lock().unwrap().is_empty());
    assert!(offboarding(&world, &[]).preview(&name("nobody"), &[]).await.is_err());
}

#[tokio::test]
async fn s26_s44_s49_a_partner_is_wound_up_with_a_certificate() {
    let world = world().await;
    world
        .remote
        .refuses
        .lock()
        .unwrap()
        .insert("beta-xmpp".to_owned(), "too old to be retracted".to_owned());
    let certificate = run(&world, &[]).await.unwrap();
    insta::assert_snapshot!(Certificate::check(&certificate.german, &world.signer.verifier()).unwrap(), @r##"
    Löschbescheinigung

    Partner: acme GmbH (acme)
    Verantwortlich: Example AG
    Zweck: planning the bridge
    Vereinbarung: 01.01.2026 bis 31.12.2026
    Begonnen: 01.06.2026
    Abgeschlossen: 01.06.2026

    Netz acme-irc: 2 Nachrichten gelöscht oder geschwärzt
    Netz beta-xmpp: 0 Nachrichten gelöscht oder geschwärzt
      vom Netz abgelehnt: 2 (too old to be retracted)
    Netz matrix: 2 Nachrichten gelöscht oder geschwärzt
    Eigene Aufzeichnungen: 2 Einträge gelöscht, 1 angehaltene Nachrichten gelöscht

    Schlüssel vernichtet: Inhalte. Was damit versiegelt oder pseudonymisiert war, lässt sich nicht mehr lesen oder zuordnen.
    Schlüssel aufbewahrt: Pseudonyme des Protokolls (Rechenschaftspflicht, Art. 5 Abs. 2 DSGVO, bis 01.06.2027)
    Verlassen: acme-irc/#project
    Zugänge aufgegeben: acme-irc. Zugänge nicht aufgegeben: –

    Gelöscht wurde, was zum Zeitpunkt der Abwicklung aufgezeichnet war; was vorher nach seinen Fristen gelöscht wurde, ist nicht gezählt. Diese Bescheinigung ist unterschrieben und lässt sich ohne viaduct prüfen (C2SP signed-note).
    "##);
    insta::assert_snapshot!(Certificate::check(&certificate.english, &world.signer.verifier()).unwrap(), @r##"
    Certificate of deletion

    Partner: acme GmbH (acme)
    Controller: Example AG
    Purpose: planning the bridge
    Agreement: 2026-01-01 to 2026-12-31
    Begun: 2026-06-01
    Completed: 2026-06-01

    Network acme-irc: 2 messages deleted or redacted
    Network beta-xmpp: 0 messages deleted or redacted
      refused by the network: 2 (too old to be retracted)
    Network matrix: 2 messages deleted or redacted
    Own records: 2 entries deleted, 1 held messages deleted

    Keys destroyed: content. What was sealed or pseudonymised with them can no longer be read or traced.
    Keys retained: the ledger's pseudonyms (accountability, Art. 5 (2) GDPR, until 2027-06-01)
    Left: acme-irc/#project
    Accesses given up: acme-irc. Accesses not given up: –

    Deleted was what was on record when winding up began; what had been deleted earlier when its time was over is not counted. This certificate is signed and can be checked without viaduct (C2SP signed-note).
    "##);

    let done = world.remote.done.lock().unwrap().clone();
    insta::assert_snapshot!(done.into_iter().collect::<Vec<_>>().join("\n"), @r##"
    close acme-irc/#project
    dismiss acme-irc/#project
    notify acme-irc/#project offboard-acme-acme-irc/#project
    notify beta-xmpp/project offboard-acme-beta-xmpp/project
    notify matrix/project offboard-acme-matrix/project
    redact acme-irc/#project [MessageId("$1-copy")]
    redact acme-irc/#project [MessageId("b1-copy")]
    redact matrix/project [MessageId("a1-copy")]
    redact matrix/project [MessageId("a2-copy")]
    tokens acme-irc
    "##);
    let register = world.agreements.register();
    assert_eq!(
        register.standing(&name("acme"), world.now()),
        Some(Standing::Offboarded)
    );
    assert_eq!(
        register.standing(&name("beta"), world.now()),
        Some(Standing::Active),
        "others go on"
    );
    assert!(world.keys.seal(&name("acme"), "x", b"x").is_err(), "the key is gone");
    assert!(world.quarantine.list().await.unwrap().is_empty());
    assert!(
        world
            .agreements
            .renew(&name("acme"), Day::parse("2030-01-01").unwrap(), "@a:x")
            .await
            .is_err()
    );

    // Doing it again gives the same certificate and does nothing else; also after a restart the key is not made anew.
    let calls = world.remote.calls.load(Ordering::SeqCst);
    assert_eq!(run(&world, &[]).await.unwrap(), certificate);
    let again = world.again().await;
    assert_eq!(run(&again, &[]).await.unwrap(), certificate);
    assert_eq!(world.remote.calls.load(Ordering::SeqCst), calls);
    assert!(again.keys.seal(&name("acme"), "x", b"x").is_err());
}

#[tokio::test]
async fn a_certificate_cannot_be_forged() {
    let world = world().await;
    let certificate = run(&world, &[]).await.unwrap();
    let key = world.signer.verifier();
    for note in [&certificate.german, &certificate.english] {
        assert!(Certificate::check(note, &key).is_ok());
        assert!(Certificate::check(&note.replace("acme", "acne"), &key).is_err());
        let other = Signer::generate("hub.example.org/ledger", &Chance::default()).unwrap();
        let forged = other.sign("Löschbescheinigung\n").unwrap();
        assert!(Certificate::check(&forged, &key).is_err());
    }
}

#[tokio::test]
async fn it_goes_on_after_a_crash_at_every_step() {
    let whole = world().await;
    let started = whole.book.number.load(Ordering::SeqCst);
    let certificate = run(&whole, &[]).await.unwrap();
    let commits = whole.book.number.load(Ordering::SeqCst) - started;
    assert!(commits > 15, "{commits}");
    for at in 0..commits {
        for after in [false, true] {
            let world = world().await;
            let now = world.book.number.load(Ordering::SeqCst);
            *world.book.dies.lock().unwrap() = Some((now + at, after));
            assert!(run(&world, &[]).await.is_err(), "it died at commit {at}");
            let again = world.again().await;
            let came = run(&again, &[])
                .await
                .unwrap_or_else(|error| panic!("after commit {at} ({after}): {error}"));
            // All but the key names: where the key was gone before the crash.
            assert_eq!(came.german, certificate.german, "after commit {at} ({after})");
            assert_eq!(*world.remote.done.lock().unwrap(), *whole.remote.done.lock().unwrap());
            assert!(offboarding(&again, &[]).unfinished().await.unwrap().is_empty());
        }
    }
}

#[tokio::test]
async fn a_network_out_of_reach_stops_it_until_it_is_back() {
    let whole = world().await;
    let certificate = run(&whole, &[]).await.unwrap();
    for call in 0..whole.remote.calls.load(Ordering::SeqCst) {
        let world = world().await;
        *world.remote.away_at.lock().unwrap() = Some(call);
        assert!(
            matches!(run(&world, &[]).await, Err(GovernanceError::Later(_))),
            "call {call}"
        );
        let unfinished = offboarding(&world, &[]).unfinished().await.unwrap();
        assert_eq!(unfinished.len(), 1);
        let standing = world
            .agreements
            .register()
            .standing(&name("acme"), world.now())
            .unwrap();
        assert!(!standing.permits(), "meanwhile nothing crosses");
        assert_eq!(
            run(&world, &[]).await.unwrap().german,
            certificate.german,
            "call {call}"
        );
    }
}

#[tokio::test]
async fn s17_a_hold_beats_winding_up() {
    let world = world().await;
    let scope = Scope {
        partner: Some(name("acme")),
        ..Scope::default()
    };
    world
        .holds
        .place(scope, "court, file 17", "@dpo:x", world.now())
        .await
        .unwrap();
    let holds = world.holds.list().await.unwrap();
    let certificate = run(&world, &holds).await.unwrap();
    assert_eq!(world.journal().await, [1, 2, 3, 4]);
    assert_eq!(world.quarantine.list().await.unwrap().len(), 1);
    assert!(
        world.keys.seal(&name("acme"), "x", b"x").is_ok(),
        "what is held can still be read"
    );
    assert!(
        !world
            .remote
            .done
            .lock()
            .unwrap()
            .iter()
            .any(|call| call.starts_with("redact"))
    );
    assert!(certificate.english.contains("legal hold"), "{}", certificate.english);
}

#[tokio::test]
async fn s30_winding_up_one_partner_leaves_the_records_of_others_and_the_partners_own_alone() {
    let world = world().await;
    let certificate = run(&world, &[]).await.unwrap();
    assert!(certificate.english.contains("Controller: Example AG"));
    // Of what everybody said, only acme's is gone from the own records.
    assert_eq!(world.journal().await, [3, 4], "what the own people and beta said stays");
    let beta = name("beta");
    let sealed = world.keys.seal(&beta, "x", b"beta's").unwrap();
    assert_eq!(&**world.keys.open_sealed(&beta, "x", &sealed).unwrap(), b"beta's");
    assert!(world.keys.has_pseudonyms(&beta));
    let done = world.remote.done.lock().unwrap().clone();
    let of = |verb: &'static str| done.iter().filter(move |call| call.starts_with(verb));
    for verb in ["close", "dismiss", "tokens"] {
        assert!(
            of(verb).count() > 0 && of(verb).all(|call| call.contains("acme-irc")),
            "{done:?}"
        );
    }
    // On the servers of partners only what the hub said there itself is deleted, never what they said themselves; and nobody
    // loses what another partner said to them.
    for call in of("redact") {
        let own_copy = call.contains("-copy\")");
        let others_words = call.contains("acme-irc") || !call.contains("\"b1");
        assert!(own_copy && others_words, "{call}");
    }
    assert!(of("redact").count() > 2, "{done:?}");
}
