//! The part of a transaction that is about keys. Both the stable and the unstable names are understood.

use std::collections::BTreeMap;

use matrix_sdk_crypto::{DecryptionSettings, EncryptionSyncChanges, OlmError, TrustRequirement};
use ruma::api::client::sync::sync_events::DeviceLists;
use ruma::events::AnyToDeviceEvent;
use ruma::serde::Raw;
use ruma::{OneTimeKeyAlgorithm, UInt};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use super::Crypto;
use crate::Homeserver;
use crate::convert::raw::KeyChanges;
use crate::intake::Rejected;

/// What is told of every device of ours, by user and device.
type PerDevice<T> = BTreeMap<String, BTreeMap<String, T>>;

/// Whose devices a message to devices is for.
#[derive(Deserialize)]
struct Address {
    to_user_id: String,
    to_device_id: String,
}

/// What is told about keys.
pub(super) struct Changes {
    pub(super) messages: Vec<Raw<AnyToDeviceEvent>>,
    pub(super) devices: DeviceLists,
    pub(super) counts: BTreeMap<OneTimeKeyAlgorithm, UInt>,
    pub(super) fallback: Option<Vec<OneTimeKeyAlgorithm>>,
}

/// Nobody's trust is asked for: whoever is in the room may speak.
pub(super) const TRUST: DecryptionSettings = DecryptionSettings {
    sender_device_trust_requirement: TrustRequirement::Untrusted,
};

/// The first of these that is there and can be read.
fn first<T: DeserializeOwned>(names: &[Option<&RawValue>]) -> Option<T> {
    names
        .iter()
        .flatten()
        .find_map(|value| serde_json::from_str(value.get()).ok())
}

impl Homeserver {
    /// Takes in what a transaction says about keys. When this returns, it is on stable storage.
    pub(crate) async fn take_in_keys(&self, keys: &KeyChanges<'_>) -> Result<(), Rejected> {
        let Some(crypto) = self.crypto().filter(|_| keys.is_there()) else {
            return Ok(());
        };
        let bot = self.names.bot();
        let ours = |text: &&&RawValue| {
            let address: Option<Address> = serde_json::from_str(text.get()).ok();
            address.is_some_and(|address| address.to_user_id == bot && address.to_device_id == crypto.device)
        };
        let to_device_events = keys
            .to_device()
            .filter(ours)
            .map(|text| Raw::from_json((*text).to_owned()))
            .collect();
        let devices: DeviceLists = first(&keys.device_lists()).unwrap_or_default();
        let mine = |all: PerDevice<_>| all.get(bot)?.get(&crypto.device).cloned();
        let counts: BTreeMap<OneTimeKeyAlgorithm, UInt> = first(&keys.counts()).and_then(mine).unwrap_or_default();
        let mine = |all: PerDevice<_>| all.get(bot)?.get(&crypto.device).cloned();
        let fallback: Option<Vec<OneTimeKeyAlgorithm>> = first(&keys.fallbacks()).and_then(mine);
        let changes = Changes {
            messages: to_device_events,
            devices,
            counts,
            fallback,
        };
        self.receive(crypto, changes).await.map_err(|error| {
            tracing::error!(%error, "What the homeserver told about keys could not be stored; it tells it again.");
            Rejected::NotStored
        })
    }

    /// Gives the machine what is about keys, each message once. When this returns, it is on stable storage.
    pub(super) async fn receive(&self, crypto: &Crypto, mut changes: Changes) -> Result<(), OlmError> {
        changes.messages.retain(|message| !crypto.knows(message));
        let taken = EncryptionSyncChanges {
            to_device_events: changes.messages.clone(),
            changed_devices: &changes.devices,
            one_time_keys_counts: &changes.counts,
            unused_fallback_keys: changes.fallback.as_deref(),
            next_batch_token: None,
        };
        let (_, room_keys) = crypto.machine.receive_sync_changes(taken, &TRUST).await?;
        changes.messages.iter().for_each(|message| crypto.note(message));
        if !changes.devices.is_empty() {
            crypto.note_change();
        }
        crypto.wake.notify_one();
        if !room_keys.is_empty() {
            self.waiting.key_came();
        }
        Ok(())
    }
}
