//! What `doctor` asks about the homeserver.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::routing::post;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::Notify;
use viaduct_bridge::Probe;
use viaduct_model::{Clock, Timestamp};

use crate::client::{Api, As, segment};
use crate::crypto::probe as encryption;
use crate::error::{ApiError, HomeserverError};
use crate::{HomeserverConfig, SpeakFor};

/// How far the clocks may be apart, in milliseconds.
const SKEW_BOUND: u64 = 30_000;
/// How many of those we are to speak for are asked about.
const ASKED_FOR: usize = 20;
/// How long the answer to one question is waited for.
const PATIENCE: Duration = Duration::from_secs(20);

/// Examines the homeserver without a running hub. If the listen address is free, a listener is put there for the
/// homeserver's ping; otherwise the running hub is taken to be the one that answers it.
///
/// # Errors
///
/// [`HomeserverError`] if the configuration cannot be used at all.
pub async fn doctor(config: &HomeserverConfig, clock: Arc<dyn Clock>) -> Result<Vec<Probe>, HomeserverError> {
    let api = Api::new(config)?;
    let heard = Arc::new(Notify::new());
    let stand_in = match TcpListener::bind(config.listen).await {
        Ok(listener) => {
            let ping = Router::new().route("/_matrix/app/v1/ping", post(|| async { axum::Json(json!({})) }));
            let routes = ping.merge(encryption::listening(Arc::clone(&heard)));
            Some(tokio::spawn(async move { axum::serve(listener, routes).await }))
        }
        Err(_) => None,
    };
    let mut probes = examine(&api, config, clock.as_ref()).await;
    if let Some(wanted) = &config.encryption {
        let heard = stand_in.as_ref().map(|_| &*heard);
        probes.extend(encryption::examine(&api, config, wanted, (heard, clock.now())).await);
    }
    if let Some(stand_in) = stand_in {
        stand_in.abort();
    }
    Ok(probes)
}

/// Asks the homeserver everything that can be asked.
pub(crate) async fn examine(api: &Api, config: &HomeserverConfig, clock: &dyn Clock) -> Vec<Probe> {
    let mut probes = Vec::new();
    match versions(api).await {
        Ok(finding) => probes.push(Probe::ok("homeserver", finding)),
        // It runs; what it says about the token is told below.
        Err(error) if error.is_token() => {}
        Err(error) => {
            let fix = format!("check homeserver.url ({}), and that the homeserver runs", config.url);
            probes.push(Probe::error("homeserver", error.to_string(), fix));
            return probes;
        }
    }
    probes.extend(skew(api, clock).await);
    let known = whoami(api, config).await;
    let token_works = known.status == viaduct_bridge::ProbeStatus::Ok;
    probes.push(known);
    if token_works {
        probes.push(namespace(api, config).await);
        probes.extend(speaking(api, config).await);
        probes.push(ping(api, config).await);
        probes.extend(media(api, config).await);
    }
    probes
}

async fn bounded<T>(asked: impl Future<Output = Result<T, ApiError>>) -> Result<T, ApiError> {
    tokio::time::timeout(PATIENCE, asked)
        .await
        .unwrap_or_else(|_| Err(ApiError::Unreachable("it did not answer in time".to_owned())))
}

async fn versions(api: &Api) -> Result<String, ApiError> {
    #[derive(Deserialize)]
    struct Versions {
        versions: Vec<String>,
        #[serde(default)]
        unstable_features: BTreeMap<String, Value>,
    }
    let answer: Versions = bounded(api.get("/_matrix/client/versions", As::BOT)).await?;
    let newest = answer
        .versions
        .last()
        .cloned()
        .unwrap_or_else(|| "an unknown version".to_owned());
    Ok(format!(
        "answers, speaks Matrix up to {newest}, {} unstable features",
        answer.unstable_features.len()
    ))
}

async fn whoami(api: &Api, config: &HomeserverConfig) -> Probe {
    let subject = "as_token";
    match bounded(api.get::<Value>("/_matrix/client/v3/account/whoami", As::BOT)).await {
        Ok(answer) => {
            let user = answer.get("user_id").and_then(Value::as_str).unwrap_or_default();
            if user == config.bot_id() {
                Probe::ok(subject, format!("accepted, we are {user}"))
            } else {
                let fix = format!(
                    "let appservice.bot and homeserver.domain ({}) match the registration",
                    config.bot_id()
                );
                Probe::error(subject, format!("accepted, but as {user}"), fix)
            }
        }
        Err(error) if error.is_token() => Probe::error(
            subject,
            "the homeserver does not know it",
            "let the homeserver load the registration file (`viaduct registration`) and restart it",
        ),
        Err(error) => Probe::error(subject, error.to_string(), "look at the homeserver's log"),
    }
}

/// Whether we may speak as ghosts.
async fn namespace(api: &Api, config: &HomeserverConfig) -> Probe {
    let subject = "ghosts";
    let ghost = format!("@{}probe_probe:{}", config.ghost_prefix, config.domain);
    match may_speak(api, &ghost).await {
        Ok(None) => Probe::ok(
            subject,
            format!("user ids that begin with @{} are ours", config.ghost_prefix),
        ),
        Ok(Some(refusal)) => Probe::error(
            subject,
            format!("we may not speak for {ghost}: {refusal}"),
            "let appservice.ghost_prefix and the user namespace of the registration file match, and restart the homeserver",
        ),
        Err(error) => Probe::warning(subject, error.to_string(), "look at the homeserver's log"),
    }
}

/// Why we may not speak as a user; none if we may.
async fn may_speak(api: &Api, mxid: &str) -> Result<Option<String>, ApiError> {
    let asked = bounded(api.get::<Value>("/_matrix/client/v3/account/whoami", As::user(mxid))).await;
    match asked {
        Ok(_) => Ok(None),
        Err(error) if error.is("M_FORBIDDEN") || error.is("M_EXCLUSIVE") => {
            let text = error.to_string();
            // It is ours, but nobody has made it: that is as it should be.
            Ok((!text.contains("registered")).then_some(text))
        }
        Err(error) => Err(error),
    }
}

/// Whether the registration that the homeserver has loaded lets us speak for those for whom we are to.
async fn speaking(api: &Api, config: &HomeserverConfig) -> Option<Probe> {
    let subject = "speak_for";
    let people: Vec<String> = match &config.speak_for {
        SpeakFor::Nobody => return None,
        SpeakFor::These(people) => people.iter().take(ASKED_FOR).cloned().collect(),
        SpeakFor::OwnUsers => vec![format!("@viaduct-probe:{}", config.domain)],
    };
    for mxid in &people {
        match may_speak(api, mxid).await {
            Ok(None) => {}
            Ok(Some(refusal)) => {
                return Some(Probe::error(
                    subject,
                    format!("we may not speak for {mxid}, so a ghost stands in: {refusal}"),
                    "write the registration again with `viaduct registration`, let the homeserver load it and restart it",
                ));
            }
            Err(error) => {
                return Some(Probe::warning(
                    subject,
                    error.to_string(),
                    "look at the homeserver's log",
                ));
            }
        }
    }
    Some(Probe::ok(subject, "we may speak for those who log in elsewhere"))
}

/// Asks the homeserver to call us.
async fn ping(api: &Api, config: &HomeserverConfig) -> Probe {
    let subject = "homeserver → hub";
    let path = format!("/_matrix/client/v1/appservice/{}/ping", segment(&config.id));
    match bounded(api.post(&path, As::BOT, &json!({}))).await {
        Ok(answer) => {
            let millis = answer.get("duration_ms").and_then(Value::as_u64).unwrap_or_default();
            Probe::ok(subject, format!("the homeserver reaches us, in {millis} ms"))
        }
        Err(error) if error.is("M_CONNECTION_FAILED") || error.is("M_CONNECTION_TIMEOUT") => Probe::error(
            subject,
            format!("the homeserver cannot reach us at {}", config.reachable_url()),
            "let appservice.url be an address that the homeserver can reach, and the registration file have the same",
        ),
        Err(error) if error.is("M_BAD_STATUS") => Probe::error(
            subject,
            "something else answers at our address, or it does not know the hs_token",
            "let the hs_token in the configuration and in the homeserver's registration file be the same",
        ),
        Err(error) if error.is("M_UNRECOGNIZED") || error.is_missing() => {
            Probe::warning(subject, "the homeserver is too old to be asked for a ping", "")
        }
        Err(error) => Probe::error(
            subject,
            error.to_string(),
            "let appservice.id match the registration file",
        ),
    }
}

async fn skew(api: &Api, clock: &dyn Clock) -> Option<Probe> {
    let date = bounded(api.date()).await.ok()??;
    let theirs = httpdate::parse_http_date(&date)
        .ok()?
        .duration_since(std::time::UNIX_EPOCH)
        .ok()?;
    let theirs = Timestamp(u64::try_from(theirs.as_millis()).ok()?);
    let ours = clock.now();
    let apart = ours.millis_since(theirs).max(theirs.millis_since(ours));
    let finding = format!("the homeserver's clock and ours are {} s apart", apart / 1000);
    Some(if apart <= SKEW_BOUND {
        Probe::ok("clock", finding)
    } else {
        Probe::warning("clock", finding, "let both machines set their clocks by NTP")
    })
}

async fn media(api: &Api, config: &HomeserverConfig) -> Option<Probe> {
    let answer: Value = bounded(api.get("/_matrix/client/v1/media/config", As::BOT))
        .await
        .ok()?;
    let theirs = answer.get("m.upload.size").and_then(Value::as_u64)?;
    let finding = format!(
        "the homeserver takes files up to {theirs} bytes, we carry up to {}",
        config.media_limit
    );
    Some(if theirs >= config.media_limit {
        Probe::ok("files", finding)
    } else {
        Probe::warning(
            "files",
            finding,
            "larger files will be named instead of shown; lower appservice.media_limit or raise the homeserver's",
        )
    })
}

/// Whether a port can be listened on, for messages.
pub(crate) fn cannot_listen(address: SocketAddr, error: &std::io::Error) -> String {
    format!("cannot listen on {address} for the homeserver's events: {error}")
}
