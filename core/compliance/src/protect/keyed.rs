//! Keyed hashes, and what tells quickly that a hash is in no list.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD as BASE64;
use hmac::{Hmac, Mac as _};
use sha2::Sha256;
use siphasher::sip::SipHasher24;

use super::ListError;

/// A shorter key could be guessed, in characters.
const SHORTEST: usize = 32;

/// The key that lists are made with, and looked up with.
#[derive(Clone)]
pub struct Key(Hmac<Sha256>);

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(..)")
    }
}

impl Key {
    /// Takes a key: any text of at least 32 characters, which nobody must be able to guess.
    ///
    /// # Errors
    ///
    /// [`ListError::Key`] if it is shorter.
    pub fn new(secret: &str) -> Result<Self, ListError> {
        let secret = secret.trim();
        if secret.chars().count() < SHORTEST {
            return Err(ListError::Key);
        }
        Hmac::new_from_slice(secret.as_bytes())
            .map(Self)
            .map_err(|_| ListError::Key)
    }

    /// Another key, for one purpose.
    pub(super) fn derive(&self, purpose: &str) -> [u8; 32] {
        self.0.clone().chain_update(purpose).finalize().into_bytes().into()
    }

    /// What a list says about the key that it was made with.
    pub(super) fn check(&self) -> String {
        let bytes = self.derive("viaduct protect check");
        BASE64.encode(bytes.first_chunk::<9>().unwrap_or(&[0; 9]))
    }

    /// Short hashes for one purpose.
    pub(super) fn tags(&self, purpose: &str) -> Tags {
        let mut key = [0; 16];
        key.copy_from_slice(self.derive(purpose).first_chunk::<16>().unwrap_or(&[0; 16]));
        Tags(SipHasher24::new_with_key(&key))
    }

    /// Long hashes for one purpose.
    pub(super) fn proofs(&self, purpose: &str) -> Result<Proofs, ListError> {
        let keyed = Hmac::new_from_slice(&self.derive(purpose));
        keyed.map(Proofs).map_err(|_| ListError::Key)
    }
}

/// Short keyed hashes.
#[derive(Clone)]
pub(super) struct Tags(SipHasher24);

impl Tags {
    pub(super) fn of(&self, bytes: &[u8]) -> u64 {
        self.0.hash(bytes)
    }
}

/// Long keyed hashes.
#[derive(Clone)]
pub(super) struct Proofs(Hmac<Sha256>);

impl Proofs {
    pub(super) fn of(&self, bytes: &[u8]) -> [u8; 16] {
        let full: [u8; 32] = self.0.clone().chain_update(bytes).finalize().into_bytes().into();
        let mut short = [0; 16];
        short.copy_from_slice(full.first_chunk::<16>().unwrap_or(&[0; 16]));
        short
    }
}

/// Says of most tags that are in no list that they are in none, with one look.
#[derive(Debug, Clone, Default)]
pub(super) struct Sieve {
    words: Vec<u64>,
}

impl Sieve {
    /// A sieve for these tags, with sixteen bits at least for each.
    pub(super) fn of(tags: impl ExactSizeIterator<Item = u64>) -> Self {
        let mut words = vec![0; (tags.len() / 4).next_power_of_two()];
        for tag in tags {
            let (word, bits) = place(tag, words.len());
            if let Some(word) = words.get_mut(word) {
                *word |= bits;
            }
        }
        Self { words }
    }

    pub(super) fn may_have(&self, tag: u64) -> bool {
        let (word, bits) = place(tag, self.words.len());
        self.words.get(word).is_some_and(|word| word & bits == bits)
    }
}

/// The word and the two bits of a tag among a power of two of words.
fn place(tag: u64, words: usize) -> (usize, u64) {
    let word = usize::try_from(tag >> 6).unwrap_or_default() & words.saturating_sub(1);
    (word, 1 << (tag & 63) | 1 << (tag >> 58))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_not_shown_and_not_short() {
        assert!(Key::new("hunter2").is_err());
        let key = Key::new("0123456789abcdef0123456789abcdef\n").unwrap();
        assert_eq!(format!("{key:?}"), "Key(..)");
        let other = Key::new("0123456789abcdef0123456789abcdeg").unwrap();
        assert_ne!(key.check(), other.check());
        assert_ne!(key.tags("a").of(b"x"), key.tags("b").of(b"x"));
        assert_ne!(key.tags("a").of(b"x"), other.tags("a").of(b"x"));
    }

    #[test]
    fn a_sieve_holds_what_is_in_it() {
        let tags = Key::new("0123456789abcdef0123456789abcdef").unwrap().tags("a");
        let of = |number: u32| tags.of(&number.to_be_bytes());
        let sieve = Sieve::of((0..1000).map(of));
        assert!((0..1000).all(|number| sieve.may_have(of(number))));
        let wrong = (1000..11_000).filter(|number| sieve.may_have(of(*number))).count();
        assert!(wrong < 300, "{wrong} of 10,000 get through");
        assert!(!Sieve::default().may_have(7));
    }
}
