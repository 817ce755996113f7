//! `homeserver`: the server whose application service viaduct is.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;

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
}
