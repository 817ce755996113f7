//! The section's secrets.

use std::path::Path;

pub use viaduct_bridge::secret::{Secret, SecretError};
use viaduct_bridge::secret::{one_line, read, required};

use super::{ChannelOptions, NickServ, Sasl, Section, WebIrc};

/// The largest secret, in bytes. Longer ones do not fit into an IRC line.
const BOUND: usize = 400;

/// A secret that has to be there, from the section's three keys for it.
fn line(
    key: &str,
    literal: Option<&Secret>,
    file: Option<&Path>,
    variable: Option<&String>,
) -> Result<Secret, SecretError> {
    one_line(key, required(key, literal, file, variable)?, BOUND)
}

/// A secret that may be there.
fn optional(
    key: &str,
    literal: Option<&Secret>,
    file: Option<&Path>,
    variable: Option<&String>,
) -> Result<Option<Secret>, SecretError> {
    read(key, literal, file, variable)?
        .map(|secret| one_line(key, secret, BOUND))
        .transpose()
}

impl Section {
    /// The server's password.
    pub fn server_password(&self) -> Result<Option<Secret>, SecretError> {
        optional(
            "password",
            self.password.as_ref(),
            self.password_file.as_deref(),
            self.password_env.as_ref(),
        )
    }
}

impl Sasl {
    /// The account's password.
    pub fn secret(&self) -> Result<Secret, SecretError> {
        let key = "sasl.password";
        line(
            key,
            self.password.as_ref(),
            self.password_file.as_deref(),
            self.password_env.as_ref(),
        )
    }
}

impl NickServ {
    /// The account's password.
    pub fn secret(&self) -> Result<Secret, SecretError> {
        let key = "nickserv.password";
        line(
            key,
            self.password.as_ref(),
            self.password_file.as_deref(),
            self.password_env.as_ref(),
        )
    }
}

impl WebIrc {
    /// The gateway's password.
    pub fn secret(&self) -> Result<Secret, SecretError> {
        let key = "webirc.password";
        line(
            key,
            self.password.as_ref(),
            self.password_file.as_deref(),
            self.password_env.as_ref(),
        )
    }
}

impl ChannelOptions {
    /// The channel's key.
    pub fn secret(&self, channel: &str) -> Result<Option<Secret>, SecretError> {
        let key = format!("channels.{channel}.key");
        optional(&key, self.key.as_ref(), self.key_file.as_deref(), self.key_env.as_ref())
    }
}
