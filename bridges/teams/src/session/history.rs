//! What Graph shows as changed in a channel since the last time it was read.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use viaduct_model::Timestamp;

use super::Teams;
use super::channels::Channel;
use crate::client::error::CallError;
use crate::client::graph::Scope;
use crate::client::json;
use crate::convert::said::Said;

/// How much before the last position is read again, in milliseconds.
pub(super) const OVERLAP: u64 = 60_000;
/// One day, in milliseconds.
pub(super) const DAY: u64 = 86_400_000;
/// How many replies of one chain are read at most.
const REPLIES: usize = 20_000;
/// For how many chains that are wanted it is worth to read a list of chains.
const WORTH: usize = 4;

/// Messages, in the order of their times.
pub(super) type Found = BTreeMap<(u64, String), Said>;

/// What Graph shows as changed.
pub(super) struct Changes {
    /// The position up to which everything was told before.
    pub since: u64,
    /// That up to which everything is told with this.
    pub newest: u64,
    /// The messages, in the order of their times.
    pub found: Found,
}

impl Changes {
    /// Leaves out messages of which something was told while Graph was read: what it says of them may be older. The next sweep
    /// reads them again.
    pub fn without(mut self, touched: &BTreeSet<String>) -> Self {
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

/// Where Graph has the messages of a channel that can be used.
pub(super) fn scope_of(channel: &Channel) -> Option<Scope> {
    channel.scope().filter(|_| channel.usable().is_ok())
}

impl Teams {
    /// Reads what changed since the last position; none the first time.
    pub(super) async fn read_changes(&self, channel: &Channel, scope: &Scope) -> Result<Option<Changes>, CallError> {
        let Some(since) = self.since(channel, scope).await? else {
            return Ok(None);
        };
        let from = Timestamp(since.saturating_sub(OVERLAP));
        let mut found = Found::new();
        let mut chains: BTreeMap<String, u64> = channel.known().memory.chains.clone();
        let changed = self.wire.changed_since(scope, from).await?;
        for said in changed.iter().filter_map(Said::of_graph) {
            if said.root.is_none() {
                let last = chains.entry(said.id.clone()).or_default();
                *last = said.modified.as_millis().max(*last);
            }
            found.insert((said.at.as_millis(), said.id.clone()), said);
        }
        if matches!(scope, Scope::Channel(..)) {
            let watched = since.saturating_sub(self.section.thread_days.saturating_mul(DAY));
            let wanted = chains.into_iter().filter(|(_, last)| *last >= watched);
            self.replies(scope, wanted.map(|(root, _)| root).collect(), from, &mut found)
                .await?;
        }
        let newest = found.values().map(|said| said.modified.as_millis()).max();
        let newest = newest.unwrap_or(since).max(since);
        Ok(Some(Changes { since, newest, found }))
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

    /// Reads the replies of these chains: from lists of chains with their replies, as far as that takes fewer calls than one for
    /// each chain.
    async fn replies(
        &self,
        scope: &Scope,
        mut wanted: BTreeSet<String>,
        from: Timestamp,
        found: &mut Found,
    ) -> Result<(), CallError> {
        match self.listed_replies(scope, &mut wanted, from, found).await {
            Err(error @ (CallError::Limited(_) | CallError::Stopped)) => return Err(error),
            Err(error) => {
                tracing::debug!(%error, "Reply chains cannot be read from a list, and are read each for itself.");
            }
            Ok(()) => {}
        }
        for root in &wanted {
            self.replies_of(scope, root, from, found).await?;
        }
        Ok(())
    }

    /// Reads lists of chains, and takes off the wanted what is in them. Microsoft does not say in which order they are.
    async fn listed_replies(
        &self,
        scope: &Scope,
        wanted: &mut BTreeSet<String>,
        from: Timestamp,
        found: &mut Found,
    ) -> Result<(), CallError> {
        let mut next = None;
        for _ in 0..wanted.len() / WORTH {
            let (chains, more) = self.wire.chains(scope, next).await?;
            for chain in &chains {
                let Some(root) = json::text(chain, &["id"]) else {
                    continue;
                };
                let mut take = taking(root, from, found);
                let goes_on = json::list(chain, &["replies"]).iter().all(|reply| take(reply.clone()));
                let rest = json::text(chain, &["replies@odata.nextLink"]);
                if let Some(rest) = rest.filter(|_| goes_on && wanted.contains(root)) {
                    self.wire.further_replies(scope, rest, &mut take).await?;
                }
                wanted.remove(root);
            }
            next = more;
            if wanted.is_empty() || next.is_none() {
                break;
            }
        }
        Ok(())
    }

    async fn replies_of(&self, scope: &Scope, root: &str, from: Timestamp, found: &mut Found) -> Result<(), CallError> {
        match self.wire.replies(scope, root, &mut taking(root, from, found)).await {
            // The first message of the chain is gone for good.
            Err(error) if error.status() == 404 => Ok(()),
            other => other,
        }
    }
}

/// Takes replies that changed since; says whether more are wanted.
fn taking(root: &str, from: Timestamp, found: &mut Found) -> impl FnMut(Value) -> bool {
    let mut read = 0;
    move |message| {
        read += 1;
        if let Some(mut said) = Said::of_graph(&message)
            && said.modified >= from
        {
            said.root = Some(root.to_owned());
            found.insert((said.at.as_millis(), said.id.clone()), said);
        }
        read < REPLIES
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
