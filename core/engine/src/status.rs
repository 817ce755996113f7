//! How everything stands, for `doctor`, the console and the readiness check.

use std::collections::HashMap;
use std::sync::Arc;

use serde::Serialize;
use viaduct_model::NetworkName;

use crate::connection_name;
use crate::core::Core;

/// A snapshot of the hub.
#[derive(Debug, Clone, Serialize)]
pub struct Status {
    /// Whether the homeserver side is connected and no network refuses our credentials.
    pub ready: bool,
    /// The networks, the homeserver among them, by name.
    pub networks: Vec<NetworkStatus>,
    /// The mirrors, by name.
    pub mirrors: Vec<MirrorStatus>,
}

/// How one network stands.
#[derive(Debug, Clone, Serialize)]
pub struct NetworkStatus {
    /// Its name.
    pub name: String,
    /// `connecting`, `up`, `down`, `auth_lost`, or `unopened`.
    pub connection: String,
    /// Why it is not up.
    pub reason: Option<String>,
}

/// How one mirror stands.
#[derive(Debug, Clone, Serialize)]
pub struct MirrorStatus {
    /// Its name.
    pub name: String,
    /// Its Matrix room, if it has one yet.
    pub room: Option<String>,
    /// Events accepted so far.
    pub accepted: u64,
    /// Its ways to its destinations.
    pub lanes: Vec<LaneStatus>,
}

/// How far one lane is.
#[derive(Debug, Clone, Serialize)]
pub struct LaneStatus {
    /// Where it leads, as `network/channel`.
    pub to: String,
    /// The last event settled.
    pub settled: u64,
}

pub(crate) async fn status(core: &Arc<Core>, unopened: &HashMap<NetworkName, String>) -> Status {
    let mut networks: Vec<NetworkStatus> = core
        .sides()
        .iter()
        .map(|side| {
            let (connection, reason) = connection_name(&side.connection.borrow());
            NetworkStatus {
                name: side.name.to_string(),
                connection: connection.to_owned(),
                reason,
            }
        })
        .chain(unopened.iter().map(|(name, reason)| NetworkStatus {
            name: name.to_string(),
            connection: "unopened".to_owned(),
            reason: Some(reason.clone()),
        }))
        .collect();
    networks.sort_by(|a, b| a.name.cmp(&b.name));
    let lanes = core.lanes();
    let mut mirrors = Vec::new();
    for mirror in core.routes().mirrors() {
        let accepted = core.store.last(&mirror.name).await.unwrap_or_default().0;
        let mut own: Vec<LaneStatus> = lanes
            .iter()
            .filter(|handle| handle.lane.mirror == mirror.name)
            .map(|handle| LaneStatus {
                to: handle.lane.to.to_string(),
                settled: handle.settled().unwrap_or_default().0,
            })
            .collect();
        own.sort_by(|a, b| a.to.cmp(&b.to));
        let room = core.room_of(&mirror.name);
        mirrors.push(MirrorStatus {
            name: mirror.name.to_string(),
            room,
            accepted,
            lanes: own,
        });
    }
    mirrors.sort_by(|a, b| a.name.cmp(&b.name));
    let ready = networks.iter().all(|network| {
        network.connection != "auth_lost" && (network.name != NetworkName::MATRIX || network.connection == "up")
    });
    Status {
        ready,
        networks,
        mirrors,
    }
}
