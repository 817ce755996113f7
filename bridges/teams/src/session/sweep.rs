//! What Graph shows as changed since the last sweep: everything that no activity told of, and everything after an absence.
//!
//! Messages that were told already are recognised by the digest of their wording; the hub recognises ids it has. A sweep ends
//! with a position only when all it found is on stable storage. After an absence what is live waits behind it; later it goes on
//! beside the reading, which takes a while at Graph's rate.

use std::collections::{BTreeMap, BTreeSet};

use viaduct_model::{Event, Timestamp};

use super::Teams;
use super::channels::Channel;
use crate::client::error::CallError;
use crate::client::graph::Scope;
use crate::convert::ids::message_id;
use crate::convert::said::Said;
use crate::telemetry;

/// How much before the last position is read again, in milliseconds.
pub(super) const OVERLAP: u64 = 60_000;
/// How many events are handed to the hub at once.
const BATCH: usize = 200;
/// How many replies of one chain are read at most.
const REPLIES: usize = 20_000;
/// One day, in milliseconds.
pub(super) const DAY: u64 = 86_400_000;

/// How a sweep went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Swept {
    /// All that can be read was told and is on stable storage.
    Done,
    /// There is more, or the hub did not take it.
    Unfinished,
    /// Graph cannot be reached.
    Unreachable,
}

/// What Graph shows as changed.
struct Changes {
    /// The position up to which everything was told before.
    since: u64,
    /// That up to which everything is told with this.
    newest: u64,
    /// The messages, in the order of their times.
    found: BTreeMap<(u64, String), Said>,
}

impl Changes {
    /// Leaves out messages of which something was told while Graph was read: what it says of them may be older. The next sweep
    /// reads them again.
    fn without(mut self, touched: &BTreeSet<String>) -> Self {
        let mut newest = self.newest;
        self.found.retain(|_, said| {
            let is_touched = said.message_id().is_some_and(|id| touched.contains(id.as_str()));
            if is_touched {
                newest = newest.min(said.modified.as_millis());
            }
            !is_touched
        });
        self.newest = newest.max(self.since);
        self
    }
}

fn scope_of(channel: &Channel) -> Option<Scope> {
    channel.scope().filter(|_| channel.usable().is_ok())
}

impl Teams {
    /// Sweeps a channel, whose gate is held: what is live waits; says how that went.
    pub(super) async fn sweep(&self, channel: &Channel) -> Swept {
        let Some(scope) = scope_of(channel) else {
            return Swept::Done;
        };
        match self.read_changes(channel, &scope).await {
            Ok(changes) => self.swept(channel, changes).await,
            Err(error) => unreadable(channel, &error),
        }
    }

    /// Sweeps a channel beside what is live, which waits only while what was found is told; says how that went.
    pub(super) async fn sweep_beside(&self, channel: &Channel) -> Swept {
        let Some(scope) = scope_of(channel) else {
            return Swept::Done;
        };
        channel.known().meanwhile = Some(BTreeSet::new());
        let read = self.read_changes(channel, &scope).await;
        let _gate = channel.gate.lock().await;
        let touched = channel.known().touched();
        match (read, touched) {
            (Ok(Some(changes)), Some(touched)) => self.swept(channel, Some(changes.without(&touched))).await,
            (Ok(Some(_)), None) => Swept::Unfinished,
            (Ok(None), _) => self.swept(channel, None).await,
            (Err(error), _) => unreadable(channel, &error),
        }
    }

    /// Reads what changed since the last position; none the first time.
    async fn read_changes(&self, channel: &Channel, scope: &Scope) -> Result<Option<Changes>, CallError> {
        let Some(since) = self.since(channel, scope).await? else {
            return Ok(None);
        };
        let from = Timestamp(since.saturating_sub(OVERLAP));
        let mut found: BTreeMap<(u64, String), Said> = BTreeMap::new();
        let mut chains: BTreeMap<String, u64> = channel.known().memory.chains.clone();
        for said in self
            .wire
            .changed_since(scope, from)
            .await?
            .iter()
            .filter_map(Said::of_graph)
        {
            if said.root.is_none() {
                let last = chains.entry(said.id.clone()).or_default();
                *last = said.modified.as_millis().max(*last);
            }
            found.insert((said.at.as_millis(), said.id.clone()), said);
        }
        if matches!(scope, Scope::Channel(..)) {
            let watched = since.saturating_sub(self.section.thread_days.saturating_mul(DAY));
            for (root, _) in chains.iter().filter(|(_, last)| **last >= watched) {
                self.replies_of(scope, root, from, &mut found).await?;
            }
        }
        let newest = found.values().map(|said| said.modified.as_millis()).max();
        let newest = newest.unwrap_or(since).max(since);
        Ok(Some(Changes { since, newest, found }))
    }

    /// Tells what was found, and moves the position when it is on stable storage. The channel's gate is held.
    async fn swept(&self, channel: &Channel, changes: Option<Changes>) -> Swept {
        channel.known().unread = None;
        let Some(Changes { since, newest, found }) = changes else {
            return Swept::Done;
        };
        telemetry::swept(found.len());
        let mut events: Vec<Event> = Vec::new();
        for said in found.into_values() {
            events.extend(self.tell_swept(channel, &said, since));
            if events.len() >= BATCH && !self.store_of(channel, std::mem::take(&mut events)).await {
                return Swept::Unfinished;
            }
        }
        if !self.store_of(channel, events).await {
            return Swept::Unfinished;
        }
        let mut known = channel.known();
        if known.memory.swept != Some(newest) {
            known.memory.swept = Some(newest);
            known.changed = true;
        }
        Swept::Done
    }

    /// Stores what was told of a channel; says whether it is stored.
    pub(super) async fn store_of(&self, channel: &Channel, events: Vec<Event>) -> bool {
        let told = std::mem::take(&mut channel.known().fresh);
        let stored = self.store(events).await.is_ok();
        channel.known().settle(told, stored);
        stored
    }

    /// From when on; none the first time, when only the position of the newest message is taken.
    async fn since(&self, channel: &Channel, scope: &Scope) -> Result<Option<u64>, CallError> {
        if let Some(swept) = channel.known().memory.swept {
            return Ok(Some(swept));
        }
        let cursor = self.context.inbox.cursor(&channel.spelling).await;
        if let Some(cursor) = cursor.and_then(|cursor| cursor.parse().ok()) {
            return Ok(Some(cursor));
        }
        // What was said before the mirror is not told. Microsoft's own clock says where that ends.
        let mut newest = 1;
        self.wire
            .newest(scope, &mut |message| {
                newest = newest.max(Said::of_graph(&message).map_or(0, |said| said.modified.as_millis()));
                false
            })
            .await?;
        let mut known = channel.known();
        known.memory.swept = Some(newest);
        known.memory.begun = Some(newest);
        known.changed = true;
        Ok(None)
    }

    async fn replies_of(
        &self,
        scope: &Scope,
        root: &str,
        from: Timestamp,
        found: &mut BTreeMap<(u64, String), Said>,
    ) -> Result<(), CallError> {
        let mut read = 0;
        let take = &mut |message: serde_json::Value| {
            read += 1;
            if let Some(mut said) = Said::of_graph(&message)
                && said.modified >= from
            {
                said.root = Some(root.to_owned());
                found.insert((said.at.as_millis(), said.id.clone()), said);
            }
            read < REPLIES
        };
        match self.wire.replies(scope, root, take).await {
            // The first message of the chain is gone for good.
            Err(error) if error.status() == 404 => Ok(()),
            other => other,
        }
    }

    /// What of a message that was found has not been told.
    pub(super) fn tell_swept(&self, channel: &Channel, said: &Said, since: u64) -> Vec<Event> {
        let Some(id) = said.message_id() else { return Vec::new() };
        let mut out = Vec::new();
        let own = self.is_own(&said.who);
        self.people.learn(&said.who);
        let (told, begun) = {
            let known = channel.known();
            (known.digest(id.as_str()), known.memory.begun.unwrap_or(0))
        };
        let at = said.at.as_millis();
        if !own && at > begun {
            // Before the last position everything was told, though it may be forgotten by now.
            let is_old = at <= since.saturating_sub(OVERLAP);
            match told {
                Some(0) if !said.deleted => out.extend(self.tell_returned(channel, said)),
                None if said.deleted && !is_old => {}
                _ if said.deleted => out.extend(self.tell_deleted(channel, said)),
                None if is_old && said.edited => out.extend(self.tell_edited(channel, said)),
                None if is_old => {}
                None => out.extend(self.tell_new(channel, said)),
                Some(_) if said.edited => out.extend(self.tell_edited(channel, said)),
                Some(_) => {}
            }
        }
        if at > begun {
            out.extend(self.tell_reactions_of(channel, said));
        }
        out
    }

    /// Reactions that came or went since they were seen last.
    fn tell_reactions_of(&self, channel: &Channel, said: &Said) -> Vec<Event> {
        let Some(id) = message_id(said.root.as_deref(), &said.id) else {
            return Vec::new();
        };
        let mut out = Vec::new();
        let mut present = Vec::new();
        for reaction in &said.reactions {
            self.people.learn(&reaction.who);
            if let (Some(person), Some(key)) = (
                self.people.id(&reaction.who),
                crate::convert::emoji::to_unicode(&reaction.kind),
            ) {
                present.push((person.to_string(), key));
            }
            out.extend(self.tell_reaction(channel, &id, &reaction.who, &reaction.kind, true, reaction.at));
        }
        let had = channel.known().reactions.get(id.as_str()).cloned().unwrap_or_default();
        for (person, key) in had.into_iter().filter(|one| !present.contains(one)) {
            let who = crate::convert::said::Who {
                directory: Some(person),
                ..Default::default()
            };
            out.extend(self.tell_reaction(channel, &id, &who, &key, false, said.modified));
        }
        out
    }
}

/// The history of a channel could not be read: how the sweep went.
fn unreadable(channel: &Channel, error: &CallError) -> Swept {
    tracing::warn!(channel = %channel.spelling, %error, "The history of a channel could not be read.");
    channel.known().unread = Some(error.to_string());
    // Without the consent it does not get better by asking again soon.
    match error {
        CallError::Refused { .. } => Swept::Done,
        CallError::Unsent(_) | CallError::Unknown(_) => Swept::Unreachable,
        CallError::Limited(_) | CallError::Stopped => Swept::Unfinished,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_told_meanwhile_is_read_again() {
        let first = 1_700_000_000_000;
        let changes = || {
            let said = |at: u64| Said::of_graph(&serde_json::json!({"id": at.to_string()})).unwrap();
            let found = (1..=3).map(|number| said(first + number));
            Changes {
                since: first,
                newest: first + 3,
                found: found
                    .map(|said| ((said.at.as_millis(), said.id.clone()), said))
                    .collect(),
            }
        };
        let without = |ids: &[u64]| {
            let touched = ids.iter().map(u64::to_string).collect();
            let left = changes().without(&touched);
            (left.found.len(), left.newest - first)
        };
        assert_eq!(without(&[]), (3, 3));
        assert_eq!(without(&[first + 2]), (2, 2));
        assert_eq!(without(&[first + 1, first + 2, first + 3]), (0, 1));
    }
}
