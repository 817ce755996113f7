//! Secrets: given literally, in a file or in the environment, and never shown again.

use std::fmt;
use std::path::Path;

use super::{ChannelOptions, NickServ, Sasl, Section, WebIrc};

/// A secret. Its `Debug` shows nothing of it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Takes a secret.
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }

    /// The secret itself, for the wire only.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// Why a secret could not be had, with the key of the section it is about.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{key}: {reason}")]
pub struct SecretError {
    /// The key.
    pub key: String,
    /// What is wrong.
    pub reason: String,
}

/// The largest secret, in bytes. Longer ones do not fit into an IRC line.
const BOUND: usize = 400;

/// Reads one secret from whichever of the three is given; none if none is.
fn read(
    key: &str,
    literal: Option<&String>,
    file: Option<&Path>,
    variable: Option<&String>,
) -> Result<Option<Secret>, SecretError> {
    let error = |key: String, reason: String| Err(SecretError { key, reason });
    let (key, value) = match (literal, file, variable) {
        (None, None, None) => return Ok(None),
        (Some(literal), None, None) => (key.to_owned(), literal.clone()),
        (None, Some(file), None) => {
            let key = format!("{key}_file");
            match std::fs::read_to_string(file) {
                Ok(text) => (key, text.trim_end_matches(['\r', '\n']).to_owned()),
                Err(cause) => return error(key, format!("the file {} cannot be read: {cause}", file.display())),
            }
        }
        (None, None, Some(variable)) => {
            let key = format!("{key}_env");
            match std::env::var(variable) {
                Ok(text) => (key, text),
                Err(_) => return error(key, format!("the environment variable {variable} is not set")),
            }
        }
        _ => {
            return error(
                key.to_owned(),
                format!("give only one of {key}, {key}_file and {key}_env"),
            );
        }
    };
    if value.is_empty() {
        return error(key, "it is empty".to_owned());
    }
    if value.len() > BOUND || value.contains(['\r', '\n', '\0']) {
        return error(key, format!("it must be one line of at most {BOUND} bytes"));
    }
    Ok(Some(Secret(value)))
}

fn required(key: &str, found: Option<Secret>) -> Result<Secret, SecretError> {
    found.ok_or_else(|| SecretError {
        key: format!("{key}_file"),
        reason: "it is missing".to_owned(),
    })
}

impl Section {
    /// The server's password.
    pub fn server_password(&self) -> Result<Option<Secret>, SecretError> {
        read(
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
        required(
            key,
            read(
                key,
                self.password.as_ref(),
                self.password_file.as_deref(),
                self.password_env.as_ref(),
            )?,
        )
    }
}

impl NickServ {
    /// The account's password.
    pub fn secret(&self) -> Result<Secret, SecretError> {
        let key = "nickserv.password";
        required(
            key,
            read(
                key,
                self.password.as_ref(),
                self.password_file.as_deref(),
                self.password_env.as_ref(),
            )?,
        )
    }
}

impl WebIrc {
    /// The gateway's password.
    pub fn secret(&self) -> Result<Secret, SecretError> {
        let key = "webirc.password";
        required(
            key,
            read(
                key,
                self.password.as_ref(),
                self.password_file.as_deref(),
                self.password_env.as_ref(),
            )?,
        )
    }
}

impl ChannelOptions {
    /// The channel's key.
    pub fn secret(&self, channel: &str) -> Result<Option<Secret>, SecretError> {
        let key = format!("channels.{channel}.key");
        read(&key, self.key.as_ref(), self.key_file.as_deref(), self.key_env.as_ref())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_source_only_and_never_shown() {
        let literal = "hunter2".to_owned();
        let secret = read("password", Some(&literal), None, None).unwrap().unwrap();
        assert_eq!(format!("{secret:?}"), "Secret(..)");
        assert_eq!(secret.reveal(), "hunter2");
        assert!(read("password", Some(&literal), None, Some(&literal)).is_err());
        assert_eq!(read("password", None, None, None), Ok(None));
        let missing = read("password", None, Some(Path::new("/nonexistent/secret")), None).unwrap_err();
        assert_eq!(missing.key, "password_file");
        let lines = "a\r\nQUIT".to_owned();
        assert!(read("password", Some(&lines), None, None).is_err());
    }

    #[test]
    fn a_file_is_read_without_its_last_line_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        std::fs::write(&path, "s3cret\n").unwrap();
        assert_eq!(
            read("password", None, Some(&path), None).unwrap().unwrap().reveal(),
            "s3cret"
        );
    }
}
