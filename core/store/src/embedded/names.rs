//! Mirrors, places and owners as numbers, so that keys stay short.

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use sled::IVec;
use viaduct_model::{MirrorName, Place};

use super::large::Get;
use super::layout::{self, Number, garbled, table};
use super::overlay::Overlay;
use crate::api::StoreError;

/// How many names are remembered before all are forgotten and read anew.
const CACHE_BOUND: usize = 16 * 1024;
/// The longest name that stands in a key as it is.
const INLINE: usize = 64;

/// What a number stands for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Name {
    Mirror(MirrorName),
    Place(Place),
    Owner(String),
}

/// The names read so far. Holds only what is in the tree, never what is about to be written.
#[derive(Debug, Default)]
pub(crate) struct Names {
    numbers: RwLock<HashMap<IVec, Number>>,
    names: RwLock<HashMap<Number, Name>>,
}

fn key(kind: u8, parts: [&str; 2]) -> IVec {
    let mut text = Vec::with_capacity(3 + parts.iter().map(|part| part.len()).sum::<usize>());
    text.extend_from_slice(&[table::NUMBER, kind]);
    text.extend_from_slice(parts[0].as_bytes());
    // No network's name contains a zero byte, so that the two parts of a place cannot be mistaken.
    text.push(0);
    text.extend_from_slice(parts[1].as_bytes());
    if text.len() > INLINE {
        let digest = Sha256::digest(&text);
        text.truncate(2);
        // Likewise no name starts with 0xff.
        text.push(0xff);
        text.extend_from_slice(&digest);
    }
    IVec::from(text)
}

fn mirror_key(mirror: &MirrorName) -> IVec {
    key(b'm', [mirror.as_str(), ""])
}

fn place_key(place: &Place) -> IVec {
    key(b'p', [place.network.as_str(), place.channel.as_str()])
}

fn owner_key(owner: &str) -> IVec {
    key(b'o', ["", owner])
}

impl Names {
    pub(crate) fn mirror(&self, tree: &sled::Tree, mirror: &MirrorName) -> Result<Option<Number>, StoreError> {
        self.find(tree, &mirror_key(mirror))
    }

    pub(crate) fn place(&self, tree: &sled::Tree, place: &Place) -> Result<Option<Number>, StoreError> {
        self.find(tree, &place_key(place))
    }

    pub(crate) fn owner(&self, tree: &sled::Tree, owner: &str) -> Result<Option<Number>, StoreError> {
        self.find(tree, &owner_key(owner))
    }

    pub(crate) fn intern_mirror(&self, overlay: &mut Overlay<'_>, mirror: &MirrorName) -> Result<Number, StoreError> {
        self.intern(overlay, mirror_key(mirror), || Name::Mirror(mirror.clone()))
    }

    pub(crate) fn intern_place(&self, overlay: &mut Overlay<'_>, place: &Place) -> Result<Number, StoreError> {
        self.intern(overlay, place_key(place), || Name::Place(place.clone()))
    }

    pub(crate) fn intern_owner(&self, overlay: &mut Overlay<'_>, owner: &str) -> Result<Number, StoreError> {
        self.intern(overlay, owner_key(owner), || Name::Owner(owner.to_owned()))
    }

    /// The mirror a number stands for.
    pub(crate) fn mirror_of(&self, tree: &sled::Tree, number: Number) -> Result<MirrorName, StoreError> {
        match self.name_of(tree, number)? {
            Name::Mirror(mirror) => Ok(mirror),
            _ => Err(garbled()),
        }
    }

    /// The place a number stands for.
    pub(crate) fn place_of(&self, tree: &sled::Tree, number: Number) -> Result<Place, StoreError> {
        match self.name_of(tree, number)? {
            Name::Place(place) => Ok(place),
            _ => Err(garbled()),
        }
    }

    /// Forgets everything, when the tree has been replaced.
    pub(crate) fn clear(&self) {
        self.numbers.write().unwrap_or_else(PoisonError::into_inner).clear();
        self.names.write().unwrap_or_else(PoisonError::into_inner).clear();
    }

    fn find(&self, tree: &sled::Tree, key: &IVec) -> Result<Option<Number>, StoreError> {
        if let Some(number) = self.numbers.read().unwrap_or_else(PoisonError::into_inner).get(key) {
            return Ok(Some(*number));
        }
        let Some(bytes) = tree.value(key)? else { return Ok(None) };
        let number = decode(&bytes)?;
        let mut numbers = self.numbers.write().unwrap_or_else(PoisonError::into_inner);
        if numbers.len() >= CACHE_BOUND {
            numbers.clear();
        }
        numbers.insert(key.clone(), number);
        Ok(Some(number))
    }

    fn intern(&self, overlay: &mut Overlay<'_>, key: IVec, name: impl FnOnce() -> Name) -> Result<Number, StoreError> {
        if let Some(number) = self.find(overlay.tree(), &key)? {
            return Ok(number);
        }
        if let Some(bytes) = overlay.value(&key)? {
            return decode(&bytes);
        }
        let next = overlay.next(layout::LAST_NAME)?;
        let number = Number::try_from(next).map_err(|_| StoreError::Full)?;
        let name = serde_json::to_vec(&name()).map_err(|_| garbled())?;
        overlay.put(key, layout::encode_number(next));
        overlay.put(layout::name(number), IVec::from(name));
        Ok(number)
    }

    fn name_of(&self, tree: &sled::Tree, number: Number) -> Result<Name, StoreError> {
        if let Some(name) = self.names.read().unwrap_or_else(PoisonError::into_inner).get(&number) {
            return Ok(name.clone());
        }
        let bytes = tree.value(&layout::name(number))?.ok_or_else(garbled)?;
        let name: Name = serde_json::from_slice(&bytes).map_err(|_| garbled())?;
        let mut names = self.names.write().unwrap_or_else(PoisonError::into_inner);
        if names.len() >= CACHE_BOUND {
            names.clear();
        }
        names.insert(number, name.clone());
        Ok(name)
    }
}

fn decode(bytes: &[u8]) -> Result<Number, StoreError> {
    Number::try_from(layout::decode_number(bytes)?).map_err(|_| garbled())
}
