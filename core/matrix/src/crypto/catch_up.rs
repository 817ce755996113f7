//! What was sent to the bot's device while nobody could be told. A homeserver may keep only the events of a transaction that
//! fails and forget its messages to devices (Synapse does); they stay in the device's inbox, which is read here: at the start,
//! once in a while, and when a key is missing.

use ruma::api::client::sync::sync_events::DeviceLists;
use ruma::serde::Raw;
use ruma::{OneTimeKeyAlgorithm, UInt};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::collections::BTreeMap;

use super::Crypto;
use super::incoming::Changes;
use super::requests::failed;
use crate::Homeserver;
use crate::client::{As, segment};
use crate::error::ApiError;

/// Under which key of the state it is noted up to where the inbox was read.
const READ_TO: &str = "crypto/read-to";
/// Nothing but the inbox is asked for.
const FILTER: &str = r#"{"room":{"rooms":[]},"presence":{"not_types":["*"]},"account_data":{"not_types":["*"]}}"#;

/// What the homeserver says about the inbox.
#[derive(Deserialize)]
struct Inbox {
    next_batch: String,
    #[serde(default)]
    to_device: Messages,
    #[serde(default)]
    device_lists: DeviceLists,
    #[serde(default)]
    device_one_time_keys_count: BTreeMap<OneTimeKeyAlgorithm, UInt>,
    device_unused_fallback_key_types: Option<Vec<OneTimeKeyAlgorithm>>,
}

#[derive(Default, Deserialize)]
struct Messages {
    #[serde(default)]
    events: Vec<Box<RawValue>>,
}

impl Homeserver {
    /// Reads the inbox of the bot's device.
    pub(super) async fn catch_up(&self, crypto: &Crypto) -> Result<(), ApiError> {
        let alone = crypto.catching_up.lock().await;
        let state = &self.context.state;
        let since = state.get(READ_TO).await.map_err(failed)?;
        let since = since.and_then(|since| String::from_utf8(since).ok());
        let mut path = format!(
            "/_matrix/client/v3/sync?timeout=0&device_id={}&filter={}",
            segment(&crypto.device),
            segment(FILTER)
        );
        if let Some(since) = &since {
            path.push_str("&since=");
            path.extend(segment(since));
        }
        let inbox: Inbox = self.api.get(&path, As::user(self.names.bot())).await.map_err(failed)?;
        let changes = Changes {
            messages: inbox.to_device.events.into_iter().map(Raw::from_json).collect(),
            devices: inbox.device_lists,
            counts: inbox.device_one_time_keys_count,
            fallback: inbox.device_unused_fallback_key_types,
        };
        self.receive(crypto, changes).await.map_err(failed)?;
        let read_to = vec![(READ_TO.to_owned(), Some(inbox.next_batch.into_bytes()))];
        state.put(read_to).await.map_err(failed)?;
        drop(alone);
        Ok(())
    }
}
