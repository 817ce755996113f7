//! What the state machine wants asked and told.

use std::sync::atomic::Ordering;
use std::time::Duration;

use matrix_sdk_crypto::types::requests::{
    AnyIncomingResponse, AnyOutgoingRequest, KeysQueryRequest, OutgoingRequest, ToDeviceRequest,
    UploadSigningKeysRequest,
};
use ruma::api::IncomingResponse;
use ruma::api::client::keys::upload_signatures::v3::Request as UploadSignatures;
use ruma::api::client::keys::{claim_keys, get_keys, upload_keys, upload_signatures, upload_signing_keys};
use ruma::api::client::to_device::send_event_to_device;
use serde_json::{Value, json};

use super::Crypto;
use crate::Homeserver;
use crate::client::{As, segment};
use crate::error::ApiError;

/// How often it is looked whether an answer led to more requests.
const ROUNDS: usize = 8;
/// How often it is looked whether there is something to be asked, without a reason.
const CHECK: Duration = Duration::from_mins(1);
/// How long until what failed is tried again.
const AGAIN: Duration = Duration::from_secs(2);

pub(super) fn failed(error: impl std::fmt::Display) -> ApiError {
    ApiError::Keys(error.to_string())
}

/// An answer as the machine takes it.
fn answer<T: IncomingResponse>(value: &Value) -> Result<T, ApiError> {
    let response = http::Response::new(value.to_string().into_bytes());
    T::try_from_http_response(response).map_err(|_| ApiError::Answer("about keys".to_owned()))
}

impl Homeserver {
    /// Sees to the machine's requests whenever there are some. Never ends.
    pub(crate) async fn tend_keys(&self) {
        let Some(crypto) = self.crypto() else {
            return std::future::pending().await;
        };
        loop {
            let idle = tokio::time::timeout(CHECK, crypto.wake.notified()).await.is_err();
            let behind = crypto.behind.swap(false, Ordering::Relaxed);
            if let Err(error) = self.tend_once(crypto, idle || behind).await {
                tracing::info!(%error, "The homeserver could not be asked about keys yet.");
                tokio::time::sleep(AGAIN).await;
                crypto.behind.fetch_or(behind, Ordering::Relaxed);
                crypto.wake.notify_one();
            }
        }
    }

    async fn tend_once(&self, crypto: &Crypto, behind: bool) -> Result<(), ApiError> {
        if behind {
            self.catch_up(crypto).await?;
        }
        self.settle_requests(crypto).await?;
        // Sessions that broke are made anew.
        self.claim_keys(crypto, &[]).await
    }

    /// Asks and tells whatever the machine wants, until nothing is left.
    pub(super) async fn settle_requests(&self, crypto: &Crypto) -> Result<(), ApiError> {
        let alone = crypto.requests.lock().await;
        for _ in 0..ROUNDS {
            let requests = crypto.machine.outgoing_requests().await.map_err(failed)?;
            if requests.is_empty() {
                break;
            }
            for request in &requests {
                self.send_request(crypto, request).await?;
            }
        }
        drop(alone);
        Ok(())
    }

    /// Makes sure that there is a session with every device of these users (and with those that broke).
    pub(super) async fn claim_keys(&self, crypto: &Crypto, users: &[ruma::OwnedUserId]) -> Result<(), ApiError> {
        let alone = crypto.requests.lock().await;
        let users = users.iter().map(AsRef::as_ref);
        let wanted = crypto.machine.get_missing_sessions(users).await.map_err(failed)?;
        if let Some((id, request)) = wanted {
            let body = json!({ "one_time_keys": request.one_time_keys });
            let value = self.ask(crypto, "/_matrix/client/v3/keys/claim", &body).await?;
            let response: claim_keys::v3::Response = answer(&value)?;
            let marked = crypto.machine.mark_request_as_sent(&id, &response).await;
            marked.map_err(failed)?;
        }
        drop(alone);
        Ok(())
    }

    /// Tells devices something: their room key, mostly.
    pub(super) async fn send_to_devices(&self, crypto: &Crypto, request: &ToDeviceRequest) -> Result<(), ApiError> {
        let path = format!(
            "/_matrix/client/v3/sendToDevice/{}/{}?device_id={}",
            segment(&request.event_type.to_string()),
            segment(request.txn_id.as_str()),
            segment(&crypto.device)
        );
        let body = json!({ "messages": request.messages });
        let bot = As::user(self.names.bot());
        self.api.put(&path, bot, &body).await.map_err(failed)?;
        let response = send_event_to_device::v3::Response::new();
        let marked = crypto.machine.mark_request_as_sent(&request.txn_id, &response).await;
        marked.map_err(failed)
    }

    pub(super) async fn send_request(&self, crypto: &Crypto, request: &OutgoingRequest) -> Result<(), ApiError> {
        let (machine, id) = (&crypto.machine, request.request_id());
        match request.request() {
            AnyOutgoingRequest::KeysUpload(upload) => {
                let body = json!({
                    "device_keys": upload.device_keys, "one_time_keys": upload.one_time_keys,
                    "fallback_keys": upload.fallback_keys,
                });
                let value = self
                    .ask(crypto, "/_matrix/client/v3/keys/upload", &without_nulls(body))
                    .await?;
                let response: upload_keys::v3::Response = answer(&value)?;
                machine.mark_request_as_sent(id, &response).await.map_err(failed)
            }
            AnyOutgoingRequest::KeysQuery(query) => {
                let response = self.query_keys(crypto, query).await?;
                machine.mark_request_as_sent(id, &response).await.map_err(failed)
            }
            AnyOutgoingRequest::KeysClaim(claim) => {
                let body = json!({ "one_time_keys": claim.one_time_keys });
                let value = self.ask(crypto, "/_matrix/client/v3/keys/claim", &body).await?;
                let response: claim_keys::v3::Response = answer(&value)?;
                machine.mark_request_as_sent(id, &response).await.map_err(failed)
            }
            AnyOutgoingRequest::ToDeviceRequest(request) => self.send_to_devices(crypto, request).await,
            AnyOutgoingRequest::SignatureUpload(upload) => {
                self.upload_signatures(crypto, upload).await?;
                let response = upload_signatures::v3::Response::new();
                machine.mark_request_as_sent(id, &response).await.map_err(failed)
            }
            // Only of verifications in rooms, which the bot does not take part in.
            AnyOutgoingRequest::RoomMessage(_) => Ok(()),
        }
    }

    async fn query_keys(&self, crypto: &Crypto, query: &KeysQueryRequest) -> Result<get_keys::v3::Response, ApiError> {
        let body = json!({ "device_keys": query.device_keys });
        let value = self.ask(crypto, "/_matrix/client/v3/keys/query", &body).await?;
        answer(&value)
    }

    pub(super) async fn upload_signing_keys(
        &self,
        crypto: &Crypto,
        keys: &UploadSigningKeysRequest,
    ) -> Result<(), ApiError> {
        let body = json!({
            "master_key": keys.master_key, "self_signing_key": keys.self_signing_key,
            "user_signing_key": keys.user_signing_key,
        });
        let path = "/_matrix/client/v3/keys/device_signing/upload";
        self.ask(crypto, path, &without_nulls(body)).await?;
        let response = upload_signing_keys::v3::Response::new();
        let told = AnyIncomingResponse::SigningKeysUpload(&response);
        let id = ruma::TransactionId::new();
        crypto.machine.mark_request_as_sent(&id, told).await.map_err(failed)
    }

    pub(super) async fn upload_signatures(
        &self,
        crypto: &Crypto,
        signatures: &UploadSignatures,
    ) -> Result<(), ApiError> {
        let path = "/_matrix/client/v3/keys/signatures/upload";
        self.ask(crypto, path, &json!(signatures.signed_keys)).await.map(drop)
    }

    /// Asks as the bot's device.
    async fn ask(&self, crypto: &Crypto, path: &str, body: &Value) -> Result<Value, ApiError> {
        let path = format!("{path}?device_id={}", segment(&crypto.device));
        self.api
            .post(&path, As::user(self.names.bot()), body)
            .await
            .map_err(failed)
    }
}

/// An object without its keys that have no value.
fn without_nulls(mut object: Value) -> Value {
    if let Some(object) = object.as_object_mut() {
        object.retain(|_, value| !value.is_null());
    }
    object
}
