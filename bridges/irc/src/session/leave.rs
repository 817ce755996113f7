//! Leaving a channel for good: its mirror has ended.

use std::sync::Arc;

use tracing::info;
use viaduct_model::ChannelId;

use super::pool::{Place, Puppet};
use super::{Shared, direct_parts, locked};
use crate::client::line::message;

/// Takes everybody who stands there for us out of a channel, and does not come back. Puppets that are nowhere else say goodbye.
pub(super) async fn leave(shared: &Arc<Shared>, channel: &ChannelId) {
    if direct_parts(channel).is_some() {
        return;
    }
    // From now on nothing is delivered there, and nobody joins it.
    let known = locked(&shared.roster).remove_channel(channel.as_str());
    locked(&shared.problems).remove(&channel.as_str().to_lowercase());
    let reason = shared
        .context
        .language
        .pick("hier wird nichts mehr gespiegelt", "this channel is mirrored no longer");
    let parting = shared.pool.all().into_iter().map(|puppet| async move {
        if part(&puppet, channel, reason).await {
            shared.pool.remove(&puppet, reason);
        }
    });
    futures_util::future::join_all(parting).await;
    // Also where it is still being joined: the server hears of that first.
    if let Some(reader) = shared.reader().filter(|_| known.is_some()) {
        reader.send(message("PART", &[channel.as_str(), reason])).await;
    }
    info!(%channel, "Left a channel for good.");
}

/// Takes a puppet out of a channel; whether it was there, and is nowhere now.
async fn part(puppet: &Puppet, channel: &ChannelId, reason: &str) -> bool {
    let preparing = puppet.preparing.lock().await;
    let Some(connection) = puppet.connection() else {
        return false;
    };
    let folded = connection.isupport().casemapping.fold(channel.as_str());
    if puppet.place(&folded) != Some(Place::In) {
        return false;
    }
    puppet.set_place(folded, None);
    connection.send(message("PART", &[channel.as_str(), reason])).await;
    drop(preparing);
    !locked(&puppet.places).values().any(|place| *place == Place::In)
}
