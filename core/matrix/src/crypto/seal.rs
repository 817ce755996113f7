//! An event → an encrypted one, its key shared with everybody in the room.

use std::panic::AssertUnwindSafe;
use std::sync::atomic::Ordering;

use futures_util::FutureExt;
use matrix_sdk_crypto::EncryptionSettings;
use ruma::events::AnyMessageLikeEventContent;
use ruma::serde::Raw;
use ruma::{OwnedUserId, RoomId, UserId};
use serde::Deserialize;
use serde_json::Value;

use super::Crypto;
use super::requests::failed;
use super::rooms::Standing;
use crate::Homeserver;
use crate::client::{As, segment};
use crate::error::ApiError;

/// The type of an encrypted event.
pub(crate) const ENCRYPTED: &str = "m.room.encrypted";

/// Who gets a room's key.
#[derive(Debug, Default)]
pub(super) struct Sharing {
    members: Option<Vec<OwnedUserId>>,
    /// As of which change everybody's devices are known.
    seen: u64,
}

impl Homeserver {
    /// Sends an event into a room, encrypted where the room is. Sent again with the same transaction id it has no second
    /// effect, though it is encrypted anew.
    pub(crate) async fn send_into(
        &self,
        room: &str,
        kind: &str,
        transaction: &str,
        who: As<'_>,
        content: &Value,
    ) -> Result<String, ApiError> {
        match self.standing(room).await? {
            // What a reaction refers to is never encrypted, and there is nothing else to it.
            Standing::Sealed(settings) if kind != "m.reaction" => {
                let sealed = self.seal(room, kind, content, &settings).await?;
                self.api.send_event(room, ENCRYPTED, transaction, who, &sealed).await
            }
            Standing::Plain | Standing::Sealed(_) => self.api.send_event(room, kind, transaction, who, content).await,
            Standing::Unfit(unfit) => Err(ApiError::Unfit(unfit)),
        }
    }

    async fn seal(
        &self,
        room: &str,
        kind: &str,
        content: &Value,
        settings: &EncryptionSettings,
    ) -> Result<Value, ApiError> {
        let Some(crypto) = self.crypto() else {
            return Err(failed("the keys are not open yet"));
        };
        let id = RoomId::parse(room).map_err(failed)?;
        let content: Raw<AnyMessageLikeEventContent> = Raw::new(content).map_err(failed)?.cast_unchecked();
        let sharing = crypto.sharing(room);
        let mut alone = sharing.lock().await;
        self.share(crypto, &id, &mut alone, settings).await?;
        // The library takes it for an error of ours if a key runs out of time between here and there.
        let encrypting = AssertUnwindSafe(crypto.machine.encrypt_room_event_raw(&id, kind, &content)).catch_unwind();
        let encrypted = encrypting
            .await
            .map_err(|_| failed("the room's key has just run out"))?;
        drop(alone);
        let encrypted = encrypted.map_err(failed)?;
        serde_json::from_str(encrypted.content.json().get()).map_err(failed)
    }

    /// Sees to it that everybody in the room can read what is encrypted next.
    async fn share(
        &self,
        crypto: &Crypto,
        room: &RoomId,
        sharing: &mut Sharing,
        settings: &EncryptionSettings,
    ) -> Result<(), ApiError> {
        let now = crypto.changes.load(Ordering::Relaxed);
        if sharing.members.is_none() {
            sharing.members = Some(self.readers(room.as_str()).await?);
            sharing.seen = 0;
        }
        let members = sharing.members.as_deref().unwrap_or_default();
        let users = || members.iter().map(AsRef::<UserId>::as_ref);
        if sharing.seen != now {
            crypto.machine.update_tracked_users(users()).await.map_err(failed)?;
            self.settle_requests(crypto).await?;
            self.claim_keys(crypto, members).await?;
        }
        let shared = crypto.machine.share_room_key(room, users(), settings.clone()).await;
        for request in shared.map_err(failed)? {
            self.send_to_devices(crypto, &request).await?;
        }
        sharing.seen = now;
        Ok(())
    }

    /// Who may read what is said in a room: whoever is in it or invited. Our own ghosts have no devices.
    async fn readers(&self, room: &str) -> Result<Vec<OwnedUserId>, ApiError> {
        #[derive(Deserialize)]
        struct Members {
            chunk: Vec<Member>,
        }
        #[derive(Deserialize)]
        struct Member {
            state_key: String,
            content: Value,
        }
        let path = format!(
            "/_matrix/client/v3/rooms/{}/members?not_membership=leave",
            segment(room)
        );
        let members: Members = self.api.get(&path, As::BOT).await?;
        let reads = |member: &Member| {
            let membership = member.content.get("membership").and_then(Value::as_str);
            matches!(membership, Some("join" | "invite")) && !self.names.is_own(&member.state_key)
        };
        Ok(members
            .chunk
            .iter()
            .filter(|member| reads(member))
            .filter_map(|member| UserId::parse(&member.state_key).ok())
            .collect())
    }
}
