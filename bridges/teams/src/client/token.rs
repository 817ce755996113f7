//! Whether an inbound token is to be believed. Pure: keys, time and expectations are handed in.

use std::collections::HashMap;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use viaduct_model::Timestamp;

use super::json;

/// How far Microsoft's clock may be from ours, in seconds.
const SKEW: u64 = 300;
/// The longest token, in bytes.
const TOKEN: usize = 16 * 1024;
/// The channel that activities come from, and a key has to be endorsed for.
pub const CHANNEL: &str = "msteams";
/// How many keys are taken of a set.
const KEYS: usize = 256;

/// Why a request is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// There is no bearer token.
    #[error("there is no token")]
    Missing,
    /// It is no token.
    #[error("the token cannot be read")]
    Malformed,
    /// It is signed in another way than RS256.
    #[error("the token's algorithm is not allowed")]
    Algorithm,
    /// It is signed by a key that is not Microsoft's.
    #[error("the token's key is not known")]
    UnknownKey,
    /// The signature is not that of the key.
    #[error("the token's signature is not valid")]
    Signature,
    /// Somebody else issued it.
    #[error("the token's issuer is another")]
    Issuer,
    /// It is for somebody else.
    #[error("the token is for another app")]
    Audience,
    /// Its time is over, or it does not say when that is.
    #[error("the token has expired")]
    Expired,
    /// Its time has not come.
    #[error("the token is not valid yet")]
    NotYet,
    /// Its key is not endorsed for Teams.
    #[error("the token's key is not endorsed for Teams")]
    Endorsement,
    /// It was issued on behalf of another app than Graph's.
    #[error("the token does not come from Graph")]
    Publisher,
    /// It was made for another service address than the activity names.
    #[error("the token is for another service address")]
    ServiceUrl,
    /// The activity's service address is not one of Microsoft's.
    #[error("the service address is not allowed")]
    Host,
    /// The activity or the token is of another tenant.
    #[error("the activity is of another tenant")]
    Tenant,
    /// The activity is not from Teams.
    #[error("the activity is of another channel")]
    Channel,
    /// The activity is for another bot.
    #[error("the activity is for another bot")]
    Recipient,
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
            Self::Endorsement => "endorsement",
            Self::Publisher => "publisher",
            Self::ServiceUrl => "service_url",
            Self::Host => "host",
            Self::Tenant => "tenant",
            Self::Channel => "channel",
            Self::Recipient => "recipient",
        }
    }
}

struct Key {
    decoding: DecodingKey,
    endorsements: Vec<String>,
}

/// Microsoft's keys, by their ids.
#[derive(Default)]
pub struct KeySet(HashMap<String, Key>);

impl KeySet {
    /// Reads a set of keys (RFC 7517). Keys that are not for RSA signatures are left out.
    pub fn read(set: &Value) -> Self {
        let keys = json::list(set, &["keys"]).iter().take(KEYS).filter_map(|key| {
            if json::text(key, &["kty"]) != Some("RSA") || json::text(key, &["use"]).is_some_and(|usage| usage != "sig")
            {
                return None;
            }
            let (n, e) = (json::text(key, &["n"])?, json::text(key, &["e"])?);
            let endorsements = json::list(key, &["endorsements"]).iter();
            let key_of = Key {
                decoding: DecodingKey::from_rsa_components(n, e).ok()?,
                endorsements: endorsements
                    .filter_map(|text| text.as_str().map(str::to_owned))
                    .collect(),
            };
            Some((json::text(key, &["kid"])?.to_owned(), key_of))
        });
        Self(keys.collect())
    }

    /// Whether there are no keys.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// What a token has to say.
#[derive(Debug, Clone)]
pub struct Expected {
    /// The app that it is for.
    pub app_id: String,
    /// The tenant it has to come from.
    pub tenant: String,
    /// Who may have issued it.
    pub issuers: Vec<String>,
    /// What its key has to be endorsed for.
    pub endorsement: Option<&'static str>,
    /// The app on whose behalf it was issued.
    pub publisher: Option<String>,
}

/// The token of a request.
///
/// # Errors
///
/// [`Refusal`] if there is none.
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

/// What is read of a token's header before it is checked.
#[derive(Deserialize)]
struct Header {
    #[serde(default)]
    alg: Value,
    #[serde(default)]
    kid: Value,
}

/// What is read of a token's claims before it is checked.
#[derive(Deserialize)]
struct Claims {
    #[serde(default)]
    aud: Value,
}

fn part<T: DeserializeOwned>(part: &str) -> Result<T, Refusal> {
    let bytes = URL_SAFE_NO_PAD.decode(part).map_err(|_| Refusal::Malformed)?;
    serde_json::from_slice(&bytes).map_err(|_| Refusal::Malformed)
}

/// The app that a token claims to be for, and the key it claims to be signed by; nothing of it is proven.
///
/// # Errors
///
/// [`Refusal`] if it is no token.
pub fn claimed(token: &str) -> Result<(String, String), Refusal> {
    let mut parts = token.split('.');
    let (Some(header), Some(claims), Some(_), None) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
        return Err(Refusal::Malformed);
    };
    let header: Header = part(header)?;
    if json::text(&header.alg, &[]) != Some("RS256") {
        return Err(Refusal::Algorithm);
    }
    let key = json::text(&header.kid, &[]).ok_or(Refusal::UnknownKey)?;
    let claims: Claims = part(claims)?;
    let audience = json::text(&claims.aud, &[]).ok_or(Refusal::Audience)?;
    let audience = audience.strip_prefix("api://").unwrap_or(audience);
    let audience = audience.strip_prefix("botid-").unwrap_or(audience);
    Ok((audience.to_ascii_lowercase(), key.to_owned()))
}

/// Checks a token: signature, issuer, audience, time, endorsement, tenant. Gives its claims.
///
/// # Errors
///
/// [`Refusal`] says what is wrong first.
pub fn check(token: &str, keys: &KeySet, expected: &Expected, now: Timestamp) -> Result<Value, Refusal> {
    let (audience, kid) = claimed(token)?;
    let key = keys.0.get(&kid).ok_or(Refusal::UnknownKey)?;
    let mut validation = Validation::new(Algorithm::RS256);
    // The time is handed in, and the rest is told apart here.
    validation.required_spec_claims.clear();
    validation.validate_exp = false;
    validation.validate_nbf = false;
    validation.validate_aud = false;
    let claims = jsonwebtoken::decode::<Value>(token, &key.decoding, &validation)
        .map_err(|_| Refusal::Signature)?
        .claims;
    let issuer = json::text(&claims, &["iss"]);
    if !expected.issuers.iter().any(|known| Some(known.as_str()) == issuer) {
        return Err(Refusal::Issuer);
    }
    if !audience.eq_ignore_ascii_case(&expected.app_id) {
        return Err(Refusal::Audience);
    }
    check_time(&claims, now)?;
    let endorsed = |wanted: &str| key.endorsements.iter().any(|name| name == wanted);
    if expected.endorsement.is_some_and(|wanted| !endorsed(wanted)) {
        return Err(Refusal::Endorsement);
    }
    let publisher = json::text(&claims, &["azp"]).or_else(|| json::text(&claims, &["appid"]));
    if expected.publisher.is_some() && publisher != expected.publisher.as_deref() {
        return Err(Refusal::Publisher);
    }
    if json::text(&claims, &["tid"]).is_some_and(|tenant| !tenant.eq_ignore_ascii_case(&expected.tenant)) {
        return Err(Refusal::Tenant);
    }
    Ok(claims)
}

/// Checks that a token's time has come and is not over.
fn check_time(claims: &Value, now: Timestamp) -> Result<(), Refusal> {
    let seconds = now.as_millis() / 1000;
    let until = claims.get("exp").and_then(Value::as_u64).ok_or(Refusal::Expired)?;
    if until.saturating_add(SKEW) <= seconds {
        return Err(Refusal::Expired);
    }
    for claim in ["nbf", "iat"] {
        let from = match claims.get(claim) {
            Some(from) => from.as_u64().ok_or(Refusal::NotYet)?,
            None => 0,
        };
        if from > seconds.saturating_add(SKEW) {
            return Err(Refusal::NotYet);
        }
    }
    Ok(())
}

/// Checks that an activity is what its token is for: service address, tenant, channel, recipient.
///
/// # Errors
///
/// [`Refusal`] says what is wrong first.
pub fn check_activity(claims: &Value, activity: &Value, expected: &Expected) -> Result<(), Refusal> {
    let plain = |text: &str| text.trim_end_matches('/').to_ascii_lowercase();
    let service = json::text(activity, &["serviceUrl"])
        .map(plain)
        .ok_or(Refusal::ServiceUrl)?;
    // Microsoft has written the claim in both ways.
    let claim = json::text(claims, &["serviceurl"]).or_else(|| json::text(claims, &["serviceUrl"]));
    if claim.map(plain) != Some(service) {
        return Err(Refusal::ServiceUrl);
    }
    if json::text(activity, &["channelId"]) != Some(CHANNEL) {
        return Err(Refusal::Channel);
    }
    let tenants = [
        json::text(activity, &["conversation", "tenantId"]),
        json::text(activity, &["channelData", "tenant", "id"]),
    ];
    let mut named = tenants.into_iter().flatten().peekable();
    if named.peek().is_none() || named.any(|tenant| !tenant.eq_ignore_ascii_case(&expected.tenant)) {
        return Err(Refusal::Tenant);
    }
    if let Some(recipient) = json::text(activity, &["recipient", "id"]) {
        let id = recipient.strip_prefix("28:").unwrap_or(recipient);
        if !id.eq_ignore_ascii_case(&expected.app_id) {
            return Err(Refusal::Recipient);
        }
    }
    Ok(())
}

mod checked;
#[cfg(test)]
mod tests;

pub use checked::Checked;
