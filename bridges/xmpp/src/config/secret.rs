//! The section's secrets.

use std::collections::BTreeMap;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;
pub use viaduct_bridge::secret::{Secret, SecretError};
use viaduct_bridge::secret::{one_line, required};
use xmpp_parsers::jid::BareJid;

use super::Section;

/// The longest password of a room, in bytes.
const ROOM_BOUND: usize = 1024;

/// The password of a room: as it is, or where it stands.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum RoomPassword {
    /// The password itself. Better in a file or in the environment.
    Literal(Secret),
    /// Where it stands.
    Stored(StoredPassword),
}

/// Where the password of a room stands; one of the keys.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StoredPassword {
    /// A file that holds the password; line ends at its end are dropped.
    #[serde(default)]
    pub password_file: Option<PathBuf>,
    /// An environment variable that holds the password.
    #[serde(default)]
    pub password_env: Option<String>,
}

impl RoomPassword {
    fn secret(&self, room: &str) -> Result<Secret, SecretError> {
        let key = format!("room_passwords.{room}.password");
        let secret = match self {
            Self::Literal(literal) => required(&key, Some(literal), None, None),
            Self::Stored(stored) => required(
                &key,
                None,
                stored.password_file.as_deref(),
                stored.password_env.as_ref(),
            ),
        };
        one_line(&key, secret?, ROOM_BOUND)
    }
}

/// Every secret of a section.
#[derive(Debug, Clone)]
pub struct Secrets {
    /// The component's secret, or the account's password.
    pub login: Secret,
    /// Passwords of rooms.
    pub rooms: BTreeMap<BareJid, Secret>,
}

impl Section {
    /// Reads all secrets.
    ///
    /// # Errors
    ///
    /// Which of them cannot be had, and why.
    pub fn secrets(&self) -> Result<Secrets, SecretError> {
        let login = match (&self.component, &self.account) {
            (Some(component), _) => component.secret()?,
            (None, Some(account)) => account.password()?,
            (None, None) => required("component.secret", None, None, None)?,
        };
        let mut rooms = BTreeMap::new();
        for (room, password) in &self.room_passwords {
            if let Ok(address) = BareJid::new(room) {
                rooms.insert(address, password.secret(room)?);
            }
        }
        Ok(Secrets { login, rooms })
    }
}
