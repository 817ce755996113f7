//! Every store passes the one suite.

#![allow(clippy::unwrap_used)]

use tempfile::TempDir;
use viaduct_store::{MemoryStore, SledStore, StoreOptions, suite};

/// A store in a folder of its own; the folder goes when the test's process does not need it any more.
fn sled(folders: &std::cell::RefCell<Vec<TempDir>>) -> SledStore {
    let folder = tempfile::tempdir().unwrap();
    let store = SledStore::open(folder.path().join("store"), &StoreOptions::default()).unwrap();
    folders.borrow_mut().push(folder);
    store
}

#[tokio::test(flavor = "multi_thread")]
async fn memory_passes_the_suite() {
    suite::all(async || MemoryStore::new()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sled_passes_the_suite() {
    let folders = std::cell::RefCell::default();
    suite::all(async || sled(&folders)).await;
}

#[test]
fn sled_does_what_memory_does() {
    let folders = std::cell::RefCell::default();
    suite::model(24, async || sled(&folders));
}
