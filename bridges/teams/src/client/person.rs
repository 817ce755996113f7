//! A person's own login: their refresh token, exchanged for tokens to act in their name.
//!
//! With every token comes another refresh token, and the old one may be worth nothing from then on; so the newest is kept durably
//! before anything is done with the token. It is sealed with the one that the operator configured: the store alone tells
//! nothing, and when the operator configures another, the kept one cannot be opened and is forgotten.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use sha2::{Digest, Sha256};
use tokio::sync::Mutex;
use url::Url;
use viaduct_bridge::State;
use viaduct_bridge::secret::Secret;
use viaduct_model::Entropy;

use super::error::CallError;
use super::login::{Grant, Held, Login};

/// What a person lets the app do in their name: nothing but to speak, change and react in channels, and to know who they are.
pub const SCOPES: [&str; 3] = ["ChannelMessage.Send", "ChannelMessage.ReadWrite", "User.Read"];

#[derive(Default)]
struct Known {
    held: Held,
    /// The newest refresh token; none before it was looked for.
    refresh: Option<Secret>,
}

/// A person who lets the app act in their name.
pub struct Person {
    name: String,
    configured: Secret,
    known: Mutex<Known>,
    state: Arc<dyn State>,
}

impl fmt::Debug for Person {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Person")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl Person {
    /// Somebody, by their Matrix user id and the refresh token that is configured for them.
    pub fn new(name: &str, configured: Secret, state: Arc<dyn State>) -> Self {
        Self {
            name: name.to_owned(),
            configured,
            known: Mutex::default(),
            state,
        }
    }

    fn key(&self) -> String {
        format!("login/{}", self.name)
    }

    /// A token to act in their name, from memory or new.
    ///
    /// # Errors
    ///
    /// [`CallError`]; that Microsoft no longer takes the refresh token is status 401.
    pub async fn token(&self, login: &Login, graph: &Url) -> Result<Secret, CallError> {
        let mut known = self.known.lock().await;
        if let Some(token) = known.held.current() {
            return Ok(token);
        }
        let scope: Vec<String> = SCOPES.iter().map(|scope| format!("{graph}{scope}")).collect();
        let scope = format!("{} offline_access", scope.join(" "));
        let lost = |error: viaduct_bridge::StateError| CallError::Unsent(error.to_string());
        let refresh = if let Some(refresh) = known.refresh.clone() {
            refresh
        } else {
            let kept = self.state.get(&self.key()).await.map_err(lost)?;
            let kept = kept.and_then(|sealed| self.open(&sealed));
            kept.unwrap_or_else(|| self.configured.clone())
        };
        let granted = login.ask(Grant::Refresh(&refresh), &scope).await?;
        if let Some(newer) = &granted.refresh {
            let sealed = self.seal(newer, login.entropy());
            self.state.put(vec![(self.key(), sealed)]).await.map_err(lost)?;
        }
        known.refresh = Some(granted.refresh.clone().unwrap_or(refresh));
        Ok(known.held.keep(&granted))
    }

    /// Forgets a token that was refused.
    pub async fn forget(&self, token: &Secret) {
        self.known.lock().await.held.forget(token);
    }

    fn cipher(&self) -> Option<LessSafeKey> {
        let mut hash = Sha256::new_with_prefix(b"viaduct teams login\0");
        hash.update(self.configured.reveal());
        UnboundKey::new(&AES_256_GCM, &hash.finalize())
            .ok()
            .map(LessSafeKey::new)
    }

    fn seal(&self, token: &Secret, entropy: &dyn Entropy) -> Option<Vec<u8>> {
        let mut nonce = [0; NONCE_LEN];
        entropy.fill(&mut nonce);
        let mut sealed = token.reveal().as_bytes().to_vec();
        let about = Aad::from(self.name.as_bytes());
        let nonce_used = Nonce::assume_unique_for_key(nonce);
        self.cipher()?
            .seal_in_place_append_tag(nonce_used, about, &mut sealed)
            .ok()?;
        Some([nonce.as_slice(), &sealed].concat())
    }

    fn open(&self, sealed: &[u8]) -> Option<Secret> {
        let (nonce, rest) = sealed.split_at_checked(NONCE_LEN)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let mut rest = rest.to_vec();
        let about = Aad::from(self.name.as_bytes());
        let plain = self.cipher()?.open_in_place(nonce, about, &mut rest).ok()?;
        String::from_utf8(plain.to_vec()).ok().map(Secret::new)
    }
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;
    use viaduct_bridge::StateError;

    use super::*;

    #[derive(Debug)]
    struct Ones;

    impl Entropy for Ones {
        fn fill(&self, buffer: &mut [u8]) {
            buffer.fill(1);
        }
    }

    struct Nothing;

    #[async_trait]
    impl State for Nothing {
        async fn get(&self, _: &str) -> Result<Option<Vec<u8>>, StateError> {
            Ok(None)
        }
        async fn scan(&self, _: &str) -> Result<Vec<(String, Vec<u8>)>, StateError> {
            Ok(Vec::new())
        }
        async fn put(&self, _: Vec<(String, Option<Vec<u8>>)>) -> Result<(), StateError> {
            Ok(())
        }
    }

    fn person(name: &str, configured: &str) -> Person {
        Person::new(name, Secret::new(configured), Arc::new(Nothing))
    }

    #[test]
    fn what_is_kept_opens_only_with_what_is_configured() {
        let anna = person("@anna:example.org", "configured");
        let sealed = anna.seal(&Secret::new("newest"), &Ones).unwrap();
        assert!(!String::from_utf8_lossy(&sealed).contains("newest"));
        assert_eq!(anna.open(&sealed).unwrap().reveal(), "newest");
        assert!(person("@anna:example.org", "another").open(&sealed).is_none());
        assert!(person("@bert:example.org", "configured").open(&sealed).is_none());
        assert!(anna.open(&sealed[..5]).is_none());
        assert!(!format!("{anna:?}").contains("configured"));
    }
}
