//! What programs say to whom: their system calls on sockets, as strace sees them.

use std::cell::Cell;
use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, ensure};

use super::{Missing, Place, READY, program};
use crate::wait::wait_for;

/// The calls by which a program reaches somebody; `execve` stands first, and so tells the program's own process id.
const CALLS: &str = "trace=execve,connect,sendto,sendmsg,sendmmsg,write,writev,sendfile,splice";
/// How much of what is written is looked at, in bytes of one call; more than the hub gives a socket at once.
const SHOWN: &str = "1048576";

/// Watches programs.
#[derive(Debug)]
pub struct Trace {
    strace: PathBuf,
    place: Place,
    /// How many programs were watched.
    watched: Cell<usize>,
}

/// One call by which a program reached an internet address, or tried to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reach {
    /// Whom.
    pub peer: SocketAddr,
    /// The call, with what was written.
    pub call: String,
}

impl Reach {
    /// Whether it opens a connection; else it says something.
    pub fn connects(&self) -> bool {
        self.call.starts_with("connect(")
    }
}

impl Trace {
    /// Gets ready to watch.
    ///
    /// # Errors
    ///
    /// [`Missing`] where strace is not installed, or is not allowed to watch.
    pub fn new() -> anyhow::Result<Self> {
        let strace = program("strace", "strace")?;
        let allowed = Command::new(&strace).args(["-f", "-o", "/dev/null", "true"]).output()?;
        if !allowed.status.success() {
            let told = String::from_utf8_lossy(&allowed.stderr).into_owned();
            return Err(Missing(format!("strace may not watch here: {told}")).into());
        }
        Ok(Self {
            strace,
            place: Place::new("trace")?,
            watched: Cell::new(0),
        })
    }

    /// A command that runs a program and watches it. The process is the program's own.
    pub(super) fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(&self.strace);
        command.args(["-D", "-f", "-q", "--seccomp-bpf", "-yy", "-s", SHOWN, "-e", CALLS, "-o"]);
        command
            .arg(self.file(self.watched.replace(self.watched.get() + 1)))
            .arg(program);
        command
    }

    /// Waits until everything that was watched has ended, and says whom it reached, in order.
    ///
    /// # Errors
    ///
    /// When something has not ended, or more was written at once than can be looked at.
    pub async fn reached(&self) -> anyhow::Result<Vec<Reach>> {
        let mut all = Vec::new();
        for number in 0..self.watched.get() {
            let file = self.file(number);
            let ended = wait_for("the end of a watched program", READY, || async {
                fs::read(&file)
                    .ok()
                    .map(|calls| String::from_utf8_lossy(&calls).into_owned())
                    .filter(|calls| has_ended(calls))
            });
            let calls = ended.await?;
            all.extend(calls.lines().filter_map(reach));
        }
        let cut = all.iter().find(|reach| reach.call.contains("\"..."));
        ensure!(
            cut.is_none(),
            "too much at once to be looked at: {:?}",
            cut.context("a call")?.peer
        );
        Ok(all)
    }

    fn file(&self, number: usize) -> PathBuf {
        self.place.file(&number.to_string())
    }
}

/// Whether the program itself has ended, whose process is the first that is told of; its threads are told of before it.
fn has_ended(calls: &str) -> bool {
    let leader = calls.split_whitespace().next().unwrap_or_default();
    let last = calls.lines().filter_map(|line| line.split_once(' '));
    last.filter(|(id, _)| *id == leader)
        .any(|(_, told)| told.trim_start().starts_with("+++ "))
}

/// Whom a line of strace's says was reached; none for anything but sockets of the internet.
fn reach(line: &str) -> Option<Reach> {
    let (_, call) = line.split_once(' ')?;
    let call = call.trim_start();
    let socket = call
        .split_once('<')
        .is_some_and(|(_, kind)| kind.starts_with("TCP") || kind.starts_with("UDP"));
    if !socket {
        return None;
    }
    let peer = named(call).or_else(|| connected(call))?;
    Some(Reach {
        peer,
        call: call.to_owned(),
    })
}

/// The address that a call names, in its last arguments: what is written may contain anything.
fn named(call: &str) -> Option<SocketAddr> {
    let (_, address) = call.rsplit_once("{sa_family=AF_INET")?;
    let between = |from: &str, to: &str| Some(address.split_once(from)?.1.split_once(to)?.0);
    let port = between("_port=htons(", ")")?.parse().ok()?;
    let ip: IpAddr = between("inet_addr(\"", "\"")
        .or_else(|| between("inet_pton(AF_INET6, \"", "\""))?
        .parse()
        .ok()?;
    Some(SocketAddr::new(ip, port))
}

/// The address at the other end of a call's socket: `3<TCP:[127.0.0.1:5->127.0.0.1:6]>`.
fn connected(call: &str) -> Option<SocketAddr> {
    let (_, ends) = call.split_once("->")?;
    ends.split_once("]>")?.0.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_taken_apart() {
        let reached = |line: &str| reach(line).map(|reach| (reach.peer.to_string(), reach.connects()));
        let four = "7 connect(3<TCP:[21]>, {sa_family=AF_INET, sin_port=htons(80), sin_addr=inet_addr(\"127.0.0.1\")}, 16) = 0";
        assert_eq!(reached(four), Some(("127.0.0.1:80".to_owned(), true)));
        let six = "7     connect(5<TCPv6:[22]>, {sa_family=AF_INET6, sin6_port=htons(2), sin6_flowinfo=htonl(0), \
                   inet_pton(AF_INET6, \"::1\", &sin6_addr), sin6_scope_id=0}, 28 <unfinished ...>";
        assert_eq!(reached(six), Some(("[::1]:2".to_owned(), true)));
        let said = "7 sendto(3<TCP:[127.0.0.1:5->127.0.0.1:6]>, \"a -> b]> <x\", 45, 0, NULL, 0) = 45";
        assert_eq!(reached(said), Some(("127.0.0.1:6".to_owned(), false)));
        let datagram = "7 sendto(4<UDP:[23]>, \"dns\", 3, 0, {sa_family=AF_INET, sin_port=htons(53), sin_addr=inet_addr(\"9.9.9.9\")}, 16) = 3";
        assert_eq!(reached(datagram), Some(("9.9.9.9:53".to_owned(), false)));
        for other in [
            "7 write(2</dev/null<char 1:3>>, \"TCP\", 3) = 3",
            "7 connect(3<UNIX-STREAM:[1]>, {sa_family=AF_UNIX, sun_path=\"/run/x\"}, 110) = -1",
            "7 +++ exited with 0 +++",
        ] {
            assert_eq!(reached(other), None, "{other}");
        }
    }

    #[test]
    fn the_end_is_the_programs_own() {
        assert!(!has_ended(""));
        assert!(!has_ended("7 execve(\"x\") = 0\n8 +++ exited with 0 +++\n"));
        assert!(has_ended(
            "7 execve(\"x\") = 0\n8 +++ exited with 0 +++\n7     +++ killed by SIGKILL +++\n"
        ));
    }
}
