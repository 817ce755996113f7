//! Values of any size within the bound, in parts that sled keeps in its log.
//!
//! sled puts what is larger than a quarter of a segment into a file of its own and never syncs that file. So a value of more
//! than [`CHUNK`] bytes is cut into parts, each under a key of its own, that become durable with everything else.

use sled::IVec;

use super::layout::{self, garbled};
use super::overlay::Overlay;
use crate::api::StoreError;

/// The largest part, in bytes.
pub(crate) const CHUNK: usize = 4096;

const WHOLE: u8 = 0;
const PARTS: u8 = 1;

/// Reads a key, from the tree or from what is about to be written over it.
pub(crate) trait Get {
    /// The value of a key.
    fn value(&self, key: &[u8]) -> Result<Option<IVec>, StoreError>;
}

impl Get for sled::Tree {
    fn value(&self, key: &[u8]) -> Result<Option<IVec>, StoreError> {
        self.get(key).map_err(super::failure)
    }
}

/// Sets a key to a value of any size; `id` numbers it if it has to be cut.
pub(crate) fn put(overlay: &mut Overlay<'_>, key: IVec, value: &[u8]) -> Result<(), StoreError> {
    remove_parts(overlay, &key)?;
    put_new(overlay, key, value)
}

/// As [`put`], for a key that is known to have no value yet.
pub(crate) fn put_new(overlay: &mut Overlay<'_>, key: IVec, value: &[u8]) -> Result<(), StoreError> {
    let mut head = Vec::with_capacity(value.len().min(CHUNK) + 16);
    if value.len() <= CHUNK {
        head.push(WHOLE);
        head.extend_from_slice(value);
    } else {
        let id = overlay.next(layout::LAST_CHUNKED)?;
        let mut count = 0_u32;
        for part in value.chunks(CHUNK) {
            overlay.put(layout::chunk(id, count), IVec::from(part));
            count += 1;
        }
        head.push(PARTS);
        head.extend_from_slice(&id.to_be_bytes());
        head.extend_from_slice(&count.to_be_bytes());
    }
    overlay.put(key, IVec::from(head));
    Ok(())
}

/// Removes a key and the parts of its value.
pub(crate) fn remove(overlay: &mut Overlay<'_>, key: IVec) -> Result<(), StoreError> {
    remove_parts(overlay, &key)?;
    overlay.remove(key);
    Ok(())
}

fn remove_parts(overlay: &mut Overlay<'_>, key: &[u8]) -> Result<(), StoreError> {
    let Some(head) = overlay.value(key)? else { return Ok(()) };
    if let Some((id, count)) = parts(&head)? {
        for part in 0..count {
            overlay.remove(layout::chunk(id, part));
        }
    }
    Ok(())
}

fn parts(head: &[u8]) -> Result<Option<(u64, u32)>, StoreError> {
    match head.split_first() {
        Some((&WHOLE, _)) => Ok(None),
        Some((&PARTS, rest)) => {
            let (id, count) = rest.split_first_chunk::<8>().ok_or_else(garbled)?;
            let count = u32::from_be_bytes(count.try_into().map_err(|_| garbled())?);
            Ok(Some((u64::from_be_bytes(*id), count)))
        }
        _ => Err(garbled()),
    }
}

/// The whole value behind a key.
pub(crate) fn get(source: &impl Get, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
    let mut head = source.value(key)?;
    while let Some(found) = head {
        if let Some(whole) = assemble(source, &found)? {
            return Ok(Some(whole));
        }
        // A part was missing: either the value was just replaced, then the head is another one by now, or it is damaged.
        let again = source.value(key)?;
        if again.as_ref() == Some(&found) {
            return Err(garbled());
        }
        head = again;
    }
    Ok(None)
}

fn assemble(source: &impl Get, head: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
    let Some((id, count)) = parts(head)? else {
        return Ok(Some(head.get(1..).unwrap_or(&[]).to_vec()));
    };
    let mut whole = Vec::new();
    for part in 0..count {
        let Some(bytes) = source.value(&layout::chunk(id, part))? else {
            return Ok(None);
        };
        whole.extend_from_slice(&bytes);
    }
    Ok(Some(whole))
}
