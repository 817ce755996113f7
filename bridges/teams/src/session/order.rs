//! In order although something was missed: nothing in an activity says whether an earlier one was lost. So before a message
//! is told, Graph is asked once for what came before it; as often as a part of the published rate allows, and never for long.
//! What is not found so is found by the next sweep, behind what came later.

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
/// The part of a rate that is used: one in so many calls.
const PART: u32 = 4;
/// How often in a second it is asked at most, about one channel and in all: in a flood it would cost more than it is worth.
const MOST: (u32, u32) = (20, 40);
/// How many messages Graph gives at once.
const PAGE: usize = 50;

/// How much of a rate was used in the last second.
#[derive(Debug, Default)]
pub struct Allowance {
    since: Option<Instant>,
    used: u32,
}

impl Allowance {
    /// Whether one more call of so many a second may be made now; if so, it counts.
    pub fn take(&mut self, per_second: u32) -> bool {
        let now = Instant::now();
        if self
            .since
            .is_none_or(|since| now.duration_since(since) >= Duration::from_secs(1))
        {
            self.since = Some(now);
            self.used = 0;
        }
        let allowed = self.used < per_second;
        self.used += u32::from(allowed);
        allowed
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
        let Some(scope) = channel.scope().filter(|_| self.may_check(channel)) else {
            return Around::default();
        };
        let found = tokio::time::timeout(PATIENCE, async {
            match &said.root {
                Some(root) => self.wire.latest_replies(&scope, root).await,
                None => self.wire.changed_lately(&scope, Timestamp(last.max(swept))).await,
            }
        });
        let found = match found.await {
            Ok(Ok(found)) => found,
            Ok(Err(error)) => {
                tracing::debug!(channel = %channel.spelling, %error, "It could not be asked whether something was missed.");
                return Around::default();
            }
            Err(_) => return Around::default(),
        };
        self.sorted(channel, said, &found, swept)
    }

    fn sorted(&self, channel: &Channel, said: &Said, found: &[Value], swept: u64) -> Around {
        let found: Vec<Said> = found.iter().filter_map(Said::of_graph).collect();
        // Of what is cut off in another order than that of time, nobody knows what is missing.
        let whole = found.len() < PAGE || (said.root.is_none() && found.is_sorted_by_key(|other| other.modified));
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

    fn may_check(&self, channel: &Channel) -> bool {
        let limits = &self.section.limits;
        let unread = channel.known().unread.is_some();
        self.section.check_order
            && !unread
            && channel
                .known()
                .checks
                .take((limits.graph_per_second / PART).clamp(1, MOST.0))
            && super::locked(&self.checks).take((limits.tenant_per_second / PART).clamp(1, MOST.1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_rate_is_kept_and_comes_back() {
        let mut allowance = Allowance::default();
        let taken = (0..10).filter(|_| allowance.take(3)).count();
        assert_eq!(taken, 3);
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(allowance.take(3));
    }
}
