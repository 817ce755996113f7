//! Whether a delivery arrived: nothing can be attached to a message by which it is found again, so it is recognised among the
//! bot's own recent messages by its wording, its time and by not being another delivery's.
//!
//! Before a delivery is made, the session remembers durably that it begins, when, where and with which wording; and of earlier
//! deliveries, what they became.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use viaduct_bridge::DeliveryError;
use viaduct_model::{ChannelId, DeliveryKey, Receipt, Timestamp};

use super::outbound::receipt;
use super::{Teams, locked};
use crate::client::error::CallError;
use crate::client::json;
use crate::convert::html::{self, Mentions};
use crate::convert::said::Said;

/// How many deliveries of each channel are remembered.
const BEGUN: usize = 32;
/// The largest value that is remembered, in bytes.
const VALUE: usize = 15 * 1024;
/// How far Microsoft's clock may be behind ours, in milliseconds.
const SKEW: u64 = 300_000;
/// How many messages are looked at.
const LOOKED_AT: usize = 2_000;

/// A delivery that began.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Begun {
    key: String,
    at: u64,
    root: Option<String>,
    /// Of each piece a digest of its wording.
    pieces: Vec<String>,
    /// What it became, once that is known.
    ids: Vec<String>,
}

struct Nobody;

impl Mentions for Nobody {
    fn target(&self, _: Option<&str>, _: &str) -> Option<viaduct_model::document::MentionTarget> {
        None
    }
}

/// A digest of what can be read in HTML or XML, whatever Teams made of its markup.
fn wording(html: &str) -> String {
    let text = html::read(html, &Nobody).body.to_plain();
    let text: String = text.chars().filter(|c| !c.is_whitespace()).collect();
    let hash = Sha256::digest(text.as_bytes());
    let number = hash
        .iter()
        .take(8)
        .fold(0_u64, |sum, byte| (sum << 8) | u64::from(*byte));
    format!("{number:016x}")
}

impl Begun {
    /// A delivery of these texts begins now.
    pub fn new<'t>(key: &str, now: Timestamp, root: Option<&str>, texts: impl Iterator<Item = &'t str>) -> Self {
        Self {
            key: key.to_owned(),
            at: now.as_millis(),
            root: root.map(str::to_owned),
            pieces: texts.take(64).map(wording).collect(),
            ids: Vec::new(),
        }
    }
}

impl Teams {
    /// The deliveries of a channel that are remembered, read where they are not in memory yet.
    async fn load(&self, channel: &ChannelId) -> Result<Vec<Begun>, DeliveryError> {
        let value = self.context.state.get(&format!("begun/{channel}")).await;
        let value = value.map_err(|error| DeliveryError::retry(error.to_string()))?;
        Ok(value
            .and_then(|value| serde_json::from_slice(&value).ok())
            .unwrap_or_default())
    }

    /// Remembers durably that a delivery begins. A second attempt keeps the time of the first.
    pub(super) async fn remember(&self, channel: &ChannelId, new: Begun) -> Result<(), DeliveryError> {
        let mut all = self.begun.lock().await;
        if !all.contains_key(channel) {
            let loaded = self.load(channel).await?;
            all.insert(channel.clone(), loaded);
        }
        let begun = all.entry(channel.clone()).or_default();
        if begun.iter().any(|old| old.key == new.key) {
            return Ok(());
        }
        begun.push(new);
        let surplus = begun.len().saturating_sub(BEGUN);
        begun.drain(..surplus);
        let mut value = serde_json::to_vec(&*begun).ok();
        while value.as_ref().is_some_and(|value| value.len() > VALUE) && begun.len() > 1 {
            begun.remove(0);
            value = serde_json::to_vec(&*begun).ok();
        }
        let kept = self.context.state.put(vec![(format!("begun/{channel}"), value)]).await;
        kept.map_err(|error| DeliveryError::retry(error.to_string()))
    }

    /// Remembers what a delivery became; it is kept with the next that begins.
    pub(super) async fn arrived(&self, channel: &ChannelId, key: &str, ids: &[String]) {
        let mut all = self.begun.lock().await;
        if let Some(begun) = all
            .get_mut(channel)
            .and_then(|begun| begun.iter_mut().find(|old| old.key == key))
        {
            begun.ids = ids.to_vec();
        }
    }

    /// Asks Graph whether a delivery arrived. What arrived of it is remembered, so that only the rest is made again.
    pub(super) async fn look_for(
        &self,
        channel: &ChannelId,
        key: &DeliveryKey,
    ) -> Result<Option<Receipt>, DeliveryError> {
        self.ready()?;
        let aim = self.aim(channel)?;
        let Some(scope) = aim.channel.scope() else {
            return Err(DeliveryError::retry(
                "Teams has not told yet which team the channel is in",
            ));
        };
        let remembered = {
            let mut all = self.begun.lock().await;
            if !all.contains_key(channel) {
                let loaded = self.load(channel).await?;
                all.insert(channel.clone(), loaded);
            }
            all.get(channel).cloned().unwrap_or_default()
        };
        // What was not remembered never began.
        let Some(begun) = remembered.iter().find(|begun| begun.key == key.as_str()) else {
            return Ok(None);
        };
        if !begun.ids.is_empty() {
            return Ok(Some(receipt(&begun.ids)));
        }
        let others: BTreeSet<&str> = remembered
            .iter()
            .flat_map(|begun| &begun.ids)
            .map(String::as_str)
            .collect();
        let from = begun.at.saturating_sub(SKEW);
        let mut candidates: Vec<(u64, String, String)> = Vec::new();
        let mut looked_at = 0;
        let take = &mut |message: serde_json::Value| {
            looked_at += 1;
            if let Some(mut said) = Said::of_graph(&message) {
                let at = said.at.as_millis();
                said.root.clone_from(&begun.root);
                if self.is_own(&said.who) && !said.deleted && at >= from {
                    let body = json::text(&message, &["body", "content"]).unwrap_or_default();
                    if let Some(id) = said.message_id().filter(|id| !others.contains(id.as_str())) {
                        candidates.push((at, id.to_string(), wording(body)));
                    }
                }
            }
            looked_at < LOOKED_AT
        };
        let found = match &begun.root {
            Some(root) if !aim.channel.is_chat() => self.wire.replies(&scope, root, take).await,
            _ => self.wire.newest(&scope, take).await,
        };
        found.map_err(CallError::for_repeatable)?;
        candidates.sort();
        let mut ids = std::collections::BTreeMap::new();
        for (number, piece) in begun.pieces.iter().enumerate() {
            if let Some(index) = candidates.iter().position(|(_, _, wording)| wording == piece) {
                let (_, id, _) = candidates.remove(index);
                ids.insert(number, id);
            }
        }
        if ids.len() < begun.pieces.len() {
            if !ids.is_empty() {
                locked(&self.partial).put(key.to_string(), ids);
            }
            return Ok(None);
        }
        let ids: Vec<String> = ids.into_values().collect();
        self.arrived(channel, key.as_str(), &ids).await;
        Ok(Some(receipt(&ids)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wording_is_recognised_whatever_teams_made_of_it() {
        let ours = "<p><b>Anna:</b> a &lt;b&gt; <at>Megan</at></p><p>x<br>y</p>";
        let theirs =
            "<div><div><strong>Anna:</strong> a &lt;b&gt; <at id=\"0\">Megan</at></div>\n<p>x</p><p>y</p></div>";
        assert_eq!(wording(ours), wording(theirs));
        assert_ne!(wording(ours), wording("<p><b>Anna:</b> a</p>"));
    }

    #[test]
    fn what_is_remembered_of_a_channel_stays_small() {
        let texts = || std::iter::repeat_n("<p>x</p>", 4);
        let mut all: Vec<Begun> = (0..BEGUN)
            .map(|_| Begun::new(&"k".repeat(32), Timestamp(1), Some("1485983408511"), texts()))
            .collect();
        for begun in &mut all {
            begun.ids = vec!["1485983408511/1485983408512".to_owned(); 4];
        }
        assert!(serde_json::to_vec(&all).unwrap().len() < 16 * 1024);
    }
}
