//! `admin`: health, metrics, and the API that `viaduct deliveries` uses.

use std::net::SocketAddr;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::SecretSource;

/// The operator's side. `/healthz`, `/readyz` and `/metrics` are open to whoever reaches the address; everything below
/// `/api` needs the token, and is closed without one.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Admin {
    /// The address and port of health, metrics and the API.
    #[schemars(with = "String", extend("format" = "socket-address"))]
    pub listen: SocketAddr,
    /// The API's token, literally. Prefer `token_file`.
    pub token: Option<String>,
    /// A file with the API's token.
    pub token_file: Option<PathBuf>,
    /// An environment variable with the API's token.
    pub token_env: Option<String>,
    /// The Matrix users whose commands the bot obeys, such as `@admin:example.org`.
    #[schemars(extend("items" = {"type": "string", "format": "matrix-user"}))]
    pub users: Vec<String>,
    /// The room in which the bot tells operators what is due, such as an agreement that ends: its id (`!…`) or alias (`#…`, in
    /// quotes). The bot must be invited or allowed to join.
    #[schemars(extend("format" = "room"))]
    pub room: Option<String>,
}

impl Default for Admin {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 29_321)),
            token: None,
            token_file: None,
            token_env: None,
            users: Vec::new(),
            room: None,
        }
    }
}

impl Admin {
    /// Where the API's token comes from.
    pub fn token(&self) -> Option<SecretSource> {
        SecretSource::of(self.token.as_ref(), self.token_file.as_ref(), self.token_env.as_ref())
    }
}
