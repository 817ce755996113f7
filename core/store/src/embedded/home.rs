//! The store's folder: entering it, judging it, opening sled in it, syncing it, leaving it in order.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::Duration;

use sled::IVec;
use tracing::{info, warn};

use super::large::Get;
use super::marker::{self, Found, Left, Mark, Marker, Watermark};
use super::{failure, io_failure, layout, migrate};
use crate::api::StoreError;

/// Held for as long as a process uses the store.
const LOCK: &str = "lock";
/// sled's data file.
const DATA: &str = "db";
/// A copy on which recovery is tried first.
const TRIAL: &str = "trial";
/// What of the folder is sled's: its files by name, and its snapshots by the start of their names.
const SLED_FILES: [&str; 2] = ["conf", DATA];
const SLED_BLOBS: &str = "blobs";
const SLED_SNAPSHOTS: &str = "snap.";
/// How long another user of the store is waited for: sled lets go of its files some time after it was closed.
const PATIENCE: Duration = Duration::from_secs(2);
const STEP: Duration = Duration::from_millis(10);

/// The folder of one open store.
#[derive(Debug)]
pub(crate) struct Home {
    path: PathBuf,
    cache_bytes: u64,
    watermark: Watermark,
    /// The same file that sled writes, to sync it to the device.
    data: File,
    /// Kept for its lock.
    _lock: File,
}

impl Home {
    /// Enters a folder and opens sled in it, making a new store in an absent or empty one.
    pub(crate) fn open(path: &Path, cache_bytes: u64) -> Result<(Self, sled::Db), StoreError> {
        judge_schema(path)?;
        let lock = enter(path)?;
        // Another process may have changed it while this one waited for the lock.
        let fresh = match judge_schema(path)? {
            None => true,
            Some(marker) => match marker.left {
                Left::New => true,
                Left::Open => {
                    rehearse(path)?;
                    false
                }
                Left::Closed(looks) => {
                    let data = File::open(path.join(DATA)).map_err(|error| damaged(path, error.to_string()))?;
                    if marker::looks(&data).map_err(io_failure)? != looks {
                        return Err(damaged(path, "its data file is not as it was left".to_owned()));
                    }
                    check_snapshots(path)?;
                    false
                }
            },
        };
        let (data, db) = if fresh {
            create(path, cache_bytes)?
        } else {
            resume(path, cache_bytes)?
        };
        let watermark = Watermark::open(path).map_err(io_failure)?;
        let home = Self {
            path: path.to_owned(),
            cache_bytes,
            watermark,
            data,
            _lock: lock,
        };
        home.acknowledge(stamp(&db)?)?;
        Ok((home, db))
    }

    /// Waits until everything sled wrote is on the device.
    pub(crate) fn sync(&self) -> Result<(), StoreError> {
        self.data.sync_data().map_err(io_failure)
    }

    /// Notes the last group that is on the device.
    pub(crate) fn acknowledge(&self, stamp: u64) -> Result<(), StoreError> {
        let length = self.data.metadata().map_err(io_failure)?.len();
        self.watermark.write(Mark { stamp, length }).map_err(io_failure)
    }

    /// Refuses while the device has less room than this. Unknown room is room.
    pub(crate) fn require_room(&self, bytes: u64) -> Result<(), StoreError> {
        match rustix::fs::statvfs(&self.path) {
            Ok(room) if room.f_bavail.saturating_mul(room.f_frsize) < bytes => Err(StoreError::Full),
            _ => Ok(()),
        }
    }

    /// Opens sled again after it failed; the old one must have been dropped.
    pub(crate) fn reopen(&self) -> Result<sled::Db, StoreError> {
        open_sled(&self.path, self.cache_bytes)
    }

    /// The size of all of the store's files, in bytes.
    pub(crate) fn disk_bytes(&self) -> Result<u64, StoreError> {
        fn folder(path: &Path) -> io::Result<u64> {
            let mut sum = 0;
            for entry in fs::read_dir(path)? {
                let entry = entry?;
                let kind = entry.file_type()?;
                sum += if kind.is_dir() {
                    folder(&entry.path())?
                } else {
                    entry.metadata()?.len()
                };
            }
            Ok(sum)
        }
        folder(&self.path).map_err(io_failure)
    }

    /// Notes how the files look; sled must have been dropped.
    pub(crate) fn leave(&self) -> Result<(), StoreError> {
        let data = File::open(self.path.join(DATA)).map_err(io_failure)?;
        // sled's last threads may still hold the file; they hold its lock as long.
        if !lock_within(&data, PATIENCE * 5).map_err(io_failure)? {
            warn!("sled did not let go of its files; the next start checks the store as after a crash.");
            return Ok(());
        }
        data.sync_all().map_err(io_failure)?;
        let left = Left::Closed(marker::looks(&data).map_err(io_failure)?);
        marker::write(
            &self.path,
            &Marker {
                schema: migrate::SCHEMA,
                left,
            },
        )
        .map_err(io_failure)
    }
}

/// The number of the last group in the tree.
pub(crate) fn stamp(tree: &sled::Tree) -> Result<u64, StoreError> {
    Ok(tree
        .value(layout::STAMP)?
        .map(|bytes| layout::decode_number(&bytes))
        .transpose()?
        .unwrap_or(0))
}

fn damaged(path: &Path, detail: String) -> StoreError {
    StoreError::Damaged {
        path: path.display().to_string(),
        detail,
    }
}

/// Reads the marker and refuses what this version cannot know; none if there is no store here yet.
fn judge_schema(path: &Path) -> Result<Option<Marker>, StoreError> {
    let newer = |found| StoreError::Newer {
        path: path.display().to_string(),
        found,
        known: migrate::SCHEMA,
    };
    match marker::read(path).map_err(io_failure)? {
        Found::Marker(marker) if marker.schema > migrate::SCHEMA => Err(newer(marker.schema)),
        Found::Other(schema) if schema > migrate::SCHEMA => Err(newer(schema)),
        Found::Marker(marker) => Ok(Some(marker)),
        Found::Other(_) => Err(damaged(
            path,
            format!("{} does not say how the store was left", marker::FILE),
        )),
        Found::Garbage(detail) => Err(damaged(path, format!("{} cannot be read: {detail}", marker::FILE))),
        Found::Nothing => match fs::read_dir(path) {
            Ok(entries) => {
                for entry in entries {
                    let name = entry.map_err(io_failure)?.file_name();
                    if name != LOCK && name != "lost+found" {
                        return Err(damaged(path, format!("the folder has files but no {}", marker::FILE)));
                    }
                }
                Ok(None)
            }
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(io_failure(error)),
        },
    }
}

/// Takes the store's lock, making the folder if need be.
fn enter(path: &Path) -> Result<File, StoreError> {
    fs::create_dir_all(path).map_err(io_failure)?;
    let lock = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(path.join(LOCK))
        .map_err(io_failure)?;
    if lock_within(&lock, PATIENCE).map_err(io_failure)? {
        Ok(lock)
    } else {
        Err(StoreError::Locked(path.display().to_string()))
    }
}

/// Waits for a file's lock; whether it was had in time.
fn lock_within(file: &File, patience: Duration) -> io::Result<bool> {
    let start = tokio::time::Instant::now();
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(true),
            Err(TryLockError::Error(error)) => return Err(error),
            Err(TryLockError::WouldBlock) if start.elapsed() >= patience => return Ok(false),
            Err(TryLockError::WouldBlock) => std::thread::park_timeout(STEP),
        }
    }
}

/// Makes a store in a folder that holds none, or one that was never finished.
fn create(path: &Path, cache_bytes: u64) -> Result<(File, sled::Db), StoreError> {
    marker::write(
        path,
        &Marker {
            schema: migrate::SCHEMA,
            left: Left::New,
        },
    )
    .map_err(io_failure)?;
    for name in sled_files(path).map_err(io_failure)? {
        fs::remove_file(path.join(name)).map_err(io_failure)?;
    }
    let db = open_sled(path, cache_bytes)?;
    db.insert(layout::SCHEMA, layout::encode_number(u64::from(migrate::SCHEMA)))
        .map_err(failure)?;
    db.flush().map_err(failure)?;
    let data = data_file(path)?;
    sync_everything(path).map_err(io_failure)?;
    marker::write(
        path,
        &Marker {
            schema: migrate::SCHEMA,
            left: Left::Open,
        },
    )
    .map_err(io_failure)?;
    if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        marker::sync_folder(parent).map_err(io_failure)?;
    }
    info!(path = %path.display(), "A new store was made.");
    Ok((data, db))
}

/// Opens a store that has been judged sound, and brings it up to this version's schema.
fn resume(path: &Path, cache_bytes: u64) -> Result<(File, sled::Db), StoreError> {
    let schema = judge_schema(path)?.map_or(migrate::SCHEMA, |marker| marker.schema);
    marker::write(
        path,
        &Marker {
            schema,
            left: Left::Open,
        },
    )
    .map_err(io_failure)?;
    let db = open_sled(path, cache_bytes)?;
    let data = data_file(path)?;
    if migrate::run(&db)? {
        db.flush().map_err(failure)?;
    }
    sync_everything(path).map_err(io_failure)?;
    if schema != migrate::SCHEMA {
        marker::write(
            path,
            &Marker {
                schema: migrate::SCHEMA,
                left: Left::Open,
            },
        )
        .map_err(io_failure)?;
    }
    Ok((data, db))
}

fn data_file(path: &Path) -> Result<File, StoreError> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .open(path.join(DATA))
        .map_err(io_failure)
}

/// Everything sled made or renamed while it opened, to the device: files, then names.
fn sync_everything(path: &Path) -> io::Result<()> {
    for name in sled_files(path)? {
        File::open(path.join(name))?.sync_all()?;
    }
    let blobs = path.join(SLED_BLOBS);
    if blobs.exists() {
        marker::sync_folder(&blobs)?;
    }
    marker::sync_folder(path)
}

/// sled's files in a folder, blobs included, as paths below it.
fn sled_files(path: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(path)? {
        let name = entry?.file_name();
        let text = name.to_string_lossy();
        if SLED_FILES.contains(&text.as_ref()) || text.starts_with(SLED_SNAPSHOTS) {
            files.push(PathBuf::from(name));
        }
    }
    match fs::read_dir(path.join(SLED_BLOBS)) {
        Ok(entries) => {
            for entry in entries {
                files.push(Path::new(SLED_BLOBS).join(entry?.file_name()));
            }
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    Ok(files)
}

/// A snapshot is written whole under another name and renamed, so an empty one was truncated since.
fn check_snapshots(path: &Path) -> Result<(), StoreError> {
    for name in sled_files(path).map_err(io_failure)? {
        let snapshot = name.to_string_lossy().starts_with(SLED_SNAPSHOTS);
        let length = fs::metadata(path.join(&name)).map_err(io_failure)?.len();
        if snapshot && length <= 12 {
            return Err(damaged(path, format!("{} is truncated", name.display())));
        }
    }
    Ok(())
}

/// After a crash: lets sled recover a copy, and looks whether everything acknowledged is in it. Only then may it touch the
/// store itself.
fn rehearse(path: &Path) -> Result<(), StoreError> {
    let mark = Watermark::look(path);
    let length = fs::metadata(path.join(DATA))
        .map_err(|error| damaged(path, format!("its data file: {error}")))?
        .len();
    let trial = path.join(TRIAL);
    drop_trial(&trial)?;
    if let Err(error) = copy_sled(path, &trial) {
        drop_trial(&trial)?;
        if error.kind() == ErrorKind::StorageFull {
            warn!("There is no room to try recovery on a copy; the store is opened as it is.");
            return Ok(());
        }
        return Err(damaged(path, error.to_string()));
    }
    let verdict = catch_unwind(AssertUnwindSafe(|| recovered(&trial, length < mark.length)))
        .unwrap_or_else(|_| Err("its files make no sense".to_owned()));
    if let Ok(data) = File::open(trial.join(DATA)) {
        lock_within(&data, PATIENCE).map_err(io_failure)?;
    }
    drop_trial(&trial)?;
    match verdict {
        Ok(stamp) if stamp < mark.stamp => Err(damaged(
            path,
            format!("it ends at commit {stamp}, and commit {} was acknowledged", mark.stamp),
        )),
        Ok(_) => Ok(()),
        Err(detail) => Err(damaged(path, detail)),
    }
}

/// Opens the copy; the number of the last group in it. `whole` reads every key as well.
fn recovered(trial: &Path, whole: bool) -> Result<u64, String> {
    let db = open_sled(trial, 1024 * 1024).map_err(|error| error.to_string())?;
    if whole {
        for entry in db.iter() {
            entry.map_err(|error| error.to_string())?;
        }
    }
    if db.get(layout::SCHEMA).map_err(|error| error.to_string())?.is_none() {
        return Err("it holds no schema".to_owned());
    }
    stamp(&db).map_err(|error| error.to_string())
}

fn copy_sled(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to.join(SLED_BLOBS))?;
    for name in sled_files(from)? {
        fs::copy(from.join(&name), to.join(&name))?;
    }
    Ok(())
}

fn drop_trial(trial: &Path) -> Result<(), StoreError> {
    match fs::remove_dir_all(trial) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(io_failure(error)),
        _ => Ok(()),
    }
}

/// Opens sled, waiting a while for an earlier one in this process to let go.
fn open_sled(path: &Path, cache_bytes: u64) -> Result<sled::Db, StoreError> {
    let config = sled::Config::new().path(path).cache_capacity(cache_bytes);
    let start = tokio::time::Instant::now();
    loop {
        match catch_unwind(AssertUnwindSafe(|| config.open())) {
            Ok(Ok(db)) => return Ok(db),
            Ok(Err(sled::Error::Io(error)))
                if error.to_string().contains("could not acquire lock") && start.elapsed() < PATIENCE =>
            {
                std::thread::park_timeout(STEP);
            }
            Ok(Err(sled::Error::Corruption { at, .. })) => {
                return Err(damaged(
                    path,
                    at.map_or_else(|| "corrupt".to_owned(), |at| format!("corrupt at {at}")),
                ));
            }
            Ok(Err(error)) => return Err(failure(error)),
            Err(_) => return Err(damaged(path, "its files make no sense".to_owned())),
        }
    }
}

/// The stamp as it goes into a group.
pub(crate) fn stamp_entry(stamp: u64) -> (IVec, IVec) {
    (IVec::from(layout::STAMP), layout::encode_number(stamp))
}
