//! A store that cannot be used as it is gives a clear error and stays byte for byte as it was.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use viaduct_store::suite::{accept, commit, event, mirror};
use viaduct_store::{Seq, SledStore, Store, StoreError, StoreOptions};

const EVENTS: u64 = 400;

fn open(path: &Path) -> Result<SledStore, StoreError> {
    SledStore::open(path, &StoreOptions::default())
}

/// Every file below a folder with its bytes.
fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.insert(path.clone(), fs::read(&path).unwrap());
        }
    }
    found
}

fn copy(from: &Path, to: &Path) {
    for (path, bytes) in files(from) {
        let target = to.join(path.strip_prefix(from).unwrap());
        fs::create_dir_all(target.parent().unwrap()).unwrap();
        fs::write(target, bytes).unwrap();
    }
}

async fn fill(store: &SledStore) {
    for n in 0..EVENTS {
        let text = "some text of a message ".repeat(20);
        commit(store, vec![accept("a", event("x", &format!("m{n}"), &text))])
            .await
            .unwrap();
    }
}

/// A store that was closed, and one as a killed process leaves it.
async fn closed_and_crashed(folder: &Path) -> [PathBuf; 2] {
    let [closed, crashed] = ["closed", "crashed"].map(|name| folder.join(name));
    let store = open(&closed).unwrap();
    fill(&store).await;
    copy(&closed, &crashed);
    store.close().await.unwrap();
    [closed, crashed]
}

async fn is_whole(path: &Path) -> bool {
    let store = open(path).unwrap();
    let count = store.journal(&mirror("a"), Seq(0), usize::MAX).await.unwrap().len() as u64;
    store.close().await.unwrap();
    count == EVENTS
}

#[tokio::test]
async fn untouched_stores_open_again_and_again() {
    let folder = tempfile::tempdir().unwrap();
    for path in closed_and_crashed(folder.path()).await {
        for _ in 0..3 {
            assert!(is_whole(&path).await, "{} is not whole", path.display());
        }
    }
}

#[tokio::test]
async fn damaged_files_are_refused_and_left_alone() {
    type Harm = fn(&Path);
    fn cut(path: &Path, keep: impl FnOnce(u64) -> u64) {
        let file = OpenOptions::new().write(true).open(path).unwrap();
        file.set_len(keep(file.metadata().unwrap().len())).unwrap();
    }
    fn scribble(path: &Path, at: impl FnOnce(u64) -> u64, count: usize) {
        let file = OpenOptions::new().write(true).open(path).unwrap();
        let at = at(file.metadata().unwrap().len());
        file.write_all_at(&vec![0xa5; count], at).unwrap();
    }
    let harms: [(&str, Harm); 10] = [
        ("the data file is empty", |path| cut(&path.join("db"), |_| 0)),
        ("the data file ends early", |path| cut(&path.join("db"), |_| 10)),
        ("half of the data file is gone", |path| {
            cut(&path.join("db"), |length| length / 2);
        }),
        ("the end of the data file is gone", |path| {
            cut(&path.join("db"), |length| length - 60_000);
        }),
        ("the data file is missing", |path| {
            fs::remove_file(path.join("db")).unwrap();
        }),
        ("the data file starts with garbage", |path| {
            scribble(&path.join("db"), |_| 0, 4096);
        }),
        ("the data file ends with garbage", |path| {
            scribble(&path.join("db"), |length| length - 30_000, 30_000);
        }),
        ("the data file is garbage", |path| {
            let length = usize::try_from(fs::metadata(path.join("db")).unwrap().len()).unwrap();
            scribble(&path.join("db"), |_| 0, length);
        }),
        ("the marker is garbage", |path| {
            fs::write(path.join("viaduct.json"), b"{\"sch").unwrap();
        }),
        ("the marker is missing", |path| {
            fs::remove_file(path.join("viaduct.json")).unwrap();
        }),
    ];
    let folder = tempfile::tempdir().unwrap();
    for origin in closed_and_crashed(folder.path()).await {
        for (what, harm) in harms {
            let path = folder.path().join("harmed");
            copy(&origin, &path);
            harm(&path);
            let before = files(&path);
            let outcome = open(&path).err();
            assert!(
                matches!(outcome, Some(StoreError::Damaged { .. })),
                "{}: {what}: {outcome:?}",
                origin.display()
            );
            assert!(
                files(&path) == before,
                "{}: {what}: files were changed",
                origin.display()
            );
            fs::remove_dir_all(&path).unwrap();
        }
    }
}

#[tokio::test]
async fn a_newer_store_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    for path in closed_and_crashed(folder.path()).await {
        // Whatever else a newer version may write there.
        fs::write(
            path.join("viaduct.json"),
            br#"{"schema":77,"left":{"somewhere":"else"},"more":[]}"#,
        )
        .unwrap();
        let before = files(&path);
        let outcome = open(&path).err();
        let Some(StoreError::Newer { found: 77, known, .. }) = outcome else {
            panic!("{outcome:?}")
        };
        assert!(known < 77);
        assert!(files(&path) == before);
    }
}

#[tokio::test]
async fn a_store_in_use_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    let store = open(&path).unwrap();
    fill(&store).await;
    // The first one may still be tidying up its log; whoever changed files on being refused would do so every time.
    let untouched = (0..20).any(|_| {
        let before = files(&path);
        let outcome = open(&path).err();
        assert_eq!(outcome, Some(StoreError::Locked(path.display().to_string())));
        files(&path) == before
    });
    assert!(untouched);
    store.close().await.unwrap();
    drop(store);
    assert!(is_whole(&path).await);
}

#[tokio::test]
async fn a_foreign_folder_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("thesis.txt"), "precious").unwrap();
    assert!(matches!(open(folder.path()).err(), Some(StoreError::Damaged { .. })));
    assert_eq!(files(folder.path()).len(), 1);
}

#[tokio::test]
async fn a_store_whose_making_was_cut_short_is_made_anew() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    let store = open(&path).unwrap();
    store.close().await.unwrap();
    drop(store);
    fs::write(path.join("viaduct.json"), br#"{"schema":2,"left":"new"}"#).unwrap();
    fs::write(path.join("db"), b"half").unwrap();
    let store = open(&path).unwrap();
    fill(&store).await;
    drop(store);
    assert!(is_whole(&path).await);
}

#[tokio::test]
async fn dropping_is_closing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    for round in 0..3 {
        let store = open(&path).unwrap();
        commit(&store, vec![accept("a", event("x", &format!("m{round}"), "text"))])
            .await
            .unwrap();
    }
    let store = open(&path).unwrap();
    assert_eq!(store.last(&mirror("a")).await, Ok(Seq(3)));
    assert!(store.disk_bytes().unwrap() > 0);
}
