//! Leaving channels that are mirrored no longer: their mirror or membership was taken out, or their partner wound up.
//!
//! Every mirrored channel is remembered in the store before its session enters it, and forgotten when it was left. So one whose
//! network cannot be reached now, or that was taken out while the hub was stopped, is left later; and each has its entry in the
//! ledger, also when it cannot be left.

use std::collections::{BTreeSet, HashSet};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::join_all;
use serde::{Deserialize, Serialize};
use viaduct_audit::Action;
use viaduct_governance::Reply;
use viaduct_model::{ChannelId, MirrorName, NetworkName, Place};
use viaduct_store::{Batch, Op, StoreError};

use crate::core::Core;
use crate::hands;
use crate::ledger;
use crate::reactions::OWNER;
use crate::settings::Settings;

/// Where the mirrored channels are in the store's state table.
const PREFIX: &str = "mirrored/";
/// How long a session may take to leave one.
const PATIENCE: Duration = Duration::from_secs(20);

/// A channel of a mirror, as it is remembered.
#[derive(Debug, Serialize, Deserialize)]
struct Mirrored {
    mirror: MirrorName,
    place: Place,
}

fn key(place: &Place) -> String {
    format!("{PREFIX}{place}")
}

fn forget(place: &Place) -> Op {
    Op::State {
        owner: OWNER.to_owned(),
        key: key(place),
        value: None,
    }
}

/// The channels of mirrors that have not ended.
fn mirrored<'a>(core: &'a Core, settings: &'a Settings) -> impl Iterator<Item = (&'a MirrorName, &'a Place)> {
    let register = core.govern.register();
    settings
        .mirrors
        .iter()
        .flat_map(|mirror| mirror.members.iter().map(|member| (&mirror.name, &member.place)))
        .filter(move |(_, place)| !register.is_wound_up(place))
}

/// The channels that a network's session is to be in.
pub(crate) fn channels(core: &Core, settings: &Settings, network: &NetworkName) -> BTreeSet<ChannelId> {
    mirrored(core, settings)
        .filter(|(_, place)| place.network == *network)
        .map(|(_, place)| place.channel.clone())
        .collect()
}

/// Remembers which channels are mirrored from now on.
pub(crate) async fn remember(core: &Core) -> Result<(), StoreError> {
    let known: HashSet<String> = core
        .store
        .state_scan(OWNER, PREFIX)
        .await?
        .into_iter()
        .map(|(key, _)| key)
        .collect();
    let settings = core.settings();
    let fresh = mirrored(core, &settings).filter(|(_, place)| !known.contains(&key(place)));
    let ops: Vec<Op> = fresh
        .map(|(mirror, place)| Op::State {
            owner: OWNER.to_owned(),
            key: key(place),
            value: serde_json::to_vec(&Mirrored {
                mirror: mirror.clone(),
                place: place.clone(),
            })
            .ok(),
        })
        .collect();
    if !ops.is_empty() {
        core.store.submit(Batch { ops }).await?.await?;
    }
    Ok(())
}

/// Leaves every channel that is mirrored no longer. What cannot be reached now is tried again by the next call.
pub(crate) async fn leave_ended(core: &Arc<Core>) -> Result<(), StoreError> {
    let alone = core.leaving.lock().await;
    let settings = core.settings();
    let wanted: HashSet<&Place> = mirrored(core, &settings).map(|(_, place)| place).collect();
    let known = core.store.state_scan(OWNER, PREFIX).await?;
    let ended = known
        .iter()
        .filter_map(|(_, value)| serde_json::from_slice::<Mirrored>(value).ok())
        .filter(|known| !wanted.contains(&known.place));
    let left = join_all(ended.map(|known| depart(core, known))).await;
    drop(alone);
    left.into_iter().collect()
}

async fn depart(core: &Arc<Core>, known: Mirrored) -> Result<(), StoreError> {
    let Mirrored { mirror, place } = known;
    let told = match leave(core, &place).await {
        Reply::Done => {
            tracing::info!(%mirror, %place, "A channel that is mirrored no longer was left.");
            format!("{place} was left")
        }
        Reply::Refused(reason) => {
            tracing::warn!(%mirror, %place, reason, "A channel that is mirrored no longer could not be left.");
            format!("{place} could not be left: {reason}")
        }
        Reply::Later(reason) => {
            tracing::debug!(%mirror, %place, reason, "A channel that is mirrored no longer is left later.");
            return Ok(());
        }
    };
    let mut entry = ledger::plain(core.clock.now(), Action::Configured, told);
    entry.mirror = Some(mirror);
    core.submit(vec![forget(&place)], vec![entry]).await?.await.map(drop)
}

/// Has a session leave a channel for good.
async fn leave(core: &Core, place: &Place) -> Reply {
    let Some(side) = core.side(&place.network) else {
        let configured = core
            .settings()
            .networks
            .iter()
            .any(|network| network.name == place.network);
        return if configured && core.govern.serves(&place.network) {
            Reply::Later(format!("{} is not connected", place.network))
        } else {
            Reply::Refused(format!("the hub has no access to {} any more", place.network))
        };
    };
    let leaving = AssertUnwindSafe(side.session.leave(&place.channel)).catch_unwind();
    match tokio::time::timeout(PATIENCE, leaving).await {
        Ok(Ok(Ok(()))) => {
            side.left(&place.channel);
            Reply::Done
        }
        Ok(Ok(Err(error))) => hands::answer(error),
        Ok(Err(_)) => Reply::Refused("the bridge failed on it".to_owned()),
        Err(_) => Reply::Later("the network did not answer in time".to_owned()),
    }
}

/// Leaves a channel whose partner is being wound up; the certificate says what came of it.
pub(crate) async fn close(core: &Core, place: &Place) -> Reply {
    let reply = leave(core, place).await;
    if !matches!(reply, Reply::Later(_))
        && let Err(error) = core.commit(forget(place)).await
    {
        return Reply::Later(error.to_string());
    }
    reply
}
