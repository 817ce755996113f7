//! Tests that need to see what lies inside.

use std::collections::BTreeMap;
use std::path::Path;

use super::layout::{self, Extent, table};
use super::marker::{self, Left, Mark, Marker, Watermark};
use super::{SledStore, StoreOptions, migrate};
use crate::api::{Op, Seq, Store};
use crate::suite::{accept, commit, copied, event, id, lane, mirror, place};

fn sled_at(path: &Path) -> sled::Db {
    // The store that was dropped just now may not have let go yet.
    for _ in 0..500 {
        if let Ok(db) = sled::open(path) {
            return db;
        }
        std::thread::park_timeout(std::time::Duration::from_millis(10));
    }
    panic!("sled cannot be opened at {}", path.display());
}

/// Makes a store of schema 1 out of one of this schema.
async fn schema_one(path: &Path) {
    let store = SledStore::open(path, &StoreOptions::default()).unwrap();
    for n in 0..5 {
        commit(&store, vec![accept("a", event("x", &format!("m{n}"), "text"))])
            .await
            .unwrap();
    }
    let settle = |to, ids: &[&str]| Op::Settle {
        lane: lane("a", to),
        seq: Seq(3),
        copied: copied("x", "m2", ids),
        record: None,
    };
    commit(&store, vec![settle("y", &["p1", "p2"]), settle("z", &["q"])])
        .await
        .unwrap();
    store.close().await.unwrap();
    drop(store);
    let db = sled_at(path);
    for entry in db.scan_prefix([table::MIRROR]) {
        let (key, value) = entry.unwrap();
        let last = Extent::decode(&value).unwrap().last;
        db.insert(key, &last.0.to_be_bytes()).unwrap();
    }
    for entry in db.scan_prefix([table::COPIES]) {
        let (key, value) = entry.unwrap();
        let mut places: BTreeMap<u32, Vec<u8>> = BTreeMap::new();
        for (place, id) in layout::decode_copies(&value[1..]).unwrap() {
            let ids = places.entry(place).or_insert_with(|| vec![value[0]]);
            let id = id.as_str().as_bytes();
            ids.extend_from_slice(&u16::try_from(id.len()).unwrap().to_be_bytes());
            ids.extend_from_slice(id);
        }
        db.remove(&key).unwrap();
        for (place, ids) in places {
            db.insert([&key[..], &place.to_be_bytes()].concat(), ids).unwrap();
        }
    }
    db.insert(layout::SCHEMA, layout::encode_number(1)).unwrap();
    db.flush().unwrap();
    drop(db);
    marker::write(
        path,
        &Marker {
            schema: 1,
            left: Left::Open,
        },
    )
    .unwrap();
}

#[tokio::test]
async fn an_older_store_is_migrated() {
    let folder = tempfile::tempdir().unwrap();
    schema_one(folder.path()).await;
    let store = SledStore::open(folder.path(), &StoreOptions::default()).unwrap();
    assert_eq!(store.last(&mirror("a")).await, Ok(Seq(5)));
    assert_eq!(store.journal(&mirror("a"), Seq(0), 10).await.unwrap().len(), 5);
    for (at, ids) in [
        ("x", vec![id("m2")]),
        ("y", vec![id("p1"), id("p2")]),
        ("z", vec![id("q")]),
    ] {
        assert_eq!(store.copies(&mirror("a"), Seq(3), &place(at)).await, Ok(ids));
    }
    commit(
        &store,
        vec![Op::Trim {
            mirror: mirror("a"),
            through: Seq(2),
        }],
    )
    .await
    .unwrap();
    store.close().await.unwrap();
    drop(store);
    let marker::Found::Marker(found) = marker::read(folder.path()).unwrap() else {
        panic!("no marker")
    };
    assert_eq!(found.schema, migrate::SCHEMA);
    assert!(matches!(found.left, Left::Closed(_)));
    let store = SledStore::open(folder.path(), &StoreOptions::default()).unwrap();
    assert_eq!(store.journal(&mirror("a"), Seq(0), 10).await.unwrap().len(), 3);
}

#[tokio::test]
async fn a_migration_interrupted_before_its_marker_is_not_run_twice() {
    let folder = tempfile::tempdir().unwrap();
    schema_one(folder.path()).await;
    let db = sled_at(folder.path());
    assert!(migrate::run(&db).unwrap());
    assert!(!migrate::run(&db).unwrap());
    db.flush().unwrap();
    drop(db);
    drop(sled_at(folder.path()));
    let store = SledStore::open(folder.path(), &StoreOptions::default()).unwrap();
    assert_eq!(store.journal(&mirror("a"), Seq(0), 10).await.unwrap().len(), 5);
}

#[tokio::test]
async fn what_is_trimmed_leaves_the_disk() {
    let folder = tempfile::tempdir().unwrap();
    let store = SledStore::open(folder.path(), &StoreOptions::default()).unwrap();
    let text = "x".repeat(10_000);
    let events = (0..300)
        .map(|n| accept("a", event("x", &format!("m{n}"), &text)))
        .collect();
    commit(&store, events).await.unwrap();
    commit(
        &store,
        vec![Op::Trim {
            mirror: mirror("a"),
            through: Seq(u64::MAX),
        }],
    )
    .await
    .unwrap();
    // Closing may come before sweeping ends; the next process goes on with it.
    store.close().await.unwrap();
    drop(store);
    let store = SledStore::open(folder.path(), &StoreOptions::default()).unwrap();
    let left =
        |tree: &sled::Tree| tree.scan_prefix([table::JOURNAL]).count() + tree.scan_prefix([table::CHUNK]).count();
    for _ in 0..1000 {
        if left(&store.shared_tree()) == 0 {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    panic!("{} keys are left", left(&store.shared_tree()));
}

#[test]
fn a_torn_watermark_says_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let watermark = Watermark::open(folder.path()).unwrap();
    assert_eq!(Watermark::look(folder.path()), Mark::default());
    let mark = Mark {
        stamp: 7,
        length: 1 << 20,
    };
    watermark.write(mark).unwrap();
    assert_eq!(Watermark::look(folder.path()), mark);
    let path = folder.path().join(Watermark::FILE);
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[7] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    assert_eq!(Watermark::look(folder.path()), Mark::default());
}

#[tokio::test]
async fn nothing_leaves_the_log_for_a_file_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let store = SledStore::open(folder.path(), &StoreOptions::default()).unwrap();
    for n in 0..40 {
        // Long ids make long keys, and neighbouring values of the largest size that is not cut make the largest leaves.
        let id = format!("{}{n}", "i".repeat(1000));
        let ops = (0..40).map(|m| Op::State {
            owner: "net".to_owned(),
            key: format!("{}{n:03}/{m:03}{}", "k".repeat(150), "l".repeat(500)),
            value: Some(vec![7; super::large::CHUNK - 700]),
        });
        let events = [accept(&format!("m{n}"), event(&id, &id, &"t".repeat(262_144)))];
        commit(&store, ops.chain(events).collect()).await.unwrap();
    }
    let blobs = std::fs::read_dir(folder.path().join("blobs")).unwrap().count();
    assert_eq!(blobs, 0);
}

impl SledStore {
    fn shared_tree(&self) -> sled::Tree {
        sled::Tree::clone(&self.shared.db().unwrap())
    }
}
