//! What servers with `draft/chathistory` and `draft/multiline` say, against a server inside the test that keeps to the
//! published specifications; no packaged one offers them.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test fails by panicking"
)]

mod support;

use serde_json::{Value, json};
use support::Hub;
use support::fake::{Fake, Script};
use viaduct_model::Event;

const HISTORY: &str = "message-tags server-time batch draft/chathistory";
const CURSOR: &str = "2026-01-01T00:00:00.000Z";

fn section(port: u16, puppets: bool) -> Value {
    support::section(port, &json!({"puppets": {"enabled": puppets}}))
}

fn texts(events: &[Event]) -> Vec<String> {
    let messages = events.iter().filter_map(|event| event.content.message());
    messages.map(|message| message.body.to_plain()).collect()
}

/// Message `number` of a history in which ten share a millisecond.
fn missed(number: usize) -> String {
    let moment = number / 10;
    format!("time=2026-01-01T00:00:01.{moment:03}Z;msgid=h{number} :ann!a@b PRIVMSG #one :missed {number}")
}

#[tokio::test]
async fn what_was_missed_is_fetched_before_what_is_live() {
    let history = (0..3).map(|number| {
        format!("time=2026-01-01T00:00:0{number}.000Z;msgid=h{number} :ann!a@b PRIVMSG #one :missed {number}")
    });
    let key = "0123456789abcdef0123456789abcdef";
    let own = format!("time=2026-01-01T00:00:04.000Z;msgid=h4;+viaduct/key={key} :viaduct!a@b PRIVMSG #one :ours");
    let forged = format!("time=2026-01-01T00:00:05.000Z;msgid=h5;+viaduct/key={key} :eve!a@b PRIVMSG #one :forged");
    let script = Script {
        capabilities: "message-tags server-time batch draft/chathistory",
        history: history.chain([own, forged]).collect(),
        ..Script::default()
    };
    let fake = Fake::start(script).await;
    let hub = Hub::start_at(section(fake.port, false), &["#one"], Some("2026-01-01T00:00:00.000Z")).await;
    hub.joined("#one").await;
    fake.tell(":ann!a@b PRIVMSG #one :live");
    hub.heard("live").await;
    let events = hub.inbox.events();
    let said: Vec<_> = events
        .iter()
        .filter(|event| event.content.message().is_some())
        .collect();
    let texts: Vec<String> = said
        .iter()
        .map(|event| event.content.message().unwrap().body.to_plain())
        .collect();
    assert_eq!(texts, ["missed 0", "missed 1", "missed 2", "ours", "forged", "live"]);
    let echoes: Vec<_> = said
        .iter()
        .map(|event| event.echo_of.as_ref().map(viaduct_model::DeliveryKey::as_str))
        .collect();
    assert_eq!(echoes, [None, None, None, Some(key), None, None]);
    assert_eq!(
        said.first().unwrap().cursor.as_deref(),
        Some("2026-01-01T00:00:00.000Z")
    );
    assert_eq!(
        fake.count("CHATHISTORY AFTER #one timestamp=2025-12-31T23:59:59.999Z 100"),
        1
    );
    hub.stop().await;
}

/// The hub joins, somebody speaks, and then everything that was missed and what is live has come.
async fn caught_up(script: Script) -> (Fake, Vec<Event>) {
    let fake = Fake::start(script).await;
    let hub = Hub::start_at(section(fake.port, false), &["#one"], Some(CURSOR)).await;
    hub.joined("#one").await;
    fake.tell(":ann!a@b PRIVMSG #one :live");
    hub.heard("live").await;
    let events = hub.inbox.events();
    hub.stop().await;
    (fake, events)
}

#[tokio::test]
async fn history_is_fetched_to_its_end_page_by_page() {
    for (isupport, limit, positions) in [
        ("CHATHISTORY=4", 4, "AFTER #one msgid="),
        ("CHATHISTORY=25 MSGREFTYPES=timestamp", 25, "AFTER #one timestamp="),
    ] {
        let (fake, events) = caught_up(Script {
            capabilities: HISTORY,
            isupport,
            history: (0..57).map(missed).collect(),
            ..Script::default()
        })
        .await;
        // What comes twice bears the same id, and the hub drops it.
        let mut ids = std::collections::HashSet::new();
        let messages = events.iter().filter(|event| event.content.message().is_some());
        let once: Vec<Event> = messages.filter(|event| ids.insert(event.id.clone())).cloned().collect();
        let expected: Vec<String> = (0..57)
            .map(|number| format!("missed {number}"))
            .chain(["live".into()])
            .collect();
        assert_eq!(texts(&once), expected, "{isupport}");
        let first = format!("CHATHISTORY AFTER #one timestamp=2025-12-31T23:59:59.999Z {limit}");
        assert_eq!(fake.count(&first), 1);
        assert!(fake.count(positions) > 2, "{:?}", fake.said.lock().unwrap());
    }
}

#[tokio::test]
async fn lines_of_history_that_are_no_news_count_as_far_as_it_goes() {
    let own = |number: usize| missed(number).replace(":ann!a@b", ":viaduct!a@b");
    let (_, events) = caught_up(Script {
        capabilities: HISTORY,
        isupport: "CHATHISTORY=5",
        history: (0..20).map(own).chain([missed(20)]).collect(),
        ..Script::default()
    })
    .await;
    assert_eq!(texts(&events), ["missed 20", "live"]);
}

#[tokio::test]
async fn without_history_what_is_live_goes_on() {
    let empty = Script {
        capabilities: HISTORY,
        ..Script::default()
    };
    let (fake, events) = caught_up(empty).await;
    assert_eq!(
        (texts(&events), fake.count("CHATHISTORY")),
        (vec!["live".to_owned()], 1)
    );
    // This one does not answer, but says why.
    let fake = Fake::start(Script {
        capabilities: HISTORY,
        isupport: "CHATHISTORY=x",
        deaf_to: Some("CHATHISTORY"),
        ..Script::default()
    })
    .await;
    let hub = Hub::start_at(section(fake.port, false), &["#one"], Some(CURSOR)).await;
    hub.joined("#one").await;
    fake.tell(
        ":ann!a@b PRIVMSG #one :live\r\n:s FAIL CHATHISTORY MESSAGE_ERROR AFTER #one :Messages could not be retrieved",
    );
    hub.heard("live").await;
    hub.stop().await;
}

#[tokio::test]
async fn a_message_of_many_lines_is_one_message_of_history() {
    let lines = [
        "time=2026-01-01T00:00:01.000Z;msgid=h1 :ann!a@b BATCH +m draft/multiline #one",
        "@batch=m :ann!a@b PRIVMSG #one :first",
        "@batch=m :ann!a@b PRIVMSG #one :second",
        ":ann!a@b BATCH -m",
    ];
    let (_, events) = caught_up(Script {
        capabilities: "message-tags server-time batch draft/chathistory draft/multiline=max-bytes=4096",
        history: vec![lines.join("\r\n"), missed(20)],
        ..Script::default()
    })
    .await;
    assert_eq!(texts(&events), ["first\nsecond", "missed 20", "live"]);
    assert_eq!(
        events
            .iter()
            .find(|event| event.content.message().is_some())
            .unwrap()
            .id
            .as_str(),
        "h1"
    );
}

#[tokio::test]
async fn lines_that_belong_together_stay_together() {
    let capabilities = "message-tags server-time batch draft/multiline=max-bytes=4096,max-lines=10";
    let fake = Fake::start(Script {
        capabilities,
        ..Script::default()
    })
    .await;
    let hub = Hub::start(section(fake.port, false), &["#one"]).await;
    hub.joined("#one").await;
    let lines = [
        "@msgid=m1 :ann!a@b BATCH +x draft/multiline #one",
        "@batch=x :ann!a@b PRIVMSG #one :first ",
        "@batch=x;draft/multiline-concat :ann!a@b PRIVMSG #one :line",
        "@batch=x :ann!a@b PRIVMSG #one :second",
        ":ann!a@b BATCH -x",
    ];
    fake.tell(&lines.join("\r\n"));
    let heard = hub.heard("first line\nsecond").await;
    assert_eq!(heard.id.as_str(), "m1");
    let receipt = hub.say("Bob", "#one", "one\ntwo").await;
    assert_eq!(receipt.ids.len(), 1);
    let said = fake.said.lock().unwrap().clone();
    let sent: Vec<&String> = said.iter().skip_while(|line| !line.contains("BATCH")).take(4).collect();
    let expected = ["BATCH +m0 draft/multiline #one", "<B", "<B", "BATCH -m0"];
    assert!(
        sent.iter().zip(expected).all(|(line, part)| line.contains(part)),
        "{sent:?}"
    );
    hub.stop().await;
}

#[tokio::test]
async fn nothing_else_is_said_while_a_message_of_many_lines_is_open() {
    let capabilities = "message-tags batch draft/multiline=max-bytes=100,max-lines=4";
    let fake = Fake::start(Script {
        capabilities,
        ..Script::default()
    })
    .await;
    let names: Vec<String> = (0..10).map(|number| format!("#c{number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let hub = Hub::start(section(fake.port, false), &names).await;
    for name in &names {
        hub.joined(name).await;
    }
    let all = names.iter().map(|name| async {
        for number in 0..20 {
            fake.tell("PING :are you there");
            hub.say("Bob", name, &format!("one {number}\ntwo\nthree")).await;
            hub.say("Bob", name, "alone").await;
        }
        // More than it takes at once: said line by line.
        hub.say("Bob", name, "1\n2\n3\n4\n5").await;
        let wide = "x".repeat(60);
        hub.say("Bob", name, &format!("{wide}\n{wide}")).await;
        let notice = viaduct_model::Message {
            style: viaduct_model::MessageStyle::Notice,
            ..viaduct_model::Message::plain("a\nb")
        };
        hub.deliver("Bob", name, viaduct_model::Content::Message(notice))
            .await
            .unwrap();
    });
    futures_util::future::join_all(all).await;
    let said = fake.said.lock().unwrap().clone();
    let mut open: Option<String> = None;
    let mut batches = 0;
    for line in &said {
        let bare = line.split_once("BATCH ").map(|(_, rest)| rest);
        match (&open, bare) {
            (None, Some(rest)) => {
                let name = rest.split(' ').next().unwrap().strip_prefix('+').unwrap();
                assert!(
                    rest.ends_with(&format!(" draft/multiline {}", rest.rsplit(' ').next().unwrap())),
                    "{line}"
                );
                open = Some(name.to_owned());
                batches += 1;
            }
            (Some(name), Some(rest)) => {
                assert_eq!(rest, format!("-{name}"));
                open = None;
            }
            (Some(name), None) => assert!(line.starts_with(&format!("@batch={name} PRIVMSG #c")), "{line}"),
            (None, None) => assert!(!line.contains("batch="), "{line}"),
        }
    }
    assert_eq!(batches, 200);
    assert!(fake.count("PONG") > 0);
    hub.stop().await;
}
