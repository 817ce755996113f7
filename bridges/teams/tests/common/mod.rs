//! What the tests of the bridge share.

#![allow(dead_code, reason = "not every test uses everything")]

pub mod hub;
pub mod person;

use serde_json::{Value, json};
use viaduct_tests::teams::TeamsStandIn;

/// The path of the requests.
const PATH: &str = "/api/messages";

/// A port that nobody uses at the moment.
pub fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}

/// A section for the stand-in, without waiting for rates; the stand-in's bot is at its address.
pub fn section(teams: &TeamsStandIn) -> Value {
    let address = format!("127.0.0.1:{}", free_port());
    let endpoint = format!("http://{address}{PATH}");
    teams.set_endpoint(Some(&endpoint));
    json!({
        "app_id": teams.app().app_id, "tenant": teams.app().tenant, "secret": teams.app().secret,
        "listen": address, "path": PATH, "public_url": endpoint, "sweep_seconds": 2,
        "addresses": {
            "login": teams.login_url(), "openid": teams.openid_url(), "graph": teams.graph_url(),
            "connector": teams.service_url(), "service_hosts": ["127.0.0.1"],
        },
        "limits": {"per_second": 1000, "per_half_minute": 100_000, "per_hour": 1_000_000, "tenant_per_second": 10_000,
                   "graph_per_second": 10_000},
    })
}
