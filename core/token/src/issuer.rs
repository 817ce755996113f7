//! Where the keys come from: the issuer's own description (`OpenID` Connect Discovery 1.0), asked for now and then.

use std::sync::Arc;
use std::time::Duration;

use reqwest::header::HeaderMap;
use reqwest::redirect::Policy;
use reqwest::{Certificate, Client, RequestBuilder, StatusCode};
use serde_json::Value;
use tokio::sync::Mutex;
use tokio::time::Instant;
use url::Url;
use viaduct_model::Timestamp;
use viaduct_model::link::is_here;

use crate::check::{Expected, Refusal, check, claimed};
use crate::keys::KeySet;

/// How long keys are taken as they are.
pub const FRESH: Duration = Duration::from_hours(1);
/// How long keys are used while the issuer cannot be asked for newer ones.
pub const KEPT: Duration = Duration::from_hours(24);
/// How much time is between two attempts to ask the issuer, at least: whoever sends nonsense must not make us ask all the time.
pub const PAUSE: Duration = Duration::from_secs(10);
/// The largest answer, in bytes.
const ANSWER: usize = 1024 * 1024;
/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Why a token was not believed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unchecked {
    /// It is not to be believed.
    #[error(transparent)]
    Refused(Refusal),
    /// The keys cannot be had; nothing is known about the token.
    #[error("the keys of the tokens' issuer cannot be had: {0}")]
    NoKeys(String),
}

/// What an issuer said of itself, and when.
#[derive(Default)]
struct Held {
    metadata: Arc<Value>,
    keys: Arc<KeySet>,
    fetched: Option<Instant>,
    tried: Option<Instant>,
}

impl Held {
    fn is_younger(&self, than: Duration) -> bool {
        self.fetched.is_some_and(|at| at.elapsed() < than)
    }

    /// Whether the issuer was asked a moment ago.
    fn is_pausing(&self) -> bool {
        self.tried.is_some_and(|at| at.elapsed() < PAUSE)
    }
}

/// An issuer of tokens, and its keys as far as they are known.
pub struct Issuer {
    http: Client,
    address: Url,
    /// Who the description has to be of, if that is known.
    name: Option<String>,
    held: Mutex<Held>,
}

impl Issuer {
    /// An issuer that describes itself at this address; nothing is asked yet. With a `name`, a description of another issuer is
    /// refused.
    pub fn new(http: Client, address: Url, name: Option<String>) -> Self {
        Self {
            http,
            address,
            name,
            held: Mutex::default(),
        }
    }

    /// An issuer of this name, which describes itself below it (`OpenID` Connect Discovery 1.0 §4).
    ///
    /// # Errors
    ///
    /// If the name is no address, or one to which tokens would travel in the clear.
    pub fn named(http: Client, name: &str) -> Result<Self, String> {
        let address = format!("{}/.well-known/openid-configuration", name.trim_end_matches('/'));
        let address = Url::parse(&address).map_err(|error| format!("{name} is not an address: {error}"))?;
        if !is_private(&address) {
            return Err(format!("{name} does not begin with https://"));
        }
        Ok(Self::new(http, address, Some(name.to_owned())))
    }

    /// Checks a token with the keys that are known, and once more with new ones where it names another.
    ///
    /// # Errors
    ///
    /// [`Unchecked`].
    pub async fn check(&self, token: &str, expected: &Expected, now: Timestamp) -> Result<Value, Unchecked> {
        // What cannot be a token at all makes nobody ask the issuer.
        let claimed = claimed(token).map_err(Unchecked::Refused)?;
        if !expected.algorithms.contains(&claimed.algorithm) {
            return Err(Unchecked::Refused(Refusal::Algorithm));
        }
        let keys = self.keys().await.map_err(Unchecked::NoKeys)?;
        match check(token, &keys, expected, now) {
            Err(Refusal::UnknownKey) => {}
            other => return other.map_err(Unchecked::Refused),
        }
        let keys = self.renewed(&keys).await;
        check(token, &keys, expected, now).map_err(Unchecked::Refused)
    }

    /// The keys, unless they are old; nobody is asked.
    pub async fn fresh(&self) -> Option<Arc<KeySet>> {
        let held = self.held.lock().await;
        held.is_younger(FRESH).then(|| Arc::clone(&held.keys))
    }

    /// The keys, fetched where they are old.
    ///
    /// # Errors
    ///
    /// Why there are none.
    pub async fn keys(&self) -> Result<Arc<KeySet>, String> {
        Ok(Arc::clone(&self.known().await?.1))
    }

    /// What the issuer says of itself, such as where people log in.
    ///
    /// # Errors
    ///
    /// Why it is not known.
    pub async fn metadata(&self) -> Result<Arc<Value>, String> {
        Ok(Arc::clone(&self.known().await?.0))
    }

    async fn known(&self) -> Result<(Arc<Value>, Arc<KeySet>), String> {
        let mut held = self.held.lock().await;
        let usable = held.is_younger(KEPT);
        if !held.is_younger(FRESH) {
            if held.is_pausing() && !usable {
                return Err("they could not be fetched a moment ago".to_owned());
            }
            if !held.is_pausing()
                && let Err(reason) = self.fetch(&mut held).await
            {
                // Keys of a while ago are better than none.
                if !usable {
                    return Err(reason);
                }
                tracing::warn!(reason, issuer = %self.address, "The keys of the tokens' issuer could not be renewed.");
            }
        }
        Ok((Arc::clone(&held.metadata), Arc::clone(&held.keys)))
    }

    /// Newer keys than these, if there are some and it is not too early to ask.
    pub async fn renewed(&self, known: &Arc<KeySet>) -> Arc<KeySet> {
        let mut held = self.held.lock().await;
        if Arc::ptr_eq(&held.keys, known)
            && !held.is_pausing()
            && let Err(reason) = self.fetch(&mut held).await
        {
            tracing::warn!(reason, issuer = %self.address, "The keys of the tokens' issuer could not be renewed.");
        }
        Arc::clone(&held.keys)
    }

    async fn fetch(&self, held: &mut Held) -> Result<(), String> {
        // Before, as whoever waits may go away; and after, as an issuer that hangs may take longer than the pause.
        held.tried = Some(Instant::now());
        let told = self.ask().await;
        held.tried = Some(Instant::now());
        let (metadata, keys) = told?;
        held.metadata = Arc::new(metadata);
        held.keys = Arc::new(keys);
        held.fetched = Some(Instant::now());
        Ok(())
    }

    /// Asks the issuer for its description and its keys.
    async fn ask(&self) -> Result<(Value, KeySet), String> {
        let metadata = self.get(self.address.clone()).await?;
        let text = |name: &str| metadata.get(name).and_then(Value::as_str);
        if self.name.is_some() && self.name.as_deref() != text("issuer") {
            return Err("what it says of itself is about another issuer".to_owned());
        }
        let address = text("jwks_uri").and_then(|text| Url::parse(text).ok());
        let address = address.filter(is_private).ok_or("it does not say where its keys are")?;
        let keys = KeySet::read(&self.get(address).await?);
        if keys.is_empty() {
            return Err("there are no keys where it says".to_owned());
        }
        Ok((metadata, keys))
    }

    async fn get(&self, url: Url) -> Result<Value, String> {
        let host = url.host_str().unwrap_or_default().to_owned();
        let (status, _, body) = answer(self.http.get(url)).await?;
        if !status.is_success() {
            return Err(format!("{host} answers {status}"));
        }
        serde_json::from_slice(&body).map_err(|_| format!("{host} answers with something else than JSON"))
    }
}

/// Asks, and reads the answer up to a bound.
pub(crate) async fn answer(request: RequestBuilder) -> Result<(StatusCode, HeaderMap, Vec<u8>), String> {
    let response = request.timeout(PATIENCE).send().await;
    let mut response = response.map_err(|error| told(&error))?;
    let mut body = Vec::new();
    while let Some(piece) = response.chunk().await.map_err(|error| told(&error))? {
        if body.len() + piece.len() > ANSWER {
            return Err(format!("the answer is larger than {ANSWER} bytes"));
        }
        body.extend_from_slice(&piece);
    }
    Ok((response.status(), response.headers().clone(), body))
}

/// What went wrong, with the host, but without the rest of the address.
fn told(error: &reqwest::Error) -> String {
    let host = error.url().and_then(Url::host_str).unwrap_or_default();
    let reason = std::error::Error::source(error).map_or_else(|| error.to_string(), ToString::to_string);
    format!("{host}: {reason}")
}

/// Whether what is sent to an address cannot be read on the way: over TLS, or within this machine.
pub fn is_private(url: &Url) -> bool {
    match url.scheme() {
        "https" => url.has_host(),
        "http" => url.host_str().is_some_and(is_here),
        _ => false,
    }
}

/// A client for asking an issuer: it follows nobody elsewhere. `roots` are certificates (PEM) to trust beside the system's.
///
/// # Errors
///
/// If the certificates are none, or there is no encryption to be had.
pub fn client(roots: Option<&[u8]>) -> Result<Client, reqwest::Error> {
    let mut builder = Client::builder().redirect(Policy::none()).timeout(PATIENCE);
    if let Some(pem) = roots {
        builder = builder.tls_certs_merge(Certificate::from_pem_bundle(pem)?);
    }
    builder.build()
}
