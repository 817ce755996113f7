//! The stand-in for Slack: what it answers and tells, held against the published descriptions and the official client.
#![allow(clippy::unwrap_used, reason = "helpers of tests may fail as tests do")]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::Context as _;
use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::Message;
use viaduct_tests::slack::{Kind, Limits, SlackStandIn};
use viaduct_tests::wait::wait_until;

mod slack_stand_in {
    mod described;
    mod grid;
    mod official;
    mod sockets;
    mod web;
    mod webhook;
}

const BOUND: Duration = Duration::from_secs(20);

/// Calls the Web API with form arguments, as most clients do.
async fn call(slack: &SlackStandIn, token: &str, method: &str, arguments: Value) -> anyhow::Result<Value> {
    let form: Vec<(String, String)> = arguments
        .as_object()
        .into_iter()
        .flatten()
        .map(|(name, value)| {
            (
                name.clone(),
                value.as_str().map_or_else(|| value.to_string(), str::to_owned),
            )
        })
        .collect();
    let url = format!("{}/{method}", slack.api_url());
    let response = client()?.post(url).bearer_auth(token).form(&form).send().await?;
    Ok(response.json().await?)
}

fn client() -> anyhow::Result<reqwest::Client> {
    viaduct_tests::launch::install_tls();
    Ok(reqwest::Client::builder().no_proxy().build()?)
}

/// As the bot.
async fn bot(slack: &SlackStandIn, method: &str, arguments: Value) -> anyhow::Result<Value> {
    call(slack, &slack.app().bot_token, method, arguments).await
}

/// A socket that keeps what it hears.
struct Listener {
    heard: Arc<Mutex<Vec<Value>>>,
    reading: JoinHandle<()>,
}

impl Listener {
    /// Connects and is greeted. Without `acks` it never acknowledges.
    async fn connect(slack: &SlackStandIn, acks: bool) -> anyhow::Result<Self> {
        let opened = call(slack, &slack.app().app_token, "apps.connections.open", json!({})).await?;
        let (mut socket, _) = connect_async(opened["url"].as_str().context("no address")?).await?;
        let heard = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&heard);
        let reading = tokio::spawn(async move {
            while let Some(Ok(message)) = socket.next().await {
                let Message::Text(text) = message else { continue };
                let value: Value = serde_json::from_str(&text).unwrap();
                let ack = value["envelope_id"]
                    .as_str()
                    .map(|id| json!({ "envelope_id": id }).to_string());
                kept.lock().unwrap().push(value);
                if let Some(ack) = ack.filter(|_| acks) {
                    socket.send(Message::text(ack)).await.ok();
                }
            }
        });
        let listener = Self { heard, reading };
        wait_until("the greeting", BOUND, || !listener.heard().is_empty()).await?;
        Ok(listener)
    }

    fn heard(&self) -> Vec<Value> {
        self.heard.lock().unwrap().clone()
    }

    /// The envelopes of events.
    fn envelopes(&self) -> Vec<Value> {
        self.heard()
            .into_iter()
            .filter(|value| value["type"] == "events_api")
            .collect()
    }

    fn texts(&self) -> Vec<String> {
        let text = |value: &Value| value["payload"]["event"]["text"].as_str().map(str::to_owned);
        self.envelopes().iter().filter_map(text).collect()
    }

    async fn hears(&self, what: &str, is: impl Fn(&Value) -> bool) -> anyhow::Result<()> {
        wait_until(what, BOUND, || self.heard().iter().any(&is)).await
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.reading.abort();
    }
}

/// A channel with the bot and somebody in it.
async fn ready() -> anyhow::Result<(SlackStandIn, String, String)> {
    let slack = SlackStandIn::start().await?;
    slack.set_limits(Limits::none());
    let channel = slack.add_channel("project", Kind::Public);
    let sue = slack.add_user("sue");
    slack.join(&channel, &slack.app().bot_user);
    slack.join(&channel, &sue);
    Ok((slack, channel, sue))
}
