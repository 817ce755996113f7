//! Against real servers with what networks put beside them: accounts, certificates, gateways, ident and forwarding.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test fails by panicking"
)]

mod support;

use std::path::Path;

use serde_json::{Value, json};
use support::person::Ircer;
use support::{Hub, scene, section, server};
use viaduct_bridge::{Connection, ProbeStatus};
use viaduct_model::ChannelId;

/// A section's keys for the TLS port of a server.
fn sealed(port: u16, authority: &Path) -> Value {
    json!({
        "server": {"host": "127.0.0.1", "port": port},
        "tls": {"ca_file": authority, "server_name": "irc.test.local"},
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_is_enough_to_log_in() {
    let Some((mut server, port, authority)) = server::inspircd_with_tls("", "").await else {
        return;
    };
    if !server::atheme(&mut server) {
        return;
    }
    let Some(own) = server::Certificate::make().await else {
        return;
    };
    let mut ann = Ircer::connect(server.port, "ann").await;
    ann.register("hub", "secret").await;
    let fingerprint = own.fingerprint().await;
    ann.send(&format!("PRIVMSG NickServ :CERT ADD {fingerprint}")).await;
    ann.until(&fingerprint).await;

    let mut keys = sealed(port, &authority);
    keys["tls"]["client_cert_file"] = json!(own.file);
    keys["tls"]["client_key_file"] = json!(own.key);
    keys["nick"] = json!("relay");
    keys["puppets"] = json!({"enabled": false});
    // The certificate alone says which account it is; naming that account must not harm.
    for account in ["", "hub"] {
        keys["sasl"] = json!({"mechanism": "external", "account": account});
        let hub = Hub::start(section(port, &keys), &["#one"]).await;
        hub.joined("#one").await;
        let (_, logged_in) = ann.whois("relay").await;
        assert!(
            logged_in.as_ref().is_some_and(|line| line.contains(" relay hub ")),
            "{logged_in:?}"
        );
        hub.stop().await;
    }

    ann.send(&format!("PRIVMSG NickServ :CERT DEL {fingerprint}")).await;
    ann.until(&fingerprint).await;
    let refused = Hub::start(section(port, &keys), &["#one"]).await;
    refused.refused().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_to_nickserv_opens_what_is_for_accounts_only() {
    let Some(server) = server::inspircd_with_services().await else {
        return;
    };
    let mut ann = Ircer::connect(server.port, "ann").await;
    ann.register("hub", "secret").await;
    ann.join("#one").await;
    ann.send("MODE #one +R").await;
    ann.until("MODE #one").await;
    let keys = |password: &str| {
        json!({
            "nick": "relay",
            "nickserv": {"account": "hub", "password": password},
            "puppets": {"enabled": false},
        })
    };
    let stranger = Hub::start(section(server.port, &keys("wrong")), &["#one"]).await;
    let reason = stranger.refused().await;
    assert!(
        reason.contains("NickServ") && reason.contains("Invalid password"),
        "{reason}"
    );
    let probes = stranger.session.probe().await;
    let login = probes.first().unwrap();
    assert_eq!(login.status, ProbeStatus::Error, "{probes:?}");
    assert!(
        login.finding.contains("Invalid password") && !login.finding.contains("wrong"),
        "{probes:?}"
    );
    let joined = |(channel, _): &(Option<ChannelId>, Connection)| channel.is_some();
    let tried = stranger
        .inbox
        .until("the reports", |_, reports| Some(reports.iter().any(joined)))
        .await;
    assert!(!tried, "a channel was tried without the account");

    let hub = Hub::start(section(server.port, &keys("secret")), &["#one"]).await;
    hub.joined("#one").await;
    let (_, logged_in) = ann.whois("relay").await;
    assert!(
        logged_in.as_ref().is_some_and(|line| line.contains(" relay hub ")),
        "{logged_in:?}"
    );
    let turned_away = |(_, standing): &(Option<ChannelId>, Connection)| matches!(standing, Connection::Down(_));
    let patient = hub
        .inbox
        .until("the reports", |_, reports| Some(!reports.iter().any(turned_away)))
        .await;
    assert!(
        patient,
        "the first attempt to join came before the answer of the service"
    );
    hub.say("Bob", "#one", "let in").await;
    ann.until("let in").await;
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn services_that_are_away_are_told_of_and_hold_nothing_up() {
    let Some(server) = server::inspircd().await else {
        return;
    };
    let keys = json!({"nickserv": {"password": "secret"}, "puppets": {"enabled": false}});
    let hub = Hub::start(section(server.port, &keys), &["#one"]).await;
    hub.joined("#one").await;
    let probes = hub.session.probe().await;
    let account = probes.iter().find(|probe| probe.subject == "account").unwrap();
    assert_eq!(account.status, ProbeStatus::Warning);
    assert!(account.finding.contains("NickServ"), "{account}");
    hub.stop().await;
}

fn webirc() -> Value {
    json!({"webirc": {
        "password": "gate",
        "hostname": "{localpart}.{domain}.matrix.test",
        "address": "192.0.2.7",
    }})
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_tells_the_host_of_each_puppet() {
    let Some(server) = server::ngircd("DNS = yes\nWebircPassword = gate").await else {
        return;
    };
    let (mut ann, hub) = scene(&server, "#one", &webirc()).await;
    hub.say("Bob", "#one", "from afar").await;
    let line = ann.until("from afar").await;
    assert!(line.contains("@bob.example.org.matrix.test PRIVMSG"), "{line}");
    let (reader, _) = ann.whois("viaduct").await;
    assert!(reader.contains(" viaduct.matrix.test "), "{reader}");
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_tells_the_address_of_each_connection() {
    // InspIRCd believes the address only, and would look the host up by itself.
    let gateway = "<cgihost type=\"webirc\" password=\"gate\" mask=\"127.0.0.1\">\n";
    let Some(server) = server::inspircd_with("", gateway).await else {
        return;
    };
    let (mut ann, hub) = scene(&server, "#one", &webirc()).await;
    hub.say("Bob", "#one", "from afar").await;
    let line = ann.until("from afar").await;
    assert!(line.contains("@192.0.2.7 PRIVMSG"), "{line}");
    let (reader, _) = ann.whois("viaduct").await;
    assert!(reader.contains(" 192.0.2.7 "), "{reader}");
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_server_learns_each_user_by_asking_back() {
    // The port of RFC 1413 is the only one that servers ask at.
    let listen = "127.0.0.1:113";
    if let Err(error) = std::net::TcpListener::bind(listen) {
        println!("skipped: {listen} cannot be listened at: {error}");
        return;
    }
    let tags = "<module name=\"ident\">\n<ident timeout=\"10\">\n";
    let Some((server, port, authority)) = server::inspircd_with_tls("useident=\"yes\"", tags).await else {
        return;
    };
    let mut ann = Ircer::connect(server.port, "ann").await;
    ann.join("#one").await;
    let (stranger, _) = ann.whois("ann").await;
    assert!(stranger.contains(" ann ~person "), "{stranger}");
    for (port, mut keys) in [(server.port, json!({})), (port, sealed(port, &authority))] {
        keys["ident"] = json!({"listen": listen});
        let hub = Hub::start(section(port, &keys), &["#one"]).await;
        hub.joined("#one").await;
        let (reader, _) = ann.whois("viaduct").await;
        assert!(reader.contains(" viaduct viaduct "), "{reader}");
        for name in ["Bob", "Cleo", "Dora"] {
            let text = format!("{name} on {port}");
            hub.say(name, "#one", &text).await;
            let line = ann.until(&text).await;
            let user = name.to_lowercase();
            assert!(line.starts_with(&format!(":{name}[m]!{user}@")), "{line}");
        }
        hub.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_channel_that_forwards_elsewhere_is_not_followed() {
    let Some(server) = server::inspircd_with("", "<module name=\"redirect\">\n").await else {
        return;
    };
    let mut ann = Ircer::connect(server.port, "ann").await;
    ann.join("#full").await;
    ann.join("#other").await;
    ann.send("MODE #full +lL 1 #other").await;
    ann.until("MODE #full").await;
    let hub = Hub::start(section(server.port, &json!({})), &["#full"]).await;
    hub.kept_out("#full", "it forwards to #other").await;
    let left = ann.until("PART #other").await;
    assert!(left.starts_with(":viaduct!"), "{left}");
    // There is room for one more: the reader. Its people are forwarded, so it speaks for them.
    ann.send("MODE #full +l 2").await;
    hub.joined("#full").await;
    hub.say("Bob", "#full", "no room for me").await;
    let line = ann.until("no room for me").await;
    assert!(line.starts_with(":viaduct!"), "{line}");
    assert!(line.ends_with("PRIVMSG #full :<B\u{200b}ob> no room for me"), "{line}");
    ann.send("NAMES #other").await;
    let names = ann.until(" 353 ").await;
    assert!(
        !names.contains("Bob"),
        "the puppet stayed where nobody sent it: {names}"
    );
    hub.stop().await;
}
