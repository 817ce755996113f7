//! Whether a token is to be believed. Pure: keys, time and expectations are handed in.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, Validation};
use serde_json::Value;
use viaduct_model::Timestamp;

use crate::keys::{Key, KeySet};

/// The longest token, in bytes.
pub const TOKEN: usize = 16 * 1024;

/// Why a token is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// There is no bearer token.
    #[error("there is no bearer token")]
    Missing,
    /// It is no token, or longer than [`TOKEN`].
    #[error("the token cannot be read")]
    Malformed,
    /// It is signed in a way that is not allowed, or not with this key.
    #[error("the token's algorithm is not allowed")]
    Algorithm,
    /// It is signed by a key that is not the issuer's.
    #[error("the token's key is not known")]
    UnknownKey,
    /// The signature is not that of the key.
    #[error("the token's signature is not valid")]
    Signature,
    /// Somebody else issued it.
    #[error("the token's issuer is another")]
    Issuer,
    /// It is for somebody else.
    #[error("the token is for another audience")]
    Audience,
    /// Its time is over, or it does not say when that is.
    #[error("the token has expired")]
    Expired,
    /// Its time has not come.
    #[error("the token is not valid yet")]
    NotYet,
    /// It was not made for this login.
    #[error("the token answers another login")]
    Nonce,
}

impl Refusal {
    /// Its name in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Malformed => "malformed",
            Self::Algorithm => "algorithm",
            Self::UnknownKey => "key",
            Self::Signature => "signature",
            Self::Issuer => "issuer",
            Self::Audience => "audience",
            Self::Expired => "expired",
            Self::NotYet => "not_yet",
            Self::Nonce => "nonce",
        }
    }
}

/// What a token has to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expected {
    /// Who may have issued it.
    pub issuers: Vec<String>,
    /// For whom it may be: one of these has to be among its audiences.
    pub audiences: Vec<String>,
    /// How it may be signed.
    pub algorithms: Vec<Algorithm>,
    /// How far the issuer's clock may be from ours, in seconds.
    pub skew: u64,
}

/// What a token claims of itself; nothing of it is proven.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claimed {
    /// How it is signed.
    pub algorithm: Algorithm,
    /// The key that signed it.
    pub key: String,
    /// For whom it is.
    pub audiences: Vec<String>,
}

/// A token with a valid signature.
pub struct Signed<'a> {
    /// What it says.
    pub claims: Value,
    /// The key that signed it.
    pub key: &'a Key,
}

/// The token in an `Authorization` header (RFC 6750 §2.1).
///
/// # Errors
///
/// [`Refusal::Missing`] if there is none, [`Refusal::Malformed`] if it is longer than [`TOKEN`].
pub fn bearer(header: Option<&str>) -> Result<&str, Refusal> {
    let (scheme, token) = header
        .and_then(|header| header.split_once(' '))
        .ok_or(Refusal::Missing)?;
    let token = token.trim();
    if !scheme.eq_ignore_ascii_case("bearer") || token.is_empty() {
        return Err(Refusal::Missing);
    }
    if token.len() > TOKEN {
        return Err(Refusal::Malformed);
    }
    Ok(token)
}

fn part(token: &str, number: usize) -> Option<Value> {
    let bytes = URL_SAFE_NO_PAD.decode(token.split('.').nth(number)?).ok()?;
    serde_json::from_slice(&bytes).ok()
}

/// What a token claims of itself.
///
/// # Errors
///
/// [`Refusal`] if it is no token, or names no algorithm or key.
pub fn claimed(token: &str) -> Result<Claimed, Refusal> {
    if token.len() > TOKEN || token.split('.').count() != 3 {
        return Err(Refusal::Malformed);
    }
    let header = part(token, 0).ok_or(Refusal::Malformed)?;
    if header.get("crit").is_some() {
        return Err(Refusal::Malformed);
    }
    let text = |name: &str| header.get(name).and_then(Value::as_str);
    let algorithm = text("alg")
        .and_then(|name| name.parse().ok())
        .ok_or(Refusal::Algorithm)?;
    let key = text("kid").ok_or(Refusal::UnknownKey)?.to_owned();
    let claims = part(token, 1).ok_or(Refusal::Malformed)?;
    Ok(Claimed {
        algorithm,
        key,
        audiences: audiences(&claims),
    })
}

/// `aud` is one text or several (RFC 7519 §4.1.3).
fn audiences(claims: &Value) -> Vec<String> {
    match claims.get("aud") {
        Some(Value::String(one)) => vec![one.clone()],
        Some(Value::Array(several)) => several
            .iter()
            .filter_map(|one| one.as_str().map(str::to_owned))
            .collect(),
        _ => Vec::new(),
    }
}

/// Checks a token's signature, and nothing else.
///
/// # Errors
///
/// [`Refusal`] says what is wrong first.
pub fn signed<'a>(token: &str, keys: &'a KeySet, algorithms: &[Algorithm]) -> Result<Signed<'a>, Refusal> {
    let claimed = claimed(token)?;
    if !algorithms.contains(&claimed.algorithm) {
        return Err(Refusal::Algorithm);
    }
    let key = keys.get(&claimed.key).ok_or(Refusal::UnknownKey)?;
    if !key.is_for(claimed.algorithm) {
        return Err(Refusal::Algorithm);
    }
    let mut validation = Validation::new(claimed.algorithm);
    // The time is handed in, and the rest is told apart by who asks.
    validation.required_spec_claims.clear();
    validation.validate_exp = false;
    validation.validate_nbf = false;
    validation.validate_aud = false;
    let decoded = jsonwebtoken::decode::<Value>(token, &key.decoding, &validation).map_err(|_| Refusal::Signature)?;
    Ok(Signed {
        claims: decoded.claims,
        key,
    })
}

/// Checks a token: signature, issuer, audience, time. Gives its claims.
///
/// # Errors
///
/// [`Refusal`] says what is wrong first.
pub fn check(token: &str, keys: &KeySet, expected: &Expected, now: Timestamp) -> Result<Value, Refusal> {
    let claims = signed(token, keys, &expected.algorithms)?.claims;
    let issuer = claims.get("iss").and_then(Value::as_str);
    if !expected.issuers.iter().any(|known| Some(known.as_str()) == issuer) {
        return Err(Refusal::Issuer);
    }
    if !audiences(&claims).iter().any(|one| expected.audiences.contains(one)) {
        return Err(Refusal::Audience);
    }
    in_time(&claims, expected.skew, now)?;
    Ok(claims)
}

/// Checks that a token's time has come and is not over, with clocks that differ by up to `skew` seconds.
///
/// # Errors
///
/// [`Refusal::Expired`] or [`Refusal::NotYet`]; a token that never ends has expired.
pub fn in_time(claims: &Value, skew: u64, now: Timestamp) -> Result<(), Refusal> {
    let seconds = now.as_millis() / 1000;
    // RFC 7519 §2 allows fractions of a second; they are cut off, in the stricter direction.
    let time = |name: &str| {
        claims
            .get(name)
            .map(|value| value.as_u64().or_else(|| whole(value.as_f64()?)))
    };
    let until = time("exp").flatten().ok_or(Refusal::Expired)?;
    if until.saturating_add(skew) <= seconds {
        return Err(Refusal::Expired);
    }
    for name in ["nbf", "iat"] {
        let from = time(name).map_or(Ok(0), |from| from.ok_or(Refusal::NotYet))?;
        if from > seconds.saturating_add(skew) {
            return Err(Refusal::NotYet);
        }
    }
    Ok(())
}

/// The whole seconds of a time with fractions.
fn whole(seconds: f64) -> Option<u64> {
    let text = format!("{:.0}", seconds.floor());
    text.parse().ok()
}
