//! What a step writes: changes of the store and entries of the ledger, always in one commit.

use std::fmt;

use async_trait::async_trait;
use serde::Serialize;
use serde::de::DeserializeOwned;
use viaduct_audit::Entry;
use viaduct_store::{Op, Store};

use crate::GovernanceError;

/// Whose memory everything of this crate is kept under in the store. No network can have this name.
pub const OWNER: &str = "governance.viaduct";

/// What one step writes, durable together or not at all. Steps can be joined: the engine puts its own changes beside.
#[derive(Debug, Clone, Default)]
#[must_use = "a step changes nothing until it is committed"]
pub struct Step {
    /// Changes of the store, in order.
    pub ops: Vec<Op>,
    /// Entries for the ledger, in order.
    pub entries: Vec<Entry>,
}

impl Step {
    /// A step that only notes something in the ledger.
    pub fn entry(entry: Entry) -> Self {
        Self {
            ops: Vec::new(),
            entries: vec![entry],
        }
    }

    /// This step and another one together.
    pub fn and(mut self, other: Self) -> Self {
        self.ops.extend(other.ops);
        self.entries.extend(other.entries);
        self
    }

    /// This step and one more change of the store.
    pub fn with(mut self, op: Op) -> Self {
        self.ops.push(op);
        self
    }

    /// Whether it changes nothing.
    pub fn is_empty(&self) -> bool {
        self.ops.is_empty() && self.entries.is_empty()
    }
}

/// Commits steps: gives the entries their numbers and writes them in the commit of their step (see
/// [`viaduct_audit::outbox`]). The engine implements it.
#[async_trait]
pub trait Recorder: Send + Sync + fmt::Debug {
    /// Makes a step durable, its ledger entries with it.
    ///
    /// # Errors
    ///
    /// When the store fails, or an entry is too large for the ledger: then nothing of the step was stored.
    async fn commit(&self, step: Step) -> Result<(), GovernanceError>;
}

/// The change that keeps a record under a key of this crate's memory, or removes it.
pub(crate) fn keep<T: Serialize>(key: &str, value: Option<&T>) -> Result<Op, GovernanceError> {
    let value = value.map(serde_json::to_vec).transpose();
    Ok(raw(key, value.map_err(|error| damaged(key, &error))?))
}

/// The same for bytes.
pub(crate) fn raw(key: &str, value: Option<Vec<u8>>) -> Op {
    Op::State {
        owner: OWNER.to_owned(),
        key: key.to_owned(),
        value,
    }
}

/// Reads a record that [`keep`] kept.
pub(crate) fn read<T: DeserializeOwned>(key: &str, value: &[u8]) -> Result<T, GovernanceError> {
    serde_json::from_slice(value).map_err(|error| damaged(key, &error))
}

/// One record, if it is there.
pub(crate) async fn load<T: DeserializeOwned>(store: &dyn Store, key: &str) -> Result<Option<T>, GovernanceError> {
    let value = store.state(OWNER, key).await?;
    value.map(|value| read(key, &value)).transpose()
}

/// All records whose keys begin like this, in the order of their keys.
pub(crate) async fn scan<T: DeserializeOwned>(
    store: &dyn Store,
    prefix: &str,
) -> Result<Vec<(String, T)>, GovernanceError> {
    let found = store.state_scan(OWNER, prefix).await?;
    found
        .into_iter()
        .map(|(key, value)| Ok((key.clone(), read(&key, &value)?)))
        .collect()
}

fn damaged(key: &str, error: &serde_json::Error) -> GovernanceError {
    GovernanceError::Damaged {
        key: key.to_owned(),
        detail: error.to_string(),
    }
}
