//! What can go wrong between us and the homeserver.

use std::time::Duration;

use viaduct_bridge::{DeliveryError, Failure};

use crate::crypto::rooms::Unfit;

/// Why the homeserver side could not be set up.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HomeserverError {
    /// The homeserver's address is not one.
    #[error("homeserver.url {0:?} is not an http or https address")]
    Url(String),
    /// A name that becomes part of user ids has characters that are not allowed there.
    #[error("{key} {value:?} must not be empty and may have a-z, 0-9, '.', '_' and '-' only")]
    Name {
        /// Which setting.
        key: &'static str,
        /// What it says.
        value: String,
    },
    /// A token cannot be sent in a header.
    #[error("the as_token is empty or has characters that cannot be sent in an HTTP header")]
    Token,
    /// The HTTP client could not be made.
    #[error("the HTTP client could not be made: {0}")]
    Client(String),
}

/// How the homeserver answered a request, when not with success.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ApiError {
    /// There was no complete answer.
    #[error("the homeserver cannot be reached: {0}")]
    Unreachable(String),
    /// We ask too much.
    #[error("the homeserver asks us to slow down")]
    Limited(Option<Duration>),
    /// The homeserver, or a proxy in front of it, is in trouble.
    #[error("the homeserver answered {status}")]
    Trouble { status: u16, wait: Option<Duration> },
    /// The homeserver refused.
    #[error("the homeserver refused: {message} ({code})")]
    Refused { status: u16, code: String, message: String },
    /// The keys of encryption could not be used, or not be shared.
    #[error("encryption: {0}")]
    Keys(String),
    /// The room's encryption does not fit its mirror.
    #[error("{}", .0.say(viaduct_model::Language::English))]
    Unfit(Unfit),
    /// Its answer was not understood.
    #[error("the homeserver's answer was not understood: {0}")]
    Answer(String),
}

impl ApiError {
    /// Whether the homeserver gave this error code.
    pub(crate) fn is(&self, wanted: &str) -> bool {
        matches!(self, Self::Refused { code, .. } if code == wanted)
    }

    /// Whether what was asked for is not there.
    pub(crate) fn is_missing(&self) -> bool {
        matches!(self, Self::Refused { status: 404, .. })
    }

    /// Whether the homeserver no longer knows our token.
    pub(crate) fn is_token(&self) -> bool {
        matches!(self, Self::Refused { status, code, .. }
            if *status == 401 || code == "M_UNKNOWN_TOKEN" || code == "M_MISSING_TOKEN")
    }
}

impl From<ApiError> for DeliveryError {
    fn from(error: ApiError) -> Self {
        let failure = match &error {
            ApiError::Unreachable(_) | ApiError::Answer(_) | ApiError::Keys(_) => Failure::Retry(None),
            ApiError::Unfit(_) => Failure::Permanent,
            ApiError::Limited(wait) | ApiError::Trouble { wait, .. } => Failure::Retry(*wait),
            refused if refused.is_token() => Failure::AuthLost,
            ApiError::Refused { status, code, .. } if *status == 413 || code == "M_TOO_LARGE" => Failure::TooLarge,
            ApiError::Refused { .. } => Failure::Permanent,
        };
        Self::new(failure, error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_answer_has_its_class() {
        let refused = |status, code: &str| ApiError::Refused {
            status,
            code: code.into(),
            message: "no".into(),
        };
        let second = Some(Duration::from_secs(1));
        for (error, failure) in [
            (ApiError::Unreachable("gone".into()), Failure::Retry(None)),
            (ApiError::Limited(second), Failure::Retry(second)),
            (
                ApiError::Trouble {
                    status: 502,
                    wait: None,
                },
                Failure::Retry(None),
            ),
            (refused(401, "M_UNKNOWN_TOKEN"), Failure::AuthLost),
            (refused(403, "M_FORBIDDEN"), Failure::Permanent),
            (refused(413, "M_TOO_LARGE"), Failure::TooLarge),
            (refused(400, "M_UNKNOWN"), Failure::Permanent),
        ] {
            assert_eq!(DeliveryError::from(error).failure, failure);
        }
    }
}
