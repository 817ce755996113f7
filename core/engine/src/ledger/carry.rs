//! Carries entries from the store into the ledger.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use viaduct_audit::outbox::{self, Numbered, OWNER, next};
use viaduct_audit::{Ledger, LedgerError};
use viaduct_model::Entropy;
use viaduct_store::{Op, Store};

use super::{Audit, blocking, open_ledger};
use crate::backoff::Backoff;
use crate::{EngineError, faults, telemetry};

/// How many commits' entries are appended at once.
const AT_ONCE: usize = 1024;
/// How long more entries are waited for before some are appended: each time the ledger is synced and signed.
const PACE: Duration = Duration::from_millis(250);

/// The entries of one commit, and the key they have in the store.
pub(super) struct Carried {
    pub(super) key: String,
    pub(super) entries: Vec<Numbered>,
}

/// The one who writes the ledger.
pub(super) struct Carrier {
    audit: Audit,
    store: Arc<dyn Store>,
    entropy: Arc<dyn Entropy>,
    ledger: Option<Ledger>,
    behind: Arc<AtomicBool>,
}

impl Carrier {
    /// Opens the ledger and carries over what is in the store; the carrier, and the number of the next entry.
    pub(super) async fn open(
        audit: Audit,
        store: Arc<dyn Store>,
        entropy: Arc<dyn Entropy>,
    ) -> Result<(Self, u64), EngineError> {
        let mut carrier = Self {
            audit,
            store,
            entropy,
            ledger: None,
            behind: Arc::default(),
        };
        carrier.ledger = Some(carrier.reopen().await?);
        let left = carrier.left().await?;
        let pending: Vec<Numbered> = left
            .iter()
            .flat_map(|carried| carried.entries.iter().cloned())
            .collect();
        let number = next(carrier.ledger.as_ref().and_then(Ledger::last), &pending);
        carrier.carry(left).await?;
        Ok((carrier, number))
    }

    /// Whether the store has to be looked into.
    pub(super) fn behind(&self) -> Arc<AtomicBool> {
        self.behind.clone()
    }

    async fn reopen(&self) -> Result<Ledger, LedgerError> {
        let audit = self.audit.clone();
        blocking(move || open_ledger(&audit)).await
    }

    /// What is in the store.
    async fn left(&self) -> Result<Vec<Carried>, EngineError> {
        let mut left = Vec::new();
        for (key, value) in self.store.state_scan(OWNER, "").await? {
            let entries = outbox::open(&key, &value)?;
            left.push(Carried { key, entries });
        }
        Ok(left)
    }

    /// Works until nothing more can come.
    pub(super) async fn run(mut self, mut taken: mpsc::Receiver<Carried>, close: CancellationToken) {
        let mut waiting = Vec::new();
        while taken.recv_many(&mut waiting, AT_ONCE).await > 0 {
            tokio::select! {
                () = tokio::time::sleep(PACE) => {}
                () = close.cancelled() => {}
            }
            while waiting.len() < AT_ONCE
                && let Ok(more) = taken.try_recv()
            {
                waiting.push(more);
            }
            telemetry::ledger_waiting(waiting.len());
            let carried = self.carry(std::mem::take(&mut waiting)).await;
            if let Err(error) = carried {
                tracing::error!(%error, "The ledger could not be written; its entries wait in the store.");
                self.behind.store(true, Ordering::SeqCst);
            }
            telemetry::ledger_waiting(0);
            if self.behind.load(Ordering::SeqCst) && taken.is_empty() {
                self.catch_up(&mut taken, &close).await;
            }
        }
        if self.behind.load(Ordering::SeqCst) {
            self.catch_up(&mut taken, &close).await;
        }
    }

    /// Opens the ledger anew and carries everything from the store, until that succeeds or the hub stops.
    async fn catch_up(&mut self, taken: &mut mpsc::Receiver<Carried>, close: &CancellationToken) {
        let mut backoff = Backoff::new(Duration::from_millis(500), Duration::from_mins(1));
        loop {
            // While this is set nothing new is handed over: what was is in the store as well.
            while taken.try_recv().is_ok() {}
            self.behind.store(false, Ordering::SeqCst);
            match self.everything().await {
                Ok(()) => return,
                Err(error) => {
                    self.behind.store(true, Ordering::SeqCst);
                    tracing::error!(%error, "The ledger could not be written; its entries wait in the store.");
                }
            }
            tokio::select! {
                () = tokio::time::sleep(backoff.next(None, &*self.entropy)) => {}
                () = close.cancelled() => return,
            }
        }
    }

    async fn everything(&mut self) -> Result<(), EngineError> {
        // The one before has to let go of it first.
        drop(self.ledger.take());
        self.ledger = Some(self.reopen().await?);
        let left = self.left().await?;
        self.carry(left).await
    }

    /// Appends entries, and removes from the store what the ledger has.
    async fn carry(&mut self, waiting: Vec<Carried>) -> Result<(), EngineError> {
        let Some(mut ledger) = self.ledger.take() else {
            return Err(LedgerError::Broken.into());
        };
        let last = ledger.last();
        let (mut keys, mut entries) = (Vec::with_capacity(waiting.len()), Vec::new());
        for carried in waiting {
            keys.push(carried.key);
            let fresh = |entry: &Numbered| last.is_none_or(|last| entry.number > last);
            entries.extend(carried.entries.into_iter().filter(fresh));
        }
        let (ledger, appended) = blocking(move || {
            let appended = ledger.append(&entries);
            Ok((ledger, appended))
        })
        .await?;
        self.ledger = Some(ledger);
        appended?;
        faults::point("ledger-after");
        let ops: Vec<Op> = keys
            .into_iter()
            .map(|key| Op::State {
                owner: OWNER.to_owned(),
                key,
                value: None,
            })
            .collect();
        if !ops.is_empty() {
            self.store.submit(ops.into()).await?.await?;
        }
        Ok(())
    }
}
