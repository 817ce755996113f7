//! Requests to the homeserver's client API, as the bot or a ghost.

use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, DATE, RETRY_AFTER};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, PercentEncode, utf8_percent_encode};
use reqwest::Response;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::time::Instant;
use viaduct_model::Timestamp;

use crate::error::{ApiError, HomeserverError};
use crate::{HomeserverConfig, metric};

/// How long a homeserver may take for one answer. Joins over federation take long.
const ANSWER_TIMEOUT: Duration = Duration::from_mins(2);
/// How long a connection may take to come about.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// The largest JSON answer read, in bytes.
const ANSWER_BOUND: usize = 16 * 1024 * 1024;
/// The longest wait taken from an answer.
const WAIT_BOUND: Duration = Duration::from_mins(10);

/// What stays as it is in a path segment or query value.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A text made fit for one path segment or query value.
pub(crate) fn segment(text: &str) -> PercentEncode<'_> {
    utf8_percent_encode(text, SEGMENT)
}

/// The homeserver's client API.
#[derive(Debug, Clone)]
pub(crate) struct Api {
    http: reqwest::Client,
    base: String,
    authorization: HeaderValue,
}

/// On whose behalf, and as of when, a request is made.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct As<'a> {
    /// A ghost; none means the bot.
    pub(crate) user: Option<&'a str>,
    /// When it is to have happened.
    pub(crate) at: Option<Timestamp>,
}

impl<'a> As<'a> {
    /// As the bot.
    pub(crate) const BOT: As<'static> = As { user: None, at: None };

    /// As a ghost.
    pub(crate) fn user(user: &'a str) -> Self {
        Self {
            user: Some(user),
            at: None,
        }
    }

    /// As of then.
    pub(crate) fn at(mut self, at: Timestamp) -> Self {
        self.at = Some(at);
        self
    }
}

impl Api {
    pub(crate) fn new(config: &HomeserverConfig) -> Result<Self, HomeserverError> {
        let bad_url = || HomeserverError::Url(config.url.clone());
        let url = url::Url::parse(&config.url).map_err(|_| bad_url())?;
        if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
            return Err(bad_url());
        }
        let token = config.as_token.reveal();
        let mut authorization =
            HeaderValue::from_str(&format!("Bearer {token}")).map_err(|_| HomeserverError::Token)?;
        if token.is_empty() {
            return Err(HomeserverError::Token);
        }
        authorization.set_sensitive(true);
        let mut http = reqwest::Client::builder();
        for certificate in authorities(config)? {
            http = http.tls_certs_merge([certificate]);
        }
        let http = http
            .http1_only()
            .no_gzip()
            .tcp_nodelay(true)
            .connect_timeout(CONNECT_TIMEOUT)
            .pool_idle_timeout(Duration::from_secs(55))
            // Redirects could lead the token elsewhere; a homeserver does not redirect its client API.
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("viaduct/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| HomeserverError::Client(error.to_string()))?;
        Ok(Self {
            http,
            base: config.url.trim_end_matches('/').to_owned(),
            authorization,
        })
    }

    /// A request that is not sent yet. `path` begins with a slash and is percent-encoded.
    pub(crate) fn request(&self, method: Method, path: &str, who: As<'_>) -> reqwest::RequestBuilder {
        let mut url = String::with_capacity(self.base.len() + path.len() + 80);
        url.push_str(&self.base);
        url.push_str(path);
        let mut mark = if path.contains('?') { '&' } else { '?' };
        if let Some(user) = who.user {
            url.push(mark);
            url.push_str("user_id=");
            url.extend(segment(user));
            mark = '&';
        }
        if let Some(at) = who.at {
            url.push(mark);
            url.push_str("ts=");
            url.push_str(&at.as_millis().to_string());
        }
        self.http
            .request(method, url)
            .header(AUTHORIZATION, self.authorization.clone())
    }

    /// Sends a request and checks the answer's status.
    pub(crate) async fn send(&self, request: reqwest::RequestBuilder) -> Result<Response, ApiError> {
        let since = Instant::now();
        let response = match request.send().await {
            Ok(response) => response,
            Err(error) => {
                metric::request("unreachable", since);
                return Err(unreachable(error));
            }
        };
        if response.status().is_success() {
            metric::request("ok", since);
            return Ok(response);
        }
        let error = refusal(response).await;
        metric::request(class(&error), since);
        Err(error)
    }

    /// Sends a request with a JSON body and reads the JSON answer.
    pub(crate) async fn call<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        who: As<'_>,
        body: Option<&Value>,
    ) -> Result<T, ApiError> {
        let mut request = self.request(method, path, who).timeout(ANSWER_TIMEOUT);
        if let Some(body) = body {
            request = request
                .header(CONTENT_TYPE, HeaderValue::from_static("application/json"))
                .body(body.to_string());
        }
        let response = self.send(request).await?;
        let answer = bounded(response).await?;
        serde_json::from_slice(&answer).map_err(|error| ApiError::Answer(error.to_string()))
    }

    /// Reads something.
    pub(crate) async fn get<T: DeserializeOwned>(&self, path: &str, who: As<'_>) -> Result<T, ApiError> {
        self.call(Method::GET, path, who, None).await
    }

    /// Asks for something to be done, by `POST`.
    pub(crate) async fn post(&self, path: &str, who: As<'_>, body: &Value) -> Result<Value, ApiError> {
        self.call(Method::POST, path, who, Some(body)).await
    }

    /// Asks for something to be so, by `PUT`.
    pub(crate) async fn put(&self, path: &str, who: As<'_>, body: &Value) -> Result<Value, ApiError> {
        self.call(Method::PUT, path, who, Some(body)).await
    }

    /// Sends a room event with a transaction id: repeated, it has no second effect. Gives the event's id.
    pub(crate) async fn send_event(
        &self,
        room: &str,
        kind: &str,
        transaction: &str,
        who: As<'_>,
        content: &Value,
    ) -> Result<String, ApiError> {
        #[derive(Deserialize)]
        struct Sent {
            event_id: String,
        }
        let path = format!(
            "/_matrix/client/v3/rooms/{}/send/{}/{}",
            segment(room),
            segment(kind),
            segment(transaction)
        );
        self.call::<Sent>(Method::PUT, &path, who, Some(content))
            .await
            .map(|sent| sent.event_id)
    }

    /// A piece of a room's state.
    pub(crate) async fn state(&self, room: &str, kind: &str, key: &str, who: As<'_>) -> Result<Value, ApiError> {
        self.get(&state_path(room, kind, key), who).await
    }

    /// Sets a piece of a room's state.
    pub(crate) async fn set_state(
        &self,
        room: &str,
        kind: &str,
        key: &str,
        who: As<'_>,
        content: &Value,
    ) -> Result<Value, ApiError> {
        self.put(&state_path(room, kind, key), who, content).await
    }

    /// The homeserver's clock, from an unauthenticated answer's `Date` header, as it wrote it.
    pub(crate) async fn date(&self) -> Result<Option<String>, ApiError> {
        let request = self
            .http
            .get(format!("{}/_matrix/client/versions", self.base))
            .timeout(CONNECT_TIMEOUT);
        let response = self.send(request).await?;
        Ok(response
            .headers()
            .get(DATE)
            .and_then(|value| value.to_str().ok())
            .map(str::to_owned))
    }
}

fn state_path(room: &str, kind: &str, key: &str) -> String {
    format!(
        "/_matrix/client/v3/rooms/{}/state/{}/{}",
        segment(room),
        segment(kind),
        segment(key)
    )
}

fn unreachable(error: reqwest::Error) -> ApiError {
    let what = if error.is_timeout() {
        "it did not answer in time"
    } else if error.is_connect() {
        "no connection"
    } else {
        "the connection broke"
    };
    // Without the URL: it tells user ids and room ids.
    let detail = std::error::Error::source(&error.without_url())
        .map(ToString::to_string)
        .unwrap_or_default();
    ApiError::Unreachable(if detail.is_empty() {
        what.to_owned()
    } else {
        format!("{what} ({detail})")
    })
}

fn class(error: &ApiError) -> &'static str {
    match error {
        ApiError::Unreachable(_) => "unreachable",
        ApiError::Limited(_) => "limited",
        ApiError::Trouble { .. } => "trouble",
        ApiError::Refused { .. } => "refused",
        ApiError::Answer(_) => "not_understood",
        // Neither comes from an answer.
        ApiError::Keys(_) | ApiError::Unfit(_) => "not_sent",
    }
}

/// The body of an answer, up to a bound.
async fn bounded(mut response: Response) -> Result<Bytes, ApiError> {
    let known = response
        .content_length()
        .and_then(|length| usize::try_from(length).ok())
        .unwrap_or_default();
    if known > ANSWER_BOUND {
        return Err(ApiError::Answer("it is too long".to_owned()));
    }
    let mut body = Vec::with_capacity(known);
    while let Some(piece) = response.chunk().await.map_err(unreachable)? {
        if body.len() + piece.len() > ANSWER_BOUND {
            return Err(ApiError::Answer("it is too long".to_owned()));
        }
        body.extend_from_slice(&piece);
    }
    Ok(body.into())
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ErrorBody {
    errcode: String,
    error: String,
    retry_after_ms: Option<u64>,
}

/// What an unsuccessful answer means.
async fn refusal(response: Response) -> ApiError {
    let status = response.status();
    let headers = response.headers().clone();
    let body = bounded(response).await.unwrap_or_default();
    classify(status, &headers, &body)
}

fn classify(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> ApiError {
    let parsed: ErrorBody = serde_json::from_slice(body).unwrap_or_default();
    let wait = parsed
        .retry_after_ms
        .map(Duration::from_millis)
        .or_else(|| {
            headers
                .get(RETRY_AFTER)?
                .to_str()
                .ok()?
                .trim()
                .parse()
                .ok()
                .map(Duration::from_secs)
        })
        .map(|wait| wait.min(WAIT_BOUND));
    let number = status.as_u16();
    if number == 429 || parsed.errcode == "M_LIMIT_EXCEEDED" {
        return ApiError::Limited(wait);
    }
    // An answer without an error code is not the homeserver's own but a proxy's: that passes.
    if status.is_server_error() || number == 408 || (parsed.errcode.is_empty() && number != 413) {
        return ApiError::Trouble { status: number, wait };
    }
    let message = parsed.error.chars().filter(|c| !c.is_control()).take(200).collect();
    ApiError::Refused {
        status: number,
        code: parsed.errcode,
        message,
    }
}

/// The certificates of the configured file.
fn authorities(config: &HomeserverConfig) -> Result<Vec<reqwest::Certificate>, HomeserverError> {
    let Some(path) = &config.ca_file else {
        return Ok(Vec::new());
    };
    let told = |reason: String| HomeserverError::Client(format!("{}: {reason}", path.display()));
    let pem = std::fs::read(path).map_err(|error| told(error.to_string()))?;
    reqwest::Certificate::from_pem_bundle(&pem).map_err(|error| told(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_classified() {
        let headers = HeaderMap::new();
        let mut later = HeaderMap::new();
        later.insert(RETRY_AFTER, HeaderValue::from_static("7"));
        let see = |status: u16, headers: &HeaderMap, body: &str| {
            classify(StatusCode::from_u16(status).unwrap(), headers, body.as_bytes())
        };
        assert_eq!(
            see(429, &later, r#"{"errcode":"M_LIMIT_EXCEEDED","retry_after_ms":1500}"#),
            ApiError::Limited(Some(Duration::from_millis(1500)))
        );
        assert_eq!(see(429, &later, ""), ApiError::Limited(Some(Duration::from_secs(7))));
        assert_eq!(
            see(503, &later, "<html>"),
            ApiError::Trouble {
                status: 503,
                wait: Some(Duration::from_secs(7))
            }
        );
        assert_eq!(
            see(404, &headers, "<html>"),
            ApiError::Trouble {
                status: 404,
                wait: None
            }
        );
        assert!(see(403, &headers, r#"{"errcode":"M_FORBIDDEN","error":"no"}"#).is("M_FORBIDDEN"));
        assert!(see(401, &headers, r#"{"errcode":"M_UNKNOWN_TOKEN"}"#).is_token());
    }

    #[test]
    fn segments_cannot_leave_their_place() {
        assert_eq!(segment("!a/../b?c#d:ü").to_string(), "%21a%2F..%2Fb%3Fc%23d%3A%C3%BC");
    }
}
