//! What notifications carry, readable only for us: a key wrapped for our certificate (RSA-OAEP with SHA-1), the content in
//! AES-256-CBC, and an HMAC-SHA-256 over it that is checked before anything is decrypted.
//!
//! Key and certificate are made for one run and never stored: what is sealed for an earlier run is found by the sweep.

use aws_lc_rs::cipher::{AES_256, DecryptionContext, PaddedBlockDecryptingKey, UnboundCipherKey};
use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::hmac;
use aws_lc_rs::iv::FixedLength;
use aws_lc_rs::rsa::{KeySize, OAEP_SHA1_MGF1SHA1, OaepPrivateDecryptingKey, PrivateDecryptingKey};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rcgen::{CertificateParams, DnType, KeyPair, PKCS_RSA_SHA256};
use rustls::pki_types::PrivatePkcs8KeyDer;
use serde_json::Value;

use super::json;

/// The largest content, in bytes of base64.
const CONTENT: usize = 1024 * 1024;
/// The length of the key within, in bytes.
const KEY: usize = 32;

/// A certificate of ours and its key.
pub struct Seal {
    key: OaepPrivateDecryptingKey,
    /// The certificate, as DER in base64.
    pub certificate: String,
}

impl Seal {
    /// A new certificate.
    ///
    /// # Errors
    ///
    /// Why there is none.
    pub fn new() -> Result<Self, String> {
        let failed = |what: &str| format!("the certificate for notifications: {what}");
        let key = PrivateDecryptingKey::generate(KeySize::Rsa2048).map_err(|_| failed("no key"))?;
        let der = AsDer::<Pkcs8V1Der<'_>>::as_der(&key).map_err(|_| failed("no key"))?;
        let pkcs8 = PrivatePkcs8KeyDer::from(der.as_ref());
        let pair = KeyPair::from_pkcs8_der_and_sign_algo(&pkcs8, &PKCS_RSA_SHA256);
        let pair = pair.map_err(|error| failed(&error.to_string()))?;
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "viaduct");
        let certificate = params.self_signed(&pair).map_err(|error| failed(&error.to_string()))?;
        Ok(Self {
            certificate: STANDARD.encode(certificate.der()),
            key: OaepPrivateDecryptingKey::new(key).map_err(|_| failed("the key does not decrypt"))?,
        })
    }

    /// Opens an `encryptedContent`; none if it is not for us, or anything about it is wrong.
    pub fn open(&self, content: &Value) -> Option<Value> {
        let bytes = |field: &str| {
            let text = json::text(content, &[field]).filter(|text| text.len() <= CONTENT)?;
            STANDARD.decode(text).ok()
        };
        let (wrapped, mut data, signature) = (bytes("dataKey")?, bytes("data")?, bytes("dataSignature")?);
        let mut out = vec![0; self.key.min_output_size()];
        let key = self.key.decrypt(&OAEP_SHA1_MGF1SHA1, &wrapped, &mut out, None).ok()?;
        if key.len() != KEY {
            return None;
        }
        hmac::verify(&hmac::Key::new(hmac::HMAC_SHA256, key), &data, &signature).ok()?;
        let start = DecryptionContext::Iv128(FixedLength::try_from(key.get(..16)?).ok()?);
        let cipher = PaddedBlockDecryptingKey::cbc_pkcs7(UnboundCipherKey::new(&AES_256, key).ok()?).ok()?;
        let plain = cipher.decrypt(&mut data, start).ok()?;
        serde_json::from_slice(plain).ok()
    }
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::cipher::{EncryptionContext, PaddedBlockEncryptingKey};
    use aws_lc_rs::rsa::{OaepPublicEncryptingKey, PublicEncryptingKey};
    use serde_json::json;

    use super::*;

    /// As Graph seals it.
    fn sealed(seal: &PublicEncryptingKey, content: &Value) -> Value {
        let key = [7_u8; KEY];
        let public = OaepPublicEncryptingKey::new(seal.clone()).unwrap();
        let mut wrapped = vec![0; public.ciphertext_size()];
        let wrapped = public
            .encrypt(&OAEP_SHA1_MGF1SHA1, &key, &mut wrapped, None)
            .unwrap()
            .to_vec();
        let mut data = content.to_string().into_bytes();
        let start = EncryptionContext::Iv128(FixedLength::try_from(&key[..16]).unwrap());
        let cipher = PaddedBlockEncryptingKey::cbc_pkcs7(UnboundCipherKey::new(&AES_256, &key).unwrap()).unwrap();
        cipher.less_safe_encrypt(&mut data, start).unwrap();
        let signature = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &key), &data);
        json!({"data": STANDARD.encode(&data), "dataKey": STANDARD.encode(wrapped),
               "dataSignature": STANDARD.encode(signature.as_ref())})
    }

    #[test]
    fn only_what_is_sealed_for_us_and_unchanged_is_opened() {
        let key = PrivateDecryptingKey::generate(KeySize::Rsa2048).unwrap();
        let public = key.public_key();
        let seal = Seal {
            key: OaepPrivateDecryptingKey::new(key).unwrap(),
            certificate: String::new(),
        };
        let content = json!({"id": "17", "body": {"content": "x".repeat(100)}});
        let good = sealed(&public, &content);
        assert_eq!(seal.open(&good), Some(content.clone()));
        for field in ["data", "dataKey", "dataSignature"] {
            let mut bad = good.clone();
            let mut bytes = STANDARD.decode(good[field].as_str().unwrap()).unwrap();
            bytes[3] ^= 1;
            bad[field] = json!(STANDARD.encode(bytes));
            assert_eq!(seal.open(&bad), None, "{field} changed");
            bad[field] = Value::Null;
            assert_eq!(seal.open(&bad), None, "{field} missing");
        }
        assert_eq!(Seal::new().unwrap().open(&good), None);
    }

    #[test]
    fn a_certificate_is_der_in_base64() {
        let der = STANDARD.decode(Seal::new().unwrap().certificate).unwrap();
        assert_eq!(der[0], 0x30);
        assert!(der.len() > 500);
    }
}
