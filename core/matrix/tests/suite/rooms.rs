//! Rooms, their state, what the bot says, and what the doctor asks.

use serde_json::json;
use viaduct_bridge::{Failure, Feedback, Outcome, Session};
use viaduct_matrix::{BridgeInfo, RoomSpec};
use viaduct_model::{ChannelId, Content, Document, Message, NetworkName, Role};

use crate::delivery::{id, text};
use crate::support::{World, cleared, outbound, person};

#[tokio::test]
async fn the_bot_sets_what_the_channel_is_like() {
    let world = World::start().await;
    let send = async |content: Content| world.deliver(outbound("!room1", "bob", "1", content)).await.unwrap();
    send(Content::Topic { topic: "new".into() }).await;
    send(Content::Pins { pinned: vec![id("$a")] }).await;
    world.stub.script(
        "/state/m.room.power_levels",
        200,
        json!({ "users": { "@viaduct:example.org": 100 } }),
    );
    send(Content::Role {
        person: person("bob"),
        role: Role::Moderator,
    })
    .await;
    let set: Vec<_> = world
        .stub
        .requests("/state/")
        .into_iter()
        .filter(|seen| seen.method == "PUT")
        .collect();
    assert!(set.iter().all(|seen| seen.user.is_none()));
    assert_eq!(set[0].body, json!({ "topic": "new" }));
    assert_eq!(set[1].body, json!({ "pinned": ["$a"] }));
    assert_eq!(set[2].body["users"]["@_via_irc_bob:example.org"], 50);
    // What is only for the moment makes no ghost.
    send(Content::Typing { active: true }).await;
    assert!(world.stub.requests("/typing/").is_empty() && world.stub.requests("/join/").is_empty());
    send(text("hi")).await;
    send(Content::Typing { active: true }).await;
    send(Content::Read { target: id("$a") }).await;
    assert_eq!(
        (
            world.stub.requests("/typing/").len(),
            world.stub.requests("/receipt/m.read/$a").len()
        ),
        (1, 1)
    );
}

#[tokio::test]
async fn a_rooms_label_is_read_and_its_changes_told() {
    let world = World::start().await;
    let path = "/rooms/!room1/state/eu.viaduct.label";
    world.stub.script(path, 200, json!({ "label": "internal" }));
    assert_eq!(
        world.homeserver.label("!room1").await.unwrap().as_deref(),
        Some("internal")
    );
    world.stub.script(path, 404, json!({ "errcode": "M_NOT_FOUND" }));
    assert_eq!(world.homeserver.label("!room1").await.unwrap(), None);
    world.stub.script(path, 403, json!({ "errcode": "M_FORBIDDEN" }));
    assert_eq!(
        world.homeserver.label("!room1").await.unwrap_err().failure,
        Failure::Permanent
    );
    let set = |id: &str, room: &str, key: &str, content: serde_json::Value| {
        json!({ "type": "eu.viaduct.label", "room_id": room, "event_id": id, "state_key": key,
            "sender": "@alice:example.org", "origin_server_ts": 1, "content": content })
    };
    let events = json!({ "events": [
        set("$1", "!room1", "", json!({ "label": "VS-NfD" })),
        set("$2", "!room1", "", json!({ "label": ["public"] })),
        set("$3", "!room1", "", json!({})),
        set("$4", "!room1", "other", json!({ "label": "public" })),
        set("$5", "!elsewhere", "", json!({ "label": "public" })),
    ]});
    assert_eq!(world.push("t", events).await.0, 200);
    let told = [
        "labelled !room1 Some(\"VS-NfD\")",
        "labelled !room1 Some(\"unreadable\")",
        "labelled !room1 None",
    ];
    assert_eq!(*world.hub.told.lock().unwrap(), told);
    assert!(world.contents().is_empty(), "a label itself does not cross");
}

#[tokio::test]
async fn a_room_is_made_once_even_across_a_crash() {
    let world = World::start().await;
    let spec = RoomSpec {
        room: "#team:example.org".into(),
        create: true,
        name: Some("Team".into()),
        ..RoomSpec::default()
    };
    let room = world.homeserver.ensure_room(&spec).await.unwrap();
    assert_eq!(world.homeserver.ensure_room(&spec).await.unwrap(), room);
    let made = world.stub.requests("/createRoom");
    assert_eq!((made.len(), made[0].body["name"].as_str()), (1, Some("Team")));
    // A crash between making it and remembering it: it is found by its mark.
    let other = RoomSpec {
        room: "#other:example.org".into(),
        create: true,
        ..RoomSpec::default()
    };
    let made = world.homeserver.ensure_room(&other).await.unwrap();
    world
        .hub
        .memory
        .lock()
        .unwrap()
        .insert("room/#other:example.org".into(), b"begun".to_vec());
    world
        .stub
        .script("/directory/room/#other", 404, json!({ "errcode": "M_NOT_FOUND" }));
    assert_eq!(world.homeserver.ensure_room(&other).await.unwrap(), made);
    assert_eq!(world.stub.requests("/createRoom").len(), 2);
    // One that is not to be made is not made.
    let missing = RoomSpec {
        room: "#missing:example.org".into(),
        ..RoomSpec::default()
    };
    assert_eq!(
        world.homeserver.ensure_room(&missing).await.unwrap_err().failure,
        Failure::Permanent
    );
}

#[tokio::test]
async fn announcements_are_made_when_they_change() {
    let world = World::start().await;
    let info = |channel: &str| BridgeInfo {
        network: NetworkName::new("irc").unwrap(),
        protocol: "irc".into(),
        channel: ChannelId::new(channel).unwrap(),
        channel_name: channel.into(),
        url: None,
    };
    world
        .homeserver
        .announce("!room1", &[info("#a"), info("#b")])
        .await
        .unwrap();
    assert_eq!(world.stub.requests("/state/m.bridge/").len(), 2);
    assert_eq!(world.stub.requests("/state/uk.half-shot.bridge/").len(), 2);
    world
        .homeserver
        .announce("!room1", &[info("#a"), info("#b")])
        .await
        .unwrap();
    assert_eq!(world.stub.requests("/state/m.bridge/").len(), 2);
    world.homeserver.announce("!room1", &[info("#a")]).await.unwrap();
    let removed = world.stub.requests("/state/m.bridge/").pop().unwrap();
    assert_eq!(
        (world.stub.requests("/state/m.bridge/").len(), removed.body),
        (3, json!({}))
    );
}

#[tokio::test]
async fn direct_rooms_are_made_by_the_ghost_and_told_in_by_it() {
    let world = World::start().await;
    let room = world
        .homeserver
        .direct_room(&person("bob"), "@alice:example.org")
        .await
        .unwrap();
    assert_eq!(
        world
            .homeserver
            .direct_room(&person("bob"), "@alice:example.org")
            .await
            .unwrap(),
        room
    );
    let made = world.stub.requests("/createRoom");
    let ghost = Some("@_via_irc_bob:example.org".to_owned());
    assert_eq!((made.len(), &made[0].user), (1, &ghost));
    assert_eq!(
        (&made[0].body["is_direct"], &made[0].body["invite"]),
        (&json!(true), &json!(["@alice:example.org"]))
    );
    world.homeserver.notice(&room, "hello", Some("$x"), "k").await.unwrap();
    assert_eq!(world.stub.requests("/send/")[0].user, ghost);
    world.deliver(outbound(&room, "bob", "1", text("hi"))).await.unwrap();
    assert!(world.stub.requests("/join/").is_empty());
}

#[tokio::test]
async fn senders_are_told_once_and_never_what_they_wrote() {
    let world = World::start().await;
    let out = outbound(
        "!room1",
        "bob",
        "1",
        Content::Message(Message {
            body: Document::plain("x"),
            ..Message::default()
        }),
    );
    let feedback = |outcome| Feedback {
        place: out.to.clone(),
        id: id("$mine"),
        destination: out.from.clone(),
        outcome,
    };
    world
        .homeserver
        .feedback(feedback(Outcome::Refused("not allowed".into())))
        .await;
    let sent = world.stub.requests("/send/");
    let status = sent
        .iter()
        .find(|seen| seen.path.contains("message_send_status"))
        .unwrap();
    assert_eq!(
        (&status.body["status"], &status.body["m.relates_to"]["event_id"]),
        (&json!("FAIL_PERMANENT"), &json!("$mine"))
    );
    let notice = sent.iter().rfind(|seen| seen.path.contains("m.room.message")).unwrap();
    assert_eq!(notice.body["body"], "Not sent to irc/#team: not allowed");
    assert_eq!(notice.body["m.relates_to"]["m.in_reply_to"]["event_id"], "$mine");
    world
        .homeserver
        .feedback(feedback(Outcome::Refused("not allowed".into())))
        .await;
    let paths: Vec<_> = world
        .stub
        .requests("/send/m.room.message")
        .into_iter()
        .map(|seen| seen.path)
        .collect();
    assert_eq!(paths.iter().collect::<std::collections::BTreeSet<_>>().len(), 1);

    // What arrives after all is no longer shown as failed.
    world.homeserver.feedback(feedback(Outcome::Delivered)).await;
    let last = world.stub.requests("message_send_status").pop().unwrap();
    assert_eq!(
        (&last.body["status"], &last.body["m.relates_to"]["event_id"]),
        (&json!("SUCCESS"), &json!("$mine"))
    );
}

#[tokio::test]
async fn many_ghosts_are_made_side_by_side_once_each() {
    let world = World::start().await;
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..50 {
        for copy in 0..4 {
            let homeserver = world.homeserver.clone();
            let out = outbound("!room1", &format!("p{number}"), &format!("{number}/{copy}"), text("hi"));
            tasks.spawn(async move { homeserver.prepare(&cleared(out)).await });
        }
    }
    tasks.join_all().await;
    assert_eq!(
        world
            .stub
            .requests("/register")
            .iter()
            .filter(|seen| seen.body["username"] != "viaduct")
            .count(),
        50
    );
    assert_eq!(world.stub.requests("/join/").len(), 50);
    assert!(world.stub.requests("/send/").is_empty());
}

#[tokio::test]
async fn the_doctor_sees_what_is_wrong() {
    let world = World::start().await;
    let probes = world.homeserver.probe().await;
    let of = |subject: &str| probes.iter().find(|probe| probe.subject == subject).unwrap().clone();
    assert_eq!(
        of("as_token"),
        viaduct_bridge::Probe::ok("as_token", "accepted, we are @viaduct:example.org")
    );
    assert_eq!(of("homeserver → hub").status, viaduct_bridge::ProbeStatus::Ok);
    // A homeserver that does not know the token says so on every way.
    for path in ["/versions", "/whoami"] {
        world.stub.script(path, 401, json!({ "errcode": "M_UNKNOWN_TOKEN" }));
    }
    let probes = world.homeserver.probe().await;
    let token = probes.iter().find(|probe| probe.subject == "as_token").unwrap();
    assert!(token.status == viaduct_bridge::ProbeStatus::Error && !token.fix.is_empty());
}
