//! What Graph shows as changed since the last sweep: everything that no activity told of, and everything after an absence.
//!
//! Messages that were told already are recognised by the digest of their wording; the hub recognises ids it has. A sweep ends
//! with a position only when all it found is on stable storage.

use std::collections::BTreeMap;

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

impl Teams {
    /// Sweeps a channel, whose gate is held; says how that went.
    pub(super) async fn sweep(&self, channel: &Channel) -> Swept {
        let Some(scope) = channel.scope().filter(|_| channel.usable().is_ok()) else {
            return Swept::Done;
        };
        match self.sweep_once(channel, &scope).await {
            Ok(stored) => {
                channel.known().unread = None;
                if stored { Swept::Done } else { Swept::Unfinished }
            }
            Err(error) => {
                tracing::warn!(channel = %channel.spelling, %error, "The history of a channel could not be read.");
                channel.known().unread = Some(error.to_string());
                // Without the consent it does not get better by asking again soon.
                match error {
                    CallError::Refused { .. } => Swept::Done,
                    CallError::Unsent(_) | CallError::Unknown(_) => Swept::Unreachable,
                    CallError::Limited(_) | CallError::Stopped => Swept::Unfinished,
                }
            }
        }
    }

    async fn sweep_once(&self, channel: &Channel, scope: &Scope) -> Result<bool, CallError> {
        let Some(since) = self.since(channel, scope).await? else {
            return Ok(true);
        };
        let from = Timestamp(since.saturating_sub(OVERLAP));
        let mut found: BTreeMap<(u64, String), Said> = BTreeMap::new();
        let mut chains: BTreeMap<String, u64> = channel.known().memory.chains.clone();
        let mut newest = since;
        for said in self
            .wire
            .changed_since(scope, from)
            .await?
            .iter()
            .filter_map(Said::of_graph)
        {
            newest = newest.max(said.modified.as_millis());
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
        newest = found
            .values()
            .map(|said| said.modified.as_millis())
            .max()
            .unwrap_or(newest)
            .max(newest);
        telemetry::swept(found.len());
        let mut events: Vec<Event> = Vec::new();
        for said in found.into_values() {
            events.extend(self.tell_swept(channel, &said, since));
            if events.len() >= BATCH && !self.store_of(channel, std::mem::take(&mut events)).await {
                return Ok(false);
            }
        }
        if !self.store_of(channel, events).await {
            return Ok(false);
        }
        let mut known = channel.known();
        if known.memory.swept != Some(newest) {
            known.memory.swept = Some(newest);
            known.changed = true;
        }
        Ok(true)
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
