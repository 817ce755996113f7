//! What is sent to the homeserver.

use std::time::Duration;

use crate::support::{Stub, World, outbound, person};
use serde_json::json;
use viaduct_bridge::{Failure, MediaError, Session};
use viaduct_matrix::RoomSpec;
use viaduct_model::{
    Attachment, AttachmentKind, Content, MediaRef, Membership, Message, MessageId, NetworkName, Reaction,
};

pub fn text(words: &str) -> Content {
    Content::Message(Message::plain(words))
}

pub fn id(text: &str) -> MessageId {
    MessageId::new(text).unwrap()
}

fn picture() -> Attachment {
    Attachment {
        media: MediaRef {
            network: NetworkName::new("irc").unwrap(),
            locator: "f1".into(),
        },
        name: "cat.png".into(),
        mime: None,
        size: None,
        kind: AttachmentKind::Image,
        dimensions: Some((3, 4)),
        duration: None,
        spoiler: false,
    }
}

#[tokio::test]
async fn a_new_ghost_takes_four_requests_and_a_known_one_takes_one() {
    let world = World::start().await;
    // Whether a room is encrypted is asked once a run: here, by somebody else's message.
    world
        .deliver(outbound("!room1", "carl", "0", text("hi")))
        .await
        .unwrap();
    let before = world.stub.seen.lock().unwrap().len();
    let receipt = world.deliver(outbound("!room1", "bob", "1", text("hi"))).await.unwrap();
    assert_eq!(receipt.ids, [id("$sent1")]);
    let seen = world.stub.seen.lock().unwrap().split_off(before);
    let ghost = "@_via_irc_bob:example.org";
    let paths: Vec<_> = seen.iter().map(|seen| seen.path.as_str()).collect();
    let key = outbound("!room1", "bob", "1", text("hi")).key.to_string();
    assert_eq!(
        paths,
        [
            "/_matrix/client/v3/register".to_owned(),
            format!("/_matrix/client/v3/profile/{ghost}/displayname"),
            "/_matrix/client/v3/join/!room1".to_owned(),
            format!("/_matrix/client/v3/rooms/!room1/send/m.room.message/{key}"),
        ]
    );
    assert_eq!(
        seen[0].body,
        json!({ "type": "m.login.application_service", "username": "_via_irc_bob", "inhibit_login": true })
    );
    assert_eq!(seen[1].body, json!({ "displayname": "bob (irc)" }));
    assert_eq!(
        (seen[3].user.as_deref(), seen[3].ts.as_deref()),
        (Some(ghost), Some("1700000000000"))
    );
    assert_eq!(
        seen[3].body,
        json!({ "msgtype": "m.text", "body": "hi", "m.mentions": {} })
    );
    // The same again: the same transaction, the same event.
    let again = world.deliver(outbound("!room1", "bob", "1", text("hi"))).await.unwrap();
    assert_eq!(again.ids, [id("$sent1")]);
    assert_eq!(world.stub.seen.lock().unwrap().len(), before + 1);
}

#[tokio::test]
async fn ghosts_are_remembered_and_renamed() {
    let world = World::start().await;
    world.deliver(outbound("!room1", "bob", "1", text("hi"))).await.unwrap();
    world.stop.cancel();
    let World { stub, hub, running, .. } = world;
    running.await.unwrap().unwrap();
    drop(stub);
    let again = World::with(hub, Stub::start().await).await;
    // This homeserver has forgotten that the ghost is in the room: it comes back by itself.
    let mut renamed = outbound("!room1", "bob", "2", text("hi"));
    renamed.author.person.name = "Robert".into();
    again.deliver(renamed).await.unwrap();
    assert_eq!(
        again
            .stub
            .requests("/register")
            .iter()
            .filter(|seen| seen.body["username"] != "viaduct")
            .count(),
        0
    );
    assert_eq!(
        again.stub.requests("/displayname")[0].body,
        json!({ "displayname": "Robert (irc)" })
    );
    assert_eq!(again.stub.requests("/join/").len(), 1);
    assert_eq!(again.stub.requests("/send/").len(), 2);
}

#[tokio::test]
async fn a_ghost_wears_its_persons_picture_and_changes_it() {
    let world = World::start().await;
    *world.hub.file.lock().unwrap() = Some(vec![9; 10]);
    let wears = async |number: &str, picture: &str| {
        let mut out = outbound("!room1", "bob", number, text("hi"));
        out.author.person.avatar = Some(MediaRef {
            network: NetworkName::new("irc").unwrap(),
            locator: picture.to_owned(),
        });
        world.deliver(out).await.unwrap();
        world.stub.requests("/avatar_url")
    };
    let set = wears("1", "one").await;
    assert_eq!(set[0].user.as_deref(), Some("@_via_irc_bob:example.org"));
    assert_eq!(set[0].body, json!({ "avatar_url": "mxc://example.org/up" }));
    assert_eq!(wears("2", "one").await.len(), 1, "the same is not set again");
    assert_eq!(wears("3", "two").await.len(), 2);
    assert_eq!(world.stub.files.lock().unwrap().len(), 2);
    // One that cannot be had keeps nobody from speaking.
    *world.hub.file.lock().unwrap() = None;
    assert_eq!(wears("4", "three").await.len(), 2);
    assert_eq!(world.stub.requests("/send/").len(), 4);
}

#[tokio::test]
async fn a_closed_room_is_entered_by_invitation() {
    let world = World::start().await;
    world.stub.closed.lock().unwrap().insert("!room1".into());
    world.deliver(outbound("!room1", "bob", "1", text("hi"))).await.unwrap();
    assert_eq!(
        world.stub.requests("/invite")[0].body,
        json!({ "user_id": "@_via_irc_bob:example.org" })
    );
}

#[tokio::test]
async fn every_refusal_has_its_class() {
    let world = World::start().await;
    let script = |status: u16, body: serde_json::Value| world.stub.script("/send/", status, body);
    let deliver = async || {
        world
            .deliver(outbound("!room1", "bob", "1", text("hi")))
            .await
            .unwrap_err()
            .failure
    };
    script(429, json!({ "errcode": "M_LIMIT_EXCEEDED", "retry_after_ms": 1234 }));
    assert_eq!(deliver().await, Failure::Retry(Some(Duration::from_millis(1234))));
    script(502, json!("<html>"));
    assert_eq!(deliver().await, Failure::Retry(None));
    script(401, json!({ "errcode": "M_UNKNOWN_TOKEN" }));
    assert_eq!(deliver().await, Failure::AuthLost);
    script(413, json!({ "errcode": "M_TOO_LARGE" }));
    assert_eq!(deliver().await, Failure::TooLarge);
    script(400, json!({ "errcode": "M_UNKNOWN" }));
    assert_eq!(deliver().await, Failure::Permanent);
    // Banned: neither the invitation nor the second attempt helps.
    script(403, json!({ "errcode": "M_FORBIDDEN" }));
    world.stub.script("/join/", 403, json!({ "errcode": "M_FORBIDDEN" }));
    world
        .stub
        .script("/join/", 403, json!({ "errcode": "M_FORBIDDEN", "error": "banned" }));
    assert_eq!(deliver().await, Failure::Permanent);
    // None of it did lasting harm.
    assert!(world.deliver(outbound("!room1", "bob", "1", text("hi"))).await.is_ok());
}

#[tokio::test]
async fn edits_reactions_and_deletions_are_sent() {
    let world = World::start().await;
    let send = async |content: Content| {
        let mut out = outbound("!room1", "bob", "1", content);
        out.parts = vec![id("$t"), id("$t2")];
        world.deliver(out).await.unwrap()
    };
    send(Content::Edit {
        target: id("$t"),
        message: Message::plain("new"),
    })
    .await;
    let edit = &world.stub.requests("/send/m.room.message/")[0].body;
    assert_eq!(edit["m.new_content"]["body"], "new");
    assert_eq!(
        (&edit["body"], &edit["m.relates_to"]),
        (&json!("* new"), &json!({ "rel_type": "m.replace", "event_id": "$t" }))
    );
    send(Content::React {
        target: id("$t"),
        reaction: Reaction {
            key: "👍".into(),
            image: None,
        },
    })
    .await;
    let react = &world.stub.requests("/send/m.reaction/")[0].body;
    assert_eq!(
        react["m.relates_to"],
        json!({ "rel_type": "m.annotation", "event_id": "$t", "key": "👍" })
    );
    world
        .stub
        .script("/send/m.reaction/", 400, json!({ "errcode": "M_DUPLICATE_ANNOTATION" }));
    assert!(
        send(Content::React {
            target: id("$t"),
            reaction: Reaction {
                key: "👍".into(),
                image: None
            }
        })
        .await
        .ids
        .is_empty()
    );
    send(Content::Delete {
        target: id("$t"),
        reason: Some("spam".into()),
    })
    .await;
    let redacted: Vec<_> = world
        .stub
        .requests("/redact/")
        .into_iter()
        .map(|seen| (seen.path, seen.body))
        .collect();
    assert_eq!(redacted.len(), 2);
    assert!(redacted[0].0.contains("/redact/$t/") && redacted[1].0.contains("/redact/$t2/"));
    assert_eq!(redacted[0].1, json!({ "reason": "spam" }));
    let chunk = json!({ "chunk": [
        { "event_id": "$r1", "sender": "@other:b", "content": { "m.relates_to": { "key": "👍" } } },
        { "event_id": "$r2", "sender": "@_via_irc_bob:example.org", "content": { "m.relates_to": { "key": "👍" } } },
    ]});
    world.stub.script("/relations/", 200, chunk);
    let unreact = |parts: Vec<MessageId>| {
        let reaction = Reaction {
            key: "👍".into(),
            image: None,
        };
        let target = id("$t");
        let mut out = outbound("!room1", "bob", "2", Content::Unreact { target, reaction });
        out.parts = parts;
        out
    };
    // The hub does not know the reaction's event any more: it is looked for.
    world.deliver(unreact(Vec::new())).await.unwrap();
    assert!(world.stub.requests("/redact/$r2/").len() == 1);
    world.deliver(unreact(vec![id("$r3")])).await.unwrap();
    assert!(world.stub.requests("/redact/$r3/").len() == 1);
}

#[tokio::test]
async fn a_moderators_deletion_is_done_by_the_bot() {
    let world = World::start().await;
    let bot = RoomSpec {
        room: "!room1".into(),
        ..RoomSpec::default()
    };
    world.homeserver.ensure_room(&bot).await.unwrap();
    world.stub.script("/redact/", 403, json!({ "errcode": "M_FORBIDDEN" }));
    world
        .deliver(outbound(
            "!room1",
            "bob",
            "1",
            Content::Delete {
                target: id("$t"),
                reason: None,
            },
        ))
        .await
        .unwrap();
    let users: Vec<_> = world
        .stub
        .requests("/redact/")
        .into_iter()
        .map(|seen| seen.user)
        .collect();
    assert_eq!(users, [Some("@_via_irc_bob:example.org".to_owned()), None]);
}

#[tokio::test]
async fn files_are_brought_to_the_homeserver() {
    let world = World::start().await;
    let message = |body: &str| Message {
        attachments: vec![picture()],
        ..Message::plain(body)
    };
    for size in [10, 700_000] {
        *world.hub.file.lock().unwrap() = Some(vec![9; size]);
        let mut with_other = message("my cat");
        with_other.attachments[0].media.locator = format!("f{size}");
        world
            .deliver(outbound(
                "!room1",
                "bob",
                &size.to_string(),
                Content::Message(with_other),
            ))
            .await
            .unwrap();
    }
    let sizes: Vec<_> = world.stub.files.lock().unwrap().iter().map(Vec::len).collect();
    assert_eq!(sizes, [10, 700_000]);
    let sent = &world.stub.requests("/send/")[0].body;
    assert_eq!(
        (&sent["body"], &sent["filename"], &sent["msgtype"]),
        (&json!("my cat"), &json!("cat.png"), &json!("m.image"))
    );
    assert_eq!(
        sent["info"],
        json!({ "size": 10, "mimetype": "image/png", "w": 3, "h": 4 })
    );
    assert_eq!(sent["url"], "mxc://example.org/up");
    // One that is too large is named and linked, with its caption.
    *world.hub.file.lock().unwrap() = Some(vec![9; 2 * 1024 * 1024]);
    let mut large = message("my cat");
    large.attachments[0].media.locator = "large".into();
    let receipt = world
        .deliver(outbound("!room1", "bob", "3", Content::Message(large)))
        .await
        .unwrap();
    assert_eq!(receipt.losses.len(), 1);
    let body = world.stub.requests("/send/").pop().unwrap().body["body"]
        .as_str()
        .unwrap()
        .to_owned();
    assert_eq!(body, "cat.png <https://files.example.org/cat.png>\n\nmy cat");
}

#[tokio::test]
async fn files_of_the_homeserver_are_opened_within_the_limit() {
    use futures_util::TryStreamExt;
    let world = World::start().await;
    let media = world.homeserver.open_media("mxc://example.org/abc").await.unwrap();
    assert_eq!(media.mime.as_deref(), Some("image/png"));
    let pieces: Vec<_> = media.stream.try_collect().await.unwrap();
    assert_eq!(pieces.iter().map(bytes::Bytes::len).sum::<usize>(), 100);
    let refused = world.homeserver.open_media("https://example.org/abc").await;
    assert!(matches!(refused.err(), Some(MediaError::Refused(_))));
}

#[tokio::test]
async fn a_homeserver_that_knows_only_the_old_way_to_its_files_is_asked_in_that_way() {
    let world = World::start().await;
    let unknown = json!({ "errcode": "M_UNRECOGNIZED", "error": "what?" });
    world.stub.script("/client/v1/media/download/", 404, unknown);
    let media = world.homeserver.open_media("mxc://example.org/abc").await.unwrap();
    assert_eq!(media.mime.as_deref(), Some("image/png"));
    // One that knows the new way and has no such file is not asked again.
    let missing = json!({ "errcode": "M_NOT_FOUND", "error": "gone" });
    world.stub.script("/client/v1/media/download/", 404, missing);
    let gone = world.homeserver.open_media("mxc://example.org/abc").await;
    assert!(matches!(gone.err(), Some(MediaError::Gone)));
}

#[tokio::test]
async fn a_ghost_that_is_there_already_speaks_all_the_same() {
    let world = World::start().await;
    let taken = json!({ "errcode": "M_USER_IN_USE", "error": "it is there" });
    world.stub.script("/v3/register", 400, taken);
    let receipt = world.deliver(outbound("!room1", "bob", "1", text("hi"))).await.unwrap();
    assert_eq!(receipt.ids, [id("$sent0")]);
    let exclusive = json!({ "errcode": "M_EXCLUSIVE", "error": "not yours" });
    world.stub.script("/v3/register", 400, exclusive);
    let refused = world.deliver(outbound("!room1", "ann", "2", text("hi"))).await;
    assert!(refused.is_err(), "another refusal is one");
}

#[tokio::test]
async fn members_come_go_and_are_removed() {
    let world = World::start().await;
    let change = async |who: &str, change: Membership| {
        let content = Content::Membership {
            person: person(who),
            change,
            reason: None,
        };
        world.deliver(outbound("!room1", "op", "1", content)).await.unwrap();
    };
    change("bob", Membership::Leave).await;
    assert!(
        world.stub.requests("/leave").is_empty(),
        "who was not there does not leave"
    );
    change("bob", Membership::Join).await;
    change("bob", Membership::Absent).await;
    assert!(
        world.stub.requests("/leave").is_empty(),
        "who is expected back does not leave"
    );
    change("bob", Membership::Leave).await;
    assert_eq!(
        world.stub.requests("/leave")[0].user.as_deref(),
        Some("@_via_irc_bob:example.org")
    );
    change("bob", Membership::Join).await;
    change("bob", Membership::Kick).await;
    assert_eq!(
        world.stub.requests("/kick")[0].body["user_id"],
        "@_via_irc_bob:example.org"
    );
    world.stub.script("/ban", 403, json!({ "errcode": "M_FORBIDDEN" }));
    change("bob", Membership::Join).await;
    change("bob", Membership::Ban).await;
    assert_eq!(
        world.stub.requests("/leave").len(),
        2,
        "where the bot has no power the ghost goes by itself"
    );
    change("eve", Membership::Rename { from: "x".into() }).await;
    assert!(
        world
            .stub
            .requests("/displayname")
            .iter()
            .all(|seen| !seen.path.contains("eve")),
        "who has no ghost gets none"
    );
}
