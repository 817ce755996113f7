//! The ledger within the engine: every step's entry is written in the same commit as the step itself.
//!
//! ```text
//!   intake, lanes ── step + entries ──▶ gather ── one batch: all steps, all entries under one key ──▶ store
//!                                          │ when that batch is on the device
//!                                          ▼
//!                                        carry ── append ──▶ ledger (signed) ── then the key is removed from the store
//! ```
//!
//! While a batch is being synced, whatever comes meanwhile gathers for the next: so under load one key holds the entries of
//! many steps, and the ledger costs the store little. Numbers are given by the one task that submits, so they rise in the
//! order of the commits. After a crash, `carry` begins with what is left in the store; the ledger passes over what it has.
//!
//! | module | one reason to exist |
//! |---|---|
//! | `record` | what is remembered of a step |
//! | `gather` | steps and entries into commits |
//! | `carry` | from the store into the ledger |

mod carry;
mod gather;
mod record;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use viaduct_audit::note::Signer;
use viaduct_audit::{Exporter, ExporterSettings, KeyRing, Ledger, LedgerError, Options, Written};
use viaduct_governance::{GovernanceError, HubKey, Keys, Recorder, Step};
use viaduct_model::Entropy;
use viaduct_store::{Batch, Commit, Store, StoreError};

pub(crate) use record::{Trace, accepted, plain, policies_of};

use crate::EngineError;
use gather::Gatherer;

/// How long the last entries may take into the ledger when the hub stops; what is left is carried over after the next start.
const LAST: Duration = Duration::from_secs(10);

/// Where the ledger and the keys are, and what signs and seals.
#[derive(Debug, Clone)]
pub struct Audit {
    /// The ledger's folder.
    pub folder: PathBuf,
    /// The folder of the partners' keys.
    pub keys: PathBuf,
    /// The ledger's name.
    pub origin: String,
    /// What signs its checkpoints.
    pub signer: Signer,
    /// What the partners' keys are wrapped with.
    pub seal: HubKey,
    /// Who gets the entries as they come.
    pub exporters: Vec<ExporterSettings>,
    /// The hub's host name, as they shall see it.
    pub host: String,
}

/// The open ledger, as the engine's parts use it.
pub(crate) struct Book {
    pub(crate) keys: Arc<Keys>,
    gatherer: Arc<Gatherer>,
    signer: Signer,
    folder: PathBuf,
    tasks: Mutex<Vec<JoinHandle<()>>>,
    /// Ends the exporters, after everything is in the ledger.
    exported: CancellationToken,
    exporters: TaskTracker,
}

impl fmt::Debug for Book {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Book").finish_non_exhaustive()
    }
}

impl Book {
    /// Opens the ledger and carries over what an earlier run left in the store.
    pub(crate) async fn open(
        audit: Audit,
        store: Arc<dyn Store>,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Self, EngineError> {
        let (pseudonyms, content) = (audit.keys.join("pseudonyms"), audit.keys.join("content"));
        let (seal, signer, folder) = (audit.seal.clone(), audit.signer.clone(), audit.folder.clone());
        let (pseudonyms, content) =
            blocking(move || Ok((KeyRing::open(&pseudonyms)?, KeyRing::open(&content)?))).await?;
        let exporters = exporters(&audit, &entropy)?;
        let (carrier, next) = carry::Carrier::open(audit, store.clone(), entropy.clone()).await?;
        let (gatherer, tasks) = gather::start(store.clone(), carrier, next);
        let keys = Keys::open(store, entropy, seal, pseudonyms, content).await?;
        let (exported, running) = (CancellationToken::new(), TaskTracker::new());
        for exporter in exporters {
            running.spawn(exporter.run(exported.clone()));
        }
        Ok(Self {
            keys: Arc::new(keys),
            gatherer: Arc::new(gatherer),
            signer,
            folder,
            tasks: Mutex::new(tasks),
            exported,
            exporters: running,
        })
    }

    /// What commits the steps of `viaduct-governance`.
    pub(crate) fn recorder(&self) -> Arc<dyn Recorder> {
        Arc::new(Scribe(self.gatherer.clone()))
    }

    /// What signs the ledger, and what is handed out.
    pub(crate) fn signer(&self) -> &Signer {
        &self.signer
    }

    /// The ledger's folder.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Submits a step with its entries: both are durable together or not at all.
    pub(crate) async fn submit(&self, step: Batch, entries: Vec<Written>) -> Result<Commit, StoreError> {
        self.gatherer.submit(step, entries).await
    }

    /// Writes everything into the ledger and ends.
    pub(crate) async fn close(&self) {
        self.gatherer.close().await;
        let tasks: Vec<_> = std::mem::take(&mut *self.tasks.lock().unwrap_or_else(PoisonError::into_inner));
        for task in tasks {
            if tokio::time::timeout(LAST, task).await.is_err() {
                tracing::warn!("Some entries are not in the ledger yet; they follow after the next start.");
            }
        }
        self.exported.cancel();
        self.exporters.close();
        tokio::time::timeout(LAST, self.exporters.wait()).await.ok();
    }
}

/// The exporters; each remembers beside the ledger how far it is.
fn exporters(audit: &Audit, entropy: &Arc<dyn Entropy>) -> Result<Vec<Exporter>, EngineError> {
    let positions = audit.folder.with_extension("positions");
    let make = |settings: &ExporterSettings| {
        Exporter::new(
            settings.clone(),
            &audit.folder,
            audit.signer.verifier(),
            &positions,
            &audit.host,
            entropy.clone(),
        )
    };
    Ok(audit.exporters.iter().map(make).collect::<Result<_, _>>()?)
}

/// Commits steps through the gatherer, so that their entries have their numbers in the order of commits.
struct Scribe(Arc<Gatherer>);

impl fmt::Debug for Scribe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Scribe")
    }
}

#[async_trait]
impl Recorder for Scribe {
    async fn commit(&self, step: Step) -> Result<(), GovernanceError> {
        if step.is_empty() {
            return Ok(());
        }
        let entries = step.entries.into_iter().map(Written::from).collect();
        Ok(self.0.submit(step.ops.into(), entries).await?.await.map(drop)?)
    }
}

/// Runs what blocks on the device where it may.
pub(crate) async fn blocking<T: Send + 'static>(
    act: impl FnOnce() -> Result<T, LedgerError> + Send + 'static,
) -> Result<T, LedgerError> {
    let failed = |_| LedgerError::Io {
        path: "ledger".to_owned(),
        reason: "the thread that writes it ended".to_owned(),
    };
    tokio::task::spawn_blocking(act).await.map_err(failed)?
}

fn open_ledger(audit: &Audit) -> Result<Ledger, LedgerError> {
    Ledger::open(&audit.folder, audit.signer.clone(), Options::new(audit.origin.clone()))
}
