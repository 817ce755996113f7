//! Health and metrics: what a supervisor and a collector ask, without a token. Tells states, never contents.

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use crate::Shared;

/// `GET /healthz`: the process answers.
pub(crate) async fn alive() -> &'static str {
    "ok\n"
}

#[derive(Serialize)]
struct Readiness {
    ready: bool,
    /// The networks that are not up, each with its state. The reasons are in the API, behind the token.
    waiting: Vec<Waiting>,
}

#[derive(Serialize)]
struct Waiting {
    network: String,
    connection: String,
}

/// `GET /readyz`: whether messages cross.
pub(crate) async fn ready(State(shared): State<Shared>) -> Response {
    let status = shared.desk.hub().status().await;
    let down = status.networks.iter().filter(|network| network.connection != "up");
    let waiting = down.map(|network| Waiting {
        network: network.name.clone(),
        connection: network.connection.clone(),
    });
    let code = if status.ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (
        code,
        Json(Readiness {
            ready: status.ready,
            waiting: waiting.collect(),
        }),
    )
        .into_response()
}

/// `GET /metrics`: Prometheus text.
pub(crate) async fn metrics(State(shared): State<Shared>) -> Response {
    (
        [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")],
        shared.metrics.render(),
    )
        .into_response()
}
