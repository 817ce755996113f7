//! What `doctor` asks about encryption.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::put;
use serde_json::json;
use tokio::sync::Notify;
use viaduct_bridge::Probe;
use viaduct_model::Timestamp;

use crate::HomeserverConfig;
use crate::client::{Api, As, segment};
use crate::config::Encryption;
use crate::convert::raw::KeyChanges;

/// How long a message to the bot's device may take to come back.
const PATIENCE: Duration = Duration::from_secs(10);

/// Hears in the hub's stead whether the homeserver tells about devices. What it is told it does not acknowledge: the hub is
/// told again.
pub(crate) fn listening(heard: Arc<Notify>) -> Router {
    let transaction = async |State(heard): State<Arc<Notify>>, body: axum::body::Bytes| {
        let keys: Option<KeyChanges<'_>> = serde_json::from_slice(&body).ok();
        if keys.is_some_and(|keys| keys.to_device().next().is_some()) {
            heard.notify_one();
        }
        StatusCode::SERVICE_UNAVAILABLE
    };
    Router::new()
        .route("/_matrix/app/v1/transactions/{id}", put(transaction))
        .with_state(heard)
}

/// Whether the bot can have its device, and (where somebody listens) hears what is sent to it.
pub(crate) async fn examine(
    api: &Api,
    config: &HomeserverConfig,
    wanted: &Encryption,
    (heard, now): (Option<&Notify>, Timestamp),
) -> Vec<Probe> {
    let (bot, device) = (config.bot_id(), wanted.device.as_str());
    let path = format!("/_matrix/client/v3/devices/{}", segment(device));
    let made = api
        .put(&path, As::user(&bot), &json!({ "display_name": "viaduct" }))
        .await;
    if let Err(error) = made {
        let fix = "let the homeserver load the registration file again (`viaduct registration`; `io.element.msc4190` in it) and \
                   restart it";
        return vec![Probe::error(
            "encryption",
            format!("the bot cannot have a device: {error}"),
            fix,
        )];
    }
    let mut probes = vec![Probe::ok("encryption", format!("the bot has its device {device}"))];
    probes.extend(match heard {
        Some(heard) => Some(hears(api, &bot, device, (heard, now)).await),
        None => None,
    });
    probes
}

async fn hears(api: &Api, bot: &str, device: &str, (heard, now): (&Notify, Timestamp)) -> Probe {
    let subject = "encryption: keys";
    let path = format!(
        "/_matrix/client/v3/sendToDevice/m.dummy/probe-{}?device_id={}",
        now.as_millis(),
        segment(device)
    );
    let body = json!({ "messages": { bot: { device: {} } } });
    if let Err(error) = api.put(&path, As::user(bot), &body).await {
        return Probe::warning(subject, error.to_string(), "look at the homeserver's log");
    }
    match tokio::time::timeout(PATIENCE, heard.notified()).await {
        Ok(()) => Probe::ok(subject, "the homeserver hands on what is sent to the bot's device"),
        Err(_) => Probe::warning(
            subject,
            "the homeserver has not handed on what was sent to the bot's device; it may have other things for us first",
            "if it stays so, let homeserver.yaml have msc2409_to_device_messages_enabled and msc3202_transaction_extensions under \
             experimental_features, and the loaded registration receive_ephemeral and org.matrix.msc3202",
        ),
    }
}
