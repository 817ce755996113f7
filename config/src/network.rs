//! `networks`: the remote accounts and servers, each with its kind.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};

/// One network. Beside `kind`, `own` and `policy`, the keys are those of its kind.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
pub struct Network {
    /// What sort of network it is.
    pub kind: String,
    /// Whether it belongs to the own organisation: then no agreement is needed, and everybody on it may speak. Of every other
    /// network a partner's agreement must tell (`partners`).
    #[serde(default)]
    pub own: bool,
    /// The filters for everything from and to this network.
    #[serde(default)]
    pub policy: PolicyNames,
    /// The kind's own keys, as its bridge reads them.
    #[serde(flatten)]
    #[schemars(skip)]
    pub section: Map<String, Value>,
}

/// Which policies apply, by their names under `policies`. Without a name, everything crosses.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PolicyNames {
    /// For what comes from the network into Matrix.
    #[serde(rename = "in")]
    pub inward: Option<String>,
    /// For what goes out to the network.
    #[serde(rename = "out")]
    pub outward: Option<String>,
}
