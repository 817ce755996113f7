//! Who is let in, who has to go for another, and for whom the hub speaks instead.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test fails by panicking"
)]

mod support;

use serde_json::json;
use support::person::Ircer;
use support::{Hub, matrix_person, scene, section, server};
use viaduct_model::{Content, Membership};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_channel_with_a_key_opens_to_the_right_one_only() {
    let Some(server) = server::ngircd("").await else { return };
    let mut ann = Ircer::connect(server.port, "ann").await;
    ann.join("#one").await;
    ann.send("MODE #one +k sesame").await;
    ann.until("MODE #one").await;
    for (channels, reason) in [(json!({}), "+k"), (json!({"#one": {"key": "wrong"}}), "+k")] {
        let hub = Hub::start(section(server.port, &json!({"channels": channels})), &["#one"]).await;
        hub.kept_out("#one", reason).await;
        hub.stop().await;
    }
    let keys = json!({"channels": {"#One": {"key": "sesame"}}});
    let hub = Hub::start(section(server.port, &keys), &["#one"]).await;
    hub.joined("#one").await;
    hub.say("Bob", "#one", "with the key").await;
    let line = ann.until("with the key").await;
    assert!(line.starts_with(":Bob[m]!"), "{line}");
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_is_not_invited_waits_and_comes_when_invited() {
    let Some(server) = server::ngircd("").await else { return };
    let mut ann = Ircer::connect(server.port, "ann").await;
    ann.join("#one").await;
    ann.send("MODE #one +i").await;
    ann.until("MODE #one").await;
    let hub = Hub::start(section(server.port, &json!({})), &["#one"]).await;
    hub.kept_out("#one", "+i").await;
    ann.send("INVITE viaduct #one").await;
    hub.joined("#one").await;
    // Nobody invited the puppet.
    hub.say("Bob", "#one", "through the door").await;
    let line = ann.until("through the door").await;
    assert!(line.ends_with("PRIVMSG #one :<B\u{200b}ob> through the door"), "{line}");
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_is_banned_is_told_of_or_spoken_for() {
    let Some(server) = server::ngircd("").await else { return };
    let mut ann = Ircer::connect(server.port, "ann").await;
    ann.join("#one").await;
    ann.send("MODE #one +b viaduct!*@*").await;
    ann.until("MODE #one").await;
    let hub = Hub::start(section(server.port, &json!({})), &["#one"]).await;
    hub.kept_out("#one", "+b").await;
    ann.send("MODE #one -b+b viaduct!*@* Bob*!*@*").await;
    ann.until("MODE #one").await;
    ann.send("INVITE viaduct #one").await;
    hub.joined("#one").await;
    hub.say("Bob", "#one", "not myself").await;
    let line = ann.until("not myself").await;
    assert!(line.ends_with("PRIVMSG #one :<B\u{200b}ob> not myself"), "{line}");
    hub.say("Cleo", "#one", "myself").await;
    let line = ann.until(" :myself").await;
    assert!(line.starts_with(":Cleo[m]!"), "{line}");
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_only_accounts_may_come_the_hub_speaks_for_all_others() {
    let Some(server) = server::inspircd_with_services().await else {
        return;
    };
    let mut ann = Ircer::connect(server.port, "ann").await;
    ann.register("hub", "secret").await;
    ann.join("#one").await;
    ann.send("MODE #one +R").await;
    ann.until("MODE #one").await;
    let stranger = Hub::start(section(server.port, &json!({})), &["#one"]).await;
    stranger.kept_out("#one", "registered").await;
    stranger.stop().await;
    let keys = json!({"sasl": {"account": "hub", "password": "secret"}});
    let hub = Hub::start(section(server.port, &keys), &["#one"]).await;
    hub.joined("#one").await;
    hub.say("Bob", "#one", "as a guest").await;
    let line = ann.until("as a guest").await;
    assert!(line.ends_with("PRIVMSG #one :<B\u{200b}ob> as a guest"), "{line}");
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_was_silent_longest_goes_for_a_newcomer() {
    let Some(server) = server::ngircd("").await else { return };
    let puppets = json!({"puppets": {"max": 2, "evict_after_seconds": 0}});
    let (mut ann, hub) = scene(&server, "#one", &puppets).await;
    for name in ["Bob", "Cleo", "Bob", "Dora"] {
        let text = format!("{name} speaks");
        hub.say(name, "#one", &text).await;
        let line = ann.until(&text).await;
        assert!(line.starts_with(&format!(":{name}[m]!")), "{line}");
    }
    ann.have_seen(":Cleo[m]!~cleo@127.0.0.1 QUIT").await;
    hub.say("Cleo", "#one", "back again").await;
    let line = ann.until("back again").await;
    assert!(line.starts_with(":Cleo[m]!"), "{line}");
    ann.have_seen(":Bob[m]!~bob@127.0.0.1 QUIT").await;
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_puppet_takes_its_nick_when_it_comes_free() {
    let Some(server) = server::ngircd("").await else { return };
    let (mut ann, hub) = scene(&server, "#one", &json!({})).await;
    let mut other = Ircer::connect(server.port, "Bob[m]").await;
    other.join("#one").await;
    hub.say("Bob", "#one", "under another name").await;
    let line = ann.until("under another name").await;
    assert!(line.starts_with(":Bob1[m]!"), "{line}");
    other.send("NICK robert").await;
    let line = ann.until("NICK :Bob[m]").await;
    assert!(line.starts_with(":Bob1[m]!"), "{line}");
    hub.say("Bob", "#one", "myself again").await;
    let line = ann.until("myself again").await;
    assert!(line.starts_with(":Bob[m]!"), "{line}");
    // None of this is a nick change of somebody here.
    let renamed = |person: &str| {
        hub.inbox.events().iter().any(|event| {
            matches!(&event.content, Content::Membership { person: whose, change: Membership::Rename { .. }, .. } if whose.name.starts_with(person))
        })
    };
    assert!(renamed("robert") && !renamed(&matrix_person("Bob").name));
    hub.stop().await;
}
