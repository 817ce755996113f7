//! Sends the ledger's entries to security monitoring as they come.
//!
//! An exporter reads the ledger's files, by position, and nothing else: the hub does not know whether one is behind, so none can
//! hold up a delivery, and an entry is lost only if the ledger loses it. Where it is stands in a file of its own.
//!
//! ```text
//! ledger ─▶ batch ─▶ line ─▶ … ─▶ closed by both sides ─▶ position
//!                      └── broken: wait (longer each time), back to the position, send again
//! ```
//!
//! A receiver gets every entry **at least once**, in order. After a broken connection, or when the hub was killed, it gets those
//! again of which it is not certain that it has them; it can tell by their number (`seq` in the structured data and in the JSON,
//! `externalId` in CEF, `metadata.uid` in OCSF), which never comes twice for different entries. To be certain, a connection is
//! closed and made anew every ten seconds or 10 000 entries while there is something to send; entries themselves are sent at
//! once.

mod backlog;
mod line;
mod position;
mod settings;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use tracing::instrument;
use viaduct_model::{Entropy, NetworkName};

use crate::note::Verifier;
use crate::{LedgerError, metric};
use backlog::{Backlog, Batch};
use line::{Dialler, Line};
use position::PositionFile;

pub use settings::{Destination, ExporterSettings, Form};

/// How often the ledger is looked at for new entries.
const LOOK: Duration = Duration::from_millis(500);
/// The first and the longest wait after a failure.
const WAITS: (Duration, Duration) = (Duration::from_secs(1), Duration::from_mins(2));
/// How long a connection is used while there is something to send, before the receiver must show that it has everything.
const TURN: Duration = Duration::from_secs(10);
/// How many entries at most in one such turn.
const TURN_ENTRIES: u64 = 10_000;
/// How long the last turn may take to end when the hub stops.
const LAST: Duration = Duration::from_secs(3);

/// Why an exporter cannot work.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("exporter {name}: {reason}")]
pub struct ExporterError {
    /// Its name.
    pub name: String,
    /// Why, in the operator's words.
    pub reason: String,
}

/// How an exporter stands.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ExporterState {
    /// The number of the first entry of which it is not certain that the receiver has it.
    pub next: u64,
    /// How many entries the receiver may not have yet.
    pub behind: u64,
    /// What stopped it last, until it works again.
    pub error: Option<String>,
}

/// Sends the entries of one ledger to one receiver.
pub struct Exporter {
    name: String,
    dialler: Arc<Dialler>,
    backlog: Option<Backlog>,
    position: PositionFile,
    entropy: Arc<dyn Entropy>,
    state: watch::Sender<ExporterState>,
    turn: Duration,
    waits: (Duration, Duration),
}

/// How a turn ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ended {
    /// The receiver has everything up to the position.
    Well,
    /// The hub is stopping.
    Stopping,
}

impl Exporter {
    /// Makes an exporter of the ledger in a folder. Its position is kept in the folder `positions`; `host` is the hub's own
    /// host name, as receivers shall see it.
    ///
    /// # Errors
    ///
    /// [`ExporterError`] if its name, a certificate or its position cannot be used.
    pub fn new(
        settings: ExporterSettings,
        ledger: &Path,
        verifier: Verifier,
        positions: &Path,
        host: &str,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Self, ExporterError> {
        let ExporterSettings { name, to, form } = settings;
        let failed = |reason: String| ExporterError {
            name: name.clone(),
            reason,
        };
        NetworkName::new(&name).map_err(|error| failed(format!("it cannot be named {name:?}: {error}")))?;
        let dialler = Dialler::new(to).map_err(&failed)?;
        let position = PositionFile::new(positions, &name);
        let next = position.read().map_err(|error| failed(error.to_string()))?;
        let stream = dialler.is_stream();
        let backlog = Backlog::new(ledger.to_owned(), verifier, form, host.to_owned(), stream);
        let state = watch::Sender::new(ExporterState {
            next,
            ..ExporterState::default()
        });
        Ok(Self {
            name,
            dialler: Arc::new(dialler),
            backlog: Some(backlog),
            position,
            entropy,
            state,
            turn: TURN,
            waits: WAITS,
        })
    }

    /// How long a connection is used before the receiver must show that it has everything, and how long to wait after the
    /// first failure and at most. Ten seconds, and one second to two minutes, unless set.
    #[must_use]
    pub fn with_pace(mut self, turn: Duration, first_wait: Duration, longest_wait: Duration) -> Self {
        self.turn = turn;
        self.waits = (first_wait, longest_wait);
        self
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How it stands, now and later.
    pub fn state(&self) -> watch::Receiver<ExporterState> {
        self.state.subscribe()
    }

    /// Sends until told to stop. Never ends of itself, whatever fails.
    #[instrument(skip_all, fields(exporter = %self.name))]
    pub async fn run(mut self, stop: CancellationToken) {
        let mut failures = 0;
        loop {
            let next = self.state.borrow().next;
            if let Some(backlog) = &mut self.backlog {
                backlog.rewind(next);
            }
            match self.turns(&stop, &mut failures).await {
                Ok(()) => return,
                Err(reason) => {
                    metric::failed(&self.name);
                    tracing::warn!(%reason, failures, "Entries of the ledger cannot be exported; trying again.");
                    self.state.send_modify(|state| state.error = Some(reason));
                }
            }
            let wait = self.wait(failures);
            failures = failures.saturating_add(1);
            tokio::select! {
                () = sleep(wait) => {}
                () = stop.cancelled() => return,
            }
        }
    }

    /// Between half and all of a time that doubles with each failure.
    fn wait(&self, failures: u32) -> Duration {
        let (first, longest) = self.waits;
        let full = first.saturating_mul(1 << failures.min(16)).min(longest);
        let half = u64::try_from(full.as_millis() / 2).unwrap_or(u64::MAX);
        full / 2 + Duration::from_millis(self.entropy.below(half.saturating_add(1)))
    }

    /// Turn after turn, until told to stop.
    async fn turns(&mut self, stop: &CancellationToken, failures: &mut u32) -> Result<(), String> {
        loop {
            let first = self.batch().await?;
            if first.count > 0 {
                if self.one_turn(first, stop).await? == Ended::Stopping {
                    return Ok(());
                }
                *failures = 0;
                self.state.send_modify(|state| state.error = None);
            } else {
                self.show(first.next, 0);
                tokio::select! {
                    () = sleep(LOOK) => {}
                    () = stop.cancelled() => return Ok(()),
                }
            }
        }
    }

    /// Sends for a while over one line, and makes certain that all of it arrived.
    async fn one_turn(&mut self, first: Batch, stop: &CancellationToken) -> Result<Ended, String> {
        let dialler = self.dialler.clone();
        let mut line = tokio::select! {
            line = dialler.dial() => line.map_err(|error| error.to_string())?,
            () = stop.cancelled() => return Ok(Ended::Stopping),
        };
        let until = Instant::now() + self.turn;
        let (mut batch, mut count) = (first, 0);
        let next = loop {
            let next = batch.next;
            if batch.count > 0 {
                line.send(&batch.bytes).await.map_err(|error| error.to_string())?;
                count += batch.count;
                let behind = batch.behind.saturating_add(count);
                self.state.send_modify(|state| state.behind = behind);
                metric::behind(&self.name, behind);
            }
            let full = count >= TURN_ENTRIES || Instant::now() >= until || stop.is_cancelled();
            if full || (batch.count == 0 && !pause(&mut line, until, stop).await?) {
                break next;
            }
            batch = self.batch().await?;
        };
        let stopping = stop.is_cancelled();
        let finished = if stopping {
            timeout(LAST, line.finish()).await.map_err(|error| error.to_string())?
        } else {
            line.finish().await
        };
        finished.map_err(|error| error.to_string())?;
        let position = self.position.clone();
        let kept = blocking(move || position.write(next)).await;
        kept.map_err(|error| error.to_string())?;
        metric::exported(&self.name, count);
        self.show(next, 0);
        Ok(if stopping { Ended::Stopping } else { Ended::Well })
    }

    fn show(&self, next: u64, behind: u64) {
        self.state
            .send_modify(|state| (state.next, state.behind) = (next, behind));
        metric::behind(&self.name, behind);
    }

    /// The next entries, read on a thread that may block.
    async fn batch(&mut self) -> Result<Batch, String> {
        let Some(mut backlog) = self.backlog.take() else {
            return Err("the ledger could not be read; start the hub again".to_owned());
        };
        let read = blocking(move || Ok((backlog.batch(), backlog))).await;
        let (batch, backlog) = read.map_err(|error| error.to_string())?;
        self.backlog = Some(backlog);
        batch.map_err(|error| error.to_string())
    }
}

/// Waits for new entries; whether the turn goes on.
async fn pause(line: &mut Line, until: Instant, stop: &CancellationToken) -> Result<bool, String> {
    tokio::select! {
        error = line.closed() => Err(error.to_string()),
        () = sleep_until(until) => Ok(false),
        () = stop.cancelled() => Ok(false),
        () = sleep(LOOK) => Ok(true),
    }
}

/// Runs what blocks on a thread that may.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, LedgerError> + Send + 'static,
) -> Result<T, LedgerError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => Err(LedgerError::note(error.to_string())),
    }
}
