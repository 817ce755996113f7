//! `store`: where viaduct keeps what it must not forget.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;

/// The durable memory: journal, deliveries, message map. Back this folder up while viaduct is stopped.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct StoreSection {
    /// Its folder; a relative one is meant from the folder of the configuration file.
    pub path: PathBuf,
    /// Memory for its cache, in bytes.
    #[schemars(range(min = 1_048_576, max = 68_719_476_736_u64))]
    pub cache: u64,
    /// How long delivered messages are kept, in days: for quotes, links to long texts and trying again. What is not delivered
    /// yet is kept in any case.
    #[schemars(range(min = 1, max = 3650))]
    pub keep_days: u32,
}

impl Default for StoreSection {
    fn default() -> Self {
        Self {
            path: PathBuf::from("data"),
            cache: 4 * 1024 * 1024,
            keep_days: 7,
        }
    }
}
