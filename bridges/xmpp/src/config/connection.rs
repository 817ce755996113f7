//! How the hub connects.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;
use viaduct_bridge::secret::{Secret, SecretError, required};

/// The component account.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Component {
    /// Where the server listens for components. The stream is not encrypted: beyond this machine it needs `plaintext`, and a
    /// tunnel.
    #[serde(default = "default_host")]
    pub host: String,
    /// The server's component port.
    #[serde(default = "default_port")]
    pub port: u16,
    /// The component's own domain, as configured in the server, such as `matrix.example.org`.
    pub domain: String,
    /// The shared secret. Better in a file or in the environment.
    #[serde(default)]
    pub secret: Option<Secret>,
    /// A file that holds the shared secret; line ends at its end are dropped.
    #[serde(default)]
    pub secret_file: Option<PathBuf>,
    /// An environment variable that holds the shared secret.
    #[serde(default)]
    pub secret_env: Option<String>,
}

impl Component {
    /// The shared secret.
    ///
    /// # Errors
    ///
    /// Why it cannot be had.
    pub fn secret(&self) -> Result<Secret, SecretError> {
        required(
            "component.secret",
            self.secret.as_ref(),
            self.secret_file.as_deref(),
            self.secret_env.as_ref(),
        )
    }
}

/// An ordinary account on a partner's server.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Account {
    /// The account's address, such as `bridge@partner.example`.
    pub address: String,
    /// The account's password. Better in a file or in the environment.
    #[serde(default)]
    pub password: Option<Secret>,
    /// A file that holds the password; line ends at its end are dropped.
    #[serde(default)]
    pub password_file: Option<PathBuf>,
    /// An environment variable that holds the password.
    #[serde(default)]
    pub password_env: Option<String>,
    /// The server's host. Without, it is looked up in the DNS (SRV records), and is otherwise the address's domain.
    #[serde(default)]
    pub host: Option<String>,
    /// The server's port. Without, it is looked up with the host, and is otherwise 5222 (5223 with direct TLS).
    #[serde(default)]
    pub port: Option<u16>,
    /// How the connection is encrypted. It always is.
    #[serde(default)]
    pub tls: Tls,
    /// A file with the certificates, in PEM, of the authorities that vouch for the server, instead of the system's. The
    /// server's certificate must be for the address's domain.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
    /// Whether the password may be sent as it is (SASL PLAIN, inside TLS) to a server that offers nothing better. Without, only
    /// the SCRAM mechanisms are used, with which the server proves that it knows the password, too.
    #[serde(default)]
    pub allow_plain: bool,
}

/// How a client's connection is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Tls {
    /// It begins in the clear and is encrypted before anything is said (RFC 6120).
    #[default]
    Starttls,
    /// It is encrypted from its first byte (XEP-0368).
    Direct,
}

impl Account {
    /// The password.
    ///
    /// # Errors
    ///
    /// Why it cannot be had.
    pub fn password(&self) -> Result<Secret, SecretError> {
        required(
            "account.password",
            self.password.as_ref(),
            self.password_file.as_deref(),
            self.password_env.as_ref(),
        )
    }
}

/// Waiting times, in seconds.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Timeouts {
    /// Until the server has accepted the connection.
    pub connect: u64,
    /// Silence after which the server is asked for a sign of life.
    pub idle: u64,
    /// Until it has given one, before the connection counts as lost.
    pub response: u64,
    /// How long a client's broken connection is tried to be resumed (XEP-0198) before the session starts over.
    pub resume: u64,
    /// Until a request is answered.
    pub request: u64,
    /// Until a room lets somebody in.
    pub join: u64,
    /// Until a room has shown a message that was sent to it. After that its outcome is unknown, and it is looked up.
    pub reflection: u64,
    /// How often the hub makes sure that it still sits in its rooms (XEP-0410).
    pub self_ping: u64,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: 30,
            idle: 60,
            response: 30,
            resume: 30,
            request: 30,
            join: 60,
            reflection: 60,
            self_ping: 300,
        }
    }
}

fn default_host() -> String {
    "127.0.0.1".to_owned()
}

fn default_port() -> u16 {
    5347
}
