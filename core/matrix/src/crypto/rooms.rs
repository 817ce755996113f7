//! Which rooms are encrypted, and whether that fits their mirror.

use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use lru::LruCache;
use matrix_sdk_crypto::types::EventEncryptionAlgorithm;
use matrix_sdk_crypto::{CollectStrategy, EncryptionSettings};
use ruma::events::room::history_visibility::HistoryVisibility;
use serde_json::{Value, json};

use crate::Homeserver;
use crate::client::As;
use crate::convert::raw::text;
use crate::error::ApiError;

/// The type of the state event that makes a room an encrypted one.
pub(crate) const ENCRYPTION: &str = "m.room.encryption";
/// The one way of encrypting rooms.
const MEGOLM: &str = "m.megolm.v1.aes-sha2";
/// How many rooms are remembered; others are asked about again.
const REMEMBERED: NonZeroUsize = NonZeroUsize::new(20_000).unwrap();
/// After how long and how many messages a room's key is made anew, where the room does not say.
const ROTATION: (Duration, u64) = (Duration::from_hours(7 * 24), 100);

/// How a room is encrypted; none: not at all.
pub(crate) type Encryption = Option<Arc<EncryptionSettings>>;

/// Which rooms are encrypted, as far as known.
pub(crate) struct Rooms(Mutex<LruCache<Box<str>, Encryption>>);

/// How a room and its mirror stand.
pub(crate) enum Standing {
    /// Neither is encrypted.
    Plain,
    /// Both are.
    Sealed(Arc<EncryptionSettings>),
    /// They do not fit: nothing crosses.
    Unfit(Unfit),
}

/// Why a room does not fit its mirror.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unfit {
    /// The room is encrypted, and nobody has opted in.
    NotWanted,
    /// The mirror is to be encrypted, and the room is not.
    NotEncrypted,
}

/// What makes a room an encrypted one.
pub(crate) fn encryption_content() -> Value {
    json!({ "algorithm": MEGOLM })
}

/// How the content of a room's state event says that it is encrypted.
fn encryption_of(content: &Value) -> Encryption {
    let number = |key: &str| content.get(key).and_then(Value::as_u64);
    let algorithm = text(content, "algorithm")?;
    Some(Arc::new(EncryptionSettings {
        algorithm: EventEncryptionAlgorithm::from(algorithm),
        rotation_period: number("rotation_period_ms").map_or(ROTATION.0, Duration::from_millis),
        rotation_period_msgs: number("rotation_period_msgs").unwrap_or(ROTATION.1),
        // What was said before somebody came is not for them.
        history_visibility: HistoryVisibility::Joined,
        sharing_strategy: CollectStrategy::AllDevices,
    }))
}

impl Rooms {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(LruCache::new(REMEMBERED)))
    }

    fn known(&self, room: &str) -> Option<Encryption> {
        let mut rooms = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        rooms.get(room).cloned()
    }

    /// Notes what a room's state says. What was encrypted once stays it.
    fn note(&self, room: &str, encryption: &Encryption) {
        let mut rooms = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if encryption.is_some() || !matches!(rooms.peek(room), Some(Some(_))) {
            rooms.put(room.into(), encryption.clone());
        }
    }

    /// Whether a room is known to be encrypted, without asking.
    pub(crate) fn is_known_encrypted(&self, room: &str) -> bool {
        matches!(self.known(room), Some(Some(_)))
    }

    /// Notes that a room's state says how it is encrypted.
    pub(crate) fn learn(&self, room: &str, content: &Value) {
        self.note(room, &encryption_of(content));
    }
}

impl Homeserver {
    /// How a room is encrypted; the homeserver is asked once a run.
    async fn encryption(&self, room: &str) -> Result<Encryption, ApiError> {
        if let Some(known) = self.rooms.known(room) {
            return Ok(known);
        }
        let ghost = self.ghost_of_direct(room).await;
        let who = As {
            user: ghost.as_deref(),
            at: None,
        };
        let encryption = match self.api.state(room, ENCRYPTION, "", who).await {
            Ok(content) => encryption_of(&content),
            Err(error) if error.is_missing() => None,
            // We are not in it (yet). A mirror that is to be encrypted keeps still then.
            Err(error) if error.is("M_FORBIDDEN") => return Ok(None),
            Err(error) => return Err(error),
        };
        self.rooms.note(room, &encryption);
        Ok(encryption)
    }

    /// Whether a room's encryption fits its mirror. The bot's own chats are encrypted where they can be.
    pub(crate) async fn standing(&self, room: &str) -> Result<Standing, ApiError> {
        let encryption = self.encryption(room).await?;
        let mirrored = self.observer.is_mirrored(room);
        let wanted = if mirrored {
            self.observer.is_encrypted(room)
        } else {
            self.config.encryption.is_some() && self.ghost_of_direct(room).await.is_none()
        };
        Ok(match encryption {
            Some(settings) if wanted && settings.algorithm.as_ref() == MEGOLM => Standing::Sealed(settings),
            Some(_) => Standing::Unfit(Unfit::NotWanted),
            None if wanted && mirrored => Standing::Unfit(Unfit::NotEncrypted),
            None => Standing::Plain,
        })
    }

    /// Refuses what would go into a room that does not fit its mirror.
    pub(crate) async fn check_fit(&self, room: &str) -> Result<(), ApiError> {
        match self.standing(room).await? {
            Standing::Unfit(unfit) => {
                self.tell_unfit(room, unfit);
                Err(ApiError::Unfit(unfit))
            }
            Standing::Plain | Standing::Sealed(_) => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_encrypted_stays_encrypted() {
        let rooms = Rooms::new();
        rooms.learn("!r", &json!({}));
        assert!(!rooms.is_known_encrypted("!r"));
        rooms.learn("!r", &json!({ "algorithm": MEGOLM, "rotation_period_msgs": 7 }));
        assert!(rooms.is_known_encrypted("!r"));
        rooms.learn("!r", &json!({}));
        let settings = rooms.known("!r").flatten().unwrap();
        assert_eq!(settings.rotation_period_msgs, 7);
        assert_eq!(settings.rotation_period, ROTATION.0);
    }

    #[test]
    fn odd_settings_are_taken_with_care() {
        let odd = json!({ "algorithm": "x", "rotation_period_ms": -1, "rotation_period_msgs": "many" });
        let settings = encryption_of(&odd).unwrap();
        assert_ne!(settings.algorithm.as_ref(), MEGOLM);
        assert_eq!((settings.rotation_period, settings.rotation_period_msgs), ROTATION);
        assert!(encryption_of(&json!({ "algorithm": 7 })).is_none());
    }
}
