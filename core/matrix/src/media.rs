//! Files: the homeserver's own opened for others, and others' brought to the homeserver.
//!
//! A file on its way in is spooled first, small ones in memory and larger ones in a temporary file: a homeserver wants its
//! size beforehand, what a source says about the size cannot be trusted, and a repeated attempt must not start half-way.

use std::num::NonZeroUsize;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures_util::TryStreamExt;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderValue, Method};
use lru::LruCache;
use serde::Deserialize;
use serde_json::{Map, Value};
use tokio::io::{AsyncSeekExt, AsyncWriteExt};
use tokio_util::io::ReaderStream;
use viaduct_bridge::{DeliveryError, Failure, Media, MediaError};
use viaduct_model::MediaRef;

use crate::Homeserver;
use crate::client::{As, segment};
use crate::convert::message::{file_name, is_mime};
use crate::crypto::files;
use crate::error::ApiError;

/// Up to this size, in bytes, a file is spooled in memory.
const MEMORY_BOUND: usize = 256 * 1024;
/// How many uploads are remembered.
const REMEMBERED: NonZeroUsize = NonZeroUsize::new(500).unwrap();
/// How long the upload of one file may take.
const UPLOAD_TIMEOUT: Duration = Duration::from_mins(10);

/// A file the homeserver has.
#[derive(Debug, Clone)]
pub(crate) struct Stored {
    pub(crate) url: String,
    /// How it is encrypted there, if it is.
    pub(crate) key: Option<Map<String, Value>>,
    pub(crate) mime: Option<String>,
    pub(crate) size: u64,
}

/// Files brought to the homeserver lately, so that a repeated delivery does not bring them again.
#[derive(Debug)]
pub(crate) struct Uploads(Mutex<LruCache<Uploaded, Stored>>);

/// A file, and the room for which it is encrypted.
type Uploaded = (MediaRef, Option<String>);

impl Uploads {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(LruCache::new(REMEMBERED)))
    }

    fn get(&self, media: &Uploaded) -> Option<Stored> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(media)
            .cloned()
    }

    fn put(&self, media: Uploaded, stored: Stored) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).put(media, stored);
    }
}

/// Why a file could not be brought to the homeserver.
pub(crate) enum UploadError {
    /// The source does not give it: it never will.
    Source(String),
    /// Try again, or the homeserver refuses.
    Delivery(DeliveryError),
}

impl From<ApiError> for UploadError {
    fn from(error: ApiError) -> Self {
        Self::Delivery(error.into())
    }
}

impl From<MediaError> for UploadError {
    fn from(error: MediaError) -> Self {
        match error {
            MediaError::Retry(reason) => Self::Delivery(DeliveryError::retry(reason)),
            other => Self::Source(other.to_string()),
        }
    }
}

/// A spooled file.
pub(crate) enum Spool {
    Memory(Bytes),
    File(tokio::fs::File, u64),
}

impl From<std::io::Error> for UploadError {
    fn from(error: std::io::Error) -> Self {
        Self::Delivery(DeliveryError::retry(format!("spooling: {error}")))
    }
}

impl Homeserver {
    /// Brings a file to the homeserver, encrypted if it is for an encrypted room: then the homeserver learns neither its name nor
    /// of what sort it is.
    pub(crate) async fn upload(
        &self,
        media: &MediaRef,
        name: &str,
        sealed_for: Option<&str>,
    ) -> Result<Stored, UploadError> {
        let wanted = (media.clone(), sealed_for.map(str::to_owned));
        if let Some(known) = self.uploads.get(&wanted) {
            return Ok(known);
        }
        let opened = self.context.media.open(media).await?;
        if opened.size.is_some_and(|size| size > self.config.media_limit) {
            return Err(MediaError::TooLarge(self.config.media_limit).into());
        }
        let mime = opened.mime.filter(|mime| is_mime(mime));
        let mut spool = self.spool(opened.stream).await?;
        let mut key = None;
        if sealed_for.is_some() {
            let (sealed, info) = files::encrypted(spool).await?;
            (spool, key) = (sealed, Some(info));
        }
        let (size, body) = match spool {
            Spool::Memory(bytes) => (bytes.len() as u64, reqwest::Body::from(bytes)),
            Spool::File(file, size) => (size, reqwest::Body::wrap_stream(ReaderStream::new(file))),
        };
        let path = match &key {
            None => format!("/_matrix/media/v3/upload?filename={}", segment(&file_name(name))),
            Some(_) => "/_matrix/media/v3/upload".to_owned(),
        };
        let kind = mime.as_deref().filter(|_| key.is_none());
        let kind = kind.and_then(|mime| HeaderValue::from_str(mime).ok());
        let request = self
            .api
            .request(Method::POST, &path, As::BOT)
            .header(
                CONTENT_TYPE,
                kind.unwrap_or(HeaderValue::from_static("application/octet-stream")),
            )
            .header(CONTENT_LENGTH, size)
            .timeout(UPLOAD_TIMEOUT)
            .body(body);
        let url = self.uploaded(request).await?;
        let stored = Stored { url, key, mime, size };
        self.uploads.put(wanted, stored.clone());
        Ok(stored)
    }

    async fn uploaded(&self, request: reqwest::RequestBuilder) -> Result<String, ApiError> {
        #[derive(Deserialize)]
        struct Answer {
            content_uri: String,
        }
        let response = self.api.send(request).await?;
        let answer: Answer = response
            .json()
            .await
            .map_err(|error| ApiError::Answer(error.without_url().to_string()))?;
        Ok(answer.content_uri)
    }

    async fn spool(&self, mut stream: viaduct_bridge::MediaStream) -> Result<Spool, UploadError> {
        let mut memory = Vec::new();
        let mut file: Option<tokio::fs::File> = None;
        let mut size: u64 = 0;
        while let Some(piece) = stream.try_next().await? {
            size = size.saturating_add(piece.len() as u64);
            if size > self.config.media_limit {
                return Err(MediaError::TooLarge(self.config.media_limit).into());
            }
            match &mut file {
                Some(file) => file.write_all(&piece).await?,
                None if memory.len() + piece.len() <= MEMORY_BOUND => memory.extend_from_slice(&piece),
                None => {
                    let opened = tokio::task::spawn_blocking(tempfile::tempfile).await;
                    let opened = opened.map_err(std::io::Error::other).and_then(|opened| opened)?;
                    let mut opened = tokio::fs::File::from_std(opened);
                    opened.write_all(&std::mem::take(&mut memory)).await?;
                    opened.write_all(&piece).await?;
                    file = Some(opened);
                }
            }
        }
        let Some(mut file) = file else {
            return Ok(Spool::Memory(memory.into()));
        };
        file.flush().await?;
        file.rewind().await?;
        Ok(Spool::File(file, size))
    }

    /// The homeserver's address of a picture, brought there if need be.
    pub(crate) async fn picture_url(&self, picture: &MediaRef) -> Result<String, ApiError> {
        if picture.network.is_matrix() && picture.locator.starts_with("mxc://") {
            return Ok(picture.locator.clone());
        }
        match self.upload(picture, "picture", None).await {
            Ok(stored) => Ok(stored.url),
            Err(UploadError::Source(reason)) => Err(ApiError::Refused {
                status: 404,
                code: "M_NOT_FOUND".to_owned(),
                message: reason,
            }),
            Err(UploadError::Delivery(error)) => Err(match error.failure {
                Failure::Retry(wait) => ApiError::Limited(wait),
                _ => ApiError::Refused {
                    status: 400,
                    code: "M_UNKNOWN".to_owned(),
                    message: error.reason,
                },
            }),
        }
    }

    /// Opens a file of the homeserver.
    pub(crate) async fn open_mxc(&self, locator: &str) -> Result<Media, MediaError> {
        let (address, key) = files::parts(locator)?;
        let (server, id) =
            mxc_parts(address).ok_or_else(|| MediaError::Refused("not a file of a homeserver".to_owned()))?;
        let tail = format!("{}/{}", segment(server), segment(id));
        let open = |base: &str| {
            let request = self.api.request(Method::GET, &format!("{base}/{tail}"), As::BOT);
            async move { self.api.send(request).await }
        };
        let response = match open("/_matrix/client/v1/media/download").await {
            // A homeserver from before authenticated media.
            Err(error) if error.is("M_UNRECOGNIZED") => open("/_matrix/media/v3/download").await,
            other => other,
        };
        let response = response.map_err(|error| match error {
            missing if missing.is_missing() => MediaError::Gone,
            ApiError::Refused { message, .. } => MediaError::Refused(message),
            other => MediaError::Retry(other.to_string()),
        })?;
        let limit = self.config.media_limit;
        let size = response.content_length();
        let mime = response
            .headers()
            .get(CONTENT_TYPE)
            .and_then(|value| value.to_str().ok());
        let mime = mime.filter(|mime| is_mime(mime)).map(str::to_owned);
        let stream = response
            .bytes_stream()
            .map_err(|error| MediaError::Retry(error.without_url().to_string()));
        let mut media = Media::within(limit, mime, size, stream)?;
        if let Some(key) = key {
            // What the homeserver says about it is about what it cannot read.
            media.mime = None;
            media.stream = files::decrypted(media.stream, key);
        }
        Ok(media)
    }
}

/// The server and id in an `mxc://` address.
fn mxc_parts(locator: &str) -> Option<(&str, &str)> {
    let (server, id) = locator.strip_prefix("mxc://")?.split_once('/')?;
    let server_fits = (1..=255).contains(&server.len())
        && server
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"-.:[]".contains(&b));
    let id_fits = (1..=255).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b));
    (server_fits && id_fits).then_some((server, id))
}

#[cfg(test)]
mod tests {
    use super::mxc_parts;

    #[test]
    fn only_files_of_homeservers_are_opened() {
        assert_eq!(
            mxc_parts("mxc://example.org:8448/abc_DEF-1"),
            Some(("example.org:8448", "abc_DEF-1"))
        );
        for bad in [
            "http://example.org/a",
            "mxc://example.org/",
            "mxc:///a",
            "mxc://a/b/c",
            "mxc://a/..",
            "mxc://a?b/c",
            "",
        ] {
            assert_eq!(mxc_parts(bad), None, "{bad}");
        }
    }
}
