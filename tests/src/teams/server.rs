//! The HTTP side: which address is what, faults, the record of calls.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::body::Body;
use axum::extract::{DefaultBodyLimit, Request, State as Extract};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use bytes::Bytes;
use http::Method;
use percent_encoding::percent_decode_str;
use serde_json::Value;
use tokio::time::Instant;

use super::call::{Answer, Asked, Reply};
use super::command;
use super::control::Control;
use super::faults::{Fault, Faults};
use super::graph;
use super::state::{Call, State};

/// The longest body taken.
const LONGEST: usize = 64 * 1024 * 1024;

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
        .fallback(serve)
        .layer(DefaultBodyLimit::max(LONGEST))
        .with_state(shared)
        .merge(commands)
}

/// What an address asks for, and how many parts of its path say which of the parts of Microsoft it is.
fn operation(method: &Method, path: &[&str]) -> Option<(&'static str, usize)> {
    let found = match path {
        ["login", _, "oauth2", "v2.0", "token"] => ("login.token", 1),
        ["login", _, "v2.0", ".well-known", "openid-configuration"] => ("login.metadata", 1),
        ["login", _, "discovery", "v2.0", "keys"] => ("login.keys", 1),
        ["openid", "v1", ".well-known", "openidconfiguration"] => ("openid.metadata", 1),
        ["openid", "v1", ".well-known", "keys"] => ("openid.keys", 1),
        ["upload", _] => ("files.upload", 1),
        ["download", _] => ("files.download", 1),
        ["emea", _, "v3", rest @ ..] => (connector_operation(method, rest)?, 1),
        ["graph", "v1.0" | "beta", rest @ ..] => (graph_operation(method, rest)?, 2),
        _ => return None,
    };
    Some(found)
}

fn connector_operation(method: &Method, path: &[&str]) -> Option<&'static str> {
    let found = match (method.as_str(), path) {
        ("POST", ["conversations"]) => "connector.create",
        ("GET", ["conversations"]) => "connector.conversations",
        ("POST", ["conversations", _, "activities"] | ["conversations", _, "activities", _]) => "connector.reply",
        ("PUT", ["conversations", _, "activities", _]) => "connector.edit",
        ("DELETE", ["conversations", _, "activities", _]) => "connector.delete",
        ("PUT" | "DELETE", ["conversations", _, "activities", _, "reactions", _]) => "connector.react",
        ("GET", ["conversations", _, "members"] | ["conversations", _, "activities", _, "members"]) => {
            "connector.members"
        }
        ("GET", ["conversations", _, word]) if word.eq_ignore_ascii_case("pagedmembers") => "connector.members",
        ("GET", ["conversations", _, "members", _]) => "connector.member",
        ("GET", ["teams", _]) => "connector.team",
        ("GET", ["teams", _, "conversations"]) => "connector.team_channels",
        ("GET", ["attachments", _] | ["attachments", _, "views", _]) => "connector.attachment",
        _ => return None,
    };
    Some(found)
}

fn graph_operation(method: &Method, path: &[&str]) -> Option<&'static str> {
    let found = match (method.as_str(), path) {
        ("GET" | "POST", ["subscriptions"]) => "graph.subscriptions",
        (_, ["subscriptions", _]) | ("POST", ["subscriptions", _, "reauthorize"]) => "graph.subscription",
        ("GET", ["organization"]) => "graph.organization",
        ("GET", ["me"] | ["users", _]) => "graph.user",
        ("GET", ["users", _, "photo", "$value"] | ["users", _, "photos", _, "$value"]) => "graph.photo",
        ("GET", ["shares", _, "driveItem"] | ["shares", _, "driveItem", "content"]) => "graph.share",
        ("POST" | "PUT", ["drives", _, "items", .., "createUploadSession" | "content"]) => "graph.upload",
        ("GET" | "POST", ["drives", _, "items", ..]) => "graph.item",
        ("GET", ["teams"]) => "graph.teams",
        ("GET", ["teams", _]) => "graph.team",
        ("GET", ["teams", _, "channels" | "allChannels"]) => "graph.channels",
        ("GET", ["teams", _, "members"]) => "graph.members",
        ("GET", ["teams" | "chats", _, "permissionGrants"]) => "graph.grants",
        ("GET", ["teams", _, "channels", _]) => "graph.channel",
        ("GET", ["chats", _]) => "graph.chat",
        (_, ["teams", _, "channels", _, rest @ ..] | ["chats", _, rest @ ..]) => return place_operation(method, rest),
        _ => return None,
    };
    Some(found)
}

fn place_operation(method: &Method, path: &[&str]) -> Option<&'static str> {
    let found = match (method.as_str(), path) {
        ("GET", ["members"]) => "graph.members",
        ("GET", ["filesFolder"]) => "graph.folder",
        ("GET" | "POST", ["messages"]) => "graph.messages",
        ("GET", ["messages", "delta" | "delta()"]) => "graph.delta",
        ("GET", ["messages", _, "hostedContents", ..] | ["messages", _, "replies", _, "hostedContents", ..]) => {
            "graph.hosted"
        }
        ("GET" | "POST", ["messages", _, "replies"]) => "graph.replies",
        ("GET" | "PATCH", ["messages", _] | ["messages", _, "replies", _])
        | (
            "POST",
            [
                "messages",
                ..,
                "softDelete" | "undoSoftDelete" | "setReaction" | "unsetReaction",
            ],
        ) => "graph.message",
        _ => return None,
    };
    Some(found)
}

async fn read(request: Request) -> Result<Asked, Reply> {
    let (parts, body) = request.into_parts();
    let raw = axum::body::to_bytes(body, LONGEST).await;
    let raw = raw.map_err(|_| Reply::error(413, "RequestEntityTooLarge", "The request is too large."))?;
    let decode = |part: &str| percent_decode_str(part).decode_utf8_lossy().into_owned();
    let path: Vec<String> = parts.uri.path().trim_matches('/').split('/').map(decode).collect();
    let known = operation(&parts.method, &path.iter().map(String::as_str).collect::<Vec<_>>());
    let (operation, skipped) = known.unwrap_or(("unknown", 0));
    let query = url::form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes());
    Ok(Asked {
        operation,
        method: parts.method,
        path: path.into_iter().skip(skipped).collect(),
        query: query.into_owned().collect(),
        headers: parts.headers,
        body: serde_json::from_slice(&raw).unwrap_or(Value::Null),
        raw,
    })
}

async fn serve(Extract(shared): Extract<Arc<Shared>>, request: Request) -> Response {
    let asked = match read(request).await {
        Ok(asked) => asked,
        Err(reply) => return reply.into_response(),
    };
    let fault = shared.faults().strike(asked.operation);
    let is_done = fault.as_ref().is_none_or(Fault::is_done);
    let reply = if is_done {
        answer(&shared, &asked).await.unwrap_or_else(|refusal| refusal)
    } else {
        Reply::empty(200)
    };
    let status = match &fault {
        None => reply.status,
        Some(Fault::Status { status, .. } | Fault::DoneThen(status)) => *status,
        Some(Fault::LoseAnswer | Fault::CutAnswer | Fault::Hang) => 0,
    };
    shared.state().remember(Call {
        operation: asked.operation.to_owned(),
        method: asked.method.to_string(),
        path: asked.path.join("/"),
        body: asked.body,
        status,
        at: Instant::now(),
    });
    match fault {
        None => reply.into_response(),
        Some(fault) => failed(fault).await,
    }
}

async fn answer(shared: &Arc<Shared>, asked: &Asked) -> Answer {
    if asked.operation == "graph.subscriptions" && asked.method == Method::POST {
        return graph::subscribe(shared, asked).await;
    }
    let mut state = shared.state();
    match asked.operation {
        "login.token" => state.token(asked),
        "login.metadata" => Ok(state.openid_of_tenant(asked.part(0))),
        "openid.metadata" => Ok(state.openid()),
        "login.keys" | "openid.keys" => Ok(Reply::json(200, &state.keys.published())),
        "files.upload" => state.take_piece(asked),
        "files.download" => state.download(asked),
        operation if operation.starts_with("connector.") => state.connector(asked),
        operation if operation.starts_with("graph.") => state.graph_call(asked),
        _ => {
            state.violate("unknown", format!("{} /{}", asked.method, asked.path.join("/")));
            Err(Reply::not_found("address"))
        }
    }
}

/// What a call that fails is answered, if anything.
async fn failed(fault: Fault) -> Response {
    match fault {
        Fault::Status { status, retry_after } => {
            let mut reply = Reply::error(status, "ServiceError", "Something went wrong, as asked for.");
            reply.retry_after = retry_after;
            reply.into_response()
        }
        Fault::DoneThen(status) => Reply::error(status, "ServiceError", "It is done all the same.").into_response(),
        Fault::CutAnswer => {
            let halves = [
                Ok(Bytes::from_static(b"{\"id\":")),
                Err(std::io::Error::other("cut off as asked")),
            ];
            Body::from_stream(futures_util::stream::iter(halves)).into_response()
        }
        Fault::LoseAnswer | Fault::Hang => std::future::pending().await,
    }
}

async fn obey(Extract(control): Extract<Control>, body: Bytes) -> Response {
    let obeyed = match serde_json::from_slice(&body) {
        Ok(command) => command::obey(&control, command).await,
        Err(error) => Err(error.into()),
    };
    match obeyed {
        Ok(answer) => Reply::json(200, &answer).into_response(),
        Err(error) => Reply::json(400, &serde_json::json!({ "error": error.to_string() })).into_response(),
    }
}
