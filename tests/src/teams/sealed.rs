//! What a notification carries, readable only for the subscriber: a key wrapped by its certificate, AES-256-CBC, HMAC.

use std::fmt::Write as _;

use aws_lc_rs::cipher::{AES_256, EncryptionContext, PaddedBlockEncryptingKey, UnboundCipherKey};
use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use aws_lc_rs::iv::FixedLength;
use aws_lc_rs::rand;
use aws_lc_rs::rsa::{OAEP_SHA1_MGF1SHA1, OaepPublicEncryptingKey, PublicEncryptingKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac as _};
use serde_json::{Value, json};
use sha2::Sha256;

use super::keys::key_of_certificate;

/// A subscriber's certificate.
#[derive(Debug)]
pub(super) struct Envelope {
    key: OaepPublicEncryptingKey,
    id: String,
    thumbprint: String,
}

impl Envelope {
    /// From the certificate as DER in base64. None where it holds no RSA key.
    pub(super) fn new(certificate: &str, id: &str) -> Option<Self> {
        let der = STANDARD.decode(certificate).ok()?;
        let key = PublicEncryptingKey::from_der(key_of_certificate(&der)?).ok()?;
        let mut thumbprint = String::new();
        for byte in digest(&SHA1_FOR_LEGACY_USE_ONLY, &der).as_ref() {
            write!(thumbprint, "{byte:02X}").ok()?;
        }
        Some(Self {
            key: OaepPublicEncryptingKey::new(key).ok()?,
            id: id.to_owned(),
            thumbprint,
        })
    }

    /// The `encryptedContent` of a notification.
    pub(super) fn seal(&self, content: &Value) -> Option<Value> {
        let mut key = [0; 32];
        rand::fill(&mut key).ok()?;
        let mut wrapped = vec![0; self.key.ciphertext_size()];
        let wrapped = self.key.encrypt(&OAEP_SHA1_MGF1SHA1, &key, &mut wrapped, None).ok()?;
        let mut data = content.to_string().into_bytes();
        let iv = EncryptionContext::Iv128(FixedLength::try_from(key.get(..16)?).ok()?);
        let cipher = PaddedBlockEncryptingKey::cbc_pkcs7(UnboundCipherKey::new(&AES_256, &key).ok()?).ok()?;
        cipher.less_safe_encrypt(&mut data, iv).ok()?;
        let mut mac = Hmac::<Sha256>::new_from_slice(&key).ok()?;
        mac.update(&data);
        Some(json!({
            "data": STANDARD.encode(&data), "dataKey": STANDARD.encode(wrapped),
            "dataSignature": STANDARD.encode(mac.finalize().into_bytes()),
            "encryptionCertificateId": self.id, "encryptionCertificateThumbprint": self.thumbprint,
        }))
    }
}
