//! Secrets of a section: given literally, in a file or in the environment, and never shown again.
//!
//! A secret with the name `token` has three keys in a section, of which an operator writes one: `token`, `token_file` and
//! `token_env`.

use std::path::Path;

pub use viaduct_model::Secret;

/// Why a secret could not be had, with the path of the key of the section it is about.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{key}: {reason}")]
pub struct SecretError {
    /// The key.
    pub key: String,
    /// What is wrong.
    pub reason: String,
}

/// The largest secret, in bytes: a certificate's key in PEM fits.
pub const BOUND: usize = 16 * 1024;

/// Reads one secret from whichever of its three keys is given; none if none is. `key` is the path of the literal form.
///
/// # Errors
///
/// [`SecretError`] if more than one is given, the file or variable cannot be read, or the secret is empty, larger than [`BOUND`]
/// or has a NUL in it.
pub fn read(
    key: &str,
    literal: Option<&Secret>,
    file: Option<&Path>,
    variable: Option<&String>,
) -> Result<Option<Secret>, SecretError> {
    let error = |key: String, reason: String| Err(SecretError { key, reason });
    let (key, value) = match (literal, file, variable) {
        (None, None, None) => return Ok(None),
        (Some(literal), None, None) => (key.to_owned(), literal.reveal().to_owned()),
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
    if value.len() > BOUND || value.contains('\0') {
        return error(key, format!("it must be text of at most {BOUND} bytes"));
    }
    Ok(Some(Secret::new(value)))
}

/// The same for a secret that has to be there.
///
/// # Errors
///
/// Those of [`read`], and [`SecretError`] if none of the keys is given.
pub fn required(
    key: &str,
    literal: Option<&Secret>,
    file: Option<&Path>,
    variable: Option<&String>,
) -> Result<Secret, SecretError> {
    read(key, literal, file, variable)?.ok_or_else(|| SecretError {
        key: format!("{key}_file"),
        reason: "it is missing".to_owned(),
    })
}

/// The same for a secret that becomes part of one line on the wire: at most `bound` bytes and no line break.
///
/// # Errors
///
/// [`SecretError`] if it does not fit, with `key`.
pub fn one_line(key: &str, secret: Secret, bound: usize) -> Result<Secret, SecretError> {
    if secret.reveal().len() > bound || secret.reveal().contains(['\r', '\n']) {
        return Err(SecretError {
            key: key.to_owned(),
            reason: format!("it must be one line of at most {bound} bytes"),
        });
    }
    Ok(secret)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_source_only_and_never_shown() {
        let literal = Secret::new("hunter2");
        let variable = "VIADUCT_TEST".to_owned();
        let secret = read("password", Some(&literal), None, None).unwrap().unwrap();
        assert_eq!(format!("{secret:?}"), "Secret(..)");
        assert_eq!(secret.reveal(), "hunter2");
        assert!(read("password", Some(&literal), None, Some(&variable)).is_err());
        assert_eq!(read("password", None, None, None), Ok(None));
        let missing = read("password", None, Some(Path::new("/nonexistent/secret")), None).unwrap_err();
        assert_eq!(missing.key, "password_file");
        assert!(one_line("password", Secret::new("a\r\nQUIT"), 400).is_err());
        assert!(one_line("password", Secret::new("a".repeat(401)), 400).is_err());
        assert_eq!(required("token", None, None, None).unwrap_err().key, "token_file");
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
