//! Every partner's two keys, and how they end.
//!
//! | key | makes | after its destruction |
//! |---|---|---|
//! | for pseudonyms | the ledger's keyed hashes | the ledger still verifies, and no entry can be traced to anybody |
//! | for content | what is held, sealed | what was sealed cannot be read, wherever copies of it are |
//!
//! Both begin as a file of 32 bytes in a [`KeyRing`]. Content is sealed with a data key, which is in the store only wrapped:
//! by the hub's own key and by the partner's file together. So neither the store nor the files alone open anything; and
//! destroying one small file ends it for good, also where the store's file system keeps old blocks.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{Key, KeyInit, XChaCha20Poly1305, XNonce};
use hmac::{Hmac, Mac as _};
use sha2::Sha256;
use viaduct_audit::{Action, Entry, KeyRing, Tag};
use viaduct_model::{Content, Entropy, NetworkName, Person, PersonId, Timestamp};
use viaduct_store::Store;
use zeroize::Zeroizing;

use crate::step::{OWNER, Recorder, Step, raw};
use crate::{GovernanceError, PartnerName};

/// Bytes of a key.
const KEY: usize = 32;
/// Bytes of a nonce.
const NONCE: usize = 24;
/// Where the wrapped data keys are in the store.
const PREFIX: &str = "key/";

/// The hub's own key. Keep it in a file of its own (mode 0600), apart from the store and its backups.
#[derive(Clone)]
pub struct HubKey(Zeroizing<[u8; KEY]>);

impl fmt::Debug for HubKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HubKey(…)")
    }
}

impl HubKey {
    /// Makes a new key.
    pub fn generate(entropy: &dyn Entropy) -> Self {
        let mut key = Zeroizing::new([0; KEY]);
        entropy.fill(key.as_mut());
        Self(key)
    }

    /// Reads the text that [`HubKey::secret`] gives.
    ///
    /// # Errors
    ///
    /// If it is anything else than 64 hexadecimal digits.
    pub fn from_secret(text: &str) -> Result<Self, GovernanceError> {
        let bad = || GovernanceError::invalid("the hub's key is not 64 hexadecimal digits");
        let digits: Option<Vec<u8>> = text
            .trim()
            .chars()
            .map(|c| u8::try_from(c.to_digit(16)?).ok())
            .collect();
        let digits = Zeroizing::new(digits.ok_or_else(bad)?);
        if digits.len() != 2 * KEY {
            return Err(bad());
        }
        let mut key = Zeroizing::new([0; KEY]);
        for (byte, pair) in key.iter_mut().zip(digits.chunks(2)) {
            *byte = pair.iter().fold(0, |sum, digit| sum << 4 | digit);
        }
        Ok(Self(key))
    }

    /// The key as text, for a key file.
    pub fn secret(&self) -> Zeroizing<String> {
        let digit = |nibble: u8| char::from_digit(u32::from(nibble), 16).unwrap_or('0');
        Zeroizing::new(
            self.0
                .iter()
                .flat_map(|byte| [digit(byte >> 4), digit(byte & 15)])
                .collect(),
        )
    }
}

/// The keys of all partners, and of the own organisation under [`PartnerName::own`].
pub struct Keys {
    store: Arc<dyn Store>,
    entropy: Arc<dyn Entropy>,
    hub: HubKey,
    pseudonyms: Mutex<KeyRing>,
    content: Mutex<KeyRing>,
    data: RwLock<BTreeMap<PartnerName, Zeroizing<Vec<u8>>>>,
    /// Keys are made and destroyed one at a time.
    changing: tokio::sync::Mutex<()>,
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys").finish_non_exhaustive()
    }
}

impl Keys {
    /// Takes both rings (of two different folders) and unwraps the data keys in the store.
    ///
    /// # Errors
    ///
    /// When the store fails, or a data key does not open with this hub key.
    pub async fn open(
        store: Arc<dyn Store>,
        entropy: Arc<dyn Entropy>,
        hub: HubKey,
        pseudonyms: KeyRing,
        content: KeyRing,
    ) -> Result<Self, GovernanceError> {
        let keys = Self {
            store,
            entropy,
            hub,
            pseudonyms: Mutex::new(pseudonyms),
            content: Mutex::new(content),
            data: RwLock::default(),
            changing: tokio::sync::Mutex::default(),
        };
        for (key, wrapped) in keys.store.state_scan(OWNER, PREFIX).await? {
            let name = key.strip_prefix(PREFIX).and_then(|name| PartnerName::new(name).ok());
            let Some(name) = name else { continue };
            match keys.wrapping(&name) {
                Ok(wrapping) => {
                    let data = Zeroizing::new(open_with(&wrapping, &name, "data key", &wrapped)?);
                    keys.data_mut().insert(name, data);
                }
                // The file was destroyed, and the hub killed before it removed what is of no use any more.
                Err(GovernanceError::Ledger(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(keys)
    }

    fn data_mut(&self) -> std::sync::RwLockWriteGuard<'_, BTreeMap<PartnerName, Zeroizing<Vec<u8>>>> {
        self.data.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes the keys that a partner does not have yet.
    ///
    /// # Errors
    ///
    /// When a file cannot be written or the store fails.
    pub async fn ensure(
        &self,
        partner: &PartnerName,
        recorder: &dyn Recorder,
        now: Timestamp,
    ) -> Result<(), GovernanceError> {
        let changing = self.changing.lock().await;
        let mut step = Step::default();
        if let Some(name) = ring(&self.pseudonyms).ensure(partner.as_str(), &*self.entropy)? {
            step.entries
                .push(noted(Action::KeyMade, partner, &format!("pseudonyms {name}"), now));
        }
        let has = self
            .data
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .contains_key(partner);
        let mut made = None;
        if !has {
            ring(&self.content).ensure(partner.as_str(), &*self.entropy)?;
            let mut data = Zeroizing::new(vec![0; KEY]);
            self.entropy.fill(&mut data);
            let wrapped = self.seal_with(&self.wrapping(partner)?, partner, "data key", &data)?;
            step.ops.push(raw(&format!("{PREFIX}{partner}"), Some(wrapped)));
            step.entries.push(noted(Action::KeyMade, partner, "content", now));
            made = Some(data);
        }
        recorder.commit(step).await?;
        if let Some(data) = made {
            self.data_mut().insert(partner.clone(), data);
        }
        drop(changing);
        Ok(())
    }

    /// Destroys a partner's content key: what was sealed with it can never be read again. Without effect when there is none.
    ///
    /// # Errors
    ///
    /// When the file cannot be removed or the store fails; then it can simply be called again.
    pub async fn destroy_content(
        &self,
        partner: &PartnerName,
        recorder: &dyn Recorder,
        now: Timestamp,
    ) -> Result<(), GovernanceError> {
        let changing = self.changing.lock().await;
        let gone = ring(&self.content).destroy(partner.as_str())?;
        let had = self.data_mut().remove(partner).is_some();
        let key = format!("{PREFIX}{partner}");
        let mut step = Step::default();
        if gone.is_some() || had || self.store.state(OWNER, &key).await?.is_some() {
            step.ops.push(raw(&key, None));
            step.entries.push(noted(Action::KeyDestroyed, partner, "content", now));
        }
        recorder.commit(step).await?;
        drop(changing);
        Ok(())
    }

    /// Destroys a partner's key for pseudonyms: the ledger's entries about them can never be traced to people again.
    ///
    /// # Errors
    ///
    /// When the file cannot be removed or the store fails; then it can simply be called again.
    pub async fn destroy_pseudonyms(
        &self,
        partner: &PartnerName,
        recorder: &dyn Recorder,
        now: Timestamp,
    ) -> Result<(), GovernanceError> {
        let changing = self.changing.lock().await;
        let gone = ring(&self.pseudonyms).destroy(partner.as_str())?;
        if let Some(name) = gone {
            let entry = noted(Action::KeyDestroyed, partner, &format!("pseudonyms {name}"), now);
            recorder.commit(Step::entry(entry)).await?;
        }
        drop(changing);
        Ok(())
    }

    /// Whether a partner's key for pseudonyms is there.
    pub fn has_pseudonyms(&self, partner: &PartnerName) -> bool {
        self.operator_under(partner, "@probe").is_some()
    }

    /// Somebody's pseudonym in the ledger; none if the partner has no key any more.
    pub fn person(&self, partner: &PartnerName, person: &Person) -> Option<Tag> {
        self.tag(partner, &person.network, &person.id)
    }

    /// The pseudonym of a person of whom only network and id are known.
    pub fn tag(&self, partner: &PartnerName, network: &NetworkName, id: &PersonId) -> Option<Tag> {
        ring(&self.pseudonyms).person(partner.as_str(), network, id).ok()
    }

    /// The keyed hash of a content; none if the partner has no key any more.
    pub fn content(&self, partner: &PartnerName, content: &Content) -> Option<Tag> {
        ring(&self.pseudonyms).content(partner.as_str(), content).ok()
    }

    /// The pseudonym of somebody of the own organisation who does something: their Matrix user id.
    pub fn operator(&self, user: &str) -> Option<Tag> {
        self.operator_under(&PartnerName::own(), user)
    }

    fn operator_under(&self, partner: &PartnerName, user: &str) -> Option<Tag> {
        self.tag(partner, &NetworkName::matrix(), &PersonId::new(user).ok()?)
    }

    /// Seals bytes for a partner. `label` says what they are; they open under the same label only.
    ///
    /// # Errors
    ///
    /// [`GovernanceError::NoKey`] if the partner has no key; see [`Keys::ensure`].
    pub fn seal(&self, partner: &PartnerName, label: &str, bytes: &[u8]) -> Result<Vec<u8>, GovernanceError> {
        let key = self.data_key(partner)?;
        self.seal_with(&key, partner, label, bytes)
    }

    /// Opens what was sealed.
    ///
    /// # Errors
    ///
    /// [`GovernanceError::NoKey`] if the key is gone, [`GovernanceError::Sealed`] if the bytes or the label are not those.
    pub fn open_sealed(
        &self,
        partner: &PartnerName,
        label: &str,
        sealed: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, GovernanceError> {
        let key = self.data_key(partner)?;
        open_with(&key, partner, label, sealed).map(Zeroizing::new)
    }

    fn data_key(&self, partner: &PartnerName) -> Result<Zeroizing<Vec<u8>>, GovernanceError> {
        let data = self.data.read().unwrap_or_else(PoisonError::into_inner);
        data.get(partner)
            .cloned()
            .ok_or_else(|| GovernanceError::NoKey(partner.clone()))
    }

    /// What a partner's data key is wrapped with: a keyed hash, with the hub's key, of what only the partner's file gives.
    fn wrapping(&self, partner: &PartnerName) -> Result<Zeroizing<Vec<u8>>, GovernanceError> {
        let purpose = PersonId::new("data key").map_err(|error| GovernanceError::invalid(error.to_string()))?;
        let secret = ring(&self.content).person(partner.as_str(), &NetworkName::matrix(), &purpose)?;
        let mac = <Hmac<Sha256> as hmac::Mac>::new_from_slice(self.hub.0.as_ref());
        let mac = mac.map_err(|_| GovernanceError::NoKey(partner.clone()))?;
        let secret = Zeroizing::new(secret.to_string());
        Ok(Zeroizing::new(
            mac.chain_update(secret.as_bytes()).finalize().into_bytes().to_vec(),
        ))
    }

    fn seal_with(
        &self,
        key: &[u8],
        partner: &PartnerName,
        label: &str,
        bytes: &[u8],
    ) -> Result<Vec<u8>, GovernanceError> {
        let mut nonce = [0; NONCE];
        self.entropy.fill(&mut nonce);
        let about = about(partner, label);
        let payload = Payload {
            msg: bytes,
            aad: about.as_bytes(),
        };
        let sealed = cipher(key, partner)?.encrypt(XNonce::from_slice(&nonce), payload);
        let sealed = sealed.map_err(|_| GovernanceError::Sealed(partner.clone()))?;
        Ok([&nonce[..], &sealed].concat())
    }
}

fn open_with(key: &[u8], partner: &PartnerName, label: &str, sealed: &[u8]) -> Result<Vec<u8>, GovernanceError> {
    let wrong = || GovernanceError::Sealed(partner.clone());
    let (nonce, sealed) = sealed.split_at_checked(NONCE).ok_or_else(wrong)?;
    let about = about(partner, label);
    let payload = Payload {
        msg: sealed,
        aad: about.as_bytes(),
    };
    cipher(key, partner)?
        .decrypt(XNonce::from_slice(nonce), payload)
        .map_err(|_| wrong())
}

fn cipher(key: &[u8], partner: &PartnerName) -> Result<XChaCha20Poly1305, GovernanceError> {
    if key.len() == KEY {
        Ok(XChaCha20Poly1305::new(Key::from_slice(key)))
    } else {
        Err(GovernanceError::Sealed(partner.clone()))
    }
}

/// What is authenticated beside the bytes. A partner's name has no line feed, so no two pairs give the same.
fn about(partner: &PartnerName, label: &str) -> String {
    format!("viaduct\n{partner}\n{label}")
}

fn ring(ring: &Mutex<KeyRing>) -> MutexGuard<'_, KeyRing> {
    ring.lock().unwrap_or_else(PoisonError::into_inner)
}

fn noted(action: Action, partner: &PartnerName, what: &str, now: Timestamp) -> Entry {
    let mut entry = Entry::new(now, action);
    entry.partner = Some(partner.to_string());
    entry.reason = Some(what.to_owned());
    entry
}
