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

/// How the bridge connects.
#[derive(Clone, Copy, PartialEq)]
enum Way {
    Component,
    Account,
}

async fn conforms_on(server: Box<dyn Server>, way: Way) {
    let proxy = Proxy::start(match way {
        Way::Component => server.port("bridge.localhost"),
        Way::Account => server.client_port(),
    })
    .await;
    let mut section = json!({
        "muc_services": ["conference.localhost"],
        "upload_service": "upload.localhost",
        "file_hosts": ["127.0.0.1"],
        "timeouts": {"reflection": 10, "request": 10, "resume": 5},
    });
    match way {
        Way::Component => {
            section["component"] = json!({"port": proxy.port, "domain": "bridge.localhost", "secret": SECRET});
        }
        Way::Account => {
            section["account"] = json!({
                "address": "bridge@localhost", "password": SECRET, "host": "127.0.0.1", "port": proxy.port,
                "ca_file": server.ca_file(),
            });
        }
    }
    let person = RoomPerson::new(server, proxy, ROOM, way == Way::Account);
    let report = run(person, &XmppFactory, section, Options::default()).await;
    println!("{report}");
    report.assert();
}

#[tokio::test]
async fn a_component_conforms_on_prosody() {
    if let Some(server) = Prosody::start().await {
        conforms_on(Box::new(server), Way::Component).await;
    }
}

#[tokio::test]
async fn an_account_conforms_on_prosody() {
    if let Some(server) = Prosody::start().await {
        conforms_on(Box::new(server), Way::Account).await;
    }
}

/// Version 23.01 has neither occupant-ids nor moderation.
#[tokio::test]
async fn a_component_conforms_on_ejabberd() {
    if let Some(server) = Ejabberd::start().await {
        conforms_on(Box::new(server), Way::Component).await;
    }
}

#[tokio::test]
async fn an_account_conforms_on_ejabberd() {
    if let Some(server) = Ejabberd::start().await {
        conforms_on(Box::new(server), Way::Account).await;
    }
}
