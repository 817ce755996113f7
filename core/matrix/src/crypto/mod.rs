//! End-to-bridge encryption: the hub's own device, and what is encrypted and decrypted with it.
//!
//! The hub has one device, the bot's. Ghosts have none: what they say is encrypted with the bot's. It is there only where the
//! operator configures it, and a mirror is encrypted only where its section says so. The private keys are in a store of their
//! own ([`machine`]), encrypted with the operator's passphrase, and never leave it.
//!
//! | module | does |
//! |---|---|
//! | [`machine`] | the store of keys, the device on the homeserver, its cross-signing |
//! | [`requests`] | what the state machine wants asked and told |
//! | [`incoming`] | the part of a transaction that is about keys; taken in before its events, and durable before it is acknowledged |
//! | [`catch_up`] | what was sent to the device while nobody could be told |
//! | [`rooms`] | which rooms are encrypted, and whether that fits their mirror |
//! | [`open`] | an encrypted event → the event |
//! | [`waiting`] | events whose key has not come yet |
//! | [`seal`] | an event → an encrypted one, its key shared with everybody in the room |
//! | [`files`] | encrypted files, in both directions |
//! | [`words`] | what people are told |
//! | [`probe`] | what `doctor` asks about it |
//!
//! # In order, and never silently lost
//!
//! An event whose key is missing waits, and whatever is said after it in the same room waits behind it; other rooms do not.
//! What waits is known by its event ids alone, which are stored before the transaction is acknowledged: the homeserver keeps
//! the events. A key that has not come after [`waiting::PATIENCE`] is not waited for any longer: the sender is told in the
//! room that the message was not passed on and why, and the room goes on. If the key comes later still, the message does not
//! cross by itself, as it would then stand after what answers it: its sender was asked to send it again. Nobody else can be
//! asked for a key: clients give keys to devices of their own user only, and the bot has no other.
//!
//! Synapse hands on a message to a device once, and forgets it if the hub is away just then. It stays in the device's inbox,
//! which is read at the start and whenever a key is missing ([`catch_up`]). That does not find every key yet: what is said with a
//! new key while the hub is away may have to be said again, and its sender is told so.
//!
//! # What is decrypted
//!
//! In the journal a decrypted message is kept as any other, and deleted as any other: encryption ends at the hub, which is what
//! a room is told before its first message crosses, in the clear, so that whoever comes later can read it. A file stays encrypted on the homeserver and is decrypted on its way; the
//! journal has its key. Reactions and deletions are not encrypted in Matrix. In an encrypted mirror messages that are not
//! encrypted do not cross, whoever sends them: the homeserver could have put words in anybody's mouth.
//!
//! # What others see
//!
//! A room's key is shared with every device of everybody who is in the room or invited, verified or not, and made anew when
//! somebody leaves, and as often as the room wants it. The bot's device is cross-signed. What ghosts say is shown with a
//! warning by clients that compare the sender with the owner of the device: a ghost is not the bot. Direct chats with ghosts
//! cannot be encrypted yet: the bot is not in them.

mod catch_up;
pub(crate) mod files;
mod incoming;
mod machine;
mod open;
pub(crate) mod probe;
mod requests;
pub(crate) mod rooms;
pub(crate) mod seal;
pub(crate) mod waiting;
pub(crate) mod words;

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use lru::LruCache;
use matrix_sdk_crypto::OlmMachine;
use ruma::events::AnyToDeviceEvent;
use ruma::serde::Raw;
use serde_json::Value;
use sha2::{Digest, Sha256};
use tokio::sync::{Mutex as AsyncMutex, Notify};

use seal::Sharing;

/// How many messages to the device are remembered.
const MESSAGES: NonZeroUsize = NonZeroUsize::new(4096).unwrap();
/// How many rooms' members are remembered.
const ROOMS: NonZeroUsize = NonZeroUsize::new(2000).unwrap();

/// What a message to the device is known by. What is not encrypted is taken in again.
fn hash_of(message: &Raw<AnyToDeviceEvent>) -> Option<[u8; 32]> {
    let content: Value = message.get_field("content").ok()??;
    let sealed = content.get("ciphertext")?;
    Some(Sha256::digest(sealed.to_string().as_bytes()).into())
}

/// The hub's device at work.
pub(crate) struct Crypto {
    machine: OlmMachine,
    device: String,
    /// One at a time speaks for the machine, so that nothing is asked twice.
    requests: AsyncMutex<()>,
    /// Rises whenever somebody's devices or the members of a room changed: then it is looked who needs a room's key.
    changes: AtomicU64,
    rooms: Mutex<LruCache<Box<str>, Arc<AsyncMutex<Sharing>>>>,
    /// There may be something to be asked or told.
    wake: Notify,
    /// A key is missing: perhaps it is in the device's inbox.
    behind: AtomicBool,
    catching_up: AsyncMutex<()>,
    /// The messages to the device that were taken in, by their hashes: the inbox has them, too.
    taken: Mutex<LruCache<[u8; 32], ()>>,
}

impl Crypto {
    fn new(machine: OlmMachine, device: &str) -> Self {
        Self {
            machine,
            device: device.to_owned(),
            requests: AsyncMutex::default(),
            changes: AtomicU64::new(1),
            rooms: Mutex::new(LruCache::new(ROOMS)),
            wake: Notify::new(),
            behind: AtomicBool::new(false),
            catching_up: AsyncMutex::default(),
            taken: Mutex::new(LruCache::new(MESSAGES)),
        }
    }

    fn taken(&self) -> MutexGuard<'_, LruCache<[u8; 32], ()>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a message to the device was taken in already.
    fn knows(&self, message: &Raw<AnyToDeviceEvent>) -> bool {
        hash_of(message).is_some_and(|hash| self.taken().contains(&hash))
    }

    /// Notes that a message to the device was taken in.
    fn note(&self, message: &Raw<AnyToDeviceEvent>) {
        if let Some(hash) = hash_of(message) {
            self.taken().put(hash, ());
        }
    }

    /// Has the device's inbox be read: a key is missing.
    fn look_for_keys(&self) {
        self.behind.store(true, Ordering::Relaxed);
        self.wake.notify_one();
    }

    /// Notes that somebody's devices changed.
    fn note_change(&self) {
        self.changes.fetch_add(1, Ordering::Relaxed);
        self.wake.notify_one();
    }

    /// Who has a room's key.
    fn sharing(&self, room: &str) -> Arc<AsyncMutex<Sharing>> {
        let mut rooms = self.rooms.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = rooms.get(room) {
            return Arc::clone(known);
        }
        let sharing = Arc::new(AsyncMutex::new(Sharing::default()));
        rooms.put(room.into(), Arc::clone(&sharing));
        sharing
    }

    /// Notes that the members of a room changed.
    pub(crate) fn forget_members(&self, room: &str) {
        self.rooms.lock().unwrap_or_else(PoisonError::into_inner).pop(room);
    }
}
