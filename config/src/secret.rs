//! Secrets: given as a file, an environment variable, or (with a warning) literally.
//!
//! A secret `X` of any section is three keys, `X`, `X_file` and `X_env`, of which one is given. The same rule holds in the
//! sections of bridges: whatever schema has all three keys is checked like this, see [`crate::check`].

use std::path::{Path, PathBuf};

use viaduct_model::Secret;

/// The largest secret read from a file, in bytes.
pub const SECRET_BOUND: u64 = 64 * 1024;

/// Where a secret comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretSource {
    /// Written in the configuration itself.
    Literal(Secret),
    /// The content of a file, without the white space around it.
    File(PathBuf),
    /// The value of an environment variable.
    Env(String),
}

/// Why a secret could not be read. Never repeats the secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    /// The file could not be read.
    #[error("the file {path} cannot be read: {reason}")]
    File {
        /// Which file.
        path: PathBuf,
        /// What the system says.
        reason: String,
    },
    /// The file is larger than [`SECRET_BOUND`].
    #[error("the file {0} is larger than 64 KiB, which no secret is")]
    TooLarge(PathBuf),
    /// The environment variable is not set, or is not text.
    #[error("the environment variable {0} is not set")]
    Env(String),
    /// There is nothing in it.
    #[error("the secret is empty")]
    Empty,
}

impl SecretSource {
    /// The source that is given among the three keys; a literal goes before a file, a file before the environment (`check`
    /// allows only one of them).
    pub(crate) fn of(literal: Option<&String>, file: Option<&PathBuf>, env: Option<&String>) -> Option<Self> {
        literal
            .map(|value| Self::Literal(Secret::new(value)))
            .or_else(|| file.map(|path| Self::File(path.clone())))
            .or_else(|| env.map(|name| Self::Env(name.clone())))
    }

    /// Reads the secret.
    ///
    /// # Errors
    ///
    /// [`SecretError`] when the file or variable cannot be read, is too large or is empty.
    pub fn read(&self) -> Result<Secret, SecretError> {
        let value = match self {
            Self::Literal(secret) => return Ok(secret.clone()),
            Self::File(path) => read_file(path)?,
            Self::Env(name) => std::env::var(name).map_err(|_| SecretError::Env(name.clone()))?,
        };
        match value.trim() {
            "" => Err(SecretError::Empty),
            value => Ok(Secret::new(value)),
        }
    }
}

fn read_file(path: &Path) -> Result<String, SecretError> {
    let failed = |error: std::io::Error| SecretError::File {
        path: path.to_owned(),
        reason: error.to_string(),
    };
    if std::fs::metadata(path).map_err(failed)?.len() > SECRET_BOUND {
        return Err(SecretError::TooLarge(path.to_owned()));
    }
    std::fs::read_to_string(path).map_err(failed)
}

/// Whether people other than the file's owner and group may read it. Always false where files have no such modes.
pub fn is_world_readable(path: &Path) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        std::fs::metadata(path).is_ok_and(|metadata| metadata.permissions().mode() & 0o004 != 0)
    }
    #[cfg(not(unix))]
    {
        let _path = path;
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_not_shown() {
        let source = SecretSource::Literal(Secret::new("hunter2"));
        assert!(!format!("{source:?}").contains("hunter2"));
    }

    #[test]
    fn a_file_is_read_without_its_line_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        std::fs::write(&path, "hunter2\n").unwrap();
        assert_eq!(SecretSource::File(path.clone()).read().unwrap().reveal(), "hunter2");
        std::fs::write(&path, "\n").unwrap();
        assert_eq!(SecretSource::File(path.clone()).read(), Err(SecretError::Empty));
        std::fs::remove_file(&path).unwrap();
        assert!(matches!(SecretSource::File(path).read(), Err(SecretError::File { .. })));
        assert_eq!(
            SecretSource::Env("VIADUCT_NO_SUCH_VARIABLE".into()).read(),
            Err(SecretError::Env("VIADUCT_NO_SUCH_VARIABLE".into()))
        );
    }
}
