//! A process that is killed at any moment loses nothing it was told is stored, and leaves no half of a batch.
//!
//! The test runs itself as the process to kill: see [`child`]. `VIADUCT_LONG=1` makes it 60 kills instead of 5.

#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use viaduct_store::suite::{accept, commit, copied, event, id, lane, mirror, place};
use viaduct_store::{Op, Seq, SledStore, Store, StoreOptions};

const FOLDER: &str = "VIADUCT_KILL_FOLDER";
const UNFLUSHED: &str = "VIADUCT_KILL_UNFLUSHED";
const TASKS: u64 = 4;

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

fn say(task: u64, number: u64) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "ack {task} {number}").unwrap();
    out.flush().unwrap();
}

/// Not a test of its own: commits and says what is stored until it is killed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "is run by the other tests, which kill it"]
async fn child() {
    let folder = std::env::var(FOLDER).unwrap();
    if std::env::var(UNFLUSHED).is_ok() {
        return unflushed(&folder);
    }
    let store = Arc::new(SledStore::open(&folder, &StoreOptions::default()).unwrap());
    let tasks: Vec<_> = (0..TASKS)
        .map(|task| {
            let store = Arc::clone(&store);
            tokio::spawn(async move {
                let start = store.last(&mirror(&format!("m{task}"))).await.unwrap().0;
                for number in start + 1.. {
                    commit(&*store, batch(task, number)).await.unwrap();
                    say(task, number);
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
}

/// The control: sled alone, which says "stored" before it has flushed.
fn unflushed(folder: &str) {
    let db = sled::open(folder).unwrap();
    let start = db.len() as u64;
    for number in start + 1.. {
        db.insert(number.to_be_bytes(), value(number)).unwrap();
        say(0, number);
    }
}

/// Runs the child until it has acknowledged so many batches, kills it, and adds what it said to what is known. What it
/// still says between the last line counted and its end counts too.
fn run_and_kill(folder: &Path, unflushed: bool, after: usize, acknowledged: &mut BTreeMap<u64, u64>) {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "child", "--ignored", "--nocapture", "--test-threads=1"]);
    command.env(FOLDER, folder).stdout(Stdio::piped()).stderr(Stdio::null());
    if unflushed {
        command.env(UNFLUSHED, "1");
    }
    let mut child = command.spawn().unwrap();
    let mut count = 0;
    let mut lines = BufReader::new(child.stdout.take().unwrap())
        .lines()
        .map_while(Result::ok);
    for line in lines.by_ref() {
        let Some(rest) = line.split_once("ack ").map(|(_, rest)| rest) else {
            continue;
        };
        let mut numbers = rest.split(' ').filter_map(|number| number.parse::<u64>().ok());
        // The last line may have been cut off by the kill; then it acknowledges nothing.
        let (Some(task), Some(number)) = (numbers.next(), numbers.next()) else {
            continue;
        };
        let last = acknowledged.entry(task).or_default();
        *last = number.max(*last);
        count += 1;
        if count == after {
            child.kill().unwrap();
            break;
        }
    }
    // What is still in the pipe was acknowledged as well, but a line without its end may be half a number.
    let rest: Vec<_> = lines.collect();
    for line in rest.iter().take(rest.len().saturating_sub(1)) {
        if let Some((task, number)) = line.strip_prefix("ack ").and_then(|rest| rest.split_once(' ')) {
            let last = acknowledged.entry(task.parse().unwrap()).or_default();
            *last = number.parse::<u64>().unwrap().max(*last);
        }
    }
    child.wait().unwrap();
    assert!(count >= after, "the child ended by itself after {count} batches");
}

/// A number that differs from round to round, the same in every run.
fn scatter(round: usize, bound: usize) -> usize {
    (round + 1).wrapping_mul(2_654_435_761) / 7 % bound
}

#[tokio::test]
async fn a_killed_process_loses_nothing_acknowledged() {
    let kills = if std::env::var("VIADUCT_LONG").is_ok() { 60 } else { 5 };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    let mut acknowledged = BTreeMap::new();
    for round in 0..kills {
        run_and_kill(&path, false, 1 + scatter(round, 900), &mut acknowledged);
        let store = SledStore::open(&path, &StoreOptions::default()).unwrap();
        for task in 0..TASKS {
            let name = format!("m{task}");
            let last = store.last(&mirror(&name)).await.unwrap().0;
            let known = acknowledged.get(&task).copied().unwrap_or(0);
            assert!(
                last >= known,
                "round {round}: {known} batches were acknowledged, {last} are there"
            );
            let journal = store.journal(&mirror(&name), Seq(0), usize::MAX).await.unwrap();
            let state = store.state_scan(&name, "").await.unwrap();
            assert_eq!(
                (journal.len() as u64, state.len() as u64),
                (last, last),
                "round {round}: half a batch"
            );
            for (number, ((seq, entry), (_, bytes))) in (1..).zip(journal.iter().zip(&state)) {
                assert_eq!(*seq, Seq(number));
                assert_eq!(
                    *entry,
                    event(&format!("p{task}"), &format!("e{number}"), &format!("text {number}"))
                );
                assert!(*bytes == value(number));
                let located = store
                    .locate(&place("to"), &id(&format!("{task}/{number}")))
                    .await
                    .unwrap();
                assert_eq!(located.map(|located| located.seq), Some(Seq(number)));
            }
            let settled = store
                .lane(&lane(&name, "to"))
                .await
                .unwrap()
                .map_or(Seq(0), |mark| mark.settled);
            assert_eq!(settled, Seq(last), "round {round}: half a batch");
            assert_eq!(
                store
                    .locate(&place("to"), &id(&format!("{task}/{}", last + 1)))
                    .await
                    .unwrap(),
                None
            );
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
        let mut acknowledged = BTreeMap::new();
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
