//! How people log in at an issuer: the authorization code flow (`OpenID` Connect Core 1.0 §3.1) with a proof key (RFC 7636).

use std::fmt;
use std::pin::Pin;

use oauth2::basic::{
    BasicErrorResponse, BasicRevocationErrorResponse, BasicTokenIntrospectionResponse, BasicTokenType,
};
use oauth2::{
    AsyncHttpClient, AuthType, AuthUrl, AuthorizationCode, ClientId, ClientSecret, CsrfToken, ExtraTokenFields,
    HttpRequest, HttpResponse, PkceCodeChallenge, PkceCodeVerifier, RedirectUrl, RequestTokenError, Scope,
    StandardRevocableToken, StandardTokenResponse, TokenUrl,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use url::Url;
use viaduct_model::Secret;

use crate::check::Refusal;
use crate::issuer::{answer, is_private};

/// What is asked for: who they are. What they may do follows from claims that the issuer puts into its id tokens.
const SCOPES: [&str; 3] = ["openid", "profile", "email"];
/// The longest code, in bytes.
const CODE: usize = 4096;

/// Why a login came to nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LoginError {
    /// The issuer does not say where people log in, or says an address at which they could be overheard.
    #[error("the identity provider does not say where people log in ({0})")]
    Nowhere(&'static str),
    /// It does not take the code.
    #[error("the identity provider does not take the login: {0}")]
    Refused(String),
    /// It cannot be asked.
    #[error("the identity provider does not answer: {0}")]
    Away(String),
    /// It says nothing about who somebody is.
    #[error("the identity provider gives no id token")]
    NoToken,
}

/// What one login has to bring back. All three are secrets of whoever asks, each from at least 256 bits of chance.
#[derive(Clone, PartialEq, Eq)]
pub struct Attempt {
    /// Comes back with the code.
    pub state: String,
    /// Comes back in the id token.
    pub nonce: String,
    /// Proves that whoever brings the code is who asked for it: 43 to 128 of the characters that RFC 7636 §4.1 allows.
    pub verifier: String,
}

impl fmt::Debug for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Attempt(..)")
    }
}

/// Who asks an issuer to log people in.
#[derive(Debug, Clone)]
pub struct Client {
    http: reqwest::Client,
    id: String,
    secret: Option<Secret>,
    back: Url,
}

/// The one field of an answer that tells who somebody is.
#[derive(Debug, Serialize, Deserialize)]
struct IdToken {
    id_token: Option<String>,
}

impl ExtraTokenFields for IdToken {}

type Flow = oauth2::Client<
    BasicErrorResponse,
    StandardTokenResponse<IdToken, BasicTokenType>,
    BasicTokenIntrospectionResponse,
    StandardRevocableToken,
    BasicRevocationErrorResponse,
>;

impl Client {
    /// The client of this id, to which people are sent back at `back`. One without a secret is public (RFC 6749 §2.1): then the
    /// proof key alone shows who asks.
    pub fn new(http: reqwest::Client, id: impl Into<String>, secret: Option<Secret>, back: Url) -> Self {
        Self {
            http,
            id: id.into(),
            secret,
            back,
        }
    }

    /// Its id: the audience of its id tokens.
    pub fn id(&self) -> &str {
        &self.id
    }

    fn flow(&self, metadata: &Value) -> Flow {
        let flow = Flow::new(ClientId::new(self.id.clone()))
            .set_redirect_uri(RedirectUrl::from_url(self.back.clone()))
            .set_auth_type(how(metadata));
        match &self.secret {
            Some(secret) => flow.set_client_secret(ClientSecret::new(secret.reveal().to_owned())),
            None => flow,
        }
    }

    /// Where to send somebody, by what the issuer says of itself.
    ///
    /// # Errors
    ///
    /// [`LoginError::Nowhere`], or [`LoginError::Refused`] for a verifier that RFC 7636 does not allow.
    pub fn question(&self, metadata: &Value, attempt: &Attempt) -> Result<Url, LoginError> {
        let address = AuthUrl::from_url(endpoint(metadata, "authorization_endpoint")?);
        if !(43..=128).contains(&attempt.verifier.len()) {
            return Err(LoginError::Refused("the proof key is too short or too long".to_owned()));
        }
        let verifier = PkceCodeVerifier::new(attempt.verifier.clone());
        let flow = self.flow(metadata).set_auth_uri(address);
        let (url, _) = flow
            .authorize_url(|| CsrfToken::new(attempt.state.clone()))
            .add_scopes(SCOPES.map(|scope| Scope::new(scope.to_owned())))
            .add_extra_param("nonce", attempt.nonce.clone())
            .set_pkce_challenge(PkceCodeChallenge::from_code_verifier_sha256(&verifier))
            .url();
        Ok(url)
    }

    /// The id token for a code. Nothing of it is checked yet: that is [`Issuer::check`](crate::Issuer::check)'s, and then
    /// [`is_answer`]'s.
    ///
    /// # Errors
    ///
    /// [`LoginError`].
    pub async fn id_token(&self, metadata: &Value, code: &str, attempt: &Attempt) -> Result<String, LoginError> {
        if code.is_empty() || code.len() > CODE {
            return Err(LoginError::Refused("there is no code".to_owned()));
        }
        let address = TokenUrl::from_url(endpoint(metadata, "token_endpoint")?);
        let wire = Wire(self.http.clone());
        let given = self
            .flow(metadata)
            .set_token_uri(address)
            .exchange_code(AuthorizationCode::new(code.to_owned()))
            .set_pkce_verifier(PkceCodeVerifier::new(attempt.verifier.clone()))
            .request_async(&wire)
            .await;
        let given = given.map_err(|error| match error {
            RequestTokenError::ServerResponse(told) => LoginError::Refused(told.error().to_string()),
            RequestTokenError::Request(Unsent(reason)) => LoginError::Away(reason),
            RequestTokenError::Parse(_, _) | RequestTokenError::Other(_) => {
                LoginError::Away("its answer cannot be read".to_owned())
            }
        })?;
        given.extra_fields().id_token.clone().ok_or(LoginError::NoToken)
    }
}

/// Carries what `oauth2` asks over our own HTTP client.
struct Wire(reqwest::Client);

impl<'c> AsyncHttpClient<'c> for Wire {
    type Error = Unsent;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, Unsent>> + Send + 'c>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        let (parts, body) = request.into_parts();
        let request = self.0.request(parts.method, parts.uri.to_string());
        let request = request.headers(parts.headers).body(body);
        Box::pin(async move {
            let (status, headers, body) = answer(request).await.map_err(Unsent)?;
            let mut response = http::Response::new(body);
            *response.status_mut() = status;
            *response.headers_mut() = headers;
            Ok(response)
        })
    }
}

/// Why the issuer could not be asked.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Unsent(String);

/// How the client's secret is shown: in the header, unless the issuer takes it in the form alone.
fn how(metadata: &Value) -> AuthType {
    let known = metadata
        .get("token_endpoint_auth_methods_supported")
        .and_then(Value::as_array);
    let takes = |name: &str| known.is_some_and(|known| known.iter().any(|method| method == name));
    if takes("client_secret_post") && !takes("client_secret_basic") {
        AuthType::RequestBody
    } else {
        AuthType::BasicAuth
    }
}

fn endpoint(metadata: &Value, name: &'static str) -> Result<Url, LoginError> {
    let text = metadata.get(name).and_then(Value::as_str);
    let url = text.and_then(|text| Url::parse(text).ok());
    url.filter(is_private).ok_or(LoginError::Nowhere(name))
}

/// Whether the claims of an id token are the answer to this attempt of this client (`OpenID` Connect Core 1.0 §3.1.3.7).
///
/// # Errors
///
/// [`Refusal::Nonce`], or [`Refusal::Audience`] if it was issued to another client.
pub fn is_answer(claims: &Value, attempt: &Attempt, client: &str) -> Result<(), Refusal> {
    let text = |name: &str| claims.get(name).and_then(Value::as_str);
    if text("nonce") != Some(&attempt.nonce) {
        return Err(Refusal::Nonce);
    }
    match claims.get("azp") {
        None => Ok(()),
        Some(party) if party.as_str() == Some(client) => Ok(()),
        Some(_) => Err(Refusal::Audience),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn attempt() -> Attempt {
        Attempt {
            state: "s".repeat(43),
            nonce: "n".repeat(43),
            verifier: "v".repeat(43),
        }
    }

    fn client() -> Client {
        rustls::crypto::aws_lc_rs::default_provider().install_default().ok();
        let back = Url::parse("https://hub.example.org/console/login/back").unwrap();
        Client::new(crate::client(None).unwrap(), "viaduct", None, back)
    }

    #[test]
    fn the_question_has_state_nonce_and_proof() {
        let metadata = json!({"authorization_endpoint": "https://login.example.org/authorize?realm=staff"});
        let url = client().question(&metadata, &attempt()).unwrap();
        insta::assert_snapshot!(url.as_str().replace('&', "\n&"), @"
        https://login.example.org/authorize?realm=staff
        &response_type=code
        &client_id=viaduct
        &state=sssssssssssssssssssssssssssssssssssssssssss
        &code_challenge=7w_YNF9DSfIdPf_pRjSq646_kPr-2-o9NAl16JGghdM
        &code_challenge_method=S256
        &redirect_uri=https%3A%2F%2Fhub.example.org%2Fconsole%2Flogin%2Fback
        &scope=openid+profile+email
        &nonce=nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn
        ");
        assert!(!url.as_str().contains(&attempt().verifier));
    }

    #[test]
    fn nobody_is_sent_where_they_can_be_overheard() {
        for address in [
            json!("http://login.example.org/"),
            json!("ftp://x"),
            json!(7),
            Value::Null,
        ] {
            let metadata = json!({ "authorization_endpoint": address });
            let nowhere = Err(LoginError::Nowhere("authorization_endpoint"));
            assert_eq!(client().question(&metadata, &attempt()), nowhere);
        }
    }

    #[test]
    fn an_answer_is_to_this_login_of_this_client() {
        let right = json!({"nonce": attempt().nonce, "azp": "viaduct"});
        assert_eq!(is_answer(&right, &attempt(), "viaduct"), Ok(()));
        for (wrong, why) in [
            (json!({"nonce": "other"}), Refusal::Nonce),
            (json!({}), Refusal::Nonce),
            (json!({"nonce": attempt().nonce, "azp": "wiki"}), Refusal::Audience),
            (json!({"nonce": attempt().nonce, "azp": 7}), Refusal::Audience),
        ] {
            assert_eq!(is_answer(&wrong, &attempt(), "viaduct"), Err(why), "{wrong}");
        }
    }
}
