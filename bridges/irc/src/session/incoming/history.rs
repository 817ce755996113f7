//! Catching up: what was said in a channel while the hub was away, where the server remembers (`draft/chathistory`).
//!
//! After joining, the channel's live events are held back until history has been fetched to its end, page by page. The
//! first page begins a moment before the time of the last committed message, for several messages can share a millisecond;
//! what comes twice carries the same id, and the hub drops it. The next page begins behind the last message of the one
//! before, by its id, or by its time where the server knows no ids. The end is a page that brings nothing new: a server may
//! give less at once than it is asked for.

use std::time::Duration;

use irc_proto::Message as Line;
use tokio::time::Instant;
use tracing::{info, warn};
use viaduct_bridge::InboxClosed;
use viaduct_model::{ChannelId, Cursor, DeliveryKey, Event, Timestamp};

use super::Incoming;
use crate::client::line::{Fields, message};
use crate::session::{locked, time};

/// The tag that carries a delivery's key, so that history can show that it arrived.
pub(in crate::session) const KEY_TAG: &str = "+viaduct/key";
/// Live events held back for one channel; beyond it they go on, and history is given up.
const HELD: usize = 10_000;
/// A page has to come within this time.
const PATIENCE: Duration = Duration::from_mins(1);
/// Messages asked for at once, at most.
const PAGE: u32 = 500;

/// A channel that is catching up.
pub(super) struct CatchUp {
    held: Vec<Event>,
    since: Instant,
    asked: bool,
    /// The open batch of its page.
    batch: Option<String>,
    /// The latest time, and the last id, of what has come.
    latest: Timestamp,
    last: Option<String>,
    /// Where the page that is asked for begins.
    from: String,
}

/// The position just before a time, so that everything of that millisecond comes.
fn before(at: Timestamp) -> String {
    format!(
        "timestamp={}",
        time::format(Timestamp(at.as_millis().saturating_sub(1)))
    )
}

impl Incoming {
    /// Whether the server can tell what was missed.
    pub(super) fn has_history(&self) -> bool {
        ["draft/chathistory", "batch", "server-time", "message-tags"]
            .iter()
            .all(|name| self.connection.has(name))
    }

    /// A channel was joined: hold its live events until history is in.
    pub(super) fn begin_history(&mut self, channel: &ChannelId) {
        if self.has_history() {
            let catch_up = CatchUp {
                held: Vec::new(),
                since: Instant::now(),
                asked: false,
                batch: None,
                latest: Timestamp::default(),
                last: None,
                from: String::new(),
            };
            self.catching_up.insert(channel.clone(), catch_up);
        }
    }

    /// Asks for the first page of channels that were just joined.
    pub(super) async fn ask_history(&mut self) -> Result<(), InboxClosed> {
        let fresh: Vec<ChannelId> = self
            .catching_up
            .iter()
            .filter(|(_, catch_up)| !catch_up.asked)
            .map(|(channel, _)| channel.clone())
            .collect();
        for channel in fresh {
            let cursor = self.shared.context.inbox.cursor(&channel).await;
            let from = cursor.as_deref().and_then(time::parse);
            if let (Some(from), Some(catch_up)) = (from, self.catching_up.get_mut(&channel)) {
                catch_up.asked = true;
                catch_up.from = before(from);
                self.page(&channel).await;
            } else {
                self.release(&channel);
            }
        }
        Ok(())
    }

    async fn page(&mut self, channel: &ChannelId) {
        let limit = self.page_limit();
        let Some(catch_up) = self.catching_up.get_mut(channel) else {
            return;
        };
        catch_up.since = Instant::now();
        let (from, limit) = (catch_up.from.as_str(), limit.to_string());
        let line = message("CHATHISTORY", &["AFTER", channel.as_str(), from, &limit]);
        self.connection.send(line).await;
    }

    /// A batch of history begins.
    pub(super) fn history_opened(&mut self, name: &str, channel: &str) {
        if let Some(channel) = self.channel(channel)
            && let Some(catch_up) = self.catching_up.get_mut(&channel)
        {
            catch_up.batch = Some(name.to_owned());
        }
    }

    /// How many messages a page has.
    fn page_limit(&self) -> u32 {
        match self.connection.isupport().history_limit {
            0 => PAGE,
            limit => limit.min(PAGE),
        }
    }

    /// A batch ends: the next page, or the end of catching up.
    pub(super) fn history_closed(&mut self, name: &str) {
        let by_id = self.connection.isupport().history_by_id;
        let found = self
            .catching_up
            .iter_mut()
            .find(|(_, catch_up)| catch_up.batch.as_deref() == Some(name));
        let Some((channel, catch_up)) = found else { return };
        let channel = channel.clone();
        catch_up.batch = None;
        let next = match &catch_up.last {
            Some(id) if by_id => format!("msgid={id}"),
            _ => before(catch_up.latest),
        };
        if catch_up.latest > Timestamp::default() && next != catch_up.from {
            catch_up.from = next;
            self.next_pages.push(channel);
        } else {
            self.release(&channel);
        }
    }

    /// Notes how far a page has come, if a line belongs to one, whatever becomes of the line.
    pub(super) fn note_history(&mut self, line: &Line) {
        let Some(batch) = line.tag("batch") else { return };
        let mut pages = self.catching_up.values_mut();
        if let Some(catch_up) = pages.find(|catch_up| catch_up.batch.as_deref() == Some(batch)) {
            let at = line.tag("time").and_then(time::parse).unwrap_or_default();
            catch_up.latest = catch_up.latest.max(at);
            if let Some(id) = line.tag("msgid") {
                catch_up.last = Some(id.to_owned());
            }
        }
    }

    /// Asks for further pages of channels whose page was full.
    pub(super) async fn ask_pages(&mut self) {
        for channel in std::mem::take(&mut self.next_pages) {
            self.page(&channel).await;
        }
    }

    /// Puts an event where it belongs: behind the history that is still coming, unless it is part of that.
    pub(super) fn held(&mut self, event: Event, line: Option<&Line>) -> Option<Event> {
        let Some(catch_up) = self.catching_up.get_mut(&event.place.channel) else {
            return Some(event);
        };
        let batch = line.and_then(|line| line.tag("batch"));
        if batch.is_some() && batch == catch_up.batch.as_deref() {
            return Some(event);
        }
        let channel = event.place.channel.clone();
        catch_up.held.push(event);
        if catch_up.held.len() > HELD {
            warn!(%channel, "History was given up: too much is going on.");
            self.release(&channel);
        }
        None
    }

    /// Catching up is over: what was held goes on.
    pub(super) fn release(&mut self, channel: &ChannelId) {
        if let Some(catch_up) = self.catching_up.remove(channel) {
            if catch_up.asked {
                info!(%channel, "Caught up with the channel's history.");
            }
            for event in catch_up.held {
                self.queue(event);
            }
        }
    }

    /// The server has no history of a channel after all, or, if the answer names none, of any.
    pub(super) fn history_failed(&mut self, line: &Line) {
        let named = line.parameters().iter().find_map(|name| self.channel(name));
        let failed: Vec<ChannelId> = match named {
            Some(channel) => vec![channel],
            None => self.catching_up.keys().cloned().collect(),
        };
        for channel in failed {
            self.release(&channel);
        }
    }

    /// Pages that did not come are not waited for.
    pub(super) fn expire_history(&mut self) {
        let late = self
            .catching_up
            .iter()
            .filter(|(_, catch_up)| catch_up.since.elapsed() >= PATIENCE);
        let late: Vec<ChannelId> = late.map(|(channel, _)| channel.clone()).collect();
        for channel in late {
            self.release(&channel);
        }
    }

    /// The position a message leaves behind.
    pub(super) fn cursor(&self, at: Timestamp) -> Option<Cursor> {
        self.has_history().then(|| time::format(at))
    }

    /// The delivery that a line of history is, if it is one: it must bear a key and come from the hub or its puppets.
    pub(super) fn own_delivery(&self, line: &Line) -> Option<DeliveryKey> {
        let key = line.tag(KEY_TAG).filter(|key| key.len() == 32)?;
        let folded = self.connection.isupport().casemapping.fold(line.source());
        let ours = self.connection.is_own(line.source())
            || self.shared.pool.has(&folded)
            || locked(&self.shared.former).contains(folded.as_str());
        ours.then(|| DeliveryKey::from_remote(key))
    }

    /// Whether a line belongs to a page of history.
    pub(super) fn is_history(&self, line: &Line) -> bool {
        let Some(batch) = line.tag("batch") else { return false };
        self.catching_up
            .values()
            .any(|catch_up| catch_up.batch.as_deref() == Some(batch))
    }
}
