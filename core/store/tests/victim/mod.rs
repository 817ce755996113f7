//! A process that commits to a store and says what is stored, until it is killed; and what it must have left then. The power
//! cuts of `tests/powercut` use it too.
//!
//! A test runs itself as the victim: it has an ignored test `child`, which commits.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Arc;

use viaduct_store::suite::{commit, event, lane, mirror};
use viaduct_store::{Op, Seq, SledStore, Store, StoreOptions};

/// How many tasks commit at once, each to a mirror of its own.
pub const TASKS: u64 = 4;

/// The last batch that each task was told is stored.
pub type Acknowledged = BTreeMap<u64, u64>;

/// Says that a batch is stored; false if nobody listens any more.
pub fn say(task: u64, number: u64) -> bool {
    let mut out = std::io::stdout().lock();
    writeln!(out, "ack {task} {number}").and_then(|()| out.flush()).is_ok()
}

/// Commits batches and says what is stored, until the disk fails or nobody listens any more.
pub async fn commit_and_say(folder: &str, batch: fn(u64, u64) -> Vec<Op>) {
    let store = Arc::new(SledStore::open(folder, &StoreOptions::default()).unwrap());
    let tasks: Vec<_> = (0..TASKS)
        .map(|task| {
            let store = Arc::clone(&store);
            tokio::spawn(async move {
                let start = store.last(&mirror(&format!("m{task}"))).await.unwrap().0;
                for number in start + 1.. {
                    if commit(&*store, batch(task, number)).await.is_err() || !say(task, number) {
                        break;
                    }
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
}

/// The process.
pub struct Victim {
    child: Child,
    lines: BufReader<ChildStdout>,
}

impl Victim {
    /// Starts it with these variables.
    pub fn start(variables: &[(&str, &OsStr)]) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "child", "--ignored", "--nocapture", "--test-threads=1"]);
        command.envs(variables.iter().copied());
        command.stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap());
        Self { child, lines }
    }

    /// Notes the next acknowledgement; false at the end. A line that was cut off acknowledges nothing.
    fn listen(&mut self, acknowledged: &mut Acknowledged) -> bool {
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

    /// Waits for so many acknowledgements.
    pub fn listen_for(&mut self, count: usize, acknowledged: &mut Acknowledged) {
        for heard in 0..count {
            let more = self.listen(acknowledged);
            assert!(more, "the process ended by itself after {heard} batches");
        }
    }

    /// Kills it. What it said before its end counts too.
    pub fn end(mut self, acknowledged: &mut Acknowledged) {
        self.child.kill().unwrap();
        while self.listen(acknowledged) {}
        self.child.wait().unwrap();
    }
}

/// Asserts that a task's batches are all there that it was told are stored, and each of them whole; how many there are.
/// `value` is what a batch keeps, `moment` says when it is looked.
pub async fn assert_whole(
    store: &SledStore,
    task: u64,
    acknowledged: &Acknowledged,
    value: fn(u64) -> Vec<u8>,
    moment: &str,
) -> u64 {
    let name = format!("m{task}");
    let last = store.last(&mirror(&name)).await.unwrap().0;
    let known = acknowledged.get(&task).copied().unwrap_or(0);
    assert!(
        last >= known,
        "{moment}: {known} batches were acknowledged, {last} are there"
    );
    let journal = store.journal(&mirror(&name), Seq(0), usize::MAX).await.unwrap();
    let state = store.state_scan(&name, "").await.unwrap();
    let counts = (journal.len() as u64, state.len() as u64);
    assert_eq!(counts, (last, last), "{moment}: half a batch");
    for (number, ((seq, entry), (_, bytes))) in (1..).zip(journal.iter().zip(&state)) {
        assert_eq!(*seq, Seq(number), "{moment}");
        let said = event(&format!("p{task}"), &format!("e{number}"), &format!("text {number}"));
        assert_eq!(*entry, said, "{moment}");
        assert!(*bytes == value(number), "{moment}: value {number} is another");
    }
    let mark = store.lane(&lane(&name, "to")).await.unwrap();
    assert_eq!(
        mark.map_or(Seq(0), |mark| mark.settled),
        Seq(last),
        "{moment}: half a batch"
    );
    last
}

/// A number that differs from round to round, the same in every run.
pub fn scatter(round: usize, bound: usize) -> usize {
    (round + 1).wrapping_mul(2_654_435_761) / 7 % bound
}
