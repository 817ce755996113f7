//! The operator's side of a running hub: health, metrics, an HTTP API, and the bot's commands.
//!
//! | route | what | token |
//! |---|---|---|
//! | `GET /healthz` | the process answers | no |
//! | `GET /readyz` | 200 when the homeserver is connected and no network refuses our credentials, else 503; with the reasons | no |
//! | `GET /metrics` | Prometheus text | no |
//! | `GET /api/v1/status` | networks, mirrors, lanes | yes |
//! | `GET /api/v1/deliveries?mirror=&state=&limit=` | deliveries that did not simply arrive | yes |
//! | `POST /api/v1/deliveries/retry`, `…/drop` | try one again, or give it up | yes |
//! | `POST /api/v1/order` | an [`Order`] about quarantine, agreements, policies, ledger; its answer | yes |
//!
//! The token is a bearer token, compared in constant time. Without a configured token everything below `/api` is closed.
//! Errors are JSON: `{"error": "what, in the operator's words"}`.
//!
//! The bot's commands are a pure function of what was said and how the hub stands: [`command`]. Its orders ([`obey`]) are the
//! same as the API's.
//!
//! # Extending
//!
//! A route is a function in `api` or `health` and a line in [`router`]; whatever it needs of the hub is a method of [`Hub`],
//! so that it can be tested without one. An order is a variant of [`Order`] and an arm in `order`. A command is an arm in `command`, with its texts in every [`Language`].

mod api;
mod command;
mod health;
mod hub;
mod metric;
mod obey;
mod order;

use std::io;
use std::sync::Arc;

use axum::Router;
use axum::middleware;
use axum::routing::{get, post};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

pub use command::command;
pub use hub::{Hub, HubError};
pub use metric::{Metrics, MetricsError};
pub use obey::obey;
pub use order::{Order, PartnerStatus, obstacles, statuses};

/// What the routes share.
#[derive(Clone)]
pub(crate) struct Shared {
    hub: Arc<dyn Hub>,
    metrics: Metrics,
    token: Option<Arc<str>>,
}

/// All routes. `token` opens the API; without one it is closed.
pub fn router(hub: Arc<dyn Hub>, metrics: Metrics, token: Option<&str>) -> Router {
    let shared = Shared {
        hub,
        metrics,
        token: token.map(Arc::from),
    };
    let api = Router::new()
        .route("/status", get(api::status))
        .route("/probe", get(api::probe))
        .route("/deliveries", get(api::list))
        .route("/deliveries/retry", post(api::retry))
        .route("/deliveries/drop", post(api::give_up))
        .route("/order", post(api::order))
        .fallback(api::unknown)
        .layer(middleware::from_fn_with_state(shared.clone(), api::authorise));
    Router::new()
        .route("/healthz", get(health::alive))
        .route("/readyz", get(health::ready))
        .route("/metrics", get(health::metrics))
        .nest("/api/v1", api)
        .with_state(shared)
}

/// Serves the routes until `stop` is cancelled, and finishes what was asked before.
///
/// # Errors
///
/// When the listener fails.
pub async fn serve(listener: TcpListener, router: Router, stop: CancellationToken) -> io::Result<()> {
    axum::serve(listener, router)
        .with_graceful_shutdown(async move { stop.cancelled().await })
        .await
}

#[cfg(test)]
mod tests;
