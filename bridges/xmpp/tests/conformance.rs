//! The conformance kit on a real Prosody and a real ejabberd. Skipped, with a printed reason, where one is not installed.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::indexing_slicing,
    clippy::needless_pass_by_value,
    clippy::match_wild_err_arm,
    clippy::format_collect,
    clippy::format_push_string,
    clippy::assigning_clones,
    clippy::too_many_lines,
    missing_docs,
    reason = "a test says what it sees, and stops at the first surprise"
)]

mod common;

use common::Server;
use common::ejabberd::Ejabberd;
use common::prosody::{Prosody, SECRET};
use common::proxy::Proxy;
use common::remote::RoomPerson;
use serde_json::json;
use viaduct_bridge::conformance::{Options, run};
use viaduct_xmpp::XmppFactory;

const ROOM: &str = "kit@conference.localhost";

async fn conforms_on(server: Box<dyn Server>) {
    let proxy = Proxy::start(server.port("bridge.localhost")).await;
    let section = json!({
        "component": {"port": proxy.port, "domain": "bridge.localhost", "secret": SECRET},
        "muc_services": ["conference.localhost"],
        "upload_service": "upload.localhost",
        "file_hosts": ["127.0.0.1"],
        "timeouts": {"reflection": 10, "request": 10},
    });
    let person = RoomPerson::new(server, proxy, ROOM);
    let report = run(person, &XmppFactory, section, Options::default()).await;
    println!("{report}");
    report.assert();
}

#[tokio::test]
async fn it_conforms_on_prosody() {
    if let Some(server) = Prosody::start().await {
        conforms_on(Box::new(server)).await;
    }
}

/// Version 23.01 has neither occupant-ids nor moderation.
#[tokio::test]
async fn it_conforms_on_ejabberd() {
    if let Some(server) = Ejabberd::start().await {
        conforms_on(Box::new(server)).await;
    }
}
