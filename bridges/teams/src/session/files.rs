//! Files: out as pictures within the message, uploads into the channel's folder or links; in from where Teams keeps them.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use futures_util::StreamExt;
use viaduct_bridge::{DeliveryError, Media, MediaError};
use viaduct_model::document::{Block, Inline};
use viaduct_model::{Attachment, AttachmentKind, Message};

use super::Teams;
use super::outbound::Aim;
use super::pieces::Picture;
use crate::client::connector::part;
use crate::client::json;
use crate::config::Files;

/// The largest picture that is sent within a message, in bytes.
const INLINE: u64 = 48 * 1024;
/// The largest file of unknown size that is read to learn its size, in bytes.
const UNKNOWN: usize = 8 * 1024 * 1024;

/// The files of a message, as they are posted.
#[derive(Debug, Default)]
pub(super) struct Posted {
    /// Links, for the end of the text.
    pub links: Vec<Block>,
    /// Pictures, which stand in the message itself.
    pub pictures: Vec<Picture>,
}

impl Teams {
    /// Makes the files of a message ready. What is uploaded is seen by nobody before it is linked to.
    pub(super) async fn files_for(
        &self,
        aim: &Aim,
        message: &Message,
        losses: &mut Vec<String>,
    ) -> Result<Posted, DeliveryError> {
        let mut posted = Posted::default();
        for file in &message.attachments {
            let media = self.context.media.open(&file.media).await?;
            let size = media.size.or(file.size);
            if size.is_some_and(|size| size > self.section.file_limit) {
                losses.push(format!("{} is too large for Teams", file.name));
                continue;
            }
            if file.kind == AttachmentKind::Image && size.is_some_and(|size| size <= INLINE) {
                posted.pictures.push(inline(file, media).await?);
                continue;
            }
            match self.placed(aim, file, media, size).await? {
                Some(url) => posted.links.push(Block::Paragraph(vec![Inline::Link {
                    url,
                    content: vec![Inline::Text(file.name.clone())],
                }])),
                None => losses.push(format!("{} could not be sent to Teams", file.name)),
            }
        }
        Ok(posted)
    }

    /// The address of a file: in the channel's folder, or a link of the hub's.
    async fn placed(
        &self,
        aim: &Aim,
        file: &Attachment,
        media: Media,
        size: Option<u64>,
    ) -> Result<Option<String>, DeliveryError> {
        if self.section.files == Files::Upload
            && let Some(scope) = aim.channel.scope().filter(|_| !aim.channel.is_chat())
        {
            match self.wire.folder(&scope).await {
                Ok(folder) => {
                    let (media, size) = measured(media, size).await?;
                    let begun = self.wire.begin_upload(&folder, &plain_name(&file.name)).await;
                    let url = begun.map_err(crate::client::error::CallError::for_repeatable)?;
                    let answer = self.wire.upload(url, media.stream, size).await?;
                    if let Some(url) = json::text(&answer, &["webUrl"]) {
                        return Ok(Some(url.to_owned()));
                    }
                }
                Err(error) if error.is_passing() || error.is_auth() => return Err(error.for_repeatable()),
                Err(error) => {
                    tracing::warn!(%error, "The app may not use the channel's folder; the file is linked to.");
                }
            }
        }
        Ok(self.context.media.link(&file.media, &file.name))
    }

    /// Opens a file or a picture of Teams'.
    pub(super) async fn open(&self, locator: &str) -> Result<Media, MediaError> {
        let limit = self.section.file_limit;
        let content = |path: String| self.wire.content_url(&path).ok_or(MediaError::Gone);
        match locator.split_once(' ') {
            Some(("avatar", id)) => {
                let url = content(format!("users/{}/photo/$value", part(id)))?;
                self.wire.fetch(url.as_str(), limit).await
            }
            Some(("share", address)) => {
                let name = URL_SAFE_NO_PAD.encode(address);
                let url = content(format!("shares/u!{name}/driveItem/content"))?;
                self.wire.fetch(url.as_str(), limit).await
            }
            Some(("plain", address)) => self.wire.fetch(address, limit).await,
            _ => self.wire.fetch(locator, limit).await,
        }
    }
}

/// A small picture within the message itself.
async fn inline(file: &Attachment, media: Media) -> Result<Picture, DeliveryError> {
    let mime = media.mime.clone().or_else(|| file.mime.clone());
    let mime = mime
        .filter(|mime| mime.starts_with("image/"))
        .unwrap_or_else(|| "image/png".to_owned());
    let bytes = gathered(media, usize::try_from(INLINE).unwrap_or(usize::MAX)).await?;
    Ok(Picture {
        name: file.name.clone(),
        mime,
        base64: STANDARD.encode(bytes),
    })
}

async fn gathered(mut media: Media, bound: usize) -> Result<Vec<u8>, DeliveryError> {
    let mut bytes = Vec::new();
    while let Some(piece) = media.stream.next().await {
        bytes.extend_from_slice(&piece?);
        if bytes.len() > bound {
            return Err(DeliveryError::permanent("the file is larger than its source said"));
        }
    }
    Ok(bytes)
}

/// A file whose size is known: Microsoft wants it beforehand.
async fn measured(media: Media, size: Option<u64>) -> Result<(Media, u64), DeliveryError> {
    if let Some(size) = size.filter(|size| *size > 0) {
        return Ok((media, size));
    }
    let (mime, name) = (media.mime.clone(), media.name.clone());
    let bytes = gathered(media, UNKNOWN).await?;
    let size = bytes.len() as u64;
    let stream = futures_util::stream::iter([Ok(bytes::Bytes::from(bytes))]);
    let media = Media {
        mime,
        name,
        size: Some(size),
        stream: Box::pin(stream),
    };
    Ok((media, size))
}

/// A name that may be a file's in a folder of Microsoft's.
fn plain_name(name: &str) -> String {
    let clean: String = name
        .chars()
        .map(|c| {
            if c.is_control() || "\"*:<>?/\\|#%~".contains(c) {
                '_'
            } else {
                c
            }
        })
        .take(120)
        .collect();
    let clean = clean.trim_matches([' ', '.']).to_owned();
    if clean.is_empty() { "file".to_owned() } else { clean }
}
