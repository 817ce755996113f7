//! A store in memory that takes batches in a test's own way.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use viaduct_model::{Cursor, Event, MessageId, MirrorName, Place};
use viaduct_store::{
    Batch, Commit, Delivery, DeliveryFilter, Lane, LaneMark, Located, MemoryStore, Portal, Seq, Store, StoreError,
};

/// How batches are taken.
#[async_trait]
pub trait Taking: Send + Sync + fmt::Debug {
    async fn take(&self, inner: &MemoryStore, batch: Batch) -> Result<Commit, StoreError>;
}

/// Reads are those of the store in memory.
#[derive(Debug)]
pub struct Tampered<T> {
    pub taking: T,
    pub inner: MemoryStore,
}

impl<T: Taking> Tampered<T> {
    pub fn new(taking: T) -> Arc<Self> {
        let inner = MemoryStore::new();
        Arc::new(Self { taking, inner })
    }
}

#[async_trait]
impl<T: Taking> Store for Tampered<T> {
    async fn submit(&self, batch: Batch) -> Result<Commit, StoreError> {
        self.taking.take(&self.inner, batch).await
    }

    async fn journal(&self, mirror: &MirrorName, after: Seq, limit: usize) -> Result<Vec<(Seq, Event)>, StoreError> {
        self.inner.journal(mirror, after, limit).await
    }

    async fn last(&self, mirror: &MirrorName) -> Result<Seq, StoreError> {
        self.inner.last(mirror).await
    }

    async fn lane(&self, lane: &Lane) -> Result<Option<LaneMark>, StoreError> {
        self.inner.lane(lane).await
    }

    async fn locate(&self, place: &Place, id: &MessageId) -> Result<Option<Located>, StoreError> {
        self.inner.locate(place, id).await
    }

    async fn copies(&self, mirror: &MirrorName, seq: Seq, place: &Place) -> Result<Vec<MessageId>, StoreError> {
        self.inner.copies(mirror, seq, place).await
    }

    async fn delivery(&self, lane: &Lane, seq: Seq) -> Result<Option<Delivery>, StoreError> {
        self.inner.delivery(lane, seq).await
    }

    async fn deliveries(&self, filter: &DeliveryFilter) -> Result<Vec<Delivery>, StoreError> {
        self.inner.deliveries(filter).await
    }

    async fn cursor(&self, place: &Place) -> Result<Option<Cursor>, StoreError> {
        self.inner.cursor(place).await
    }

    async fn portal(&self, place: &Place) -> Result<Option<Portal>, StoreError> {
        self.inner.portal(place).await
    }

    async fn portals(&self) -> Result<Vec<Portal>, StoreError> {
        self.inner.portals().await
    }

    async fn state(&self, owner: &str, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        self.inner.state(owner, key).await
    }

    async fn state_scan(&self, owner: &str, prefix: &str) -> Result<Vec<(String, Vec<u8>)>, StoreError> {
        self.inner.state_scan(owner, prefix).await
    }

    async fn close(&self) -> Result<(), StoreError> {
        self.inner.close().await
    }
}
