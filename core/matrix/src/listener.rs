//! What the homeserver calls: transactions, pings, questions about users and aliases.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Path, Query, Request, State};
use axum::http::StatusCode;
use axum::http::header::AUTHORIZATION;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use serde::Deserialize;
use serde_json::json;

use crate::intake::Rejected;
use crate::{Homeserver, metric};

/// How long a homeserver waits for its answer while the store cannot be written: shorter than what homeservers and proxies
/// bear, so that it is told instead of left hanging.
const PATIENCE: Duration = Duration::from_secs(25);
/// How many transactions may wait for the store. A homeserver sends one at a time; the others are its repetitions.
pub(crate) const TAKING: usize = 4;

/// An error as Matrix words it.
struct MatrixError(StatusCode, &'static str, &'static str);

impl IntoResponse for MatrixError {
    fn into_response(self) -> Response {
        let Self(status, code, error) = self;
        (status, axum::Json(json!({ "errcode": code, "error": error }))).into_response()
    }
}

const NO_TOKEN: MatrixError = MatrixError(StatusCode::UNAUTHORIZED, "M_UNAUTHORIZED", "The hs_token is missing");
const BAD_TOKEN: MatrixError = MatrixError(StatusCode::FORBIDDEN, "M_FORBIDDEN", "That is not the hs_token");
const NOT_JSON: MatrixError = MatrixError(StatusCode::BAD_REQUEST, "M_NOT_JSON", "The body is not JSON");
const BAD_JSON: MatrixError = MatrixError(StatusCode::BAD_REQUEST, "M_BAD_JSON", "The body is not a transaction");
const TOO_LARGE: MatrixError = MatrixError(
    StatusCode::PAYLOAD_TOO_LARGE,
    "M_TOO_LARGE",
    "The transaction is too large",
);
const STOPPING: MatrixError = MatrixError(StatusCode::SERVICE_UNAVAILABLE, "M_UNKNOWN", "The hub is stopping");
const NOT_STORED: MatrixError = MatrixError(
    StatusCode::SERVICE_UNAVAILABLE,
    "M_UNKNOWN",
    "The transaction could not be stored yet; send it again",
);
const NOT_FOUND: MatrixError = MatrixError(StatusCode::NOT_FOUND, "M_NOT_FOUND", "Not known here");
const UNRECOGNISED: MatrixError = MatrixError(StatusCode::NOT_FOUND, "M_UNRECOGNIZED", "No such endpoint");
const WRONG_METHOD: MatrixError = MatrixError(StatusCode::METHOD_NOT_ALLOWED, "M_UNRECOGNIZED", "Not with this method");

/// The routes of an application service, with the old paths that had no prefix.
pub(crate) fn router(homeserver: Arc<Homeserver>) -> Router {
    let mut routes = Router::new()
        .route("/_matrix/app/v1/ping", post(ping))
        .route("/_matrix/app/v1/transactions/{id}", put(transaction))
        .route("/_matrix/app/v1/users/{id}", get(user))
        .route("/_matrix/app/v1/rooms/{alias}", get(alias));
    routes = routes
        .route("/transactions/{id}", put(transaction))
        .route("/users/{id}", get(user))
        .route("/rooms/{alias}", get(alias));
    routes
        .method_not_allowed_fallback(|| async { WRONG_METHOD })
        .route_layer(middleware::from_fn_with_state(homeserver.clone(), authorise))
        .fallback(|| async { UNRECOGNISED })
        .with_state(homeserver)
}

#[derive(Deserialize)]
struct LegacyToken {
    access_token: Option<String>,
}

/// Lets pass only who shows the `hs_token`, in the header or (as before version 1.4 of the specification) in the query.
async fn authorise(
    State(homeserver): State<Arc<Homeserver>>,
    Query(legacy): Query<LegacyToken>,
    request: Request,
    next: Next,
) -> Response {
    let header = request
        .headers()
        .get(AUTHORIZATION)
        .and_then(|value| value.to_str().ok());
    let shown = match header.map(|value| value.strip_prefix("Bearer ").unwrap_or_default()) {
        Some(token) => Some(token.to_owned()),
        None => legacy.access_token,
    };
    match shown {
        None => {
            metric::transaction("unauthorised");
            NO_TOKEN.into_response()
        }
        Some(token) if homeserver.config.hs_token.matches(&token) => next.run(request).await,
        Some(_) => {
            metric::transaction("unauthorised");
            BAD_TOKEN.into_response()
        }
    }
}

async fn transaction(State(homeserver): State<Arc<Homeserver>>, Path(id): Path<String>, body: Body) -> Response {
    let limit = homeserver.config.body_limit;
    let bytes = match to_bytes(body, limit).await {
        Ok(bytes) => bytes,
        Err(error) => {
            metric::transaction("too_large");
            let broke = std::error::Error::source(&error)
                .is_some_and(|source| !source.is::<http_body_util::LengthLimitError>());
            return if broke {
                NOT_JSON.into_response()
            } else {
                TOO_LARGE.into_response()
            };
        }
    };
    // One that waits for the store keeps its body in memory, and so do its repetitions.
    let Ok(permit) = homeserver.taking.clone().try_acquire_owned() else {
        metric::transaction("waiting");
        return NOT_STORED.into_response();
    };
    // In a task of its own: a homeserver that hangs up must not leave a transaction half taken in.
    let taking = tokio::spawn(async move {
        let taken = homeserver.take_in(&id, &bytes).await;
        drop(permit);
        taken
    });
    let Ok(taken) = tokio::time::timeout(PATIENCE, taking).await else {
        metric::transaction("waiting");
        return NOT_STORED.into_response();
    };
    match taken {
        Ok(Ok(())) => axum::Json(json!({})).into_response(),
        Ok(Err(Rejected::NotJson)) => {
            metric::transaction("not_json");
            NOT_JSON.into_response()
        }
        Ok(Err(Rejected::BadJson)) => {
            metric::transaction("bad_json");
            BAD_JSON.into_response()
        }
        Ok(Err(Rejected::NotStored)) => {
            metric::transaction("not_stored");
            NOT_STORED.into_response()
        }
        Ok(Err(Rejected::Stopping)) | Err(_) => {
            metric::transaction("stopping");
            STOPPING.into_response()
        }
    }
}

async fn ping() -> Response {
    axum::Json(json!({})).into_response()
}

async fn user(State(homeserver): State<Arc<Homeserver>>, Path(id): Path<String>) -> Response {
    let ours = id == homeserver.names.bot() || homeserver.names.person(&id).is_some();
    if ours && homeserver.observer.user_exists(&id).await {
        axum::Json(json!({})).into_response()
    } else {
        NOT_FOUND.into_response()
    }
}

async fn alias(State(homeserver): State<Arc<Homeserver>>, Path(alias): Path<String>) -> Response {
    if homeserver.observer.alias_exists(&alias).await {
        axum::Json(json!({})).into_response()
    } else {
        NOT_FOUND.into_response()
    }
}
