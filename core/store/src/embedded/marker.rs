//! What lies beside sled's files, so that a store can be judged before sled touches it.
//!
//! sled repairs what it opens: of a truncated file it silently makes a shorter store. So `viaduct.json` says which schema the
//! store has and, after an orderly close, how its files looked; and `commits` says which group was the last to be
//! acknowledged. The first is written with a sync and a rename, rarely. The second is overwritten after every commit and not
//! synced, since it only ever says less than the store holds: it is written after the store was.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::FileExt;
use std::path::Path;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Judges a store before it is opened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Marker {
    /// The schema of the tree.
    pub(crate) schema: u32,
    /// How it was left.
    pub(crate) left: Left,
}

/// How a store was left.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Left {
    /// It is being created and holds nothing yet.
    New,
    /// It is in use, or its process ended without closing it.
    Open,
    /// It was closed, and `db` looked like this.
    Closed(Looks),
}

/// How sled's data file looks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Looks {
    /// Its length in bytes.
    pub(crate) length: u64,
    /// SHA-256 over the first 4 KiB of every 512 KiB and over the last 64 KiB, in hexadecimal digits.
    pub(crate) digest: String,
}

/// The marker's file.
pub(crate) const FILE: &str = "viaduct.json";
const NEXT: &str = "viaduct.json.new";
/// A marker is a few hundred bytes; what is larger is not one.
const SIZE_BOUND: u64 = 64 * 1024;

/// Only the schema, which is readable whatever else a newer version changed.
#[derive(Deserialize)]
struct SchemaOnly {
    schema: u32,
}

/// What a store's folder says about itself.
pub(crate) enum Found {
    /// There is no marker.
    Nothing,
    /// There is one.
    Marker(Marker),
    /// There is one of another version with this schema.
    Other(u32),
    /// There is something that is no marker.
    Garbage(String),
}

/// Reads the marker of a folder.
pub(crate) fn read(folder: &Path) -> io::Result<Found> {
    let file = match File::open(folder.join(FILE)) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Found::Nothing),
        Err(error) => return Err(error),
    };
    let mut text = Vec::new();
    file.take(SIZE_BOUND).read_to_end(&mut text)?;
    Ok(
        match (
            serde_json::from_slice(&text),
            serde_json::from_slice::<SchemaOnly>(&text),
        ) {
            (Ok(marker), _) => Found::Marker(marker),
            (Err(_), Ok(other)) => Found::Other(other.schema),
            (Err(error), Err(_)) => Found::Garbage(error.to_string()),
        },
    )
}

/// Replaces the marker of a folder; on the device when it returns.
pub(crate) fn write(folder: &Path, marker: &Marker) -> io::Result<()> {
    let next = folder.join(NEXT);
    let text = serde_json::to_vec(marker)?;
    fs::write(&next, text)?;
    File::open(&next)?.sync_all()?;
    fs::rename(&next, folder.join(FILE))?;
    sync_folder(folder)
}

/// Makes the names in a folder durable.
pub(crate) fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// How a data file looks now.
pub(crate) fn looks(file: &File) -> io::Result<Looks> {
    const STRIDE: u64 = 512 * 1024;
    const TAIL: u64 = 64 * 1024;
    let length = file.metadata()?.len();
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 4096];
    let mut feed = |from: u64, buffer: &mut [u8]| -> io::Result<()> {
        let room = usize::try_from(length.saturating_sub(from))
            .unwrap_or(usize::MAX)
            .min(buffer.len());
        if let Some(part) = buffer.get_mut(..room) {
            file.read_exact_at(part, from)?;
            hash.update(part);
        }
        Ok(())
    };
    let mut at = 0;
    while at < length {
        feed(at, &mut buffer)?;
        at += STRIDE;
    }
    let mut tail = length.saturating_sub(TAIL);
    while tail < length {
        feed(tail, &mut buffer)?;
        tail += 4096;
    }
    Ok(Looks {
        length,
        digest: format!("{:x}", hash.finalize()),
    })
}

/// The last group known to be on the device.
#[derive(Debug)]
pub(crate) struct Watermark(File);

/// What a watermark says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Mark {
    /// The group's number.
    pub(crate) stamp: u64,
    /// The length of the data file then. sled may shorten it afterwards, when its last segments are free.
    pub(crate) length: u64,
}

impl Watermark {
    /// Its file.
    pub(crate) const FILE: &'static str = "commits";

    pub(crate) fn open(folder: &Path) -> io::Result<Self> {
        let path = folder.join(Self::FILE);
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)?;
        Ok(Self(file))
    }

    /// What the folder's watermark says, without changing anything; nothing if there is none or it is torn.
    pub(crate) fn look(folder: &Path) -> Mark {
        File::open(folder.join(Self::FILE))
            .ok()
            .and_then(|file| Self::parse(&file))
            .unwrap_or_default()
    }

    fn parse(file: &File) -> Option<Mark> {
        let mut bytes = [0; 24];
        file.read_exact_at(&mut bytes, 0).ok()?;
        let number = |at: usize| bytes.get(at..)?.first_chunk().map(|chunk| u64::from_be_bytes(*chunk));
        let mark = Mark {
            stamp: number(0)?,
            length: number(8)?,
        };
        (number(16)? == mark.check()).then_some(mark)
    }

    pub(crate) fn write(&self, mark: Mark) -> io::Result<()> {
        let mut bytes = Vec::with_capacity(24);
        for number in [mark.stamp, mark.length, mark.check()] {
            bytes.extend_from_slice(&number.to_be_bytes());
        }
        self.0.write_all_at(&bytes, 0)
    }
}

impl Mark {
    /// Tells a whole watermark from a torn one.
    fn check(self) -> u64 {
        !self.stamp ^ self.length.rotate_left(32)
    }
}
