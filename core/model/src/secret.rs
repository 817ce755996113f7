//! Text that must not be shown.

use std::fmt;

use schemars::JsonSchema;
use serde::Deserialize;

/// A secret: a token, a password, a key. Its `Debug` shows nothing of it, and it has neither `Display` nor `Serialize`.
#[derive(Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// Keeps a text secret.
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }

    /// The secret itself: for the wire, never for a log.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_not_shown() {
        let secret = Secret::new("hunter2");
        assert_eq!(
            (format!("{secret:?}").as_str(), secret.reveal()),
            ("Secret(..)", "hunter2")
        );
    }
}
