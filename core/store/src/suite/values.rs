//! Portals, cursors, session memory, sizes.

use super::{accept, commit, done, event, id, lane, mirror, place, state};
use crate::api::{Accepted, DeliveryFilter, Located, Op, Portal, Seq, Store, StoreError};

pub(super) async fn portals_and_cursors(store: &dyn Store) {
    let portal = |at: &str, room: &str| Portal {
        place: place(at),
        room: room.to_owned(),
        mirror: mirror("a"),
        direct_to: Some("@anna:example.org".to_owned()),
    };
    done(
        store,
        vec![Op::PutPortal(portal("y", "!1:b")), Op::PutPortal(portal("x", "!2:b"))],
    )
    .await;
    done(store, vec![Op::PutPortal(portal("y", "!3:b"))]).await;
    assert_eq!(store.portal(&place("y")).await.unwrap(), Some(portal("y", "!3:b")));
    assert_eq!(
        store.portals().await.unwrap(),
        vec![portal("x", "!2:b"), portal("y", "!3:b")]
    );
    done(
        store,
        vec![Op::RemovePortal(place("y")), Op::RemovePortal(place("none"))],
    )
    .await;
    assert_eq!(store.portal(&place("y")).await.unwrap(), None);
    assert_eq!(store.portals().await.unwrap().len(), 1);
    done(
        store,
        vec![Op::Cursor {
            place: place("x"),
            cursor: "17".to_owned(),
        }],
    )
    .await;
    done(
        store,
        vec![Op::Cursor {
            place: place("x"),
            cursor: "16".to_owned(),
        }],
    )
    .await;
    assert_eq!(store.cursor(&place("x")).await.unwrap().as_deref(), Some("16"));
    assert_eq!(store.cursor(&place("y")).await.unwrap(), None);
}

pub(super) async fn session_memory(store: &dyn Store) {
    done(
        store,
        vec![
            state("irc", "ghost/b", Some(b"2")),
            state("irc", "ghost/a", Some(b"1")),
            state("irc", "ghos", Some(b"x")),
            state("irc", "ghost0", Some(b"y")),
            state("irc", "", Some(b"")),
            state("irc2", "ghost/a", Some(b"other")),
        ],
    )
    .await;
    assert_eq!(
        store.state("irc", "ghost/a").await.unwrap().as_deref(),
        Some(b"1".as_slice())
    );
    assert_eq!(store.state("irc", "").await.unwrap().as_deref(), Some(b"".as_slice()));
    let found = store.state_scan("irc", "ghost/").await.unwrap();
    assert_eq!(
        found,
        vec![
            ("ghost/a".to_owned(), b"1".to_vec()),
            ("ghost/b".to_owned(), b"2".to_vec())
        ]
    );
    assert_eq!(store.state_scan("irc", "").await.unwrap().len(), 5);
    done(
        store,
        vec![state("irc", "ghost/a", None), state("irc", "ghost/b", Some(b"3"))],
    )
    .await;
    assert_eq!(
        store.state_scan("irc", "ghost/").await.unwrap(),
        vec![("ghost/b".to_owned(), b"3".to_vec())]
    );
    assert_eq!(store.state("irc", "ghost/a").await.unwrap(), None);
    assert_eq!(
        store.state("irc2", "ghost/a").await.unwrap().as_deref(),
        Some(b"other".as_slice())
    );
}

pub(super) async fn long_names_and_large_values(store: &dyn Store) {
    // Ids of full length, apart in the last byte only.
    let long = |end: &str| format!("{}{end}", "x".repeat(1023));
    for (number, end) in ["a", "b"].into_iter().enumerate() {
        let applied = done(store, vec![accept("a", event(&long(end), &long(end), end))]).await;
        assert_eq!(applied, vec![Accepted::New(Seq(number as u64 + 1))]);
    }
    let located = store.locate(&place(&long("b")), &id(&long("b"))).await.unwrap();
    assert_eq!(
        located,
        Some(Located {
            mirror: mirror("a"),
            seq: Seq(2)
        })
    );
    assert_eq!(store.locate(&place(&long("a")), &id(&long("b"))).await.unwrap(), None);
    // Long keys of a session scan in order, whatever stands for them inside.
    let keys: Vec<_> = (0..9).map(|n| format!("{}{n}", "k".repeat(700))).collect();
    done(
        store,
        keys.iter().map(|key| state("net", key, Some(key.as_bytes()))).collect(),
    )
    .await;
    let found = store.state_scan("net", &"k".repeat(700)).await.unwrap();
    assert_eq!(found.iter().map(|(key, _)| key.clone()).collect::<Vec<_>>(), keys);
    assert_eq!(
        store.state_scan("net", &keys[3]).await.unwrap(),
        vec![(keys[3].clone(), keys[3].clone().into_bytes())]
    );
    // Values around every border at which something changes inside, grown and shrunk in place.
    for size in [0, 1, 4095, 4096, 4097, 8192, 65_536, 262_144, 1_048_576, 20, 300_000, 0] {
        let value: Vec<u8> = (0..size).map(|n| u8::try_from(n % 251).unwrap()).collect();
        done(store, vec![state("net", "large", Some(&value))]).await;
        assert!(
            store.state("net", "large").await.unwrap() == Some(value),
            "{size} bytes came back otherwise"
        );
    }
    let text = "ä".repeat(120_000);
    done(store, vec![accept("large", event("x", "m1", &text))]).await;
    assert!(store.journal(&mirror("large"), Seq(0), 1).await.unwrap() == vec![(Seq(1), event("x", "m1", &text))]);
    done(
        store,
        vec![Op::Trim {
            mirror: mirror("large"),
            through: Seq(1),
        }],
    )
    .await;
    assert!(store.journal(&mirror("large"), Seq(0), 1).await.unwrap().is_empty());
}

pub(super) async fn too_large_is_refused_whole(store: &dyn Store) {
    let value = vec![7; crate::VALUE_BOUND + 1];
    let batch = vec![state("net", "small", Some(b"1")), state("net", "large", Some(&value))];
    assert_eq!(commit(store, batch).await, Err(StoreError::TooLarge(value.len())));
    assert_eq!(store.state("net", "small").await.unwrap(), None);
    let key = "k".repeat(crate::KEY_BOUND + 1);
    assert_eq!(
        commit(store, vec![state("net", &key, Some(b"1"))]).await,
        Err(StoreError::TooLarge(key.len()))
    );
    let value = vec![7; crate::VALUE_BOUND];
    let many = (0..9).map(|n| state("net", &format!("n{n}"), Some(&value))).collect();
    assert!(matches!(commit(store, many).await, Err(StoreError::TooLarge(_))));
    assert!(store.state_scan("net", "").await.unwrap().is_empty());
}

pub(super) async fn unknown_names_are_empty(store: &dyn Store) {
    let (name, at) = (mirror("none"), place("none"));
    assert_eq!(store.last(&name).await.unwrap(), Seq(0));
    assert!(store.journal(&name, Seq(0), 9).await.unwrap().is_empty());
    assert!(store.copies(&name, Seq(1), &at).await.unwrap().is_empty());
    assert_eq!(store.locate(&at, &id("m")).await.unwrap(), None);
    assert_eq!(store.delivery(&lane("none", "none"), Seq(1)).await.unwrap(), None);
    let filter = DeliveryFilter {
        mirror: Some(name),
        ..DeliveryFilter::default()
    };
    assert!(store.deliveries(&filter).await.unwrap().is_empty());
    assert!(store.portals().await.unwrap().is_empty());
    assert!(store.state_scan("none", "").await.unwrap().is_empty());
    assert!(done(store, Vec::new()).await.is_empty());
}
