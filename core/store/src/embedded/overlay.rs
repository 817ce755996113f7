//! What a group of batches is about to write, seen as if it were written already.

use std::collections::HashMap;

use sled::IVec;

use super::large::Get;
use super::layout;
use super::recent::Recent;
use crate::api::StoreError;

/// The changes of a group over the tree. Each key is written once a group, however often it changes.
pub(crate) struct Overlay<'a> {
    tree: &'a sled::Tree,
    recent: &'a Recent,
    writes: HashMap<IVec, Write>,
    /// What the current batch changed, and what stood in `writes` before, to take it back alone.
    undo: Vec<(IVec, Option<Write>)>,
}

/// What is done to a key.
#[derive(Clone)]
pub(crate) enum Write {
    Put(IVec),
    Remove,
}

impl<'a> Overlay<'a> {
    pub(crate) fn new(tree: &'a sled::Tree, recent: &'a Recent) -> Self {
        Self {
            tree,
            recent,
            writes: HashMap::new(),
            undo: Vec::new(),
        }
    }

    pub(crate) fn tree(&self) -> &'a sled::Tree {
        self.tree
    }

    pub(crate) fn put(&mut self, key: IVec, value: IVec) {
        self.write(key, Write::Put(value));
    }

    pub(crate) fn remove(&mut self, key: IVec) {
        self.write(key, Write::Remove);
    }

    fn write(&mut self, key: IVec, write: Write) {
        let before = self.writes.insert(key.clone(), write);
        self.undo.push((key, before));
    }

    /// Counts one further in a meta key.
    pub(crate) fn next(&mut self, key: &'static [u8]) -> Result<u64, StoreError> {
        let last = self
            .value(key)?
            .map(|bytes| layout::decode_number(&bytes))
            .transpose()?
            .unwrap_or(0);
        let next = last.saturating_add(1);
        self.put(IVec::from(key), layout::encode_number(next));
        Ok(next)
    }

    /// The batch so far belongs to the group.
    pub(crate) fn keep(&mut self) {
        self.undo.clear();
    }

    /// The batch so far is as if it had never been.
    pub(crate) fn take_back(&mut self) {
        for (key, before) in self.undo.drain(..).rev() {
            match before {
                Some(write) => self.writes.insert(key, write),
                None => self.writes.remove(&key),
            };
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.writes.is_empty()
    }

    /// What is written to each key.
    pub(crate) fn into_writes(self) -> HashMap<IVec, Write> {
        self.writes
    }
}

impl Get for Overlay<'_> {
    fn value(&self, key: &[u8]) -> Result<Option<IVec>, StoreError> {
        match self.writes.get(key) {
            Some(Write::Put(value)) => Ok(Some(value.clone())),
            Some(Write::Remove) => Ok(None),
            None => match self.recent.value(key) {
                Some(value) => Ok(Some(value)),
                None => self.tree.value(key),
            },
        }
    }
}

/// A group as sled takes it.
pub(crate) fn batch(writes: &HashMap<IVec, Write>) -> sled::Batch {
    let mut batch = sled::Batch::default();
    for (key, write) in writes {
        match write {
            Write::Put(value) => batch.insert(key, value),
            Write::Remove => batch.remove(key),
        }
    }
    batch
}
