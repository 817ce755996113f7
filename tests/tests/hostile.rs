//! Remote input is data: whatever a server or a homeserver sends, the hub goes on, and nothing in it becomes a command.

use std::time::Duration;

use serde_json::json;
use viaduct_tests::launch::{Process, available};
use viaduct_tests::load::LoadServer as _;
use viaduct_tests::people::HEARD;
use viaduct_tests::stub_world::{StubSpec, StubWorld, channel, matrix_message, person, room, text};
use viaduct_tests::wait::wait_until;

/// How long a transaction may wait for its acknowledgement.
const ACKNOWLEDGED: Duration = Duration::from_mins(1);

/// Lines no honest server would send.
fn hostile_lines() -> Vec<Vec<u8>> {
    let mut lines: Vec<Vec<u8>> = [
        &b":"[..],
        b" ",
        b"@",
        b"@=;;= :x",
        b"@a=\\ PRIVMSG",
        b":!@ PRIVMSG #channel0 :nobody",
        b":x!y@z PRIVMSG",
        b":x!y@z PRIVMSG #channel0",
        b":x!y@z PRIVMSG #channel0 :",
        b":x!y@z PRIVMSG #channel0 :\x01ACTION",
        b":x!y@z PRIVMSG #channel0 :\x01\x01\x01",
        b":x!y@z PRIVMSG #channel0 :\x03\x03\x0399,99,\x04zzzzzz\x02\x1d\x1f\x1e\x11\x16\x0f",
        b":x!y@z PRIVMSG #channel0 :\xff\xfe\xfd\x80\xc3\x28\xed\xa0\x80",
        b":x!y@z PRIVMSG #channel0 :zero\x00byte",
        b":x!y@z PRIVMSG #channel0 :</mx-reply></blockquote><script>alert(1)</script><img src=x onerror=y>",
        b":x!y@z PRIVMSG #channel0 :@room https://matrix.to/#/@person0:stub.test [x](javascript:alert(1))",
        b":x!y@z PRIVMSG #channel0 :\xe2\x80\xae\xe2\x81\xa6txet desrever\xe2\x81\xa9",
        b":x!y@z JOIN",
        b":x!y@z JOIN :",
        b":x!y@z PART #nowhere",
        b":x!y@z NICK",
        b":x!y@z NICK :",
        b":x!y@z KICK #channel0",
        b":x!y@z KICK #channel0 nobody :why",
        b":x!y@z MODE #channel0 +ovbklimnpst",
        b":x!y@z MODE #channel0 +oooooooo a",
        b":x!y@z TOPIC #channel0",
        b":load.test 353 viaduct",
        b":load.test 353 viaduct = #channel0 :@@@@+&~!",
        b":load.test 433",
        b":load.test 005",
        b":load.test 005 viaduct PREFIX=()@+ CHANMODES=,,, CASEMAPPING=klingon NICKLEN=-1 :x",
        b":load.test 999999 viaduct :x",
        b":load.test CAP",
        b":load.test CAP * LS",
        b":load.test BATCH",
        b":load.test BATCH +x netsplit",
        b":load.test BATCH -never",
        b"@batch=never :x!y@z PRIVMSG #channel0 :in no batch",
        b"AUTHENTICATE",
        b"PING",
        b"ERROR",
    ]
    .iter()
    .map(|line| line.to_vec())
    .collect();
    lines.push([&b":x!y@z PRIVMSG #channel0 :"[..], &vec![b'a'; 100_000]].concat());
    lines.push([&b"@"[..], &vec![b'x'; 20_000], b" :x!y@z PRIVMSG #channel0 :long tags"].concat());
    lines.push([&b":"[..], &vec![b'n'; 5_000], b"!u@h PRIVMSG #channel0 :long nick"].concat());
    lines.push(format!(":x!y@z PRIVMSG #channel0 :{}", "\u{2}\u{1d}".repeat(5_000)).into_bytes());
    lines
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_lines_break_nothing() -> anyhow::Result<()> {
    let Some(mut world) = available(StubWorld::start(StubSpec::default()).await)? else {
        return Ok(());
    };
    for (number, line) in hostile_lines().into_iter().enumerate() {
        world.connected().await?;
        world.server.emit(&channel(0), &[&line[..], b"\r\n"].concat()).await;
        // A message after each: the hub still listens, and it is still the same hub.
        world.server.speak(&channel(0), "honest", &text(number)).await;
        let shown = String::from_utf8_lossy(&line).chars().take(60).collect::<String>();
        let arrived = || world.arrivals_in_room(0).contains(&number);
        if wait_until("an honest line", Duration::from_secs(5), arrived)
            .await
            .is_err()
        {
            // It may have hung up on a server that talks nonsense; then it comes back by itself.
            world.connected().await?;
            world.server.speak(&channel(0), "honest", &text(number)).await;
            wait_until(format!("an honest line after {shown:?}"), HEARD, || {
                world.arrivals_in_room(0).contains(&number)
            })
            .await?;
        }
    }
    assert!(world.hub.process().is_some_and(Process::is_running));
    for sent in world.stub.sent(&room(0)) {
        assert!(!sent.body.contains('\0'), "{:?}", sent.body);
    }
    Ok(())
}

/// Events no honest homeserver would send.
fn hostile_events() -> Vec<serde_json::Value> {
    let message = |content: serde_json::Value| {
        json!({ "type": "m.room.message", "room_id": room(0), "event_id": format!("$h{content}"), "sender": person(0),
                "origin_server_ts": 1, "content": content })
    };
    let deep = format!("{}x{}", "<blockquote>".repeat(3_000), "</blockquote>".repeat(3_000));
    vec![
        json!({}),
        json!([]),
        json!("event"),
        json!({ "type": 1, "room_id": [], "event_id": {}, "sender": null }),
        json!({ "type": "m.room.message", "room_id": room(0), "event_id": "", "sender": "", "content": {} }),
        json!({ "type": "m.room.message", "room_id": "", "event_id": "$x", "sender": person(0), "content": [] }),
        message(json!({})),
        message(json!({ "msgtype": "m.text" })),
        message(json!({ "msgtype": "m.text", "body": 7 })),
        message(json!({ "msgtype": "m.text", "body": "" })),
        message(json!({ "msgtype": "m.text", "body": "two\r\nQUIT :injected\nPRIVMSG #other :injected\0" })),
        message(
            json!({ "msgtype": "m.text", "body": "x", "format": "org.matrix.custom.html", "formatted_body": deep }),
        ),
        message(
            json!({ "msgtype": "m.text", "body": "x", "format": "org.matrix.custom.html",
                        "formatted_body": "<a href='javascript:x'>a</a><img src='http://127.0.0.1:1/'><font color='#zz'>" }),
        ),
        message(json!({ "msgtype": "m.image", "body": "../../etc/passwd", "url": "http://127.0.0.1:1/" })),
        message(json!({ "msgtype": "m.file", "body": "f", "url": "mxc://../../..", "info": { "size": -1 } })),
        message(json!({ "msgtype": "m.text", "body": "* x", "m.new_content": {},
                        "m.relates_to": { "rel_type": "m.replace", "event_id": "$nowhere" } })),
        message(json!({ "msgtype": "m.text", "body": "x", "m.relates_to": { "m.in_reply_to": { "event_id": 5 } } })),
        message(json!({ "msgtype": "m.text", "body": "x".repeat(60_000) })),
        json!({ "type": "m.room.redaction", "room_id": room(0), "event_id": "$r1", "sender": person(0), "content": {} }),
        json!({ "type": "m.reaction", "room_id": room(0), "event_id": "$r2", "sender": person(0), "content": { "m.relates_to": 1 } }),
        json!({ "type": "m.room.member", "room_id": room(0), "event_id": "$m1", "sender": person(0), "state_key": "not a user",
                "content": { "membership": "elsewhere" } }),
        json!({ "type": "m.room.member", "room_id": room(0), "event_id": "$m2", "sender": person(0), "state_key": person(0),
                "content": { "membership": "join", "displayname": "evil\r\nNICK root" } }),
        json!({ "type": "m.room.topic", "room_id": room(0), "event_id": "$t1", "sender": person(0), "state_key": "",
                "content": { "topic": "a\r\nKICK everybody" } }),
        json!({ "type": "m.room.power_levels", "room_id": room(0), "event_id": "$p1", "sender": person(0), "state_key": "",
                "content": { "users": { "@x": "many" }, "users_default": 1e300 } }),
        json!({ "type": "m.room.tombstone", "room_id": room(0), "event_id": "$z1", "sender": person(0), "content": {} }),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_events_break_nothing_and_inject_nothing() -> anyhow::Result<()> {
    let Some(mut world) = available(StubWorld::start(StubSpec::default()).await)? else {
        return Ok(());
    };
    for (number, event) in hostile_events().into_iter().enumerate() {
        let event = event.to_string();
        let shown: String = event.chars().take(200).collect();
        world.pusher.push(&[event], ACKNOWLEDGED).await?;
        world.pusher.push(&[matrix_message(0, number)], ACKNOWLEDGED).await?;
        wait_until(format!("an honest message after {shown}"), HEARD, || {
            world.arrivals_in_channel(0).contains(&number)
        })
        .await?;
    }
    for heard in world.server.heard("#other") {
        assert!(heard.text.is_empty(), "injected: {}", heard.text);
    }
    for body in ["not json", "", "{}", "[]", r#"{"events":7}"#, "\u{0}"] {
        let status = world
            .pusher
            .attempt(format!("bad{}", body.len()), body.to_owned())
            .await?;
        assert!(
            (400..500).contains(&status) || (body == "{}" && status == 200),
            "{body:?} was answered {status}"
        );
    }
    let huge = format!(r#"{{"events":["{}"]}}"#, "x".repeat(100_000_000));
    // Refused, or cut off before it was all sent; either way the hub lives on.
    drop(world.pusher.attempt("huge", huge).await);
    world.pusher.push(&[matrix_message(0, 900)], ACKNOWLEDGED).await?;
    wait_until("an honest message", HEARD, || {
        world.arrivals_in_channel(0).contains(&900)
    })
    .await?;
    Ok(())
}
