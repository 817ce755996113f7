//! The conformance kit on real servers: ngircd, which knows next to nothing of `IRCv3`, and `InspIRCd`, which echoes, labels
//! and gives ids. Skipped, with a printed reason, where a server is not installed; with `VIADUCT_REQUIRE=1` that is a failure.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::indexing_slicing,
    missing_docs,
    reason = "a test says what it sees, and stops at the first surprise"
)]

#[path = "conformance/line.rs"]
mod line;
#[path = "conformance/person.rs"]
mod person;
#[path = "conformance/proxy.rs"]
mod proxy;
mod support;

use person::RoomPerson;
use proxy::Proxy;
use serde_json::json;
use support::server::{self, Server};
use viaduct_bridge::conformance::{Options, run};
use viaduct_irc::IrcFactory;

async fn conforms(server: Option<Server>) {
    let Some(server) = server else {
        let required = std::env::var_os("VIADUCT_REQUIRE").is_some_and(|value| value == "1");
        assert!(!required, "a server that this test needs is not installed");
        return;
    };
    let proxy = Proxy::start(server.port).await;
    let section = json!({
        "server": {"host": "127.0.0.1", "port": proxy.port},
        "tls": {"enabled": false},
        "pacing": "off",
        "line_limit": 40,
        "connect": {"retry": 1, "retry_limit": 1, "timeout": 10},
    });
    let person = RoomPerson::new(server, proxy, "#kit");
    let report = run(person, &IrcFactory, section, Options::default()).await;
    println!("{report}");
    report.assert();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_conforms_on_ngircd() {
    conforms(server::ngircd("").await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_conforms_on_inspircd() {
    conforms(server::inspircd().await).await;
}
