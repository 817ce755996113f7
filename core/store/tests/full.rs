//! A full disk is said, loses nothing, and is over once there is room again.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout)]

use std::path::Path;
use std::process::Command;

use viaduct_store::suite::{accept, commit, event, mirror};
use viaduct_store::{Batch, Op, Seq, Series, SledStore, Store, StoreError, StoreOptions};

/// A small file system of its own, gone when dropped.
struct Disk(tempfile::TempDir);

impl Disk {
    /// Says why where the system does not allow it.
    fn new(size: &str) -> Result<Self, String> {
        let folder = tempfile::tempdir().unwrap();
        let mut mount = Command::new("mount");
        mount
            .args(["-t", "tmpfs", "-o", &format!("size={size}"), "viaduct-test"])
            .arg(folder.path());
        match mount.output() {
            Ok(output) if output.status.success() => Ok(Self(folder)),
            Ok(output) => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
            Err(error) => Err(error.to_string()),
        }
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Lazily, since sled may not have let go of its files yet.
        Command::new("umount").arg("-l").arg(self.path()).status().ok();
    }
}

async fn fills_and_recovers(reserve_bytes: u64) {
    let disk = match Disk::new("64m") {
        Ok(disk) => disk,
        Err(reason) => return println!("Skipped: no small file system can be mounted here: {}", reason.trim()),
    };
    let path = disk.path().join("store");
    let options = StoreOptions {
        reserve_bytes,
        ..StoreOptions::default()
    };
    let ballast = disk.path().join("ballast");
    std::fs::write(&ballast, vec![1; 24 * 1024 * 1024]).unwrap();
    let store = SledStore::open(&path, &options).unwrap();
    let text = "x".repeat(3000);
    let mut stored = 0;
    let mut number = 0;
    let push = async |number: u64| {
        let ops = (0..8)
            .map(|part| accept("a", event("x", &format!("{number}/{part}"), &text)))
            .collect::<Vec<Op>>();
        commit(&store, ops).await
    };
    // Fills until refused, then stays refused for a while.
    let mut refused = 0;
    while refused < 5 {
        number += 1;
        match push(number).await {
            Ok(_) => stored += 8,
            Err(StoreError::Full) => refused += 1,
            Err(other) => panic!("{other}"),
        }
        assert!(number < 100_000, "the disk never filled");
    }
    assert!(stored > 100, "only {stored} events fit");
    // What follows a failed batch of its series fails as well, whatever room there is by then.
    let series = Series::default();
    let next = |id: &str, text: &str| Batch {
        ops: vec![accept("b", event("x", id, text))],
        series: Some(series.clone()),
    };
    assert_eq!(
        store.submit(next("failed", &text)).await.unwrap().await,
        Err(StoreError::Full)
    );
    assert!(series.has_failed());
    std::fs::remove_file(&ballast).unwrap();
    assert_eq!(
        store.submit(next("behind", "small")).await.unwrap().await,
        Err(StoreError::Behind)
    );
    for _ in 0..50 {
        number += 1;
        push(number).await.unwrap();
        stored += 8;
    }
    let journal = store.journal(&mirror("a"), Seq(0), usize::MAX).await.unwrap();
    assert_eq!(journal.len(), stored);
    assert!((1..).zip(&journal).all(|(number, (seq, _))| *seq == Seq(number)));
    store.close().await.unwrap();
    drop(store);
    let store = SledStore::open(&path, &options).unwrap();
    assert_eq!(store.last(&mirror("a")).await, Ok(Seq(stored as u64)));
    store.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_refused_in_time() {
    fills_and_recovers(StoreOptions::default().reserve_bytes).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_refuses_a_write_is_survived() {
    fills_and_recovers(0).await;
}
