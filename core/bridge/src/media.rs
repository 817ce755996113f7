//! Files on their way from one side to another: streamed, never held whole in memory.

use std::pin::Pin;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use viaduct_model::MediaRef;

use crate::{DeliveryError, Failure};

/// The bytes of a file, in pieces.
pub type MediaStream = Pin<Box<dyn Stream<Item = Result<Bytes, MediaError>> + Send>>;

/// An opened file.
pub struct Media {
    /// Its media type, as its source says.
    pub mime: Option<String>,
    /// Its size in bytes, if known beforehand. The stream may still end earlier or later: check while reading.
    pub size: Option<u64>,
    /// Its name, if its source says.
    pub name: Option<String>,
    /// Its bytes.
    pub stream: MediaStream,
}

impl Media {
    /// A file as a server gives it: refused at once if it says to be larger than `limit` bytes, and failing while it is read
    /// as soon as it is.
    ///
    /// # Errors
    ///
    /// [`MediaError::TooLarge`].
    pub fn within<S>(limit: u64, mime: Option<String>, size: Option<u64>, stream: S) -> Result<Self, MediaError>
    where
        S: Stream<Item = Result<Bytes, MediaError>> + Send + 'static,
    {
        if size.is_some_and(|size| size > limit) {
            return Err(MediaError::TooLarge(limit));
        }
        Ok(Self {
            mime,
            size,
            name: None,
            stream: bounded(stream, limit),
        })
    }
}

/// The stream, failing with [`MediaError::TooLarge`] as soon as it is longer than `limit` bytes.
pub fn bounded<S>(stream: S, limit: u64) -> MediaStream
where
    S: Stream<Item = Result<Bytes, MediaError>> + Send + 'static,
{
    let mut read: u64 = 0;
    let stream = stream.map(move |piece| {
        let piece = piece?;
        read = read.saturating_add(piece.len() as u64);
        if read > limit {
            Err(MediaError::TooLarge(limit))
        } else {
            Ok(piece)
        }
    });
    Box::pin(stream)
}

/// Why a file could not be had.
#[derive(Debug, Clone, thiserror::Error)]
pub enum MediaError {
    /// It is no longer there, or never was.
    #[error("the file is not there")]
    Gone,
    /// It is larger than allowed.
    #[error("the file is larger than {0} bytes")]
    TooLarge(u64),
    /// Something passing; try again.
    #[error("{0}")]
    Retry(String),
    /// The address or the file is refused.
    #[error("{0}")]
    Refused(String),
}

/// What a file that cannot be read means for the delivery it is part of. Nothing was sent.
impl From<MediaError> for DeliveryError {
    fn from(error: MediaError) -> Self {
        match error {
            MediaError::Retry(reason) => Self::retry(format!("the file: {reason}")),
            MediaError::TooLarge(_) => Self::new(Failure::TooLarge, error.to_string()),
            MediaError::Refused(reason) => Self::permanent(format!("the file: {reason}")),
            MediaError::Gone => Self::permanent(error.to_string()),
        }
    }
}

/// Opens files of any network, through the hub.
#[async_trait]
pub trait MediaSource: Send + Sync {
    /// Opens a file for reading.
    async fn open(&self, media: &MediaRef) -> Result<Media, MediaError>;

    /// A link under which people outside can fetch the file for a while, if the operator publishes files.
    fn link(&self, media: &MediaRef, name: &str) -> Option<String>;
}

#[cfg(test)]
mod tests {
    use futures_util::{StreamExt, TryStreamExt, stream};

    use super::*;

    fn pieces(sizes: &[usize]) -> impl Stream<Item = Result<Bytes, MediaError>> + Send + 'static {
        let pieces: Vec<_> = sizes.iter().map(|size| Ok(Bytes::from(vec![0; *size]))).collect();
        stream::iter(pieces)
    }

    #[tokio::test]
    async fn a_file_is_cut_off_at_its_limit_whatever_it_says() {
        let told = Media::within(10, None, Some(11), pieces(&[]));
        assert!(matches!(told, Err(MediaError::TooLarge(10))));
        let fits = Media::within(10, None, None, pieces(&[4, 6])).unwrap();
        assert_eq!(
            fits.stream
                .try_fold(0, async |sum, piece| Ok(sum + piece.len()))
                .await
                .unwrap(),
            10
        );
        let mut lies = Media::within(10, None, Some(3), pieces(&[4, 7])).unwrap().stream;
        assert!(lies.next().await.unwrap().is_ok());
        assert!(matches!(lies.next().await, Some(Err(MediaError::TooLarge(10)))));
    }
}
