//! Whether an inbound token is to be believed, and an activity that comes with it. Pure: keys, time and expectations are handed
//! in. What holds for tokens of every issuer is `viaduct_token`'s.

use serde_json::Value;
use viaduct_model::Timestamp;
use viaduct_token::Refusal as Disbelief;
use viaduct_token::{Algorithm, KeySet, in_time, signed};

use super::json;

/// How Microsoft signs.
const ALGORITHM: Algorithm = Algorithm::RS256;
/// How far Microsoft's clock may be from ours, in seconds.
const SKEW: u64 = 300;
/// The channel that activities come from, and a key has to be endorsed for.
pub const CHANNEL: &str = "msteams";

/// Why a request is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Its token is none to believe, whatever the request is.
    #[error(transparent)]
    Token(#[from] Disbelief),
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
            Self::Token(disbelief) => disbelief.as_str(),
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

/// The app that a token claims to be for; nothing of it is proven.
///
/// # Errors
///
/// [`Refusal`] if it is no token of the kind that Microsoft makes.
pub fn claimed(token: &str) -> Result<String, Refusal> {
    let claimed = viaduct_token::claimed(token)?;
    if claimed.algorithm != ALGORITHM {
        return Err(Disbelief::Algorithm.into());
    }
    match claimed.audiences.as_slice() {
        [audience] if !audience.is_empty() => Ok(app(audience)),
        _ => Err(Disbelief::Audience.into()),
    }
}

/// The app that an audience is; Microsoft writes it in several ways.
fn app(audience: &str) -> String {
    let audience = audience.strip_prefix("api://").unwrap_or(audience);
    let audience = audience.strip_prefix("botid-").unwrap_or(audience);
    audience.to_ascii_lowercase()
}

/// Checks a token: signature, issuer, audience, time, endorsement, tenant. Gives its claims.
///
/// # Errors
///
/// [`Refusal`] says what is wrong first.
pub fn check(token: &str, keys: &KeySet, expected: &Expected, now: Timestamp) -> Result<Value, Refusal> {
    let signed = signed(token, keys, &[ALGORITHM])?;
    let claims = signed.claims;
    let issuer = json::text(&claims, &["iss"]);
    if !expected.issuers.iter().any(|known| Some(known.as_str()) == issuer) {
        return Err(Disbelief::Issuer.into());
    }
    // One text: Microsoft never writes a list.
    let audience = json::text(&claims, &["aud"]).map(app);
    if !audience.is_some_and(|audience| audience.eq_ignore_ascii_case(&expected.app_id)) {
        return Err(Disbelief::Audience.into());
    }
    in_time(&claims, SKEW, now)?;
    // Nor does it write fractions of seconds.
    let is_odd = |name: &&str| claims.get(*name).is_some_and(|time| !time.is_u64());
    if ["exp", "nbf", "iat"].iter().any(is_odd) {
        return Err(Disbelief::Malformed.into());
    }
    let endorsements = signed.key.member("endorsements").and_then(Value::as_array);
    let endorsed = |wanted: &str| endorsements.is_some_and(|names| names.iter().any(|name| name == wanted));
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

pub use checked::{Checked, Claims};
