//! Somebody on the homeserver who says something elsewhere, by a login of their own.

use serde_json::{Value, json};
use viaduct_bridge::{ProbeStatus, Session};
use viaduct_model::{Content, Message, NetworkName, Outbound, PersonId, Reaction};

use crate::delivery::{id, text};
use crate::support::{World, event, outbound};

const ALICE: &str = "@alice:example.org";
/// Who stands in for her.
const STAND_IN: &str = "@_via_irc_=40alice=3aexample.org:example.org";

/// Something that she said on IRC.
fn from_alice(number: &str, content: Content) -> Outbound {
    from("alice", number, content)
}

fn from(local: &str, number: &str, content: Content) -> Outbound {
    let mut out = outbound("!room1", local, number, content);
    out.author.person.network = NetworkName::matrix();
    out.author.person.id = PersonId::new(format!("@{local}:example.org")).unwrap();
    out
}

fn reaction() -> Reaction {
    Reaction {
        key: "👍".into(),
        image: None,
    }
}

/// What was sent into the room, as the homeserver gives it back.
fn coming_back(world: &World, part: &str, kind: &str) -> Value {
    let sent = world.stub.requests(part).pop().unwrap();
    event(
        "!room1",
        "$back",
        sent.user.as_deref().unwrap_or_default(),
        kind,
        sent.body,
    )
}

#[tokio::test]
async fn what_they_say_elsewhere_is_theirs_and_known_when_it_comes_back() {
    let world = World::speaking_for(ALICE).await;
    let key = from_alice("1", text("hi")).key;
    let edit = Content::Edit {
        target: id("$t"),
        message: Message::plain("ho"),
    };
    let react = Content::React {
        target: id("$t"),
        reaction: reaction(),
    };
    let delete = Content::Delete {
        target: id("$t"),
        reason: Some("wrong".into()),
    };
    for (number, (content, part, kind)) in [
        (text("hi"), "/send/m.room.message/", "m.room.message"),
        (edit, "/send/m.room.message/", "m.room.message"),
        (react, "/send/m.reaction/", "m.reaction"),
        (delete, "/redact/", "m.room.redaction"),
    ]
    .into_iter()
    .enumerate()
    {
        world.deliver(from_alice("1", content)).await.unwrap();
        let sent = world.stub.requests(part).pop().unwrap();
        assert_eq!(sent.user.as_deref(), Some(ALICE));
        let mut back = coming_back(&world, part, kind);
        back["redacts"] = json!("$t");
        let (status, _) = world.push(&number.to_string(), json!({ "events": [back] })).await;
        assert_eq!(status, 200);
        let told = world.hub.events.lock().unwrap().pop().unwrap();
        assert_eq!(told.echo_of.as_ref(), Some(&key), "{kind}");
    }
    assert!(
        world
            .stub
            .requests("/register")
            .iter()
            .all(|seen| seen.body["username"] == "viaduct")
    );
    assert!(
        world.stub.requests("/join/").is_empty(),
        "nobody is brought into a room"
    );
}

#[tokio::test]
async fn a_reaction_taken_back_elsewhere_is_their_own() {
    let world = World::speaking_for(ALICE).await;
    let chunk = json!({ "chunk": [
        { "event_id": "$r1", "sender": "@viaduct:example.org", "content": { "m.relates_to": { "key": "👍" } } },
        { "event_id": "$r2", "sender": ALICE, "content": { "m.relates_to": { "key": "👍" } } },
    ]});
    world.stub.script("/relations/", 200, chunk);
    let unreact = Content::Unreact {
        target: id("$t"),
        reaction: reaction(),
    };
    world.deliver(from_alice("1", unreact)).await.unwrap();
    assert_eq!(world.stub.requests("/redact/$r2/")[0].user.as_deref(), Some(ALICE));
}

#[tokio::test]
async fn a_ghost_stands_in_where_they_may_not_be_spoken_for() {
    // Not in the room, or the homeserver refuses: she is not brought there.
    let world = World::speaking_for(ALICE).await;
    world.stub.script(
        "/send/m.room.message/",
        403,
        json!({ "errcode": "M_FORBIDDEN", "error": "cannot masquerade" }),
    );
    world.deliver(from_alice("1", text("hi"))).await.unwrap();
    // Nobody else is spoken for, and neither are the bot or a ghost.
    for other in ["carol", "viaduct", "_via_irc_bob"] {
        world.deliver(from(other, "2", text("hi"))).await.unwrap();
    }
    let sent = world.stub.requests("/send/m.room.message/");
    let users: Vec<_> = sent.iter().map(|seen| seen.user.clone().unwrap()).collect();
    assert_eq!(
        users[..3],
        [ALICE, STAND_IN, "@_via_irc_=40carol=3aexample.org:example.org"]
    );
    assert!(
        users[3..].iter().all(|user| user.starts_with("@_via_irc_=40")),
        "{users:?}"
    );
    assert!(sent[1].body.get("de.viaduct.delivery").is_none());
    // By default nobody is.
    let world = World::start().await;
    world.deliver(from_alice("1", text("hi"))).await.unwrap();
    assert_eq!(world.stub.requests("/send/")[0].user.as_deref(), Some(STAND_IN));
}

#[tokio::test]
async fn a_copied_marker_is_no_echo_and_an_echo_no_command() {
    let world = World::speaking_for(ALICE).await;
    world.deliver(from_alice("1", text("!viaduct status"))).await.unwrap();
    let back = coming_back(&world, "/send/", "m.room.message");
    // Forwarded: by somebody else, or into another room.
    let mut by_another = back.clone();
    by_another["sender"] = json!("@carol:example.org");
    by_another["content"]["body"] = json!("forwarded");
    let mut elsewhere = back.clone();
    elsewhere["room_id"] = json!("!room2");
    elsewhere["content"]["body"] = json!("forwarded");
    world
        .push("1", json!({ "events": [back, by_another, elsewhere] }))
        .await;
    let echoes: Vec<_> = world
        .hub
        .events
        .lock()
        .unwrap()
        .iter()
        .map(|event| event.echo_of.is_some())
        .collect();
    assert_eq!(echoes, [true, false, false]);
    assert!(world.hub.told.lock().unwrap().is_empty(), "nothing was commanded");
}

#[tokio::test]
async fn the_doctor_sees_that_the_registration_in_use_lacks_them() {
    let world = World::speaking_for(ALICE).await;
    let speaking = async || {
        let probes = world.homeserver.probe().await;
        probes.into_iter().find(|probe| probe.subject == "speak_for").unwrap()
    };
    assert_eq!(speaking().await.status, ProbeStatus::Ok);
    // Asked about the bot, a ghost, and her.
    for _ in 0..2 {
        world
            .stub
            .script("/whoami", 200, json!({ "user_id": "@viaduct:example.org" }));
    }
    let refusal = json!({ "errcode": "M_FORBIDDEN", "error": "Application service cannot masquerade as this user" });
    world.stub.script("/whoami", 403, refusal);
    let told = speaking().await;
    assert_eq!(told.status, ProbeStatus::Error);
    assert!(
        told.finding.contains(ALICE) && told.fix.contains("viaduct registration"),
        "{told:?}"
    );
}
