//! The hub that is running with this configuration, reached through its admin API.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use reqwest::{Client, RequestBuilder};
use serde_json::Value;
use viaduct_admin::Order;
use viaduct_config::{Config, SecretSource};
use viaduct_model::Secret;

use crate::trouble::Trouble;

/// How long the hub may take to answer; a retry waits for the network.
const PATIENCE: Duration = Duration::from_mins(2);
/// How long it may take to say that it is there.
const GREETING: Duration = Duration::from_secs(5);

/// The environment variable with the token to show.
const TOKEN: &str = "VIADUCT_ADMIN_TOKEN";

/// The token that a command shows to the hub: a file that was named, else the environment, else what the configuration has.
#[derive(Debug, Clone, Default)]
pub struct Shown(Option<SecretSource>);

impl Shown {
    /// The token in this file, if one is named.
    pub fn new(file: Option<PathBuf>) -> Self {
        let set = || std::env::var_os(TOKEN).filter(|token| !token.is_empty());
        Self(
            file.map(SecretSource::File)
                .or_else(|| set().map(|_| SecretSource::Env(TOKEN.to_owned()))),
        )
    }

    fn of(&self, config: &Config) -> Option<SecretSource> {
        self.0.clone().or_else(|| config.admin.token())
    }
}

/// A hub at work.
pub struct Hub {
    http: Client,
    base: String,
    token: Secret,
}

impl Hub {
    /// The hub that runs with this configuration, if one does.
    ///
    /// # Errors
    ///
    /// If something answers at the admin address, but cannot be talked to.
    pub async fn find(config: &Config, shown: &Shown) -> anyhow::Result<Option<Self>> {
        let base = format!("http://{}", config.admin.listen);
        let http = Client::builder().timeout(PATIENCE).no_proxy().build()?;
        match http.get(format!("{base}/healthz")).timeout(GREETING).send().await {
            Ok(_) => {}
            Err(error) if error.is_connect() => return Ok(None),
            Err(error) => return Err(error).context("the running hub does not answer"),
        }
        let source = shown.of(config).ok_or_else(|| {
            let fix =
                format!("show your own with --token-file or {TOKEN}; an administrator gives it in `admin.people`");
            Trouble::error("there is no token to show to the running hub", "admin", fix)
        })?;
        Ok(Some(Self {
            http,
            base,
            token: source.read().context("the token for the running hub cannot be read")?,
        }))
    }

    /// Asks for something below `/api/v1`.
    ///
    /// # Errors
    ///
    /// If the hub does not answer, or says no.
    pub async fn get(&self, path: &str, query: &[(&str, String)]) -> anyhow::Result<Value> {
        self.answer(self.http.get(format!("{}/api/v1/{path}", self.base)).query(query))
            .await
    }

    /// Has something done below `/api/v1`.
    ///
    /// # Errors
    ///
    /// If the hub does not answer, or says no.
    pub async fn post(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        self.answer(self.http.post(format!("{}/api/v1/{path}", self.base)).json(body))
            .await
    }

    /// Has an order about compliance carried out.
    ///
    /// # Errors
    ///
    /// If the hub does not answer, or says no.
    pub async fn order(&self, order: &Order) -> anyhow::Result<Value> {
        self.post("order", &serde_json::to_value(order)?).await
    }

    /// The answer's JSON, or the error it tells.
    async fn answer(&self, request: RequestBuilder) -> anyhow::Result<Value> {
        let response = request
            .bearer_auth(self.token.reveal())
            .send()
            .await
            .context("the running hub does not answer")?;
        let status = response.status();
        let body: Value = response.json().await.unwrap_or_default();
        if status.is_success() {
            return Ok(body);
        }
        let told = body.get("error").and_then(Value::as_str);
        let what = told.map_or_else(|| format!("the hub answers {status}"), str::to_owned);
        let fix = if status.as_u16() == 401 {
            "show your own token with --token-file or VIADUCT_ADMIN_TOKEN; what was changed in the configuration counts when the \
             hub has read it again (SIGHUP)"
        } else {
            ""
        };
        Err(Trouble::error(what, "", fix))
    }
}
