//! Files of other sides.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use viaduct_model::{Attachment, AttachmentKind, MediaRef, NetworkName};

use super::Hub;
use crate::{Media, MediaError, MediaSource};

/// Files of other sides, by their locators, and whether they are published.
#[derive(Debug)]
pub(super) struct Files {
    bytes: Mutex<HashMap<String, Bytes>>,
    published: AtomicBool,
}

impl Default for Files {
    fn default() -> Self {
        Self {
            bytes: Mutex::default(),
            published: AtomicBool::new(true),
        }
    }
}

impl Hub {
    /// A file of another side.
    pub fn add_file(&self, name: &str, mime: &str, kind: AttachmentKind, bytes: &[u8]) -> Attachment {
        let locator = format!("mxc://example.org/{name}");
        let mut files = self.files.bytes.lock().unwrap_or_else(PoisonError::into_inner);
        files.insert(locator.clone(), Bytes::copy_from_slice(bytes));
        Attachment {
            media: MediaRef {
                network: NetworkName::matrix(),
                locator,
            },
            name: name.to_owned(),
            mime: Some(mime.to_owned()),
            size: Some(bytes.len() as u64),
            kind,
            dimensions: None,
            duration: None,
            spoiler: false,
        }
    }

    /// Whether files are published from now on; they are at first.
    pub fn publish(&self, published: bool) {
        self.files.published.store(published, Ordering::Relaxed);
    }
}

/// Of files that were not added, the locators are the bytes.
#[async_trait]
impl MediaSource for Hub {
    async fn open(&self, media: &MediaRef) -> Result<Media, MediaError> {
        let added = {
            let files = self.files.bytes.lock().unwrap_or_else(PoisonError::into_inner);
            files.get(&media.locator).cloned()
        };
        let bytes = added.unwrap_or_else(|| Bytes::from(media.locator.clone().into_bytes()));
        let size = bytes.len() as u64;
        Media::within(u64::MAX, None, Some(size), futures_util::stream::iter([Ok(bytes)]))
    }

    fn link(&self, media: &MediaRef, name: &str) -> Option<String> {
        let path = media.locator.replace("://", "/");
        let published = self.files.published.load(Ordering::Relaxed);
        published.then(|| format!("https://files.example/{path}/{name}"))
    }
}
