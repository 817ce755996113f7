//! `admin`: health, metrics, the API, and who may use it and command the bot.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;
use viaduct_governance::Day;

use crate::SecretSource;

/// The operator's side. `/healthz`, `/readyz` and `/metrics` are open to whoever reaches the address; everything below
/// `/api` needs a token, and is closed without one.
///
/// The simplest form is one person in `users` and one token, which is then theirs: they have every role. Where duties are to be
/// separated, each person has an entry of their own in `people`, or the organisation's identity provider (`oidc`) says who they
/// are and in which groups. A change of `people`, `users`, the tokens or `oidc` is taken over when the configuration is read again.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Admin {
    /// The address and port of health, metrics and the API.
    #[schemars(with = "String", extend("format" = "socket-address"))]
    pub listen: SocketAddr,
    /// The API's token, literally. Prefer `token_file`. With exactly one person in `users` it is theirs. With several, or none, it
    /// is nobody's: it may look and operate (as `operator` and `auditor`), but whatever a person has to do, such as releasing what
    /// is held, needs a token of that person's own.
    pub token: Option<String>,
    /// A file with the API's token.
    pub token_file: Option<PathBuf>,
    /// An environment variable with the API's token.
    pub token_env: Option<String>,
    /// Administrators, as Matrix user ids such as `@admin:example.org`: the bot obeys them, and they have every role.
    #[schemars(extend("items" = {"type": "string", "format": "matrix-user"}))]
    pub users: Vec<String>,
    /// People with some roles only, by their Matrix user ids.
    pub people: BTreeMap<String, AdminPerson>,
    /// The organisation's identity provider (`OpenID` Connect), whose tokens the API believes.
    pub oidc: Option<Oidc>,
    /// The console in the browser. Left out: there is none.
    pub console: Option<Console>,
    /// The room in which the bot tells operators what is due, such as an agreement that ends: its id (`!…`) or alias (`#…`, in
    /// quotes). The bot must be invited or allowed to join.
    #[schemars(extend("format" = "room"))]
    pub room: Option<String>,
}

/// What a person is there for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Networks, mirrors and deliveries; signs agreements for information technology.
    Operator,
    /// Policies, agreements, offboarding and holds; asks whose a pseudonym is.
    Compliance,
    /// Decides as a second person about what is held, contents included; signs agreements for the management.
    Approver,
    /// Reads lists and the ledger, and exports them; never contents.
    Auditor,
    /// Answers what people may demand of their data; grants that a pseudonym is lifted; signs agreements for data protection.
    Dpo,
}

/// A person with some roles.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AdminPerson {
    /// What they are there for. The bot obeys them within it.
    pub roles: BTreeSet<Role>,
    /// Their last day, such as 2026-12-31; after it they may do nothing. Its end is taken in UTC.
    #[schemars(with = "Option<String>", extend("format" = "day"))]
    pub until: Option<Day>,
    /// Their own token for the API, literally. Prefer `token_file`.
    pub token: Option<String>,
    /// A file with their own token for the API.
    pub token_file: Option<PathBuf>,
    /// An environment variable with their own token for the API.
    pub token_env: Option<String>,
}

/// The organisation's identity provider. A bearer token that it signed for `audience` is believed while it lasts; what its bearer
/// may do follows from their groups, anew with each token; what `people` and `users` say of them counts for the bot and for tokens
/// of their own only. Where this section is given, orders that a person gives with a token of the configuration are noted in the
/// ledger: that is the way for when the provider is away.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Oidc {
    /// Its name, exactly as its tokens have it (`iss`). It describes itself at `/.well-known/openid-configuration` below it.
    #[schemars(extend("format" = "private-url"))]
    pub issuer: String,
    /// For whom its tokens have to be (`aud`): the name of this API at the provider. Tokens for others are refused.
    pub audience: String,
    /// The claim with the person's Matrix user id, or its local part. It must be one that people cannot change themselves: it says
    /// who they are, also to the rule that nobody releases what they sent.
    pub user_claim: String,
    /// The claim with the groups: a list of texts.
    #[serde(default = "default_groups_claim")]
    pub groups_claim: String,
    /// What the members of each group are there for. Other groups give no role.
    pub roles: BTreeMap<String, BTreeSet<Role>>,
    /// Certificates to trust in addition to the system's (PEM).
    pub ca_file: Option<PathBuf>,
}

/// The console: pages under `/console` on the address of `listen`, for the same people, with the same roles as the API. A proxy
/// that speaks TLS stands before it (browsers keep its cookies for `https://` and for this machine only). People log in at the
/// identity provider of `oidc`, as `client_id`, or, for when that is away, with a token of their own; the latter is noted in the
/// ledger. A change of this section needs a restart.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Console {
    /// Its address as browsers see it, without a path, such as `https://viaduct.example.org`. The provider sends people back to
    /// `/console/login/back` below it: register that there.
    #[schemars(extend("format" = "private-url"))]
    pub url: String,
    /// Its name at the identity provider: the client for which id tokens are made. Left out: people come in with a token of their
    /// own only.
    pub client_id: Option<String>,
    /// The client's secret at the identity provider, literally. Prefer `client_secret_file`. A public client has none.
    pub client_secret: Option<String>,
    /// A file with the client's secret.
    pub client_secret_file: Option<PathBuf>,
    /// An environment variable with the client's secret.
    pub client_secret_env: Option<String>,
}

impl Console {
    /// Where the client's secret comes from.
    pub fn client_secret(&self) -> Option<SecretSource> {
        SecretSource::of(
            self.client_secret.as_ref(),
            self.client_secret_file.as_ref(),
            self.client_secret_env.as_ref(),
        )
    }
}

fn default_groups_claim() -> String {
    "groups".to_owned()
}

impl Default for Admin {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 29_321)),
            token: None,
            token_file: None,
            token_env: None,
            users: Vec::new(),
            people: BTreeMap::new(),
            oidc: None,
            console: None,
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

impl AdminPerson {
    /// Where their own token comes from.
    pub fn token(&self) -> Option<SecretSource> {
        SecretSource::of(self.token.as_ref(), self.token_file.as_ref(), self.token_env.as_ref())
    }
}
