//! What one partner's credentials are good for elsewhere on the same server: nothing.

use std::sync::Arc;

use serde_json::{Value, json};
use viaduct_bridge::Connection;

use crate::common::Server;
use crate::common::ejabberd::Ejabberd;
use crate::common::hub::{Hub, Memory, text_of};
use crate::common::person::Person;
use crate::common::prosody::{Prosody, secret_of};
use crate::support::{ROOM, configure, text};

const LAB: &str = "lab@conference.localhost";

/// The section of whoever has the secret of `others.localhost`, and uses it as this component.
fn stolen(server: &dyn Server, domain: &str) -> Value {
    json!({
        "component": {"port": server.port(domain), "domain": domain, "secret": secret_of("others.localhost")},
        "muc_services": ["conference.localhost"],
        "timeouts": {"reflection": 10, "request": 10},
    })
}

fn heard(hub: &Hub) -> Vec<String> {
    hub.memory.events.lock().unwrap().iter().filter_map(text_of).collect()
}

/// One partner's room is for its members; another partner has a component and a room of their own on the same server.
async fn each_for_themselves_on(server: &dyn Server) {
    let mut bob = Person::join(server, ROOM, "bob", "Bob").await;
    configure(&mut bob, &[("muc#roomconfig_membersonly", "1")]).await;
    let member = "<query xmlns='http://jabber.org/protocol/muc#admin'>\
        <item jid='viaduct@bridge.localhost' affiliation='owner'/></query>";
    assert!(bob.ask("set", member).await.contains("type='result'"));
    let ours = Hub::start(server, ROOM, &Arc::new(Memory::default()), json!({}));
    ours.until_up(1).await;

    // The other's secret is good: in the room that is theirs. With it the closed room neither takes nor tells anything.
    let thief = Hub::start_in_with(
        &[LAB, ROOM],
        &Arc::new(Memory::default()),
        stolen(server, "others.localhost"),
    );
    let mut home = thief.outbound("Mallory", "$1", text("at home"));
    home.to.channel = LAB.parse().unwrap();
    thief
        .until("the room stays closed", |memory| {
            let reports = memory.reports.lock().unwrap();
            let closed = |channel: &Option<viaduct_model::ChannelId>, why: &str| {
                channel.as_ref().is_some_and(|channel| channel.as_str() == ROOM) && why.contains("members only")
            };
            let told = reports
                .iter()
                .any(|(channel, state)| matches!(state, Connection::Down(why) if closed(channel, why)));
            told.then_some(())
        })
        .await;
    thief.until_up(1).await;
    thief.try_deliver(home).await.unwrap();
    let smuggled = thief
        .try_deliver(thief.outbound("Mallory", "$2", text("smuggled")))
        .await;
    assert!(smuggled.is_err(), "{smuggled:?}");

    // Nor does it open the first partner's own connection.
    let forged = Hub::start_with(ROOM, &Arc::new(Memory::default()), stolen(server, "bridge.localhost"));
    forged
        .until("the refusal", |memory| {
            let reports = memory.reports.lock().unwrap();
            let refused = reports
                .iter()
                .any(|(_, state)| matches!(state, Connection::AuthLost(_)));
            refused.then_some(())
        })
        .await;
    let forgery = forged
        .try_deliver(forged.outbound("Mallory", "$3", text("forged")))
        .await;
    assert!(forgery.is_err(), "{forgery:?}");

    bob.say("m1", "<body>among ourselves</body>").await;
    ours.message("among ourselves").await;
    ours.deliver("Ada", "$4", text("and back")).await;
    let last = bob
        .until("our own", |xml| {
            assert!(!xml.contains("smuggled") && !xml.contains("forged"), "{xml}");
            xml.contains("and back")
        })
        .await;
    assert!(!last.contains("others.localhost"), "{last}");
    for outsider in [&thief, &forged] {
        let heard = heard(outsider);
        assert!(
            !heard
                .iter()
                .any(|text| text.contains("ourselves") || text.contains("back")),
            "{heard:?}"
        );
    }
    thief.stop().await;
    ours.stop().await;
    forged.kill().await;
}

#[tokio::test]
async fn s40_one_components_secret_neither_speaks_nor_listens_for_another_on_prosody() {
    let Some(server) = Prosody::start().await else { return };
    each_for_themselves_on(&server).await;
}

#[tokio::test]
async fn s40_one_components_secret_neither_speaks_nor_listens_for_another_on_ejabberd() {
    let Some(server) = Ejabberd::start().await else { return };
    each_for_themselves_on(&server).await;
}
