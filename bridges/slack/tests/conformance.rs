//! The conformance kit on the Slack stand-in.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::needless_pass_by_value,
    clippy::format_push_string,
    clippy::print_stdout,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    missing_docs,
    reason = "a test says what it sees, and stops at the first surprise"
)]

mod common;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};
use viaduct_bridge::conformance::{Options, run};
use viaduct_model::Timestamp;
use viaduct_slack::SlackFactory;
use viaduct_tests::slack::{Limits, SlackStandIn};

/// A section for the stand-in, without waiting for rates.
pub fn section(slack: &SlackStandIn) -> Value {
    json!({
        "bot_token": slack.app().bot_token,
        "app_token": slack.app().app_token,
        "base_url": slack.api_url(),
        "set_topic": true,
        "limits": {"posts_per_second": 1000.0, "tier_1": 10000, "tier_2": 10000, "tier_3": 10000, "tier_4": 10000,
                   "history": 10000},
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_conforms_on_the_stand_in() {
    let slack = Arc::new(SlackStandIn::start().await.unwrap());
    slack.set_limits(Limits::none());
    let section = section(&slack);
    let person = common::person::Person::new(Arc::clone(&slack));
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    let options = Options {
        patience: Duration::from_secs(20),
        epoch: Timestamp(u64::try_from(now.as_millis()).unwrap()),
        only: std::env::var("ONLY")
            .map(|names| names.split(',').map(str::to_owned).collect())
            .unwrap_or_default(),
        ..Options::default()
    };
    let report = run(person, &SlackFactory, section, options).await;
    println!("{report}");
    report.assert();
    let violations = slack.violations();
    assert!(violations.is_empty(), "{violations:#?}");
}
