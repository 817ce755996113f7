//! What the homeserver side remembers across restarts to save itself work.
//!
//! Everything noted here can be found out again (a ghost is registered, a room is joined), so it is written behind: notes are
//! collected and stored together, and a crash only costs repeated requests. What must not be lost goes to
//! [`State::put`](viaduct_bridge::State::put) directly.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use viaduct_bridge::State;

/// How many notes may wait. Beyond it new ones are dropped: they are only a saving.
const BOUND: usize = 20_000;
/// How long notes are gathered before they are stored.
const GATHERING: Duration = Duration::from_millis(250);
/// How many notes are stored in one step.
const STEP: usize = 500;

pub(crate) struct Notebook {
    state: Arc<dyn State>,
    notes: Mutex<BTreeMap<String, Option<Vec<u8>>>>,
    wake: Notify,
}

impl Notebook {
    pub(crate) fn new(state: Arc<dyn State>) -> Self {
        Self {
            state,
            notes: Mutex::default(),
            wake: Notify::new(),
        }
    }

    /// Notes a value to be stored soon; none removes.
    pub(crate) fn note(&self, key: String, value: Option<Vec<u8>>) {
        let mut notes = self.notes.lock().unwrap_or_else(PoisonError::into_inner);
        if notes.len() < BOUND || notes.contains_key(&key) {
            notes.insert(key, value);
            drop(notes);
            self.wake.notify_one();
        }
    }

    /// The value of a key, noted or stored. An unusable store counts as not knowing.
    pub(crate) async fn read(&self, key: &str) -> Option<Vec<u8>> {
        if let Some(noted) = self.notes.lock().unwrap_or_else(PoisonError::into_inner).get(key) {
            return noted.clone();
        }
        self.state.get(key).await.unwrap_or_default()
    }

    /// Stores what was noted.
    pub(crate) async fn flush(&self) {
        loop {
            let step: Vec<_> = {
                let notes = self.notes.lock().unwrap_or_else(PoisonError::into_inner);
                notes
                    .iter()
                    .take(STEP)
                    .map(|(key, value)| (key.clone(), value.clone()))
                    .collect()
            };
            if step.is_empty() {
                return;
            }
            if let Err(error) = self.state.put(step.clone()).await {
                tracing::warn!(%error, "Notes about ghosts could not be stored; they are kept in memory.");
                return;
            }
            // Only now: a reader in between has to find them in one place or the other.
            let mut notes = self.notes.lock().unwrap_or_else(PoisonError::into_inner);
            for (key, value) in step {
                if notes.get(&key) == Some(&value) {
                    notes.remove(&key);
                }
            }
        }
    }

    /// Stores notes whenever there are some. Never ends.
    pub(crate) async fn keep(&self) {
        loop {
            self.wake.notified().await;
            // Notes that come close together are stored in one step.
            tokio::time::sleep(GATHERING).await;
            self.flush().await;
        }
    }
}
