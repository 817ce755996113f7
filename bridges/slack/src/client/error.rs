//! Why a call failed, in the classes that are treated differently.

use std::time::Duration;

use slack_morphism::errors::SlackClientError;
use viaduct_bridge::{DeliveryError, Failure};

/// Why a call to the Web API failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// Slack asks to wait so long. Nothing was done.
    #[error("Slack asks to wait {} s", .0.as_secs())]
    Limited(Duration),
    /// Slack answered that it cannot be done. The second text names the permission that is missing, where that is why.
    #[error("Slack answers {code}{}", needed.as_ref().map(|scope| format!(", the scope {scope} is missing")).unwrap_or_default())]
    Refused {
        /// Slack's word for it.
        code: String,
        /// The missing scope.
        needed: Option<String>,
    },
    /// It did not reach Slack. Nothing was done.
    #[error("Slack cannot be reached: {0}")]
    Unsent(String),
    /// Nobody knows whether it was done.
    #[error("Slack's answer is missing: {0}")]
    Unknown(String),
    /// The session is ending. Nothing was done.
    #[error("the session is ending")]
    Stopped,
}

/// Slack's words for credentials that are no longer good.
const AUTH: [&str; 9] = [
    "invalid_auth",
    "not_authed",
    "account_inactive",
    "token_revoked",
    "token_expired",
    "org_login_required",
    "team_access_not_granted",
    "app_uninstalled",
    "user_removed_from_team",
];

/// Slack's words for what may have happened all the same.
const UNSURE: [&str; 4] = [
    "fatal_error",
    "internal_error",
    "request_timeout",
    "service_unavailable",
];

impl CallError {
    /// Slack's word for why it refused.
    pub fn code(&self) -> Option<&str> {
        match self {
            Self::Refused { code, .. } => Some(code),
            _ => None,
        }
    }

    /// Whether the credentials are no longer good.
    pub fn is_auth(&self) -> bool {
        self.code().is_some_and(|code| AUTH.contains(&code))
    }

    /// Whether it may go through when it is tried again.
    pub fn is_passing(&self) -> bool {
        !matches!(self, Self::Refused { .. })
    }

    /// What it means for a delivery that would show twice if it were repeated.
    pub fn for_delivery(self) -> DeliveryError {
        let reason = self.to_string();
        match self {
            Self::Limited(wait) => DeliveryError::new(Failure::Retry(Some(wait)), reason),
            Self::Unsent(_) | Self::Stopped => DeliveryError::retry(reason),
            Self::Unknown(_) => DeliveryError::unknown(reason),
            Self::Refused { ref code, .. } => match code.as_str() {
                code if AUTH.contains(&code) => DeliveryError::new(Failure::AuthLost, reason),
                // What waits is kept until somebody lets the app in again.
                "missing_scope" | "not_in_channel" | "channel_not_found" | "is_archived" | "restricted_action"
                | "ekm_access_denied" | "team_added_to_org" | "access_denied" => {
                    DeliveryError::new(Failure::Retry(Some(Duration::from_mins(1))), reason)
                }
                "ratelimited" | "rate_limited" | "message_limit_exceeded" => {
                    DeliveryError::new(Failure::Retry(Some(Duration::from_secs(5))), reason)
                }
                "msg_too_long" | "file_too_large" | "too_many_attachments" => {
                    DeliveryError::new(Failure::TooLarge, reason)
                }
                _ => DeliveryError::permanent(reason),
            },
        }
    }

    /// What it means for a delivery that has no second effect when it is repeated.
    pub fn for_repeatable(self) -> DeliveryError {
        match self {
            Self::Unknown(reason) => DeliveryError::retry(reason),
            other => other.for_delivery(),
        }
    }

    /// The error of one of the library's calls.
    pub(super) fn of(error: SlackClientError) -> Self {
        match error {
            SlackClientError::RateLimitError(limit) => {
                Self::Limited(limit.retry_after.unwrap_or(Duration::from_secs(30)))
            }
            SlackClientError::ApiError(error) if UNSURE.contains(&error.code.as_str()) => Self::Unknown(error.code),
            SlackClientError::ApiError(error) => Self::Refused {
                needed: error.http_response_body,
                code: error.code,
            },
            SlackClientError::HttpError(error) if error.status_code.is_client_error() => Self::Refused {
                code: format!("http_{}", error.status_code.as_u16()),
                needed: None,
            },
            SlackClientError::HttpError(error) => Self::Unknown(format!("status {}", error.status_code)),
            SlackClientError::HttpProtocolError(error) => match error.cause {
                Some(cause) => match cause.downcast::<CallError>() {
                    Ok(known) => *known,
                    Err(other) => Self::Unknown(other.to_string()),
                },
                None => Self::Unknown("the connection broke".to_owned()),
            },
            SlackClientError::ProtocolError(_) => Self::Unknown("it is not readable".to_owned()),
            other => Self::Unknown(other.to_string()),
        }
    }
}
