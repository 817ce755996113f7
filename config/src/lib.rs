//! The configuration: typed, checked, and told where it is wrong.
//!
//! Each section is a file of this crate with one structure, whose documentation *is* the reference: the JSON schema is
//! generated from it ([`schema`]), editors show it, and [`check`] walks it. Unknown keys are errors.
//!
//! ```text
//! text ──▶ tree (YAML with positions) ──▶ walk (against the schema) ──▶ rules (what no schema says) ──▶ Config
//!                        └────────────── every problem, with file, line, column and what to do ─────────────┘
//! ```
//!
//! # Extending
//!
//! A new key is a field with a documentation comment in its section's structure, and a `default` unless it must be given.
//! What its text must look like is a `format` ([`formats`](self) module); what has to hold between several keys is a rule in
//! `rules` (`partner_rules` and `admin_rules` for those sections). A secret `X` is three fields, `X`, `X_file` and `X_env`: everything about them is then checked by itself. A
//! relative path under any key that ends in `_file` is meant from the folder of the configuration file.
//!
//! The sections of bridges come from the bridges, through [`Kinds`]: this crate knows none of them.

mod admin;
mod admin_rules;
mod appservice;
mod audit;
mod formats;
mod homeserver;
mod links;
mod logging;
mod mirror;
mod network;
mod partner_rules;
mod policies;
mod problem;
mod rules;
mod schema;
mod secret;
mod secrets;
mod store;
mod tree;
mod walk;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;
use viaduct_compliance::Policy;
use viaduct_governance::{Agreement, PartnerName};
use viaduct_inspect::Files;
use viaduct_model::NetworkName;

pub use admin::{Admin, AdminPerson, Console, Oidc, Role};
pub use appservice::{Appservice, Everybody, SpeakFor};
pub use audit::Audit;
pub use homeserver::{Encryption, Homeserver};
pub use logging::{LogFormat, Logging};
pub use mirror::{Flow, MadeRoom, Member, Mirror, Room};
pub use network::{Network, PolicyNames};
pub use problem::{Position, Problem, Severity};
pub use schema::schema;
pub use secret::{SECRET_BOUND, SecretError, SecretSource, is_world_readable};
pub use store::StoreSection;

use problem::Report;

/// The configuration of one hub.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The homeserver.
    pub homeserver: Homeserver,
    /// How viaduct presents itself to the homeserver.
    pub appservice: Appservice,
    /// The durable memory.
    #[serde(default)]
    pub store: StoreSection,
    /// Health, metrics and the API.
    #[serde(default)]
    pub admin: Admin,
    /// The log.
    #[serde(default)]
    pub logging: Logging,
    /// The ledger.
    #[serde(default)]
    pub audit: Option<Audit>,
    /// Looking into files that cross.
    #[serde(default)]
    pub files: Files,
    /// Filters, by name.
    #[serde(default)]
    pub policies: BTreeMap<String, Policy>,
    /// Rooms on Matrix whose policy lists (`m.policy.rule.user`, `.server`, `.room`, as moderation bots keep them) say whom nothing
    /// may cross from or to, in any mirror: each its id (`!…`) or alias (`#…`, in quotes). The bot must be invited or allowed to
    /// join. They are read each minute; until each was read once, nothing is delivered.
    #[serde(default)]
    #[schemars(extend("items" = {"type": "string", "format": "room"}))]
    pub policy_rooms: Vec<String>,
    /// Remote accounts and servers, by name.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, Network>")]
    pub networks: BTreeMap<NetworkName, Network>,
    /// Agreements with partners, by name.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, Agreement>")]
    pub partners: BTreeMap<PartnerName, Agreement>,
    /// Which rooms and channels are one conversation.
    #[serde(default)]
    pub mirrors: Vec<Mirror>,
}

/// The kinds of network there are, as far as a configuration has to know them.
pub trait Kinds {
    /// Their names.
    fn names(&self) -> Vec<String>;

    /// The JSON schema of a kind's section; none if there is no such kind.
    fn schema(&self, kind: &str) -> Option<Value>;

    /// What is wrong with a section beyond its schema: each complaint with the path of its key (`tls.ca_file`).
    fn check(&self, kind: &str, section: &Value) -> Vec<(String, String)>;
}

/// A configuration without errors.
#[derive(Debug, Clone, PartialEq)]
pub struct Checked {
    /// The configuration; its paths are absolute if the path given to [`check`] was.
    pub config: Config,
    /// What should be changed all the same.
    pub warnings: Vec<Problem>,
}

/// Checks and reads a configuration. `path` is where the text comes from: for messages, and for relative paths in it.
///
/// # Errors
///
/// Every problem of the text, in its order, warnings included.
pub fn check(text: &str, path: &Path, kinds: &dyn Kinds) -> Result<Checked, Vec<Problem>> {
    let mut report = Report::new(path.to_owned());
    let folder = path.parent().map(Path::to_owned).unwrap_or_default();
    let Some(tree) = tree::read(text, &mut report) else {
        return Err(report.into_problems());
    };
    let schema = schema(kinds);
    walk::walk(&tree, &schema, &folder, &mut report);
    let mut value = tree.to_value();
    resolve_paths(&mut value, &folder);
    rules::check(&tree, &value, kinds, &mut report);
    links::check(&tree, &mut report);
    partner_rules::check(&tree, &mut report);
    admin_rules::check(&tree, &mut report);
    policies::check(&tree, &value, &mut report);
    if report.has_errors() {
        return Err(report.into_problems());
    }
    match serde_path_to_error::deserialize::<_, Config>(value) {
        Ok(mut config) => {
            config.store.path = folder.join(&config.store.path);
            if let Some(encryption) = &mut config.homeserver.encryption {
                encryption.folder = folder.join(&encryption.folder);
            }
            if let Some(audit) = &mut config.audit {
                audit.folder = folder.join(&audit.folder);
                audit.keys = folder.join(&audit.keys);
            }
            Ok(Checked {
                config,
                warnings: report.into_problems(),
            })
        }
        Err(error) => {
            let key = error.path().to_string();
            let (at, _) = rules::find(&tree, &key);
            report.error(at, &key, error.inner().to_string(), "see the reference of this key");
            Err(report.into_problems())
        }
    }
}

/// Makes every path under a key that ends in `_file` one from the configuration's folder.
fn resolve_paths(value: &mut Value, folder: &Path) {
    match value {
        Value::Object(object) => {
            for (key, inner) in object {
                match inner {
                    Value::String(path) if key.ends_with("_file") => {
                        *path = folder.join(PathBuf::from(&path)).to_string_lossy().into_owned();
                    }
                    other => resolve_paths(other, folder),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| resolve_paths(item, folder)),
        _ => {}
    }
}
