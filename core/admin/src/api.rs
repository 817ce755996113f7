//! The API, for people who are known.

use axum::Json;
use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::extract::{Extension, Query, Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::json;
use viaduct_engine::{Probe, Status};
use viaduct_model::{ChannelId, MirrorName, NetworkName, Place};
use viaduct_store::{Delivery, DeliveryFilter, DeliveryState, Lane, Seq};
use viaduct_token::bearer;

use crate::access::Caller;
use crate::denied::Denied;
use crate::hub::HubError;
use crate::order::Order;
use crate::role::Act;
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
        Self(status_for(&error), error.to_string())
    }
}

/// The status of an answer where something was not done.
pub(crate) fn status_for(error: &HubError) -> StatusCode {
    match error {
        HubError::NotFound(_) => StatusCode::NOT_FOUND,
        HubError::Wrong(_) => StatusCode::UNPROCESSABLE_ENTITY,
        HubError::Failed(_) => StatusCode::INTERNAL_SERVER_ERROR,
        HubError::Denied(denied) => status_of(denied),
    }
}

/// The status of an answer to somebody who may not.
pub(crate) fn status_of(denied: &Denied) -> StatusCode {
    match denied {
        Denied::Unknown | Denied::Token(_) | Denied::Login(_) => StatusCode::UNAUTHORIZED,
        Denied::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
        Denied::Closed
        | Denied::Nobody(_)
        | Denied::Ended(_)
        | Denied::Role { .. }
        | Denied::NoPerson
        | Denied::Another { .. } => StatusCode::FORBIDDEN,
    }
}

impl From<Denied> for ApiError {
    fn from(denied: Denied) -> Self {
        Self(status_of(&denied), denied.to_string())
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

/// Lets a request pass only with a token of somebody who is known; what they may do is asked where it is done.
pub(crate) async fn authorise(State(shared): State<Shared>, mut request: Request, next: Next) -> Response {
    let header = request.headers().get(header::AUTHORIZATION);
    let token = bearer(header.and_then(|value| value.to_str().ok())).map(str::to_owned);
    // Without a token as well: whether the API is closed is said to everybody.
    let caller = shared.desk.access().bearer(token.as_deref().unwrap_or_default()).await;
    metric::api_request(caller.as_ref().err());
    match caller {
        Ok(caller) => {
            request.extensions_mut().insert(caller);
            next.run(request).await
        }
        Err(denied) => ApiError::from(denied).into_response(),
    }
}

/// Any other path.
pub(crate) async fn unknown() -> ApiError {
    ApiError(StatusCode::NOT_FOUND, "there is no such path in the API".to_owned())
}

/// `GET /status`: how everything stands.
pub(crate) async fn status(
    State(shared): State<Shared>,
    Extension(caller): Extension<Caller>,
) -> Result<Json<Status>, ApiError> {
    shared.desk.allow(&caller, &Act::Status).await?;
    Ok(Json(shared.desk.hub().status().await))
}

/// One finding of a probe.
#[derive(Serialize)]
pub(crate) struct Found {
    network: NetworkName,
    #[serde(flatten)]
    probe: Probe,
}

/// `GET /probe`: what every network says of itself.
pub(crate) async fn probe(
    State(shared): State<Shared>,
    Extension(caller): Extension<Caller>,
) -> Result<Json<Vec<Found>>, ApiError> {
    shared.desk.allow(&caller, &Act::Probe).await?;
    let told = shared.desk.hub().probe().await;
    let found = told.into_iter().flat_map(|(network, probes)| {
        probes.into_iter().map(move |probe| Found {
            network: network.clone(),
            probe,
        })
    });
    Ok(Json(found.collect()))
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
    Extension(caller): Extension<Caller>,
    wanted: Result<Query<Wanted>, QueryRejection>,
) -> Result<Json<Vec<Delivery>>, ApiError> {
    shared.desk.allow(&caller, &Act::Deliveries).await?;
    let Query(Wanted { mirror, state, limit }) = wanted?;
    let filter = DeliveryFilter {
        mirror,
        state,
        limit: limit.min(LIST_BOUND),
    };
    Ok(Json(shared.desk.hub().deliveries(&filter).await?))
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
    Extension(caller): Extension<Caller>,
    named: Result<Json<Named>, JsonRejection>,
) -> Result<Json<serde_json::Value>, ApiError> {
    shared.desk.allow(&caller, &Act::Settle).await?;
    let (lane, seq) = named?.0.lane();
    let outcome = shared.desk.hub().retry(&lane, seq).await?;
    tracing::info!(mirror = %lane.mirror, to = %lane.to, %seq, outcome, person = caller.person, "An operator tried a delivery again.");
    Ok(Json(json!({ "outcome": outcome })))
}

/// `POST /deliveries/drop`: gives one up.
pub(crate) async fn give_up(
    State(shared): State<Shared>,
    Extension(caller): Extension<Caller>,
    named: Result<Json<Named>, JsonRejection>,
) -> Result<Json<serde_json::Value>, ApiError> {
    shared.desk.allow(&caller, &Act::Settle).await?;
    let (lane, seq) = named?.0.lane();
    shared.desk.hub().give_up(&lane, seq).await?;
    tracing::info!(mirror = %lane.mirror, to = %lane.to, %seq, person = caller.person, "An operator gave a delivery up.");
    Ok(Json(json!({ "outcome": "dropped" })))
}

/// `POST /order`: has an order carried out.
pub(crate) async fn order(
    State(shared): State<Shared>,
    Extension(caller): Extension<Caller>,
    order: Result<Json<Order>, JsonRejection>,
) -> Result<Json<serde_json::Value>, ApiError> {
    let Json(order) = order?;
    Ok(Json(shared.desk.order(&caller, order).await?))
}
