//! The organisation's identity provider: whose token it is, and what their groups may do.

use std::collections::BTreeMap;

use serde_json::Value;
use viaduct_model::Timestamp;
use viaduct_token::{Algorithm, Expected, Issuer, Unchecked};

use crate::access::{Caller, Means};
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

/// An identity provider whose tokens are believed.
pub struct Oidc {
    issuer: Issuer,
    expected: Expected,
    meaning: Meaning,
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
        }
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
