//! Against real servers.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test fails by panicking"
)]

mod support;

use serde_json::json;
use support::person::Ircer;
use support::{Hub, irc_person, message, scene, section, server};
use viaduct_bridge::{Connection, Failure};
use viaduct_model::{Content, Membership, MessageStyle, Role};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ngircd_carries_both_ways() {
    let Some(server) = server::ngircd("").await else { return };
    let (mut ann, hub) = scene(&server, "#one", &json!({})).await;

    ann.send("PRIVMSG #one :hello \u{2}there").await;
    let heard = hub.heard("hello there").await;
    assert_eq!(heard.sender, irc_person("ann"));

    let receipt = hub.say("Bob", "#one", "good morning").await;
    assert_eq!(receipt.ids.len(), 1);
    let line = ann.until("good morning").await;
    assert!(line.starts_with(":Bob[m]!"), "{line}");

    ann.send_bytes(b"PRIVMSG #one :caf\xe9\r\n").await;
    hub.heard("café").await;
    ann.send("PRIVMSG #one :\u{1}ACTION waves at Bob[m]\u{1}").await;
    let heard = hub.heard("waves at Bob[m]").await;
    let Content::Message(action) = heard.content else {
        panic!("not a message")
    };
    assert_eq!(action.style, MessageStyle::Action);
    assert_eq!(action.body.mentions().len(), 1);
    assert!(
        !hub.inbox.events().iter().any(|event| event.sender.name.contains("Bob")),
        "an echo came in"
    );
    hub.stop().await;
    ann.until("QUIT").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ngircd_people_come_change_and_go() {
    let Some(server) = server::ngircd("").await else { return };
    let mut ann = Ircer::connect(server.port, "ann").await;
    ann.join("#one").await;
    ann.send("TOPIC #one :first topic").await;
    ann.until("first topic").await;
    let hub = Hub::start(section(server.port, &json!({})), &["#one"]).await;
    hub.joined("#one").await;
    let topic =
        |wanted: &'static str| move |content: &Content| matches!(content, Content::Topic { topic } if topic == wanted);
    hub.event("the topic on joining", topic("first topic")).await;
    hub.event("ann's membership", |content| {
        matches!(content, Content::Membership { person, change: Membership::Join, .. } if person.name == "ann")
    })
    .await;
    hub.event("ann's role", |content| {
        matches!(
            content,
            Content::Role {
                role: Role::Moderator,
                ..
            }
        )
    })
    .await;

    let mut bo = Ircer::connect(server.port, "bo").await;
    bo.join("#one").await;
    bo.send("NICK bobo").await;
    let renamed = hub
        .event("the new nick", |content| {
            matches!(content, Content::Membership { person, change: Membership::Rename { .. }, .. } if person.name == "bobo")
        })
        .await;
    assert_eq!(renamed.sender.id.as_str(), "bo", "the id stays");
    ann.send("TOPIC #one :second").await;
    hub.event("the second topic", topic("second")).await;
    ann.send("MODE #one +v bobo").await;
    hub.event("voice", |content| {
        matches!(content, Content::Role { role: Role::Voiced, .. })
    })
    .await;
    ann.send("KICK #one bobo :enough").await;
    hub.event("the kick", |content| {
        matches!(content, Content::Membership { change: Membership::Kick, reason: Some(reason), .. } if reason == "enough")
    })
    .await;
    bo.join("#one").await;
    bo.send("QUIT :good night").await;
    hub.event("the quit", |content| support::changes(content, &Membership::Leave))
        .await;

    // Out: what only an operator may do is refused for good, and works once the reader is one.
    ann.send("MODE #one +t").await;
    ann.until("MODE #one +t").await;
    let refused = hub
        .deliver("Bob", "#one", Content::Topic { topic: "mine".into() })
        .await
        .unwrap_err();
    assert_eq!(refused.failure, Failure::Permanent);
    ann.send("MODE #one -t+o viaduct").await;
    ann.until("MODE #one").await;
    hub.deliver(
        "Bob",
        "#one",
        Content::Topic {
            topic: "by\r\nQUIT".into(),
        },
    )
    .await
    .unwrap();
    ann.until("TOPIC #one :by  QUIT").await;
    let mut cy = Ircer::connect(server.port, "cy").await;
    cy.join("#one").await;
    hub.event(
        "cy",
        |content| matches!(content, Content::Membership { person, .. } if person.name == "cy"),
    )
    .await;
    let kick = |change| Content::Membership {
        person: irc_person("cy"),
        change,
        reason: Some("out".into()),
    };
    hub.deliver("Bob", "#one", kick(Membership::Ban)).await.unwrap();
    cy.until("KICK #one cy :out").await;
    cy.send("JOIN #one").await;
    cy.until(" 474 ").await;

    // The hub is put out of a channel: it says so, and comes back by itself.
    ann.send("KICK #one viaduct :spam").await;
    hub.kept_out("#one", "spam").await;
    let waiting = hub.deliver("Bob", "#one", message("not yet")).await.unwrap_err();
    assert!(matches!(waiting.failure, Failure::Retry(_)), "{waiting}");
    hub.joined("#one").await;
    hub.say("Bob", "#one", "back again").await;
    ann.until("back again").await;
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ngircd_direct_words_and_relayed_ones() {
    let Some(server) = server::ngircd("").await else { return };
    let mut ann = Ircer::connect(server.port, "ann").await;
    ann.join("#one").await;
    let puppets = json!({"puppets": {"max": 1, "evict_after_seconds": 3600}, "channels": {"#one": {}}});
    let hub = Hub::start(section(server.port, &puppets), &["#one"]).await;
    hub.joined("#one").await;
    hub.say("Bob", "#one", "one").await;
    ann.until(":Bob[m]!").await;
    ann.until("one").await;
    // There is no room for a second puppet, so the hub speaks, and pings nobody by it.
    hub.say("ann", "#one", "two").await;
    let line = ann.until("PRIVMSG #one").await;
    assert!(line.ends_with("PRIVMSG #one :<a\u{200b}nn> two"), "{line}");
    ann.send("PRIVMSG Bob[m] :psst").await;
    let heard = hub.heard("psst").await;
    assert_eq!(heard.direct_to.as_deref(), Some("@bob:example.org"));
    assert_eq!(heard.place.channel.as_str(), "ann:@bob:example.org");
    hub.say("Bob", "ann:@bob:example.org", "what is it").await;
    let line = ann.until("what is it").await;
    assert!(line.starts_with(":Bob[m]!") && line.contains("PRIVMSG ann "), "{line}");
    let gone = hub
        .deliver("Bob", "nobody:@bob:example.org", message("hello?"))
        .await
        .unwrap_err();
    assert_eq!(gone.failure, Failure::Permanent);
    let opened = hub
        .session
        .direct_channel(&irc_person("ann").id, "@bob:example.org")
        .await
        .unwrap();
    assert_eq!(opened, heard.place.channel);

    // Long words are cut, never broken, never lost.
    let long = "wörter ".repeat(200);
    let receipt = hub.say("Bob", "#one", long.trim_end()).await;
    assert!(receipt.ids.len() > 2);
    let mut back = String::new();
    for _ in &receipt.ids {
        let line = ann.until("PRIVMSG #one").await;
        assert!(line.len() <= 510, "{}", line.len());
        back.push_str(line.split_once(" :").unwrap().1);
        back.push(' ');
    }
    assert_eq!(
        back.split_whitespace().collect::<Vec<_>>(),
        long.split_whitespace().collect::<Vec<_>>()
    );
    ann.send("PRIVMSG viaduct :\u{1}VERSION\u{1}").await;
    ann.until("NOTICE ann :\u{1}VERSION viaduct").await;
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ngircd_forms_of_what_irc_cannot_say() {
    let Some(server) = server::ngircd("").await else { return };
    let (mut ann, hub) = scene(&server, "#one", &json!({})).await;
    ann.send("PRIVMSG #one :shall we meet?").await;
    let asked = hub.heard("shall we meet?").await;
    let answer = viaduct_model::Message {
        reply_to: Some(asked.id.clone()),
        ..viaduct_model::Message::plain("yes")
    };
    let answer = hub.deliver("Bob", "#one", Content::Message(answer)).await.unwrap();
    let target = answer.ids.first().unwrap().clone();
    let changed = Content::Edit {
        target: target.clone(),
        message: viaduct_model::Message::plain("yes, at ten"),
    };
    hub.deliver("Bob", "#one", changed).await.unwrap();
    let reaction = viaduct_model::Reaction {
        key: "👍".into(),
        image: None,
    };
    hub.deliver(
        "Bob",
        "#one",
        Content::React {
            target: asked.id,
            reaction,
        },
    )
    .await
    .unwrap();
    let file = viaduct_model::Attachment {
        media: viaduct_model::MediaRef {
            network: viaduct_model::NetworkName::matrix(),
            locator: "abc".into(),
        },
        name: "plan.pdf".into(),
        mime: None,
        size: None,
        kind: viaduct_model::AttachmentKind::File,
        dimensions: None,
        duration: None,
        spoiler: false,
    };
    let file = viaduct_model::Message {
        attachments: vec![file],
        ..viaduct_model::Message::default()
    };
    hub.deliver("Bob", "#one", Content::Message(file)).await.unwrap();
    hub.deliver("Bob", "#one", Content::Delete { target, reason: None })
        .await
        .unwrap();
    let mut said = Vec::new();
    for _ in 0..5 {
        let line = ann.until("PRIVMSG #one").await;
        let text = line.split_once("PRIVMSG #one ").unwrap().1.trim_start_matches(':');
        said.push(text.replace('\u{200b}', "|"));
    }
    insta::assert_json_snapshot!(said, @r#"
    [
      "ann (re: shall we meet?): yes",
      "(edited) yes, at ten",
      "👍 to a|nn: shall we meet?",
      "plan.pdf: https://files.example/abc/plan.pdf",
      "(deleted: ann (re: shall we meet?): yes)"
    ]
    "#);
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn inspircd_echoes_give_ids_and_tags_are_read() {
    let Some(server) = server::inspircd().await else { return };
    let mut ann = Ircer::connect(server.port, "ann").await;
    ann.send("CAP REQ :message-tags server-time").await;
    ann.until("ACK").await;
    ann.join("#one").await;
    let hub = Hub::start(section(server.port, &json!({})), &["#one"]).await;
    hub.joined("#one").await;
    let receipt = hub.say("Bob", "#one", "with an id").await;
    let line = ann.until("with an id").await;
    let id = receipt.ids.first().unwrap();
    assert!(line.contains(&format!("msgid={id}")), "{id} is not in {line}");
    assert!(receipt.at.is_some());
    ann.send(&format!("@+draft/reply={id} PRIVMSG #one :an answer")).await;
    let heard = hub.heard("an answer").await;
    let Content::Message(answer) = &heard.content else {
        panic!("not a message")
    };
    assert_eq!(answer.reply_to.as_ref(), Some(id));
    ann.send(&format!("@+draft/reply={id};+draft/react=👍 TAGMSG #one"))
        .await;
    let reacted = hub
        .event("the reaction", |content| matches!(content, Content::React { .. }))
        .await;
    assert_eq!(reacted.content.target(), Some(id));
    ann.send("@+typing=active TAGMSG #one").await;
    hub.event("typing", |content| matches!(content, Content::Typing { active: true }))
        .await;
    hub.deliver("Bob", "#one", Content::Typing { active: true })
        .await
        .unwrap();
    ann.until("+typing=active").await;
    let answer = viaduct_model::Message {
        reply_to: Some(heard.id.clone()),
        ..viaduct_model::Message::plain("thanks")
    };
    hub.deliver("Bob", "#one", Content::Message(answer)).await.unwrap();
    let line = ann.until("thanks").await;
    assert!(line.contains(&format!("+draft/reply={}", heard.id)), "{line}");
    // A moderated channel refuses the puppet; the hub may speak there once it has a voice.
    ann.send("MODE #one +m").await;
    ann.until("MODE #one").await;
    let refused = hub.deliver("Bob", "#one", message("muted")).await.unwrap_err();
    assert_eq!(refused.failure, Failure::Permanent, "{refused}");
    ann.send("MODE #one +v viaduct").await;
    ann.until("MODE #one").await;
    hub.say("Bob", "#one", "through the hub").await;
    ann.until("<B\u{200b}ob> through the hub").await;
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn inspircd_with_atheme_takes_the_account() {
    let Some(server) = server::inspircd_with_services().await else {
        return;
    };
    let mut ann = Ircer::connect(server.port, "hub").await;
    ann.register("hub", "secret").await;
    let sasl = |password: &str| json!({"nick": "relay", "sasl": {"account": "hub", "password": password}, "puppets": {"enabled": false}});
    let hub = Hub::start(section(server.port, &sasl("secret")), &["#one"]).await;
    hub.joined("#one").await;
    hub.stop().await;
    let refused = Hub::start(section(server.port, &sasl("wrong")), &["#one"]).await;
    refused.refused().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ngircd_over_tls_only_with_the_right_authority() {
    let Some((server, port, authority)) = server::ngircd_with_tls().await else {
        return;
    };
    let tls = |file: &std::path::Path| json!({"tls": {"ca_file": file, "server_name": "irc.test.local"}, "server": {"host": "127.0.0.1", "port": port}});
    let mut ann = Ircer::connect(server.port, "ann").await;
    ann.join("#one").await;
    let hub = Hub::start(section(port, &tls(&authority)), &["#one"]).await;
    hub.joined("#one").await;
    hub.say("Bob", "#one", "sealed").await;
    ann.until("sealed").await;
    hub.stop().await;
    let mut wrong = tls(&authority);
    wrong["tls"]["server_name"] = json!("other.test.local");
    let hub = Hub::start(section(port, &wrong), &["#one"]).await;
    hub.inbox
        .until("the refusal", |_, reports| {
            let refused = |(_, standing): &(_, Connection)| matches!(standing, Connection::Down(reason) if reason.contains("TLS"));
            reports.iter().any(refused).then_some(())
        })
        .await;
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ngircd_nicks_are_kept_reclaimed_and_changed() {
    let Some(server) = server::ngircd("").await else { return };
    let mut squatter = Ircer::connect(server.port, "viaduct").await;
    let mut ann = Ircer::connect(server.port, "ann").await;
    ann.join("#one").await;
    let mut other = Ircer::connect(server.port, "Bob[m]").await;
    let hub = Hub::start(section(server.port, &json!({})), &["#one"]).await;
    hub.joined("#one").await;
    ann.until(":viaduct_!").await;
    squatter.join("#one").await;
    squatter.send("QUIT :bye").await;
    ann.until("NICK :viaduct").await;
    hub.say("Bob", "#one", "somebody has my nick").await;
    let line = ann.until("somebody has my nick").await;
    assert!(line.starts_with(":Bob1[m]!"), "{line}");
    other.send("QUIT").await;
    let person = viaduct_model::Person {
        name: "Robert".into(),
        ..support::matrix_person("Bob")
    };
    let change = Membership::Rename { from: "Bob".into() };
    hub.deliver(
        "Bob",
        "#one",
        Content::Membership {
            person,
            change,
            reason: None,
        },
    )
    .await
    .unwrap();
    ann.until("NICK :Robert[m]").await;
    ann.send("PRIVMSG #one :hello Robert[m]").await;
    let heard = hub.heard("hello Robert[m]").await;
    let body = &heard.content.message().unwrap().body;
    assert_eq!(body.mentions().len(), 1);
    hub.say("Bob", "#one", "still me").await;
    let line = ann.until("still me").await;
    assert!(line.starts_with(":Robert[m]!"), "{line}");
    let gone = Content::Membership {
        person: support::matrix_person("Bob"),
        change: Membership::Leave,
        reason: None,
    };
    hub.deliver("Bob", "#one", gone).await.unwrap();
    ann.until("PART #one").await;
    let foreign = |event: &viaduct_model::Event| {
        let renamed = matches!(
            event.content,
            Content::Membership {
                change: Membership::Rename { .. },
                ..
            }
        );
        renamed || event.sender.name.contains("[m]")
    };
    let strange: Vec<_> = hub.inbox.events().into_iter().filter(foreign).collect();
    assert!(strange.is_empty(), "a puppet's doings came in: {strange:#?}");
    hub.stop().await;
}
