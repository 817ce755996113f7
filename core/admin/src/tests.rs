//! The routes against a hub of wood, and the commands.

use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode};
use insta::assert_snapshot;
use tower::ServiceExt;
use viaduct_engine::Probe;
use viaduct_engine::{LaneStatus, MirrorStatus, NetworkStatus, Status};
use viaduct_model::{ChannelId, Language, MirrorName, NetworkName, Place, Timestamp};
use viaduct_store::{Delivery, DeliveryFilter, DeliveryState, Lane, Seq};

use super::*;

struct Wood {
    ready: bool,
}

fn status(ready: bool) -> Status {
    let network = |name: &str, connection: &str, reason: Option<&str>| NetworkStatus {
        name: name.to_owned(),
        connection: connection.to_owned(),
        reason: reason.map(str::to_owned),
    };
    let lane = |to: &str, settled| LaneStatus {
        to: to.to_owned(),
        settled,
    };
    Status {
        ready,
        networks: vec![
            network("acme-irc", "down", Some("connection refused")),
            network("matrix", "up", None),
        ],
        mirrors: vec![MirrorStatus {
            name: "project".to_owned(),
            room: Some("!r:example.org".to_owned()),
            accepted: 12,
            lanes: vec![lane("acme-irc/#project", 9), lane("matrix/!r:example.org", 12)],
        }],
    }
}

fn delivery() -> Delivery {
    let to = Place::new(
        NetworkName::new("acme-irc").unwrap(),
        ChannelId::new("#project").unwrap(),
    );
    Delivery {
        lane: Lane {
            mirror: MirrorName::new("project").unwrap(),
            to,
        },
        seq: Seq(7),
        state: DeliveryState::Failed,
        reason: "too long".to_owned(),
        at: Timestamp(1000),
    }
}

#[async_trait::async_trait]
impl Hub for Wood {
    async fn status(&self) -> Status {
        status(self.ready)
    }

    async fn probe(&self) -> Vec<(NetworkName, Vec<Probe>)> {
        vec![(NetworkName::matrix(), vec![Probe::ok("login", "works")])]
    }

    async fn deliveries(&self, filter: &DeliveryFilter) -> Result<Vec<Delivery>, HubError> {
        let wanted = filter.state.is_none_or(|state| state == DeliveryState::Failed);
        Ok(if wanted { vec![delivery()] } else { vec![] })
    }

    async fn retry(&self, lane: &Lane, seq: Seq) -> Result<String, HubError> {
        let found = *lane == delivery().lane && seq == Seq(7);
        if found {
            Ok("delivered".to_owned())
        } else {
            Err(HubError::NotFound("no such delivery".to_owned()))
        }
    }

    async fn give_up(&self, lane: &Lane, seq: Seq) -> Result<(), HubError> {
        self.retry(lane, seq).await.map(drop)
    }

    async fn order(&self, order: Order) -> Result<serde_json::Value, HubError> {
        match order {
            Order::Held | Order::Partners => Ok(serde_json::json!([])),
            Order::RejectHeld { id, .. } => Err(HubError::NotFound(format!("nothing is held under {id}"))),
            _ => Ok(serde_json::json!({ "done": true })),
        }
    }
}

async fn ask(token: Option<&str>, request: Request<Body>) -> (StatusCode, String) {
    let router = router(Arc::new(Wood { ready: false }), Metrics::detached(), token);
    let response = router.oneshot(request).await.unwrap();
    let code = response.status();
    let body = to_bytes(response.into_body(), 1 << 20).await.unwrap();
    (code, String::from_utf8(body.to_vec()).unwrap())
}

fn get(path: &str, token: Option<&str>) -> Request<Body> {
    let builder = Request::get(path);
    let builder = match token {
        Some(token) => builder.header("authorization", format!("Bearer {token}")),
        None => builder,
    };
    builder.body(Body::empty()).unwrap()
}

fn post(path: &str, body: &str) -> Request<Body> {
    Request::post(path)
        .header("authorization", "Bearer s3cret")
        .header("content-type", "application/json")
        .body(Body::from(body.to_owned()))
        .unwrap()
}

#[tokio::test]
async fn health_needs_no_token_and_tells_no_reasons() {
    assert_eq!(
        ask(None, get("/healthz", None)).await,
        (StatusCode::OK, "ok\n".to_owned())
    );
    let (code, body) = ask(None, get("/readyz", None)).await;
    assert_eq!(code, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(
        body,
        r#"{"ready":false,"waiting":[{"network":"acme-irc","connection":"down"}]}"#
    );
    assert_eq!(ask(None, get("/metrics", None)).await.0, StatusCode::OK);
}

#[tokio::test]
async fn the_api_needs_the_token() {
    for path in ["/api/v1/status", "/api/v1/deliveries", "/api/v1/nothing"] {
        assert_eq!(
            ask(None, get(path, Some("s3cret"))).await.0,
            StatusCode::FORBIDDEN,
            "{path}"
        );
        assert_eq!(ask(None, get(path, Some(""))).await.0, StatusCode::FORBIDDEN, "{path}");
        assert_eq!(
            ask(Some("s3cret"), get(path, None)).await.0,
            StatusCode::UNAUTHORIZED,
            "{path}"
        );
        assert_eq!(
            ask(Some("s3cret"), get(path, Some("s3cre"))).await.0,
            StatusCode::UNAUTHORIZED,
            "{path}"
        );
    }
    assert_eq!(
        ask(Some(""), get("/api/v1/status", Some(""))).await.0,
        StatusCode::UNAUTHORIZED
    );
    let (code, body) = ask(Some("s3cret"), get("/api/v1/status", Some("s3cret"))).await;
    assert_eq!(code, StatusCode::OK);
    assert!(body.contains("connection refused"), "{body}");
}

#[tokio::test]
async fn deliveries_are_listed_retried_and_dropped() {
    let (code, body) = ask(Some("s3cret"), get("/api/v1/deliveries?state=failed", Some("s3cret"))).await;
    assert_eq!(code, StatusCode::OK);
    assert_eq!(serde_json::from_str::<Vec<Delivery>>(&body).unwrap(), [delivery()]);
    let (_, body) = ask(Some("s3cret"), get("/api/v1/deliveries?state=held", Some("s3cret"))).await;
    assert_eq!(body, "[]");
    assert_eq!(
        ask(Some("s3cret"), get("/api/v1/deliveries?state=x", Some("s3cret")))
            .await
            .0,
        StatusCode::BAD_REQUEST
    );

    let named = r##"{"mirror":"project","network":"acme-irc","channel":"#project","seq":7}"##;
    let answer = ask(Some("s3cret"), post("/api/v1/deliveries/retry", named)).await;
    assert_eq!(answer, (StatusCode::OK, r#"{"outcome":"delivered"}"#.to_owned()));
    assert_eq!(
        ask(Some("s3cret"), post("/api/v1/deliveries/drop", named)).await.0,
        StatusCode::OK
    );
    let other = named.replace('7', "8");
    assert_eq!(
        ask(Some("s3cret"), post("/api/v1/deliveries/drop", &other)).await.0,
        StatusCode::NOT_FOUND
    );
    let (code, body) = ask(Some("s3cret"), post("/api/v1/deliveries/drop", "{")).await;
    assert_eq!(code, StatusCode::BAD_REQUEST);
    assert!(body.starts_with(r#"{"error":"#), "{body}");
}

#[test]
fn the_bot_answers_in_its_language() {
    assert_snapshot!(command("!viaduct status", &status(false), Language::English), @r##"
    Not everything is well.
    acme-irc: not connected (connection refused)
    matrix: connected
    mirror project (!r:example.org): 12 events, 3 waiting
    "##);
    assert_snapshot!(command("status", &status(true), Language::German), @r##"
    Alles in Ordnung.
    acme-irc: nicht verbunden (connection refused)
    matrix: verbunden
    Spiegel project (!r:example.org): 12 Ereignisse, 3 wartend
    "##);
    assert_snapshot!(command("!viaduct dance", &status(true), Language::German), @r##"
    Diesen Befehl kenne ich nicht.
    !viaduct help – diese Liste
    !viaduct status – wie es um Netze und Spiegel steht
    !viaduct quarantine – was zurückgehalten wird, und es freigeben
    !viaduct partner – die Vereinbarungen
    !viaduct trotzdem NUMMER BEGRÜNDUNG – die eigene Nachricht trotzdem senden, wo die Regel es zulässt
    !viaduct help datenschutz – was in diesem Raum protokolliert wird
    !viaduct version – welche Version das ist
    "##);
    assert!(command("!viaduct version", &status(true), Language::English).starts_with("viaduct "));
}

#[tokio::test]
async fn orders_are_given_by_bot_and_by_api_alike() {
    let wood = Wood { ready: true };
    let say = |text: &'static str| obey(text, "@ann:example.org", &wood, Language::English);
    assert_eq!(say("!viaduct status").await, None);
    assert_eq!(say("!viaduct quarantine").await.as_deref(), Some("Nothing is held."));
    assert_eq!(say("partner renew acme 2026-12-31").await.as_deref(), Some("Done."));
    let wrong = say("partner renew acme soon").await.unwrap();
    assert!(wrong.contains("!viaduct partner renew NAME"), "{wrong}");
    let missing = say("quarantine reject 00ab-01 not ours").await.unwrap();
    assert_eq!(missing, "nothing is held under 00ab-01");
}

#[tokio::test]
async fn an_order_by_api_needs_the_token_and_its_form() {
    let ask = |token: &str, body: &str| {
        let request = Request::post("/api/v1/order")
            .header("authorization", format!("Bearer {token}"))
            .header("content-type", "application/json")
            .body(Body::from(body.to_owned()))
            .unwrap();
        let hub: Arc<dyn Hub> = Arc::new(Wood { ready: true });
        router(hub, Metrics::detached(), Some("secret")).oneshot(request)
    };
    let code = |answer: axum::response::Response| answer.status();
    assert_eq!(
        code(ask("secret", r#"{"order":"held"}"#).await.unwrap()),
        StatusCode::OK
    );
    assert_eq!(
        code(ask("wrong", r#"{"order":"held"}"#).await.unwrap()),
        StatusCode::UNAUTHORIZED
    );
    let reject = r#"{"order":"reject_held","id":"00-01","by":"@a:b","reason":"x"}"#;
    assert_eq!(code(ask("secret", reject).await.unwrap()), StatusCode::NOT_FOUND);
    let unknown = r#"{"order":"dance"}"#;
    assert_eq!(
        code(ask("secret", unknown).await.unwrap()),
        StatusCode::UNPROCESSABLE_ENTITY
    );
}
