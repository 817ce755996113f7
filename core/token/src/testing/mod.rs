//! An identity provider of wood, for tests: keys, tokens signed with them, and an address where it describes itself.

#![allow(clippy::expect_used, clippy::missing_panics_doc, reason = "test support")]

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair as RsaKeyPair, KeySize};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _, RSA_PKCS1_SHA256};
use axum::Router;
use axum::extract::State;
use axum::routing::{get, post};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use tokio::net::TcpListener;

mod login;

pub use login::Person;

/// A key pair that signs tokens.
pub enum Signer {
    /// With RS256.
    Rsa(RsaKeyPair),
    /// With ES256.
    Curve(EcdsaKeyPair),
}

impl Signer {
    /// A new RSA key.
    pub fn rsa() -> Self {
        Self::Rsa(RsaKeyPair::generate(KeySize::Rsa2048).expect("a key can be made"))
    }

    /// A new key on the curve P-256.
    pub fn curve() -> Self {
        Self::Curve(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("a key can be made"))
    }

    /// The name of its algorithm.
    pub fn algorithm(&self) -> &'static str {
        match self {
            Self::Rsa(_) => "RS256",
            Self::Curve(_) => "ES256",
        }
    }

    /// Its public half under an id, as a set of keys has it.
    pub fn public(&self, id: &str) -> Value {
        match self {
            Self::Rsa(key) => json!({
                "kty": "RSA", "use": "sig", "kid": id,
                "n": text(key.public_key().modulus().big_endian_without_leading_zero()),
                "e": text(key.public_key().exponent().big_endian_without_leading_zero()),
            }),
            Self::Curve(key) => {
                // An uncompressed point: one byte, then both coordinates.
                let point = key.public_key().as_ref();
                let (x, y) = point.get(1..).unwrap_or_default().split_at(32);
                json!({"kty": "EC", "crv": "P-256", "use": "sig", "kid": id, "x": text(x), "y": text(y)})
            }
        }
    }

    /// A token that says this, signed under an id.
    pub fn sign(&self, id: &str, claims: &Value) -> String {
        self.sign_as(&json!({"alg": self.algorithm(), "typ": "JWT", "kid": id}), claims)
    }

    /// The same with a header of its own.
    pub fn sign_as(&self, header: &Value, claims: &Value) -> String {
        let message = unsigned(header, claims);
        let signature = match self {
            Self::Rsa(key) => {
                let mut signature = vec![0; key.public_modulus_len()];
                key.sign(
                    &RSA_PKCS1_SHA256,
                    &SystemRandom::new(),
                    message.as_bytes(),
                    &mut signature,
                )
                .expect("it signs");
                signature
            }
            Self::Curve(key) => {
                let signature = key.sign(&SystemRandom::new(), message.as_bytes()).expect("it signs");
                signature.as_ref().to_vec()
            }
        };
        format!("{message}.{}", text(&signature))
    }
}

/// A token's first two parts, without the dot before its signature.
pub fn unsigned(header: &Value, claims: &Value) -> String {
    format!("{}.{}", text(header.to_string()), text(claims.to_string()))
}

/// Bytes as tokens and keys have them.
pub fn text(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// What a provider shows.
struct Shown {
    keys: Mutex<Value>,
    metadata: Mutex<Value>,
    asked: AtomicUsize,
    desk: login::Desk,
}

/// An identity provider on this machine.
pub struct Provider {
    shown: Arc<Shown>,
    address: SocketAddr,
}

impl Provider {
    /// One that shows these public keys.
    pub async fn start(keys: &[Value]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("it listens");
        let name = format!("http://{address}");
        let shown = Arc::new(Shown {
            keys: Mutex::new(json!({ "keys": keys })),
            metadata: Mutex::new(json!({
                "issuer": name, "jwks_uri": format!("{name}/keys"),
                "authorization_endpoint": format!("{name}/authorize"), "token_endpoint": format!("{name}/token"),
            })),
            asked: AtomicUsize::new(0),
            desk: login::Desk::default(),
        });
        let router = Router::new()
            .route("/.well-known/openid-configuration", get(metadata))
            .route("/keys", get(keys_shown))
            .route("/authorize", get(login::authorize))
            .route("/token", post(login::token))
            .with_state(Arc::clone(&shown));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { shown, address }
    }

    /// Its name, as tokens have it.
    pub fn name(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Shows other keys from now on.
    pub fn show(&self, keys: &[Value]) {
        *self.shown.keys.lock().unwrap_or_else(PoisonError::into_inner) = json!({ "keys": keys });
    }

    /// Says something else of itself from now on.
    pub fn describe(&self, name: &str, value: Value) {
        let mut metadata = self.shown.metadata.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(metadata) = metadata.as_object_mut() {
            metadata.insert(name.to_owned(), value);
        }
    }

    /// Who logs in from now on, without being asked anything.
    pub fn log_in(&self, person: Person) {
        self.shown.desk.seat(person);
    }

    /// How often it was asked for its keys.
    pub fn asked(&self) -> usize {
        self.shown.asked.load(Ordering::SeqCst)
    }
}

async fn metadata(State(shown): State<Arc<Shown>>) -> String {
    let metadata = shown.metadata.lock().unwrap_or_else(PoisonError::into_inner);
    metadata.to_string()
}

async fn keys_shown(State(shown): State<Arc<Shown>>) -> String {
    shown.asked.fetch_add(1, Ordering::SeqCst);
    let keys = shown.keys.lock().unwrap_or_else(PoisonError::into_inner);
    keys.to_string()
}
