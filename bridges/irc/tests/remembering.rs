//! A real server that plays what was said lately to whoever joins (`InspIRCd`'s channel mode `H`), without being asked.
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
use support::{Hub, section, server};
use viaduct_model::MessageId;

const HISTORY: &str = "<module name=\"chanhistory\">\n<chanhistory maxlines=\"50\" prefixmsg=\"no\" bots=\"yes\">\n";

/// The messages that came in, by id.
fn heard(hub: &Hub) -> Vec<(MessageId, String)> {
    let events = hub.inbox.events();
    let messages = events
        .iter()
        .filter_map(|event| Some((event, event.content.message()?)));
    messages
        .map(|(event, message)| (event.id.clone(), message.body.to_plain()))
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_server_plays_on_joining_is_known_by_its_ids_and_what_was_missed_is_had() {
    let Some(server) = server::inspircd_with("", HISTORY).await else {
        return;
    };
    let mut ann = Ircer::connect(server.port, "ann").await;
    ann.join("#one").await;
    ann.send("MODE #one +H 50:3600").await;
    ann.until("MODE #one +H").await;
    let hub = Hub::start(section(server.port, &json!({})), &["#one"]).await;
    hub.joined("#one").await;
    ann.send("PRIVMSG #one :heard live").await;
    let live = hub.heard("heard live").await;
    let ours = hub.say("Bob", "#one", "said by us").await;
    ann.until("said by us").await;
    hub.stop().await;
    ann.until("QUIT").await;

    ann.send("PRIVMSG #one :said while away").await;
    let again = Hub::start(section(server.port, &json!({})), &["#one"]).await;
    again.joined("#one").await;
    let missed = again.heard("said while away").await;
    ann.send("PRIVMSG #one :back again").await;
    again.heard("back again").await;
    let heard = heard(&again);
    let texts: Vec<&str> = heard.iter().map(|(_, text)| text.as_str()).collect();
    assert!(missed.at > live.at);
    // What had been heard, or said by us, carries the id it had then: the hub drops it.
    for (id, text) in &heard {
        assert!(text != "heard live" || *id == live.id, "{id:?} is not {:?}", live.id);
        assert!(
            text != "said by us" || ours.ids.contains(id),
            "{id:?} is not {:?}",
            ours.ids
        );
    }
    let position = |text| texts.iter().position(|other| *other == text);
    assert!(position("said while away") < position("back again"), "{texts:?}");
    again.stop().await;
}
