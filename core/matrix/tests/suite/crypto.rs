//! What comes in encrypted, over real HTTP, from somebody who encrypts with the same library as many clients do.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use matrix_sdk_crypto::types::requests::AnyOutgoingRequest;
use matrix_sdk_crypto::{EncryptionSettings, OlmMachine};
use ruma::api::IncomingResponse;
use ruma::api::client::keys::{claim_keys, get_keys, upload_keys};
use ruma::serde::Raw;
use ruma::{RoomId, UserId, device_id, user_id};
use serde_json::{Value, json};
use viaduct_model::{Content, Message};

use crate::support::{Hub, Stub, World, event, said};

const BOT: &str = "@viaduct:example.org";
const ROOM: &str = "!room-sealed:example.org";

fn bot() -> &'static UserId {
    BOT.try_into().unwrap()
}

/// Somebody with a device of their own.
struct Alice(OlmMachine);

fn response<T: IncomingResponse>(body: &Value) -> T {
    let response = http::Response::new(body.to_string().into_bytes());
    T::try_from_http_response(response).unwrap_or_else(|_| panic!("no answer: {body}"))
}

impl Alice {
    /// Gets to know the bot's device by what it uploaded.
    async fn meeting(world: &World) -> Self {
        let alice = OlmMachine::new(user_id!("@alice:example.org"), device_id!("ALICE")).await;
        let uploads = world.stub.requests("/keys/upload");
        let part = |key: &str| {
            uploads
                .iter()
                .map(|seen| seen.body[key].clone())
                .find(|part| !part.is_null())
        };
        let (device, keys) = (part("device_keys").unwrap(), part("one_time_keys").unwrap());
        alice.update_tracked_users([bot()]).await.unwrap();
        for request in alice.outgoing_requests().await.unwrap() {
            let id = request.request_id();
            match request.request() {
                AnyOutgoingRequest::KeysUpload(_) => {
                    let counts = json!({ "one_time_key_counts": { "signed_curve25519": 50 } });
                    let uploaded: upload_keys::v3::Response = response(&counts);
                    alice.mark_request_as_sent(id, &uploaded).await.unwrap();
                }
                AnyOutgoingRequest::KeysQuery(_) => {
                    let found: get_keys::v3::Response =
                        response(&json!({ "device_keys": { BOT: { "HUB": device.clone() } } }));
                    alice.mark_request_as_sent(id, &found).await.unwrap();
                }
                other => panic!("{other:?}"),
            }
        }
        let (id, _) = alice.get_missing_sessions([bot()].into_iter()).await.unwrap().unwrap();
        let (name, key) = keys.as_object().unwrap().iter().next().unwrap();
        let claimed: claim_keys::v3::Response =
            response(&json!({ "one_time_keys": { BOT: { "HUB": { name: key } } } }));
        alice.mark_request_as_sent(&id, &claimed).await.unwrap();
        Self(alice)
    }

    /// A new key for the room, as it reaches the bot's device.
    async fn key(&self) -> Value {
        let room = <&RoomId>::try_from(ROOM).unwrap();
        self.0.discard_room_key(room).await.unwrap();
        let settings = EncryptionSettings::default();
        let requests = self
            .0
            .share_room_key(room, [bot()].into_iter(), settings)
            .await
            .unwrap();
        let [request] = requests.as_slice() else {
            panic!("{requests:?}")
        };
        let messages = serde_json::to_value(&request.messages).unwrap();
        let answer = ruma::api::client::to_device::send_event_to_device::v3::Response::new();
        self.0.mark_request_as_sent(&request.txn_id, &answer).await.unwrap();
        json!({
            "type": "m.room.encrypted", "sender": "@alice:example.org", "content": messages[BOT]["HUB"],
            "to_user_id": BOT, "to_device_id": "HUB",
        })
    }

    /// Something said, encrypted.
    async fn says(&self, id: &str, text: &str) -> Value {
        let content = Raw::new(&json!({ "msgtype": "m.text", "body": text }))
            .unwrap()
            .cast_unchecked();
        let room = <&RoomId>::try_from(ROOM).unwrap();
        let sealed = self
            .0
            .encrypt_room_event_raw(room, "m.room.message", &content)
            .await
            .unwrap();
        let content = serde_json::from_str(sealed.content.json().get()).unwrap();
        event(ROOM, id, "@alice:example.org", "m.room.encrypted", content)
    }
}

fn encryption(room: &str) -> Value {
    let mut event = event(
        room,
        &format!("$encryption-{room}"),
        "@alice:example.org",
        "m.room.encryption",
        json!({ "algorithm": "m.megolm.v1.aes-sha2" }),
    );
    event["state_key"] = json!("");
    event
}

/// An encrypted room, and somebody in it.
async fn meet(folder: &std::path::Path) -> (World, Alice) {
    let (stub, url) = Stub::start().await;
    let bot = (ROOM.to_owned(), BOT.to_owned());
    stub.members.lock().unwrap().insert(bot);
    let world = World::with_device(Arc::new(Hub::default()), stub, &url, folder).await;
    let alice = Alice::meeting(&world).await;
    assert_eq!(
        world.push("start", json!({ "events": [encryption(ROOM)] })).await.0,
        200
    );
    (world, alice)
}

fn texts(world: &World) -> Vec<String> {
    let told = world.contents().into_iter().filter_map(|content| match content {
        Content::Message(message) => Some(message.body.to_plain()),
        _ => None,
    });
    told.collect()
}

#[tokio::test]
async fn keys_are_taken_in_before_the_events_they_open_under_either_name() {
    let folder = tempfile::tempdir().unwrap();
    let (world, alice) = meet(folder.path()).await;
    for (number, name) in ["de.sorunome.msc2409.to_device", "to_device"].iter().enumerate() {
        let key = alice.key().await;
        let event = alice.says(&format!("${number}"), &format!("sealed {number}")).await;
        let body = json!({ "events": [event], *name: [key] });
        assert_eq!(world.push(&format!("t{number}"), body).await.0, 200);
    }
    assert_eq!(texts(&world), ["sealed 0", "sealed 1"]);
    // A message to another device is not ours.
    let mut key = alice.key().await;
    key["to_device_id"] = json!("OTHER");
    let event = alice.says("$2", "sealed 2").await;
    world.stub.events.lock().unwrap().insert("$2".to_owned(), event.clone());
    world.push("t2", json!({ "events": [event], "to_device": [key] })).await;
    assert_eq!(texts(&world).len(), 2);
}

#[tokio::test]
async fn an_event_without_its_key_waits_in_its_place_also_over_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let (world, alice) = meet(folder.path()).await;
    let key = alice.key().await;
    let early = alice.says("$1", "early").await;
    let mut behind = said(ROOM, "$2", "x");
    behind["type"] = json!("m.reaction");
    behind["content"] = json!({ "m.relates_to": { "rel_type": "m.annotation", "event_id": "$1", "key": "👍" } });
    for event in [&early, &behind] {
        let id = event["event_id"].as_str().unwrap().to_owned();
        world.stub.events.lock().unwrap().insert(id, event.clone());
    }
    // What cannot be noted is not acknowledged.
    world.hub.full.store(true, Ordering::Relaxed);
    let body = json!({ "events": [early, said("!room1", "$other", "elsewhere"), behind] });
    assert_eq!(world.push("t1", body.clone()).await.0, 503);
    world.hub.full.store(false, Ordering::Relaxed);
    assert_eq!(world.push("t1", body).await.0, 200);
    assert_eq!(texts(&world), ["elsewhere"]);

    world.stop.cancel();
    world.running.await.unwrap().unwrap();
    let again = World::with_device(world.hub, world.stub, &world.url, folder.path()).await;
    again.push("t2", json!({ "to_device": [key] })).await;
    again.until(|world| world.contents().len() == 3).await;
    let [_, Content::Message(first), Content::React { target, .. }] = &again.contents()[..] else {
        panic!("{:?}", again.contents())
    };
    assert_eq!((first, target.as_str()), (&Message::plain("early"), "$1"));
    again
        .until(|world| {
            !world
                .hub
                .memory
                .lock()
                .unwrap()
                .keys()
                .any(|key| key.starts_with("waiting/"))
        })
        .await;
}

#[tokio::test]
async fn a_key_that_never_comes_is_told_and_what_waited_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let (world, alice) = meet(folder.path()).await;
    alice.key().await;
    let lost = alice.says("$lost", "lost").await;
    let key = alice.key().await;
    let next = alice.says("$next", "next").await;
    for event in [&lost, &next] {
        let id = event["event_id"].as_str().unwrap().to_owned();
        world.stub.events.lock().unwrap().insert(id, event.clone());
    }
    world
        .push("t1", json!({ "events": [lost, next], "to_device": [key] }))
        .await;
    assert!(texts(&world).is_empty());
    world.hub.later.store(31_000, Ordering::Relaxed);
    world.until(|world| texts(world) == ["next"]).await;
    // Said by the bot, encrypted as everything there.
    world
        .until(|world| {
            let sent = world.stub.requests("/send/m.room.encrypted/notice-unread-$lost");
            sent.iter().any(|seen| seen.body["ciphertext"].is_string())
        })
        .await;
}

#[tokio::test]
async fn what_is_said_in_the_clear_crosses_in_no_encrypted_mirror() {
    let folder = tempfile::tempdir().unwrap();
    let (world, _) = meet(folder.path()).await;
    let events = json!([
        said(ROOM, "$1", "in the clear"),
        // Not encrypted at all, though its mirror is to be.
        said("!room-sealed-not:example.org", "$2", "in the open"),
        // Encrypted, though nobody opted in.
        encryption("!room2:example.org"),
        said("!room2:example.org", "$3", "in a sealed room"),
        said("!room1", "$4", "as ever"),
    ]);
    assert_eq!(world.push("t1", json!({ "events": events })).await.0, 200);
    assert_eq!(texts(&world), ["as ever"]);
    world
        .until(|world| {
            let notices = world.stub.requests("/send/m.room.message/notice-unfit");
            let rooms: std::collections::BTreeSet<_> = notices.iter().map(|seen| &seen.path).collect();
            rooms.len() == 2 && world.stub.requests("/notice-unread-$1").len() == 1
        })
        .await;
}
