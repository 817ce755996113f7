//! `logging`: what viaduct tells about its work, on standard error.

use schemars::JsonSchema;
use serde::Deserialize;

/// The log.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Logging {
    /// `text` for people, `json` for a collector.
    pub format: LogFormat,
    /// The least important level that is written: `error`, `warn`, `info`, `debug`, `trace`; or a filter for single parts,
    /// such as `info,viaduct_irc=debug`. The environment variable `VIADUCT_LOG` goes before it.
    pub level: String,
}

/// The form of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// Lines for people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

impl Default for Logging {
    fn default() -> Self {
        Self {
            format: LogFormat::Text,
            level: "info".to_owned(),
        }
    }
}
