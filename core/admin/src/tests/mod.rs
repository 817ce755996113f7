//! The routes against a hub of wood, and the commands.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode};
use insta::assert_snapshot;
use tower::ServiceExt;
use viaduct_audit::Action;
use viaduct_engine::{LaneStatus, MirrorStatus, NetworkStatus, Probe, Status};
use viaduct_governance::Day;
use viaduct_model::{ChannelId, Clock, Language, MirrorName, NetworkName, Place, Secret, Timestamp};
use viaduct_store::{Delivery, DeliveryFilter, DeliveryState, Lane, Seq};

use super::*;
use crate::command::command;

mod console;
mod oidc;
mod people;
mod table;

/// A hub of wood: it holds one message of Ann's, and remembers what it was told.
#[derive(Default)]
struct Wood {
    ready: bool,
    orders: Mutex<Vec<Order>>,
    held: Vec<serde_json::Value>,
    register: Arc<viaduct_governance::Register>,
    notes: Mutex<Vec<(Action, String)>>,
}

/// The clock of the tests, which somebody winds.
#[derive(Debug)]
struct Watch(AtomicU64);

impl Clock for Watch {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::SeqCst))
    }
}

/// A desk, and what one needs to look behind it.
struct Office {
    wood: Arc<Wood>,
    watch: Arc<Watch>,
    access: Arc<Access>,
    desk: Arc<Desk>,
}

/// Chance that everybody knows: each time it is asked, something else.
#[derive(Debug, Default)]
pub(crate) struct Dice(AtomicU64);

impl From<u64> for Dice {
    fn from(start: u64) -> Self {
        Self(AtomicU64::new(start))
    }
}

impl viaduct_model::Entropy for Dice {
    fn fill(&self, buffer: &mut [u8]) {
        let number = self.0.fetch_add(1, Ordering::SeqCst).to_le_bytes();
        for (byte, number) in buffer.iter_mut().zip(number.iter().cycle()) {
            *byte = *number;
        }
    }
}

fn day(text: &str) -> Day {
    Day::parse(text).unwrap()
}

/// An office for these, on the first of June 2026.
fn office(directory: Directory) -> Office {
    let wood = Arc::new(Wood::default());
    let watch = Arc::new(Watch(AtomicU64::new(day("2026-06-01").start().as_millis())));
    let access = Arc::new(Access::new(directory, Arc::clone(&watch) as Arc<dyn Clock>));
    let desk = Arc::new(Desk::new(Arc::clone(&wood) as Arc<dyn Hub>, Arc::clone(&access)));
    Office {
        wood,
        watch,
        access,
        desk,
    }
}

impl Office {
    /// Puts another hub of wood behind the desk.
    fn stand_behind(&mut self, wood: Wood) {
        self.wood = Arc::new(wood);
        let access = Arc::clone(&self.access);
        self.desk = Arc::new(Desk::new(Arc::clone(&self.wood) as Arc<dyn Hub>, access));
    }

    fn wood(&self) -> &Wood {
        &self.wood
    }

    /// Lets so many milliseconds go by.
    fn wind(&self, millis: u64) {
        self.watch.0.fetch_add(millis, Ordering::SeqCst);
    }

    fn set(&self, text: &str) {
        self.watch.0.store(day(text).start().as_millis(), Ordering::SeqCst);
    }

    async fn ask(&self, request: Request<Body>) -> (StatusCode, String) {
        let response = router(Arc::clone(&self.desk), Metrics::detached(), None)
            .oneshot(request)
            .await
            .unwrap();
        let code = response.status();
        let body = to_bytes(response.into_body(), 1 << 20).await.unwrap();
        (code, String::from_utf8(body.to_vec()).unwrap())
    }

    async fn order(&self, token: &str, order: &serde_json::Value) -> (u16, String) {
        let (code, body) = self.ask(post("/api/v1/order", token, &order.to_string())).await;
        (code.as_u16(), body)
    }

    fn notes(&self) -> Vec<String> {
        self.wood
            .notes
            .lock()
            .unwrap()
            .iter()
            .map(|(action, what)| format!("{}: {what}", action.as_str()))
            .collect()
    }
}

/// One administrator with one token.
fn alone(token: Option<&str>) -> Directory {
    Directory {
        people: vec![grant("@admin:example.org", &Role::ALL, token)],
        ..Directory::default()
    }
}

fn grant(user: &str, roles: &[Role], token: Option<&str>) -> Grant {
    Grant {
        user: user.to_owned(),
        roles: roles.iter().copied().collect(),
        until: None,
        token: token.map(Secret::new),
    }
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

    /// As governance rules it: nobody releases what they sent.
    async fn order(&self, order: Order) -> Result<serde_json::Value, HubError> {
        self.orders.lock().unwrap().push(order.clone());
        match order {
            Order::Held => Ok(serde_json::json!(self.held)),
            Order::Partners | Order::Holds | Order::Disputed { .. } | Order::Explain { .. } => {
                Ok(serde_json::json!([]))
            }
            Order::ReleaseHeld { by, .. } if by == "@ann:example.org" => {
                Err(HubError::Wrong("whoever sent it cannot release it".to_owned()))
            }
            Order::RejectHeld { id, .. } => Err(HubError::NotFound(format!("nothing is held under {id}"))),
            _ => Ok(serde_json::json!({ "done": true })),
        }
    }

    fn register(&self) -> (Arc<viaduct_governance::Register>, Timestamp) {
        (Arc::clone(&self.register), day("2026-06-01").start())
    }

    async fn note(&self, action: Action, what: &str) -> Result<(), HubError> {
        self.notes.lock().unwrap().push((action, what.to_owned()));
        Ok(())
    }
}

async fn ask(token: Option<&str>, request: Request<Body>) -> (StatusCode, String) {
    office(alone(token)).ask(request).await
}

fn get(path: &str, token: Option<&str>) -> Request<Body> {
    let builder = Request::get(path);
    let builder = match token {
        Some(token) => builder.header("authorization", format!("Bearer {token}")),
        None => builder,
    };
    builder.body(Body::empty()).unwrap()
}

fn post(path: &str, token: &str, body: &str) -> Request<Body> {
    Request::post(path)
        .header("authorization", format!("Bearer {token}"))
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
    let answer = ask(Some("s3cret"), post("/api/v1/deliveries/retry", "s3cret", named)).await;
    assert_eq!(answer, (StatusCode::OK, r#"{"outcome":"delivered"}"#.to_owned()));
    assert_eq!(
        ask(Some("s3cret"), post("/api/v1/deliveries/drop", "s3cret", named))
            .await
            .0,
        StatusCode::OK
    );
    let other = named.replace('7', "8");
    assert_eq!(
        ask(Some("s3cret"), post("/api/v1/deliveries/drop", "s3cret", &other))
            .await
            .0,
        StatusCode::NOT_FOUND
    );
    let (code, body) = ask(Some("s3cret"), post("/api/v1/deliveries/drop", "s3cret", "{")).await;
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
    let office = office(alone(None));
    let say = |text: &'static str| answer(text, "@admin:example.org", &office.desk, Language::English);
    assert!(say("!viaduct status").await.contains("Not everything is well"));
    assert_eq!(say("!viaduct quarantine").await, "Nothing is held.");
    assert_eq!(say("partner renew acme 2026-12-31").await, "Done.");
    let renewed = serde_json::to_value(office.wood.orders.lock().unwrap().last().unwrap()).unwrap();
    assert_eq!(renewed["by"], "@admin:example.org");
    let wrong = say("partner renew acme soon").await;
    assert!(wrong.contains("!viaduct partner renew NAME"), "{wrong}");
    assert_eq!(
        say("quarantine reject 00ab-01 not ours").await,
        "nothing is held under 00ab-01"
    );
}

#[tokio::test]
async fn an_order_by_api_needs_the_token_and_its_form() {
    let office = office(alone(Some("secret")));
    let code = async |token: &str, body: &str| office.ask(post("/api/v1/order", token, body)).await.0;
    assert_eq!(code("secret", r#"{"order":"held"}"#).await, StatusCode::OK);
    assert_eq!(code("wrong", r#"{"order":"held"}"#).await, StatusCode::UNAUTHORIZED);
    let reject = r#"{"order":"reject_held","id":"00-01","by":"@admin:example.org","reason":"x"}"#;
    assert_eq!(code("secret", reject).await, StatusCode::NOT_FOUND);
    assert_eq!(
        code("secret", r#"{"order":"dance"}"#).await,
        StatusCode::UNPROCESSABLE_ENTITY
    );
    // Who granted it is found by the desk, and not said by whoever asks.
    let forged = r#"{"order":"unmask","tag":"own.1:00","granted_by":"@dpo:example.org","reason":"x"}"#;
    assert_eq!(code("secret", forged).await, StatusCode::UNPROCESSABLE_ENTITY);
}
