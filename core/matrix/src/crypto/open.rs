//! What came → what can be read: an encrypted event → the event.

use matrix_sdk_common::deserialized_responses::{AlgorithmInfo, EncryptionInfo, VerificationLevel, VerificationState};
use matrix_sdk_crypto::MegolmError;
use matrix_sdk_crypto::vodozemac::megolm::DecryptionError;
use ruma::RoomId;
use ruma::serde::Raw;
use serde::Deserialize;
use serde_json::{Value, json};

use super::Crypto;
use super::incoming::TRUST;
use super::rooms::Standing;
use super::seal::ENCRYPTED;
use super::words::Unread;
use crate::Homeserver;
use crate::convert::raw::RoomEvent;
use crate::intake::Rejected;
use crate::metric::{self, Fate};

/// What came of decrypting an event.
pub(crate) enum Opened {
    /// The event.
    Clear(Box<RoomEvent>),
    /// Its key is not here yet.
    Missing,
    /// It cannot be read, or must not be believed.
    Never(Unread),
}

/// Whether an event is something that somebody says.
fn is_words(raw: &RoomEvent) -> bool {
    matches!(raw.kind.as_str(), "m.room.message" | "m.sticker")
}

/// What is encrypted of an event.
#[derive(Deserialize)]
struct Inner {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    content: Value,
}

impl Homeserver {
    /// Attends to an event, and gives it as it can be read. None if it waits for its key, or must not cross.
    pub(crate) async fn readable(&self, raw: RoomEvent) -> Result<Option<RoomEvent>, Rejected> {
        if raw.kind == ENCRYPTED {
            return self.unsealed(raw).await;
        }
        self.attend(&raw).await;
        let room = &raw.room_id;
        if !self.observer.is_mirrored(room) {
            return Ok(Some(raw));
        }
        if self.waiting.holds(room) {
            self.wait_for_key(&raw).await?;
            return Ok(None);
        }
        if !self.observer.is_encrypted(room) && !self.rooms.is_known_encrypted(room) {
            return Ok(Some(raw));
        }
        match self.standing(room).await.map_err(|_| Rejected::NotStored)? {
            Standing::Unfit(unfit) => {
                metric::event(Fate::Encrypted);
                self.tell_unfit(room, unfit);
                Ok(None)
            }
            Standing::Sealed(_) if is_words(&raw) && self.command_text(&raw).await.is_none() => {
                self.tell_unread(room, &raw.event_id, Unread::Plain);
                Ok(None)
            }
            Standing::Plain | Standing::Sealed(_) => Ok(Some(raw)),
        }
    }

    async fn unsealed(&self, raw: RoomEvent) -> Result<Option<RoomEvent>, Rejected> {
        let room = &raw.room_id;
        let mirrored = self.observer.is_mirrored(room);
        // What is left of one that was withdrawn.
        if raw.is_empty() || !(mirrored || self.is_talk(room).await) {
            metric::event(Fate::Elsewhere);
            return Ok(None);
        }
        let standing = self.standing(room).await.map_err(|_| Rejected::NotStored)?;
        let (crypto, opened) = match (standing, self.crypto()) {
            (Standing::Sealed(_), Some(_)) if self.waiting.holds(room) => {
                self.wait_for_key(&raw).await?;
                return Ok(None);
            }
            (Standing::Sealed(_), Some(crypto)) => (crypto, self.open(crypto, &raw).await),
            (Standing::Unfit(unfit), _) => {
                metric::event(Fate::Encrypted);
                self.tell_unfit(room, unfit);
                return Ok(None);
            }
            (Standing::Plain | Standing::Sealed(_), _) => {
                self.tell_unread(room, &raw.event_id, Unread::Broken);
                return Ok(None);
            }
        };
        match opened {
            Opened::Clear(raw) => {
                self.attend(&raw).await;
                Ok(Some(*raw))
            }
            Opened::Missing if mirrored => {
                tracing::info!(%room, event = raw.event_id, "The key of an event is missing; it waits.");
                crypto.look_for_keys();
                self.wait_for_key(&raw).await?;
                Ok(None)
            }
            Opened::Missing => {
                self.tell_unread(room, &raw.event_id, Unread::NoKey);
                Ok(None)
            }
            Opened::Never(why) => {
                self.tell_unread(room, &raw.event_id, why);
                Ok(None)
            }
        }
    }

    /// Decrypts an event.
    pub(crate) async fn open(&self, crypto: &Crypto, raw: &RoomEvent) -> Opened {
        let Ok(room) = RoomId::parse(&raw.room_id) else {
            return Opened::Never(Unread::Broken);
        };
        let event = json!({
            "type": raw.kind, "event_id": raw.event_id, "sender": raw.sender,
            "origin_server_ts": raw.origin_server_ts, "content": raw.content,
        });
        let Ok(event) = Raw::new(&event) else {
            return Opened::Never(Unread::Broken);
        };
        match crypto
            .machine
            .decrypt_room_event(&event.cast_unchecked(), &room, &TRUST)
            .await
        {
            Ok(decrypted) => {
                if !self.is_genuine(crypto, &raw.sender, &decrypted.encryption_info) {
                    return Opened::Never(Unread::Impostor);
                }
                match serde_json::from_str::<Inner>(decrypted.event.json().get()) {
                    // State and further layers of encryption have no place in there.
                    Ok(inner) if inner.kind != "m.room.encrypted" => {
                        Opened::Clear(Box::new(raw.opened(inner.kind, inner.content)))
                    }
                    _ => Opened::Never(Unread::Broken),
                }
            }
            Err(MegolmError::MissingRoomKey(_) | MegolmError::Decryption(DecryptionError::UnknownMessageIndex(..))) => {
                Opened::Missing
            }
            Err(MegolmError::Store(error)) => {
                tracing::error!(%error, "The store of keys could not be read; the event waits.");
                Opened::Missing
            }
            Err(error) => {
                tracing::info!(room = %raw.room_id, %error, "An event could not be decrypted.");
                Opened::Never(Unread::Broken)
            }
        }
    }

    /// Whether whoever encrypted an event may speak as its sender: the sender, or we ourselves where we speak for them.
    fn is_genuine(&self, crypto: &Crypto, sender: &str, info: &EncryptionInfo) -> bool {
        if info.verification_state != VerificationState::Unverified(VerificationLevel::MismatchedSender) {
            return true;
        }
        let ours = crypto.machine.identity_keys().curve25519.to_base64();
        let by_us = matches!(&info.algorithm_info,
            AlgorithmInfo::MegolmV1AesSha2 { curve25519_key, .. } if *curve25519_key == ours);
        by_us && self.may_speak_for(sender)
    }
}
