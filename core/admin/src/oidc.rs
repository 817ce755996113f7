//! The organisation's identity provider: whose token it is, and what their groups may do.

use std::collections::BTreeMap;

use serde_json::Value;
use url::Url;
use viaduct_model::Timestamp;
use viaduct_token::{Algorithm, Attempt, Client, Expected, Issuer, LoginError, Refusal, Unchecked, is_answer};

use crate::access::{Caller, Means, Who};
use crate::denied::Denied;
use crate::role::Roles;

/// How far the provider's clock may be from ours, in seconds.
const SKEW: u64 = 60;
/// How tokens may be signed: with a key that only the provider has.
const ALGORITHMS: [Algorithm; 7] = [
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::ES256,
    Algorithm::ES384,
    Algorithm::EdDSA,
];

/// What the claims of a token mean here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Meaning {
    /// The claim with the person's Matrix user id, or its local part.
    pub user_claim: String,
    /// The claim with their groups.
    pub groups_claim: String,
    /// What the members of each group are there for.
    pub roles: BTreeMap<String, Roles>,
    /// The homeserver's domain: its people only are known.
    pub domain: String,
}

impl Meaning {
    /// Whose claims these are. A group that is not known gives no role.
    ///
    /// # Errors
    ///
    /// [`Denied::Nobody`] if they do not name one of the homeserver's people.
    pub fn caller(&self, claims: &Value) -> Result<Caller, Denied> {
        let claim = &self.user_claim;
        let named = claims.get(claim).and_then(Value::as_str);
        let local = named.and_then(|named| match named.strip_prefix('@') {
            Some(id) => id.strip_suffix(&format!(":{}", self.domain)),
            None => Some(named),
        });
        let local = local.filter(|local| is_localpart(local));
        let local = local.ok_or_else(|| Denied::Nobody(claim.clone()))?;
        let groups = match claims.get(&self.groups_claim) {
            Some(Value::String(one)) => vec![one.as_str()],
            Some(Value::Array(several)) => several.iter().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        };
        let roles = groups.into_iter().filter_map(|group| self.roles.get(group)).flatten();
        Ok(Caller {
            person: Some(format!("@{local}:{}", self.domain)),
            roles: roles.copied().collect(),
            means: Means::Oidc,
        })
    }
}

/// What Matrix allows before the colon. Nothing is made lower case: two spellings must not be two persons, nor one.
fn is_localpart(text: &str) -> bool {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "._=-/+".contains(c);
    !text.is_empty() && text.len() <= 255 && text.chars().all(allowed)
}

impl From<LoginError> for Denied {
    fn from(error: LoginError) -> Self {
        match error {
            LoginError::Refused(_) => Self::Login(error.to_string()),
            LoginError::Nowhere(_) | LoginError::Away(_) | LoginError::NoToken => Self::Unavailable(error.to_string()),
        }
    }
}

/// An identity provider whose tokens are believed.
pub struct Oidc {
    issuer: Issuer,
    expected: Expected,
    meaning: Meaning,
    client: Option<Client>,
}

impl Oidc {
    /// The provider of this name, whose tokens for `audience` are believed.
    pub fn new(issuer: Issuer, name: impl Into<String>, audience: impl Into<String>, meaning: Meaning) -> Self {
        let expected = Expected {
            issuers: vec![name.into()],
            audiences: vec![audience.into()],
            algorithms: ALGORITHMS.to_vec(),
            skew: SKEW,
        };
        Self {
            issuer,
            expected,
            meaning,
            client: None,
        }
    }

    /// The same, where people can also log in at, as this client.
    #[must_use]
    pub fn with_client(mut self, client: Client) -> Self {
        self.client = Some(client);
        self
    }

    /// Whether people can log in at it.
    pub(crate) fn has_client(&self) -> bool {
        self.client.is_some()
    }

    /// Whether it is the provider of this name, and people can log in at it.
    pub(crate) fn is_client_at(&self, issuer: &str) -> bool {
        self.has_client() && self.expected.issuers.iter().any(|known| known == issuer)
    }

    pub(crate) fn meaning(&self) -> &Meaning {
        &self.meaning
    }

    fn client(&self) -> Result<&Client, Denied> {
        self.client.as_ref().ok_or(Denied::Closed)
    }

    async fn metadata(&self) -> Result<std::sync::Arc<Value>, Denied> {
        self.issuer.metadata().await.map_err(Denied::Unavailable)
    }

    /// Where somebody logs in.
    pub(crate) async fn question(&self, attempt: &Attempt) -> Result<Url, Denied> {
        let client = self.client()?;
        Ok(client.question(&*self.metadata().await?, attempt)?)
    }

    /// Where somebody ends what they have with the provider itself, and comes back to `back` (`OpenID` Connect RP-Initiated
    /// Logout 1.0 §2); none if it has no such place.
    pub(crate) async fn farewell(&self, back: &Url) -> Option<Url> {
        let client = self.client.as_ref()?;
        let metadata = self.metadata().await.ok()?;
        let mut url = Url::parse(metadata.get("end_session_endpoint")?.as_str()?).ok()?;
        viaduct_token::is_private(&url).then_some(())?;
        url.query_pairs_mut()
            .append_pair("client_id", client.id())
            .append_pair("post_logout_redirect_uri", back.as_str());
        Some(url)
    }

    /// Who comes back with this code. `issuer` is the one that the answer names, if it names one (RFC 9207).
    pub(crate) async fn identify(
        &self,
        (code, issuer): (&str, Option<&str>),
        attempt: &Attempt,
        now: Timestamp,
    ) -> Result<(Who, Caller), Denied> {
        let client = self.client()?;
        if issuer.is_some_and(|issuer| !self.is_client_at(issuer)) {
            return Err(Denied::Token(Refusal::Issuer));
        }
        let token = client.id_token(&*self.metadata().await?, code, attempt).await?;
        let expected = Expected {
            audiences: vec![client.id().to_owned()],
            ..self.expected.clone()
        };
        let claims = self
            .issuer
            .check(&token, &expected, now)
            .await
            .map_err(|error| match error {
                Unchecked::Refused(refusal) => Denied::Token(refusal),
                no_keys @ Unchecked::NoKeys(_) => Denied::Unavailable(no_keys.to_string()),
            })?;
        is_answer(&claims, attempt, client.id()).map_err(Denied::Token)?;
        let caller = self.meaning.caller(&claims)?;
        let kept = [&self.meaning.user_claim, &self.meaning.groups_claim];
        let kept = kept
            .into_iter()
            .filter_map(|name| Some((name.clone(), claims.get(name)?.clone())));
        let who = Who::Oidc {
            issuer: self.expected.issuers.concat(),
            claims: Value::Object(kept.collect()),
        };
        Ok((who, caller))
    }

    /// Asks the provider for its keys, where they are not known yet.
    ///
    /// # Errors
    ///
    /// Why they cannot be had.
    pub async fn keys(&self) -> Result<(), String> {
        self.issuer.keys().await.map(drop)
    }

    /// Who shows this token: the outer error is about the token, the inner one about whom it names.
    pub(crate) async fn caller(&self, token: &str, now: Timestamp) -> Result<Result<Caller, Denied>, Unchecked> {
        let claims = self.issuer.check(token, &self.expected, now).await?;
        Ok(self.meaning.caller(&claims))
    }
}
