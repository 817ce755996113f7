//! Signed notes (C2SP `signed-note`, `tlog-checkpoint` and `tlog-cosignature`): short texts with Ed25519 signatures that
//! common tools can check.

use std::fmt;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use sha2::{Digest, Sha256};
use viaduct_model::{Entropy, Timestamp};
use zeroize::Zeroizing;

use crate::LedgerError;
use crate::merkle::Hash;
use crate::text::{hex, unhex};

/// The largest note, in bytes.
const NOTE_BOUND: usize = 64 * 1024;
/// The kind of an ordinary Ed25519 signature.
const PLAIN: u8 = 1;
/// The kind of a witness's cosignature.
const COSIGNED: u8 = 4;
/// What a signature line starts with: an em dash and a space.
const DASH: &str = "\u{2014} ";

fn check_name(name: &str) -> Result<(), LedgerError> {
    if name.is_empty() || name.contains(|c: char| c.is_whitespace() || c.is_control() || c == '+') {
        return Err(LedgerError::note(format!(
            "{name:?} is no name for a key: it must have no spaces and no '+'"
        )));
    }
    Ok(())
}

/// The first four bytes of the hash of name and key: tells keys of one name apart.
fn key_id(name: &str, kind: u8, key: &VerifyingKey) -> [u8; 4] {
    let hash = Sha256::new()
        .chain_update(name)
        .chain_update([b'\n', kind])
        .chain_update(key.as_bytes())
        .finalize();
    let mut id = [0; 4];
    id.iter_mut().zip(hash).for_each(|(target, byte)| *target = byte);
    id
}

/// A name and a private key.
#[derive(Clone)]
pub struct Signer {
    name: String,
    key: SigningKey,
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signer")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl Signer {
    /// Makes a new key.
    pub fn generate(name: &str, entropy: &dyn Entropy) -> Result<Self, LedgerError> {
        check_name(name)?;
        let mut seed = Zeroizing::new([0; 32]);
        entropy.fill(seed.as_mut());
        Ok(Self {
            name: name.to_owned(),
            key: SigningKey::from_bytes(&seed),
        })
    }

    /// Reads the text that [`Signer::secret`] gives.
    pub fn from_secret(text: &str) -> Result<Self, LedgerError> {
        let bad = || LedgerError::note("this is not a signing key (PRIVATE+KEY+name+id+key)");
        let rest = text.trim().strip_prefix("PRIVATE+KEY+").ok_or_else(bad)?;
        let (name, id, key) = three(rest).ok_or_else(bad)?;
        check_name(name)?;
        let bytes = Zeroizing::new(STANDARD.decode(key).map_err(|_| bad())?);
        let Some((&PLAIN, seed)) = bytes.split_first() else {
            return Err(bad());
        };
        let seed = Zeroizing::new(<[u8; 32]>::try_from(seed).map_err(|_| bad())?);
        let key = SigningKey::from_bytes(&seed);
        if unhex(id).as_deref() != Some(&key_id(name, PLAIN, &key.verifying_key())) {
            return Err(bad());
        }
        Ok(Self {
            name: name.to_owned(),
            key,
        })
    }

    /// Reads a key file.
    pub fn load(path: &Path) -> Result<Self, LedgerError> {
        let text = Zeroizing::new(std::fs::read_to_string(path).map_err(LedgerError::io(path))?);
        Self::from_secret(&text)
    }

    /// The private key as text, for a key file. Keep it away from the ledger.
    pub fn secret(&self) -> Zeroizing<String> {
        let mut bytes = Zeroizing::new(vec![PLAIN]);
        bytes.extend_from_slice(self.key.as_bytes());
        let id = hex(&key_id(&self.name, PLAIN, &self.key.verifying_key()));
        Zeroizing::new(format!("PRIVATE+KEY+{}+{id}+{}", self.name, STANDARD.encode(&*bytes)))
    }

    /// What others check signatures with.
    pub fn verifier(&self) -> Verifier {
        Verifier {
            name: self.name.clone(),
            key: self.key.verifying_key(),
        }
    }

    /// Signs a text, which has to end with a line feed.
    pub fn sign(&self, text: &str) -> Result<String, LedgerError> {
        check_text(text)?;
        let signature = self.key.sign(text.as_bytes()).to_bytes();
        let key = self.key.verifying_key();
        Ok(format!(
            "{text}\n{}",
            signature_line(&self.name, key_id(&self.name, PLAIN, &key), &[&signature])
        ))
    }

    /// Adds a witness's cosignature to a checkpoint that was checked to continue the last one seen.
    pub fn cosign(&self, note: &str, at: Timestamp) -> Result<String, LedgerError> {
        let (text, _) = split(note)?;
        let seconds = at.as_millis() / 1000;
        let signature = self.key.sign(cosigned(text, seconds).as_bytes()).to_bytes();
        let id = key_id(&self.name, COSIGNED, &self.key.verifying_key());
        Ok(format!(
            "{note}{}",
            signature_line(&self.name, id, &[&seconds.to_be_bytes(), &signature])
        ))
    }
}

fn signature_line(name: &str, id: [u8; 4], parts: &[&[u8]]) -> String {
    let bytes = [&id[..], &parts.concat()].concat();
    format!("{DASH}{name} {}\n", STANDARD.encode(bytes))
}

/// What a witness signs.
fn cosigned(text: &str, seconds: u64) -> String {
    format!("cosignature/v1\ntime {seconds}\n{text}")
}

fn three(text: &str) -> Option<(&str, &str, &str)> {
    let (first, rest) = text.split_once('+')?;
    let (second, third) = rest.split_once('+')?;
    Some((first, second, third))
}

fn check_text(text: &str) -> Result<(), LedgerError> {
    let control = |c: char| c.is_control() && c != '\n';
    if !text.ends_with('\n') || text.contains(control) || text.len() > NOTE_BOUND {
        return Err(LedgerError::note(
            "a note must end with a line feed and hold no other control characters",
        ));
    }
    Ok(())
}

/// A note's text (with its last line feed) and its signature lines.
fn split(note: &str) -> Result<(&str, &str), LedgerError> {
    let bad = || LedgerError::note("this is not a signed note");
    check_text(note)?;
    let (text, signatures) = note.rsplit_once("\n\n").ok_or_else(bad)?;
    // The line feed that ends the text is the first of the two.
    let text = note.get(..=text.len()).ok_or_else(bad)?;
    Ok((text, signatures))
}

/// A name and a public key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verifier {
    name: String,
    key: VerifyingKey,
}

impl fmt::Display for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = vec![PLAIN];
        bytes.extend_from_slice(self.key.as_bytes());
        write!(
            f,
            "{}+{}+{}",
            self.name,
            hex(&key_id(&self.name, PLAIN, &self.key)),
            STANDARD.encode(bytes)
        )
    }
}

impl Verifier {
    /// Reads a key as it is printed: `name+id+key`.
    pub fn parse(text: &str) -> Result<Self, LedgerError> {
        let bad = || LedgerError::note("this is not a public key (name+id+key)");
        let (name, id, key) = three(text.trim()).ok_or_else(bad)?;
        check_name(name)?;
        let bytes = STANDARD.decode(key).map_err(|_| bad())?;
        let Some((&PLAIN, key)) = bytes.split_first() else {
            return Err(bad());
        };
        let key = <[u8; 32]>::try_from(key).map_err(|_| bad())?;
        let key = VerifyingKey::from_bytes(&key).map_err(|_| bad())?;
        if unhex(id).as_deref() != Some(&key_id(name, PLAIN, &key)) {
            return Err(bad());
        }
        Ok(Self {
            name: name.to_owned(),
            key,
        })
    }

    /// The key's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Gives a note's text if this key signed it. Signatures of other keys are passed over.
    pub fn open<'n>(&self, note: &'n str) -> Result<&'n str, LedgerError> {
        let (text, signatures) = split(note)?;
        let found = self.signature(signatures, PLAIN)?;
        let valid = <[u8; 64]>::try_from(found.as_slice()).is_ok_and(|bytes| {
            self.key
                .verify_strict(text.as_bytes(), &Signature::from_bytes(&bytes))
                .is_ok()
        });
        if valid { Ok(text) } else { Err(self.forged()) }
    }

    /// Says when this key, as a witness's, cosigned a checkpoint.
    pub fn cosigned(&self, note: &str) -> Result<Timestamp, LedgerError> {
        let (text, signatures) = split(note)?;
        let found = self.signature(signatures, COSIGNED)?;
        let (time, signature) = found.split_at_checked(8).ok_or_else(|| self.forged())?;
        let seconds = u64::from_be_bytes(time.try_into().map_err(|_| self.forged())?);
        let signature = <[u8; 64]>::try_from(signature).map_err(|_| self.forged())?;
        self.key
            .verify_strict(cosigned(text, seconds).as_bytes(), &Signature::from_bytes(&signature))
            .map_err(|_| self.forged())?;
        Ok(Timestamp::from_secs(seconds))
    }

    fn forged(&self) -> LedgerError {
        LedgerError::note(format!("the signature of {} does not fit the text", self.name))
    }

    /// The bytes of this key's signature of a kind.
    fn signature(&self, lines: &str, kind: u8) -> Result<Vec<u8>, LedgerError> {
        let bad = || LedgerError::note("a line of the note is no signature");
        let id = key_id(&self.name, kind, &self.key);
        for line in lines.lines() {
            let (name, code) = line
                .strip_prefix(DASH)
                .and_then(|rest| rest.split_once(' '))
                .ok_or_else(bad)?;
            let bytes = STANDARD.decode(code).map_err(|_| bad())?;
            let (found, signature) = bytes.split_at_checked(4).ok_or_else(bad)?;
            if name == self.name && found == id {
                return Ok(signature.to_vec());
            }
        }
        Err(LedgerError::note(format!("the note is not signed by {}", self.name)))
    }
}

/// How large a ledger was and what its root was: the text of a signed checkpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// The ledger's name.
    pub origin: String,
    /// How many entries it had.
    pub size: u64,
    /// The root over them.
    pub root: Hash,
}

impl fmt::Display for Checkpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n{}\n{}\n", self.origin, self.size, STANDARD.encode(self.root))
    }
}

impl Checkpoint {
    /// Reads a checkpoint's text, strictly: printing it gives the same text again.
    pub fn parse(text: &str) -> Result<Self, LedgerError> {
        let bad = || LedgerError::note("this is not a checkpoint");
        let mut lines = text.lines();
        let origin = lines.next().ok_or_else(bad)?.to_owned();
        let size = lines.next().and_then(|line| line.parse().ok()).ok_or_else(bad)?;
        let root = lines
            .next()
            .and_then(|line| STANDARD.decode(line).ok())
            .ok_or_else(bad)?;
        let root = Hash::try_from(root).map_err(|_| bad())?;
        let checkpoint = Self { origin, size, root };
        if checkpoint.to_string() == text {
            Ok(checkpoint)
        } else {
            Err(bad())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Chance;

    /// The example of the C2SP specification.
    const KEY: &str = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k";
    const NOTE: &str = "This is an example message.\n\n\u{2014} example.com/foo \
        Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n";

    #[test]
    fn the_specifications_example_opens() {
        let key = Verifier::parse(KEY).unwrap();
        assert_eq!(key.to_string(), KEY);
        assert_eq!(key.open(NOTE).unwrap(), "This is an example message.\n");
        assert!(key.open(&NOTE.replace("example message", "other message")).is_err());
    }

    #[test]
    fn what_is_signed_opens_with_the_right_key_only() {
        let signer = Signer::generate("hub.example.org/ledger", &Chance).unwrap();
        let again = Signer::from_secret(&signer.secret()).unwrap();
        let note = again.sign("one\n\ntwo\n").unwrap();
        assert_eq!(signer.verifier().open(&note).unwrap(), "one\n\ntwo\n");
        let other = Signer::generate("else.example.org", &Chance).unwrap();
        assert!(other.verifier().open(&note).is_err());
        assert!(signer.sign("no line feed").is_err());
        assert!(Signer::generate("a b", &Chance).is_err());
        assert!(!format!("{signer:?}").contains("key:"));
    }

    #[test]
    fn a_witness_signs_beside() {
        let signer = Signer::generate("hub.example.org/ledger", &Chance).unwrap();
        let witness = Signer::generate("partner.example.net/witness", &Chance).unwrap();
        let checkpoint = Checkpoint {
            origin: "hub".to_owned(),
            size: 5,
            root: [7; 32],
        };
        let note = signer.sign(&checkpoint.to_string()).unwrap();
        let both = witness.cosign(&note, Timestamp::from_secs(1_700_000_000)).unwrap();
        assert_eq!(
            Checkpoint::parse(signer.verifier().open(&both).unwrap()),
            Ok(checkpoint)
        );
        assert_eq!(
            witness.verifier().cosigned(&both),
            Ok(Timestamp::from_secs(1_700_000_000))
        );
        assert!(witness.verifier().cosigned(&note).is_err());
        assert!(
            witness
                .verifier()
                .cosigned(&both.replace("hub\n5\n", "hub\n6\n"))
                .is_err()
        );
    }

    #[test]
    fn a_checkpoint_is_strict() {
        let text = Checkpoint {
            origin: "hub".to_owned(),
            size: 5,
            root: [7; 32],
        }
        .to_string();
        for bad in [
            text.replace('5', "05"),
            text.replace('5', "+5"),
            format!("{text}more\n"),
            "hub\n5\n".to_owned(),
        ] {
            assert!(Checkpoint::parse(&bad).is_err(), "{bad:?}");
        }
    }
}
