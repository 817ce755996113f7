//! Events as signed HTTP requests.

use std::fmt::Write as _;
use std::sync::Weak;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use hmac::{Hmac, Mac as _};
use serde_json::{Value, json};
use sha2::Sha256;
use tokio::sync::mpsc::UnboundedReceiver;

use super::{Delivery, Event};
use crate::launch::http_client;
use crate::slack::ids::now_micros;

/// Where an app takes events.
#[derive(Debug, Clone)]
pub(in crate::slack) struct Endpoint {
    pub(in crate::slack) url: String,
    pub(in crate::slack) secret: String,
    /// Seconds by which the signed time is wrong.
    pub(in crate::slack) skew: i64,
}

impl Endpoint {
    /// A signed request.
    fn request(&self, client: &reqwest::Client, body: String) -> reqwest::RequestBuilder {
        let now = i64::try_from(now_micros() / 1_000_000).unwrap_or_default() + self.skew;
        client
            .post(&self.url)
            .header("content-type", "application/json")
            .header("user-agent", "Slackbot 1.0 (+https://api.slack.com/robots)")
            .header("x-slack-request-timestamp", now.to_string())
            .header("x-slack-signature", signature(&self.secret, now, body.as_bytes()))
            .body(body)
    }
}

/// The value of `X-Slack-Signature` for a body sent at `timestamp` (seconds).
pub(in crate::slack) fn signature(secret: &str, timestamp: i64, body: &[u8]) -> String {
    // A key of any length will do.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.as_bytes()) else {
        return String::new();
    };
    mac.update(format!("v0:{timestamp}:").as_bytes());
    mac.update(body);
    let mut text = "v0=".to_owned();
    for byte in mac.finalize().into_bytes() {
        write!(text, "{byte:02x}").unwrap_or_default();
    }
    text
}

/// Asks an address whether it is the app's, as Slack does when it is entered.
pub(in crate::slack) async fn verify(endpoint: &Endpoint, token: &str) -> anyhow::Result<()> {
    let challenge = "3eZbrw1aBm2rZgRNFdxV2595E9CY3gmdALWMmHkvFXO7tYXAYM8P";
    let body = json!({ "token": token, "challenge": challenge, "type": "url_verification" }).to_string();
    let response = endpoint.request(&http_client()?, body).send().await?;
    ensure!(
        response.status() == 200,
        "{} answered the challenge with {}",
        endpoint.url,
        response.status()
    );
    let text = response.text().await?;
    let echoed = serde_json::from_str::<Value>(&text)
        .ok()
        .and_then(|value| Some(value.get("challenge")?.as_str()?.to_owned()));
    ensure!(
        echoed.as_deref().unwrap_or(text.trim()) == challenge,
        "{} did not echo the challenge, but said: {text}",
        endpoint.url
    );
    Ok(())
}

/// Posts events one after another, until the app has another way. A retry waits elsewhere and holds up nothing.
pub(super) async fn run(delivery: Weak<Delivery>, endpoint: Endpoint, mut events: UnboundedReceiver<Event>) {
    let Ok(client) = http_client().context("an HTTP client") else {
        return;
    };
    while let Some(event) = events.recv().await {
        let Some(patience) = delivery.upgrade().map(|delivery| delivery.lock().patience.ack) else {
            return;
        };
        let outcome = post(&client, &endpoint, &event, patience).await;
        let Some(delivery) = delivery.upgrade() else { return };
        delivery.posted(event, outcome);
    }
}

/// Why it failed; none where the app wants no retry.
async fn post(
    client: &reqwest::Client,
    endpoint: &Endpoint,
    event: &Event,
    patience: Duration,
) -> Result<(), Option<&'static str>> {
    let mut request = endpoint.request(client, event.payload.to_string()).timeout(patience);
    if event.attempt > 0 {
        request = request
            .header("x-slack-retry-num", event.attempt)
            .header("x-slack-retry-reason", event.reason);
    }
    match request.send().await {
        Ok(response) if response.status().is_success() => Ok(()),
        Ok(response)
            if response
                .headers()
                .get("x-slack-no-retry")
                .is_some_and(|value| value == "1") =>
        {
            Err(None)
        }
        Ok(_) => Err(Some("http_error")),
        Err(error) if error.is_timeout() => Err(Some("http_timeout")),
        Err(error) if error.is_connect() => Err(Some("connection_failed")),
        Err(_) => Err(Some("unknown_error")),
    }
}

#[cfg(test)]
mod tests {
    use super::signature;

    #[test]
    fn the_signature_is_that_of_the_official_library() {
        let body = b"token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J";
        // What slack_sdk.signature.SignatureVerifier gives for the same.
        assert_eq!(
            signature("8f742231b10e8888abcd99yyyzzz85a5", 1_531_420_618, body),
            "v0=bca5eef5dd737ed259b428b18cd24f679baa18c3fc5f1cb2a6ac9f03e717969a"
        );
    }
}
