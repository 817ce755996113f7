//! What the console derives from one secret of its own: attempts to log in, and the tokens in forms. Nothing of it is kept, so
//! nobody can fill a memory by beginning logins. The secret is new with each start.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;
use viaduct_model::{Entropy, Timestamp};
use viaduct_token::Attempt;

/// How long somebody may take to log in, in milliseconds.
pub(crate) const LOGIN: u64 = 10 * 60 * 1000;

/// A new secret of 256 bits, in characters that may stand anywhere.
pub(crate) fn chance(entropy: &dyn Entropy) -> String {
    let mut bytes = [0; 32];
    entropy.fill(&mut bytes);
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Whether two texts are the same, in a time that does not tell where they differ.
pub(crate) fn same(one: &str, other: &str) -> bool {
    bool::from(one.as_bytes().ct_eq(other.as_bytes()))
}

/// What a browser keeps from the beginning of a login to its end.
pub(crate) fn begin(entropy: &dyn Entropy, now: Timestamp) -> String {
    format!("{}.{}", chance(entropy), now.as_millis())
}

/// The console's own secret.
pub(crate) struct Secrets(String);

impl Secrets {
    pub fn new(entropy: &dyn Entropy) -> Self {
        Self(chance(entropy))
    }

    /// Something that only whoever has the secret can tell of `seed`: 43 characters.
    fn derive(&self, purpose: &str, seed: &str) -> String {
        // A key of any length will do, so this cannot fail; should it ever, nothing derived is the same twice over.
        let Ok(keyed) = Hmac::<Sha256>::new_from_slice(self.0.as_bytes()) else {
            return self.0.clone();
        };
        let mac = keyed.chain_update(purpose).chain_update([0]).chain_update(seed);
        URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes())
    }

    /// What stands in every form that is shown to whoever has this session or attempt.
    pub fn form(&self, seed: &str) -> String {
        self.derive("form", seed)
    }

    /// The attempt to log in of a browser that keeps this; none if it began too long ago.
    pub fn attempt(&self, kept: &str, now: Timestamp) -> Option<Attempt> {
        let (seed, begun) = kept.split_once('.')?;
        let begun: u64 = begun.parse().ok()?;
        let age = now.as_millis().checked_sub(begun)?;
        if seed.len() != 43 || age >= LOGIN {
            return None;
        }
        // All of what is kept goes in, so a time that was changed gives another attempt.
        Some(Attempt {
            state: self.derive("state", kept),
            nonce: self.derive("nonce", kept),
            verifier: self.derive("verifier", kept),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::Dice;

    #[test]
    fn an_attempt_is_its_browsers_own_and_ends() {
        let (secrets, others) = (Secrets::new(&Dice::default()), Secrets::new(&Dice::from(7)));
        let start = Timestamp(1_000_000);
        let kept = begin(&Dice::from(3), start);
        let attempt = secrets.attempt(&kept, start).unwrap();
        assert_eq!(
            secrets.attempt(&kept, start.plus_millis(LOGIN - 1)),
            Some(attempt.clone())
        );
        assert_eq!(secrets.attempt(&kept, start.plus_millis(LOGIN)), None);
        assert_eq!(secrets.attempt(&kept, Timestamp(999_999)), None, "nobody begins later");
        assert_ne!(others.attempt(&kept, start), Some(attempt.clone()), "another hub");
        let later = kept.replace(".1000000", ".1000001");
        assert_ne!(secrets.attempt(&later, start.plus_millis(9)), Some(attempt.clone()));
        let all = [&attempt.state, &attempt.nonce, &attempt.verifier, &secrets.form(&kept)];
        assert!(all.iter().all(|text| text.len() == 43));
        assert_eq!(all.iter().collect::<std::collections::BTreeSet<_>>().len(), 4);
        for wrong in ["", ".", "x.1000000", "1000000", &format!("{}.x", "a".repeat(43))] {
            assert_eq!(secrets.attempt(wrong, start), None, "{wrong}");
        }
    }
}
