//! Files: down with a token only from hosts that may have it, up in pieces into the channel's folder.

use bytes::{Bytes, BytesMut};
use futures_util::{StreamExt, TryStreamExt};
use reqwest::{Response, StatusCode};
use serde_json::Value;
use url::Url;
use viaduct_bridge::{DeliveryError, Failure, Media, MediaError, MediaStream};

use super::wire::{Audience, Wire};

/// How many redirects are followed, the token left behind.
const REDIRECTS: usize = 3;
/// The bytes sent at once: a multiple of 320 KiB, as Microsoft wants it.
const PIECE: usize = 10 * 320 * 1024;

impl Wire {
    /// Fetches a file from Graph, from the connector or, without a token, from where Microsoft keeps files. Where it is refused
    /// for want of a login it is fetched once more, as a token may be over that was good a moment ago.
    ///
    /// # Errors
    ///
    /// [`MediaError`], without the address.
    pub async fn fetch(&self, address: &str, limit: u64) -> Result<Media, MediaError> {
        let mut response = self.followed(address).await?;
        if response.status() == StatusCode::UNAUTHORIZED {
            response = self.followed(address).await?;
        }
        media(response, limit)
    }

    /// The answer where all redirects end.
    async fn followed(&self, address: &str) -> Result<Response, MediaError> {
        let mut url = Url::parse(address).map_err(|_| MediaError::Refused("the address is not valid".to_owned()))?;
        for hop in 0..=REDIRECTS {
            let audience = match hop {
                0 if self.hosts.is_graph(&url) => Some(Audience::Graph),
                0 if self.hosts.is_service(&url) => Some(Audience::Connector),
                _ => None,
            };
            if audience.is_none() && !self.hosts.is_storage(&url) {
                let host = url.host_str().unwrap_or_default();
                return Err(MediaError::Refused(format!("{host} is not one of Microsoft's hosts")));
            }
            let response = self.get(url.clone(), audience).await;
            let response = response.map_err(|error| MediaError::Retry(error.to_string()))?;
            if !response.status().is_redirection() {
                return Ok(response);
            }
            let next = response.headers().get("location").and_then(|value| value.to_str().ok());
            let next = next.and_then(|next| url.join(next).ok());
            url = next.ok_or_else(|| MediaError::Refused("Microsoft redirects to nowhere".to_owned()))?;
        }
        Err(MediaError::Refused("Microsoft redirects in circles".to_owned()))
    }

    /// Sends a file to the address that Microsoft gave; gives what Microsoft says of it.
    ///
    /// # Errors
    ///
    /// [`DeliveryError`]; never of unknown outcome, as nobody sees the file before it is linked to.
    pub async fn upload(&self, url: Url, mut stream: MediaStream, size: u64) -> Result<Value, DeliveryError> {
        if !self.hosts.is_storage(&url) {
            return Err(DeliveryError::permanent(
                "Microsoft gave an address for the file that is not its own",
            ));
        }
        let mut held = BytesMut::new();
        let mut sent: u64 = 0;
        loop {
            let next = stream.next().await;
            let ended = next.is_none();
            if let Some(piece) = next {
                held.extend_from_slice(&piece?);
            }
            while held.len() >= PIECE || (ended && !held.is_empty()) {
                let piece: Bytes = held.split_to(held.len().min(PIECE)).freeze();
                let last = sent + piece.len() as u64;
                if last > size {
                    return Err(DeliveryError::permanent("the file is larger than its source said"));
                }
                let range = format!("bytes {sent}-{}/{size}", last.saturating_sub(1));
                let answer = self
                    .put_piece(url.clone(), range, piece)
                    .await
                    .map_err(|error| match error.status() {
                        413 | 507 => DeliveryError::new(Failure::TooLarge, "Microsoft has no room for the file"),
                        _ => DeliveryError::retry(format!("the upload: {error}")),
                    })?;
                sent = last;
                if sent == size {
                    return Ok(answer);
                }
            }
            if ended {
                return Err(DeliveryError::permanent("the file is smaller than its source said"));
            }
        }
    }
}

fn media(response: Response, limit: u64) -> Result<Media, MediaError> {
    let status = response.status();
    if status == StatusCode::TOO_MANY_REQUESTS || status.is_server_error() {
        return Err(MediaError::Retry(format!("Microsoft answers {status}")));
    }
    if status == StatusCode::UNAUTHORIZED {
        return Err(MediaError::Refused(
            "Microsoft does not take the app's login for this file".to_owned(),
        ));
    }
    if status == StatusCode::FORBIDDEN {
        return Err(MediaError::Refused(
            "the app may not read this file; the consent for it is missing".to_owned(),
        ));
    }
    if !status.is_success() {
        return Err(MediaError::Gone);
    }
    let mime = response
        .headers()
        .get("content-type")
        .and_then(|value| value.to_str().ok())
        .map(str::to_owned);
    let size = response.content_length();
    let stream = response
        .bytes_stream()
        .map_err(|error| MediaError::Retry(error.without_url().to_string()));
    Media::within(limit, mime, size, stream)
}
