//! Channels that are mirrored no longer are left, by a reload and with a partnership, and the network's session stays.
#![allow(missing_docs, clippy::unwrap_used, reason = "tests")]

mod common;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use common::partner::{TODAY, audit, partnered, two};
use common::{FakeSide, Script, TestClock, place, settings, start, start_with, until};
use viaduct_audit::{Action, Reader};
use viaduct_bridge::{DeliveryError, Failure};
use viaduct_engine::{MirrorSpec, Settings};
use viaduct_governance::{Certificate, PartnerName};
use viaduct_model::{Content, Membership, MirrorName, NetworkName, PersonId};
use viaduct_store::{MemoryStore, Store};

/// Like `m`, of the channel `d`.
fn second(wanted: &Settings) -> MirrorSpec {
    let mut mirror = wanted.mirrors[0].clone();
    mirror.name = MirrorName::new("n").unwrap();
    "other".clone_into(&mut mirror.room.room);
    for member in &mut mirror.members {
        member.place = place(member.place.network.as_str(), "d");
    }
    mirror
}

fn runs(sides: &[Arc<FakeSide>]) -> Vec<u32> {
    sides.iter().map(|side| *side.runs.lock().unwrap()).collect()
}

fn left(sides: &[Arc<FakeSide>]) -> Vec<String> {
    sides.iter().map(|side| side.left.lock().unwrap().join(" ")).collect()
}

/// What the ledger says of channels.
fn said(folder: &Path) -> Vec<String> {
    let reader = Reader::open(&audit(folder).folder, &audit(folder).signer.verifier()).unwrap();
    let entries = reader.map(|record| record.unwrap().entry);
    let of_channels = entries.filter(|entry| entry.action == Action::Configured && entry.mirror.is_some());
    of_channels.filter_map(|entry| entry.reason).collect()
}

#[tokio::test(start_paused = true)]
async fn s10_what_a_reload_takes_out_is_left_and_nobody_is_reconnected() {
    let mut wanted = settings(&two());
    let other = second(&wanted);
    wanted.mirrors.push(other.clone());
    let hub = start(Arc::new(MemoryStore::new()), two(), wanted.clone()).await;
    until(|| runs(&hub.sides) == [1, 1]).await;
    hub.sides[0].push(vec![hub.sides[0].message("c", "before")]).await;
    assert_eq!(hub.sides[1].wait_for(1).await, ["before"]);

    // A whole mirror, and then a single membership of another.
    wanted.mirrors.pop();
    hub.engine.reload(wanted.clone()).await.unwrap();
    assert_eq!(left(&hub.sides), ["d", "d"]);
    let gone = wanted.mirrors[0].members.pop().unwrap();
    hub.engine.reload(wanted.clone()).await.unwrap();
    assert_eq!(left(&hub.sides), ["d", "d c"]);
    assert_eq!(runs(&hub.sides), [1, 1], "everybody stayed connected");
    hub.sides[0].push(vec![hub.sides[0].message("c", "a")]).await;
    assert_eq!(hub.home.wait_for(2).await, ["before", "a"], "and works");

    // What comes back is entered by a new session, once the one before has ended.
    wanted.mirrors[0].members.push(gone);
    hub.engine.reload(wanted.clone()).await.unwrap();
    until(|| runs(&hub.sides) == [1, 2]).await;
    assert_eq!(hub.sides[1].context().channels.len(), 1);
    hub.engine.reload(wanted).await.unwrap();
    // What was said without it is not for it.
    hub.sides[0].push(vec![hub.sides[0].message("c", "after")]).await;
    assert_eq!(hub.sides[1].wait_for(2).await, ["before", "after"]);
    assert_eq!((runs(&hub.sides), left(&hub.sides)[1].as_str()), (vec![1, 2], "d c"));
}

/// Who left a place, by where they are from.
fn gone(side: &FakeSide) -> Vec<String> {
    let name = |outbound: &viaduct_model::Outbound| match &outbound.content {
        Content::Membership {
            person,
            change: Membership::Leave,
            ..
        } => Some(format!("{}/{}", person.network, person.id)),
        _ => None,
    };
    let mut gone: Vec<String> = side.delivered.lock().unwrap().iter().filter_map(name).collect();
    gone.sort();
    gone.dedup();
    gone
}

/// Ann speaks on each side, and Bob, who says nothing, comes in on the right one.
async fn people(hub: &common::Hub) {
    let right = &hub.sides[1];
    let mut join = right.message("c", "join");
    join.sender.id = PersonId::new("bob").unwrap();
    join.content = Content::Membership {
        person: join.sender.clone(),
        change: Membership::Join,
        reason: None,
    };
    right.push(vec![join, right.message("c", "b")]).await;
    hub.sides[0].push(vec![hub.sides[0].message("c", "a")]).await;
    hub.home.wait_for(3).await;
    hub.sides[0].wait_for(2).await;
    hub.sides[1].wait_for(1).await;
    // The lanes' last marks, and who came, are written in the background.
    tokio::time::sleep(Duration::from_secs(5)).await;
}

#[tokio::test(start_paused = true)]
async fn ghosts_and_puppets_of_a_channel_that_is_taken_out_leave_and_all_others_stay() {
    let mut wanted = settings(&two());
    let hub = start(Arc::new(MemoryStore::new()), two(), wanted.clone()).await;
    until(|| runs(&hub.sides) == [1, 1]).await;
    people(&hub).await;
    // The homeserver is away for a moment: they leave later.
    hub.home.told(Script::Fail(DeliveryError::retry("away")));
    let member = wanted.mirrors[0].members.pop().unwrap();
    hub.engine.reload(wanted.clone()).await.unwrap();
    assert_eq!(left(&hub.sides), ["", "c"]);
    tokio::time::sleep(Duration::from_mins(2)).await;
    let both = ["right/ann", "right/bob"];
    assert_eq!(
        (gone(&hub.home), gone(&hub.sides[0])),
        (both.map(str::to_owned).to_vec(), both.map(str::to_owned).to_vec())
    );
    assert!(gone(&hub.sides[1]).is_empty(), "the session itself has left there");
    // Nothing is left to be cleared.
    let before = hub.home.texts();
    tokio::time::sleep(Duration::from_mins(5)).await;
    assert_eq!(hub.home.texts(), before);
    // And it is a channel like any other when it comes back.
    wanted.mirrors[0].members.push(member);
    hub.engine.reload(wanted).await.unwrap();
    until(|| runs(&hub.sides) == [1, 2]).await;
    tokio::time::sleep(Duration::from_mins(5)).await;
    assert_eq!(hub.home.texts(), before);
}

#[tokio::test(start_paused = true)]
async fn ghosts_leave_also_when_their_mirror_was_taken_out_while_the_hub_was_away() {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let mut wanted = settings(&two());
    let hub = start(store.clone(), two(), wanted.clone()).await;
    until(|| runs(&hub.sides) == [1, 1]).await;
    people(&hub).await;
    drop(hub);
    wanted.mirrors.clear();
    let hub = start(store, two(), wanted).await;
    until(|| gone(&hub.home).len() == 3).await;
    assert_eq!(gone(&hub.home), ["left/ann", "right/ann", "right/bob"]);
    assert!(
        hub.home
            .delivered
            .lock()
            .unwrap()
            .iter()
            .all(|out| out.to.channel.as_str() == "!room")
    );
}

#[tokio::test(start_paused = true)]
async fn a_channel_that_moves_to_another_room_takes_its_people_out_of_the_first() {
    let mut wanted = settings(&two());
    let hub = start(Arc::new(MemoryStore::new()), two(), wanted.clone()).await;
    until(|| runs(&hub.sides) == [1, 1]).await;
    people(&hub).await;
    let mut other = second(&wanted);
    other.members = vec![wanted.mirrors[0].members.pop().unwrap()];
    wanted.mirrors.push(other);
    hub.engine.reload(wanted).await.unwrap();
    until(|| gone(&hub.home).len() == 2).await;
    assert!(
        hub.home
            .delivered
            .lock()
            .unwrap()
            .iter()
            .all(|out| out.to.channel.as_str() == "!room")
    );
    assert_eq!(left(&hub.sides), ["", ""], "nobody left the channel itself");
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_left_now_is_left_later_also_by_another_run() {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let mut wanted = settings(&two());
    let other = second(&wanted);
    wanted.mirrors.push(other);
    let hub = start(store.clone(), two(), wanted.clone()).await;
    until(|| runs(&hub.sides) == [1, 1]).await;
    *hub.sides[0].stuck.lock().unwrap() = Some(DeliveryError::retry("not connected"));
    *hub.sides[1].stuck.lock().unwrap() = Some(DeliveryError::new(Failure::Unsupported, "not from here"));
    wanted.mirrors.pop();
    hub.engine.reload(wanted.clone()).await.unwrap();
    // Whoever is still in it begins anew without it.
    until(|| runs(&hub.sides) == [2, 2]).await;
    assert_eq!(hub.sides[0].context().channels.len(), 1);
    *hub.sides[0].stuck.lock().unwrap() = None;
    tokio::time::sleep(Duration::from_mins(2)).await;
    assert_eq!(left(&hub.sides)[0], "d");

    // Taken out while the hub was away.
    drop(hub);
    wanted.mirrors[0].members.pop();
    let hub = start(store, two(), wanted).await;
    tokio::time::sleep(Duration::from_mins(2)).await;
    assert_eq!(left(&hub.sides), ["", "c"]);
}

#[tokio::test(start_paused = true)]
async fn s44_a_partners_channels_are_left_and_the_certificate_says_so() {
    for stuck in [None, Some("the app must be removed by the partner")] {
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(TestClock::default());
        clock.0.store(TODAY, Ordering::SeqCst);
        let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
        let wanted = partnered();
        let hub = start_with(store, two(), wanted.clone(), Some(audit(folder.path())), clock).await;
        until(|| runs(&hub.sides) == [1, 1]).await;
        *hub.sides[1].stuck.lock().unwrap() = stuck.map(|why| DeliveryError::new(Failure::Unsupported, why));
        let acme = PartnerName::new("acme").unwrap();
        let certificate = hub.engine.offboard(&acme, "@boss:hs").await.unwrap();
        let text = Certificate::check(&certificate.english, &audit(folder.path()).signer.verifier())
            .unwrap()
            .to_owned();
        match stuck {
            None => {
                assert_eq!(left(&hub.sides), ["", "c"]);
                assert!(text.contains("\nLeft: right/c\n"), "{text}");
            }
            Some(why) => assert!(text.contains(&format!("\nNot left: right/c ({why})\n")), "{text}"),
        }
        assert_eq!(runs(&hub.sides)[0], 1, "the others do not notice");
        hub.engine.reload(wanted).await.unwrap();
        assert_eq!(runs(&hub.sides), [1, 1], "what was wound up is not entered again");
        hub.engine.stop().await.unwrap();
        let expected = match stuck {
            None => "right/c was left".to_owned(),
            Some(why) => format!("right/c could not be left: {why}"),
        };
        assert_eq!(said(folder.path()), [expected]);
    }
}

#[tokio::test(start_paused = true)]
async fn s22_a_hub_without_networks_starts_and_stops() {
    let hub = start(Arc::new(MemoryStore::new()), Vec::new(), Settings::default()).await;
    let names: Vec<_> = hub
        .engine
        .status()
        .await
        .networks
        .into_iter()
        .map(|network| network.name)
        .collect();
    assert_eq!(names, [NetworkName::MATRIX], "the homeserver alone");
    hub.home.push(vec![hub.home.message("!elsewhere", "$1")]).await;
    hub.engine.stop().await.unwrap();
    assert!(hub.home.texts().is_empty());
}
