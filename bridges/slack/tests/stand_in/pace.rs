//! How often Slack is called.

use std::time::{Duration, Instant};

use serde_json::json;
use viaduct_bridge::testing::Hub;
use viaduct_slack::SlackFactory;
use viaduct_tests::slack::Limits;

use crate::common::stage::{NAME, section, workspace};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn posting_is_paced_and_never_refused() {
    let (slack, channel, _) = workspace().await;
    slack.set_limits(Limits {
        channel_burst: 1,
        ..Limits::default()
    });
    let mut section = section(&slack);
    section["limits"] = json!({});
    let hub = Hub::new("acme-slack");
    let running = hub.start(&SlackFactory, &section, &[NAME]).await;
    let begun = Instant::now();
    for number in 0..6 {
        running.say(NAME, &format!("paced {number}")).await;
    }
    let took = begun.elapsed();
    println!("6 posts in {} ms", took.as_millis());
    assert!(
        (Duration::from_secs(5)..Duration::from_secs(8)).contains(&took),
        "{took:?}"
    );
    assert_eq!(slack.limited(), 0);
    assert_eq!(
        slack
            .history(&channel)
            .iter()
            .filter(|m| m["username"] == "anna")
            .count(),
        6
    );
    running.stop().await;
}
