//! The labels of rooms: what their state says, beside what the configuration says of their mirrors. They are kept in the store,
//! so that a restart knows them before the homeserver is asked. While the label of a mirror's room is not known, nothing of
//! that mirror is delivered.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use viaduct_bridge::DeliveryError;
use viaduct_model::MirrorName;
use viaduct_store::{Op, Store, StoreError};

use crate::backoff::Backoff;
use crate::core::Core;
use crate::home::Home;
use crate::reactions::OWNER;
use crate::routes::Mirror;

/// Where the labels are in the store's state table, by room.
const PREFIX: &str = "label/";

/// The labels of what is said in a mirror.
pub(crate) fn of(core: &Core, mirror: &Mirror) -> Vec<String> {
    let room = core
        .room_of(&mirror.name)
        .and_then(|room| core.label_of(&room))
        .flatten();
    mirror.labels.iter().cloned().chain(room).collect()
}

/// Whether the label of a mirror's room is known, or it has no room yet.
pub(crate) fn is_known(core: &Core, mirror: &Mirror) -> bool {
    core.room_of(&mirror.name)
        .is_none_or(|room| core.label_of(&room).is_some())
}

/// Reads the labels from the last run.
pub(crate) async fn remember(core: &Core) -> Result<(), StoreError> {
    for (key, value) in core.store.state_scan(OWNER, PREFIX).await? {
        let label = String::from_utf8(value).unwrap_or_default();
        if let Some(room) = key.strip_prefix(PREFIX) {
            core.know_label(room, Some(label).filter(|label| !label.is_empty()));
        }
    }
    Ok(())
}

/// What the rooms' state says of the mirrors, from the store alone.
pub(crate) async fn of_rooms(store: &dyn Store) -> Result<HashMap<MirrorName, String>, StoreError> {
    let mut labels: HashMap<String, String> = HashMap::new();
    for (key, value) in store.state_scan(OWNER, PREFIX).await? {
        let label = String::from_utf8(value).unwrap_or_default();
        if let Some(room) = key.strip_prefix(PREFIX).filter(|_| !label.is_empty()) {
            labels.insert(room.to_owned(), label);
        }
    }
    let portals = store.portals().await?.into_iter();
    Ok(portals
        .filter_map(|portal| Some((portal.mirror, labels.get(&portal.room)?.clone())))
        .collect())
}

/// Notes the label of a room; none: it has none.
pub(crate) async fn note(core: &Core, room: &str, label: Option<&str>) -> Result<(), StoreError> {
    let known = core.label_of(room);
    if known.as_ref().is_some_and(|known| known.as_deref() == label) {
        return Ok(());
    }
    let op = Op::State {
        owner: OWNER.to_owned(),
        key: format!("{PREFIX}{room}"),
        value: Some(label.unwrap_or_default().as_bytes().to_vec()),
    };
    core.commit(op).await?;
    core.know_label(room, label.map(str::to_owned));
    if known.is_some() || label.is_some() {
        tracing::info!(room, label, "The room's label is another now.");
    }
    Ok(())
}

/// Asks the homeserver for the label of a room.
pub(crate) async fn read(core: &Core, home: &dyn Home, room: &str) -> Result<(), DeliveryError> {
    let label = home.label(room).await?;
    let noted = note(core, room, label.as_deref()).await;
    noted.map_err(|error| DeliveryError::retry(error.to_string()))
}

/// Asks for the label of a mirror's room. One that was never read is asked for until it is known or the hub stops; of one that
/// was, changes are told anyway.
pub(crate) async fn learn(core: &Arc<Core>, mirror: &Mirror) {
    let mut backoff = Backoff::new(Duration::from_millis(500), Duration::from_mins(1));
    loop {
        let (Some(home), Some(room)) = (core.home(), core.room_of(&mirror.name)) else {
            return;
        };
        let Err(error) = read(core, &*home, &room).await else {
            return;
        };
        if is_known(core, mirror) {
            tracing::debug!(mirror = %mirror.name, %error, "The room's label could not be read again.");
            return;
        }
        tracing::warn!(mirror = %mirror.name, %error, "The room's label cannot be read yet, so nothing is passed on.");
        tokio::select! {
            () = tokio::time::sleep(backoff.next(None, &*core.entropy)) => {}
            () = core.stop.cancelled() => return,
        }
    }
}

/// A room was replaced: unless the new one says otherwise, its label stays.
pub(crate) async fn inherit(core: &Core, before: &str, room: &str) -> Result<(), StoreError> {
    let said = match core.home() {
        Some(home) => home.label(room).await.ok().flatten(),
        None => None,
    };
    let label = said.or_else(|| core.label_of(before).flatten());
    note(core, room, label.as_deref()).await
}
