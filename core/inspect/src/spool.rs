//! Files on the disk while they are looked into and delivered. They have no name there: when the last user is gone, or the hub
//! is killed, they are gone too.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::{Stream, TryStreamExt, stream};
use sha2::{Digest, Sha256};
use viaduct_bridge::{MediaError, MediaStream};

/// How much is read at once, in bytes.
const PIECE: usize = 64 * 1024;
/// How much of a file's beginning shows its type, in bytes.
pub(crate) const HEAD: usize = 8 * 1024;

/// A SHA-256.
pub(crate) type Digest256 = [u8; 32];

/// A file as it came. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Spool {
    file: Arc<File>,
    pub(crate) size: u64,
    pub(crate) digest: Digest256,
}

/// Why a file could not be spooled.
#[derive(Debug)]
pub(crate) enum SpoolError {
    /// It has more bytes than the bound.
    TooLarge,
    /// Its source failed.
    Source(MediaError),
    /// The disk failed.
    Disk(io::Error),
}

impl Spool {
    /// Writes a stream to the disk, at most `bound` bytes of it.
    pub(crate) async fn take(folder: &Path, mut from: MediaStream, bound: u64) -> Result<Self, SpoolError> {
        let folder = folder.to_owned();
        let file = blocking(move || tempfile::tempfile_in(folder))
            .await
            .map_err(SpoolError::Disk)?;
        let file = Arc::new(file);
        let mut size: u64 = 0;
        let mut hash = Sha256::new();
        while let Some(piece) = from.try_next().await.map_err(SpoolError::Source)? {
            hash.update(&piece);
            let at = size;
            size = size.saturating_add(piece.len() as u64);
            if size > bound {
                return Err(SpoolError::TooLarge);
            }
            let file = file.clone();
            let written = blocking(move || file.write_all_at(&piece, at)).await;
            written.map_err(SpoolError::Disk)?;
        }
        Ok(Self {
            file,
            size,
            digest: hash.finalize().into(),
        })
    }

    /// Writes bytes to the disk. Blocks.
    pub(crate) fn of(folder: &Path, bytes: &[u8]) -> io::Result<Self> {
        let file = tempfile::tempfile_in(folder)?;
        file.write_all_at(bytes, 0)?;
        Ok(Self {
            file: Arc::new(file),
            size: bytes.len() as u64,
            digest: Sha256::digest(bytes).into(),
        })
    }

    /// A reader of its own, from the beginning. Blocks.
    pub(crate) fn reader(&self) -> Reader {
        Reader {
            file: self.file.clone(),
            size: self.size,
            at: 0,
        }
    }

    /// Its bytes, in pieces.
    pub(crate) fn stream(&self) -> impl Stream<Item = io::Result<Bytes>> + Send + 'static {
        stream::try_unfold(self.reader(), |mut reader| async move {
            blocking(move || {
                let mut piece = vec![0; PIECE];
                let read = reader.read(&mut piece)?;
                piece.truncate(read);
                Ok((read > 0).then(|| (Bytes::from(piece), reader)))
            })
            .await
        })
    }
}

/// Reads a spooled file; several may read one file side by side.
#[derive(Debug)]
pub(crate) struct Reader {
    file: Arc<File>,
    size: u64,
    at: u64,
}

impl Read for Reader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read_at(buffer, self.at)?;
        self.at += read as u64;
        Ok(read)
    }
}

impl Seek for Reader {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let at = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(by) => self.size.checked_add_signed(by),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
        };
        self.at = at.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
        Ok(self.at)
    }
}

/// Runs what blocks on a thread that may.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        // It panicked, or the hub is stopping.
        Err(error) => Err(io::Error::other(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces(of: &[&'static [u8]]) -> MediaStream {
        let pieces: Vec<_> = of.iter().map(|piece| Ok(Bytes::from_static(piece))).collect();
        Box::pin(stream::iter(pieces))
    }

    #[tokio::test]
    async fn what_comes_in_goes_out() {
        let folder = tempfile::tempdir().unwrap();
        let spool = Spool::take(folder.path(), pieces(&[b"one ", b"", b"two"]), 7)
            .await
            .unwrap();
        assert_eq!(spool.size, 7);
        let out: Vec<Bytes> = spool.stream().try_collect().await.unwrap();
        assert_eq!(out.concat(), b"one two");
        assert_eq!(spool.digest, Spool::of(folder.path(), b"one two").unwrap().digest);
        let mut reader = spool.reader();
        reader.seek(SeekFrom::End(-3)).unwrap();
        let mut end = String::new();
        reader.read_to_string(&mut end).unwrap();
        assert_eq!(end, "two");
        assert!(reader.seek(SeekFrom::End(-8)).is_err());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "it has no name");
    }

    #[tokio::test]
    async fn what_is_too_large_is_not_kept() {
        let folder = tempfile::tempdir().unwrap();
        let outcome = Spool::take(folder.path(), pieces(&[b"one ", b"two"]), 6).await;
        assert!(matches!(outcome, Err(SpoolError::TooLarge)));
    }
}
