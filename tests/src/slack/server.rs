//! The HTTP side: the Web API, sockets, uploads, downloads, pictures and the control interface.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::body::Body;
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::{Path, Query, Request, State as Extract};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get, post};
use axum::{Json, Router};
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::call::{Answer, Caller, Incoming, Refusal};
use super::command;
use super::control::Control;
use super::delivery;
use super::faults::{Fault, Faults};
use super::ids::now_micros;
use super::limits::Tier;
use super::methods::{self, Method, Needs};
use super::state::{Call, Stage, State, Token, TokenKind};

/// The longest file taken.
const LARGEST_FILE: usize = 256 * 1024 * 1024;

/// A picture of one pixel, for avatars and emoji.
const PIXEL: &[u8] = &[
    0x89, b'P', b'N', b'G', 0x0d, 0x0a, 0x1a, 0x0a, 0, 0, 0, 0x0d, b'I', b'H', b'D', b'R', 0, 0, 0, 1, 0, 0, 0, 1, 8,
    6, 0, 0, 0, 0x1f, 0x15, 0xc4, 0x89, 0, 0, 0, 0x0d, b'I', b'D', b'A', b'T', 0x78, 0x9c, 0x63, 0xf8, 0x0f, 0x04, 0,
    0x09, 0xfb, 0x03, 0xfd, 0xfb, 0x5e, 0x6b, 0x2b, 0, 0, 0, 0, b'I', b'E', b'N', b'D', 0xae, 0x42, 0x60, 0x82,
];

/// What all requests share.
#[derive(Debug, Default)]
pub(super) struct Shared {
    state: Mutex<State>,
    faults: Mutex<Faults>,
}

impl Shared {
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn faults(&self) -> MutexGuard<'_, Faults> {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(super) fn router(shared: Arc<Shared>, control: Control) -> Router {
    let commands = Router::new().route("/control", post(obey)).with_state(control);
    Router::new()
        .route("/api/{method}", any(api))
        .route("/link/", get(link))
        .route("/upload/v1/{ticket}", post(upload))
        .route("/files-pri/{place}/{*name}", get(download))
        .route("/avatars/{name}", get(picture))
        .route("/emoji/{team}/{name}", get(picture))
        .with_state(shared)
        .merge(commands)
}

async fn api(Extract(shared): Extract<Arc<Shared>>, Path(name): Path<String>, request: Request) -> Response {
    let incoming = Incoming::read(request).await;
    let fault = shared.faults().strike(&name);
    let arguments = incoming
        .as_ref()
        .map(|incoming| incoming.arguments.clone())
        .unwrap_or_default();
    let done = fault.as_ref().is_none_or(Fault::is_done);
    let answered = if done {
        answer(&mut shared.state(), &name, incoming)
    } else {
        Answered::default()
    };
    let (status, error) = match &fault {
        None => (
            answered.status.as_u16(),
            answered.body["error"].as_str().unwrap_or_default().to_owned(),
        ),
        Some(Fault::Limited { .. }) => (429, "ratelimited".to_owned()),
        Some(Fault::Status(status)) => (*status, String::new()),
        Some(Fault::Error(error)) => (200, error.clone()),
        Some(Fault::LoseAnswer | Fault::CutAnswer | Fault::Hang) => (0, String::new()),
    };
    shared.state().remember(Call {
        method: name,
        arguments,
        status,
        error,
        at: Instant::now(),
    });
    match fault {
        None => answered.into_response(),
        Some(fault) => failed(fault).await,
    }
}

/// Answers, or fails as asked for at this place (`upload`, `download` or `link`).
async fn or_fail(shared: &Shared, place: &str, answer: impl Future<Output = Response>) -> Response {
    let fault = shared.faults().strike(place);
    match fault {
        None => answer.await,
        Some(fault) => {
            if fault.is_done() {
                drop(answer.await);
            }
            failed(fault).await
        }
    }
}

/// What a call that fails is answered, if anything.
async fn failed(fault: Fault) -> Response {
    match fault {
        Fault::Limited { retry_after } => limited(retry_after).into_response(),
        Fault::Status(status) => {
            let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            let page = "<html><body>Something went wrong</body></html>";
            (status, [(CONTENT_TYPE, "text/html")], page).into_response()
        }
        Fault::Error(error) => refused(error.as_str().into()).into_response(),
        Fault::CutAnswer => {
            let halves = [
                Ok(Bytes::from_static(b"{\"ok\":tr")),
                Err(std::io::Error::other("cut off as asked")),
            ];
            Body::from_stream(futures_util::stream::iter(halves)).into_response()
        }
        Fault::LoseAnswer | Fault::Hang => std::future::pending().await,
    }
}

/// An answer on its way out.
#[derive(Debug, Default)]
struct Answered {
    status: StatusCode,
    body: Value,
    scopes: String,
    accepted: String,
    retry_after: Option<u64>,
}

impl IntoResponse for Answered {
    fn into_response(self) -> Response {
        let mut response = (self.status, Json(self.body)).into_response();
        let headers = response.headers_mut();
        for (name, value) in [
            ("x-oauth-scopes", self.scopes),
            ("x-accepted-oauth-scopes", self.accepted),
        ] {
            if let (false, Ok(value)) = (value.is_empty(), value.parse()) {
                headers.insert(name, value);
            }
        }
        if let Some(seconds) = self.retry_after {
            headers.insert(RETRY_AFTER, seconds.into());
        }
        response
    }
}

fn limited(seconds: u64) -> Answered {
    Answered {
        status: StatusCode::TOO_MANY_REQUESTS,
        body: json!({ "ok": false, "error": "ratelimited" }),
        retry_after: Some(seconds),
        ..Answered::default()
    }
}

fn refused(refusal: Refusal) -> Answered {
    let mut body = json!({ "ok": false, "error": refusal.code });
    super::view::extend(&mut body, refusal.more);
    Answered {
        body,
        ..Answered::default()
    }
}

/// What the method answers, or why there is none.
fn answer(state: &mut State, name: &str, incoming: Result<Incoming, &'static str>) -> Answered {
    let Some(method) = methods::find(name) else {
        state.violate(name, "there is no such method here".to_owned());
        return refused(Refusal {
            code: "unknown_method".to_owned(),
            more: json!({ "req_method": name }),
        });
    };
    let mut incoming = match incoming {
        Ok(incoming) => incoming,
        Err(error) => {
            state.violate(name, format!("the request cannot be read: {error}"));
            return refused(error.into());
        }
    };
    let (wrong, missing) = incoming.check(method);
    for what in wrong {
        state.violate(name, what);
    }
    let token = match authorize(state, method, incoming.token.as_deref()) {
        Ok(token) => token,
        Err(error) => return refused(error.into()),
    };
    let Some(install) = state.installs.get(token.install) else {
        return refused("fatal_error".into());
    };
    let (warn, app) = (incoming.json && !incoming.charset, install.app.clone());
    let caller = Caller::new(token, install, incoming.arguments);
    let tier = if state.limits.commercial && ["conversations.history", "conversations.replies"].contains(&name) {
        Tier::One
    } else {
        method.tier
    };
    let limits = state.limits.clone();
    let channel = caller.text("channel").unwrap_or_default();
    if let Err(wait) = state.usage.take(&limits, &app, method.name, tier, channel) {
        return limited(wait.as_secs() + u64::from(wait.subsec_nanos() > 0));
    }
    let mut answered = match run(state, method, &caller, &missing) {
        Ok(more) => {
            let mut body = json!({ "ok": true });
            super::view::extend(&mut body, more);
            Answered {
                body,
                ..Answered::default()
            }
        }
        Err(refusal) => refused(refusal),
    };
    if warn && answered.body["warning"].is_null() {
        answered.body["warning"] = json!("missing_charset");
        answered.body["response_metadata"]["warnings"] = json!(["missing_charset"]);
    }
    answered.scopes = caller.token.scopes.iter().cloned().collect::<Vec<_>>().join(",");
    answered.accepted = method.scopes.join(",");
    answered
}

fn run(state: &mut State, method: &Method, caller: &Caller, missing: &[String]) -> Answer {
    caller.require(method.scopes)?;
    if !missing.is_empty() {
        let more = json!({ "response_metadata": { "messages": missing } });
        return Err(Refusal {
            code: "invalid_arguments".to_owned(),
            more,
        });
    }
    (method.run)(state, caller)
}

fn authorize(state: &State, method: &Method, given: Option<&str>) -> Result<Token, &'static str> {
    if method.needs == Needs::Nothing {
        let (user, scopes) = (String::new(), BTreeSet::new());
        return Ok(Token {
            install: 0,
            kind: TokenKind::Bot,
            user,
            scopes,
            dead: None,
        });
    }
    let token = state.tokens.get(given.ok_or("not_authed")?).ok_or("invalid_auth")?;
    if let Some(error) = token.dead {
        return Err(error);
    }
    // `auth.test` answers any token.
    if method.needs.takes(token.kind) || method.name == "auth.test" {
        Ok(token.clone())
    } else {
        Err("not_allowed_token_type")
    }
}

#[derive(Deserialize)]
struct Ticket {
    ticket: String,
}

async fn link(
    Extract(shared): Extract<Arc<Shared>>,
    Query(given): Query<Ticket>,
    upgrade: WebSocketUpgrade,
) -> Response {
    let given = given.ticket;
    or_fail(&shared, "link", async { connect(&shared, &given, upgrade) }).await
}

fn connect(shared: &Arc<Shared>, given: &str, upgrade: WebSocketUpgrade) -> Response {
    let install = {
        let mut state = shared.state();
        let ticket = state
            .tickets
            .remove(given)
            .filter(|(_, until)| *until >= now_micros() / 1_000_000);
        ticket
            .and_then(|(index, _)| state.installs.get(index))
            .filter(|install| install.live)
            .map(|install| Arc::clone(&install.delivery))
    };
    let Some(delivery) = install else {
        return (
            StatusCode::FORBIDDEN,
            "the ticket was used, is too old or was never given",
        )
            .into_response();
    };
    let shared = Arc::clone(shared);
    upgrade
        .on_upgrade(move |socket| async move {
            delivery::serve(&delivery, socket, |what| shared.state().violate("socket", what)).await;
        })
        .into_response()
}

async fn upload(Extract(shared): Extract<Arc<Shared>>, Path(ticket): Path<String>, request: Request) -> Response {
    let Ok(content) = axum::body::to_bytes(request.into_body(), LARGEST_FILE).await else {
        return StatusCode::PAYLOAD_TOO_LARGE.into_response();
    };
    let take = async {
        match methods::receive(&mut shared.state(), &ticket, content) {
            Ok(text) => text.into_response(),
            Err(status) => StatusCode::from_u16(status)
                .unwrap_or(StatusCode::BAD_REQUEST)
                .into_response(),
        }
    };
    or_fail(&shared, "upload", take).await
}

/// A file's content, for a token that may read it. Slack shows everybody else the page to sign in.
async fn download(
    Extract(shared): Extract<Arc<Shared>>,
    Path((place, _)): Path<(String, String)>,
    headers: HeaderMap,
) -> Response {
    or_fail(&shared, "download", async {
        content(&shared.state(), &place, &headers)
    })
    .await
}

fn content(state: &State, place: &str, headers: &HeaderMap) -> Response {
    let bearer = headers
        .get(AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.strip_prefix("Bearer "));
    let token = bearer
        .and_then(|bearer| state.tokens.get(bearer))
        .filter(|token| token.dead.is_none());
    let may = token.is_some_and(|token| token.scopes.contains("files:read"));
    if !may {
        return (
            [(CONTENT_TYPE, "text/html; charset=utf-8")],
            "<!DOCTYPE html><html><title>Sign in | Slack</title></html>",
        )
            .into_response();
    }
    let id = place.split_once('-').map_or("", |(_, id)| id);
    let file = state.files.get(id).filter(|file| file.stage == Stage::Complete);
    match file {
        Some(file) if file.expired => StatusCode::FORBIDDEN.into_response(),
        Some(file) => (
            [(CONTENT_TYPE, file.mime.clone())],
            file.content.clone().unwrap_or_default(),
        )
            .into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

async fn picture() -> Response {
    ([(CONTENT_TYPE, "image/png")], PIXEL).into_response()
}

async fn obey(Extract(control): Extract<Control>, body: Bytes) -> Response {
    let obeyed = match serde_json::from_slice(&body) {
        Ok(command) => command::obey(&control, command).await,
        Err(error) => Err(error.into()),
    };
    match obeyed {
        Ok(answer) => Json(answer).into_response(),
        Err(error) => (StatusCode::BAD_REQUEST, Json(json!({ "error": error.to_string() }))).into_response(),
    }
}
