//! The history after an absence: messages and replies that were missed, edits and deletions as far as Slack shows them.
//!
//! The hub remembers how far a channel was told (the cursor); the session remembers the last messages and threads it saw. From
//! both it finds, in the history since: messages after the cursor; messages that were edited; messages that are gone; threads
//! that went on. Everything is told in the order of its time, and a little before the cursor is read again, because events may
//! have overtaken each other; the hub recognises what it has.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use viaduct_bridge::InboxClosed;
use viaduct_model::Event;

use super::Slack;
use super::channels::{Channel, Memory};
use super::inbound::{Scene, View};
use super::intake::Run;
use crate::client::calls::Span;
use crate::client::payload::Message;
use crate::convert::ids::{from_micros, is_ts, micros};
use crate::convert::mrkdwn::Reader;
use crate::telemetry;

/// How much before the cursor is told again, in microseconds.
const OVERLAP: u64 = 120 * 1_000_000;
/// How many messages are held at once. Of more, the oldest are told first, and the rest afterwards.
const HELD: usize = 5_000;
/// How many events are handed to the hub at once.
const BATCH: usize = 200;
/// How many watched threads beyond the history that is read are looked at.
const WATCHED: usize = 50;
/// One hour, in microseconds.
const HOUR: u64 = 3_600 * 1_000_000;

/// What of a channel's past is to be told.
#[derive(Debug, Clone, Copy)]
struct Since {
    /// Nothing up to here is ever told: it was said before the mirror.
    start: u64,
    /// Up to here everything was told.
    cursor: u64,
    /// From here on edits and deletions are looked for.
    review: u64,
}

impl Slack {
    /// Tells everything that was missed in a channel.
    pub(super) async fn catch_up(self: &Arc<Self>, run: &Run, channel: &Arc<Channel>) -> Result<(), InboxClosed> {
        let Ok(_permit) = self.histories.acquire().await else {
            return Ok(());
        };
        let Ok(id) = channel.usable() else { return Ok(()) };
        loop {
            let Some((since, memory)) = self.since(channel, &id).await else {
                // Without a history there is nothing to catch up with; later events are told all the same.
                return Ok(());
            };
            let more = self.catch_up_once(channel, &id, since, &memory).await?;
            if !more || run.stop.is_cancelled() {
                return Ok(());
            }
        }
    }

    /// How far the channel was told, and what was seen.
    async fn since(&self, channel: &Channel, id: &str) -> Option<(Since, Memory)> {
        let state = &self.context.state;
        let kept = state.get(&format!("memory/{}", channel.spelling)).await.ok().flatten();
        let kept: Memory = kept
            .and_then(|kept| serde_json::from_slice(&kept).ok())
            .unwrap_or_default();
        let memory = {
            let mut known = channel.known();
            if known.memory.recent.is_empty() && known.memory.threads.is_empty() {
                known.memory = kept;
            }
            known.memory.clone()
        };
        let start_key = format!("start/{}", channel.spelling);
        let start = match state.get(&start_key).await.ok().flatten() {
            Some(start) => String::from_utf8(start).ok().map(|start| micros(&start)),
            None => None,
        };
        let start = if let Some(start) = start {
            start
        } else {
            // The first time: what was said before is not mirrored.
            let span = Span {
                channel: id.to_owned(),
                ..Span::default()
            };
            let page = self.api.messages(&span, None).await.ok()?;
            let newest = page.messages.iter().map(|message| micros(&message.ts)).max();
            // What was said since the session began is live already.
            let newest = newest.unwrap_or(1).min(self.began.load(Ordering::Relaxed));
            let value = from_micros(newest).into_bytes();
            if let Err(error) = state.put(vec![(start_key, Some(value))]).await {
                tracing::warn!(%error, "Where a mirror begins could not be remembered.");
            }
            newest
        };
        let cursor = self.context.inbox.cursor(&channel.spelling).await;
        let cursor = cursor.map_or(start, |cursor| micros(&cursor)).max(start);
        {
            let mut known = channel.known();
            known.newest = known.newest.max(cursor);
        }
        let review = cursor.saturating_sub(self.section.review_hours.saturating_mul(HOUR));
        let remembered = memory.recent.front().copied().unwrap_or(cursor);
        let review = review.max(remembered.saturating_sub(1)).max(start);
        Some((Since { start, cursor, review }, memory))
    }

    /// Reads and tells; says whether there is more.
    async fn catch_up_once(
        self: &Arc<Self>,
        channel: &Arc<Channel>,
        id: &str,
        since: Since,
        memory: &Memory,
    ) -> Result<bool, InboxClosed> {
        let from = since.review.min(since.cursor.saturating_sub(OVERLAP)).max(since.start);
        let span = Span {
            channel: id.to_owned(),
            oldest: Some(from_micros(from)),
            metadata: true,
            ..Span::default()
        };
        let Some((mut messages, complete)) = self.read_all(&span).await else {
            return Ok(false);
        };
        telemetry::caught_up(messages.len());
        let seen: BTreeSet<u64> = messages.keys().copied().collect();
        if complete {
            self.tell_gone(channel, id, since, memory, &seen).await?;
        }
        let roots: Vec<(String, Option<u64>)> = self.threads_to_read(&messages, since, memory);
        for (root, after) in roots {
            let thread = Span {
                channel: id.to_owned(),
                thread: Some(root.clone()),
                oldest: after.map(from_micros),
                metadata: true,
                ..Span::default()
            };
            if let Some((replies, _)) = self.read_all(&thread).await {
                let replies = replies.into_iter().filter(|(_, reply)| reply.ts != root);
                messages.extend(replies);
            }
        }
        let newest_told = messages.keys().next_back().copied().unwrap_or(0);
        self.tell_history(channel, id, since, messages).await?;
        Ok(!complete && newest_told > since.cursor)
    }

    /// Reads all pages. Where there are more messages than can be held, the oldest are kept, and `complete` is false.
    async fn read_all(&self, span: &Span) -> Option<(BTreeMap<u64, Message>, bool)> {
        let mut held: BTreeMap<u64, Message> = BTreeMap::new();
        let mut complete = true;
        let mut cursor = None;
        loop {
            let page = match self.api.messages(span, cursor.as_ref()).await {
                Ok(page) => page,
                Err(error) => {
                    tracing::warn!(%error, channel = span.channel, "The history could not be read to its end.");
                    return None;
                }
            };
            for message in page.messages.into_iter().filter(|message| is_ts(&message.ts)) {
                held.insert(micros(&message.ts), message);
                if held.len() > HELD {
                    held.pop_last();
                    complete = false;
                }
            }
            cursor = page.next;
            if cursor.is_none() {
                return Some((held, complete));
            }
        }
    }

    /// Messages that were seen and are no longer there.
    async fn tell_gone(
        &self,
        channel: &Arc<Channel>,
        id: &str,
        since: Since,
        memory: &Memory,
        seen: &BTreeSet<u64>,
    ) -> Result<(), InboxClosed> {
        let gone = memory
            .recent
            .iter()
            .filter(|at| **at > since.review && **at <= since.cursor && !seen.contains(at));
        let events: Vec<Event> = gone
            .filter_map(|at| {
                let ts = from_micros(*at);
                self.tell_deletion(mirrored(channel, id), &ts, None, &ts)
            })
            .collect();
        if events.is_empty() {
            return Ok(());
        }
        self.context.inbox.push(events).await.map(drop)
    }

    /// Threads that went on, and after which reply.
    fn threads_to_read(
        &self,
        messages: &BTreeMap<u64, Message>,
        since: Since,
        memory: &Memory,
    ) -> Vec<(String, Option<u64>)> {
        let told = since.cursor.saturating_sub(OVERLAP).max(since.start);
        let mut out = Vec::new();
        for (at, message) in messages {
            let latest = message.latest_reply.as_deref().map_or(0, micros);
            if latest > told {
                out.push((message.ts.clone(), (*at <= told).then_some(told)));
            }
        }
        let recently = since
            .cursor
            .saturating_sub(self.section.thread_days.saturating_mul(24 * HOUR));
        let mut older: Vec<(&String, u64)> = memory
            .threads
            .iter()
            .map(|(root, last)| (root, *last))
            .filter(|(root, last)| *last > recently && !messages.contains_key(&micros(root)))
            .collect();
        older.sort_by_key(|(_, last)| std::cmp::Reverse(*last));
        out.extend(
            older
                .into_iter()
                .take(WATCHED)
                .map(|(root, _)| (root.clone(), Some(told))),
        );
        out
    }

    /// Tells messages in the order of their time.
    async fn tell_history(
        self: &Arc<Self>,
        channel: &Arc<Channel>,
        id: &str,
        since: Since,
        messages: BTreeMap<u64, Message>,
    ) -> Result<(), InboxClosed> {
        let told = since.cursor.saturating_sub(OVERLAP).max(since.start);
        let mut batch: Vec<Event> = Vec::new();
        for (at, mut message) in messages {
            "message".clone_into(&mut message.kind);
            let scene = mirrored(channel, id);
            if at > told {
                batch.extend(self.tell_asking(scene, &mut message).await);
            }
            let reactions_missed = at > since.cursor;
            batch.extend(
                self.tell_after(scene, &mut message, at, since.cursor, reactions_missed)
                    .await,
            );
            if batch.len() >= BATCH {
                self.context.inbox.push(std::mem::take(&mut batch)).await?;
            }
        }
        if !batch.is_empty() {
            // What follows is pushed behind it; nobody upstream waits for the history.
            self.context.inbox.push(batch).await?;
        }
        Ok(())
    }

    /// What was done to a message: edits of those that were told, reactions to those that were not.
    async fn tell_after(
        &self,
        scene: Scene<'_>,
        message: &mut Message,
        at: u64,
        cursor: u64,
        reactions: bool,
    ) -> Vec<Event> {
        let mut out = Vec::new();
        let view = View(self);
        if at <= cursor && message.subtype.as_deref() == Some("tombstone") {
            out.extend(self.tell_deletion(scene, &message.ts, None, &message.ts));
        } else if at <= cursor
            && let Some(edited) = message.edited.clone()
        {
            if let (Some(user), Some(me)) = (message.user.id(), self.me()) {
                self.people.ask(&self.api, &me.team, user).await;
            }
            let mut reader = Reader::new(&view);
            out.extend(self.tell_edit(scene, message, &edited.ts, &mut reader));
        }
        if reactions && let Some(me) = self.me() {
            for reacted in &message.reactions {
                for user in reacted.users.iter().filter(|user| **user != me.user) {
                    self.people.ask(&self.api, &me.team, user).await;
                    let mut reader = Reader::new(&view);
                    out.extend(self.reaction(scene, user, &message.ts, &reacted.name, "0.0", true, &mut reader));
                }
            }
        }
        out
    }
}

/// A mirrored channel as a scene.
fn mirrored<'a>(channel: &'a Channel, id: &'a str) -> Scene<'a> {
    Scene {
        place: &channel.place,
        id,
        direct_to: None,
        channel: Some(channel),
    }
}
