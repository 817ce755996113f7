//! The conformance kit on the Teams stand-in.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    missing_docs,
    reason = "a test says what it sees, and stops at the first surprise"
)]

mod common;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use common::person::Person;
use viaduct_bridge::conformance::{Options, run};
use viaduct_model::Timestamp;
use viaduct_teams::TeamsFactory;
use viaduct_tests::teams::{Limits, TeamsStandIn};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_conforms_in_a_channel_of_the_stand_in() {
    conforms(Person::new).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_conforms_in_a_group_chat_of_the_stand_in() {
    conforms(Person::in_a_chat).await;
}

async fn conforms(person: fn(Arc<TeamsStandIn>) -> Person) {
    let teams = Arc::new(TeamsStandIn::start().await.unwrap());
    teams.set_limits(Limits::none());
    let section = common::section(&teams);
    let person = person(Arc::clone(&teams));
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    let only = std::env::var("ONLY").map(|names| names.split(',').map(str::to_owned).collect());
    let options = Options {
        patience: Duration::from_secs(20),
        epoch: Timestamp(u64::try_from(now.as_millis()).unwrap()),
        only: only.unwrap_or_default(),
        ..Options::default()
    };
    let report = run(person, &TeamsFactory::default(), section, options).await;
    println!("{report}");
    report.assert();
    let violations = teams.violations();
    assert!(violations.is_empty(), "{violations:#?}");
}
