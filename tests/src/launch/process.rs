//! One running server.

use std::fs::{self, File};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, kill_process_group, pidfd_open, test_kill_process_group};

/// How long a server may take to end by itself.
const GRACE: Duration = Duration::from_secs(10);
/// How often it is looked whether a group has ended.
const LOOK: Duration = Duration::from_millis(20);
/// How much of a server's log is shown when it fails.
const TAIL_LINES: usize = 40;

/// A running server: its own process id, its output in a file, ended when dropped.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
    /// Whether it leads a group of processes that have to end with it.
    leads_group: bool,
}

impl Process {
    /// Starts a program that stays one process.
    ///
    /// # Errors
    ///
    /// When it cannot be started.
    pub fn start(name: &str, command: Command, log: &Path) -> anyhow::Result<Self> {
        Self::spawn(name, command, log, false)
    }

    /// Starts a program that is a script around its server: signals go to both.
    ///
    /// # Errors
    ///
    /// When it cannot be started.
    pub fn start_group(name: &str, mut command: Command, log: &Path) -> anyhow::Result<Self> {
        command.process_group(0);
        Self::spawn(name, command, log, true)
    }

    fn spawn(name: &str, mut command: Command, log: &Path, leads_group: bool) -> anyhow::Result<Self> {
        let output = File::options().create(true).append(true).open(log)?;
        let child = command
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .spawn()
            .with_context(|| format!("starting {name} ({})", command.get_program().display()))?;
        Ok(Self {
            name: name.to_owned(),
            child,
            log: log.to_owned(),
            leads_group,
        })
    }

    /// What it is called in messages.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Whether it has not ended.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Its exit status, once it has ended.
    pub fn status(&mut self) -> Option<std::process::ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// Sends a signal; without effect on one that has ended.
    pub fn signal(&self, signal: Signal) {
        let Some(pid) = self.pid() else { return };
        let sent = if self.leads_group {
            kill_process_group(pid, signal)
        } else {
            kill_process(pid, signal)
        };
        // It may have ended in between.
        sent.ok();
    }

    /// Stops it in its tracks: it neither reads nor answers until [`Process::resume`].
    pub fn pause(&self) {
        self.signal(Signal::STOP);
    }

    /// Lets a paused one go on.
    pub fn resume(&self) {
        self.signal(Signal::CONT);
    }

    /// Ends it at once, as a power cut of the process would (SIGKILL).
    pub fn kill(&mut self) {
        let group_lives = self.leads_group && self.pid().is_some_and(|group| test_kill_process_group(group).is_ok());
        if self.is_running() || group_lives {
            self.signal(Signal::KILL);
        }
        self.child.wait().ok();
        self.group_ended_within(GRACE);
    }

    /// Asks it to end (SIGTERM), and ends it if it has not after ten seconds. Says whether it went by itself.
    pub fn stop(&mut self) -> bool {
        if !self.is_running() {
            return true;
        }
        self.signal(Signal::TERM);
        let gone = self.ended_within(GRACE) && self.group_ended_within(GRACE);
        self.kill();
        gone
    }

    /// Waits until the others of its group are gone as well: a script may end before the server it started.
    fn group_ended_within(&mut self, bound: Duration) -> bool {
        let Some(group) = self.pid().filter(|_| self.leads_group) else {
            return true;
        };
        // An ended leader that nobody waited for still counts as one of the group.
        self.child.try_wait().ok();
        let looks = bound.as_millis() / LOOK.as_millis();
        (0..looks).any(|_| {
            let gone = test_kill_process_group(group).is_err();
            if !gone {
                // Nothing to wait for but time: these are not our children.
                poll(&mut [], Timespec::try_from(LOOK).ok().as_ref()).ok();
            }
            gone
        })
    }

    /// Waits for its end.
    pub fn ended_within(&self, bound: Duration) -> bool {
        let Some(pid) = self.pid() else { return true };
        let Ok(handle) = pidfd_open(pid, PidfdFlags::empty()) else {
            return true;
        };
        let Ok(bound) = Timespec::try_from(bound) else {
            return false;
        };
        poll(&mut [PollFd::new(&handle, PollFlags::IN)], Some(&bound)).is_ok_and(|ready| ready > 0)
    }

    /// The processor time it has used so far, in seconds; zero once it has ended.
    pub fn cpu_seconds(&self) -> f64 {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.id())).unwrap_or_default();
        // The name before them, in parentheses, may contain anything.
        let fields: Vec<&str> = stat
            .rsplit_once(')')
            .map_or("", |(_, rest)| rest)
            .split_whitespace()
            .collect();
        let ticks = |field: usize| {
            fields
                .get(field)
                .and_then(|value| value.parse::<f64>().ok())
                .unwrap_or_default()
        };
        // proc(5): utime and stime are fields 14 and 15, and the state, first here, is field 3.
        #[expect(clippy::cast_precision_loss, reason = "it is 100 or thereabouts")]
        let per_second = rustix::param::clock_ticks_per_second() as f64;
        (ticks(11) + ticks(12)) / per_second
    }

    /// The memory it has in use now, in KiB; zero once it has ended.
    pub fn resident_kib(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.id())).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        line.and_then(|rest| rest.split_whitespace().next())
            .and_then(|value| value.parse().ok())
            .unwrap_or_default()
    }

    /// The last lines of what it printed.
    pub fn log_tail(&self) -> String {
        let text = String::from_utf8_lossy(&fs::read(&self.log).unwrap_or_default()).into_owned();
        let lines: Vec<&str> = text.lines().collect();
        lines
            .iter()
            .skip(lines.len().saturating_sub(TAIL_LINES))
            .copied()
            .collect::<Vec<_>>()
            .join("\n")
    }

    /// Everything it printed.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    /// Adds the end of its log to an error.
    ///
    /// # Errors
    ///
    /// The one given.
    pub fn explain<T>(&self, result: anyhow::Result<T>) -> anyhow::Result<T> {
        result.map_err(|error| error.context(format!("{} said:\n{}", self.name, self.log_tail())))
    }

    fn pid(&self) -> Option<Pid> {
        i32::try_from(self.child.id()).ok().and_then(Pid::from_raw)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // A paused process would not hear the request.
        self.resume();
        self.stop();
    }
}

/// Checks that none of these processes listens on anything but loopback.
///
/// # Errors
///
/// Names the first address that can be reached from elsewhere.
pub fn assert_loopback_only(processes: &[&Process]) -> anyhow::Result<()> {
    let output = Command::new(super::program("ss", "iproute2")?)
        .args(["-H", "-l", "-t", "-u", "-n", "-p"])
        .output()?;
    ensure!(
        output.status.success(),
        "ss failed: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    let listing = String::from_utf8_lossy(&output.stdout);
    for process in processes {
        if let Some(line) = exposed(&listing, process.id()) {
            anyhow::bail!("{} listens beyond loopback: {line}", process.name());
        }
    }
    Ok(())
}

/// The first line of `ss -Hltunp` on which this process has an address other than loopback.
fn exposed(listing: &str, id: u32) -> Option<&str> {
    let owner = format!("pid={id},");
    listing.lines().filter(|line| line.contains(&owner)).find(|line| {
        let address = line.split_whitespace().nth(4).unwrap_or_default();
        !(address.starts_with("127.") || address.starts_with("[::1]") || address.starts_with("[::ffff:127."))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::launch::Place;
    use crate::wait::wait_until;

    #[test]
    fn a_server_that_listens_everywhere_is_found() {
        let listing = "tcp LISTEN 0 5 127.0.0.1:22 0.0.0.0:* users:((\"a\",pid=7,fd=3))\n\
                       tcp LISTEN 0 5 0.0.0.0:23 0.0.0.0:* users:((\"b\",pid=8,fd=3))\n\
                       tcp LISTEN 0 5 [::]:24 [::]:* users:((\"c\",pid=9,fd=3))\n";
        assert_eq!(exposed(listing, 7), None);
        assert!(exposed(listing, 8).unwrap().contains(":23"));
        assert!(exposed(listing, 9).unwrap().contains(":24"));
        assert_eq!(exposed(listing, 77), None);
    }

    #[tokio::test]
    async fn a_process_ends_when_asked_or_when_dropped() {
        let place = Place::new("process").unwrap();
        let mut command = Command::new("sh");
        command.args(["-c", "echo ready; exec sleep 60"]);
        let mut process = Process::start("sleeper", command, &place.file("log")).unwrap();
        wait_until("its first line", Duration::from_secs(10), || {
            process.log_tail() == "ready"
        })
        .await
        .unwrap();
        assert!(process.is_running());
        assert!(process.stop(), "sleep ends on SIGTERM");
        assert!(!process.is_running());

        let mut command = Command::new("sh");
        command.args([
            "-c",
            "(trap '' TERM; echo deaf; sleep 60 & wait) & trap 'exit' TERM; wait",
        ]);
        let mut process = Process::start_group("deaf child", command, &place.file("log1")).unwrap();
        wait_until("its child", Duration::from_secs(10), || process.log_tail() == "deaf")
            .await
            .unwrap();
        let group = process.pid().unwrap();
        assert!(!process.stop(), "its child does not end by itself");
        assert!(
            test_kill_process_group(group).is_err(),
            "its child is ended all the same"
        );

        let mut command = Command::new("sh");
        command.args(["-c", "trap '' TERM; sleep 60 & wait"]);
        let process = Process::start_group("group", command, &place.file("log2")).unwrap();
        let leader = process.id();
        process.signal(Signal::KILL);
        assert!(process.ended_within(Duration::from_secs(5)));
        drop(process);
        assert!(!Path::new(&format!("/proc/{leader}")).exists());
    }
}
