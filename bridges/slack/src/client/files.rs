//! Files, streamed: down with the token and only from Slack's hosts, up to the address that Slack gave.

use futures_util::TryStreamExt;
use reqwest::{Response, StatusCode};
use url::Url;
use viaduct_bridge::{DeliveryError, Failure, Media, MediaError, MediaStream, bounded};

use super::error::CallError;
use super::hosts::Hosts;
use super::web::{retry_after, unsent};

/// How many redirects within Slack are followed.
const REDIRECTS: usize = 3;

/// Fetches a file or a picture.
///
/// # Errors
///
/// [`MediaError`], without the address.
pub async fn fetch(
    http: &reqwest::Client,
    hosts: &Hosts,
    address: &str,
    token: Option<&str>,
    limit: u64,
) -> Result<Media, MediaError> {
    let mut url = Url::parse(address).map_err(|_| MediaError::Refused("the address is not valid".to_owned()))?;
    for _ in 0..=REDIRECTS {
        let may_have_token = hosts.may_have_token(&url);
        if !may_have_token && (token.is_some() || !hosts.may_have_picture(&url)) {
            let host = url.host_str().unwrap_or_default();
            return Err(MediaError::Refused(format!("{host} is not one of Slack's hosts")));
        }
        let mut request = http.get(url.clone());
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        let response = request
            .send()
            .await
            .map_err(|error| MediaError::Retry(unsent(&error).to_string()))?;
        if response.status().is_redirection() {
            let next = response.headers().get("location").and_then(|value| value.to_str().ok());
            let next = next.and_then(|next| url.join(next).ok());
            url = next.ok_or_else(|| MediaError::Refused("Slack redirects to nowhere".to_owned()))?;
            continue;
        }
        return media(response, token.is_some(), limit);
    }
    Err(MediaError::Refused("Slack redirects in circles".to_owned()))
}

fn media(response: Response, private: bool, limit: u64) -> Result<Media, MediaError> {
    let status = response.status();
    if status == StatusCode::TOO_MANY_REQUESTS || status.is_server_error() {
        return Err(MediaError::Retry(format!("Slack answers {status}")));
    }
    if !status.is_success() {
        return Err(MediaError::Gone);
    }
    let header = |name: &str| {
        response
            .headers()
            .get(name)
            .and_then(|value| value.to_str().ok())
            .map(str::to_owned)
    };
    let mime = header("content-type");
    // Without the permission Slack shows its login page instead of the file.
    if private
        && mime.as_deref().is_some_and(|mime| mime.starts_with("text/html"))
        && header("content-disposition").is_none()
    {
        return Err(MediaError::Refused(
            "Slack does not give the file: is the scope files:read granted?".to_owned(),
        ));
    }
    let size = response.content_length();
    let stream = response
        .bytes_stream()
        .map_err(|error| MediaError::Retry(unsent(&error).to_string()));
    Media::within(limit, mime, size, stream)
}

/// Sends the bytes of a file to the address that Slack gave. Nothing is shown to anybody by that.
///
/// # Errors
///
/// [`DeliveryError`]; never of unknown outcome.
pub async fn send(
    http: &reqwest::Client,
    hosts: &Hosts,
    address: &str,
    stream: MediaStream,
    size: u64,
) -> Result<(), DeliveryError> {
    let url = Url::parse(address).map_err(|_| DeliveryError::retry("Slack gave no address for the file"))?;
    if !hosts.may_have_token(&url) {
        return Err(DeliveryError::permanent(
            "Slack gave an address for the file that is not its own",
        ));
    }
    let sent = http
        .post(url)
        .header("content-type", "application/octet-stream")
        .header("content-length", size)
        .body(reqwest::Body::wrap_stream(bounded(stream, size)))
        .send()
        .await;
    let response = sent.map_err(|error| DeliveryError::retry(format!("the upload: {}", unsent(&error))))?;
    match response.status() {
        status if status.is_success() => Ok(()),
        StatusCode::TOO_MANY_REQUESTS => Err(CallError::Limited(retry_after(&response)).for_delivery()),
        StatusCode::PAYLOAD_TOO_LARGE => Err(DeliveryError::new(Failure::TooLarge, "Slack finds the file too large")),
        status => Err(DeliveryError::retry(format!("the upload was answered {status}"))),
    }
}
