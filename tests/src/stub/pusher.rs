//! The homeserver's other part: handing transactions to the hub.

use std::time::Duration;

use anyhow::Context as _;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::launch::http_client;

/// How long between two attempts of the same transaction.
const AGAIN: Duration = Duration::from_millis(50);

/// Hands the hub transactions, one after the other as a homeserver does.
#[derive(Debug)]
pub struct Pusher {
    client: reqwest::Client,
    hub: String,
    token: String,
    next: u64,
    /// Attempts that were not acknowledged.
    pub failures: u64,
}

impl Pusher {
    /// For the hub at `url`, with the token the homeserver shows it.
    ///
    /// # Errors
    ///
    /// When no HTTP client can be made.
    pub fn new(url: &str, token: &str) -> anyhow::Result<Self> {
        Ok(Self {
            client: http_client()?,
            hub: url.to_owned(),
            token: token.to_owned(),
            next: 1,
            failures: 0,
        })
    }

    /// Hands over one transaction of events (each the text of a JSON object), again and again until it is acknowledged.
    ///
    /// # Errors
    ///
    /// When it was not acknowledged within `bound`.
    pub async fn push(&mut self, events: &[String], bound: Duration) -> anyhow::Result<()> {
        let body = format!(r#"{{"events":[{}]}}"#, events.join(","));
        let number = self.next;
        self.next += 1;
        let end = Instant::now() + bound;
        loop {
            match self.attempt(number, body.clone()).await {
                Ok(200) => return Ok(()),
                failed if Instant::now() >= end => {
                    return Err(anyhow::anyhow!(
                        "the hub did not acknowledge transaction {number}: {failed:?}"
                    ));
                }
                _ => self.failures += 1,
            }
            sleep(AGAIN).await;
        }
    }

    /// Hands over one transaction once, with this id and body as they are; gives the status.
    ///
    /// # Errors
    ///
    /// When there was no answer.
    pub async fn attempt(&self, id: impl std::fmt::Display, body: String) -> anyhow::Result<u16> {
        let url = format!("{}/_matrix/app/v1/transactions/{id}", self.hub);
        let request = self
            .client
            .put(url)
            .bearer_auth(&self.token)
            .header("content-type", "application/json");
        let response = request
            .body(body)
            .timeout(Duration::from_mins(1))
            .send()
            .await
            .context("no answer")?;
        let status = response.status().as_u16();
        response.bytes().await?;
        Ok(status)
    }
}

/// A message as a homeserver tells an application service of it, as text.
pub fn message_event(room: &str, id: &str, sender: &str, at: u64, body: &str) -> String {
    let event: Value = json!({
        "type": "m.room.message", "room_id": room, "event_id": id, "sender": sender, "origin_server_ts": at,
        "content": { "msgtype": "m.text", "body": body },
    });
    event.to_string()
}
