//! In order although something was missed: nothing in an activity says whether an earlier one was lost. So before a message
//! is told, Graph is asked for what came before it; what it has of later ones is told behind it, and they need not ask. It is
//! asked within a part of the published rate, for which a message waits a little, and not for a while where it is of no use:
//! Graph is behind, or there is more than it can keep up with. What is not found so is found by the next sweep, behind what
//! came later.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;
use viaduct_model::{Event, Timestamp};

use super::Teams;
use super::channels::Channel;
use crate::convert::said::Said;

/// How long a message waits for the answer.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long a message waits for its turn to ask.
const TURN: Duration = Duration::from_millis(1100);
/// The parts of the rates that are used, for one channel and in all: one in so many calls.
const PARTS: (u32, u32) = (2, 4);
/// How often in a second it is asked at most, about one channel and in all.
const MOST: (u32, u32) = (20, 40);
/// For how long it is not asked where that is of no use.
const REST: Duration = Duration::from_secs(10);

/// When it was asked last, and whether it is of use to.
#[derive(Debug, Default)]
pub struct Turns {
    last: Option<Instant>,
    resting: Option<Instant>,
}

impl Turns {
    /// Takes the next turn of so many a second; gives how long to wait for it. None if that is too long, or it is no use.
    pub fn take(&mut self, per_second: u32, patience: Duration) -> Option<Duration> {
        let now = Instant::now();
        if self.resting.is_some_and(|until| until > now) {
            return None;
        }
        let spacing = Duration::from_secs(1) / per_second.max(1);
        let at = self.last.map_or(now, |last| (last + spacing).max(now));
        let wait = at.duration_since(now);
        if wait > patience {
            return None;
        }
        self.last = Some(at);
        Some(wait)
    }

    /// It is of no use for a while.
    pub fn rest(&mut self) {
        self.resting = Some(Instant::now() + REST);
    }
}

/// What was said around a message and has not been told.
#[derive(Debug, Default)]
pub(super) struct Around {
    /// Before it.
    pub before: Vec<Event>,
    /// After it, where nothing is between.
    pub after: Vec<Event>,
}

impl Around {
    /// All of it, with what is told of the message itself.
    pub fn with(self, own: impl IntoIterator<Item = Event>) -> Vec<Event> {
        self.before.into_iter().chain(own).chain(self.after).collect()
    }
}

impl Teams {
    /// What was said in a channel before a message and has not been told; and what is known of after it. The channel's gate
    /// is held.
    pub(super) async fn around(&self, channel: &Channel, said: &Said) -> Around {
        let is_new = !said.deleted && !said.edited && !self.is_own(&said.who);
        let (told, swept, last) = {
            let known = channel.known();
            let told = said.message_id().and_then(|id| known.digest(id.as_str()));
            (told.is_some(), known.memory.swept, known.newest_root)
        };
        let Some(swept) = swept.filter(|_| is_new && !told && channel.direct_to.is_none()) else {
            return Around::default();
        };
        let (Some(wait), Some(scope)) = (self.turn_to_check(channel), channel.scope()) else {
            tracing::debug!(channel = %channel.spelling, id = said.id, "It is not asked whether something was missed.");
            return Around::default();
        };
        tokio::time::sleep(wait).await;
        let found = tokio::time::timeout(PATIENCE, async {
            if let Some(root) = &said.root {
                return Box::pin(self.wire.latest_replies(&scope, root)).await;
            }
            // What is older than the newest that was told is asked for all the same: Graph is not behind then.
            let since = last.max(swept).min(said.at.as_millis().saturating_sub(1));
            Box::pin(self.wire.changed_lately(&scope, Timestamp(since), &said.id)).await
        });
        match found.await {
            Ok(Ok((found, all))) => self.sorted(channel, said, &found, all, swept),
            other => {
                tracing::debug!(channel = %channel.spelling, ?other, "It could not be asked whether something was missed.");
                channel.known().checks.rest();
                Around::default()
            }
        }
    }

    fn sorted(&self, channel: &Channel, said: &Said, found: &[Value], all: bool, swept: u64) -> Around {
        let found: Vec<Said> = found.iter().filter_map(Said::of_graph).collect();
        let is_behind = found.iter().all(|other| other.id != said.id);
        // Of what is cut off in another order than that of time, nobody knows what is missing.
        let whole = all || (said.root.is_none() && found.is_sorted_by_key(|other| other.modified));
        if is_behind && (all || !whole) {
            tracing::debug!(channel = %channel.spelling, id = said.id, "Graph does not have a message yet.");
            channel.known().checks.rest();
        }
        let mut others: BTreeMap<(u64, String), Said> = BTreeMap::new();
        for mut other in found {
            if said.root.is_some() {
                other.root.clone_from(&said.root);
            }
            others.insert((other.at.as_millis(), other.id.clone()), other);
        }
        let own = (said.at.as_millis(), said.id.clone());
        let mut around = Around::default();
        for (at, other) in others.into_iter().filter(|(at, _)| *at != own) {
            if at < own {
                around.before.extend(self.tell_swept(channel, &other, swept));
            } else if whole {
                around.after.extend(self.tell_swept(channel, &other, swept));
            }
        }
        around
    }

    /// How long to wait for the turn to ask; none if it is not to be asked.
    fn turn_to_check(&self, channel: &Channel) -> Option<Duration> {
        let limits = &self.section.limits;
        let (own, all) = (limits.graph_per_second / PARTS.0, limits.tenant_per_second / PARTS.1);
        let mut known = channel.known();
        if !self.section.check_order || known.unread.is_some() {
            return None;
        }
        let wait = known.checks.take(own.clamp(1, MOST.0), TURN)?;
        let beside = super::locked(&self.checks).take(all.clamp(1, MOST.1), TURN)?;
        Some(wait.max(beside))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn turns_are_apart_and_nobody_waits_for_long() {
        let mut turns = Turns::default();
        let waits: Vec<Option<u128>> = (0..4)
            .map(|_| turns.take(2, TURN).map(|wait| wait.as_millis()))
            .collect();
        assert_eq!(waits, [Some(0), Some(500), Some(1000), None]);
        tokio::time::advance(Duration::from_secs(2)).await;
        assert_eq!(turns.take(2, TURN), Some(Duration::ZERO));
        turns.rest();
        tokio::time::advance(REST / 2).await;
        assert_eq!(turns.take(2, TURN), None);
        tokio::time::advance(REST).await;
        assert_eq!(turns.take(2, TURN), Some(Duration::ZERO));
    }
}
