//! The keys that Microsoft signs with, and the tokens they sign.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_SHA256};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

/// One signing key.
#[derive(Debug)]
struct Key {
    id: String,
    pair: KeyPair,
    endorsements: Vec<String>,
}

/// The keys that are published, the newest last; that one signs.
#[derive(Debug, Default)]
pub(super) struct Keys {
    published: Vec<Key>,
    /// Signs too, but nobody can check it.
    unpublished: Option<Key>,
    made: u64,
}

impl Keys {
    /// A new key signs from now on. Of the old ones `keep` stay published.
    pub(super) fn rotate(&mut self, keep: usize) -> anyhow::Result<()> {
        let key = self.make()?;
        let excess = self.published.len().saturating_sub(keep);
        self.published.drain(..excess);
        self.published.push(key);
        Ok(())
    }

    /// What the newest key vouches for from now on, such as `msteams`.
    pub(super) fn endorse(&mut self, endorsements: &[&str]) {
        if let Some(key) = self.published.last_mut() {
            key.endorsements = endorsements.iter().map(|one| (*one).to_owned()).collect();
        }
    }

    fn make(&mut self) -> anyhow::Result<Key> {
        self.made += 1;
        Ok(Key {
            id: format!("stand-in-key-{}", self.made),
            pair: KeyPair::generate(KeySize::Rsa2048)?,
            endorsements: vec!["msteams".to_owned(), "emulator".to_owned()],
        })
    }

    /// Names the key that signs; changes when it does.
    pub(super) fn generation(&self) -> u64 {
        self.made
    }

    /// The published keys as a JSON Web Key Set (RFC 7517).
    pub(super) fn published(&self) -> Value {
        let keys: Vec<Value> = self
            .published
            .iter()
            .filter_map(|key| {
                let (modulus, exponent) = public_numbers(key.pair.public_key().as_ref())?;
                Some(json!({
                    "kty": "RSA", "use": "sig", "alg": "RS256", "kid": key.id, "x5t": key.id,
                    "n": URL_SAFE_NO_PAD.encode(modulus), "e": URL_SAFE_NO_PAD.encode(exponent),
                    "endorsements": key.endorsements,
                }))
            })
            .collect();
        json!({ "keys": keys })
    }

    /// A token with these claims. `header` adds to or replaces what stands in its header.
    pub(super) fn sign(&self, header: &Value, claims: &Value) -> Option<String> {
        sign(self.published.last()?, header, claims)
    }

    /// The same by a key that is not published.
    pub(super) fn sign_unpublished(&mut self, header: &Value, claims: &Value) -> Option<String> {
        if self.unpublished.is_none() {
            self.unpublished = self.make().ok();
        }
        sign(self.unpublished.as_ref()?, header, claims)
    }
}

fn sign(key: &Key, more: &Value, claims: &Value) -> Option<String> {
    let mut header = json!({ "alg": "RS256", "typ": "JWT", "kid": key.id, "x5t": key.id });
    for (name, value) in more.as_object().into_iter().flatten() {
        header[name] = value.clone();
    }
    let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let message = format!("{}.{}", encode(&header), encode(claims));
    let mut signature = vec![0; key.pair.public_modulus_len()];
    key.pair
        .sign(
            &RSA_PKCS1_SHA256,
            &SystemRandom::new(),
            message.as_bytes(),
            &mut signature,
        )
        .ok()?;
    Some(format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature)))
}

/// The first element of DER-encoded bytes: its tag, its content and what follows it.
fn element(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = bytes.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = if first < 0x80 {
        (usize::from(first), rest)
    } else {
        let (digits, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
        let length = digits.iter().try_fold(0_usize, |sum, digit| {
            sum.checked_mul(256)?.checked_add(usize::from(*digit))
        })?;
        (length, rest)
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((tag, content, rest))
}

/// Modulus and exponent of an `RSAPublicKey` (RFC 8017, A.1.1), without leading zeros.
fn public_numbers(der: &[u8]) -> Option<(&[u8], &[u8])> {
    let (_, numbers, _) = element(der)?;
    let (_, modulus, rest) = element(numbers)?;
    let (_, exponent, _) = element(rest)?;
    let strip = |number: &'_ [u8]| number.iter().take_while(|byte| **byte == 0).count();
    Some((modulus.get(strip(modulus)..)?, exponent.get(strip(exponent)..)?))
}

/// The public key within a certificate (RFC 5280: `subjectPublicKeyInfo`), as DER with its frame.
pub(super) fn key_of_certificate(der: &[u8]) -> Option<&[u8]> {
    let (_, certificate, _) = element(der)?;
    let (_, mut rest, _) = element(certificate)?;
    if rest.first() == Some(&0xa0) {
        rest = element(rest)?.2;
    }
    // Serial number, algorithm, issuer, validity, subject.
    for _ in 0..5 {
        rest = element(rest)?.2;
    }
    let (_, _, after) = element(rest)?;
    rest.get(..rest.len() - after.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_checked_by_the_published_key_and_by_no_other() {
        let mut keys = Keys::default();
        keys.rotate(1).unwrap();
        let token = keys.sign(&json!({ "x": 1 }), &json!({ "iss": "me" })).unwrap();
        let mut parts = token.split('.');
        let (header, claims, signature) = (parts.next().unwrap(), parts.next().unwrap(), parts.next().unwrap());
        let verify = |keys: &Keys| {
            let set = keys.published();
            let key = &set["keys"][0];
            let number = |name: &str| URL_SAFE_NO_PAD.decode(key[name].as_str().unwrap()).unwrap();
            let key = aws_lc_rs::signature::RsaPublicKeyComponents {
                n: number("n"),
                e: number("e"),
            };
            key.verify(
                &aws_lc_rs::signature::RSA_PKCS1_2048_8192_SHA256,
                format!("{header}.{claims}").as_bytes(),
                &URL_SAFE_NO_PAD.decode(signature).unwrap(),
            )
        };
        assert!(verify(&keys).is_ok());
        keys.rotate(0).unwrap();
        assert!(verify(&keys).is_err());
        let header: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(header).unwrap()).unwrap();
        assert_eq!((&header["alg"], &header["x"]), (&json!("RS256"), &json!(1)));
    }

    #[test]
    fn der_that_is_cut_off_is_no_key() {
        for bytes in [
            &[][..],
            &[0x30],
            &[0x30, 0x82, 0x01],
            &[0x30, 0x05, 0x01],
            &[0x30, 0x89, 0xff],
        ] {
            assert_eq!(key_of_certificate(bytes), None);
            assert_eq!(public_numbers(bytes), None);
        }
    }
}
