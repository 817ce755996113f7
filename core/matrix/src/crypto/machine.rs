//! The store of keys, the device on the homeserver, and its cross-signing.

use http::Method;
use matrix_sdk_crypto::OlmMachine;
use matrix_sdk_sqlite::SqliteCryptoStore;
use ruma::{DeviceId, UserId};
use serde_json::{Value, json};
use viaduct_bridge::SessionError;

use super::Crypto;
use super::requests::failed;
use crate::Homeserver;
use crate::client::{As, segment};
use crate::config::Encryption;
use crate::error::ApiError;

/// Under which key of the state it is noted whose keys the homeserver knows as our device's.
const KNOWN_DEVICE: &str = "crypto/device";

impl Crypto {
    /// Opens the store, or makes one with new keys.
    async fn open(wanted: &Encryption, bot: &str) -> Result<Self, String> {
        let user = UserId::parse(bot).map_err(|error| format!("{bot}: {error}"))?;
        let device: &DeviceId = wanted.device.as_str().into();
        let told = |error: String| {
            format!(
                "the keys in {} cannot be used (homeserver.encryption): {error}",
                wanted.folder.display()
            )
        };
        let store = SqliteCryptoStore::open(&wanted.folder, Some(wanted.passphrase.reveal()))
            .await
            .map_err(|error| told(error.to_string()))?;
        let machine = OlmMachine::with_store(&user, device, store, None)
            .await
            .map_err(|error| told(error.to_string()))?;
        Ok(Self::new(machine, &wanted.device))
    }
}

impl Homeserver {
    /// Opens the keys, where the operator wants encryption.
    pub(crate) async fn open_crypto(&self) -> Result<(), SessionError> {
        if let Some(wanted) = &self.config.encryption {
            let opened = self
                .crypto
                .get_or_try_init(|| Crypto::open(wanted, self.names.bot()))
                .await;
            opened.map_err(SessionError::Connection)?;
        }
        Ok(())
    }

    /// The device, where there is one.
    pub(crate) fn crypto(&self) -> Option<&Crypto> {
        self.crypto.get()
    }

    /// Makes the device known to the homeserver, with its keys. May be done again.
    pub(crate) async fn introduce_device(&self) -> Result<(), ApiError> {
        let Some(crypto) = self.crypto() else { return Ok(()) };
        let bot = As::user(self.names.bot());
        let path = format!("/_matrix/client/v3/devices/{}", segment(&crypto.device));
        let mine = crypto.machine.identity_keys().curve25519.to_base64();
        let known = self.context.state.get(KNOWN_DEVICE).await;
        let known = known.map_err(failed)?;
        if known.as_deref() != Some(mine.as_bytes()) {
            // A device of this name from before has other keys, and a device's keys never change.
            let gone = self
                .api
                .call::<Value>(Method::DELETE, &path, bot, Some(&json!({})))
                .await;
            if let Err(error) = gone.map(drop)
                && !error.is_missing()
            {
                return Err(error);
            }
        }
        self.api.put(&path, bot, &json!({ "display_name": "viaduct" })).await?;
        // Nobody told us meanwhile whose devices changed.
        crypto.machine.mark_all_tracked_users_as_dirty().await.map_err(failed)?;
        self.settle_requests(crypto).await?;
        let note = vec![(KNOWN_DEVICE.to_owned(), Some(mine.into_bytes()))];
        let noted = self.context.state.put(note).await;
        noted.map_err(failed)?;
        self.catch_up(crypto).await?;
        if let Err(error) = self.cross_sign(crypto).await {
            tracing::warn!(%error, "The bot's device could not be cross-signed: clients show its messages with a warning.");
        }
        Ok(())
    }

    async fn cross_sign(&self, crypto: &Crypto) -> Result<(), ApiError> {
        let requests = crypto.machine.bootstrap_cross_signing(false).await;
        let requests = requests.map_err(failed)?;
        if let Some(upload) = &requests.upload_keys_req {
            self.send_request(crypto, upload).await?;
        }
        self.upload_signing_keys(crypto, &requests.upload_signing_keys_req)
            .await?;
        self.upload_signatures(crypto, &requests.upload_signatures_req).await
    }
}
