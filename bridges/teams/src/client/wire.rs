//! Calls: with a token of our own, at the pace allowed, answered with JSON or an error of a known class.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use reqwest::{Method, Response, StatusCode};
use serde_json::Value;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;
use url::Url;
use viaduct_bridge::secret::Secret;
use viaduct_bridge::{Pacer, Rate, Turn};
use viaduct_model::{Clock, Entropy};

use super::error::CallError;
use super::hosts::Hosts;
use super::json;
use super::login::{Grant, Held, Login};
use super::pace;
use super::person::Person;
use crate::config::{Addresses, Limits, Section};
use crate::telemetry;

/// How long an answer may take.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);
/// How long making a connection may take.
const CONNECT: Duration = Duration::from_secs(10);
/// The largest answer, in bytes.
pub(super) const ANSWER: usize = 16 * 1024 * 1024;
/// How long is waited where Microsoft does not say how long.
pub(super) const UNTOLD: Duration = Duration::from_secs(5);
/// The longest wait that is obeyed.
const LONGEST: Duration = Duration::from_hours(1);

/// For whom a call is, and whose token it carries.
#[derive(Debug, Clone, Copy)]
pub enum Audience<'a> {
    /// The connector, as the bot.
    Connector,
    /// Graph, as the app.
    Graph,
    /// Graph, in a person's name.
    Person(&'a Person),
}

/// The wire to one tenant.
pub struct Wire {
    /// Without any token.
    pub http: reqwest::Client,
    /// Which hosts may be given a token.
    pub hosts: Hosts,
    /// Where everything is.
    pub addresses: Addresses,
    /// How often Microsoft may be called.
    pub limits: Limits,
    /// Remembers when what was called.
    pub pacer: Pacer,
    login: Login,
    entropy: Arc<dyn Entropy>,
    stop: CancellationToken,
    connector: Mutex<Held>,
    graph: Mutex<Held>,
}

/// A client without cookies and redirects, through the proxy where there is one.
///
/// # Errors
///
/// What is wrong with the proxy or the certificates, in the operator's words.
fn client(proxy: Option<&Secret>, ca_file: Option<&Path>) -> Result<reqwest::Client, String> {
    let mut builder = reqwest::Client::builder()
        .connect_timeout(CONNECT)
        .read_timeout(PATIENCE)
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy();
    if let Some(proxy) = proxy {
        builder = builder.proxy(reqwest::Proxy::all(proxy.reveal()).map_err(|error| format!("proxy: {error}"))?);
    }
    if let Some(path) = ca_file {
        let pem = std::fs::read(path).map_err(|error| format!("ca_file: {}: {error}", path.display()))?;
        let found = reqwest::Certificate::from_pem_bundle(&pem).map_err(|error| format!("ca_file: {error}"))?;
        builder = builder.tls_certs_merge(found);
    }
    builder.build().map_err(|error| error.to_string())
}

/// The body of an answer, up to a bound.
///
/// # Errors
///
/// Why there is none.
pub async fn body(response: Response, bound: usize) -> Result<Vec<u8>, String> {
    let mut out = Vec::new();
    let mut stream = response.bytes_stream();
    while let Some(piece) = stream.next().await {
        let piece = piece.map_err(|error| error.without_url().to_string())?;
        if out.len() + piece.len() > bound {
            return Err(format!("the answer is larger than {bound} bytes"));
        }
        out.extend_from_slice(&piece);
    }
    Ok(out)
}

/// What an error of the client means.
pub fn unsent(error: reqwest::Error) -> CallError {
    let error = error.without_url();
    if error.is_connect() || error.is_builder() || error.is_request() && error.is_timeout() && error.is_connect() {
        CallError::Unsent(error.to_string())
    } else {
        CallError::Unknown(error.to_string())
    }
}

/// How long an answer asks to wait.
pub(super) fn retry_after(response: &Response) -> Option<Duration> {
    let seconds: f64 = response
        .headers()
        .get("retry-after")?
        .to_str()
        .ok()?
        .trim()
        .parse()
        .ok()?;
    Duration::try_from_secs_f64(seconds).ok().map(|wait| wait.min(LONGEST))
}

impl Wire {
    /// A wire that has not been used.
    ///
    /// # Errors
    ///
    /// What is wrong with the section, in the operator's words.
    pub fn new(
        section: &Section,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
        stop: CancellationToken,
    ) -> Result<Self, String> {
        let addresses = section
            .addresses()
            .map_err(|key| format!("{key}: it is no address that can be used"))?;
        let http = client(section.proxy.as_ref(), section.ca_file.as_deref())?;
        let credential = section.credential().map_err(|error| error.to_string())?;
        Ok(Self {
            login: Login::new(
                http.clone(),
                &addresses.login,
                section,
                credential,
                clock,
                Arc::clone(&entropy),
            )?,
            http,
            hosts: Hosts::new(&addresses),
            addresses,
            limits: section.limits.clone(),
            pacer: Pacer::default(),
            entropy,
            stop,
            connector: Mutex::default(),
            graph: Mutex::default(),
        })
    }

    /// A token for calls of this kind, from memory or new.
    ///
    /// # Errors
    ///
    /// [`CallError`]; that Microsoft refuses the credentials is status 401.
    pub async fn token(&self, audience: Audience<'_>) -> Result<Secret, CallError> {
        let (held, scope) = match audience {
            Audience::Connector => (&self.connector, self.addresses.scope.clone()),
            Audience::Graph => (&self.graph, format!("{}.default", self.addresses.graph)),
            Audience::Person(person) => return person.token(&self.login, &self.addresses.graph).await,
        };
        let mut held = held.lock().await;
        if let Some(token) = held.current() {
            return Ok(token);
        }
        let granted = self.login.ask(Grant::Own, &scope).await?;
        Ok(held.keep(&granted))
    }

    /// Forgets a token that was refused.
    async fn forget(&self, audience: Audience<'_>, token: &Secret) {
        match audience {
            Audience::Connector => self.connector.lock().await.forget(token),
            Audience::Graph => self.graph.lock().await.forget(token),
            Audience::Person(person) => person.forget(token).await,
        }
    }

    /// Waits for the turn of a key and of the tenant.
    async fn turn(&self, key: &str, rates: &[Rate]) -> Result<Turn, CallError> {
        let tenant = pace::tenant(&self.limits);
        let keys: [(&str, &[Rate]); 2] = [(key, rates), ("tenant", &tenant)];
        tokio::select! {
            turn = self.pacer.turn(&keys) => Ok(turn),
            () = self.stop.cancelled() => Err(CallError::Stopped),
        }
    }

    /// Makes a call at the pace of `key`, once more with a new token where the old one is refused.
    ///
    /// # Errors
    ///
    /// [`CallError`].
    pub async fn call(
        &self,
        audience: Audience<'_>,
        method: Method,
        url: Url,
        content: Option<&Value>,
        (key, rates): (&str, &[Rate]),
    ) -> Result<Value, CallError> {
        let allowed = match audience {
            Audience::Connector => self.hosts.is_service(&url),
            Audience::Graph | Audience::Person(_) => self.hosts.is_graph(&url),
        };
        if !allowed {
            let host = url.host_str().unwrap_or_default().to_owned();
            return Err(CallError::Refused {
                status: 400,
                code: format!("{host} is not one of the configured hosts"),
            });
        }
        let mut first = true;
        loop {
            let token = self.token(audience).await?;
            let turn = self.turn(key, rates).await?;
            let mut request = self
                .http
                .request(method.clone(), url.clone())
                .bearer_auth(token.reveal());
            if let Some(content) = content {
                request = request.json(content);
            }
            let sent = tokio::time::timeout(PATIENCE, request.send()).await;
            drop(turn);
            let result = match sent {
                Ok(Ok(response)) => self.answer(response, key).await,
                Ok(Err(error)) => Err(unsent(error)),
                Err(_) => Err(CallError::Unknown("it took too long".to_owned())),
            };
            match result {
                Err(error) if error.is_auth() && first => {
                    first = false;
                    self.forget(audience, &token).await;
                }
                Err(error) => {
                    telemetry::call_failed(&error);
                    return Err(error);
                }
                ok => return ok,
            }
        }
    }

    async fn answer(&self, response: Response, key: &str) -> Result<Value, CallError> {
        let status = response.status();
        let wait = retry_after(&response);
        if status == StatusCode::TOO_MANY_REQUESTS || (status == StatusCode::SERVICE_UNAVAILABLE && wait.is_some()) {
            let jitter = Duration::from_millis(self.entropy.below(250));
            let wait = wait.unwrap_or(UNTOLD) + jitter;
            self.pacer.block(key, wait);
            return Err(CallError::Limited(wait));
        }
        let bytes = match body(response, ANSWER).await {
            Ok(bytes) => bytes,
            Err(reason) if status.is_success() || status.is_server_error() => return Err(CallError::Unknown(reason)),
            Err(_) => Vec::new(),
        };
        if status.is_server_error() {
            return Err(CallError::Unknown(format!("status {status}")));
        }
        let answer: Value = serde_json::from_slice(&bytes).unwrap_or_default();
        if status.is_success() {
            return Ok(answer);
        }
        let word = json::text(&answer, &["error", "code"]).or_else(|| json::text(&answer, &["error"]));
        let code: String = word
            .unwrap_or_default()
            .chars()
            .filter(|c| !c.is_control())
            .take(80)
            .collect();
        Err(CallError::Refused {
            status: status.as_u16(),
            code,
        })
    }

    /// Fetches bytes as a stream; the caller has checked the host. A token that is refused is not used again.
    ///
    /// # Errors
    ///
    /// [`CallError`].
    pub async fn get(&self, url: Url, audience: Option<Audience<'_>>) -> Result<Response, CallError> {
        let request = self.http.get(url);
        let Some(audience) = audience else {
            return request.send().await.map_err(unsent);
        };
        let token = self.token(audience).await?;
        let response = request.bearer_auth(token.reveal()).send().await.map_err(unsent)?;
        if response.status() == StatusCode::UNAUTHORIZED {
            self.forget(audience, &token).await;
        }
        Ok(response)
    }

    /// Sends a piece of a file to an address of Microsoft's that needs no token.
    ///
    /// # Errors
    ///
    /// [`CallError`].
    pub async fn put_piece(&self, url: Url, range: String, piece: Bytes) -> Result<Value, CallError> {
        let sent = self
            .http
            .put(url)
            .header("content-range", range)
            .body(piece)
            .send()
            .await;
        let response = sent.map_err(unsent)?;
        self.answer(response, "upload").await
    }
}
