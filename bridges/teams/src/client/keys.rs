//! Microsoft as an issuer of inbound tokens, and those of its tokens that were checked before.

use std::sync::Arc;

use reqwest::Client;
use serde_json::Value;
use url::Url;
use viaduct_model::Timestamp;
use viaduct_token::{Issuer, KeySet};

use super::token::{Checked, Expected, Refusal, claimed};

/// Microsoft's keys, and what the tokens that they sign have to say.
pub struct Keys {
    issuer: Issuer,
    checked: Checked,
}

/// Why a token was not checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unchecked {
    /// It is not to be believed.
    Refused(Refusal),
    /// The keys cannot be had; nothing is known about the token.
    NoKeys(String),
}

impl Keys {
    /// The keys that the metadata of `OpenID` at this address leads to; nothing is asked yet.
    pub fn new(http: Client, metadata: Url, expected: Expected) -> Self {
        Self {
            // What Microsoft calls itself there is not always what its tokens say; `expected` has the latter.
            issuer: Issuer::new(http, metadata, None),
            checked: Checked::new(expected),
        }
    }

    /// What the tokens have to say.
    pub fn expected(&self) -> &Expected {
        &self.checked.expected
    }

    /// Checks a token with the keys that are known, and once more with new ones where it names another.
    ///
    /// # Errors
    ///
    /// [`Unchecked`].
    pub async fn check(&self, token: &str, now: Timestamp) -> Result<Arc<Value>, Unchecked> {
        let keys = if let Some(keys) = self.issuer.fresh().await {
            keys
        } else {
            // For what is no token nobody is asked.
            claimed(token).map_err(Unchecked::Refused)?;
            Box::pin(self.current()).await.map_err(Unchecked::NoKeys)?
        };
        match self.checked.check(token, &keys, now) {
            Err(Refusal::Token(viaduct_token::Refusal::UnknownKey)) => {}
            other => return other.map_err(Unchecked::Refused),
        }
        let keys = Box::pin(self.issuer.renewed(&keys)).await;
        self.checked.check(token, &keys, now).map_err(Unchecked::Refused)
    }

    /// The keys, fetched where they are old.
    ///
    /// # Errors
    ///
    /// Why there are none.
    pub async fn current(&self) -> Result<Arc<KeySet>, String> {
        self.issuer.keys().await
    }
}
