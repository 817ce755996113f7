//! The API behind the token.

use axum::Json;
use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::extract::{Query, Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::json;
use subtle::ConstantTimeEq;
use viaduct_engine::Probe;
use viaduct_engine::Status;
use viaduct_model::{ChannelId, MirrorName, NetworkName, Place};
use viaduct_store::{Delivery, DeliveryFilter, DeliveryState, Lane, Seq};

use crate::hub::HubError;
use crate::order::Order;
use crate::{Shared, metric};

/// An error as the API tells it.
pub(crate) struct ApiError(StatusCode, String);

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        (self.0, Json(json!({ "error": self.1 }))).into_response()
    }
}

impl From<HubError> for ApiError {
    fn from(error: HubError) -> Self {
        let code = match &error {
            HubError::NotFound(_) => StatusCode::NOT_FOUND,
            HubError::Wrong(_) => StatusCode::UNPROCESSABLE_ENTITY,
            HubError::Failed(_) => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Self(code, error.to_string())
    }
}

impl From<QueryRejection> for ApiError {
    fn from(error: QueryRejection) -> Self {
        Self(StatusCode::BAD_REQUEST, error.body_text())
    }
}

impl From<JsonRejection> for ApiError {
    fn from(error: JsonRejection) -> Self {
        Self(error.status(), error.body_text())
    }
}

/// Lets a request pass only with the token.
pub(crate) async fn authorise(State(shared): State<Shared>, request: Request, next: Next) -> Response {
    let Some(token) = &shared.token else {
        metric::api_request(false);
        let what = "the API is closed: the configuration has no admin token (admin.token_file)";
        return ApiError(StatusCode::FORBIDDEN, what.to_owned()).into_response();
    };
    let given = request
        .headers()
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok());
    let given = given
        .and_then(|value| value.strip_prefix("Bearer "))
        .unwrap_or_default();
    let allowed = bool::from(given.as_bytes().ct_eq(token.as_bytes())) && !token.is_empty();
    metric::api_request(allowed);
    if allowed {
        next.run(request).await
    } else {
        ApiError(
            StatusCode::UNAUTHORIZED,
            "the bearer token is missing or wrong".to_owned(),
        )
        .into_response()
    }
}

/// Any other path.
pub(crate) async fn unknown() -> ApiError {
    ApiError(StatusCode::NOT_FOUND, "there is no such path in the API".to_owned())
}

/// `GET /status`: how everything stands.
pub(crate) async fn status(State(shared): State<Shared>) -> Json<Status> {
    Json(shared.hub.status().await)
}

/// One finding of a probe.
#[derive(Serialize)]
pub(crate) struct Found {
    network: NetworkName,
    #[serde(flatten)]
    probe: Probe,
}

/// `GET /probe`: what every network says of itself.
pub(crate) async fn probe(State(shared): State<Shared>) -> Json<Vec<Found>> {
    let told = shared.hub.probe().await;
    let found = told.into_iter().flat_map(|(network, probes)| {
        probes.into_iter().map(move |probe| Found {
            network: network.clone(),
            probe,
        })
    });
    Json(found.collect())
}

/// Which deliveries to list.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Wanted {
    mirror: Option<MirrorName>,
    state: Option<DeliveryState>,
    #[serde(default)]
    limit: usize,
}

/// The most deliveries listed at once.
const LIST_BOUND: usize = 10_000;

/// `GET /deliveries`: those that did not simply arrive.
pub(crate) async fn list(
    State(shared): State<Shared>,
    wanted: Result<Query<Wanted>, QueryRejection>,
) -> Result<Json<Vec<Delivery>>, ApiError> {
    let Query(Wanted { mirror, state, limit }) = wanted?;
    let filter = DeliveryFilter {
        mirror,
        state,
        limit: limit.min(LIST_BOUND),
    };
    Ok(Json(shared.hub.deliveries(&filter).await?))
}

/// Names one delivery.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Named {
    mirror: MirrorName,
    network: NetworkName,
    channel: ChannelId,
    seq: u64,
}

impl Named {
    fn lane(self) -> (Lane, Seq) {
        (
            Lane {
                mirror: self.mirror,
                to: Place::new(self.network, self.channel),
            },
            Seq(self.seq),
        )
    }
}

/// `POST /deliveries/retry`: tries one again.
pub(crate) async fn retry(
    State(shared): State<Shared>,
    named: Result<Json<Named>, JsonRejection>,
) -> Result<Json<serde_json::Value>, ApiError> {
    let (lane, seq) = named?.0.lane();
    let outcome = shared.hub.retry(&lane, seq).await?;
    tracing::info!(mirror = %lane.mirror, to = %lane.to, %seq, outcome, "An operator tried a delivery again.");
    Ok(Json(json!({ "outcome": outcome })))
}

/// `POST /deliveries/drop`: gives one up.
pub(crate) async fn give_up(
    State(shared): State<Shared>,
    named: Result<Json<Named>, JsonRejection>,
) -> Result<Json<serde_json::Value>, ApiError> {
    let (lane, seq) = named?.0.lane();
    shared.hub.give_up(&lane, seq).await?;
    tracing::info!(mirror = %lane.mirror, to = %lane.to, %seq, "An operator gave a delivery up.");
    Ok(Json(json!({ "outcome": "dropped" })))
}

/// `POST /order`: has an order carried out.
pub(crate) async fn order(
    State(shared): State<Shared>,
    order: Result<Json<Order>, JsonRejection>,
) -> Result<Json<serde_json::Value>, ApiError> {
    let Json(order) = order?;
    Ok(Json(shared.hub.order(order).await?))
}
