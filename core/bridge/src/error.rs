//! The classes of error that the engine treats differently.

use std::time::Duration;

/// Why a delivery was not (or perhaps not) made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct DeliveryError {
    /// What the engine should do.
    pub failure: Failure,
    /// What happened, in the operator's words; no secrets.
    pub reason: String,
}

/// What the engine should do about a failed delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// Nothing was sent. Try again after so long, or with the engine's own backoff. Without end: durable work waits.
    Retry(Option<Duration>),
    /// The network no longer accepts our credentials, or removed us. Wait until the session reports itself connected.
    AuthLost,
    /// The network refuses this event for good. Record it as failed and go on.
    Permanent,
    /// The session cannot express this after all. Record the loss and go on.
    Unsupported,
    /// Too large for the network. Record it as failed and go on.
    TooLarge,
    /// It may or may not have arrived: look it up by its key, or show the outcome as unknown.
    UnknownOutcome,
}

impl DeliveryError {
    /// An error of this class.
    pub fn new(failure: Failure, reason: impl Into<String>) -> Self {
        Self {
            failure,
            reason: reason.into(),
        }
    }

    /// Nothing was sent; try again with the engine's backoff.
    pub fn retry(reason: impl Into<String>) -> Self {
        Self::new(Failure::Retry(None), reason)
    }

    /// Refused for good.
    pub fn permanent(reason: impl Into<String>) -> Self {
        Self::new(Failure::Permanent, reason)
    }

    /// It may or may not have arrived.
    pub fn unknown(reason: impl Into<String>) -> Self {
        Self::new(Failure::UnknownOutcome, reason)
    }
}

/// Why a session ended other than by request.
#[derive(Debug, Clone, thiserror::Error)]
pub enum SessionError {
    /// The connection was lost or could not be made; the engine starts the session again with backoff.
    #[error("connection: {0}")]
    Connection(String),
    /// The credentials were refused; the engine starts the session again, rarely.
    #[error("authentication: {0}")]
    Auth(String),
    /// The hub is shutting down underneath the session.
    #[error("the hub is stopping")]
    Stopping,
}
