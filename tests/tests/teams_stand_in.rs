//! The stand-in for Microsoft: what it answers and tells, held against the published description and Microsoft's own
//! library.
#![allow(clippy::unwrap_used, reason = "helpers of tests may fail as tests do")]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::Context as _;
use axum::Router;
use axum::extract::{Query, State};
use axum::routing::post;
use http::HeaderMap;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use viaduct_tests::teams::{Kind, Limits, TeamsStandIn};
use viaduct_tests::wait::wait_until;

mod teams_stand_in {
    mod connector;
    mod described;
    mod feeds;
    mod graph;
    mod login;
    mod official;
    mod persons;
    mod trouble;
}

const BOUND: Duration = Duration::from_secs(20);

fn client() -> anyhow::Result<reqwest::Client> {
    viaduct_tests::launch::install_tls();
    let client = reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none());
    Ok(client.build()?)
}

/// What was heard: headers and body.
type Heard = Arc<Mutex<Vec<(HeaderMap, Value)>>>;

/// A bot that keeps what it hears.
struct Bot {
    url: String,
    heard: Heard,
    serving: JoinHandle<()>,
}

async fn take(
    State(heard): State<Heard>,
    Query(query): Query<std::collections::HashMap<String, String>>,
    headers: HeaderMap,
    body: String,
) -> String {
    if let Some(token) = query.get("validationToken") {
        return token.clone();
    }
    let value = serde_json::from_str(&body).unwrap_or(Value::Null);
    heard.lock().unwrap().push((headers, value));
    String::new()
}

impl Bot {
    async fn start() -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}/api/messages", listener.local_addr()?);
        let heard = Arc::new(Mutex::new(Vec::new()));
        let router = Router::new()
            .route("/api/messages", post(take))
            .with_state(Arc::clone(&heard));
        let serving = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Ok(Self { url, heard, serving })
    }

    fn heard(&self) -> Vec<Value> {
        self.heard
            .lock()
            .unwrap()
            .iter()
            .map(|(_, value)| value.clone())
            .collect()
    }

    fn bearers(&self) -> Vec<String> {
        let bearer = |headers: &HeaderMap| {
            headers
                .get("authorization")
                .map(|value| value.to_str().unwrap().to_owned())
        };
        self.heard
            .lock()
            .unwrap()
            .iter()
            .filter_map(|(headers, _)| bearer(headers))
            .collect()
    }

    fn of(&self, kind: &str) -> Vec<Value> {
        self.heard().into_iter().filter(|value| value["type"] == kind).collect()
    }

    fn texts(&self) -> Vec<String> {
        self.of("message")
            .iter()
            .map(|value| value["text"].as_str().unwrap_or_default().to_owned())
            .collect()
    }

    async fn hears(&self, what: &str, is: impl Fn(&Value) -> bool) -> anyhow::Result<()> {
        wait_until(what, BOUND, || self.heard().iter().any(&is)).await
    }
}

impl Drop for Bot {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// A token as an app gets it.
async fn token(teams: &TeamsStandIn, scope: &str) -> anyhow::Result<String> {
    let app = teams.app();
    let url = format!("{}{}/oauth2/v2.0/token", teams.login_url(), app.tenant);
    let form = [
        ("grant_type", "client_credentials"),
        ("client_id", &app.app_id),
        ("client_secret", &app.secret),
        ("scope", scope),
    ];
    let answer: Value = client()?.post(url).form(&form).send().await?.json().await?;
    Ok(answer["access_token"]
        .as_str()
        .with_context(|| answer.to_string())?
        .to_owned())
}

/// The connector or Graph, and a token for it.
struct Side {
    client: reqwest::Client,
    base: String,
    token: String,
}

impl Side {
    async fn connector(teams: &TeamsStandIn) -> anyhow::Result<Self> {
        Ok(Self {
            client: client()?,
            base: teams.service_url(),
            token: token(teams, "https://api.botframework.com/.default").await?,
        })
    }

    async fn graph(teams: &TeamsStandIn) -> anyhow::Result<Self> {
        Ok(Self {
            client: client()?,
            base: format!("{}v1.0/", teams.graph_url()),
            token: token(teams, "https://graph.microsoft.com/.default").await?,
        })
    }

    async fn call(&self, method: &str, path: &str, body: Value) -> anyhow::Result<(u16, Value)> {
        let url = if path.starts_with("http") {
            path.to_owned()
        } else {
            format!("{}{path}", self.base)
        };
        let mut request = self.client.request(method.parse()?, url).bearer_auth(&self.token);
        if !body.is_null() {
            request = request.json(&body);
        }
        let response = request.send().await?;
        let status = response.status().as_u16();
        let text = response.text().await?;
        Ok((status, serde_json::from_str(&text).unwrap_or(Value::Null)))
    }

    async fn get(&self, path: &str) -> anyhow::Result<Value> {
        let (status, value) = self.call("GET", path, Value::Null).await?;
        anyhow::ensure!(status == 200, "{path}: {status} {value}");
        Ok(value)
    }

    /// Posts a first message into a channel: its id.
    async fn post(&self, teams: &TeamsStandIn, channel: &str, text: &str) -> anyhow::Result<u64> {
        let (status, answer) = self
            .call("POST", "v3/conversations", root(teams, channel, text))
            .await?;
        anyhow::ensure!(status == 201, "{status} {answer}");
        Ok(answer["activityId"].as_str().context("no id")?.parse()?)
    }
}

fn message(text: &str) -> Value {
    json!({ "type": "message", "textFormat": "xml", "text": text })
}

fn root(teams: &TeamsStandIn, channel: &str, text: &str) -> Value {
    let app = teams.app();
    json!({
        "isGroup": true, "tenantId": app.tenant, "bot": { "id": app.bot_id },
        "channelData": { "channel": { "id": channel } }, "activity": message(text),
    })
}

fn encoded(part: &str) -> String {
    percent_encoding::utf8_percent_encode(part, percent_encoding::NON_ALPHANUMERIC).to_string()
}

/// A channel with the app, a person in it, and a bot that listens.
async fn ready() -> anyhow::Result<(TeamsStandIn, Bot, String, String)> {
    let teams = TeamsStandIn::start().await?;
    teams.set_limits(Limits::none());
    let bot = Bot::start().await?;
    teams.set_endpoint(Some(&bot.url));
    let sue = teams.add_user("Sue Miller");
    teams.join(teams.team(), &sue);
    let channel = teams.add_channel("project", Kind::Standard);
    Ok((teams, bot, channel, sue))
}
