//! What a bridge implements.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use viaduct_compliance::Cleared;
use viaduct_model::{Capabilities, ChannelId, DeliveryKey, MessageId, NetworkName, Outbound, PersonId, Place, Receipt};

use crate::{Context, DeliveryError, Media, MediaError, SessionError};

/// Makes sessions of one kind of network.
#[async_trait]
pub trait Factory: Send + Sync {
    /// The kind, as written in the configuration: `irc`, `xmpp`, `slack`, `teams`, `echo`.
    fn kind(&self) -> &'static str;

    /// The JSON schema of the kind's configuration section, generated from its type.
    fn schema(&self) -> serde_json::Value;

    /// What the remote side must grant for this configuration, one permission a line, in the operator's words.
    fn permissions(&self, section: &serde_json::Value) -> Vec<String>;

    /// Checks a section beyond its schema; each complaint with the path of the key it is about (`tls.ca_file`).
    fn check(&self, section: &serde_json::Value) -> Vec<(String, String)>;

    /// What channels of this kind can express as far as it is known without connecting, for the printed table.
    fn capabilities(&self) -> Capabilities;

    /// The files with which a partner's administrator sets up the remote side for this configuration: an app manifest, an app
    /// package. None where nothing has to be set up that way.
    ///
    /// # Errors
    ///
    /// [`OpenError`] if the section does not say enough for it.
    fn app(&self, _network: &NetworkName, _section: &serde_json::Value) -> Result<Vec<AppFile>, OpenError> {
        Ok(Vec::new())
    }

    /// Reads the section and its secrets and makes a session that is not yet connected.
    async fn open(&self, section: serde_json::Value, context: Context) -> Result<Arc<dyn Session>, OpenError>;
}

/// A file for the administrator of the remote side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppFile {
    /// Its name: `acme-slack.manifest.json`.
    pub name: String,
    /// What is in it.
    pub contents: Vec<u8>,
}

/// Why a session could not be made, in the operator's words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct OpenError(pub String);

/// One side of the hub at work.
#[async_trait]
pub trait Session: Send + Sync {
    /// Connects and works until [`Context::stop`] is cancelled (then `Ok`) or the connection is lost for good. The engine
    /// calls it again, with backoff, on the same session; what was known stays known.
    async fn run(&self) -> Result<(), SessionError>;

    /// What a channel can express now.
    fn capabilities(&self, channel: &ChannelId) -> Capabilities;

    /// Gets ready for deliveries that are about to come, such as making the author's puppet; several may run side by side
    /// and ahead of [`Session::deliver`]. Must not show anything of the message itself.
    async fn prepare(&self, _outbound: &Cleared<Outbound>) {}

    /// Sends one event and waits until the network has accepted it. Called for one channel in order, one at a time; for
    /// several channels side by side. Also called while the session is down: then answer with a retry.
    async fn deliver(&self, outbound: &Cleared<Outbound>) -> Result<Receipt, DeliveryError>;

    /// Asks the network whether a delivery arrived. Only called where [`Capabilities::lookup`] says it can be asked.
    async fn find_delivered(&self, _channel: &ChannelId, _key: &DeliveryKey) -> Result<Option<Receipt>, DeliveryError> {
        Ok(None)
    }

    /// Tells the sender of an event what became of it elsewhere, where the network has a way to.
    async fn feedback(&self, _feedback: Feedback) {}

    /// Opens one of this network's own files. Must fetch only from addresses that belong to the network.
    async fn open_media(&self, _locator: &str) -> Result<Media, MediaError> {
        Err(MediaError::Gone)
    }

    /// The conversation with one person here, opened if need be; `on_behalf` is the Matrix user who wants it.
    async fn direct_channel(&self, _person: &PersonId, _on_behalf: &str) -> Result<ChannelId, DeliveryError> {
        Err(DeliveryError::new(
            crate::Failure::Unsupported,
            "direct chats are not possible here",
        ))
    }

    /// Leaves a channel for good: its mirror has ended. Nobody who stands there for us stays, and the session does not go back by
    /// itself. Also fine where nobody of ours was there.
    ///
    /// # Errors
    ///
    /// [`DeliveryError`]: [`crate::Failure::Unsupported`] where only the channel's own people can see us out, anything else as for a
    /// delivery.
    async fn leave(&self, _channel: &ChannelId) -> Result<(), DeliveryError> {
        Err(DeliveryError::new(
            crate::Failure::Unsupported,
            "this network's channels cannot be left from here",
        ))
    }

    /// What `doctor` should know.
    async fn probe(&self) -> Vec<Probe>;
}

/// Tells a sender what became of their event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Feedback {
    /// Where they sent it.
    pub place: Place,
    /// Their event.
    pub id: MessageId,
    /// Where it was going.
    pub destination: Place,
    /// What became of it.
    pub outcome: Outcome,
}

/// What became of an event on its way to one destination.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", content = "reason", rename_all = "snake_case")]
pub enum Outcome {
    /// It arrived.
    Delivered,
    /// It has not arrived yet and is being tried again; the reason.
    Delayed(String),
    /// It waits for a second person; the reason.
    Held(String),
    /// It must not cross; the reason.
    Refused(String),
    /// It could not be delivered; the reason.
    Failed(String),
    /// Nobody can say whether it arrived; the reason.
    Unknown(String),
}

/// How one check of `doctor` went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProbeStatus {
    /// As it should be.
    Ok,
    /// Works, but something will not.
    Warning,
    /// Does not work.
    Error,
}

/// One check of `doctor`: what was looked at, what was found, why, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Probe {
    /// What was looked at: `login`, `channel #project`.
    pub subject: String,
    /// How it went.
    pub status: ProbeStatus,
    /// What was found.
    pub finding: String,
    /// What to do about it; empty when all is well.
    pub fix: String,
}

impl Probe {
    /// All is well.
    pub fn ok(subject: impl Into<String>, finding: impl Into<String>) -> Self {
        Self {
            subject: subject.into(),
            status: ProbeStatus::Ok,
            finding: finding.into(),
            fix: String::new(),
        }
    }

    /// Something is wrong; what to do.
    pub fn error(subject: impl Into<String>, finding: impl Into<String>, fix: impl Into<String>) -> Self {
        Self {
            subject: subject.into(),
            status: ProbeStatus::Error,
            finding: finding.into(),
            fix: fix.into(),
        }
    }

    /// Something will be wrong; what to do.
    pub fn warning(subject: impl Into<String>, finding: impl Into<String>, fix: impl Into<String>) -> Self {
        Self {
            subject: subject.into(),
            status: ProbeStatus::Warning,
            finding: finding.into(),
            fix: fix.into(),
        }
    }
}

impl fmt::Display for Probe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.subject, self.finding)
    }
}
