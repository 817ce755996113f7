//! Lists and keys from their files. Lists that several policies name are kept once.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use sha2::{Digest as _, Sha256};

use super::{DocumentList, Key, ListError, ValueList};

/// The largest list, in bytes.
const LIST_BOUND: u64 = 128 * 1024 * 1024;
/// The largest key, in bytes.
const KEY_BOUND: u64 = 64 * 1024;

/// What a list and its key are recognised by.
type Digest = [u8; 32];

/// Lists that are in use.
struct Kept<T>(Mutex<Vec<(Digest, Weak<T>)>>);

static VALUES: Kept<ValueList> = Kept(Mutex::new(Vec::new()));
static DOCUMENTS: Kept<DocumentList> = Kept(Mutex::new(Vec::new()));

/// A list of values.
pub(crate) fn values(list: &Path, key: &Path) -> Result<Arc<ValueList>, ListError> {
    VALUES.get(list, key, ValueList::read)
}

/// A list of documents.
pub(crate) fn documents(list: &Path, key: &Path) -> Result<Arc<DocumentList>, ListError> {
    DOCUMENTS.get(list, key, DocumentList::read)
}

impl<T> Kept<T> {
    fn get(
        &self,
        list: &Path,
        key: &Path,
        read_list: impl FnOnce(&str, &Key) -> Result<T, ListError>,
    ) -> Result<Arc<T>, ListError> {
        let secret = read(key, KEY_BOUND)?;
        private(key)?;
        let text = read(list, LIST_BOUND)?;
        let digest = Sha256::new()
            .chain_update(&text)
            .chain_update([0])
            .chain_update(&secret);
        let digest = digest.finalize().into();
        let known = |all: &[(Digest, Weak<T>)]| {
            let mut same = all.iter().filter(|(other, _)| *other == digest);
            same.find_map(|(_, list)| list.upgrade())
        };
        let lock = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = known(&lock()) {
            return Ok(known);
        }
        let made = Arc::new(read_list(&text, &Key::new(&secret)?)?);
        let mut all = lock();
        all.retain(|(_, list)| list.strong_count() > 0);
        all.push((digest, Arc::downgrade(&made)));
        Ok(made)
    }
}

fn read(path: &Path, bound: u64) -> Result<String, ListError> {
    let failed =
        |reason: &dyn std::fmt::Display| ListError::File(format!("{} cannot be read: {reason}", path.display()));
    let file = File::open(path).map_err(|error| failed(&error))?;
    let mut text = String::new();
    match file.take(bound + 1).read_to_string(&mut text) {
        Ok(read) if read as u64 > bound => Err(failed(&format_args!("it has more than {bound} bytes"))),
        Ok(_) => Ok(text),
        Err(error) if error.kind() == io::ErrorKind::InvalidData => Err(failed(&"it is not text")),
        Err(error) => Err(failed(&error)),
    }
}

/// A key that everybody can read protects nothing.
fn private(path: &Path) -> Result<(), ListError> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        if fs::metadata(path).is_ok_and(|metadata| metadata.permissions().mode() & 0o004 != 0) {
            let path = path.display();
            return Err(ListError::File(format!(
                "everybody on this machine can read the key {path}: chmod 0600 {path}"
            )));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protect::list_values;

    #[test]
    fn a_list_that_is_in_use_is_kept_once_and_a_key_is_private() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let (list, key) = (folder.path().join("list"), folder.path().join("key"));
        let secret = "0123456789abcdef0123456789abcdef";
        fs::write(&key, format!("{secret}\n")).unwrap();
        fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
        fs::write(&list, list_values(&Key::new(secret).unwrap(), "KD-4711").unwrap()).unwrap();
        let one = values(&list, &key).unwrap();
        assert!(Arc::ptr_eq(&one, &values(&list, &key).unwrap()));
        fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(values(&list, &key).unwrap_err().to_string().contains("chmod 0600"));
        assert!(matches!(
            values(&key, &list),
            Err(ListError::File(_) | ListError::Key | ListError::Format(_))
        ));
        assert!(matches!(values(Path::new("/nowhere"), &key), Err(ListError::File(_))));
    }
}
