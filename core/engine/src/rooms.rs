//! The mirrors' rooms: asked for at the start, and told what they are mirrored with.

use std::sync::Arc;
use std::time::Duration;

use viaduct_bridge::DeliveryError;
use viaduct_matrix::{BridgeInfo, RoomSpec};
use viaduct_model::NetworkName;
use viaduct_store::{Op, StoreError};

use crate::backoff::Backoff;
use crate::core::Core;
use crate::home::Home;
use crate::routes::{Mirror, RoomOrigin};
use crate::settings::Settings;
use crate::{labels, reactions};

/// The state key under which a mirror's room was asked for.
fn room_key(mirror: &Mirror) -> String {
    format!("room/{}", mirror.name)
}

fn room_wish(mirror: &Mirror) -> Option<Vec<u8>> {
    match &mirror.origin {
        RoomOrigin::Configured(spec) => Some(format!("{spec:?}").into_bytes()),
        RoomOrigin::Direct { .. } => None,
    }
}

/// A mirror whose room the operator now wants otherwise gets it anew.
pub(crate) async fn forget_changed(core: &Core) -> Result<(), StoreError> {
    for mirror in core.routes().mirrors() {
        let Some(wish) = room_wish(mirror) else { continue };
        let known = core.store.state(reactions::OWNER, &room_key(mirror)).await?;
        if known.as_deref() != Some(wish.as_slice()) {
            core.forget_room(&mirror.name);
        }
    }
    Ok(())
}

/// Counts a mirror as settled when dropped.
struct Unsettled(Arc<Core>);

impl Drop for Unsettled {
    fn drop(&mut self) {
        self.0
            .unsettled
            .send_modify(|mirrors| *mirrors = mirrors.saturating_sub(1));
    }
}

/// Makes a mirror's room where it is missing, and wakes its lanes: there may be work from before.
pub(crate) async fn begin(core: Arc<Core>, mirror: Arc<Mirror>) {
    core.wake_all(&mirror);
    let mut unsettled = Some(Unsettled(core.clone()));
    let Some(wish) = room_wish(&mirror) else {
        drop(unsettled);
        labels::learn(&core, &mirror).await;
        core.wake_all(&mirror);
        return;
    };
    let RoomOrigin::Configured(spec) = &mirror.origin else {
        return;
    };
    let Some(home) = core.home() else { return };
    let mut backoff = Backoff::new(Duration::from_millis(500), Duration::from_mins(1));
    let known = core.room_of(&mirror.name);
    let room = loop {
        if let Some(room) = core.room_of(&mirror.name) {
            break room;
        }
        let made = make(&core, &mirror, &*home, spec).await;
        drop(unsettled.take());
        if let Err(error) = made {
            tracing::warn!(mirror = %mirror.name, %error, "The mirror's room is not available yet.");
            tokio::select! {
                () = tokio::time::sleep(backoff.next(None, &*core.entropy)) => {}
                () = core.stop.cancelled() => return,
            }
        }
    };
    drop(unsettled);
    if known.is_none() {
        let op = Op::State {
            owner: reactions::OWNER.to_owned(),
            key: room_key(&mirror),
            value: Some(wish),
        };
        core.commit(op).await.ok();
        tracing::info!(mirror = %mirror.name, room, "The mirror has its room.");
    }
    let places = bridge_info(&core.settings(), &mirror);
    if let Err(error) = home.announce(&room, &places).await {
        tracing::debug!(mirror = %mirror.name, %error, "The room could not be told what it is mirrored with.");
    }
    labels::learn(&core, &mirror).await;
    core.wake_all(&mirror);
}

/// Finds or makes a mirror's room; it is known together with its label.
async fn make(core: &Core, mirror: &Mirror, home: &dyn Home, spec: &RoomSpec) -> Result<(), DeliveryError> {
    let room = home.ensure_room(spec).await?;
    labels::read(core, home, &room).await?;
    let saved = core.save_room(mirror, &room).await;
    saved.map_err(|error| DeliveryError::retry(error.to_string()))
}

fn bridge_info(settings: &Settings, mirror: &Mirror) -> Vec<BridgeInfo> {
    let kind = |name: &NetworkName| {
        settings
            .networks
            .iter()
            .find(|network| network.name == *name)
            .map_or("unknown", |network| &network.kind)
            .to_owned()
    };
    mirror
        .members
        .iter()
        .skip(1)
        .map(|member| BridgeInfo {
            network: member.place.network.clone(),
            protocol: kind(&member.place.network),
            channel: member.place.channel.clone(),
            channel_name: member.place.channel.to_string(),
            url: None,
        })
        .collect()
}
