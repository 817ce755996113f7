//! What is asked of the networks and the homeserver. The engine implements it.

use std::fmt;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use viaduct_model::{MessageId, MirrorName, NetworkName, PersonId, Place};

/// How a side answered. Everything asked here may be asked again: what is done already is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// It is done, or was before.
    Done,
    /// The network says no, or has no way to; why, in the operator's words.
    Refused(String),
    /// It cannot be reached now.
    Later(String),
}

/// The sides of the hub, as far as deleting and saying goodbye go.
#[async_trait]
pub trait Remote: Send + Sync + fmt::Debug {
    /// Says something in a place. The same `key` is said once.
    async fn notify(&self, mirror: &MirrorName, place: &Place, text: &str, key: &str) -> Reply;

    /// Deletes or redacts messages and their files.
    async fn redact(&self, mirror: &MirrorName, place: &Place, ids: &[MessageId]) -> Reply;

    /// Takes away whoever stands for the people of one place everywhere in its mirror, and for others there: ghosts leave the
    /// room, puppets the channel.
    async fn dismiss(&self, mirror: &MirrorName, place: &Place) -> Reply;

    /// Leaves a place and mirrors it no longer.
    async fn close(&self, mirror: &MirrorName, place: &Place) -> Reply;

    /// Gives up the access to a network: tokens are revoked there where that is possible, and dropped here.
    async fn drop_tokens(&self, network: &NetworkName) -> Reply;

    /// What a network and the homeserver hold about a person on the hub's behalf, such as a ghost's profile.
    async fn traces(&self, network: &NetworkName, person: &PersonId) -> Result<Vec<Trace>, String>;

    /// Removes these traces.
    async fn forget(&self, network: &NetworkName, person: &PersonId) -> Reply;
}

/// Something held about a person on the hub's behalf.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trace {
    /// Where: a network, or `matrix`.
    pub network: NetworkName,
    /// What, such as `ghost`.
    pub what: String,
    /// What it says, such as a user id and a name.
    pub detail: String,
}
