//! Files that messages share, as attachments.

use viaduct_model::{Attachment, AttachmentKind, MediaRef};
use xmpp_parsers::minidom::Element;
use xmpp_parsers::ns;
use xmpp_parsers::oob::Oob;

use super::incoming::{FILE_BOUND, Reader};
use crate::xep::xep0447_file_sharing::{self, FileSharing};

impl Reader<'_> {
    /// The files of a message that the hub may fetch; an address that stands alone as the text is taken out of it.
    pub(super) fn files(&self, payloads: &[Element], text: &mut String) -> Vec<Attachment> {
        let mut files: Vec<Attachment> = Vec::new();
        let shared = payloads
            .iter()
            .filter(|payload| payload.is("file-sharing", xep0447_file_sharing::NS));
        for sharing in shared.filter_map(|payload| FileSharing::try_from(payload.clone()).ok()) {
            let Some(url) = sharing.sources.urls.iter().find(|url| self.may_fetch(&url.target)) else {
                continue;
            };
            let mut file = self.attachment(&url.target, sharing.file.media_type.clone());
            file.name = sharing.file.name.as_deref().and_then(file_name).unwrap_or(file.name);
            file.size = sharing.file.size;
            file.dimensions = sharing.file.width.zip(sharing.file.height);
            file.duration = sharing.file.length;
            files.push(file);
        }
        let attached = payloads.iter().filter(|payload| payload.is("x", ns::OOB));
        for oob in attached.filter_map(|payload| Oob::try_from(payload.clone()).ok()) {
            if self.may_fetch(&oob.url) && !files.iter().any(|file| file.media.locator == oob.url) {
                files.push(self.attachment(&oob.url, None));
            }
        }
        files.truncate(FILE_BOUND);
        if files.iter().any(|file| file.media.locator == text.trim()) {
            text.clear();
        }
        files
    }

    fn may_fetch(&self, address: &str) -> bool {
        url::Url::parse(address).is_ok_and(|url| {
            matches!(url.scheme(), "https" | "http") && url.host_str().is_some_and(|host| (self.allows_host)(host))
        })
    }

    fn attachment(&self, address: &str, mime: Option<String>) -> Attachment {
        let url = url::Url::parse(address).ok();
        let last = url
            .as_ref()
            .and_then(|url| url.path_segments()?.next_back().map(str::to_owned));
        let name = last.as_deref().and_then(file_name).unwrap_or_else(|| "file".to_owned());
        let kind = kind_of(mime.as_deref(), &name);
        Attachment {
            media: MediaRef {
                network: self.network.clone(),
                locator: address.to_owned(),
            },
            name,
            mime,
            size: None,
            kind,
            dimensions: None,
            duration: None,
            spoiler: false,
        }
    }
}

fn kind_of(mime: Option<&str>, name: &str) -> AttachmentKind {
    let extension = name
        .rsplit_once('.')
        .map(|(_, extension)| extension.to_ascii_lowercase())
        .unwrap_or_default();
    match mime.and_then(|mime| mime.split('/').next()).unwrap_or_default() {
        "image" => AttachmentKind::Image,
        "video" => AttachmentKind::Video,
        "audio" => AttachmentKind::Audio,
        _ => match extension.as_str() {
            "png" | "jpg" | "jpeg" | "gif" | "webp" | "avif" => AttachmentKind::Image,
            "mp4" | "webm" | "mov" => AttachmentKind::Video,
            "mp3" | "ogg" | "oga" | "opus" | "m4a" | "flac" | "wav" => AttachmentKind::Audio,
            _ => AttachmentKind::File,
        },
    }
}

/// A file's name without any path and control characters, bounded.
fn file_name(text: &str) -> Option<String> {
    let last = text.rsplit(['/', '\\']).next().unwrap_or_default();
    let name: String = last.chars().filter(|c| !c.is_control()).take(200).collect();
    Some(name).filter(|name| !name.trim_matches(['.', ' ']).is_empty())
}
