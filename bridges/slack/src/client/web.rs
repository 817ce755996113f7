//! HTTP under `slack-morphism`'s Web API client.
//!
//! The library builds requests and names methods; how they get to Slack is here: one client with the operator's proxy and
//! certificates, answers with a bound, tokens for Slack's hosts only, and errors that say whether something may have been done.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use reqwest::{RequestBuilder, Response, StatusCode};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use slack_morphism::errors::{
    SlackClientApiError, SlackClientError, SlackClientHttpError, SlackClientHttpProtocolError,
    SlackClientProtocolError, SlackRateLimitError,
};
use slack_morphism::multipart_form::FileMultipartData;
use slack_morphism::{
    ClientResult, SlackApiTokenType, SlackClientApiCallContext, SlackClientHttpApiUri, SlackClientHttpConnector,
    SlackClientId, SlackClientSecret,
};
use url::Url;

use super::error::CallError;
use super::hosts::Hosts;

/// The largest answer that is read, in bytes.
const ANSWER: usize = 32 * 1024 * 1024;
/// The longest wait that is believed.
const LONGEST_WAIT: Duration = Duration::from_hours(1);

/// Carries calls to Slack.
#[derive(Debug)]
pub struct Connector {
    http: reqwest::Client,
    base: Url,
    hosts: Hosts,
    /// What the bot's token may do, as Slack last said.
    scopes: Mutex<Option<String>>,
}

/// What every answer begins with.
#[derive(Debug, Deserialize)]
struct Envelope {
    #[serde(default)]
    ok: bool,
    #[serde(default)]
    error: Option<String>,
    #[serde(default)]
    needed: Option<String>,
}

impl Connector {
    /// Carries calls to this base address, which ends in a slash.
    pub fn new(http: reqwest::Client, base: Url) -> Self {
        Self {
            http,
            hosts: Hosts::new(base.clone()),
            base,
            scopes: Mutex::default(),
        }
    }

    /// What the bot's token may do, as far as Slack has said.
    pub fn scopes(&self) -> Option<Vec<String>> {
        let scopes = self.scopes.lock().unwrap_or_else(PoisonError::into_inner);
        let list = scopes.as_ref()?;
        Some(list.split(',').map(|scope| scope.trim().to_owned()).collect())
    }

    async fn run<RS: DeserializeOwned>(
        &self,
        url: &Url,
        request: RequestBuilder,
        context: &SlackClientApiCallContext<'_>,
    ) -> ClientResult<RS> {
        let request = match context.token {
            Some(_) if !self.hosts.may_have_token(url) => {
                return Err(carried(CallError::Refused {
                    code: "host_not_allowed".to_owned(),
                    needed: None,
                }));
            }
            Some(token) => request.bearer_auth(&token.token_value.0),
            None => request,
        };
        let response = request.send().await.map_err(|error| carried(unsent(&error)))?;
        let is_bot = context
            .token
            .is_some_and(|token| token.token_type == Some(SlackApiTokenType::Bot));
        if is_bot
            && let Some(scopes) = response.headers().get("x-oauth-scopes")
            && let Ok(scopes) = scopes.to_str()
        {
            *self.scopes.lock().unwrap_or_else(PoisonError::into_inner) = Some(scopes.to_owned());
        }
        answer(response).await
    }
}

fn carried(error: CallError) -> SlackClientError {
    SlackClientError::HttpProtocolError(SlackClientHttpProtocolError::new().with_cause(Box::new(error)))
}

/// Whether a request that failed may have reached Slack.
pub fn unsent(error: &reqwest::Error) -> CallError {
    // Only the kind and the innermost cause: addresses may hold secrets.
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    let reason = if error.is_timeout() {
        "it took too long".to_owned()
    } else {
        cause.to_string()
    };
    if error.is_connect() || error.is_builder() {
        CallError::Unsent(reason)
    } else {
        CallError::Unknown(reason)
    }
}

/// How long an answer asks to wait.
pub fn retry_after(response: &Response) -> Duration {
    let seconds = response
        .headers()
        .get("retry-after")
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.trim().parse().ok());
    Duration::from_secs(seconds.unwrap_or(30)).clamp(Duration::from_millis(500), LONGEST_WAIT)
}

fn limited(wait: Duration) -> SlackClientError {
    let mut error = SlackRateLimitError::new();
    error.retry_after = Some(wait);
    SlackClientError::RateLimitError(error)
}

async fn answer<RS: DeserializeOwned>(mut response: Response) -> ClientResult<RS> {
    let status = response.status();
    if status == StatusCode::TOO_MANY_REQUESTS {
        return Err(limited(retry_after(&response)));
    }
    let wait = retry_after(&response);
    let mut body = Vec::new();
    while let Some(piece) = response.chunk().await.map_err(|error| carried(unsent_answer(&error)))? {
        if body.len() + piece.len() > ANSWER {
            return Err(carried(CallError::Unknown("it is too large".to_owned())));
        }
        body.extend_from_slice(&piece);
    }
    if status.is_server_error() || status.is_client_error() {
        return Err(SlackClientError::HttpError(SlackClientHttpError::new(status)));
    }
    let unreadable = |error| SlackClientError::ProtocolError(SlackClientProtocolError::new(error));
    let envelope: Envelope = serde_json::from_slice(&body).map_err(unreadable)?;
    if envelope.ok {
        return serde_json::from_slice(&body).map_err(unreadable);
    }
    let code = envelope.error.unwrap_or_else(|| "unknown_error".to_owned());
    if code == "ratelimited" || code == "rate_limited" {
        return Err(limited(wait));
    }
    let mut error = SlackClientApiError::new(code.chars().take(100).collect());
    error.http_response_body = envelope.needed;
    Err(SlackClientError::ApiError(error))
}

/// The answer broke off: what was asked for may have been done.
fn unsent_answer(error: &reqwest::Error) -> CallError {
    match unsent(error) {
        CallError::Unsent(reason) => CallError::Unknown(reason),
        other => other,
    }
}

fn not_used<'a, RS: Send + 'a>() -> BoxFuture<'a, ClientResult<RS>> {
    std::future::ready(Err(carried(CallError::Refused {
        code: "not_used_here".to_owned(),
        needed: None,
    })))
    .boxed()
}

impl SlackClientHttpConnector for Connector {
    fn http_get_uri<'a, RS>(
        &'a self,
        full_uri: Url,
        context: SlackClientApiCallContext<'a>,
    ) -> BoxFuture<'a, ClientResult<RS>>
    where
        RS: for<'de> Deserialize<'de> + Send + 'a,
    {
        async move {
            let request = self.http.get(full_uri.clone());
            self.run(&full_uri, request, &context).await
        }
        .boxed()
    }

    fn http_get_with_client_secret<'a, RS>(
        &'a self,
        _full_uri: Url,
        _client_id: &'a SlackClientId,
        _client_secret: &'a SlackClientSecret,
    ) -> BoxFuture<'a, ClientResult<RS>>
    where
        RS: for<'de> Deserialize<'de> + Send + 'a,
    {
        not_used()
    }

    fn http_post_uri<'a, RQ, RS>(
        &'a self,
        full_uri: Url,
        request_body: &'a RQ,
        context: SlackClientApiCallContext<'a>,
    ) -> BoxFuture<'a, ClientResult<RS>>
    where
        RQ: Serialize + Send + Sync,
        RS: for<'de> Deserialize<'de> + Send + 'a,
    {
        let body = serde_json::to_vec(request_body);
        async move {
            let body = body.map_err(|error| carried(CallError::Unsent(error.to_string())))?;
            let request = self
                .http
                .post(full_uri.clone())
                .header("content-type", "application/json; charset=utf-8")
                .body(body);
            self.run(&full_uri, request, &context).await
        }
        .boxed()
    }

    fn http_post_uri_multipart_form<'a, 'p, RS, PT, TS>(
        &'a self,
        _full_uri: Url,
        _file: Option<FileMultipartData<'p>>,
        _params: &'p PT,
        _context: SlackClientApiCallContext<'a>,
    ) -> BoxFuture<'a, ClientResult<RS>>
    where
        RS: for<'de> Deserialize<'de> + Send + 'a,
        PT: IntoIterator<Item = (&'p str, Option<TS>)> + Clone,
        TS: AsRef<str> + 'p + Send,
    {
        not_used()
    }

    fn http_post_uri_binary<'a, 'p, RS>(
        &'a self,
        _full_uri: Url,
        _content_type: String,
        _data: &'a [u8],
        _context: SlackClientApiCallContext<'a>,
    ) -> BoxFuture<'a, ClientResult<RS>>
    where
        RS: for<'de> Deserialize<'de> + Send + 'a,
    {
        // Files are streamed instead, see `files`.
        not_used()
    }

    fn create_method_uri_path(&self, method_relative_uri: &str) -> ClientResult<Url> {
        match self.base.join(method_relative_uri) {
            Ok(url) => Ok(url),
            Err(_) => Ok(SlackClientHttpApiUri::create_method_uri_path(method_relative_uri).parse()?),
        }
    }
}
