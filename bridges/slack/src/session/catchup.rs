//! The history after an absence: messages and replies that were missed, edits and deletions as far as Slack shows them.
//!
//! The hub remembers how far a channel was told (the cursor); the session remembers the last messages, threads and reactions it
//! saw. From both it finds, in the history since: messages after the cursor; messages that were edited; messages that are gone;
//! reactions that came or went; threads that went on. Everything is told in the order of its time, and a little before the
//! cursor is read again, because events may have overtaken each other; the hub recognises what it has.
//!
//! The history has no replies: each thread is read by a call of its own. Those that went on are read in any case. What was done
//! to replies in other threads shows nowhere else, so the latest few of them (`review_threads`) are read once more, and those
//! that have fewer replies than were seen.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use serde::de::DeserializeOwned;
use viaduct_bridge::{InboxClosed, State};
use viaduct_model::Event;

use super::Slack;
use super::channels::Channel;
use super::inbound::{Scene, View};
use super::intake::Run;
use super::memory::{Memory, Replies};
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
        let memory = self.recall(channel).await;
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
            known.reactions.begin(cursor);
        }
        let review = cursor.saturating_sub(self.section.review_hours.saturating_mul(HOUR));
        let remembered = memory.recent.front().copied().unwrap_or(cursor);
        let review = review.max(remembered.saturating_sub(1)).max(start);
        Some((Since { start, cursor, review }, memory))
    }

    /// What was seen in a channel, from before a restart too.
    async fn recall(&self, channel: &Channel) -> Memory {
        async fn row<T: DeserializeOwned + Default>(state: &dyn State, name: &str, channel: &Channel) -> T {
            let kept = state.get(&format!("{name}/{}", channel.spelling)).await.ok().flatten();
            let kept = kept.and_then(|kept| serde_json::from_slice(&kept).ok());
            kept.unwrap_or_default()
        }
        let state = &*self.context.state;
        let (memory, replies, reactions): (Memory, _, _) = (
            row(state, "memory", channel).await,
            row(state, "replies", channel).await,
            row(state, "reactions", channel).await,
        );
        let mut known = channel.known();
        if known.memory.recent.is_empty() && known.memory.threads.is_empty() {
            known.memory = memory;
            known.replies = replies;
            known.reactions = reactions;
        }
        known.memory.clone()
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
            let looked_at = |at: &&u64| **at > since.review && **at <= since.cursor;
            let gone = memory.recent.iter().filter(looked_at).filter(|at| !seen.contains(at));
            self.tell_gone(channel, id, gone.copied().collect()).await?;
        }
        let threads = Threads {
            review: self.section.review_threads,
            watched: self.section.thread_days.saturating_mul(24 * HOUR),
        };
        let threads = threads.to_read(&channel.known().replies, &messages, since, memory);
        for (root, after) in threads {
            let thread = Span {
                channel: id.to_owned(),
                thread: Some(root.clone()),
                oldest: after.map(from_micros),
                metadata: true,
                ..Span::default()
            };
            let Some((mut replies, complete)) = self.read_all(&thread).await else {
                continue;
            };
            replies.remove(&micros(&root));
            if complete {
                let seen: Vec<u64> = channel.known().replies.of(&root).collect();
                let looked_at = |at: &u64| after.is_none_or(|after| *at > after) && *at <= since.cursor;
                let gone = seen.into_iter().filter(|at| looked_at(at) && !replies.contains_key(at));
                self.tell_gone(channel, id, gone.collect()).await?;
            }
            messages.extend(replies);
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
    async fn tell_gone(&self, channel: &Arc<Channel>, id: &str, gone: Vec<u64>) -> Result<(), InboxClosed> {
        let events: Vec<Event> = gone
            .into_iter()
            .filter_map(|at| {
                let ts = from_micros(at);
                self.tell_deletion(mirrored(channel, id), &ts, None, &ts)
            })
            .collect();
        if events.is_empty() {
            return Ok(());
        }
        self.context.inbox.push(events).await.map(drop)
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
            batch.extend(self.tell_after(scene, &mut message, at, since.cursor).await);
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

    /// What was done to a message: edits and reactions that were missed, or that it was deleted.
    async fn tell_after(&self, scene: Scene<'_>, message: &mut Message, at: u64, cursor: u64) -> Vec<Event> {
        let mut out = Vec::new();
        let view = View(self);
        if at <= cursor && message.subtype.as_deref() == Some("tombstone") {
            out.extend(self.tell_deletion(scene, &message.ts, None, &message.ts));
            return out;
        }
        if at <= cursor
            && let Some(edited) = message.edited.clone()
        {
            if let (Some(user), Some(me)) = (message.user.id(), self.me()) {
                self.people.ask(&self.api, &me, user).await;
            }
            let mut reader = Reader::new(&view);
            out.extend(self.tell_edit(scene, message, &edited.ts, &mut reader));
        }
        let (Some(channel), Some(me)) = (scene.channel, self.me()) else {
            return out;
        };
        let (came, went) = channel.known().reactions.missed(at, &message.reactions);
        // Slack does not say when somebody reacted: not before the message, nor before the absence.
        let when = from_micros(at.max(cursor));
        let changes = came.into_iter().map(|change| (change, true));
        for ((name, user), added) in changes.chain(went.into_iter().map(|change| (change, false))) {
            if user == me.user {
                continue;
            }
            self.people.ask(&self.api, &me, &user).await;
            let mut reader = Reader::new(&view);
            out.extend(self.reaction(scene, &user, &message.ts, &name, &when, added, &mut reader));
        }
        out
    }
}

/// How much of a channel's threads is read once more.
#[derive(Debug, Clone, Copy)]
struct Threads {
    /// How many beyond those that went on.
    review: usize,
    /// How long those below older messages are watched, in microseconds.
    watched: u64,
}

impl Threads {
    /// The threads to read, and from where on: those that went on, those that have fewer replies than were seen, and the latest
    /// few of the others.
    fn to_read(
        self,
        known: &Replies,
        messages: &BTreeMap<u64, Message>,
        since: Since,
        memory: &Memory,
    ) -> Vec<(String, Option<u64>)> {
        let told = since.cursor.saturating_sub(OVERLAP).max(since.start);
        let review = since.review.min(told);
        let mut out = Vec::new();
        let mut others = Vec::new();
        for (at, message) in messages {
            let latest = message.latest_reply.as_deref().map_or(0, micros);
            let fewer = message.reply_count.unwrap_or(0) < known.of(&message.ts).count() as u64;
            if latest > told || fewer {
                out.push((message.ts.clone(), (*at <= told && !fewer).then_some(review)));
            } else if latest > review {
                others.push((latest, message.ts.clone()));
            }
        }
        others.sort_by_key(|(latest, _)| std::cmp::Reverse(*latest));
        let others = others.into_iter().take(self.review);
        out.extend(others.map(|(_, root)| (root, Some(review))));
        // Threads below older messages, of which the history that is read says nothing.
        let recently = since.cursor.saturating_sub(self.watched);
        let mut older: Vec<(&String, u64)> = memory
            .threads
            .iter()
            .map(|(root, last)| (root, *last))
            .filter(|(root, last)| *last > recently && !messages.contains_key(&micros(root)))
            .collect();
        older.sort_by_key(|(_, last)| std::cmp::Reverse(*last));
        let older = older.into_iter().take(WATCHED);
        out.extend(older.map(|(root, _)| (root.clone(), Some(review))));
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

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: u64 = 60 * 1_000_000;
    const CURSOR: u64 = 1_700_000_000 * 1_000_000;

    /// A root so many minutes before the cursor, with this many replies, the last of them a minute later.
    fn root(minutes: u64, replies: u64) -> (u64, Message) {
        let at = CURSOR - minutes * MINUTE;
        let message = Message {
            ts: from_micros(at),
            reply_count: Some(replies),
            latest_reply: (replies > 0).then(|| from_micros(at + MINUTE)),
            ..Message::default()
        };
        (at, message)
    }

    #[test]
    fn reading_threads_once_more_has_a_bound_and_what_changed_comes_first() {
        let since = Since {
            start: 1,
            cursor: CURSOR,
            review: CURSOR - 24 * HOUR,
        };
        let mut messages: BTreeMap<u64, Message> = (10..40).map(|minutes| root(minutes, 1)).collect();
        let (live, fewer, without) = (root(1, 3), root(50, 1), root(60, 0));
        messages.extend([live.clone(), fewer.clone(), without]);
        let mut known = Replies::default();
        known.said(&fewer.1.ts, fewer.0 + 1);
        known.said(&fewer.1.ts, fewer.0 + 2);
        let mut memory = Memory::default();
        for number in 0..100 {
            memory.replied(
                &from_micros(CURSOR - (30 * 24 + number) * HOUR),
                CURSOR - number * MINUTE,
            );
        }
        let threads = Threads {
            review: 4,
            watched: 7 * 24 * HOUR,
        };
        let read = threads.to_read(&known, &messages, since, &memory);
        assert_eq!(read.len(), 2 + 4 + WATCHED);
        assert_eq!(read[0], (fewer.1.ts, None), "all of it: something is missing there");
        assert_eq!(read[1], (live.1.ts, None));
        let others: Vec<&String> = read[2..6].iter().map(|(root, _)| root).collect();
        assert_eq!(
            others,
            (10..14)
                .map(|minutes| &messages[&root(minutes, 1).0].ts)
                .collect::<Vec<_>>()
        );
        let none = Threads { review: 0, watched: 0 };
        assert_eq!(none.to_read(&known, &messages, since, &memory).len(), 2);
    }
}
