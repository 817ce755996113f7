//! Lost servers and seats, bans, and what doctor says.

use serde_json::json;
use viaduct_bridge::{Failure, Feedback, Outcome, Session};
use viaduct_model::{NetworkName, Place};

use crate::support::{scene, text};

#[tokio::test]
async fn the_server_may_die() {
    let Some((mut server, _bob, hub)) = scene(json!({})).await else {
        return;
    };
    hub.deliver("Alice", "$1", text("one")).await;
    server.kill().await;
    hub.until("noticing", |memory| {
        let reports = memory.reports.lock().unwrap();
        reports
            .iter()
            .any(|(channel, state)| channel.is_none() && matches!(state, viaduct_bridge::Connection::Down(_)))
            .then_some(())
    })
    .await;
    let error = hub
        .try_deliver(hub.outbound("Alice", "$2", text("two")))
        .await
        .unwrap_err();
    assert!(matches!(error.failure, Failure::Retry(_)), "{error:?}");
    server.resume().await;
    hub.until_up(2).await;
    hub.deliver("Alice", "$2", text("two")).await;
    hub.stop().await;
}

#[tokio::test]
async fn the_hub_comes_back_after_a_kick_and_misses_nothing() {
    let Some((_server, mut bob, hub)) = scene(json!({})).await else {
        return;
    };
    let kick = "<query xmlns='http://jabber.org/protocol/muc#admin'><item nick='viaduct' role='none'/></query>";
    assert!(bob.ask("set", kick).await.contains("type='result'"));
    bob.say("m", "<body>unheard?</body>").await;
    hub.message("unheard?").await;
    hub.until_up(2).await;
    hub.stop().await;
}

#[tokio::test]
async fn whoever_is_banned_stays_out() {
    let Some((_server, mut bob, hub)) = scene(json!({})).await else {
        return;
    };
    let jid = "alice\\3ahs.example@bridge.localhost";
    let ban = format!(
        "<query xmlns='http://jabber.org/protocol/muc#admin'><item jid='{jid}' affiliation='outcast'/></query>"
    );
    assert!(bob.ask("set", &ban).await.contains("type='result'"));
    let error = hub
        .try_deliver(hub.outbound("Alice", "$1", text("hi")))
        .await
        .unwrap_err();
    assert_eq!(error.failure, Failure::Permanent, "{error:?}");
    hub.deliver("Carol", "$2", text("hello")).await;
    hub.stop().await;
}

#[tokio::test]
async fn doctor_sees_what_is_there() {
    let Some((_server, _bob, hub)) = scene(json!({"upload_service": "nothing.localhost"})).await else {
        return;
    };
    let probes = hub.session.probe().await;
    let status = |subject: &str| {
        probes
            .iter()
            .find(|probe| probe.subject.starts_with(subject))
            .map(|probe| probe.status)
    };
    assert_eq!(status("component"), Some(viaduct_bridge::ProbeStatus::Ok));
    assert_eq!(status("tls"), Some(viaduct_bridge::ProbeStatus::Ok));
    assert_eq!(status("room service"), Some(viaduct_bridge::ProbeStatus::Ok));
    assert_eq!(status("upload service"), Some(viaduct_bridge::ProbeStatus::Error));
    assert_eq!(status("room project"), Some(viaduct_bridge::ProbeStatus::Ok));
    hub.stop().await;
}

#[tokio::test]
async fn whoever_said_what_did_not_arrive_is_told() {
    let Some((_server, mut bob, hub)) = scene(json!({})).await else {
        return;
    };
    bob.say("m1", "<body>the number is 4111 1111 1111 1111</body>").await;
    let event = hub.message("the number is 4111 1111 1111 1111").await;
    let feedback = |outcome: Outcome| Feedback {
        place: event.place.clone(),
        id: event.id.clone(),
        destination: Place::new(NetworkName::matrix(), "!room:hs".parse().unwrap()),
        outcome,
    };
    hub.session.feedback(feedback(Outcome::Delivered)).await;
    hub.session
        .feedback(feedback(Outcome::Refused("a card number".into())))
        .await;
    let told = bob.until("a private word", |xml| xml.contains("type='chat'")).await;
    assert!(told.contains("from='project@conference.localhost/viaduct'"), "{told}");
    assert!(
        told.contains("has not reached") && told.contains("a card number"),
        "{told}"
    );

    bob.whisper("alice\\3ahs.example@bridge.localhost", "m2", "<body>psst</body>")
        .await;
    let private = hub.message("psst").await;
    let feedback = Feedback {
        place: private.place,
        id: private.id,
        ..feedback(Outcome::Held("a second person decides".into()))
    };
    hub.session.feedback(feedback).await;
    let told = bob.until("a word", |xml| xml.contains("held back")).await;
    assert!(
        told.contains("from='alice\\3ahs.example@bridge.localhost/viaduct'"),
        "{told}"
    );
    hub.stop().await;
}
