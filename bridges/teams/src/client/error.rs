//! Why a call failed, in the classes that are treated differently.

use std::time::Duration;

use viaduct_bridge::{DeliveryError, Failure};

/// Why a call failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// Microsoft asks to wait so long. Nothing was done.
    #[error("Microsoft asks to wait {} s", .0.as_secs())]
    Limited(Duration),
    /// Microsoft answered that it cannot be done.
    #[error("Microsoft answers {status} {code}")]
    Refused {
        /// The status.
        status: u16,
        /// Microsoft's word for it.
        code: String,
    },
    /// It did not reach Microsoft. Nothing was done.
    #[error("Microsoft cannot be reached: {0}")]
    Unsent(String),
    /// Nobody knows whether it was done.
    #[error("Microsoft's answer is missing: {0}")]
    Unknown(String),
    /// The session is ending. Nothing was done.
    #[error("the session is ending")]
    Stopped,
}

impl CallError {
    /// The status of a refusal, zero for everything else.
    pub fn status(&self) -> u16 {
        match self {
            Self::Refused { status, .. } => *status,
            _ => 0,
        }
    }

    /// Whether the credentials are no longer good. A missing consent is not that: it concerns only what it was needed for.
    pub fn is_auth(&self) -> bool {
        self.status() == 401
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
            Self::Refused { status, .. } => match status {
                401 => DeliveryError::new(Failure::AuthLost, reason),
                // What waits is kept until somebody lets the bot in again.
                403 | 404 => DeliveryError::new(Failure::Retry(Some(Duration::from_mins(1))), reason),
                // Somebody else changed the conversation at the same time; nothing was done.
                409 | 412 => DeliveryError::new(Failure::Retry(Some(Duration::from_secs(1))), reason),
                413 => DeliveryError::new(Failure::TooLarge, reason),
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
}
