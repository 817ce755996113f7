//! The keys of inbound tokens: found by the metadata of `OpenID`, kept for a day, and fetched anew when a token names a key that is
//! not known, but never often: whoever sends nonsense must not make us ask Microsoft.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::sync::Mutex;
use tokio::time::Instant;
use url::Url;

use super::json;
use super::token::{Checked, Expected, KeySet, Refusal, claimed};
use crate::config::is_private;
use viaduct_model::Timestamp;

/// How long keys are good for.
const KEPT: Duration = Duration::from_hours(24);
/// How much time is between two fetches at least.
const PAUSE: Duration = Duration::from_secs(10);
/// The largest answer, in bytes.
const ANSWER: usize = 1024 * 1024;

#[derive(Default)]
struct Held {
    keys: Arc<KeySet>,
    fetched: Option<Instant>,
    tried: Option<Instant>,
}

/// Microsoft's keys, and what the tokens that they sign have to say.
pub struct Keys {
    http: reqwest::Client,
    metadata: Url,
    checked: Checked,
    held: Mutex<Held>,
}

/// Why a token was not checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unchecked {
    /// It is not to be believed.
    Refused(Refusal),
    /// The keys cannot be had; nothing is known about the token.
    NoKeys(String),
}

impl Keys {
    /// No keys yet.
    pub fn new(http: reqwest::Client, metadata: Url, expected: Expected) -> Self {
        Self {
            http,
            metadata,
            checked: Checked::new(expected),
            held: Mutex::default(),
        }
    }

    /// What the tokens have to say.
    pub fn expected(&self) -> &Expected {
        &self.checked.expected
    }

    /// Checks a token with the keys that are known, and once more with new ones where it names another.
    ///
    /// # Errors
    ///
    /// [`Unchecked`].
    pub async fn check(&self, token: &str, now: Timestamp) -> Result<Arc<Value>, Unchecked> {
        let keys = if let Some(keys) = self.fresh().await {
            keys
        } else {
            // For what is no token nobody is asked.
            claimed(token).map_err(Unchecked::Refused)?;
            self.current().await.map_err(Unchecked::NoKeys)?
        };
        match self.checked.check(token, &keys, now) {
            Err(Refusal::UnknownKey) => {}
            other => return other.map_err(Unchecked::Refused),
        }
        let keys = self.renewed(&keys).await;
        self.checked.check(token, &keys, now).map_err(Unchecked::Refused)
    }

    /// The keys, if there are some that are not old.
    async fn fresh(&self) -> Option<Arc<KeySet>> {
        let held = self.held.lock().await;
        let fetched = held.fetched.filter(|at| at.elapsed() < KEPT);
        fetched.map(|_| Arc::clone(&held.keys))
    }

    /// The keys, fetched where they are old.
    pub async fn current(&self) -> Result<Arc<KeySet>, String> {
        let mut held = self.held.lock().await;
        let fresh = held.fetched.is_some_and(|at| at.elapsed() < KEPT);
        let tried = held.tried.is_some_and(|at| at.elapsed() < PAUSE);
        if fresh || (tried && !held.keys.is_empty()) {
            return Ok(Arc::clone(&held.keys));
        }
        if tried {
            return Err("the keys could not be fetched a moment ago".to_owned());
        }
        held.tried = Some(Instant::now());
        match self.fetch().await {
            Ok(keys) => {
                held.keys = Arc::new(keys);
                held.fetched = Some(Instant::now());
                Ok(Arc::clone(&held.keys))
            }
            // Old keys are better than none.
            Err(_) if !held.keys.is_empty() => Ok(Arc::clone(&held.keys)),
            Err(reason) => Err(reason),
        }
    }

    /// Newer keys than these, if there are some and it is not too early to ask.
    async fn renewed(&self, known: &Arc<KeySet>) -> Arc<KeySet> {
        let mut held = self.held.lock().await;
        if !Arc::ptr_eq(&held.keys, known) || held.tried.is_some_and(|at| at.elapsed() < PAUSE) {
            return Arc::clone(&held.keys);
        }
        held.tried = Some(Instant::now());
        match self.fetch().await {
            Ok(keys) => {
                held.keys = Arc::new(keys);
                held.fetched = Some(Instant::now());
            }
            Err(reason) => tracing::warn!(reason, "The keys of Microsoft's tokens could not be renewed."),
        }
        Arc::clone(&held.keys)
    }

    async fn fetch(&self) -> Result<KeySet, String> {
        let metadata = self.get(self.metadata.clone()).await?;
        let address = json::text(&metadata, &["jwks_uri"]).and_then(|text| Url::parse(text).ok());
        let address = address.filter(is_private).ok_or("the OpenID metadata names no keys")?;
        let keys = KeySet::read(&self.get(address).await?);
        if keys.is_empty() {
            return Err("there are no keys where the OpenID metadata says".to_owned());
        }
        Ok(keys)
    }

    async fn get(&self, url: Url) -> Result<Value, String> {
        let host = url.host_str().unwrap_or_default().to_owned();
        let response = self.http.get(url).send().await;
        let response = response.map_err(|error| format!("{host}: {}", error.without_url()))?;
        if !response.status().is_success() {
            return Err(format!("{host} answers {}", response.status()));
        }
        let body = super::wire::body(response, ANSWER)
            .await
            .map_err(|reason| format!("{host}: {reason}"))?;
        serde_json::from_slice(&body).map_err(|_| format!("{host} answers with something else than JSON"))
    }
}
