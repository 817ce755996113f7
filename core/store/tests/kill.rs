//! A process that is killed at any moment loses nothing it was told is stored, and leaves no half of a batch.
//!
//! `VIADUCT_LONG=1` makes it 60 kills instead of 5.

#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod victim;

use std::ffi::OsStr;
use std::path::Path;

use viaduct_store::suite::{accept, copied, event, id, lane, place};
use viaduct_store::{Op, Seq, SledStore, Store, StoreOptions};
use victim::{Acknowledged, TASKS, Victim, assert_whole, commit_and_say, say, scatter};

const FOLDER: &str = "VIADUCT_KILL_FOLDER";
const UNFLUSHED: &str = "VIADUCT_KILL_UNFLUSHED";

fn value(number: u64) -> Vec<u8> {
    // Now and then one that is cut into parts.
    let size = if number.is_multiple_of(23) {
        20_000
    } else {
        20 + number % 400
    };
    number
        .to_be_bytes()
        .into_iter()
        .cycle()
        .take(usize::try_from(size).unwrap())
        .collect()
}

/// Three changes in three tables that must come and go together.
fn batch(task: u64, number: u64) -> Vec<Op> {
    let name = format!("m{task}");
    let at = format!("p{task}");
    vec![
        accept(&name, event(&at, &format!("e{number}"), &format!("text {number}"))),
        Op::State {
            owner: name.clone(),
            key: format!("{number:08}"),
            value: Some(value(number)),
        },
        Op::Settle {
            lane: lane(&name, "to"),
            seq: Seq(number),
            copied: copied(&at, &format!("e{number}"), &[&format!("{task}/{number}")]),
            record: None,
        },
    ]
}

/// Not a test of its own: commits and says what is stored until it is killed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "is run by the other tests, which kill it"]
async fn child() {
    let folder = std::env::var(FOLDER).unwrap();
    if std::env::var(UNFLUSHED).is_ok() {
        return unflushed(&folder);
    }
    commit_and_say(&folder, batch).await;
}

/// The control: sled alone, which says "stored" before it has flushed.
fn unflushed(folder: &str) {
    let db = sled::open(folder).unwrap();
    let start = db.len() as u64;
    for number in start + 1.. {
        db.insert(number.to_be_bytes(), value(number)).unwrap();
        if !say(0, number) {
            break;
        }
    }
}

/// Runs the child until it has acknowledged so many batches, kills it, and adds what it said to what is known.
fn run_and_kill(folder: &Path, unflushed: bool, after: usize, acknowledged: &mut Acknowledged) {
    let mut variables = vec![(FOLDER, folder.as_os_str())];
    if unflushed {
        variables.push((UNFLUSHED, OsStr::new("1")));
    }
    let mut victim = Victim::start(&variables);
    victim.listen_for(after, acknowledged);
    victim.end(acknowledged);
}

#[tokio::test]
async fn a_killed_process_loses_nothing_acknowledged() {
    let kills = if std::env::var("VIADUCT_LONG").is_ok() { 60 } else { 5 };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    let mut acknowledged = Acknowledged::new();
    for round in 0..kills {
        run_and_kill(&path, false, 1 + scatter(round, 900), &mut acknowledged);
        let store = SledStore::open(&path, &StoreOptions::default()).unwrap();
        for task in 0..TASKS {
            let last = assert_whole(&store, task, &acknowledged, value, &format!("round {round}")).await;
            for number in 1..=last + 1 {
                let copy = id(&format!("{task}/{number}"));
                let located = store.locate(&place("to"), &copy).await.unwrap();
                let expected = (number <= last).then_some(Seq(number));
                assert_eq!(located.map(|located| located.seq), expected, "round {round}");
            }
        }
        // Every other round the child finds a store that was closed in order.
        if round % 2 == 0 {
            store.close().await.unwrap();
        }
        drop(store);
    }
    println!(
        "{kills} kills, {} batches acknowledged, none lost.",
        acknowledged.values().sum::<u64>()
    );
}

#[test]
fn the_test_sees_a_loss() {
    let folder = tempfile::tempdir().unwrap();
    let mut lost = 0;
    for round in 0..5 {
        let mut acknowledged = Acknowledged::new();
        run_and_kill(folder.path(), true, 200 + scatter(round, 900), &mut acknowledged);
        let db = sled::open(folder.path()).unwrap();
        let known = acknowledged.get(&0).copied().unwrap_or(0);
        lost += (1..=known)
            .filter(|number| !db.contains_key(number.to_be_bytes()).unwrap())
            .count();
        // Written by this process, so that the next round starts from what it really has.
        db.clear().unwrap();
        db.flush().unwrap();
        drop(db);
        let lock = std::fs::File::open(folder.path().join("db")).unwrap();
        lock.lock().unwrap();
    }
    assert!(
        lost > 0,
        "without a flush something must be lost, or this test cannot fail"
    );
}
