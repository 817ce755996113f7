//! Tokens that were checked: Microsoft sends the same one for an hour, and a signature need not be verified each time.

use std::collections::VecDeque;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};

use lru::LruCache;
use serde_json::Value;
use sha2::{Digest, Sha256};
use viaduct_model::Timestamp;

use super::{Expected, KeySet, Refusal, SKEW, check, claimed, in_time};

/// How many tokens are remembered.
const TOKENS: NonZeroUsize = NonZeroUsize::new(256).unwrap();

/// How many tokens' claims are remembered.
const CLAIMS: usize = 16;

/// What the last tokens claim: reading that costs more than finding it again, and it depends on nothing but the token.
#[derive(Default)]
pub struct Claims(Mutex<VecDeque<(String, String)>>);

impl Claims {
    /// As [`claimed`].
    ///
    /// # Errors
    ///
    /// [`Refusal`] if it is no token of the kind that Microsoft makes.
    pub fn app(&self, token: &str) -> Result<String, Refusal> {
        let known = |all: &VecDeque<(String, String)>| {
            let found = all.iter().find(|(known, _)| known == token);
            found.map(|(_, app)| app.clone())
        };
        if let Some(app) = known(&self.0.lock().unwrap_or_else(PoisonError::into_inner)) {
            return Ok(app);
        }
        let app = claimed(token)?;
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.truncate(CLAIMS - 1);
        all.push_front((token.to_owned(), app.clone()));
        Ok(app)
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}

/// What a token said, and with which keys that was found.
struct Found {
    keys: Arc<KeySet>,
    claims: Arc<Value>,
}

/// The tokens that were believed, by their digests; held against one set of expectations.
pub struct Checked {
    /// What each of them had to say.
    pub expected: Expected,
    found: Mutex<LruCache<[u8; 32], Found>>,
}

impl Checked {
    /// None yet.
    pub fn new(expected: Expected) -> Self {
        Self {
            expected,
            found: Mutex::new(LruCache::new(TOKENS)),
        }
    }

    /// As [`check`], but what does not change while the keys are the same is found out once. Refusals are not remembered.
    ///
    /// # Errors
    ///
    /// [`Refusal`] says what is wrong first.
    pub fn check(&self, token: &str, keys: &Arc<KeySet>, now: Timestamp) -> Result<Arc<Value>, Refusal> {
        let digest: [u8; 32] = Sha256::digest(token).into();
        if let Some(claims) = self.known(&digest, keys) {
            in_time(&claims, SKEW, now)?;
            return Ok(claims);
        }
        let claims = Arc::new(check(token, keys, &self.expected, now)?);
        let found = Found {
            keys: Arc::clone(keys),
            claims: Arc::clone(&claims),
        };
        let mut known = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        known.put(digest, found);
        Ok(claims)
    }

    fn known(&self, digest: &[u8; 32], keys: &Arc<KeySet>) -> Option<Arc<Value>> {
        let mut known = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        let found = known.get(digest)?;
        if Arc::ptr_eq(&found.keys, keys) {
            return Some(Arc::clone(&found.claims));
        }
        // Other keys: nothing that was found with the old ones holds.
        known.clear();
        None
    }
}
