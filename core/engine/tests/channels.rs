//! How single channels stand, and what is pinned in them.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, reason = "a test")]

mod common;

use std::sync::Arc;

use common::{FakeSide, settings, start, until};
use viaduct_bridge::Connection;
use viaduct_model::{ChannelId, Content, Language, Lookup, MessageId, Support};
use viaduct_store::MemoryStore;

#[tokio::test(start_paused = true)]
async fn operators_are_told_once_of_each_change_of_a_channel() {
    for (language, fails, works) in [
        (Language::English, "does not work: the app was removed", "works again"),
        (
            Language::German,
            "funktioniert nicht: the app was removed",
            "funktioniert wieder",
        ),
    ] {
        let side = FakeSide::new("one", Lookup::Idempotent);
        let mut wanted = settings(std::slice::from_ref(&side));
        wanted.operators = Some(wanted.mirrors[0].room.clone());
        wanted.language = language;
        let hub = start(Arc::new(MemoryStore::new()), vec![side.clone()], wanted).await;
        let channel = ChannelId::new("c").unwrap();
        let report = |connection: Connection| side.context().inbox.report(Some(&channel), connection);
        let said = |text: &str| {
            let notices = hub.home.notices.lock().unwrap();
            notices.iter().filter(|notice| notice.contains(text)).count()
        };
        report(Connection::Up);
        for _ in 0..3 {
            report(Connection::AuthLost("the app was removed".to_owned()));
        }
        until(|| said(fails) > 0).await;
        report(Connection::Up);
        report(Connection::Up);
        until(|| said(works) > 0).await;
        report(Connection::AuthLost("the app was removed".to_owned()));
        until(|| said(fails) > 1).await;
        assert_eq!((said(fails), said(works)), (2, 1));
        assert!(said("one/c") > 0, "{:?}", hub.home.notices.lock().unwrap());
        hub.engine.stop().await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn operators_are_told_when_a_network_refuses_the_login_and_not_of_each_interruption() {
    let side = FakeSide::new("one", Lookup::Idempotent);
    let mut wanted = settings(std::slice::from_ref(&side));
    wanted.operators = Some(wanted.mirrors[0].room.clone());
    let hub = start(Arc::new(MemoryStore::new()), vec![side.clone()], wanted).await;
    let report = |connection: Connection| side.context().inbox.report(None, connection);
    let said = |text: &str| {
        let notices = hub.home.notices.lock().unwrap();
        notices.iter().filter(|notice| notice.contains(text)).count()
    };
    report(Connection::Down("the line is gone".to_owned()));
    report(Connection::AuthLost("the token was revoked".to_owned()));
    report(Connection::AuthLost("the token was revoked".to_owned()));
    until(|| said("does not accept the login: the token was revoked") > 0).await;
    report(Connection::Up);
    until(|| said("accepts the login again") > 0).await;
    assert_eq!((said("the line is gone"), said("the token was revoked")), (0, 1));
    hub.engine.stop().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn pins_cross_by_the_ids_of_their_destination() {
    let one = FakeSide::new("one", Lookup::Idempotent);
    let mut two = FakeSide::new("two", Lookup::Idempotent);
    Arc::get_mut(&mut two).unwrap().caps.pins = Support::Native;
    let sides = vec![one.clone(), two.clone()];
    let hub = start(Arc::new(MemoryStore::new()), sides.clone(), settings(&sides)).await;
    let id = |text: &str| MessageId::new(text).unwrap();
    let pins = |pinned: &[&str]| Content::Pins {
        pinned: pinned.iter().map(|text| id(text)).collect(),
    };
    // Pinned right behind the message, together with one that nobody knows, and one that came from there.
    two.push(vec![two.message("c", "theirs")]).await;
    one.wait_for(1).await;
    let theirs = id(&format!("one-{}", one.delivered.lock().unwrap()[0].key));
    let pinned = one.event("c", "p1", pins(&["ours", "stranger", theirs.as_str()]));
    one.push(vec![one.message("c", "ours"), pinned]).await;
    two.wait_for(2).await;
    let there = two.delivered.lock().unwrap().clone();
    let ours = id(&format!("two-{}", there[0].key));
    assert_eq!(
        there[1].content,
        Content::Pins {
            pinned: vec![ours, id("theirs")]
        }
    );
    one.push(vec![one.event("c", "p2", pins(&[]))]).await;
    two.wait_for(3).await;
    assert_eq!(two.delivered.lock().unwrap()[2].content, pins(&[]));
    hub.engine.stop().await.unwrap();
}
