//! Files across sides: opened at the side that has them, offered to others under signed links.
//!
//! A link is `PREFIX/SIGNATURE/EXPIRY/REFERENCE/NAME`. The signature (HMAC-SHA256 over the rest) makes it unguessable, the
//! expiry ends it; nothing is stored. What it refers to is fetched from its own network when somebody asks.

use std::sync::Arc;

use async_trait::async_trait;
use axum::Router;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use hmac::{Hmac, Mac};
use sha2::Sha256;
use viaduct_bridge::{Media, MediaError, MediaSource};
use viaduct_model::{Clock, Entropy, MediaRef, MirrorName, NetworkName, Timestamp};
use viaduct_store::{Batch, Op, Seq, Store, StoreError};

use crate::core::Core;
use crate::resolve;

/// The path under which links are served.
pub const PATH: &str = "/_viaduct/media";
/// The reserved network name of texts that are read from the journal itself.
const JOURNAL: &str = "journal";
/// How long a link is good, in milliseconds: 30 days.
const LIFETIME: u64 = 30 * 24 * 60 * 60 * 1000;

/// Names the text of one journal entry as a file.
pub(crate) fn text_ref(mirror: &MirrorName, seq: Seq) -> MediaRef {
    let network = NetworkName::new(JOURNAL).unwrap_or_else(|_| NetworkName::matrix());
    MediaRef {
        network,
        locator: format!("{mirror}/{seq}"),
    }
}

/// Makes and checks links.
#[derive(Clone)]
pub struct LinkSigner {
    base: Option<String>,
    secret: Arc<[u8]>,
}

impl LinkSigner {
    /// `base` is the address under which people outside reach the hub; without it no links are made.
    pub fn new(base: Option<String>, secret: &[u8]) -> Self {
        Self {
            base: base.map(|base| base.trim_end_matches('/').to_owned()),
            secret: Arc::from(secret),
        }
    }

    fn mac(&self, expiry: &str, reference: &str) -> Option<Hmac<Sha256>> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.secret).ok()?;
        mac.update(expiry.as_bytes());
        mac.update(b"/");
        mac.update(reference.as_bytes());
        Some(mac)
    }

    /// A link that is good for a while.
    pub(crate) fn link(&self, media: &MediaRef, name: &str, now: Timestamp) -> Option<String> {
        let base = self.base.as_ref()?;
        // Links of one day look alike, so that a message that is tried again has the same text.
        let day = 24 * 60 * 60 * 1000;
        let expiry = ((now.as_millis() / day) * day + LIFETIME).to_string();
        let reference = URL_SAFE_NO_PAD.encode(serde_json::to_vec(media).ok()?);
        let signature = URL_SAFE_NO_PAD.encode(self.mac(&expiry, &reference)?.finalize().into_bytes());
        Some(format!(
            "{base}{PATH}/{signature}/{expiry}/{reference}/{}",
            file_name(name)
        ))
    }

    /// What a link refers to, if it is ours and still good.
    fn check(&self, signature: &str, expiry: &str, reference: &str, now: Timestamp) -> Option<MediaRef> {
        let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
        // Compares in constant time.
        self.mac(expiry, reference)?.verify_slice(&signature).ok()?;
        let expiry: u64 = expiry.parse().ok()?;
        (now.as_millis() <= expiry).then_some(())?;
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(reference).ok()?).ok()
    }
}

/// A name that is safe in a URL and as a file name.
fn file_name(name: &str) -> String {
    let safe: String = name
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_') {
                c
            } else {
                '_'
            }
        })
        .take(80)
        .collect();
    if safe.trim_matches(['.', '_']).is_empty() {
        "file".to_owned()
    } else {
        safe
    }
}

/// Opens files wherever they are: what was looked into, as it was then.
pub(crate) struct Files(pub(crate) Arc<Core>);

#[async_trait]
impl MediaSource for Files {
    async fn open(&self, media: &MediaRef) -> Result<Media, MediaError> {
        let sources = Sources(self.0.clone());
        if let Some(inspector) = &self.0.inspector
            && let Some(opened) = inspector.open(&sources, media).await
        {
            return opened;
        }
        sources.open(media).await
    }

    fn link(&self, media: &MediaRef, name: &str) -> Option<String> {
        self.0.links.link(media, name, self.0.clock.now())
    }
}

/// Opens files at the networks they are on.
pub(crate) struct Sources(pub(crate) Arc<Core>);

#[async_trait]
impl MediaSource for Sources {
    async fn open(&self, media: &MediaRef) -> Result<Media, MediaError> {
        if media.network.as_str() == JOURNAL {
            return journal_text(&*self.0.store, &media.locator).await;
        }
        match self.0.side(&media.network) {
            Some(side) => side.session.open_media(&media.locator).await,
            None => Err(MediaError::Gone),
        }
    }

    fn link(&self, media: &MediaRef, name: &str) -> Option<String> {
        self.0.links.link(media, name, self.0.clock.now())
    }
}

async fn journal_text(store: &dyn Store, locator: &str) -> Result<Media, MediaError> {
    let (mirror, seq) = locator.split_once('/').ok_or(MediaError::Gone)?;
    let mirror = MirrorName::new(mirror).map_err(|_| MediaError::Gone)?;
    let seq = seq.parse().map(Seq).map_err(|_| MediaError::Gone)?;
    let text = resolve::entry(store, &mirror, seq)
        .await
        .map_err(|error| MediaError::Retry(error.to_string()))?
        .as_ref()
        .and_then(|event| event.content.message())
        .map(|message| message.body.to_plain())
        .ok_or(MediaError::Gone)?;
    let bytes = Bytes::from(text);
    Ok(Media {
        mime: Some("text/plain; charset=utf-8".to_owned()),
        size: Some(bytes.len() as u64),
        name: None,
        stream: Box::pin(futures_util::stream::once(async move { Ok(bytes) })),
    })
}

/// The route that serves links.
pub(crate) fn routes(core: Arc<Core>) -> Router {
    Router::new()
        .route(
            &format!("{PATH}/{{signature}}/{{expiry}}/{{reference}}/{{name}}"),
            get(serve),
        )
        .with_state(core)
}

async fn serve(
    State(core): State<Arc<Core>>,
    Path((signature, expiry, reference, name)): Path<(String, String, String, String)>,
) -> Response {
    let clock: &dyn Clock = &*core.clock;
    let Some(media) = core.links.check(&signature, &expiry, &reference, clock.now()) else {
        return (StatusCode::NOT_FOUND, "This link is not valid (any more).\n").into_response();
    };
    match Files(core.clone()).open(&media).await {
        Ok(media) => {
            // Never shown inline as a page: what a stranger uploaded must not run as one of ours.
            let kind = match media.mime.as_deref() {
                Some(kind) if is_harmless(kind) => kind.to_owned(),
                _ => "application/octet-stream".to_owned(),
            };
            let disposition = if kind == "application/octet-stream" {
                "attachment"
            } else {
                "inline"
            };
            let headers = [
                (header::CONTENT_TYPE, kind),
                (
                    header::CONTENT_DISPOSITION,
                    format!("{disposition}; filename=\"{}\"", file_name(&name)),
                ),
                (
                    header::CONTENT_SECURITY_POLICY,
                    "sandbox; default-src 'none'".to_owned(),
                ),
                (header::X_CONTENT_TYPE_OPTIONS, "nosniff".to_owned()),
                (header::CACHE_CONTROL, "private, max-age=86400".to_owned()),
            ];
            (headers, Body::from_stream(media.stream)).into_response()
        }
        Err(MediaError::Gone) => (StatusCode::NOT_FOUND, "The file is gone.\n").into_response(),
        Err(MediaError::TooLarge(_)) => (StatusCode::PAYLOAD_TOO_LARGE, "The file is too large.\n").into_response(),
        Err(MediaError::Retry(_) | MediaError::Refused(_)) => {
            (StatusCode::BAD_GATEWAY, "The file cannot be had at the moment.\n").into_response()
        }
    }
}

fn is_harmless(kind: &str) -> bool {
    let kind = kind.split(';').next().unwrap_or_default().trim();
    matches!(
        kind,
        "image/png"
            | "image/jpeg"
            | "image/gif"
            | "image/webp"
            | "text/plain"
            | "audio/ogg"
            | "audio/mpeg"
            | "video/mp4"
            | "video/webm"
    )
}

/// The secret that links are signed with: made once, kept in the store.
pub(crate) async fn link_secret(store: &dyn Store, entropy: &dyn Entropy) -> Result<Vec<u8>, StoreError> {
    const KEY: &str = "link-secret";
    if let Some(secret) = store.state(crate::reactions::OWNER, KEY).await? {
        return Ok(secret);
    }
    let mut secret = vec![0; 32];
    entropy.fill(&mut secret);
    let op = Op::State {
        owner: crate::reactions::OWNER.to_owned(),
        key: KEY.to_owned(),
        value: Some(secret.clone()),
    };
    store.submit(Batch::of(op)).await?.await?;
    Ok(secret)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_is_good_until_it_expires_and_only_as_it_was_made() {
        let signer = LinkSigner::new(Some("https://hub/".to_owned()), b"secret");
        let media = MediaRef {
            network: NetworkName::matrix(),
            locator: "mxc://a/b".to_owned(),
        };
        let link = signer.link(&media, "../Plan <1>.pdf", Timestamp(0)).unwrap();
        let parts: Vec<&str> = link
            .strip_prefix("https://hub/_viaduct/media/")
            .unwrap()
            .split('/')
            .collect();
        assert_eq!(parts[3], ".._Plan__1_.pdf");
        let check = |signature, expiry, now| signer.check(signature, expiry, parts[2], Timestamp(now));
        assert_eq!(check(parts[0], parts[1], 1), Some(media.clone()));
        assert_eq!(check(parts[0], parts[1], LIFETIME + 1), None);
        assert_eq!(check(parts[0], "99999999999999", 1), None);
        assert_eq!(check("AAAA", parts[1], 1), None);
        let other = LinkSigner::new(Some("https://hub".to_owned()), b"other")
            .link(&media, "x", Timestamp(0))
            .unwrap();
        assert_eq!(check(other.split('/').nth(5).unwrap(), parts[1], 1), None);
        assert_eq!(LinkSigner::new(None, b"secret").link(&media, "x", Timestamp(0)), None);
    }
}
