//! The homeserver's way in, over real HTTP.

use crate::support::{Stub, World, event, said};
use serde_json::json;
use viaduct_model::{Content, Message};

#[tokio::test]
async fn a_transaction_is_passed_on_in_order_and_only_then_acknowledged() {
    let world = World::start().await;
    *world.hub.slow.lock().unwrap() = Some(Vec::new());
    let body = json!({ "events": [said("!room1", "$1", "one"), said("!room2:old", "$2", "two"), said("!room1", "$3", "three")] });
    let push = world.push("t1", body.clone());
    tokio::pin!(push);
    let arrived = world.until(|world| {
        world
            .hub
            .slow
            .lock()
            .unwrap()
            .as_ref()
            .is_some_and(|waiting| waiting.len() == 2)
    });
    tokio::select! {
        _ = &mut push => panic!("acknowledged before it was stored"),
        () = arrived => {}
    }
    for ticket in world.hub.slow.lock().unwrap().take().unwrap() {
        ticket.send(()).unwrap();
    }
    assert_eq!(push.await, (200, json!({})));
    let seen: Vec<_> = world
        .hub
        .events
        .lock()
        .unwrap()
        .iter()
        .map(|e| (e.place.channel.to_string(), e.id.to_string()))
        .collect();
    let expected = [("!room1", "$1"), ("!room1", "$3"), ("!room2:old", "$2")];
    assert_eq!(seen, expected.map(|(room, id)| (room.to_owned(), id.to_owned())));
    let sender = world.hub.events.lock().unwrap().first().unwrap().sender.clone();
    assert_eq!(sender.name, "Name of @alice:example.org");
    // The same transaction again changes nothing.
    assert_eq!(world.push("t1", body).await.0, 200);
    assert_eq!(world.hub.events.lock().unwrap().len(), 3);
}

#[tokio::test]
async fn a_hub_that_cannot_store_does_not_acknowledge() {
    let world = World::start().await;
    *world.hub.slow.lock().unwrap() = Some(Vec::new());
    let push = world.push("t1", json!({ "events": [said("!room1", "$1", "one")] }));
    tokio::pin!(push);
    let arrived = world.until(|world| {
        world
            .hub
            .slow
            .lock()
            .unwrap()
            .as_ref()
            .is_some_and(|waiting| !waiting.is_empty())
    });
    tokio::select! {
        _ = &mut push => panic!("acknowledged before it was stored"),
        () = arrived => {}
    }
    drop(world.hub.slow.lock().unwrap().take());
    assert_eq!(push.await.0, 503);
    assert_eq!(
        world
            .push("t1", json!({ "events": [said("!room1", "$1", "one")] }))
            .await
            .0,
        200
    );
}

#[tokio::test]
async fn a_homeserver_is_told_when_its_transaction_cannot_be_stored_for_long() {
    let world = World::start().await;
    *world.hub.slow.lock().unwrap() = Some(Vec::new());
    let body = json!({ "events": [said("!room1", "$1", "one")] });
    let push = world.push("t1", body.clone());
    tokio::pin!(push);
    let waits = |world: &World| {
        world
            .hub
            .slow
            .lock()
            .unwrap()
            .as_ref()
            .is_some_and(|waiting| !waiting.is_empty())
    };
    tokio::select! {
        _ = &mut push => panic!("acknowledged before it was stored"),
        () = world.until(waits) => {}
    }
    tokio::time::pause();
    tokio::time::advance(std::time::Duration::from_secs(26)).await;
    tokio::time::resume();
    let (status, answer) = push.await;
    assert_eq!((status, answer["errcode"].as_str()), (503, Some("M_UNKNOWN")));
    // The disk has room again: what comes next is stored.
    for ticket in world.hub.slow.lock().unwrap().take().unwrap() {
        ticket.send(()).ok();
    }
    assert_eq!(world.push("t1", body).await.0, 200);
}

#[tokio::test]
async fn wrong_requests_get_the_right_errors() {
    let world = World::start().await;
    let path = "/_matrix/app/v1/transactions/x";
    let code = async |method: &str, path: &str, token: Option<&str>, body: &str| {
        let (status, answer) = world.request(method, path, token, body.to_owned()).await;
        (status, answer["errcode"].as_str().unwrap_or_default().to_owned())
    };
    let ok = Some("hs-secret");
    let is = |status: u16, code: &str| (status, code.to_owned());
    assert_eq!(code("PUT", path, None, "{}").await, is(401, "M_UNAUTHORIZED"));
    assert_eq!(code("PUT", path, Some("as-secret"), "{}").await, is(403, "M_FORBIDDEN"));
    assert_eq!(
        code("PUT", "/transactions/x?access_token=wrong", None, "{}").await,
        is(403, "M_FORBIDDEN")
    );
    assert_eq!(code("PUT", path, ok, "{").await, is(400, "M_NOT_JSON"));
    assert_eq!(code("PUT", path, ok, "{\"events\": 7}").await, is(400, "M_BAD_JSON"));
    assert_eq!(
        code("PUT", path, ok, &" ".repeat(300 * 1024)).await,
        is(413, "M_TOO_LARGE")
    );
    assert_eq!(code("GET", path, ok, "").await, is(405, "M_UNRECOGNIZED"));
    assert_eq!(
        code("GET", "/_matrix/app/v1/nothing", ok, "").await,
        is(404, "M_UNRECOGNIZED")
    );
    assert_eq!(
        code("GET", "/_matrix/app/v1/users/@_via_irc_eve:example.org", ok, "").await,
        is(404, "M_NOT_FOUND")
    );
    assert_eq!(
        code("GET", "/_matrix/app/v1/users/%40_via_irc_bob%3Aexample.org", ok, "").await,
        is(200, "")
    );
    assert_eq!(
        code("GET", "/_matrix/app/v1/rooms/%23x%3Aexample.org", ok, "").await,
        is(404, "M_NOT_FOUND")
    );
    assert_eq!(
        code("POST", "/_matrix/app/v1/ping", ok, "{\"transaction_id\":\"x\"}").await,
        is(200, "")
    );
    assert_eq!(
        code("PUT", "/transactions/y?access_token=hs-secret", None, "{}").await,
        is(200, "")
    );
}

#[tokio::test]
async fn hostile_events_spoil_no_others() {
    let world = World::start().await;
    let deep = format!("{}{}", "[".repeat(5000), "]".repeat(5000));
    let body = format!(
        r#"{{"events":[7,null,{{}},{{"type":"m.room.message"}},{deep},{},{},{}],"ephemeral":[1,{{"type":"m.typing","room_id":"!room1","content":{{"user_ids":5}}}}]}}"#,
        event(
            "!room1",
            "$0",
            "not a user id",
            "m.room.message",
            json!({ "msgtype": "m.text", "body": "x" })
        ),
        event(
            "!room1",
            &"$".repeat(5000),
            "@a:b",
            "m.room.message",
            json!({ "msgtype": "m.text", "body": "x" })
        ),
        said("!room1", "$1", "one"),
    );
    let (status, _) = world
        .request("PUT", "/_matrix/app/v1/transactions/t", Some("hs-secret"), body)
        .await;
    assert_eq!(
        (status, world.contents()),
        (200, vec![Content::Message(Message::plain("one"))])
    );
}

#[tokio::test]
async fn own_events_and_strange_rooms_are_not_passed_on() {
    let world = World::start().await;
    let text = json!({ "msgtype": "m.text", "body": "x" });
    let events = [
        event("!room1", "$1", "@viaduct:example.org", "m.room.message", text.clone()),
        event(
            "!room1",
            "$2",
            "@_via_irc_bob:example.org",
            "m.room.message",
            text.clone(),
        ),
        event("!elsewhere", "$3", "@alice:example.org", "m.room.message", text),
    ];
    assert_eq!(world.push("t", json!({ "events": events })).await.0, 200);
    assert!(world.contents().is_empty());
}

#[tokio::test]
async fn the_observer_is_told_before_the_acknowledgement() {
    let world = World::start().await;
    let member = |room: &str, id: &str, whom: &str, direct: bool| {
        let mut event = event(
            room,
            id,
            "@alice:example.org",
            "m.room.member",
            json!({ "membership": "invite", "is_direct": direct }),
        );
        event["state_key"] = whom.into();
        event
    };
    let mut tombstone = event(
        "!room1",
        "$t",
        "@alice:far.example",
        "m.room.tombstone",
        json!({ "replacement_room": "!room9" }),
    );
    tombstone["state_key"] = "".into();
    let events = json!({ "events": [
        member("!talk", "$i", "@viaduct:example.org", true),
        member("!dm", "$j", "@_via_irc_bob:example.org", true),
        said("!talk", "$c", "status please"),
        said("!room1", "$d", "!viaduct status"),
        said("!room1", "$e", "!viaducts are bridges"),
        tombstone,
    ]});
    assert_eq!(world.push("t", events.clone()).await.0, 200);
    let expected = [
        "invited !talk @viaduct:example.org @alice:example.org true",
        "invited !dm @_via_irc_bob:example.org @alice:example.org true",
        "command !talk @alice:example.org status please $c",
        "command !room1 @alice:example.org !viaduct status $d",
        "upgraded !room1 !room9",
    ];
    assert_eq!(*world.hub.told.lock().unwrap(), expected);
    // What is said to the bot does not cross.
    assert_eq!(
        world.contents(),
        [Content::Message(Message::plain("!viaducts are bridges"))]
    );
    assert_eq!(world.stub.requests("/join/!room9").len(), 1);
    // Its own people may talk to the bot; into other rooms nobody is drawn.
    assert_eq!(world.stub.requests("/join/!talk").len(), 1);
    assert!(world.stub.requests("/join/!dm").is_empty());
    // The same events in another transaction: commands are not done twice.
    assert_eq!(world.push("t2", events).await.0, 200);
    assert_eq!(
        world
            .hub
            .told
            .lock()
            .unwrap()
            .iter()
            .filter(|told| told.starts_with("command"))
            .count(),
        2
    );
}

#[tokio::test]
async fn typing_and_receipts_cross_under_either_name() {
    let world = World::start().await;
    let typing =
        |users: serde_json::Value| json!({ "type": "m.typing", "room_id": "!room1", "content": { "user_ids": users } });
    let (alice, ghost) = ("@alice:example.org", "@_via_irc_bob:example.org");
    assert_eq!(
        world
            .push("t1", json!({ "ephemeral": [typing(json!([alice, ghost]))] }))
            .await
            .0,
        200
    );
    assert_eq!(
        world
            .push("t2", json!({ "de.sorunome.msc2409.ephemeral": [typing(json!([]))] }))
            .await
            .0,
        200
    );
    let receipt = json!({ "type": "m.receipt", "room_id": "!room1", "content": {
        "$9": { "m.read": { alice: { "ts": 1 }, ghost: {} }, "m.read.private": { alice: {} } } } });
    assert_eq!(world.push("t3", json!({ "ephemeral": [receipt] })).await.0, 200);
    let target = viaduct_model::MessageId::new("$9").unwrap();
    let expected = [
        Content::Typing { active: true },
        Content::Typing { active: false },
        Content::Read { target },
    ];
    assert_eq!(world.contents(), expected);
}

#[tokio::test]
async fn transactions_are_known_after_a_restart() {
    let world = World::start().await;
    assert_eq!(
        world
            .push("t1", json!({ "events": [said("!room1", "$1", "one")] }))
            .await
            .0,
        200
    );
    world.stop.cancel();
    let World { stub, hub, running, .. } = world;
    running.await.unwrap().unwrap();
    let again = World::with(hub, Stub::start().await).await;
    assert_eq!(
        again
            .push("t1", json!({ "events": [said("!room1", "$1", "one")] }))
            .await
            .0,
        200
    );
    assert_eq!(again.hub.events.lock().unwrap().len(), 1);
    // A homeserver that was made anew counts from the beginning: that is no repetition.
    let body = json!({ "events": [said("!room1", "$2", "two")] });
    assert_eq!(again.push("t1", body).await.0, 200);
    assert_eq!(again.hub.events.lock().unwrap().len(), 2);
    drop(stub);
}
