//! Starts real servers and the hub.
//!
//! Each has a directory of its own, free ports on loopback, a bounded ready check and its own process id, and is stopped
//! when dropped. Nothing is installed here: a server that is not there is [`Missing`], and [`available`] turns that into a
//! skipped test with a reason, or into a failure where `VIADUCT_REQUIRE=1` says that everything must be there.

mod agreement;
mod clamd;
mod ejabberd;
mod hub;
mod inspircd;
mod ngircd;
mod place;
mod process;
mod prosody;
mod python;
mod slack;
mod spec;
mod stand_in;
mod synapse;
mod teams;
mod trace;
mod xmpp;

pub use agreement::agreement;
pub use clamd::Clamd;
pub use ejabberd::Ejabberd;
pub use hub::Hub;
pub use inspircd::Inspircd;
pub use ngircd::Ngircd;
pub use place::{Place, free_port};
pub use process::{Process, assert_loopback_only};
pub use prosody::Prosody;
pub use python::{python, run_script};
pub use slack::SlackProgram;
pub use spec::{HubSpec, irc_section, slack_section, teams_endpoint, teams_section, xmpp_section};
pub(crate) use stand_in::Door;
pub use synapse::{Synapse, SynapseSpec};
pub use teams::TeamsProgram;
pub use trace::{Reach, Trace};
pub use xmpp::XmppServer;

use std::env;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::net::TcpStream;

use crate::wait::wait_for;

/// How long a server may take until it is ready. Generous: the machine may be busy building.
pub const READY: Duration = Duration::from_mins(1);

/// Something a test needs is not on this machine.
#[derive(Debug)]
pub struct Missing(
    /// What, and how to get it.
    pub String,
);

impl std::fmt::Display for Missing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Missing {}

/// What a start gave; none, with the reason printed, where it needs something that is [`Missing`] and need not be there.
///
/// # Errors
///
/// Whatever went wrong otherwise; also what is missing, where `VIADUCT_REQUIRE=1`.
#[expect(clippy::print_stderr, reason = "the test runner shows why a test was skipped")]
pub fn available<T>(started: anyhow::Result<T>) -> anyhow::Result<Option<T>> {
    match started {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.is::<Missing>() && !is_required() => {
            eprintln!("skipped: {error}");
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// Whether everything must be there (`VIADUCT_REQUIRE=1`).
pub fn is_required() -> bool {
    env::var("VIADUCT_REQUIRE").is_ok_and(|value| value == "1")
}

/// The root folder of the project.
pub fn project_root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_owned()
}

/// Whether this process may do everything (servers that refuse to be root are then started as their own user).
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// A program by name, on the search path or where Debian puts servers.
///
/// # Errors
///
/// [`Missing`], naming the Debian package that has it.
pub fn program(name: &str, package: &str) -> anyhow::Result<PathBuf> {
    tool(name, &format!("apt-get install {package}"))
}

/// A program by name, on the search path or where Debian puts servers.
///
/// # Errors
///
/// [`Missing`], saying how to get it.
pub fn tool(name: &str, how: &str) -> anyhow::Result<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .chain(["/usr/sbin", "/usr/local/sbin", "/sbin"].map(PathBuf::from))
        .map(|folder| folder.join(name))
        .find(|candidate| candidate.is_file())
        .ok_or_else(|| Missing(format!("{name} is not installed ({how})")).into())
}

/// Waits until something accepts connections at `address`, watching that `process` stays alive.
async fn listening(process: &mut Process, address: SocketAddr) -> anyhow::Result<()> {
    let what = format!("{} at {address}", process.name());
    let connected = wait_for(&what, READY, || {
        let dead = !process.is_running();
        async move {
            if dead {
                Some(false)
            } else {
                TcpStream::connect(address).await.is_ok().then_some(true)
            }
        }
    })
    .await;
    process.explain(connected.and_then(|alive| {
        if alive {
            Ok(())
        } else {
            anyhow::bail!("{what} ended by itself")
        }
    }))
}

/// Waits until a GET of `url` answers 200, watching that `process` stays alive.
async fn answering(process: &mut Process, url: &str) -> anyhow::Result<()> {
    let what = format!("{} at {url}", process.name());
    let client = http_client()?;
    let answered = wait_for(&what, READY, || {
        let dead = !process.is_running();
        let request = client.get(url).timeout(Duration::from_secs(2)).send();
        async move {
            if dead {
                return Some(false);
            }
            request
                .await
                .is_ok_and(|response| response.status().is_success())
                .then_some(true)
        }
    })
    .await;
    process.explain(answered.and_then(|alive| {
        if alive {
            Ok(())
        } else {
            anyhow::bail!("{what} ended by itself")
        }
    }))
}

/// An HTTP client that never leaves loopback by a proxy.
pub(crate) fn http_client() -> anyhow::Result<reqwest::Client> {
    install_tls();
    Ok(reqwest::Client::builder().no_proxy().build()?)
}

/// Chooses the TLS provider of this process; two are linked in, and one has to be named.
pub fn install_tls() {
    // A second call finds it installed, which is just as well.
    drop(rustls::crypto::aws_lc_rs::default_provider().install_default());
}

/// Bytes as hexadecimal digits.
fn hex(bytes: impl AsRef<[u8]>) -> String {
    let mut text = String::new();
    for byte in bytes.as_ref() {
        write!(text, "{byte:02x}").unwrap_or_default();
    }
    text
}
