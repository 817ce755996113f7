//! Files: uploads (XEP-0363), and fetching what people share.

use futures_util::TryStreamExt;
use viaduct_bridge::{DeliveryError, Failure, Media, MediaError, bounded};
use viaduct_model::Attachment;
use xmpp_parsers::http_upload::{SlotRequest, SlotResult};
use xmpp_parsers::jid::Jid;

use crate::client::wire::{Ask, RequestError, Wire, is_passing};
use crate::config::Section;
use crate::convert::outgoing::xml_text;
use crate::session::Xmpp;

/// Opens a file that somebody shared, if its host is one the operator allows.
pub async fn open(http: &reqwest::Client, section: &Section, locator: &str) -> Result<Media, MediaError> {
    let url = url::Url::parse(locator).map_err(|_| MediaError::Refused("the address is not valid".into()))?;
    let host = url.host_str().unwrap_or_default();
    if !matches!(url.scheme(), "https" | "http") || !section.allows_file_host(host) {
        return Err(MediaError::Refused(format!("{host} is not among the file_hosts")));
    }
    let response = http
        .get(url)
        .send()
        .await
        .map_err(|error| MediaError::Retry(error.without_url().to_string()))?;
    let status = response.status();
    if status.is_server_error() || status.as_u16() == 429 {
        return Err(MediaError::Retry(format!("the server answered {status}")));
    }
    if !status.is_success() {
        return Err(MediaError::Gone);
    }
    let limit = section.file_limit;
    let size = response.content_length();
    let mime = response
        .headers()
        .get("content-type")
        .and_then(|value| value.to_str().ok())
        .map(str::to_owned);
    let stream = response
        .bytes_stream()
        .map_err(|error| MediaError::Retry(error.without_url().to_string()));
    Media::within(limit, mime, size, stream)
}

impl Xmpp {
    /// Uploads a file and gives its address.
    pub(crate) async fn upload(&self, wire: &Wire, attachment: &Attachment) -> Result<String, DeliveryError> {
        let service = self.section().upload_service.as_deref();
        let service = service.ok_or_else(|| DeliveryError::new(Failure::Unsupported, "there is no upload service"))?;
        let to = Jid::new(service).map_err(|error| DeliveryError::permanent(error.to_string()))?;
        let media = self.context().media.open(&attachment.media).await?;
        let size = media.size.or(attachment.size);
        let size = size.ok_or_else(|| DeliveryError::permanent("the size of the file is not known"))?;
        let content_type = media.mime.clone().or_else(|| attachment.mime.clone());
        let request = SlotRequest {
            filename: xml_text(&attachment.name),
            size,
            content_type: content_type.as_deref().map(xml_text),
        };
        let ask = Ask {
            from: self.own_address(),
            to,
            set: false,
            payload: request.into(),
        };
        let slot = match wire.request(ask).await {
            Ok(slot) => slot,
            Err(RequestError::Refused(error)) if !is_passing(&error) => {
                return Err(DeliveryError::permanent(RequestError::Refused(error).to_string()));
            }
            Err(error) => return Err(DeliveryError::retry(format!("the upload service: {error}"))),
        };
        let slot = slot.and_then(|slot| SlotResult::try_from(slot).ok());
        let slot = slot.ok_or_else(|| DeliveryError::permanent("the upload service gave no address"))?;
        let mut request = self.http().put(&slot.put.url).header("content-length", size);
        for header in &slot.put.headers {
            request = request.header(header.name.as_str(), header.value.replace(['\r', '\n'], ""));
        }
        if let Some(content_type) = content_type {
            request = request.header("content-type", content_type);
        }
        let sent = request
            .body(reqwest::Body::wrap_stream(bounded(media.stream, size)))
            .send()
            .await;
        let response = sent.map_err(|error| DeliveryError::retry(format!("the upload: {}", error.without_url())))?;
        match response.status() {
            status if status.is_success() => Ok(slot.get.url),
            status if status.is_server_error() => {
                Err(DeliveryError::retry(format!("the upload was answered {status}")))
            }
            status => Err(DeliveryError::permanent(format!("the upload was answered {status}"))),
        }
    }
}
