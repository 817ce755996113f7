//! `audit`: the ledger of what was accepted, decided, delivered and changed.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;
use viaduct_audit::ExporterSettings;

use crate::SecretSource;

/// The ledger: an append-only, signed record of every step, which `viaduct audit verify` checks without the hub. It holds no
/// content and no names, only keyed hashes of them. Without this section nothing is recorded, nothing that a policy holds can
/// be released, and only networks of the own organisation work.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Audit {
    /// Its folder; a relative one is meant from the folder of the configuration file. Back it up with the store.
    pub folder: PathBuf,
    /// The folder of the partners' keys for keyed hashes, readable by viaduct's user only. Keep it out of the ledger's own
    /// backups: destroying a partner's key has to destroy every copy of it.
    pub keys: PathBuf,
    /// The ledger's name in its signed checkpoints; the server's name and `/viaduct` if left out. Do not change it later.
    pub origin: Option<String>,
    /// The key that signs the ledger, literally. Prefer `key_file`.
    pub key: Option<String>,
    /// A file with the key that signs the ledger; `viaduct init` and `viaduct audit key` make one.
    pub key_file: Option<PathBuf>,
    /// An environment variable with the key that signs the ledger.
    pub key_env: Option<String>,
    /// The key that the partners' keys are wrapped with, literally. Prefer `seal_key_file`.
    pub seal_key: Option<String>,
    /// A file with the key that the partners' keys are wrapped with; without it nothing that is held can be read. `viaduct
    /// init` and `viaduct audit key` make one.
    pub seal_key_file: Option<PathBuf>,
    /// An environment variable with the key that the partners' keys are wrapped with.
    pub seal_key_env: Option<String>,
    /// Who gets the ledger's entries as they come, such as security monitoring. None can hold up a delivery, and none loses an
    /// entry while it cannot be reached.
    pub exporters: Vec<ExporterSettings>,
}

impl Default for Audit {
    fn default() -> Self {
        Self {
            folder: PathBuf::from("ledger"),
            keys: PathBuf::from("ledger-keys"),
            origin: None,
            key: None,
            key_file: None,
            key_env: None,
            seal_key: None,
            seal_key_file: None,
            seal_key_env: None,
            exporters: Vec::new(),
        }
    }
}

impl Audit {
    /// Where the signing key comes from.
    pub fn key(&self) -> Option<SecretSource> {
        SecretSource::of(self.key.as_ref(), self.key_file.as_ref(), self.key_env.as_ref())
    }

    /// Where the key that wraps the partners' keys comes from.
    pub fn seal_key(&self) -> Option<SecretSource> {
        SecretSource::of(
            self.seal_key.as_ref(),
            self.seal_key_file.as_ref(),
            self.seal_key_env.as_ref(),
        )
    }

    /// The ledger's name, for a homeserver of this domain.
    pub fn origin(&self, domain: &str) -> String {
        self.origin.clone().unwrap_or_else(|| format!("{domain}/viaduct"))
    }
}
