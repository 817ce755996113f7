//! Events that come over several sockets keep their order, whatever socket lags, and are not held up where none does.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    missing_docs,
    reason = "a test says what it sees, and stops at the first surprise"
)]

mod common;

use std::time::{Duration, Instant};

use common::stage::{NAME, no_violations, section, workspace};
use serde_json::json;
use viaduct_bridge::testing::{Hub, PATIENCE, plain};
use viaduct_slack::SlackFactory;
use viaduct_tests::slack::{Kind, Line, Which};

/// By how much a socket lags.
const LAG: Duration = Duration::from_millis(500);
/// How long after it said so Slack closes a socket here; really it gives some ten seconds. What a socket had not brought when it
/// was closed comes again over another one, late.
const GRACE: Duration = Duration::from_secs(1);
/// How many sockets are exchanged.
const RENEWALS: usize = 40;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_socket_that_lags_at_its_renewal_changes_no_order() {
    let (slack, channel, sue) = workspace().await;
    let other = slack.add_channel("other", Kind::Public);
    slack.join(&other, &slack.app().bot_user);
    slack.join(&other, &sue);
    let line = Line::lay(&slack).await.unwrap();
    let mut section = section(&slack);
    section["base_url"] = json!(line.api_url());
    section["sockets"] = json!(3);
    let hub = Hub::new("acme-slack");
    let running = hub.start(&SlackFactory, &section, &[NAME, "#other"]).await;
    slack.connected(3, PATIENCE).await.unwrap();
    let mut number = 0;
    for renewal in 0..RENEWALS {
        // Either the socket that goes or the one that comes lags.
        if renewal % 2 == 0 {
            line.lag(Which::Oldest, LAG);
        } else {
            line.lag_next(LAG);
        }
        slack.refresh(Which::Oldest, GRACE);
        for _ in 0..10 {
            slack.say(&channel, &sue, &format!("a{number}"));
            slack.say(&other, &sue, &format!("b{number}"));
            number += 1;
            tokio::time::sleep(Duration::from_millis(15)).await;
        }
        line.mend();
    }
    let last = number - 1;
    hub.hear(&format!("a{last}")).await;
    hub.hear(&format!("b{last}")).await;
    for (name, letter) in [(NAME, "a"), ("#other", "b")] {
        let told: Vec<String> = hub
            .events()
            .iter()
            .filter(|event| event.place.channel.as_str() == name)
            .filter_map(plain)
            .collect();
        let expected: Vec<String> = (0..number).map(|number| format!("{letter}{number}")).collect();
        let first = told.iter().zip(&expected).position(|(told, expected)| told != expected);
        assert_eq!(first.map(|at| &told[at..told.len().min(at + 5)]), None, "out of order");
        assert_eq!(told.len(), expected.len());
    }
    running.stop().await;
    no_violations(&slack);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_nothing_lags_events_are_told_at_once() {
    let (slack, channel, sue) = workspace().await;
    let hub = Hub::new("acme-slack");
    let running = hub.start(&SlackFactory, &section(&slack), &[NAME]).await;
    slack.connected(2, PATIENCE).await.unwrap();
    let mut took = Vec::new();
    for number in 0..40 {
        let said = Instant::now();
        slack.say(&channel, &sue, &format!("quick {number}"));
        hub.hear(&format!("quick {number}")).await;
        took.push(said.elapsed());
    }
    took.sort();
    println!("event → hub: p50 {:?}, p95 {:?}", took[20], took[38]);
    // Whatever the machine: nothing is held back until the bound of a lagging socket.
    assert!(took[20] < Duration::from_secs(1), "{took:?}");
    running.stop().await;
    no_violations(&slack);
}
