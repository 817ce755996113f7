//! Files on their way from one side to another: streamed, never held whole in memory.

use std::pin::Pin;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::Stream;
use viaduct_model::MediaRef;

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

/// Opens files of any network, through the hub.
#[async_trait]
pub trait MediaSource: Send + Sync {
    /// Opens a file for reading.
    async fn open(&self, media: &MediaRef) -> Result<Media, MediaError>;

    /// A link under which people outside can fetch the file for a while, if the operator publishes files.
    fn link(&self, media: &MediaRef, name: &str) -> Option<String>;
}
