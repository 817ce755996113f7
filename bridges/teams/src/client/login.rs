//! Tokens of our own: as the app, shown by its secret or certificate (RFC 6749, 4.4; RFC 7523), or in a person's name by what
//! they gave us (RFC 6749, 6).

use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::StatusCode;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use serde_json::{Value, json};
use sha1::{Digest, Sha1};
use tokio::time::Instant;
use url::Url;
use viaduct_bridge::secret::Secret;
use viaduct_model::{Clock, Entropy};

use super::error::CallError;
use super::json;
use super::wire::{ANSWER, PATIENCE, UNTOLD, body, retry_after};
use crate::config::{Credential, Section};

/// How long before its end a token is exchanged.
const EARLY: Duration = Duration::from_mins(5);

/// By what a token is asked for.
#[derive(Debug, Clone, Copy)]
pub enum Grant<'a> {
    /// The app's own right.
    Own,
    /// A person's refresh token.
    Refresh(&'a Secret),
}

/// A token that was granted.
#[derive(Debug, Clone)]
pub struct Granted {
    token: Secret,
    life: Duration,
    /// The refresh token that takes the place of the one that was used.
    pub refresh: Option<Secret>,
}

/// A token, until its time is nearly over.
#[derive(Debug, Default)]
pub struct Held(Option<(Secret, Instant)>);

impl Held {
    /// The token, if it is still good.
    pub fn current(&self) -> Option<Secret> {
        let (token, until) = self.0.as_ref()?;
        (*until > Instant::now()).then(|| token.clone())
    }

    /// Keeps a token that was granted, and gives it.
    pub fn keep(&mut self, granted: &Granted) -> Secret {
        let until = Instant::now() + granted.life.saturating_sub(EARLY).max(granted.life / 2);
        self.0 = Some((granted.token.clone(), until));
        granted.token.clone()
    }

    /// Forgets a token that was refused.
    pub fn forget(&mut self, token: &Secret) {
        self.0.take_if(|(known, _)| known == token);
    }
}

/// The login of one tenant, as one app uses it.
pub struct Login {
    http: reqwest::Client,
    url: Url,
    app_id: String,
    credential: Credential,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
}

impl Login {
    /// The login at `address`, which ends in a slash.
    ///
    /// # Errors
    ///
    /// That the tenant makes no address.
    pub fn new(
        http: reqwest::Client,
        address: &Url,
        section: &Section,
        credential: Credential,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Self, String> {
        let url = address.join(&format!("{}/oauth2/v2.0/token", section.tenant));
        Ok(Self {
            http,
            url: url.map_err(|error| error.to_string())?,
            app_id: section.app_id.clone(),
            credential,
            clock,
            entropy,
        })
    }

    /// Chance, for what is sealed.
    pub fn entropy(&self) -> &dyn Entropy {
        &*self.entropy
    }

    /// Asks for a token. Asking has no effect that shows: without an answer nothing was done.
    ///
    /// # Errors
    ///
    /// [`CallError`]; that Microsoft refuses what we show is status 401.
    pub async fn ask(&self, grant: Grant<'_>, scope: &str) -> Result<Granted, CallError> {
        let mut form = vec![("client_id", self.app_id.clone()), ("scope", scope.to_owned())];
        match grant {
            Grant::Own => form.push(("grant_type", "client_credentials".to_owned())),
            Grant::Refresh(token) => {
                form.push(("grant_type", "refresh_token".to_owned()));
                form.push(("refresh_token", token.reveal().to_owned()));
            }
        }
        match &self.credential {
            Credential::Secret(secret) => form.push(("client_secret", secret.reveal().to_owned())),
            Credential::Certificate(pem) => {
                let refused = |code: String| CallError::Refused { status: 401, code };
                let assertion = self.assertion(pem).map_err(refused)?;
                form.push((
                    "client_assertion_type",
                    "urn:ietf:params:oauth:client-assertion-type:jwt-bearer".to_owned(),
                ));
                form.push(("client_assertion", assertion));
            }
        }
        let request = self.http.post(self.url.clone()).form(&form).timeout(PATIENCE);
        let passing = |reason: String| CallError::Unsent(format!("the login: {reason}"));
        let response = request
            .send()
            .await
            .map_err(|error| passing(error.without_url().to_string()))?;
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
        let seconds = answer.get("expires_in").and_then(Value::as_u64).unwrap_or(3600);
        Ok(Granted {
            token: Secret::new(token),
            life: Duration::from_secs(seconds.min(86_400)),
            refresh: json::text(&answer, &["refresh_token"]).map(Secret::new),
        })
    }

    /// Says who we are, signed with the certificate's key (RFC 7523).
    fn assertion(&self, pem: &Secret) -> Result<String, String> {
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
        let claims = json!({"aud": self.url.as_str(), "iss": self.app_id, "sub": self.app_id, "nbf": now.saturating_sub(60),
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
}
