//! The operator's side of a running hub: health, metrics, an HTTP API, the console, and the bot's commands.
//!
//! | route | what | who |
//! |---|---|---|
//! | `GET /healthz` | the process answers | everybody |
//! | `GET /readyz` | 200 when the homeserver is connected and no network refuses our credentials, else 503; with the reasons | everybody |
//! | `GET /metrics` | Prometheus text | everybody |
//! | `GET /api/v1/status` | networks, mirrors, lanes | every role |
//! | `GET /api/v1/probe` | what every network says of itself | operator |
//! | `GET /api/v1/deliveries?mirror=&state=&limit=` | deliveries that did not simply arrive | operator, compliance, auditor |
//! | `POST /api/v1/deliveries/retry`, `…/drop` | try one again, or give it up | operator |
//! | `GET /console` | the pages of the console, where there is one | whoever came in; each page as its orders |
//! | `POST /api/v1/order` | an [`Order`] about quarantine, agreements, policies, ledger; its answer | see [`roles_for`] |
//!
//! # Who is who
//!
//! ```text
//!  bearer token ──▶ access: a person's own · the shared one · the identity provider's ─┐
//!  console      ──▶ access: the provider's login · a person's own token ──▶ session ────┤
//!  bot          ──▶ access: the sender, as the homeserver knows them ──────────────────┴─▶ Caller ──▶ desk ──▶ hub
//! ```
//!
//! Whoever asks shows who they are, and has the [`Role`]s that the configuration or their groups at the identity provider give
//! them, each until its last day. One table, [`roles_for`], says who may do what; the API and the bot both go through the
//! [`Desk`]. An order is given by whoever showed to be there: an order that names somebody else is refused, so that a second
//! person is another person, and not another name. A token that is nobody's ([`Directory::shared`]) can look and
//! operate, but never act as a person. Refusals are noted in the ledger, and so is an order that is given with a token from the
//! configuration where there is an identity provider.
//!
//! Tokens are compared in constant time. Errors are JSON: `{"error": "what, in the operator's words"}`.
//!
//! # Extending
//!
//! A route is a function in `api` or `health` and a line in [`router`]; whatever it needs of the hub is a method of [`Hub`],
//! so that it can be tested without one, and who may use it is an [`Act`]. An order is a variant of [`Order`] and an arm in
//! `order`; the compiler then asks who may give it. A command is an arm in `command` or `obey`, with its texts in every
//! [`Language`](viaduct_model::Language).

mod access;
mod api;
mod command;
mod console;
mod denied;
mod desk;
mod health;
mod hub;
mod metric;
mod obey;
mod oidc;
mod order;
mod role;

use std::io;
use std::sync::Arc;

use axum::Router;
use axum::middleware;
use axum::routing::{get, post};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

pub use access::{Access, Caller, Directory, Grant, Means};
pub use console::{Console, ConsoleParts, LedgerPlace, login_back};
pub use denied::Denied;
pub use desk::Desk;
pub use hub::{Hub, HubError};
pub use metric::{Metrics, MetricsError};
pub use obey::answer;
pub use oidc::{Meaning, Oidc};
pub use order::{Order, PartnerStatus, obstacles, statuses};
pub use role::{Act, Role, Roles, allowed, roles_for};

/// What the routes share.
#[derive(Clone)]
pub(crate) struct Shared {
    desk: Arc<Desk>,
    metrics: Metrics,
}

/// All routes; those of the console if there is one.
pub fn router(desk: Arc<Desk>, metrics: Metrics, console: Option<Arc<Console>>) -> Router {
    let pages = console.map(|console| console::routes(Arc::clone(&desk), console));
    let shared = Shared { desk, metrics };
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
        .merge(pages.unwrap_or_default())
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
