//! `homeserver`: the server whose application service viaduct is.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::SecretSource;

/// The homeserver that viaduct serves.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Homeserver {
    /// Where its client API is reached, such as `https://matrix.example.org` or, on the same machine, `http://127.0.0.1:8008`.
    #[schemars(extend("format" = "http-url"))]
    pub url: String,
    /// Its server name: what stands after the colon in user ids.
    #[schemars(extend("format" = "server-name"))]
    pub domain: String,
    /// A file of certificates (PEM) to trust in addition to the system's, for a homeserver with a private authority.
    pub ca_file: Option<PathBuf>,
    /// Why the links between homeserver and viaduct, in both directions, need not be encrypted where they leave this machine, such
    /// as `one private network of containers`.
    pub plaintext: Option<String>,
    /// The bot's own device, with which it reads and writes in end-to-end encrypted rooms. Left out, no mirror is encrypted, and an
    /// encrypted room is told that nothing crosses.
    pub encryption: Option<Encryption>,
}

/// The bot's own device. Synapse needs `msc2409_to_device_messages_enabled` and `msc3202_transaction_extensions` under
/// `experimental_features`, and the registration changes: let the homeserver load it anew (`viaduct registration`).
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Encryption {
    /// The device's id. Its keys belong to it: with another id it is another device.
    #[serde(default = "default_device")]
    #[schemars(extend("format" = "localpart"))]
    pub device: String,
    /// The folder of its keys; a relative one is meant from the folder of the configuration file. Back it up with the store.
    #[serde(default = "default_folder")]
    pub folder: PathBuf,
    /// What the keys are encrypted with, literally. Prefer `passphrase_file`.
    pub passphrase: Option<String>,
    /// A file with what the keys are encrypted with.
    pub passphrase_file: Option<PathBuf>,
    /// An environment variable with what the keys are encrypted with.
    pub passphrase_env: Option<String>,
}

impl Encryption {
    /// Where the passphrase comes from.
    pub fn passphrase(&self) -> Option<SecretSource> {
        SecretSource::of(
            self.passphrase.as_ref(),
            self.passphrase_file.as_ref(),
            self.passphrase_env.as_ref(),
        )
    }
}

fn default_device() -> String {
    "viaduct".to_owned()
}

fn default_folder() -> PathBuf {
    PathBuf::from("device")
}
