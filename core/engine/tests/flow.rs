//! One event's way, with every fault on it, over a store in memory and sides made for the purpose.
#![allow(missing_docs, clippy::unwrap_used, reason = "tests")]

mod common;

use std::sync::Arc;

use common::{FakeSide, Script, place, settings, start, until};
use viaduct_bridge::{DeliveryError, Outcome};
use viaduct_compliance::{Policy, Rule};
use viaduct_engine::{Flow, NamedPolicy, Policies};
use viaduct_model::{Content, DeliveryKey, Lookup, Membership, Message, MessageId, Reaction};
use viaduct_store::{DeliveryFilter, DeliveryState, MemoryStore, Store};

fn store() -> Arc<dyn Store> {
    Arc::new(MemoryStore::new())
}

fn two() -> Vec<Arc<FakeSide>> {
    vec![
        FakeSide::new("left", Lookup::Queryable),
        FakeSide::new("right", Lookup::None),
    ]
}

fn id(value: &str) -> MessageId {
    MessageId::new(value).unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_message_from_any_side_reaches_all_others_once_and_in_order() {
    let hub = start(store(), two(), settings(&two())).await;
    let events: Vec<_> = (0..200).map(|n| hub.sides[0].message("c", &format!("m{n}"))).collect();
    let expected: Vec<_> = (0..200).map(|n| format!("m{n}")).collect();
    hub.sides[0].push(events.clone()).await;
    hub.sides[0].push(events).await;
    assert_eq!(hub.home.wait_for(200).await, expected);
    assert_eq!(hub.sides[1].wait_for(200).await, expected);
    assert_eq!(hub.home.delivered.lock().unwrap()[0].to, place("matrix", "!room"));
    // The homeserver's room is translated back.
    hub.home.push(vec![hub.home.message("!room", "$1")]).await;
    assert_eq!(hub.sides[0].wait_for(1).await, ["$1"]);
    assert_eq!(hub.sides[1].wait_for(201).await[200], "$1");
    hub.engine.stop().await.unwrap();
    assert_eq!(hub.home.texts().len(), 200, "nothing is sent back or twice");
}

#[tokio::test(start_paused = true)]
async fn transient_errors_and_panics_hold_only_their_own_destination_and_lose_nothing() {
    let hub = start(store(), two(), settings(&two())).await;
    for _ in 0..3 {
        hub.sides[1].told(Script::Fail(DeliveryError::retry("busy")));
    }
    hub.home.told(Script::Panic);
    hub.sides[0]
        .push(vec![hub.sides[0].message("c", "a"), hub.sides[0].message("c", "b")])
        .await;
    assert_eq!(hub.home.wait_for(2).await, ["a", "b"]);
    assert_eq!(hub.sides[1].wait_for(2).await, ["a", "b"]);
}

#[tokio::test(start_paused = true)]
async fn a_hanging_destination_delays_no_other() {
    let hub = start(store(), two(), settings(&two())).await;
    hub.sides[1].told(Script::Hang);
    hub.sides[0]
        .push(vec![hub.sides[0].message("c", "a"), hub.sides[0].message("c", "b")])
        .await;
    assert_eq!(hub.home.wait_for(2).await, ["a", "b"]);
    assert!(hub.sides[1].texts().is_empty());
    hub.engine.stop().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_permanent_failure_is_recorded_told_and_can_be_tried_again() {
    let hub = start(store(), two(), settings(&two())).await;
    hub.sides[1].told(Script::Fail(DeliveryError::permanent("banned")));
    hub.sides[0]
        .push(vec![hub.sides[0].message("c", "a"), hub.sides[0].message("c", "b")])
        .await;
    assert_eq!(hub.sides[1].wait_for(1).await, ["b"]);
    until(|| hub.sides[0].feedback.lock().unwrap().len() == 1).await;
    let told = hub.sides[0].feedback.lock().unwrap()[0].clone();
    assert_eq!((told.id, told.outcome), (id("a"), Outcome::Failed("banned".to_owned())));
    let records = hub.engine.deliveries(&DeliveryFilter::default()).await.unwrap();
    assert_eq!(records.len(), 1);
    assert_eq!(
        hub.engine.retry(&records[0].lane, records[0].seq).await.unwrap(),
        "delivered"
    );
    assert_eq!(hub.sides[1].texts(), ["b", "a"]);
    assert!(
        hub.engine
            .deliveries(&DeliveryFilter::default())
            .await
            .unwrap()
            .is_empty()
    );
}

#[tokio::test(start_paused = true)]
async fn an_unknown_outcome_is_looked_up_or_shown() {
    let hub = start(store(), two(), settings(&two())).await;
    hub.sides[0].told(Script::TakeThenUnknown);
    hub.sides[1].told(Script::TakeThenUnknown);
    hub.home
        .push(vec![hub.home.message("!room", "$1"), hub.home.message("!room", "$2")])
        .await;
    assert_eq!(hub.sides[0].wait_for(2).await, ["$1", "$2"]);
    assert_eq!(hub.sides[1].wait_for(2).await, ["$1", "$2"]);
    until(|| !hub.home.feedback.lock().unwrap().is_empty()).await;
    let told = hub.home.feedback.lock().unwrap().clone();
    assert_eq!(told.len(), 1, "the side that can be asked was asked");
    assert!(matches!(told[0].outcome, Outcome::Unknown(_)));
    // The echo that comes later settles it.
    let mut echo = hub.sides[1].message("c", "right-1");
    echo.echo_of = Some(DeliveryKey::derive(
        &place("matrix", "m"),
        &id("$1"),
        &place("right", "c"),
    ));
    hub.sides[1].push(vec![echo]).await;
    assert!(
        hub.engine
            .deliveries(&DeliveryFilter::default())
            .await
            .unwrap()
            .is_empty()
    );
    assert_eq!(hub.sides[0].texts().len(), 2, "an echo is not mirrored");
}

#[tokio::test(start_paused = true)]
async fn edits_answers_reactions_and_deletions_follow_their_target_everywhere() {
    let hub = start(store(), two(), settings(&two())).await;
    let left = &hub.sides[0];
    let reaction = Reaction {
        key: "👍".to_owned(),
        image: None,
    };
    left.push(vec![left.message("c", "a")]).await;
    left.push(vec![
        left.event(
            "c",
            "e",
            Content::Edit {
                target: id("a"),
                message: Message::plain("a2"),
            },
        ),
        left.event(
            "c",
            "r",
            Content::React {
                target: id("a"),
                reaction: reaction.clone(),
            },
        ),
        left.event(
            "c",
            "u",
            Content::Unreact {
                target: id("a"),
                reaction,
            },
        ),
        left.event(
            "c",
            "d",
            Content::Delete {
                target: id("a"),
                reason: None,
            },
        ),
    ])
    .await;
    for side in [&hub.home, &hub.sides[1]] {
        side.wait_for(5).await;
        let delivered = side.delivered.lock().unwrap();
        let first = format!("{}-{}", side.name, delivered[0].key);
        for outbound in &delivered[1..] {
            assert_eq!(outbound.content.target().map(MessageId::as_str), Some(first.as_str()));
        }
        let reacted = id(&format!("{}-{}", side.name, delivered[2].key));
        assert_eq!(delivered[3].parts, [reacted], "taking back names the reaction itself");
    }
}

#[tokio::test(start_paused = true)]
async fn a_policy_refuses_holds_and_tells_the_sender() {
    let mut wanted = settings(&two());
    let rule = |name: &str, sender: &str, action: &str| Rule {
        senders: vec![sender.to_owned()],
        ..serde_json::from_value(serde_json::json!({ "name": name, "action": action })).unwrap()
    };
    wanted.mirrors[0].members[1].policies = Policies {
        outward: Some(NamedPolicy {
            name: "no-ann".to_owned(),
            policy: Policy {
                rules: vec![rule("no-ann", "a*", "refuse")],
                ..Policy::default()
            },
        }),
        inward: None,
    };
    let hub = start(store(), two(), wanted).await;
    hub.sides[0].push(vec![hub.sides[0].message("c", "a")]).await;
    assert_eq!(hub.home.wait_for(1).await, ["a"]);
    until(|| !hub.sides[0].feedback.lock().unwrap().is_empty()).await;
    assert!(matches!(
        hub.sides[0].feedback.lock().unwrap()[0].outcome,
        Outcome::Refused(_)
    ));
    assert!(hub.sides[1].texts().is_empty());
    let records = hub.engine.deliveries(&DeliveryFilter::default()).await.unwrap();
    assert_eq!((records.len(), records[0].state), (1, DeliveryState::Refused));
    assert!(
        hub.engine.retry(&records[0].lane, records[0].seq).await.is_err(),
        "a refusal is not undone by trying again"
    );
}

#[tokio::test(start_paused = true)]
async fn directions_are_kept() {
    let mut wanted = settings(&two());
    wanted.mirrors[0].members[0].direction = Flow::In;
    wanted.mirrors[0].members[1].direction = Flow::Out;
    let hub = start(store(), two(), wanted).await;
    hub.sides[1].push(vec![hub.sides[1].message("c", "silent")]).await;
    hub.sides[0].push(vec![hub.sides[0].message("c", "a")]).await;
    hub.home.push(vec![hub.home.message("!room", "$1")]).await;
    assert_eq!(hub.sides[1].wait_for(2).await, ["a", "$1"]);
    assert_eq!(hub.home.wait_for(1).await, ["a"]);
    assert!(hub.sides[0].texts().is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_was_not_delivered_goes_on_after_a_restart_and_marks_what_nobody_knows() {
    let store = store();
    let hub = start(store.clone(), two(), settings(&two())).await;
    hub.sides[1].told(Script::Hang);
    hub.home.told(Script::Hang);
    hub.sides[0]
        .push((0..5).map(|n| hub.sides[0].message("c", &format!("m{n}"))).collect())
        .await;
    until(|| hub.sides[1].script.lock().unwrap().is_empty() && hub.home.script.lock().unwrap().is_empty()).await;
    // Killed: nothing is drained.
    drop(hub);
    let hub = start(store, two(), settings(&two())).await;
    assert_eq!(hub.home.wait_for(5).await, ["m0", "m1", "m2", "m3", "m4"]);
    let right = &hub.sides[1];
    // The first was begun, and the following one noted: nobody can ask this network, so both are shown as unknown.
    assert_eq!(right.wait_for(3).await, ["m2", "m3", "m4"]);
    until(|| hub.sides[0].feedback.lock().unwrap().len() == 2).await;
    let context = hub.sides[0].context();
    assert_eq!(
        context.inbox.cursor(&place("left", "c").channel).await.as_deref(),
        Some("after-m4")
    );
}

#[tokio::test(start_paused = true)]
async fn a_private_message_makes_its_room_and_answers_find_back() {
    let store = store();
    let hub = start(store.clone(), two(), settings(&two())).await;
    let mut private = hub.sides[0].message("ann+@bob:hs", "p1");
    private.direct_to = Some("@bob:hs".to_owned());
    hub.sides[0].push(vec![private]).await;
    assert_eq!(hub.home.wait_for(1).await, ["p1"]);
    assert_eq!(
        hub.home.delivered.lock().unwrap()[0].to,
        place("matrix", "!ann-@bob:hs")
    );
    hub.home.push(vec![hub.home.message("!ann-@bob:hs", "$1")]).await;
    assert_eq!(hub.sides[0].wait_for(1).await, ["$1"]);
    assert_eq!(
        hub.sides[0].delivered.lock().unwrap()[0].to,
        place("left", "ann+@bob:hs")
    );
    hub.engine.stop().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn members_come_beside_the_messages_and_unmirrored_channels_go_nowhere() {
    let hub = start(store(), two(), settings(&two())).await;
    let left = &hub.sides[0];
    let join = |n: usize| {
        let mut event = left.message("c", &format!("j{n}"));
        event.sender.id = viaduct_model::PersonId::new(format!("p{n}")).unwrap();
        event.content = Content::Membership {
            person: event.sender.clone(),
            change: Membership::Join,
            reason: None,
        };
        event
    };
    left.push((0..50).map(join).collect()).await;
    left.push(vec![left.message("other", "x"), left.message("c", "a")])
        .await;
    until(|| {
        hub.home
            .texts()
            .iter()
            .filter(|text| text.starts_with("membership"))
            .count()
            == 50
    })
    .await;
    assert_eq!(hub.home.texts().iter().filter(|text| *text == "a").count(), 1);
    assert!(!hub.home.texts().iter().any(|text| text == "x"));
}

#[tokio::test(start_paused = true)]
async fn a_reload_leaves_unaffected_networks_connected() {
    let hub = start(store(), two(), settings(&two())).await;
    let mut wanted = settings(&two());
    wanted.networks[1].section = serde_json::json!({ "changed": true });
    let before = (hub.sides[0].context().stop.clone(), hub.sides[1].context().stop.clone());
    hub.engine.reload(wanted).await.unwrap();
    assert!(!before.0.is_cancelled() && before.1.is_cancelled());
    hub.sides[0].push(vec![hub.sides[0].message("c", "a")]).await;
    assert_eq!(hub.sides[1].wait_for(1).await, ["a"]);
    assert_eq!(hub.home.wait_for(1).await, ["a"]);
}
