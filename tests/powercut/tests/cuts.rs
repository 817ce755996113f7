//! A store whose power is cut at any moment has everything it acknowledged, and no half of a batch.
//!
//! The test runs itself as the process on the disk: see [`child`]. `VIADUCT_LONG=1` makes it 24 cuts instead of 6. Where FUSE
//! cannot be used the tests say so and pass.

#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Arc;

use tempfile::TempDir;
use viaduct_powercut::{Cut, Disk, Mounted};
use viaduct_store::suite::{accept, commit, event, lane, mirror};
use viaduct_store::{Op, Seq, SledStore, Store, StoreOptions};

const FOLDER: &str = "VIADUCT_CUT_FOLDER";
const UNSYNCED: &str = "VIADUCT_CUT_UNSYNCED";
const TASKS: u64 = 4;

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

fn say(task: u64, number: u64) {
    let mut out = std::io::stdout().lock();
    // When nobody listens any more the power is off.
    writeln!(out, "ack {task} {number}").and_then(|()| out.flush()).ok();
}

/// Not a test of its own: commits and says what is stored until the disk fails or it is killed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "is run by the other tests, which cut its power"]
async fn child() {
    let folder = std::env::var(FOLDER).unwrap();
    if std::env::var(UNSYNCED).is_ok() {
        return unsynced(&folder);
    }
    let store = Arc::new(SledStore::open(&folder, &StoreOptions::default()).unwrap());
    let tasks: Vec<_> = (0..TASKS)
        .map(|task| {
            let store = Arc::clone(&store);
            tokio::spawn(async move {
                let start = store.last(&mirror(&format!("m{task}"))).await.unwrap().0;
                for number in start + 1.. {
                    if commit(&*store, batch(task, number)).await.is_err() {
                        break;
                    }
                    say(task, number);
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
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
        say(0, number);
    }
}

/// The process on the disk.
struct Victim {
    child: Child,
    lines: BufReader<ChildStdout>,
}

impl Victim {
    fn start(folder: &Path, unsynced: bool) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "child", "--ignored", "--nocapture", "--test-threads=1"]);
        command.env(FOLDER, folder).stdout(Stdio::piped()).stderr(Stdio::null());
        if unsynced {
            command.env(UNSYNCED, "1");
        }
        let mut child = command.spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap());
        Self { child, lines }
    }

    /// Notes the next acknowledgement; false at the end.
    fn listen(&mut self, acknowledged: &mut BTreeMap<u64, u64>) -> bool {
        let mut line = String::new();
        while self.lines.read_line(&mut line).unwrap_or(0) > 0 {
            if line.ends_with('\n')
                && let Some((_, rest)) = line.split_once("ack ")
                && let Some((task, number)) = rest.trim_end().split_once(' ')
                && let (Ok(task), Ok(number)) = (task.parse(), number.parse::<u64>())
            {
                let last = acknowledged.entry(task).or_default();
                *last = number.max(*last);
                return true;
            }
            line.clear();
        }
        false
    }

    /// Ends it. What it said before its power went, it said after a sync: it counts.
    fn end(mut self, acknowledged: &mut BTreeMap<u64, u64>) {
        self.child.kill().unwrap();
        while self.listen(acknowledged) {}
        self.child.wait().unwrap();
    }
}

/// One life of a disk: starts from what `before` holds, is cut after so many acknowledgements, leaves what survived.
/// None where FUSE cannot be used.
fn live_and_cut(
    before: &Path,
    unsynced: bool,
    after: usize,
    how: Cut,
    acknowledged: &mut BTreeMap<u64, u64>,
) -> Option<(TempDir, usize)> {
    let point = tempfile::tempdir().unwrap();
    let mounted = match Mounted::new(Disk::load(before).unwrap(), point.path()) {
        Ok(mounted) => mounted,
        Err(error) => {
            println!("Skipped: a FUSE file system cannot be mounted here: {error}");
            return None;
        }
    };
    let mut victim = Victim::start(&point.path().join("store"), unsynced);
    for count in 0..after {
        assert!(
            victim.listen(acknowledged),
            "the process ended by itself after {count} batches"
        );
    }
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

/// A number that differs from round to round, the same in every run.
fn scatter(round: usize, bound: usize) -> usize {
    (round + 1).wrapping_mul(2_654_435_761) / 7 % bound
}

#[tokio::test]
async fn a_power_cut_loses_nothing_acknowledged() {
    let cuts = if std::env::var("VIADUCT_LONG").is_ok() { 24 } else { 6 };
    let mut disk = tempfile::tempdir().unwrap();
    let mut acknowledged = BTreeMap::new();
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
            let name = format!("m{task}");
            let last = store.last(&mirror(&name)).await.unwrap().0;
            let known = acknowledged.get(&task).copied().unwrap_or(0);
            assert!(
                last >= known,
                "cut {round} ({how:?}): {known} batches were acknowledged, {last} are there"
            );
            let journal = store.journal(&mirror(&name), Seq(0), usize::MAX).await.unwrap();
            let state = store.state_scan(&name, "").await.unwrap();
            assert_eq!(
                (journal.len() as u64, state.len() as u64),
                (last, last),
                "cut {round}: half a batch"
            );
            for (number, (_, bytes)) in (1..).zip(&state) {
                assert!(*bytes == value(number), "cut {round}: value {number} is another");
            }
            let settled = store
                .lane(&lane(&name, "to"))
                .await
                .unwrap()
                .map_or(Seq(0), |mark| mark.settled);
            assert_eq!(settled, Seq(last), "cut {round}: half a batch");
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
    let mut acknowledged = BTreeMap::new();
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
