//! What the operator's side needs of a hub.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::Value;
use viaduct_audit::Action;
use viaduct_engine::{Engine, Probe, Status};
use viaduct_governance::Register;
use viaduct_model::{NetworkName, Timestamp};
use viaduct_store::{Delivery, DeliveryFilter, Lane, Seq};

use crate::denied::Denied;
use crate::order::Order;

/// A hub at work, as far as operators see it.
#[async_trait]
pub trait Hub: Send + Sync {
    /// How everything stands.
    async fn status(&self) -> Status;

    /// What every network says of itself, by the networks' names.
    async fn probe(&self) -> Vec<(NetworkName, Vec<Probe>)>;

    /// Deliveries that did not simply arrive, oldest first.
    async fn deliveries(&self, filter: &DeliveryFilter) -> Result<Vec<Delivery>, HubError>;

    /// Tries one again; what became of it, in words.
    async fn retry(&self, lane: &Lane, seq: Seq) -> Result<String, HubError>;

    /// Gives one up.
    async fn give_up(&self, lane: &Lane, seq: Seq) -> Result<(), HubError>;

    /// Has an order about compliance carried out; the answer's form depends on the order.
    async fn order(&self, order: Order) -> Result<Value, HubError>;

    /// All agreements, and the time at which to judge them.
    fn register(&self) -> (Arc<Register>, Timestamp);

    /// Notes in the ledger what happened at the desk; without a ledger nothing is noted.
    async fn note(&self, action: Action, what: &str) -> Result<(), HubError>;
}

/// Why a hub did not do something.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HubError {
    /// There is no such delivery.
    #[error("{0}")]
    NotFound(String),
    /// The order cannot be carried out as it is.
    #[error("{0}")]
    Wrong(String),
    /// Whoever asked may not do this.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// It could not.
    #[error("{0}")]
    Failed(String),
}

#[async_trait]
impl Hub for Engine {
    async fn status(&self) -> Status {
        Self::status(self).await
    }

    async fn probe(&self) -> Vec<(NetworkName, Vec<Probe>)> {
        Self::probe(self).await
    }

    async fn deliveries(&self, filter: &DeliveryFilter) -> Result<Vec<Delivery>, HubError> {
        Ok(Self::deliveries(self, filter).await?)
    }

    async fn retry(&self, lane: &Lane, seq: Seq) -> Result<String, HubError> {
        Ok(Self::retry(self, lane, seq).await?)
    }

    async fn give_up(&self, lane: &Lane, seq: Seq) -> Result<(), HubError> {
        Ok(self.drop_delivery(lane, seq).await?)
    }

    async fn order(&self, order: Order) -> Result<Value, HubError> {
        crate::order::obey(self, order).await
    }

    fn register(&self) -> (Arc<Register>, Timestamp) {
        self.partners()
    }

    async fn note(&self, action: Action, what: &str) -> Result<(), HubError> {
        Ok(Self::note(self, action, what).await?)
    }
}
