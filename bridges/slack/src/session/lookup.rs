//! Whether a delivery arrived: its key travels in the metadata of its messages, and the files it uploads are remembered.
//!
//! Before a delivery is made, the session remembers that it begins, when and where; so a look-up reads only what came since.

use serde::{Deserialize, Serialize};
use viaduct_bridge::DeliveryError;
use viaduct_model::{ChannelId, DeliveryKey, MessageId, Receipt, Timestamp};

use super::uploads::share_of;
use super::{Slack, direct, locked};
use crate::client::calls::Span;
use crate::client::error::CallError;
use crate::convert::ids::{from_micros, micros, time};

/// How many beginnings are remembered for each channel.
const BEGUN: usize = 8;
/// How far Slack's clock may be behind ours, in microseconds.
const SKEW: u64 = 300 * 1_000_000;
/// How many pages are read where no beginning is remembered.
const PAGES: usize = 10;

/// A delivery that began.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Begun {
    key: String,
    /// In microseconds, by our clock.
    at: u64,
    /// The thread it goes to.
    thread: Option<String>,
    /// The files it uploaded.
    files: Vec<String>,
}

impl Begun {
    /// A delivery begins now.
    pub fn new(key: &str, now: Timestamp, thread: Option<&str>) -> Self {
        Self {
            key: key.to_owned(),
            at: now.as_millis().saturating_mul(1000),
            thread: thread.map(str::to_owned),
            files: Vec::new(),
        }
    }
}

impl Slack {
    async fn begun(&self, channel: &ChannelId) -> Result<Vec<Begun>, DeliveryError> {
        let value = self.context.state.get(&format!("begun/{channel}")).await;
        let value = value.map_err(|error| DeliveryError::retry(error.to_string()))?;
        Ok(value
            .and_then(|value| serde_json::from_slice(&value).ok())
            .unwrap_or_default())
    }

    async fn keep_begun(&self, channel: &ChannelId, begun: &[Begun]) -> Result<(), DeliveryError> {
        let value = serde_json::to_vec(begun).ok();
        let kept = self.context.state.put(vec![(format!("begun/{channel}"), value)]).await;
        kept.map_err(|error| DeliveryError::retry(error.to_string()))
    }

    /// Remembers that a delivery begins.
    pub(super) async fn begin(&self, channel: &ChannelId, new: Begun) -> Result<(), DeliveryError> {
        let _turn = self.begun.lock().await;
        let mut begun = self.begun(channel).await?;
        // A second attempt keeps the time and the files of the first.
        if begun.iter().any(|old| old.key == new.key) {
            return Ok(());
        }
        begun.push(new);
        let surplus = begun.len().saturating_sub(BEGUN);
        begun.drain(..surplus);
        self.keep_begun(channel, &begun).await
    }

    /// Remembers that a delivery is about to share a file.
    pub(super) async fn begin_file(&self, channel: &ChannelId, key: &str, file: &str) -> Result<(), DeliveryError> {
        let _turn = self.begun.lock().await;
        let mut begun = self.begun(channel).await?;
        if let Some(own) = begun.iter_mut().find(|old| old.key == key) {
            own.files.push(file.to_owned());
            let surplus = own.files.len().saturating_sub(32);
            own.files.drain(..surplus);
        }
        self.keep_begun(channel, &begun).await
    }

    /// Asks Slack whether a delivery arrived. What arrived of it is remembered, so that only the rest is made again.
    pub(super) async fn look_for(
        &self,
        channel: &ChannelId,
        key: &DeliveryKey,
    ) -> Result<Option<Receipt>, DeliveryError> {
        self.ready()?;
        let id = if let Some(pair) = direct::Pair::read(channel) {
            self.aim_directly(&pair).await?.id
        } else {
            let known = self.channels.spelled(channel);
            let known = known.ok_or_else(|| DeliveryError::permanent("the channel is not mirrored"))?;
            known.usable().map_err(DeliveryError::retry)?
        };
        let begun = self
            .begun(channel)
            .await?
            .into_iter()
            .find(|begun| begun.key == key.as_str());
        let total = self.look_in_messages(&id, key.as_str(), begun.as_ref()).await?;
        let mut files = Vec::new();
        for file in begun.iter().flat_map(|begun| &begun.files) {
            match self.api.file(file).await {
                Ok(found) => files.extend(share_of(&found, &id)),
                Err(CallError::Refused { .. }) => {}
                Err(error) => return Err(error.for_repeatable()),
            }
        }
        let mut parts: Vec<(u64, String)> = {
            let mut partial = locked(&self.partial);
            let known = partial.get_or_insert_mut(key.to_string(), Default::default);
            // Files have the numbers behind the text; without any text there are only files.
            let first = total.unwrap_or(files.len() as u64).saturating_sub(files.len() as u64);
            for (number, ts) in files.into_iter().enumerate() {
                known.entry(first + number as u64).or_insert(ts);
            }
            known.iter().map(|(number, ts)| (*number, ts.clone())).collect()
        };
        parts.sort();
        let whole = total.map_or(!parts.is_empty(), |total| parts.len() as u64 >= total);
        if !whole {
            return Ok(None);
        }
        locked(&self.partial).pop(key.as_str());
        Ok(Some(Receipt {
            at: parts.first().map(|(_, ts)| time(ts)),
            ids: parts.iter().filter_map(|(_, ts)| MessageId::new(ts).ok()).collect(),
            losses: Vec::new(),
        }))
    }

    /// Looks for messages with this key, notes them, and gives how many parts the delivery has.
    async fn look_in_messages(&self, id: &str, key: &str, begun: Option<&Begun>) -> Result<Option<u64>, DeliveryError> {
        let oldest = begun.map(|begun| from_micros(begun.at.saturating_sub(SKEW)));
        let mut spans = vec![None];
        spans.extend(begun.and_then(|begun| begun.thread.clone()).map(Some));
        let mut total = None;
        for thread in spans {
            let span = Span {
                channel: id.to_owned(),
                thread,
                oldest: oldest.clone(),
                latest: None,
                metadata: true,
            };
            let mut cursor = None;
            for page in 0.. {
                let found = match self.api.messages(&span, cursor.as_ref()).await {
                    Ok(found) => found,
                    Err(error) if error.code() == Some("thread_not_found") => break,
                    Err(error) => return Err(error.for_repeatable()),
                };
                for message in &found.messages {
                    if let Some(own) = self
                        .own_key(message)
                        .filter(|own| own.key == key && micros(&message.ts) > 0)
                    {
                        total = Some(own.parts.unwrap_or(1));
                        let number = usize::try_from(own.part.unwrap_or(0)).unwrap_or(0);
                        self.arrived_now(key, number, &message.ts);
                    }
                }
                let single = total == Some(1) && self.arrived(key, 0).is_some();
                cursor = found.next;
                if cursor.is_none() || single || (oldest.is_none() && page >= PAGES) {
                    break;
                }
            }
        }
        Ok(total)
    }
}
