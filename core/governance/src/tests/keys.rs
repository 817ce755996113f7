use viaduct_audit::KeyRing;

use crate::testing::*;
use crate::*;

#[tokio::test]
async fn what_is_sealed_opens_after_a_restart_for_its_partner_and_label_only() {
    let world = World::new("2026-06-01").await;
    let (acme, beta) = (name("acme"), name("beta"));
    let sealed = world.keys.seal(&acme, "note", b"secret plan").unwrap();
    assert!(!sealed.windows(6).any(|bytes| bytes == b"secret"));
    assert_ne!(sealed, world.keys.seal(&acme, "note", b"secret plan").unwrap());
    let again = world.again().await;
    assert_eq!(
        &**again.keys.open_sealed(&acme, "note", &sealed).unwrap(),
        b"secret plan"
    );
    let wrong = Err(GovernanceError::Sealed(acme.clone()));
    assert_eq!(again.keys.open_sealed(&acme, "other", &sealed).map(|_| ()), wrong);
    assert!(again.keys.open_sealed(&beta, "note", &sealed).is_err());
    for at in 0..sealed.len() {
        let mut changed = sealed.clone();
        changed[at] ^= 1;
        assert_eq!(
            again.keys.open_sealed(&acme, "note", &changed).map(|_| ()),
            wrong,
            "byte {at}"
        );
    }
    assert_eq!(again.keys.open_sealed(&acme, "note", b"short").map(|_| ()), wrong);
}

#[tokio::test]
async fn another_hub_key_opens_nothing() {
    let world = World::new("2026-06-01").await;
    let ring = |part: &str| KeyRing::open(&world.folder.path().join(part)).unwrap();
    let chance = std::sync::Arc::new(Chance::default());
    let other = HubKey::from_secret(&"ab".repeat(32)).unwrap();
    let opened = Keys::open(world.store.clone(), chance, other, ring("pseudonyms"), ring("content")).await;
    assert!(matches!(opened, Err(GovernanceError::Sealed(_))), "{opened:?}");
}

#[test]
fn a_hub_key_is_text_and_stays_secret() {
    let key = HubKey::generate(&Chance::default());
    let text = key.secret();
    assert_eq!(*HubKey::from_secret(&format!("{}\n", *text)).unwrap().secret(), *text);
    assert_eq!(format!("{key:?}"), "HubKey(…)");
    for wrong in ["", "ab", &"zz".repeat(32), &"ab".repeat(33)] {
        assert!(HubKey::from_secret(wrong).is_err(), "{wrong}");
    }
}

#[tokio::test]
async fn s49_a_destroyed_key_opens_nothing_even_with_the_store_of_before() {
    let world = World::new("2026-06-01").await;
    let acme = name("acme");
    let sealed = world.keys.seal(&acme, "note", b"secret plan").unwrap();
    let wrapped = world.store.state(OWNER, "key/acme").await.unwrap();
    let tag = world.keys.person(&acme, &person("acme-irc", "anna")).unwrap();

    world
        .keys
        .destroy_content(&acme, &*world.book, world.now())
        .await
        .unwrap();
    assert_eq!(
        world.keys.open_sealed(&acme, "note", &sealed).map(|_| ()),
        Err(GovernanceError::NoKey(acme.clone()))
    );
    // Somebody kept the wrapped key: without the file it is worth nothing.
    world.submit(vec![crate::step::raw("key/acme", wrapped)]).await;
    let again = world.again().await;
    assert!(again.keys.open_sealed(&acme, "note", &sealed).is_err());
    assert_eq!(again.keys.person(&acme, &person("acme-irc", "anna")), Some(tag));

    again
        .keys
        .destroy_pseudonyms(&acme, &*again.book, again.now())
        .await
        .unwrap();
    again
        .keys
        .destroy_pseudonyms(&acme, &*again.book, again.now())
        .await
        .unwrap();
    assert_eq!(again.keys.person(&acme, &person("acme-irc", "anna")), None);
    assert!(!again.keys.has_pseudonyms(&acme) && again.keys.has_pseudonyms(&name("beta")));
    assert_eq!(
        again
            .ledger()
            .iter()
            .filter(|line| line.starts_with("key_destroyed"))
            .count(),
        1
    );
}
