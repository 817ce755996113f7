//! The keys of an issuer (RFC 7517).

use std::collections::HashMap;

use jsonwebtoken::{Algorithm, DecodingKey};
use serde_json::Value;

/// How many keys are taken of a set.
const KEYS: usize = 256;

/// What an RSA key may be used with.
const RSA: [Algorithm; 6] = [
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::PS384,
    Algorithm::PS512,
];

/// A public key.
pub struct Key {
    pub(crate) decoding: DecodingKey,
    algorithms: Vec<Algorithm>,
    members: Value,
}

impl Key {
    /// Reads one key; none if it cannot sign, or is of a kind that is not known here.
    fn read(key: &Value) -> Option<Self> {
        let text = |name: &str| key.get(name).and_then(Value::as_str);
        if text("use").is_some_and(|usage| usage != "sig") {
            return None;
        }
        let (decoding, mut algorithms) = match (text("kty")?, text("crv")) {
            ("RSA", _) => (DecodingKey::from_rsa_components(text("n")?, text("e")?), RSA.to_vec()),
            ("EC", Some("P-256")) => (
                DecodingKey::from_ec_components(text("x")?, text("y")?),
                vec![Algorithm::ES256],
            ),
            ("EC", Some("P-384")) => (
                DecodingKey::from_ec_components(text("x")?, text("y")?),
                vec![Algorithm::ES384],
            ),
            ("OKP", Some("Ed25519")) => (DecodingKey::from_ed_components(text("x")?), vec![Algorithm::EdDSA]),
            _ => return None,
        };
        if let Some(only) = text("alg") {
            algorithms.retain(|algorithm| only.parse() == Ok(*algorithm));
        }
        Some(Self {
            decoding: decoding.ok()?,
            algorithms,
            members: key.clone(),
        })
    }

    /// Whether it may be used with this algorithm.
    pub fn is_for(&self, algorithm: Algorithm) -> bool {
        self.algorithms.contains(&algorithm)
    }

    /// A member of the key's own description, such as what it is endorsed for.
    pub fn member(&self, name: &str) -> Option<&Value> {
        self.members.get(name)
    }
}

/// The keys of an issuer, by their ids.
#[derive(Default)]
pub struct KeySet(HashMap<String, Key>);

impl KeySet {
    /// Reads a set of keys. Keys that are not for signatures, have no id or are of an unknown kind are left out; shared secrets
    /// always are. At most 256 are taken.
    pub fn read(set: &Value) -> Self {
        let keys = set.get("keys").and_then(Value::as_array).into_iter().flatten();
        let named = keys.take(KEYS).filter_map(|key| {
            let id = key.get("kid")?.as_str().filter(|id| !id.is_empty())?;
            Some((id.to_owned(), Key::read(key)?))
        });
        Self(named.collect())
    }

    /// The key of this id.
    pub fn get(&self, id: &str) -> Option<&Key> {
        self.0.get(id)
    }

    /// Whether there are no keys.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
