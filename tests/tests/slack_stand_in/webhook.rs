//! Events as signed requests.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::routing::post;
use bytes::Bytes;
use hmac::{Hmac, Mac as _};
use http::{HeaderMap, StatusCode};
use serde_json::Value;
use sha2::Sha256;
use viaduct_tests::slack::Patience;

use super::super::{BOUND, ready};

#[derive(Default)]
struct App {
    secret: String,
    /// Answers still to be refused.
    refuse: u32,
    taken: Vec<(Value, Option<String>)>,
}

async fn take(State(app): State<Arc<Mutex<App>>>, headers: HeaderMap, body: Bytes) -> (StatusCode, String) {
    let mut app = app.lock().unwrap();
    let header = |name: &str| {
        headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    };
    let mut mac = Hmac::<Sha256>::new_from_slice(app.secret.as_bytes()).unwrap();
    mac.update(format!("v0:{}:", header("x-slack-request-timestamp")).as_bytes());
    mac.update(&body);
    let signature: Vec<String> = mac
        .finalize()
        .into_bytes()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    if header("x-slack-signature") != format!("v0={}", signature.concat()) {
        return (StatusCode::UNAUTHORIZED, String::new());
    }
    let value: Value = serde_json::from_slice(&body).unwrap();
    if value["type"] == "url_verification" {
        return (StatusCode::OK, value["challenge"].as_str().unwrap().to_owned());
    }
    let retry = headers
        .contains_key("x-slack-retry-num")
        .then(|| format!("{} {}", header("x-slack-retry-num"), header("x-slack-retry-reason")));
    app.taken.push((value, retry));
    if app.refuse > 0 {
        app.refuse -= 1;
        return (StatusCode::INTERNAL_SERVER_ERROR, String::new());
    }
    (StatusCode::OK, String::new())
}

#[tokio::test(flavor = "multi_thread")]
async fn events_are_signed_posted_and_posted_again() -> anyhow::Result<()> {
    let (slack, channel, sue) = ready().await?;
    let app = Arc::new(Mutex::new(App {
        secret: slack.app().signing_secret.clone(),
        refuse: 1,
        ..App::default()
    }));
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await?;
    let url = format!("http://{}/events", listener.local_addr()?);
    let router = Router::new().route("/events", post(take)).with_state(Arc::clone(&app));
    tokio::spawn(async move { axum::serve(listener, router).await });

    assert!(
        slack.deliver_to("http://127.0.0.1:9/events", 0).await.is_err(),
        "nobody echoes the challenge there"
    );
    slack.deliver_to(&url, 0).await?;
    slack.set_patience(Patience {
        ack: Duration::from_secs(3),
        retries: vec![Duration::ZERO; 3],
    });
    slack.say(&channel, &sue, "one");
    slack.say(&channel, &sue, "two");
    slack.settled(BOUND).await?;
    assert_eq!(slack.delivered().acked, 2);
    let taken = std::mem::take(&mut app.lock().unwrap().taken);
    let texts: Vec<(&str, Option<&str>)> = taken
        .iter()
        .map(|(value, retry)| (value["event"]["text"].as_str().unwrap(), retry.as_deref()))
        .collect();
    assert_eq!(texts, [("one", None), ("two", None), ("one", Some("1 http_error"))]);
    Ok(())
}
