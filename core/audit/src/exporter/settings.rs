//! What an operator says about exporters.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One receiver of the ledger's entries, as they come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExporterSettings {
    /// Its name: lower-case letters, digits and `-`. Where it is in the ledger is remembered under this name; another name
    /// begins anew.
    pub name: String,
    /// Where to.
    pub to: Destination,
    /// In what form.
    #[serde(default)]
    pub form: Form,
}

/// Where entries go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Destination {
    /// Syslog over TLS (RFC 5425).
    Tls {
        /// The receiver's host name, which its certificate must have.
        host: String,
        /// Its port.
        #[serde(default = "tls_port")]
        port: u16,
        /// The certificate authority that signed its certificate (PEM). Left out, those of the system.
        #[serde(default)]
        ca_file: Option<PathBuf>,
        /// The hub's own certificate with its chain (PEM), if the receiver asks for one.
        #[serde(default)]
        certificate_file: Option<PathBuf>,
        /// The key of the hub's own certificate (PEM).
        #[serde(default)]
        key_file: Option<PathBuf>,
    },
    /// Syslog over TCP, unencrypted (RFC 6587, counted): beyond this machine only with a reason.
    Tcp {
        /// The receiver's host name or address.
        host: String,
        /// Its port.
        #[serde(default = "tcp_port")]
        port: u16,
        /// Why the link to a receiver that is not on this machine need not be encrypted.
        #[serde(default)]
        plaintext: Option<String>,
    },
    /// A file, one entry a line, which only ever grows; another program reads and rotates it.
    File {
        /// Its path.
        path: PathBuf,
    },
}

fn tls_port() -> u16 {
    6514
}

fn tcp_port() -> u16 {
    601
}

/// The form of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Form {
    /// The ledger's own JSON.
    #[default]
    Json,
    /// The Common Event Format.
    Cef,
    /// The Open Cybersecurity Schema Framework, as JSON.
    Ocsf,
}
