//! What Graph shows as changed since the last sweep: everything that no activity told of, and everything after an absence.
//!
//! Messages that were told already are recognised by the digest of their wording; the hub recognises ids it has. A sweep ends
//! with a position only when all it found is on stable storage. After an absence what is live waits behind it; later it goes on
//! beside the reading, which takes a while at Graph's rate.

use std::collections::BTreeSet;

use viaduct_model::Event;

use super::Teams;
use super::channels::Channel;
use super::history::{Changes, OVERLAP, scope_of};
use crate::client::error::CallError;
use crate::convert::ids::message_id;
use crate::convert::said::Said;
use crate::telemetry;

/// How often it is tried to catch up before what is live goes on all the same.
const ATTEMPTS: usize = 3;
/// How many events are handed to the hub at once.
const BATCH: usize = 200;

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
    /// Sweeps a channel, whose gate is held: what is live waits; says how that went.
    async fn sweep(&self, channel: &Channel) -> Swept {
        let Some(scope) = scope_of(channel) else {
            return Swept::Done;
        };
        match self.read_changes(channel, &scope).await {
            Ok(changes) => self.swept(channel, changes).await,
            Err(error) => unreadable(channel, &error),
        }
    }

    /// Sweeps a channel after an absence: again where that came to no end, so that what is live does not go first.
    pub(super) async fn catch_up(&self, channel: &Channel) -> Swept {
        let mut swept = self.sweep(channel).await;
        for _ in 1..ATTEMPTS {
            if swept != Swept::Unfinished {
                break;
            }
            swept = self.sweep(channel).await;
        }
        swept
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
