//! `appservice`: how viaduct presents itself to the homeserver.

use std::net::SocketAddr;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;
use viaduct_model::Language;

use crate::SecretSource;

/// The application service. `viaduct registration` prints the file that the homeserver needs from this section: change
/// `id`, `url`, `bot`, `ghost_prefix`, `speak_for` or a token, and the homeserver needs the new file and a restart.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Appservice {
    /// The application service's id in the registration.
    #[serde(default = "default_id")]
    pub id: String,
    /// The address and port on which viaduct waits for the homeserver.
    #[serde(default = "default_listen")]
    #[schemars(with = "String", extend("format" = "socket-address"))]
    pub listen: SocketAddr,
    /// Where the homeserver reaches viaduct; `http://` and the listening address if left out.
    #[schemars(extend("format" = "http-url"))]
    pub url: Option<String>,
    /// The local part of the bot's user id.
    #[serde(default = "default_bot")]
    #[schemars(extend("format" = "localpart"))]
    pub bot: String,
    /// What the local part of every ghost starts with; the network's name and the person's id follow.
    #[serde(default = "default_ghost_prefix")]
    #[schemars(extend("format" = "localpart"))]
    pub ghost_prefix: String,
    /// For which of the homeserver's own people viaduct may speak: a list of user ids, or `own-users` for everybody; nobody if
    /// left out. What they say on a network by a login of their own then comes back as themselves; of others a ghost says it.
    /// Their user ids become part of the registration, not exclusively. With `own-users` the homeserver shows viaduct every
    /// room in which one of its people is, so prefer the list.
    #[serde(default)]
    pub speak_for: SpeakFor,
    /// How a ghost is called. `{name}` is the person's name, `{id}` their id, `{organisation}` their organisation and
    /// `{network}` the network.
    #[serde(default = "default_ghost_name")]
    #[schemars(extend("format" = "ghost-name"))]
    pub ghost_name: String,
    /// The token with which viaduct speaks to the homeserver, literally. Prefer `as_token_file`.
    pub as_token: Option<String>,
    /// A file with the token with which viaduct speaks to the homeserver.
    pub as_token_file: Option<PathBuf>,
    /// An environment variable with the token with which viaduct speaks to the homeserver.
    pub as_token_env: Option<String>,
    /// The token with which the homeserver speaks to viaduct, literally. Prefer `hs_token_file`.
    pub hs_token: Option<String>,
    /// A file with the token with which the homeserver speaks to viaduct.
    pub hs_token_file: Option<PathBuf>,
    /// An environment variable with the token with which the homeserver speaks to viaduct.
    pub hs_token_env: Option<String>,
    /// The largest file that crosses, in bytes. More than the homeserver takes (Synapse: 50 MiB) is of no use.
    #[serde(default = "default_media_limit")]
    pub media_limit: u64,
    /// Where people outside reach viaduct's file links. Without it, files that a network cannot take are left out.
    #[schemars(extend("format" = "http-url"))]
    pub public_url: Option<String>,
    /// The language of what the bot says: `en` or `de`.
    #[serde(default)]
    pub language: Language,
}

/// For which of the homeserver's own people viaduct may speak.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum SpeakFor {
    /// For everybody on the homeserver.
    Everybody(Everybody),
    /// For these.
    These(#[schemars(extend("items" = {"type": "string", "format": "matrix-user"}))] Vec<String>),
}

impl Default for SpeakFor {
    fn default() -> Self {
        Self::These(Vec::new())
    }
}

/// The word for everybody on the homeserver.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Everybody {
    /// Everybody on the homeserver.
    OwnUsers,
}

fn default_id() -> String {
    "viaduct".to_owned()
}

fn default_listen() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 29_320))
}

fn default_bot() -> String {
    "viaduct".to_owned()
}

fn default_ghost_prefix() -> String {
    "_via_".to_owned()
}

fn default_ghost_name() -> String {
    "{name} ({network})".to_owned()
}

fn default_media_limit() -> u64 {
    50 * 1024 * 1024
}

impl Appservice {
    /// Where the homeserver reaches viaduct.
    pub fn reachable_at(&self) -> String {
        self.url.clone().unwrap_or_else(|| format!("http://{}", self.listen))
    }

    /// Where the token for speaking to the homeserver comes from.
    pub fn as_token(&self) -> Option<SecretSource> {
        SecretSource::of(
            self.as_token.as_ref(),
            self.as_token_file.as_ref(),
            self.as_token_env.as_ref(),
        )
    }

    /// Where the token that the homeserver shows comes from.
    pub fn hs_token(&self) -> Option<SecretSource> {
        SecretSource::of(
            self.hs_token.as_ref(),
            self.hs_token_file.as_ref(),
            self.hs_token_env.as_ref(),
        )
    }
}
