//! Leaving channels that are mirrored no longer: their mirror or membership was taken out, or their partner wound up. Whoever
//! stands for their people elsewhere leaves as well.
//!
//! ```text
//! mirrored ── taken out ─▶ left by its session, and to be cleared ── ghosts and puppets are out ─▶ forgotten
//! ```
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
use viaduct_store::{Lane, Op, StoreError};

use crate::core::Core;
use crate::hands::{self, Hands};
use crate::ledger;
use crate::presence;
use crate::reactions::OWNER;
use crate::routes::home_of;
use crate::settings::Settings;

/// Where the mirrored channels are in the store's state table.
const PREFIX: &str = "mirrored/";
/// Where the channels are that were left, and whose people are still shown elsewhere.
const CLEARING: &str = "clearing/";
/// How long a session may take to leave one.
const PATIENCE: Duration = Duration::from_secs(20);

/// A channel of a mirror, as it is remembered.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
struct Mirrored {
    mirror: MirrorName,
    place: Place,
}

impl Mirrored {
    /// Its key among what is mirrored, or among what is being cleared.
    fn key(&self, prefix: &str) -> String {
        format!("{prefix}{}/{}", self.mirror, self.place)
    }

    fn lane(&self) -> Lane {
        Lane {
            mirror: self.mirror.clone(),
            to: self.place.clone(),
        }
    }

    fn put(&self, prefix: &str) -> Op {
        state(self.key(prefix), serde_json::to_vec(self).ok())
    }

    fn forget(&self, prefix: &str) -> Op {
        state(self.key(prefix), None)
    }
}

fn state(key: String, value: Option<Vec<u8>>) -> Op {
    Op::State {
        owner: OWNER.to_owned(),
        key,
        value,
    }
}

/// Everything that is remembered under a prefix.
async fn remembered(core: &Core, prefix: &str) -> Result<Vec<Mirrored>, StoreError> {
    let found = core.store.state_scan(OWNER, prefix).await?;
    let read = |(_, value): (String, Vec<u8>)| serde_json::from_slice(&value).ok();
    Ok(found.into_iter().filter_map(read).collect())
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

/// Remembers which channels are mirrored from now on. What was said before is not for those that are new, also if they were
/// mirrored earlier: their lanes start at the end.
pub(crate) async fn remember(core: &Core) -> Result<(), StoreError> {
    let known: HashSet<Mirrored> = remembered(core, PREFIX).await?.into_iter().collect();
    let settings = core.settings();
    let all = mirrored(core, &settings).map(|(mirror, place)| Mirrored {
        mirror: mirror.clone(),
        place: place.clone(),
    });
    let fresh: Vec<Mirrored> = all.filter(|one| !known.contains(one)).collect();
    let begun = fresh.iter().flat_map(|one| {
        let (end, start) = (one.lane(), one.lane());
        [Op::Close { lane: end }, Op::Open { lane: start }, one.put(PREFIX)]
    });
    let ops: Vec<Op> = begun.collect();
    if !ops.is_empty() {
        core.store.submit(ops.into()).await?.await?;
    }
    for one in &fresh {
        core.forget_lane(&one.lane());
    }
    Ok(())
}

/// Leaves every channel that is mirrored no longer. What cannot be reached now is tried again by the next call.
pub(crate) async fn leave_ended(core: &Arc<Core>) -> Result<(), StoreError> {
    let alone = core.leaving.lock().await;
    let settings = core.settings();
    let wanted: HashSet<(&MirrorName, &Place)> = mirrored(core, &settings).collect();
    let known = remembered(core, PREFIX).await?;
    let ended = known
        .into_iter()
        .filter(|known| !wanted.contains(&(&known.mirror, &known.place)));
    let stays = |place: &Place| wanted.iter().any(|(_, wanted)| *wanted == place);
    let left = ended.map(|known| {
        let stays = stays(&known.place);
        depart(core, known, stays)
    });
    let left = join_all(left).await;
    drop(alone);
    left.into_iter().collect()
}

/// Leaves a channel, unless it is another mirror's now. Who of its people is shown elsewhere is to be cleared from then on.
async fn depart(core: &Arc<Core>, known: Mirrored, stays: bool) -> Result<(), StoreError> {
    let Mirrored { mirror, place } = &known;
    let reply = if stays { Reply::Done } else { leave(core, place).await };
    let told = match reply {
        Reply::Done if stays => format!("{place} is mirrored with another room"),
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
    entry.mirror = Some(mirror.clone());
    let ops = vec![known.forget(PREFIX), known.put(CLEARING)];
    core.submit(ops, vec![entry]).await?.await.map(drop)
}

/// Has everybody of channels that are mirrored no longer leave the rooms they were mirrored with, and the other channels there.
/// What cannot be reached now is tried again by the next call.
pub(crate) async fn clear_ended(core: &Arc<Core>) {
    let alone = core.govern.clearing.lock().await;
    let clearing = match remembered(core, CLEARING).await {
        Ok(clearing) => clearing,
        Err(error) => {
            tracing::error!(%error, "What is to be cleared could not be read; it is tried again.");
            return;
        }
    };
    for known in clearing {
        let cleared = tokio::select! {
            cleared = clear(core, &known) => cleared,
            () = core.stop.cancelled() => return,
        };
        if let Err(error) = cleared {
            tracing::error!(mirror = %known.mirror, place = %known.place, %error, "People could not be taken out; it is tried again.");
        }
    }
    drop(alone);
}

async fn clear(core: &Arc<Core>, known: &Mirrored) -> Result<(), StoreError> {
    let Mirrored { mirror, place } = known;
    let settings = core.settings();
    if mirrored(core, &settings).any(|wanted| wanted == (mirror, place)) {
        return core.commit(known.forget(CLEARING)).await;
    }
    // Of a mirror that has ended, its room is left to be cleared.
    let mut others = vec![home_of(mirror)];
    if let Some(found) = core.routes().named(mirror) {
        let rest = found.members.iter().map(|member| member.place.clone());
        others.extend(rest.filter(|other| !other.network.is_matrix() && other != place));
    }
    let all: Vec<&Place> = others.iter().chain([place]).collect();
    let people = presence::only_at(place, &presence::of(&*core.store, mirror, &all).await?);
    let hands = Hands(core.clone());
    let mut refused = None;
    for other in &others {
        match presence::take_out(&hands, mirror, other, &people).await {
            Reply::Done => {}
            Reply::Refused(why) => refused = Some(why),
            Reply::Later(reason) => {
                tracing::debug!(%mirror, %place, reason, "People of a channel that is mirrored no longer leave later.");
                return Ok(());
            }
        }
    }
    if others.len() == 1 {
        unannounce(core, mirror).await;
    }
    let told = match refused {
        None => format!("{} people of {place} were taken out", people.len()),
        Some(why) => format!(
            "not all of the {} people of {place} could be taken out: {why}",
            people.len()
        ),
    };
    tracing::info!(%mirror, %place, "{told}.");
    let mut entry = ledger::plain(core.clock.now(), Action::Configured, told);
    entry.mirror = Some(mirror.clone());
    let mut ops = vec![known.forget(CLEARING)];
    if !mirrored(core, &settings).any(|(_, wanted)| wanted == place) {
        ops.extend(presence::forget_place(&*core.store, place).await?);
    }
    core.submit(ops, vec![entry]).await?.await.map(drop)
}

/// The room of a mirror that has ended says no longer what it is mirrored with.
async fn unannounce(core: &Core, mirror: &MirrorName) {
    let (Some(home), Some(room)) = (core.home(), core.room_of(mirror)) else {
        return;
    };
    if let Err(error) = home.announce(&room, &[]).await {
        tracing::debug!(%mirror, %error, "The room still says what it was mirrored with.");
    }
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

/// Leaves a channel whose partner is being wound up; the certificate says what came of it. Its people are dismissed by a job of
/// their own.
pub(crate) async fn close(core: &Core, mirror: &MirrorName, place: &Place) -> Reply {
    let reply = leave(core, place).await;
    let known = Mirrored {
        mirror: mirror.clone(),
        place: place.clone(),
    };
    if !matches!(reply, Reply::Later(_))
        && let Err(error) = core.commit(known.forget(PREFIX)).await
    {
        return Reply::Later(error.to_string());
    }
    reply
}
