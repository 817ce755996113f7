//! Calls: with a token of our own, at the pace allowed, answered with JSON or an error of a known class.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use futures_util::StreamExt;
use reqwest::{Method, Response, StatusCode};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use serde_json::{Value, json};
use sha1::{Digest, Sha1};
use tokio::sync::Mutex;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use url::Url;
use viaduct_bridge::secret::Secret;
use viaduct_model::{Clock, Entropy};

use super::error::CallError;
use super::hosts::Hosts;
use super::json;
use super::pace::{self, Pacer, Rate};
use crate::config::{Addresses, Credential, Limits, Section};
use crate::telemetry;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long making a connection may take.
const CONNECT: Duration = Duration::from_secs(10);
/// The largest answer, in bytes.
const ANSWER: usize = 16 * 1024 * 1024;
/// How long before its end a token is exchanged.
const EARLY: Duration = Duration::from_mins(5);
/// How long is waited where Microsoft does not say how long.
const UNTOLD: Duration = Duration::from_secs(5);
/// The longest wait that is obeyed.
const LONGEST: Duration = Duration::from_hours(1);

/// Whose token a call carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Audience {
    /// The connector.
    Connector,
    /// Graph.
    Graph,
}

#[derive(Default)]
struct Held {
    token: Option<(Secret, Instant)>,
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
    tenant: String,
    app_id: String,
    credential: Credential,
    clock: Arc<dyn Clock>,
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
pub fn client(proxy: Option<&str>, ca_file: Option<&Path>) -> Result<reqwest::Client, String> {
    let mut builder = reqwest::Client::builder()
        .connect_timeout(CONNECT)
        .read_timeout(PATIENCE)
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy();
    if let Some(proxy) = proxy {
        builder = builder.proxy(reqwest::Proxy::all(proxy).map_err(|error| format!("proxy: {error}"))?);
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
fn retry_after(response: &Response) -> Option<Duration> {
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
        Ok(Self {
            http: client(section.proxy.as_deref(), section.ca_file.as_deref())?,
            hosts: Hosts::new(&addresses),
            addresses,
            limits: section.limits.clone(),
            pacer: Pacer::default(),
            tenant: section.tenant.clone(),
            app_id: section.app_id.clone(),
            credential: section.credential().map_err(|error| error.to_string())?,
            clock,
            entropy,
            stop,
            connector: Mutex::default(),
            graph: Mutex::default(),
        })
    }

    fn held(&self, audience: Audience) -> &Mutex<Held> {
        match audience {
            Audience::Connector => &self.connector,
            Audience::Graph => &self.graph,
        }
    }

    /// A token of our own, from memory or new.
    ///
    /// # Errors
    ///
    /// [`CallError`]; that Microsoft refuses the credentials is status 401.
    pub async fn token(&self, audience: Audience) -> Result<Secret, CallError> {
        let mut held = self.held(audience).lock().await;
        if let Some((token, until)) = &held.token
            && *until > Instant::now()
        {
            return Ok(token.clone());
        }
        let scope = match audience {
            Audience::Connector => self.addresses.scope.clone(),
            Audience::Graph => format!("{}.default", self.addresses.graph),
        };
        let path = format!("{}/oauth2/v2.0/token", self.tenant);
        let url = self
            .addresses
            .login
            .join(&path)
            .map_err(|error| CallError::Unsent(error.to_string()))?;
        let mut form = vec![
            ("grant_type", "client_credentials".to_owned()),
            ("client_id", self.app_id.clone()),
            ("scope", scope),
        ];
        match &self.credential {
            Credential::Secret(secret) => form.push(("client_secret", secret.reveal().to_owned())),
            Credential::Certificate(pem) => {
                let refused = |code: String| CallError::Refused { status: 401, code };
                let assertion = self.assertion(pem, &url).map_err(refused)?;
                form.push((
                    "client_assertion_type",
                    "urn:ietf:params:oauth:client-assertion-type:jwt-bearer".to_owned(),
                ));
                form.push(("client_assertion", assertion));
            }
        }
        let sent = self.http.post(url).form(&form).timeout(PATIENCE).send().await;
        // Asking for a token has no effect: without an answer nothing was done.
        let passing = |reason: String| CallError::Unsent(format!("the login: {reason}"));
        let response = sent.map_err(|error| passing(error.without_url().to_string()))?;
        let status = response.status();
        if status == StatusCode::TOO_MANY_REQUESTS {
            return Err(CallError::Limited(retry_after(&response).unwrap_or(UNTOLD)));
        }
        let bytes = body(response, ANSWER).await.map_err(passing)?;
        let answer: Value = serde_json::from_slice(&bytes).unwrap_or_default();
        if status.is_server_error() {
            return Err(passing(format!("status {status}")));
        }
        let Some(token) = json::text(&answer, &["access_token"]).filter(|_| status.is_success()) else {
            let code = json::text(&answer, &["error"]).unwrap_or("without a token");
            return Err(CallError::Refused {
                status: 401,
                code: format!("the login answers {code}"),
            });
        };
        let seconds = answer
            .get("expires_in")
            .and_then(Value::as_u64)
            .unwrap_or(3600)
            .min(86_400);
        let kept = Duration::from_secs(seconds);
        let until = Instant::now() + kept.saturating_sub(EARLY).max(kept / 2);
        let token = Secret::new(token);
        held.token = Some((token.clone(), until));
        Ok(token)
    }

    /// Says who we are, signed with the certificate's key (RFC 7523).
    fn assertion(&self, pem: &Secret, url: &Url) -> Result<String, String> {
        let bytes = pem.reveal().as_bytes();
        let certificate = CertificateDer::from_pem_slice(bytes)
            .map_err(|_| "there is no certificate in certificate_file".to_owned())?;
        let key = PrivatePkcs8KeyDer::from_pem_slice(bytes)
            .map_err(|_| "there is no PKCS #8 key in certificate_file".to_owned())?;
        let pair = RsaKeyPair::from_pkcs8(key.secret_pkcs8_der()).map_err(|_| "the key is no RSA key".to_owned())?;
        let now = self.clock.now().as_millis() / 1000;
        let mut id = [0; 16];
        self.entropy.fill(&mut id);
        let thumbprint = URL_SAFE_NO_PAD.encode(Sha1::digest(&certificate));
        let header = json!({"alg": "RS256", "typ": "JWT", "x5t": thumbprint});
        let claims = json!({"aud": url.as_str(), "iss": self.app_id, "sub": self.app_id, "nbf": now.saturating_sub(60),
                            "exp": now + 540, "jti": URL_SAFE_NO_PAD.encode(id)});
        let text = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let message = format!("{}.{}", text(&header), text(&claims));
        let mut signature = vec![0; pair.public_modulus_len()];
        pair.sign(
            &RSA_PKCS1_SHA256,
            &SystemRandom::new(),
            message.as_bytes(),
            &mut signature,
        )
        .map_err(|_| "the key does not sign".to_owned())?;
        Ok(format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }

    /// Forgets a token that was refused.
    async fn forget(&self, audience: Audience, token: &Secret) {
        let mut held = self.held(audience).lock().await;
        if held.token.as_ref().is_some_and(|(known, _)| known == token) {
            held.token = None;
        }
    }

    /// Waits for the turn of a key and of the tenant.
    async fn turn(&self, key: &str, rates: &[Rate]) -> Result<(), CallError> {
        let wait = async {
            self.pacer.turn(key, rates).await;
            self.pacer.turn("tenant", &pace::tenant(&self.limits)).await;
        };
        tokio::select! {
            () = wait => Ok(()),
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
        audience: Audience,
        method: Method,
        url: Url,
        content: Option<&Value>,
        (key, rates): (&str, &[Rate]),
    ) -> Result<Value, CallError> {
        let allowed = match audience {
            Audience::Connector => self.hosts.is_service(&url),
            Audience::Graph => self.hosts.is_graph(&url),
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
            self.turn(key, rates).await?;
            let token = self.token(audience).await?;
            let mut request = self
                .http
                .request(method.clone(), url.clone())
                .bearer_auth(token.reveal());
            if let Some(content) = content {
                request = request.json(content);
            }
            let sent = tokio::time::timeout(PATIENCE, request.send()).await;
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

    /// Fetches bytes as a stream; the caller has checked the host.
    ///
    /// # Errors
    ///
    /// [`CallError`].
    pub async fn get(&self, url: Url, audience: Option<Audience>) -> Result<Response, CallError> {
        let mut request = self.http.get(url);
        if let Some(audience) = audience {
            request = request.bearer_auth(self.token(audience).await?.reveal());
        }
        request.send().await.map_err(unsent)
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
