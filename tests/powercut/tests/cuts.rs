//! A store whose power is cut at any moment has everything it acknowledged, and no half of a batch.
//!
//! `VIADUCT_LONG=1` makes it 24 cuts instead of 6. Where FUSE cannot be used the tests say so and pass.

#![allow(clippy::unwrap_used, clippy::print_stdout)]

#[path = "../../../core/store/tests/victim/mod.rs"]
mod victim;

use std::ffi::OsStr;
use std::path::Path;

use tempfile::TempDir;
use viaduct_powercut::{Cut, Disk, Mounted};
use viaduct_store::suite::{accept, event, lane};
use viaduct_store::{Op, Seq, SledStore, Store, StoreOptions};
use victim::{Acknowledged, TASKS, Victim, assert_whole, commit_and_say, say, scatter};

const FOLDER: &str = "VIADUCT_CUT_FOLDER";
const UNSYNCED: &str = "VIADUCT_CUT_UNSYNCED";

/// Values from 20 bytes to 256 KiB; mostly small ones, as in life.
fn value(number: u64) -> Vec<u8> {
    let size: usize = match number % 40 {
        7 => 256 * 1024,
        17 => 65_536,
        27 => 5_000,
        37 => 131_072,
        small => 20 + usize::try_from(small).unwrap() * 30,
    };
    number.to_be_bytes().into_iter().cycle().take(size).collect()
}

fn batch(task: u64, number: u64) -> Vec<Op> {
    let name = format!("m{task}");
    vec![
        accept(
            &name,
            event(&format!("p{task}"), &format!("e{number}"), &format!("text {number}")),
        ),
        Op::State {
            owner: name.clone(),
            key: format!("{number:08}"),
            value: Some(value(number)),
        },
        Op::Settle {
            lane: lane(&name, "to"),
            seq: Seq(number),
            copied: None,
            record: None,
        },
    ]
}

/// Not a test of its own: commits and says what is stored until the disk fails or it is killed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "is run by the other tests, which cut its power"]
async fn child() {
    let folder = std::env::var(FOLDER).unwrap();
    if std::env::var(UNSYNCED).is_ok() {
        return unsynced(&folder);
    }
    commit_and_say(&folder, batch).await;
}

/// The control: sled alone, which says "stored" after its own flush.
fn unsynced(folder: &str) {
    let db = sled::Config::new().path(folder).flush_every_ms(None).open().unwrap();
    for number in 1.. {
        if db
            .insert(u64::to_be_bytes(number), value(number))
            .and_then(|_| db.flush())
            .is_err()
        {
            break;
        }
        if !say(0, number) {
            break;
        }
    }
}

/// One life of a disk: starts from what `before` holds, is cut after so many acknowledgements, leaves what survived.
/// None where FUSE cannot be used.
fn live_and_cut(
    before: &Path,
    unsynced: bool,
    after: usize,
    how: Cut,
    acknowledged: &mut Acknowledged,
) -> Option<(TempDir, usize)> {
    let point = tempfile::tempdir().unwrap();
    let mounted = match Mounted::new(Disk::load(before).unwrap(), point.path()) {
        Ok(mounted) => mounted,
        Err(error) => {
            println!("Skipped: a FUSE file system cannot be mounted here: {error}");
            return None;
        }
    };
    let folder = point.path().join("store");
    let mut variables = vec![(FOLDER, folder.as_os_str())];
    if unsynced {
        variables.push((UNSYNCED, OsStr::new("1")));
    }
    let mut victim = Victim::start(&variables);
    victim.listen_for(after, acknowledged);
    let survived = tempfile::tempdir().unwrap();
    let pages = mounted.cut(how, survived.path()).unwrap();
    victim.end(acknowledged);
    Some((survived, pages))
}

fn copy(folder: &Path) -> TempDir {
    let copied = tempfile::tempdir().unwrap();
    Disk::load(folder).unwrap().cut(Cut::Forget, copied.path()).unwrap();
    copied
}

#[tokio::test]
async fn a_power_cut_loses_nothing_acknowledged() {
    let cuts = if std::env::var("VIADUCT_LONG").is_ok() { 24 } else { 6 };
    let mut disk = tempfile::tempdir().unwrap();
    let mut acknowledged = Acknowledged::new();
    let mut unsynced = 0;
    for round in 0..cuts {
        let how = if round % 2 == 0 {
            Cut::Forget
        } else {
            Cut::Scatter(round as u64)
        };
        let after = 1 + scatter(round, 250);
        let Some((survived, pages)) = live_and_cut(disk.path(), false, after, how, &mut acknowledged) else {
            return;
        };
        unsynced += pages;
        // Every third disk stays as the cut left it, recovered only by the next process on it; the others are recovered and
        // closed here.
        let (looked_at, untouched) = if round % 3 == 0 {
            (copy(survived.path()), Some(survived))
        } else {
            (survived, None)
        };
        let store = SledStore::open(looked_at.path().join("store"), &StoreOptions::default()).unwrap();
        for task in 0..TASKS {
            assert_whole(&store, task, &acknowledged, value, &format!("cut {round} ({how:?})")).await;
        }
        store.close().await.unwrap();
        drop(store);
        disk = untouched.unwrap_or(looked_at);
    }
    let batches = acknowledged.values().sum::<u64>();
    println!("{cuts} cuts, {batches} batches acknowledged, none lost; {unsynced} pages were unsynced at the cuts.");
}

#[test]
fn the_test_sees_a_loss() {
    let empty = tempfile::tempdir().unwrap();
    let mut acknowledged = Acknowledged::new();
    let Some((survived, _)) = live_and_cut(empty.path(), true, 100, Cut::Forget, &mut acknowledged) else {
        return;
    };
    let known = acknowledged.get(&0).copied().unwrap_or(0);
    let path = survived.path().join("store");
    let found = match sled::open(&path) {
        Ok(db) => (1..=known)
            .filter(|number| db.contains_key(number.to_be_bytes()).unwrap_or(false))
            .count() as u64,
        // Not even a database is left.
        Err(_) => 0,
    };
    assert!(
        known >= 100 && found < known,
        "flushing without a sync lost nothing: this test cannot fail"
    );
    println!("sled with flush() alone: {known} acknowledged, {} lost.", known - found);
}
