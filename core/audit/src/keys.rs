//! Keyed hashes: they link entries to contents and people for as long as their key exists, and mean nothing afterwards.
//!
//! A plain hash of a short message can be guessed by trying all short messages. So each partner has a key, kept in a folder of
//! its own and never in the ledger. Once the key is destroyed nobody can tell any more whose or what a [`Tag`] was; the
//! Merkle tree covers the tag's bytes and still verifies.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use hmac::{Hmac, Mac as _};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use viaduct_model::{Content, Entropy, IdError, NetworkName, PersonId};
use zeroize::Zeroizing;

use crate::LedgerError;
use crate::text::{hex, unhex};

/// A keyed hash and the name of its key, written as `acme.1:0123…`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Tag(String);

impl Tag {
    /// The name of its key, such as `acme.1`.
    pub fn key(&self) -> &str {
        self.0.split_once(':').map_or("", |(key, _)| key)
    }

    /// Takes a tag as it was written, to search for it.
    pub fn from_text(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One key: whose, the how manieth of theirs, and the hash that has taken its bytes in.
struct Key {
    name: String,
    keyed: Hmac<Sha256>,
}

impl Key {
    fn new(name: &str, bytes: &[u8]) -> Result<Self, LedgerError> {
        let keyed = Hmac::new_from_slice(bytes).map_err(|_| LedgerError::NoKey(name.to_owned()))?;
        Ok(Self {
            name: name.to_owned(),
            keyed,
        })
    }

    fn tag(&self, purpose: &str, data: &[&[u8]]) -> Tag {
        let mut mac = self.keyed.clone().chain_update(purpose).chain_update([0]);
        for part in data {
            mac.update(part);
        }
        let hash = hex(&mac.finalize().into_bytes());
        let mut tag = String::with_capacity(self.name.len() + 1 + hash.len());
        for part in [&*self.name, ":", &hash] {
            tag.push_str(part);
        }
        Tag(tag)
    }
}

/// The keys of all partners, in a folder. The files are readable by the hub's own user only.
pub struct KeyRing {
    folder: PathBuf,
    /// By owner; each has at most one key that is not destroyed.
    keys: BTreeMap<String, Key>,
    /// By owner: the number of the last key they had.
    numbers: BTreeMap<String, u32>,
}

impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyRing")
            .field("folder", &self.folder)
            .finish_non_exhaustive()
    }
}

impl KeyRing {
    /// Reads all keys in a folder, which is made if need be.
    pub fn open(folder: &Path) -> Result<Self, LedgerError> {
        fs::create_dir_all(folder).map_err(LedgerError::io(folder))?;
        let mut ring = Self {
            folder: folder.to_owned(),
            keys: BTreeMap::new(),
            numbers: BTreeMap::new(),
        };
        for file in fs::read_dir(folder).map_err(LedgerError::io(folder))? {
            let path = file.map_err(LedgerError::io(folder))?.path();
            ring.read(&path)?;
        }
        Ok(ring)
    }

    fn read(&mut self, path: &Path) -> Result<(), LedgerError> {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let Some((name, state)) = name.rsplit_once('.') else {
            return Ok(());
        };
        let Some((owner, number)) = name.split_once('.') else {
            return Ok(());
        };
        let Ok(number) = number.parse::<u32>() else {
            return Ok(());
        };
        let last = self.numbers.entry(owner.to_owned()).or_default();
        *last = number.max(*last);
        if state == "key" {
            let text = Zeroizing::new(fs::read_to_string(path).map_err(LedgerError::io(path))?);
            let bytes = unhex(text.trim()).filter(|bytes| bytes.len() == 32);
            let bytes = bytes.ok_or_else(|| LedgerError::damaged(path, "not 32 bytes in hexadecimal"))?;
            self.keys
                .insert(owner.to_owned(), Key::new(name, &Zeroizing::new(bytes))?);
        }
        Ok(())
    }

    fn path(&self, name: &str, state: &str) -> PathBuf {
        self.folder.join(format!("{name}.{state}"))
    }

    /// Makes a key for an owner who has none, and gives its name; `None` if there is one already. Note it in the ledger
    /// ([`Action::KeyMade`](crate::Action::KeyMade)).
    ///
    /// # Errors
    ///
    /// If the owner's name is not one of lower-case letters, digits and `-`, or the file cannot be written.
    pub fn ensure(&mut self, owner: &str, entropy: &dyn Entropy) -> Result<Option<String>, LedgerError> {
        if self.keys.contains_key(owner) {
            return Ok(None);
        }
        let wrong = |error: IdError| LedgerError::note(format!("{owner:?} cannot own a key: {error}"));
        NetworkName::new(owner).map_err(wrong)?;
        let number = self.numbers.get(owner).copied().unwrap_or(0).saturating_add(1);
        let name = format!("{owner}.{number}");
        let mut bytes = Zeroizing::new(vec![0; 32]);
        entropy.fill(&mut bytes);
        let path = self.path(&name, "key");
        let mut options = OpenOptions::new();
        let mut file = options
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)
            .map_err(LedgerError::io(&path))?;
        let text = Zeroizing::new(hex(&bytes));
        file.write_all(text.as_bytes())
            .and_then(|()| file.sync_all())
            .map_err(LedgerError::io(&path))?;
        sync_folder(&self.folder)?;
        self.numbers.insert(owner.to_owned(), number);
        self.keys.insert(owner.to_owned(), Key::new(&name, &bytes)?);
        Ok(Some(name))
    }

    /// Destroys an owner's key, and gives its name; `None` if they have none. Its file is overwritten and removed; where the
    /// device keeps old blocks (flash, snapshots, backups) those must be destroyed there. A later key gets another name.
    pub fn destroy(&mut self, owner: &str) -> Result<Option<String>, LedgerError> {
        let Some(key) = self.keys.remove(owner) else {
            return Ok(None);
        };
        let path = self.path(&key.name, "key");
        let mut file = OpenOptions::new()
            .write(true)
            .open(&path)
            .map_err(LedgerError::io(&path))?;
        file.write_all(&[b'0'; 64])
            .and_then(|()| file.sync_all())
            .map_err(LedgerError::io(&path))?;
        // What is left says only that this name was used.
        let gone = self.path(&key.name, "destroyed");
        file.set_len(0)
            .and_then(|()| fs::rename(&path, &gone))
            .map_err(LedgerError::io(&gone))?;
        sync_folder(&self.folder)?;
        Ok(Some(key.name.clone()))
    }

    /// A person's pseudonym.
    pub fn person(&self, owner: &str, network: &NetworkName, person: &PersonId) -> Result<Tag, LedgerError> {
        // A network's name holds no zero byte, so no two pairs give the same bytes.
        let data = [network.as_str().as_bytes(), &[0], person.as_str().as_bytes()];
        Ok(self.key(owner)?.tag("person", &data))
    }

    /// The keyed hash of a content, over its JSON.
    pub fn content(&self, owner: &str, content: &Content) -> Result<Tag, LedgerError> {
        let data = serde_json::to_vec(content).map_err(|error| LedgerError::note(error.to_string()))?;
        Ok(self.key(owner)?.tag("content", &[&data]))
    }

    fn key(&self, owner: &str) -> Result<&Key, LedgerError> {
        self.keys.get(owner).ok_or_else(|| LedgerError::NoKey(owner.to_owned()))
    }
}

/// Makes names in a folder durable.
pub(crate) fn sync_folder(folder: &Path) -> Result<(), LedgerError> {
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(LedgerError::io(folder))
}

#[cfg(test)]
mod tests {
    use viaduct_model::Message;

    use super::*;
    use crate::testing::Chance;

    fn content(text: &str) -> Content {
        Content::Message(Message::plain(text))
    }

    #[test]
    fn a_tag_links_until_its_key_is_destroyed() {
        let folder = tempfile::tempdir().unwrap();
        let mut ring = KeyRing::open(folder.path()).unwrap();
        assert_eq!(
            ring.content("acme", &content("yes")),
            Err(LedgerError::NoKey("acme".to_owned()))
        );
        assert_eq!(ring.ensure("acme", &Chance).unwrap().as_deref(), Some("acme.1"));
        assert_eq!(ring.ensure("acme", &Chance).unwrap(), None);
        ring.ensure("other", &Chance).unwrap();
        let tag = ring.content("acme", &content("yes")).unwrap();
        assert_eq!(tag.key(), "acme.1");

        // It survives a restart, and depends on content, purpose and key.
        let mut ring = KeyRing::open(folder.path()).unwrap();
        assert_eq!(ring.content("acme", &content("yes")).unwrap(), tag);
        assert_ne!(ring.content("acme", &content("no")).unwrap(), tag);
        let network = NetworkName::new("acme").unwrap();
        let person = ring.person("acme", &network, &PersonId::new("yes").unwrap()).unwrap();
        assert_ne!(person, tag);

        assert_eq!(ring.destroy("acme").unwrap().as_deref(), Some("acme.1"));
        assert_eq!(ring.destroy("acme").unwrap(), None);
        assert!(ring.content("acme", &content("yes")).is_err());
        let mut ring = KeyRing::open(folder.path()).unwrap();
        assert!(ring.content("acme", &content("yes")).is_err());
        assert!(ring.content("other", &content("yes")).is_ok());
        let left: Vec<u8> = fs::read(folder.path().join("acme.1.destroyed")).unwrap();
        assert!(left.is_empty());

        // A later key has another name, and other tags.
        assert_eq!(
            ring.ensure("acme", &crate::testing::Other).unwrap().as_deref(),
            Some("acme.2")
        );
        assert_ne!(ring.content("acme", &content("yes")).unwrap(), tag);
    }

    #[test]
    fn owners_cannot_name_paths() {
        let folder = tempfile::tempdir().unwrap();
        let mut ring = KeyRing::open(folder.path()).unwrap();
        for owner in ["../x", "", "a.b", "A", "a/b"] {
            assert!(ring.ensure(owner, &Chance).is_err(), "{owner:?}");
        }
    }
}
