//! Against a server inside the test: lost connections, refusals, floods.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test fails by panicking"
)]

mod support;

use std::time::Duration;

use serde_json::{Value, json};
use support::fake::{Fake, Script};
use support::{Hub, message};
use tokio::net::TcpListener;
use viaduct_bridge::{Connection, Failure};
use viaduct_model::{ChannelId, Membership};

fn section(port: u16, puppets: bool) -> Value {
    support::section(port, &json!({"puppets": {"enabled": puppets}}))
}

#[tokio::test]
async fn a_line_without_an_answer_is_unknown_and_the_hub_comes_back() {
    let script = Script {
        hang_up_on: std::sync::Mutex::new(Some("fateful")),
        ..Script::default()
    };
    let fake = Fake::start(script).await;
    let hub = Hub::start(section(fake.port, false), &["#one"]).await;
    hub.joined("#one").await;
    let lost = hub.deliver("Bob", "#one", message("fateful words")).await.unwrap_err();
    assert_eq!(lost.failure, Failure::UnknownOutcome, "{lost}");
    let down = hub.deliver("Bob", "#one", message("while away")).await.unwrap_err();
    assert!(matches!(down.failure, Failure::Retry(_)), "{down}");
    hub.inbox
        .until("coming back", |_, reports| {
            let ups = reports
                .iter()
                .filter(|(channel, standing)| channel.is_some() && *standing == Connection::Up);
            (ups.count() == 2).then_some(())
        })
        .await;
    hub.say("Bob", "#one", "again").await;
    assert_eq!((fake.count("while away"), fake.count("again")), (0, 1));
    hub.stop().await;
}

#[tokio::test]
async fn a_refused_password_is_told_and_ends_the_run() {
    let fake = Fake::start(Script {
        refuse_password: true,
        ..Script::default()
    })
    .await;
    let mut section = section(fake.port, false);
    section["password"] = json!("wrong");
    let hub = Hub::start(section, &["#one"]).await;
    hub.inbox
        .until("the report", |_, reports| {
            reports
                .iter()
                .any(|(_, standing)| matches!(standing, Connection::AuthLost(_)))
                .then_some(())
        })
        .await;
    let probes = hub.session.probe().await;
    assert_eq!(probes.first().unwrap().status, viaduct_bridge::ProbeStatus::Error);
    assert!(!format!("{probes:?}").contains("wrong\""));
}

#[tokio::test]
async fn a_port_without_tls_is_told_with_what_to_do_and_not_knocked_at_again_for_that() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (came, mut comers) = tokio::sync::mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            drop(stream);
            came.send(()).unwrap();
        }
    });
    let mut section = section(port, false);
    section["tls"] = json!({"enabled": true});
    section["connect"] = json!({"retry": 600, "retry_limit": 600});
    let hub = Hub::start(section, &["#one"]).await;
    let is_down = |(_, standing): &(_, Connection)| matches!(standing, Connection::Down(_));
    hub.inbox
        .until("the report", |_, reports| reports.iter().any(is_down).then_some(()))
        .await;
    let probes = hub.session.probe().await;
    let told = probes.first().unwrap();
    assert!(told.finding.contains("TLS with 127.0.0.1"), "{told:?}");
    assert!(told.fix.contains("`tls: {enabled: false}`"), "{told:?}");
    comers.recv().await.unwrap();
    assert!(
        comers.try_recv().is_err(),
        "the question was answered from what is known"
    );
    hub.stop().await;
}

#[tokio::test]
async fn a_channel_that_is_closed_is_reported_and_the_others_work() {
    let closed = Some(("#shut", ":s 473 {nick} #shut :Cannot join channel (+i)"));
    let fake = Fake::start(Script {
        closed,
        ..Script::default()
    })
    .await;
    let hub = Hub::start(section(fake.port, false), &["#shut", "#open"]).await;
    hub.joined("#open").await;
    let shut = ChannelId::new("#shut").unwrap();
    hub.inbox
        .until("the report", |_, reports| {
            let told = |(channel, standing): &(Option<ChannelId>, Connection)| {
                channel.as_ref() == Some(&shut) && matches!(standing, Connection::Down(reason) if reason.contains("+i"))
            };
            reports.iter().any(told).then_some(())
        })
        .await;
    hub.say("Bob", "#open", "fine").await;
    let waits = hub.deliver("Bob", "#shut", message("x")).await.unwrap_err();
    assert!(
        matches!(waits.failure, Failure::Retry(_)) && waits.reason.contains("+i"),
        "{waits}"
    );
    let probes = hub.session.probe().await;
    assert!(
        probes
            .iter()
            .any(|probe| probe.subject == "channel #shut" && probe.finding.contains("+i")),
        "{probes:?}"
    );
    hub.stop().await;
}

#[tokio::test]
async fn a_netsplit_is_an_absence_and_the_return_is_silent() {
    let fake = Fake::start(Script::default()).await;
    let hub = Hub::start(section(fake.port, false), &["#one"]).await;
    hub.joined("#one").await;
    hub.event("ann", support::joins).await;
    fake.tell(":ann!a@b QUIT :one.example.net two.example.net");
    hub.event("the absence", |content| support::changes(content, &Membership::Absent))
        .await;
    fake.tell(":ann!a@b JOIN #one\r\n:ann!a@b PRIVMSG #one :here again");
    hub.heard("here again").await;
    let joins = |event: &&viaduct_model::Event| support::joins(&event.content);
    assert_eq!(hub.inbox.events().iter().filter(joins).count(), 1);
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_lines_out_on_one_connection_keep_their_order() {
    const CHANNELS: usize = 20;
    const LINES: usize = 250;
    let fake = Fake::start(Script::default()).await;
    let names: Vec<String> = (0..CHANNELS).map(|number| format!("#c{number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let hub = Hub::start(section(fake.port, false), &names).await;
    for name in &names {
        hub.joined(name).await;
    }
    let since = tokio::time::Instant::now();
    let each = names.iter().map(|name| async {
        for number in 0..LINES {
            hub.say("Bob", name, &format!("line {number}")).await;
        }
    });
    futures_util::future::join_all(each).await;
    let seconds = since.elapsed().as_secs_f64();
    println!(
        "out: {:.0} lines/s in {CHANNELS} channels",
        f64::from(u32::try_from(CHANNELS * LINES).unwrap()) / seconds
    );
    let said = fake.said.lock().unwrap().clone();
    for name in names {
        let prefix = format!("PRIVMSG {name} :");
        let heard: Vec<&String> = said.iter().filter(|line| line.starts_with(&prefix)).collect();
        assert_eq!(heard.len(), LINES);
        assert!(
            heard
                .iter()
                .enumerate()
                .all(|(number, line)| line.ends_with(&format!(" line {number}")))
        );
    }
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_in_arrives_whole_in_order_and_in_batches() {
    const LINES: usize = 20_000;
    let fake = Fake::start(Script::default()).await;
    let hub = Hub::start(section(fake.port, false), &["#one", "#two"]).await;
    hub.joined("#one").await;
    hub.joined("#two").await;
    let before = hub.inbox.pushes.load(std::sync::atomic::Ordering::Relaxed);
    let since = tokio::time::Instant::now();
    let lines: Vec<String> = (0..LINES)
        .map(|number| {
            format!(
                ":ann!a@b PRIVMSG {} :line {number}",
                if number % 2 == 0 { "#one" } else { "#two" }
            )
        })
        .collect();
    for some in lines.chunks(500) {
        fake.tell(&some.join("\r\n"));
        tokio::task::yield_now().await;
    }
    hub.heard(&format!("line {}", LINES - 1)).await;
    hub.heard(&format!("line {}", LINES - 2)).await;
    let seconds = since.elapsed().as_secs_f64();
    println!("in: {:.0} lines/s", f64::from(u32::try_from(LINES).unwrap()) / seconds);
    let events = hub.inbox.events();
    let said: Vec<_> = events
        .iter()
        .filter(|event| event.content.message().is_some())
        .collect();
    assert_eq!(said.len(), LINES);
    for channel in ["#one", "#two"] {
        let numbers: Vec<usize> = said
            .iter()
            .filter(|event| event.place.channel.as_str() == channel)
            .map(|event| {
                event
                    .content
                    .message()
                    .unwrap()
                    .body
                    .to_plain()
                    .split_once(' ')
                    .unwrap()
                    .1
                    .parse()
                    .unwrap()
            })
            .collect();
        assert!(numbers.is_sorted());
    }
    let ids: std::collections::HashSet<_> = said.iter().map(|event| event.id.clone()).collect();
    assert_eq!(ids.len(), LINES);
    let pushes = hub.inbox.pushes.load(std::sync::atomic::Ordering::Relaxed) - before;
    assert!(pushes < 4_000, "{pushes}");
    hub.stop().await;
}

#[tokio::test]
async fn hostile_lines_are_only_lines() {
    let fake = Fake::start(Script::default()).await;
    let hub = Hub::start(section(fake.port, false), &["#one"]).await;
    hub.joined("#one").await;
    for line in [
        "",
        ":",
        "@",
        "@a",
        ": :",
        ":x",
        "353",
        ":s 353",
        ":s 353 me = #one :",
        ":s 005",
        ":s 005 me PREFIX=",
        "MODE",
        "MODE #one",
        ":x MODE #one +ooooooo",
        ":x MODE #one +b",
        "NICK",
        ":ann NICK",
        ":ann!a@b NICK :",
        "QUIT",
        ":ann QUIT",
        "KICK",
        ":x KICK #one",
        "JOIN",
        ":x JOIN",
        "PART",
        "TOPIC",
        ":s TOPIC #one",
        "BATCH",
        "BATCH +",
        "BATCH -",
        ":s 333 me #one x y",
        ":s 332 me #one",
        "TAGMSG #one",
        "@+draft/react=x TAGMSG #one",
        ":x!y@z PRIVMSG",
        ":x!y@z PRIVMSG #one",
        ":x!y@z PRIVMSG #one :",
        ":x!y@z PRIVMSG #one :\u{1}",
        ":x!y@z PRIVMSG #one :\u{3}\u{3}99,99\u{4}\u{2}",
        ":!@ PRIVMSG #one :nobody",
        ":s PONG s :vd99999999999999999999",
        ":s 470",
        ":s 471 me",
        ":s 900 me",
    ] {
        fake.tell(line);
    }
    fake.tell(&format!(":ann!a@b PRIVMSG #one :{}", "x".repeat(60_000)));
    fake.tell(":ann!a@b PRIVMSG #one :still alive");
    hub.heard("still alive").await;
    hub.say("Bob", "#one", "so am I").await;
    tokio::time::timeout(Duration::from_secs(1), hub.session.probe())
        .await
        .unwrap();
    hub.stop().await;
}

#[tokio::test]
async fn a_service_of_another_language_is_understood_by_configured_words_and_by_standard_replies() {
    for answer in [
        ":NickServ!s@services NOTICE hub :\u{2}MOT de passe invalide\u{2} pour hub.",
        ":irc.test FAIL NICKSERV INVALID_CREDENTIALS :Nope, sorry.",
    ] {
        let fake = Fake::start(Script::default()).await;
        let keys = json!({
            "puppets": {"enabled": false},
            "nickserv": {"password": "secret", "refused": ["mot de passe invalide"]},
        });
        let hub = Hub::start(support::section(fake.port, &keys), &["#one"]).await;
        let asked = tokio::time::timeout(Duration::from_secs(10), async {
            while fake.count("IDENTIFY") == 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        });
        asked.await.unwrap();
        fake.tell(answer);
        let reason = hub.refused().await;
        assert!(reason.contains("NickServ refused the login"), "{reason}");
        assert_eq!(fake.count("JOIN"), 0, "a channel was tried without the account");
    }
}

#[tokio::test]
async fn a_server_that_falls_silent_is_asked_and_then_left() {
    let script = Script {
        deaf_to: Some("PING"),
        ..Script::default()
    };
    let fake = Fake::start(script).await;
    let keys = json!({"puppets": {"enabled": false}, "connect": {"ping": 1, "retry": 1}});
    let hub = Hub::start(support::section(fake.port, &keys), &["#one"]).await;
    hub.joined("#one").await;
    hub.inbox
        .until("the loss being told", |_, reports| {
            let silent =
                |standing: &Connection| matches!(standing, Connection::Down(why) if why.contains("does not answer"));
            reports.iter().any(|(_, standing)| silent(standing)).then_some(())
        })
        .await;
    assert!(questions(&fake) > 0, "it was given up without being asked");
    hub.inbox
        .until("coming back", |_, reports| {
            let ups = reports
                .iter()
                .filter(|(channel, standing)| channel.is_some() && *standing == Connection::Up);
            (ups.count() > 1).then_some(())
        })
        .await;
    hub.stop().await;
}

/// Questions the hub asked about what became of its lines.
fn questions(fake: &Fake) -> usize {
    fake.count("PING vd") + fake.count("PING :vd")
}

#[tokio::test]
async fn what_the_reader_sees_of_a_puppet_need_not_be_asked_for() {
    let fake = Fake::start(Script {
        relays: true,
        ..Script::default()
    })
    .await;
    let hub = Hub::start(section(fake.port, true), &["#one"]).await;
    hub.joined("#one").await;
    for number in 0..50 {
        hub.say("Bob", "#one", &format!("line {number}")).await;
    }
    hub.deliver("Bob", "#one", message("of two\nlines")).await.unwrap();
    assert_eq!(questions(&fake), 0);
    // In a conversation of two the reader sees nothing.
    hub.say("Bob", "ann:@bob:example.org", "between us").await;
    assert_eq!(questions(&fake), 1);
    hub.stop().await;
}

#[tokio::test]
async fn what_nobody_sees_is_asked_for() {
    let fake = Fake::start(Script::default()).await;
    let hub = Hub::start(section(fake.port, true), &["#one"]).await;
    hub.joined("#one").await;
    hub.say("Bob", "#one", "unseen").await;
    assert_eq!(questions(&fake), 1);
    // From now on without waiting.
    let since = tokio::time::Instant::now();
    for _ in 0..5 {
        hub.say("Bob", "#one", "unseen").await;
    }
    assert_eq!(questions(&fake), 6);
    assert!(since.elapsed() < Duration::from_secs(4), "each was waited for");
    hub.stop().await;
}
