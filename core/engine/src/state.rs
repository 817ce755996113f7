//! A session's durable memory, kept in the store under its network's name.

use std::sync::Arc;

use async_trait::async_trait;
use viaduct_bridge::{State, StateError};
use viaduct_model::NetworkName;
use viaduct_store::{Op, Store, StoreError};

/// The rows of one network.
pub(crate) struct NetworkState {
    pub(crate) network: NetworkName,
    pub(crate) store: Arc<dyn Store>,
}

fn told(error: &StoreError) -> StateError {
    StateError(error.to_string())
}

#[async_trait]
impl State for NetworkState {
    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, StateError> {
        self.store
            .state(self.network.as_str(), key)
            .await
            .map_err(|error| told(&error))
    }

    async fn scan(&self, prefix: &str) -> Result<Vec<(String, Vec<u8>)>, StateError> {
        self.store
            .state_scan(self.network.as_str(), prefix)
            .await
            .map_err(|error| told(&error))
    }

    async fn put(&self, changes: Vec<(String, Option<Vec<u8>>)>) -> Result<(), StateError> {
        let owner = self.network.to_string();
        let ops: Vec<Op> = changes
            .into_iter()
            .map(|(key, value)| Op::State {
                owner: owner.clone(),
                key,
                value,
            })
            .collect();
        self.store
            .submit(ops.into())
            .await
            .map_err(|error| told(&error))?
            .await
            .map(drop)
            .map_err(|error| told(&error))
    }
}
