//! Small values that nearly every commit reads and writes again, kept by the writer beside the tree.

use std::collections::HashMap;

use sled::IVec;

use super::layout::table;
use super::overlay::Write;

/// How many values are kept before all are forgotten and read anew.
const BOUND: usize = 16 * 1024;
/// The largest value kept, in bytes.
const SMALL: usize = 256;

/// Journals' extents, lanes' marks and places' positions as they are in the tree. Only the writer changes the tree, so what it
/// wrote last is what is there.
#[derive(Debug, Default)]
pub(crate) struct Recent(HashMap<IVec, IVec>);

impl Recent {
    /// The value of a key; none if it is not known here.
    pub(crate) fn value(&self, key: &[u8]) -> Option<IVec> {
        self.0.get(key).cloned()
    }

    /// Takes over what was written.
    pub(crate) fn learn(&mut self, writes: HashMap<IVec, Write>) {
        for (key, write) in writes {
            if !matches!(key.first(), Some(&(table::MIRROR | table::LANE | table::CURSOR))) {
                continue;
            }
            match write {
                Write::Put(value) if value.len() <= SMALL => drop(self.0.insert(key, value)),
                Write::Put(_) | Write::Remove => drop(self.0.remove(&key)),
            }
        }
        if self.0.len() > BOUND {
            self.0.clear();
        }
    }

    /// Forgets everything, when nobody knows what was written.
    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::embedded::layout;

    fn put(key: &IVec, value: &[u8]) -> HashMap<IVec, Write> {
        HashMap::from([(key.clone(), Write::Put(IVec::from(value)))])
    }

    #[test]
    fn what_was_written_last_is_known_and_nothing_else() {
        let (mut recent, key) = (Recent::default(), layout::mirror(7));
        recent.learn(put(&key, b"1"));
        recent.learn(put(&key, b"2"));
        assert_eq!(recent.value(&key).unwrap(), b"2");
        recent.learn(HashMap::from([(key.clone(), Write::Remove)]));
        assert_eq!(recent.value(&key), None);
        // A value that is not kept must not leave the one before it.
        recent.learn(put(&key, b"3"));
        recent.learn(put(&key, &[0; SMALL + 1]));
        assert_eq!(recent.value(&key), None);
        let entry = layout::journal(7, crate::api::Seq(1));
        recent.learn(put(&entry, b"event"));
        assert_eq!(recent.value(&entry), None);
    }

    #[test]
    fn it_is_bounded() {
        let mut recent = Recent::default();
        for number in 0..=BOUND {
            recent.learn(put(&layout::mirror(u32::try_from(number).unwrap()), b"1"));
        }
        assert!(recent.0.len() <= BOUND);
    }
}
