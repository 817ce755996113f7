//! Whether a delivery arrived: nothing can be attached to a message by which it is found again, so it is recognised among the
//! bot's own recent messages by its wording, its time and by not being another delivery's.
//!
//! Before a delivery is made, the session remembers durably that it begins, when, where and with which wording; and of earlier
//! deliveries, what they became.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use viaduct_bridge::DeliveryError;
use viaduct_model::{ChannelId, DeliveryKey, MessageId, Receipt, Timestamp};

use super::outbound::receipt;
use super::{Teams, locked};
use crate::convert::said::Said;

/// How many deliveries of each channel are remembered.
const BEGUN: usize = 32;
/// The largest value that is remembered, in bytes.
const VALUE: usize = 15 * 1024;
/// How far Microsoft's clock may be behind ours, in milliseconds.
const SKEW: u64 = 300_000;
/// For how long a message may be one that is underway, in milliseconds.
const UNDERWAY: u64 = 600_000;
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
    /// The id in the directory of the author, where it is made in their own name.
    pub author: Option<String>,
    /// Messages that came back and have these pieces' wordings.
    #[serde(skip)]
    seen: BTreeMap<usize, String>,
}

/// A digest of what can be read, whatever Teams made of spaces.
pub(super) fn wording(text: &str) -> String {
    let text: String = text.chars().filter(|c| !c.is_whitespace()).collect();
    let hash = Sha256::digest(text.as_bytes());
    let number = hash
        .iter()
        .take(8)
        .fold(0_u64, |sum, byte| (sum << 8) | u64::from(*byte));
    format!("{number:016x}")
}

impl Begun {
    /// A delivery of pieces with these wordings begins now, in the name of `author` or of the bot.
    pub fn new(
        key: &str,
        now: Timestamp,
        root: Option<&str>,
        wordings: impl Iterator<Item = String>,
        author: Option<String>,
    ) -> Self {
        Self {
            key: key.to_owned(),
            at: now.as_millis(),
            root: root.map(str::to_owned),
            pieces: wordings.take(64).collect(),
            author,
            ..Self::default()
        }
    }

    /// Whether a message is a piece of this delivery. While its ids are not known, each piece is taken once.
    pub fn covers(&mut self, id: &MessageId, wording: &str, at: Timestamp) -> bool {
        let id = id.as_str();
        if !self.ids.is_empty() {
            return self.ids.iter().any(|known| known == id);
        }
        if self.seen.values().any(|known| known == id) {
            return true;
        }
        let span = self.at.saturating_sub(SKEW)..self.at.saturating_add(UNDERWAY);
        let mut pieces = self.pieces.iter().enumerate();
        let found = pieces.find(|(number, piece)| *piece == wording && !self.seen.contains_key(number));
        let Some((number, _)) = found.filter(|_| span.contains(&at.as_millis())) else {
            return false;
        };
        self.seen.insert(number, id.to_owned());
        true
    }
}

impl Teams {
    /// Reads the deliveries of a channel that are remembered, where they are not in memory yet.
    pub(super) async fn recall(&self, channel: &ChannelId) -> Result<(), DeliveryError> {
        if locked(&self.begun).contains_key(channel) {
            return Ok(());
        }
        let value = self.context.state.get(&format!("begun/{channel}")).await;
        let value = value.map_err(|error| DeliveryError::retry(error.to_string()))?;
        let read: Vec<Begun> = value
            .and_then(|value| serde_json::from_slice(&value).ok())
            .unwrap_or_default();
        locked(&self.begun).entry(channel.clone()).or_insert(read);
        Ok(())
    }

    /// Remembers durably that a delivery begins. A second attempt keeps the time of the first; in another name it has other
    /// wordings.
    pub(super) async fn remember(&self, channel: &ChannelId, new: Begun) -> Result<(), DeliveryError> {
        let _one = self.keeping.lock().await;
        self.recall(channel).await?;
        let value = {
            let mut all = locked(&self.begun);
            let begun = all.entry(channel.clone()).or_default();
            match begun.iter_mut().find(|old| old.key == new.key) {
                Some(old) if old.author == new.author => return Ok(()),
                Some(old) => *old = Begun { at: old.at, ..new },
                None => begun.push(new),
            }
            let surplus = begun.len().saturating_sub(BEGUN);
            begun.drain(..surplus);
            let mut value = serde_json::to_vec(&*begun).ok();
            while value.as_ref().is_some_and(|value| value.len() > VALUE) && begun.len() > 1 {
                begun.remove(0);
                value = serde_json::to_vec(&*begun).ok();
            }
            value
        };
        let kept = self.context.state.put(vec![(format!("begun/{channel}"), value)]).await;
        kept.map_err(|error| DeliveryError::retry(error.to_string()))
    }

    /// Remembers what a delivery became; it is kept with the next that begins.
    pub(super) fn arrived(&self, channel: &ChannelId, key: &str, ids: &[String]) {
        let mut all = locked(&self.begun);
        let mut begun = all.get_mut(channel).into_iter().flatten();
        if let Some(begun) = begun.find(|old| old.key == key) {
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
        let aim = self.aim(channel).await?;
        let Some(scope) = aim.channel.scope() else {
            return Err(DeliveryError::retry(
                "Teams has not told yet which team the channel is in",
            ));
        };
        self.recall(channel).await?;
        let remembered = locked(&self.begun).get(channel).cloned().unwrap_or_default();
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
                let spoke = match &begun.author {
                    Some(user) => said.who.directory.as_ref() == Some(user),
                    None => self.is_own(&said.who),
                };
                let id = said.message_id().filter(|id| !others.contains(id.as_str()));
                if let Some(id) = id.filter(|_| spoke && !said.deleted && at >= from) {
                    candidates.push((at, id.to_string(), wording(&said.readable())));
                }
            }
            looked_at < LOOKED_AT
        };
        let found = match &begun.root {
            Some(root) if !aim.channel.is_chat() => self.wire.replies(&scope, root, take).await,
            _ => self.wire.newest(&scope, take).await,
        };
        found.map_err(|error| {
            if aim.channel.direct_to.is_some() && error.status() == 403 {
                *locked(&self.chats_unread) = Some(error.to_string());
                return DeliveryError::unknown("the tenant does not let the app read private chats");
            }
            error.for_repeatable()
        })?;
        candidates.sort();
        let mut ids = BTreeMap::new();
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
        self.arrived(channel, key.as_str(), &ids);
        Ok(Some(receipt(&ids)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::convert::said::readable;

    #[test]
    fn a_wording_is_recognised_whatever_teams_made_of_it() {
        let ours = "<p><b>Anna:</b> a &lt;b&gt; <at>Megan</at></p><p>x<br>y</p>";
        let theirs =
            "<div><div><strong>Anna:</strong> a &lt;b&gt; <at id=\"0\">Megan</at></div>\n<p>x</p><p>y</p></div>";
        let wording = |html: &str| wording(&readable(html));
        assert_eq!(wording(ours), wording(theirs));
        assert_ne!(wording(ours), wording("<p><b>Anna:</b> a</p>"));
    }

    #[test]
    fn each_piece_that_is_underway_covers_one_message() {
        let now = Timestamp(1_485_983_408_511);
        let wordings = || ["a".to_owned(), "b".to_owned()].into_iter();
        let mut begun = Begun::new("k", now, None, wordings(), Some("u".to_owned()));
        let id = |text: &str| MessageId::new(text).unwrap();
        assert!(begun.covers(&id("1"), "a", now) && begun.covers(&id("1"), "a", now));
        assert!(!begun.covers(&id("2"), "a", now), "they said it themselves too");
        assert!(
            !begun.covers(&id("3"), "b", now.plus_millis(2 * UNDERWAY)),
            "much later"
        );
        begun.ids = vec!["4".to_owned()];
        assert!(begun.covers(&id("4"), "b", now) && !begun.covers(&id("3"), "b", now));
    }

    #[test]
    fn what_is_remembered_of_a_channel_stays_small() {
        let wordings = || std::iter::repeat_n("0123456789abcdef".to_owned(), 4);
        let one = || Begun::new(&"k".repeat(32), Timestamp(1), Some("1485983408511"), wordings(), None);
        let mut all: Vec<Begun> = (0..BEGUN).map(|_| one()).collect();
        for begun in &mut all {
            begun.ids = vec!["1485983408511/1485983408512".to_owned(); 4];
        }
        assert!(serde_json::to_vec(&all).unwrap().len() < 16 * 1024);
    }
}
