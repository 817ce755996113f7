//! The conformance kit: the same scenarios for every bridge.
//!
//! The kit opens a real [`Session`](crate::Session) through its [`Factory`] and stands on both sides of it: as the hub (an
//! inbox that records, and that can be made slow or die; memory that survives restarts; files; clock and chance) and, through
//! the network's own [`Remote`], as an independent person on the network. It holds the session to the rules of this crate's
//! front page and to what the session declares in its [`Capabilities`](viaduct_model::Capabilities).
//!
//! # Using it
//!
//! In the bridge's tests, with `viaduct-bridge` as a development dependency with the feature `conformance`:
//!
//! ```ignore
//! #[tokio::test]
//! async fn it_conforms() {
//!     let server = start_a_real_server().await;
//!     let remote = MyRemotePerson::new(&server);                      // implements `Remote`
//!     let section = serde_json::json!({ "server": server.address() }); // as in the configuration file
//!     let report = conformance::run(remote, &MyFactory::new(), section, Options::default()).await;
//!     println!("{report}");
//!     report.assert();
//! }
//! ```
//!
//! The section must mirror [`Remote::channel`]. Pacing that protects against flooding should be as quick as the test's server
//! allows, and long texts must not become files at fewer than eight lines. The remote person must be allowed to set the topic
//! and to kick, and the session's own account to kick too where it declares moderation.
//!
//! # What is left out, and how one learns of it
//!
//! A scenario is left out only if the session declares that the channel has no such thing, or if the remote person answers
//! [`RemoteError::Absent`] with a reason; the report lists it with that reason. What a session declares as *none* is checked
//! too: the scenario `honesty` delivers it and wants the answer "unsupported". A remote person that does not know how to do
//! something ([`RemoteError::Unsupported`]) fails the scenario.
//!
//! Every wait has a bound ([`Options::patience`]). That something does *not* arrive is shown without waiting: something else
//! is sent after it and arrives without it.
//!
//! # Extending
//!
//! A scenario is an `async fn(&mut Stage) -> Step` in one of the files of `scenarios`, and one row in the table
//! `scenarios::ALL`. It fails by returning [`fail`], says only unique words ([`Stage::word`]), and leaves the session running.
//! Give the example network in `tests/loopback` a fault that only the new scenario catches.

mod hub;
mod remote;
mod report;
mod scenarios;
mod stage;

use std::time::Duration;

use serde_json::Value;
use tokio::time::{Instant, timeout};
use viaduct_model::{NetworkName, Support, Timestamp};

pub use remote::{Done, Handle, Remote, RemoteError, Seen, What};
pub use report::{Line, Outcome, Report};

use crate::Factory;
use scenarios::{ALL, Scenario};
use stage::Stage;

/// How a run is made.
#[derive(Debug, Clone)]
pub struct Options {
    /// The longest that any single thing may take.
    pub patience: Duration,
    /// How long the inbox stays full in the scenario about that.
    pub hold: Duration,
    /// How many messages a burst has.
    pub burst: usize,
    /// The name of the network in this run.
    pub network: String,
    /// The time at which the hub's clock starts. Give the true time where the network compares times.
    pub epoch: Timestamp,
    /// Where the hub's chance starts.
    pub seed: u64,
    /// Only these scenarios, while working on a bridge; the others are reported as skipped. Empty for all.
    pub only: Vec<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            patience: Duration::from_secs(20),
            hold: Duration::from_secs(2),
            burst: 12,
            network: "kit".to_owned(),
            epoch: Timestamp::from_secs(1_800_000_000),
            seed: 1,
            only: Vec::new(),
        }
    }
}

/// Why a scenario did not pass.
#[derive(Debug)]
enum Problem {
    /// Something is not as it should be.
    Failed(String),
    /// The network has no such thing.
    Absent(String),
}

/// One step of a scenario.
type Step<T = ()> = Result<T, Problem>;

/// Something is not as it should be.
fn fail(reason: impl Into<String>) -> Problem {
    Problem::Failed(reason.into())
}

/// Fails unless something holds.
fn check(holds: bool, reason: impl FnOnce() -> String) -> Step {
    if holds { Ok(()) } else { Err(fail(reason())) }
}

/// Fails unless two things are equal.
fn same<T: PartialEq + std::fmt::Debug + ?Sized>(what: &str, found: &T, wanted: &T) -> Step {
    check(found == wanted, || {
        format!("{what}: found {found:?}, wanted {wanted:?}")
    })
}

/// Runs every scenario against a session made by `factory` from `section`.
pub async fn run(remote: impl Remote, factory: &dyn Factory, section: Value, options: Options) -> Report {
    let mut report = Report {
        kind: factory.kind().to_owned(),
        lines: Vec::new(),
    };
    let Ok(network) = NetworkName::new(&options.network) else {
        add(
            &mut report,
            "start",
            Outcome::Failed("the network's name is not acceptable".to_owned()),
            Instant::now(),
        );
        return report;
    };
    let mut stage = Stage::new(&remote, factory, &section, &options, network);
    let begun = Instant::now();
    let outcome = match begin(&mut stage).await {
        Ok(()) => Outcome::Passed,
        Err(Problem::Failed(reason) | Problem::Absent(reason)) => Outcome::Failed(reason),
    };
    let usable = outcome == Outcome::Passed;
    add(&mut report, "start", outcome, begun);
    if usable {
        for scenario in ALL {
            let begun = Instant::now();
            let outcome = one(&mut stage, scenario).await;
            let failed = matches!(outcome, Outcome::Failed(_));
            tracing::info!(scenario = scenario.name, ?outcome, "A conformance scenario ended.");
            add(&mut report, scenario.name, outcome, begun);
            if failed && let Err(Problem::Failed(reason) | Problem::Absent(reason)) = stage.recover().await {
                let reason = format!("after {} nothing works any more: {reason}", scenario.name);
                add(&mut report, "recovery", Outcome::Failed(reason), begun);
                break;
            }
        }
    }
    stage.crash().await;
    timeout(options.patience, remote.disconnect()).await.ok();
    report
}

async fn begin(stage: &mut Stage<'_>) -> Step {
    timeout(stage.options.patience, stage.remote.connect())
        .await
        .map_err(|_| fail("the remote person did not connect in time"))??;
    stage.start().await?;
    stage.settle().await
}

/// Plays one scenario, unless the session declares that there is nothing to play.
async fn one(stage: &mut Stage<'_>, scenario: &Scenario) -> Outcome {
    let name = scenario.name.to_owned();
    if !stage.options.only.is_empty() && !stage.options.only.contains(&name) {
        return Outcome::Skipped("not asked for in this run".to_owned());
    }
    let capabilities = match stage.capabilities() {
        Ok(capabilities) => capabilities,
        Err(Problem::Failed(reason) | Problem::Absent(reason)) => return Outcome::Failed(reason),
    };
    let declared = scenario
        .needs
        .map(|(capability, look)| (capability, look(&capabilities)));
    if let Some((capability, Support::None)) = declared {
        return Outcome::Skipped(format!("the session declares {capability}: none"));
    }
    let bound = stage.options.patience * 20;
    let result = match timeout(bound, (scenario.play)(stage)).await {
        Ok(result) => result,
        Err(_) => Err(fail(format!("the scenario did not end within {} s", bound.as_secs()))),
    };
    let violations = stage.hub.violations();
    match (result, declared) {
        (Err(Problem::Failed(reason)), _) => Outcome::Failed(reason),
        (Err(Problem::Absent(reason)), Some((capability, Support::Native))) => Outcome::Failed(format!(
            "{capability} is declared native, yet the network is said not to have it: {reason}"
        )),
        _ if !violations.is_empty() => Outcome::Failed(violations.join("; ")),
        (Err(Problem::Absent(reason)), _) => Outcome::Skipped(reason),
        (Ok(()), _) => Outcome::Passed,
    }
}

fn add(report: &mut Report, scenario: &'static str, outcome: Outcome, begun: Instant) {
    report.lines.push(Line {
        scenario,
        outcome,
        took: begun.elapsed(),
    });
}
