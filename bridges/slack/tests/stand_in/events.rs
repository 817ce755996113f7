//! Ways of events into the hub: sockets and signed requests, with all that goes wrong there.

use std::time::Duration;

use serde_json::json;
use viaduct_bridge::Connection;
use viaduct_bridge::testing::{Hub, PATIENCE};
use viaduct_model::PersonId;
use viaduct_slack::SlackFactory;
use viaduct_tests::slack::Which;

use crate::common::stage::{NAME, message, no_violations, section, workspace};

#[tokio::test]
async fn duplicates_disorder_refreshes_and_lost_acknowledgements_change_nothing() {
    let (slack, channel, sue) = workspace().await;
    let hub = Hub::new("acme-slack");
    let running = hub.start(&SlackFactory, &section(&slack), &[NAME]).await;
    slack.connected(2, PATIENCE).await.unwrap();
    let lost = slack.delivered().lost;
    slack.duplicate_next(5);
    slack.ignore_acks(3);
    for number in 0..20 {
        slack.say(&channel, &sue, &format!("a{number}"));
    }
    slack.refresh(Which::All, Duration::from_secs(2));
    for number in 0..20 {
        slack.say(&channel, &sue, &format!("b{number}"));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    hub.hear("b19").await;
    let expected: Vec<String> = (0..20)
        .map(|number| format!("a{number}"))
        .chain((0..20).map(|number| format!("b{number}")))
        .collect();
    assert_eq!(hub.texts(), expected);
    assert!(
        !hub.reports()
            .iter()
            .any(|(_, connection)| matches!(connection, Connection::Down(_))),
        "no gap"
    );
    slack.settled(PATIENCE).await.unwrap();
    assert_eq!(slack.delivered().lost, lost);
    running.stop().await;
    no_violations(&slack);
}

#[tokio::test]
async fn what_is_lost_with_a_broken_socket_is_read_from_the_history() {
    let (slack, channel, sue) = workspace().await;
    let hub = Hub::new("acme-slack");
    let running = hub.start(&SlackFactory, &section(&slack), &[NAME]).await;
    slack.connected(2, PATIENCE).await.unwrap();
    let anna = running
        .session
        .direct_channel(&PersonId::new(&sue).unwrap(), "@anna:example.org")
        .await
        .unwrap();
    running
        .deliver(hub.outbound_of("anna", anna.as_str(), message("hello")))
        .await
        .unwrap();
    let direct = slack.direct(&sue);
    slack.say(&direct, &sue, "hello too");
    slack.say(&channel, &sue, "before");
    hub.hear("before").await;
    hub.hear("hello too").await;
    slack.settled(PATIENCE).await.unwrap();

    slack.lose_next(2);
    slack.say(&channel, &sue, "lost");
    slack.say(&direct, &sue, "lost in private");
    slack.break_sockets(Which::Oldest);
    hub.hear("lost").await;
    hub.hear("lost in private").await;
    let down = |(_, connection): &(_, Connection)| matches!(connection, Connection::Down(_));
    assert!(
        !hub.reports().iter().any(down),
        "the other socket was there all the time"
    );
    slack.connected(2, PATIENCE).await.unwrap();
    slack.say(&channel, &sue, "after");
    hub.hear("after").await;
    running.stop().await;
    no_violations(&slack);
}

#[tokio::test]
async fn signed_requests_do_as_well() {
    let (slack, channel, sue) = workspace().await;
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let mut section = section(&slack);
    section.as_object_mut().unwrap().remove("app_token");
    section["events"] = json!({"listen": format!("127.0.0.1:{port}"), "signing_secret": slack.app().signing_secret});
    let hub = Hub::new("acme-slack");
    let running = hub.start(&SlackFactory, &section, &[NAME]).await;
    let url = format!("http://127.0.0.1:{port}/slack/events");
    slack.deliver_to(&url, 0).await.unwrap();
    for number in 0..20 {
        slack.say(&channel, &sue, &format!("signed {number}"));
    }
    hub.hear("signed 19").await;
    slack.settled(PATIENCE).await.unwrap();
    let expected: Vec<String> = (0..20).map(|number| format!("signed {number}")).collect();
    assert_eq!(hub.texts(), expected);
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let forged = http
        .post(&url)
        .body(r#"{"type":"url_verification","challenge":"x"}"#)
        .send()
        .await
        .unwrap();
    assert_eq!(forged.status(), 401);
    running.stop().await;
}

/// Prints what the way from the socket to the hub costs. `cargo test … --release -- --ignored --nocapture flood`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement"]
async fn a_flood_is_taken() {
    let (slack, channel, sue) = workspace().await;
    let hub = Hub::new("acme-slack");
    let running = hub.start(&SlackFactory, &section(&slack), &[NAME]).await;
    slack.say(&channel, &sue, "warm");
    hub.hear("warm").await;
    let flood = slack.flood(&channel, &[&sue], "flood", 20_000, 2000).await.unwrap();
    println!(
        "{} events in {:?}: {:.0} a second",
        flood.events,
        flood.elapsed,
        flood.rate()
    );
    running.stop().await;
}
