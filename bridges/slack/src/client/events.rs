//! Signed HTTP events: a listener that believes only what carries the app's signature, and answers when the hub has it.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use hmac::{Hmac, Mac};
use sha2::Sha256;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use viaduct_bridge::secret::Secret;
use viaduct_model::{Clock, Timestamp};

use super::payload::Callback;
use super::socket::{Ack, Arrival, Incoming};
use crate::telemetry;

/// The largest request, in bytes.
const REQUEST: usize = 4 * 1024 * 1024;
/// How far a request's time may be from ours, in seconds.
const SKEW: u64 = 300;
/// Slack waits three seconds for an answer.
const PATIENCE: Duration = Duration::from_millis(2800);

/// What the listener needs.
#[derive(Clone)]
pub struct Door {
    /// The app's signing secret.
    pub secret: Secret,
    /// Where events go.
    pub incoming: mpsc::Sender<Arrival>,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

/// Whether a request carries the app's signature and is of now. Compares in constant time.
pub fn is_signed(secret: &Secret, timestamp: &str, body: &[u8], signature: &str, now: Timestamp) -> bool {
    let Ok(at) = timestamp.parse::<u64>() else { return false };
    if (now.as_millis() / 1000).abs_diff(at) > SKEW {
        return false;
    }
    let Some(digits) = signature.strip_prefix("v0=") else {
        return false;
    };
    let Some(given) = bytes_of(digits) else { return false };
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.reveal().as_bytes()) else {
        return false;
    };
    mac.update(b"v0:");
    mac.update(timestamp.as_bytes());
    mac.update(b":");
    mac.update(body);
    mac.verify_slice(&given).is_ok()
}

fn bytes_of(digits: &str) -> Option<Vec<u8>> {
    let digits = digits.as_bytes();
    if digits.len() != 64 {
        return None;
    }
    digits
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
        .collect()
}

/// Serves the events' address until the end.
///
/// # Errors
///
/// Why it can no longer be served.
pub async fn serve(listener: TcpListener, path: &str, door: Door, stop: CancellationToken) -> Result<(), String> {
    let app = Router::new()
        .route(path, post(take))
        .layer(DefaultBodyLimit::max(REQUEST))
        .with_state(door);
    axum::serve(listener, app)
        .with_graceful_shutdown(stop.cancelled_owned())
        .await
        .map_err(|error| format!("the events' address: {error}"))
}

async fn take(State(door): State<Door>, headers: HeaderMap, body: Bytes) -> Response {
    let header = |name: &str| {
        headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    };
    let (timestamp, signature) = (header("x-slack-request-timestamp"), header("x-slack-signature"));
    if !is_signed(&door.secret, timestamp, &body, signature, door.clock.now()) {
        telemetry::bad_signature();
        return StatusCode::UNAUTHORIZED.into_response();
    }
    let Ok(raw) = std::str::from_utf8(&body) else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    let callback: Option<Box<Callback>> = serde_json::from_str(raw).ok().map(Box::new);
    if let Some(callback) = &callback
        && callback.kind == "url_verification"
    {
        return callback.challenge.clone().unwrap_or_default().into_response();
    }
    telemetry::event(headers.contains_key("x-slack-retry-num"));
    let (done, stored) = oneshot::channel();
    let incoming = Incoming {
        callback,
        raw: raw.into(),
        ack: Ack::Request(done),
        way: 0,
    };
    let work = async {
        door.incoming.send(Arrival::Event(incoming)).await.ok()?;
        stored.await.ok()
    };
    match tokio::time::timeout(PATIENCE, work).await {
        Ok(Some(())) => StatusCode::OK.into_response(),
        // Slack tries again; by then it is stored, or it is read anew.
        _ => StatusCode::SERVICE_UNAVAILABLE.into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_fresh_requests_with_the_right_signature_are_believed() {
        let secret = Secret::new("8f742231b10e8888abcd99yyyzzz85a5");
        let body = b"token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&\
channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&\
response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&\
trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c";
        let signature = "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503";
        let at = Timestamp::from_secs(1_531_420_618);
        assert!(is_signed(&secret, "1531420618", body, signature, at));
        assert!(is_signed(
            &secret,
            "1531420618",
            body,
            signature,
            at.plus_millis(299_000)
        ));
        assert!(!is_signed(
            &secret,
            "1531420618",
            body,
            signature,
            at.plus_millis(302_000)
        ));
        assert!(!is_signed(&secret, "1531420619", body, signature, at));
        assert!(!is_signed(&secret, "1531420618", b"x", signature, at));
        assert!(!is_signed(&secret, "1531420618", body, "v0=é", at));
        assert!(!is_signed(&Secret::new("other"), "1531420618", body, signature, at));
    }
}
