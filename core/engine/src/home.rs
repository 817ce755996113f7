//! What the engine asks of the homeserver beyond being a side.

use async_trait::async_trait;
use viaduct_bridge::{DeliveryError, Session};
use viaduct_compliance::{EntityKind, ListRule};
use viaduct_matrix::{BridgeInfo, Homeserver, RoomSpec};
use viaduct_model::{NetworkName, Person, PersonId};

/// The homeserver side. A trait, so that the engine can be tested without one.
#[async_trait]
pub trait Home: Session {
    /// The room of a mirror: found or made, with the bot in it.
    async fn ensure_room(&self, spec: &RoomSpec) -> Result<String, DeliveryError>;
    /// A room for a conversation between a remote person and a Matrix user.
    async fn direct_room(&self, person: &Person, with: &str) -> Result<String, DeliveryError>;
    /// States in the room what it is mirrored with.
    async fn announce(&self, room: &str, places: &[BridgeInfo]) -> Result<(), DeliveryError>;
    /// Says something in a room as the bot. The same `key` is said once.
    async fn notice(&self, room: &str, text: &str, reply_to: Option<&str>, key: &str) -> Result<(), DeliveryError>;
    /// The same for what everybody has to be able to read, whoever comes when: see [`Homeserver::disclose`].
    async fn disclose(&self, room: &str, text: &str, key: &str) -> Result<(), DeliveryError>;
    /// The label of a room, as its state says.
    async fn label(&self, room: &str) -> Result<Option<String>, DeliveryError>;
    /// What the state of a policy room says.
    async fn policy_rules(&self, room: &RoomSpec) -> Result<Vec<(EntityKind, ListRule)>, DeliveryError>;
    /// Whom a ghost stands for.
    fn person_of_ghost(&self, user: &str) -> Option<(NetworkName, PersonId)>;
}

#[async_trait]
impl Home for Homeserver {
    async fn ensure_room(&self, spec: &RoomSpec) -> Result<String, DeliveryError> {
        Self::ensure_room(self, spec).await
    }

    async fn direct_room(&self, person: &Person, with: &str) -> Result<String, DeliveryError> {
        Self::direct_room(self, person, with).await
    }

    async fn announce(&self, room: &str, places: &[BridgeInfo]) -> Result<(), DeliveryError> {
        Self::announce(self, room, places).await
    }

    async fn disclose(&self, room: &str, text: &str, key: &str) -> Result<(), DeliveryError> {
        Self::disclose(self, room, text, key).await
    }

    async fn notice(&self, room: &str, text: &str, reply_to: Option<&str>, key: &str) -> Result<(), DeliveryError> {
        Self::notice(self, room, text, reply_to, key).await
    }

    async fn label(&self, room: &str) -> Result<Option<String>, DeliveryError> {
        Self::label(self, room).await
    }

    async fn policy_rules(&self, room: &RoomSpec) -> Result<Vec<(EntityKind, ListRule)>, DeliveryError> {
        Self::policy_rules(self, room).await
    }

    fn person_of_ghost(&self, user: &str) -> Option<(NetworkName, PersonId)> {
        Self::person_of_ghost(self, user)
    }
}
