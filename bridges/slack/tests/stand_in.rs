//! The bridge at work on the stand-in: what the conformance kit cannot ask for, because only Slack has it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::needless_pass_by_value,
    clippy::format_push_string,
    clippy::print_stdout,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::too_many_lines,
    missing_docs,
    reason = "a test says what it sees, and stops at the first surprise"
)]

mod common;

use std::time::{Duration, Instant};

use common::hub::{Hub, plain};
use serde_json::{Value, json};
use viaduct_bridge::{Connection, Failure, ProbeStatus};
use viaduct_model::document::MentionTarget;
use viaduct_model::{Content, Membership, Message, MessageId, MessageStyle, PersonId, Reaction};
use viaduct_tests::slack::{Fault, Kind, Limits, SlackStandIn, Ts, Which};

const NAME: &str = "#project";

/// A workspace, its channel and somebody in it.
async fn workspace() -> (SlackStandIn, String, String) {
    let slack = SlackStandIn::start().await.unwrap();
    slack.set_limits(Limits::none());
    let channel = slack.add_channel("project", Kind::Private);
    let sue = slack.add_user("sue");
    slack.join(&channel, &sue);
    slack.join(&channel, &slack.app().bot_user);
    (slack, channel, sue)
}

fn section(slack: &SlackStandIn) -> Value {
    json!({
        "bot_token": slack.app().bot_token,
        "app_token": slack.app().app_token,
        "base_url": slack.api_url(),
        "limits": {"posts_per_second": 1000.0, "tier_1": 10000, "tier_2": 10000, "tier_3": 10000, "tier_4": 10000,
                   "history": 10000},
    })
}

fn no_violations(slack: &SlackStandIn) {
    let violations = slack.violations();
    assert!(violations.is_empty(), "{violations:#?}");
}

fn message(text: &str) -> Content {
    Content::Message(Message::plain(text))
}

fn thumb() -> Reaction {
    Reaction {
        key: "👍".to_owned(),
        image: None,
    }
}

#[tokio::test]
async fn people_are_shown_with_name_and_picture_and_nothing_about_them_travels_beside() {
    let (slack, channel, _) = workspace().await;
    let hub = Hub::new();
    let running = hub.start(&section(&slack), &[NAME]).await;
    let id = running.say(NAME, "hello <!channel> & co").await;
    let posted = slack.message(&channel, id.as_str().parse().unwrap()).unwrap();
    assert_eq!(posted["username"], "anna");
    assert!(
        posted["icons"].to_string().contains("files.example") || posted["icon_url"].is_string(),
        "{posted}"
    );
    assert_eq!(posted["text"], "hello &lt;!channel&gt; &amp; co");
    let metadata = posted["metadata"].to_string();
    assert!(
        metadata.contains("viaduct_delivery") && !metadata.contains("anna"),
        "{metadata}"
    );
    running.stop().await;
    no_violations(&slack);
}

#[tokio::test]
async fn what_is_no_edit_is_none_and_gone_parents_are_gone() {
    let (slack, channel, sue) = workspace().await;
    let hub = Hub::new();
    let running = hub.start(&section(&slack), &[NAME]).await;
    let linked = slack.say(&channel, &sue, "https://example.org");
    slack.unfurl(&channel, linked, "Example");
    let parent = slack.say(&channel, &sue, "parent");
    slack.reply(&channel, &sue, parent, "child", false);
    slack.edit(&channel, linked, &sue, "better");
    slack.delete(&channel, parent);
    slack.say_me(&channel, &sue, "waves");
    slack.say(&channel, &sue, "done");
    hub.hear("done").await;
    slack.settled(common::PATIENCE).await.unwrap();
    let events = hub.events();
    let edits: Vec<_> = events
        .iter()
        .filter(|event| matches!(event.content, Content::Edit { .. }))
        .collect();
    assert_eq!(edits.len(), 1, "{edits:#?}");
    let gone = events
        .iter()
        .any(|event| matches!(&event.content, Content::Delete { target, .. } if target.as_str() == parent.to_string()));
    assert!(gone, "{events:#?}");
    let child = events
        .iter()
        .find(|event| plain(event).as_deref() == Some("child"))
        .unwrap();
    assert_eq!(
        child.content.message().unwrap().thread.as_ref().unwrap().as_str(),
        parent.to_string()
    );
    let waves = events
        .iter()
        .find(|event| plain(event).as_deref() == Some("waves"))
        .unwrap();
    assert_eq!(waves.content.message().unwrap().style, MessageStyle::Action);
    running.stop().await;
    no_violations(&slack);
}

#[tokio::test]
async fn an_absence_is_caught_up_with_replies_edits_and_deletions() {
    let (slack, channel, sue) = workspace().await;
    let hub = Hub::new();
    let running = hub.start(&section(&slack), &[NAME]).await;
    let old = slack.say(&channel, &sue, "old thread");
    slack.reply(&channel, &sue, old, "first reply", false);
    let edited = slack.say(&channel, &sue, "typo");
    let deleted = slack.say(&channel, &sue, "regret");
    let before = running.say(NAME, "ours before").await;
    hub.hear("regret").await;
    slack.settled(common::PATIENCE).await.unwrap();
    running.stop().await;

    slack.reply(&channel, &sue, old, "second reply", false);
    slack.edit(&channel, edited, &sue, "no typo");
    slack.delete(&channel, deleted);
    let missed = slack.say(&channel, &sue, "missed");
    slack.reply(&channel, &sue, missed, "reply to missed", false);
    slack.react(&channel, missed, &sue, "tada", true);
    let running = hub.start(&section(&slack), &[NAME]).await;
    slack.say(&channel, &sue, "live");
    hub.hear("live").await;
    slack.settled(common::PATIENCE).await.unwrap();
    let events = hub.events();
    let texts: Vec<String> = hub.texts();
    assert_eq!(
        texts,
        [
            "old thread",
            "first reply",
            "typo",
            "regret",
            "second reply",
            "missed",
            "reply to missed",
            "live"
        ],
    );
    assert!(
        events
            .iter()
            .any(|event| matches!(&event.content, Content::Edit { target, message }
        if target.as_str() == edited.to_string() && message.body.to_plain() == "no typo"))
    );
    let deletions: Vec<_> = events
        .iter()
        .filter_map(|event| match &event.content {
            Content::Delete { target, .. } => Some(target.as_str().to_owned()),
            _ => None,
        })
        .collect();
    assert_eq!(deletions, [deleted.to_string()], "ours was {before}");
    assert!(
        events
            .iter()
            .any(|event| matches!(&event.content, Content::React { target, reaction }
        if target.as_str() == missed.to_string() && reaction.key == "🎉"))
    );
    running.stop().await;
    no_violations(&slack);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_thousand_missed_events_come_in_order_within_the_limits() {
    let (slack, channel, sue) = workspace().await;
    slack.set_limits(Limits::default());
    let mut section = section(&slack);
    section["limits"] = json!({});
    let hub = Hub::new();
    let running = hub.start(&section, &[NAME]).await;
    slack.say(&channel, &sue, "before");
    hub.hear("before").await;
    running.stop().await;
    for number in 0..2000 {
        slack.say(&channel, &sue, &format!("missed {number}"));
    }
    let begun = Instant::now();
    let running = hub.start(&section, &[NAME]).await;
    slack.say(&channel, &sue, "live");
    hub.hear("live").await;
    println!(
        "2,000 missed messages after {} ms, {} calls of history",
        begun.elapsed().as_millis(),
        slack.calls("conversations.history").len()
    );
    let expected: Vec<String> = ["before".to_owned()]
        .into_iter()
        .chain((0..2000).map(|number| format!("missed {number}")))
        .chain(["live".to_owned()])
        .collect();
    assert_eq!(hub.texts(), expected);
    assert_eq!(slack.limited(), 0);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn posting_is_paced_and_never_refused() {
    let (slack, channel, _) = workspace().await;
    slack.set_limits(Limits {
        channel_burst: 1,
        ..Limits::default()
    });
    let mut section = section(&slack);
    section["limits"] = json!({});
    let hub = Hub::new();
    let running = hub.start(&section, &[NAME]).await;
    let begun = Instant::now();
    for number in 0..6 {
        running.say(NAME, &format!("paced {number}")).await;
    }
    let took = begun.elapsed();
    println!("6 posts in {} ms", took.as_millis());
    assert!(
        (Duration::from_secs(5)..Duration::from_secs(8)).contains(&took),
        "{took:?}"
    );
    assert_eq!(slack.limited(), 0);
    assert_eq!(
        slack
            .history(&channel)
            .iter()
            .filter(|m| m["username"] == "anna")
            .count(),
        6
    );
    running.stop().await;
}

#[tokio::test]
async fn duplicates_disorder_refreshes_and_lost_acknowledgements_change_nothing() {
    let (slack, channel, sue) = workspace().await;
    let hub = Hub::new();
    let running = hub.start(&section(&slack), &[NAME]).await;
    slack.connected(2, common::PATIENCE).await.unwrap();
    let lost = slack.delivered().lost;
    slack.duplicate_next(5);
    slack.ignore_acks(3);
    for number in 0..20 {
        slack.say(&channel, &sue, &format!("a{number}"));
    }
    slack.refresh(Which::All, Duration::from_secs(2));
    for number in 0..20 {
        slack.say(&channel, &sue, &format!("b{number}"));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    hub.hear("b19").await;
    let expected: Vec<String> = (0..20)
        .map(|number| format!("a{number}"))
        .chain((0..20).map(|number| format!("b{number}")))
        .collect();
    assert_eq!(hub.texts(), expected);
    assert!(
        !hub.reports()
            .iter()
            .any(|(_, connection)| matches!(connection, Connection::Down(_))),
        "no gap"
    );
    slack.settled(common::PATIENCE).await.unwrap();
    assert_eq!(slack.delivered().lost, lost);
    running.stop().await;
    no_violations(&slack);
}

#[tokio::test]
async fn what_is_lost_with_a_broken_socket_is_read_from_the_history() {
    let (slack, channel, sue) = workspace().await;
    let hub = Hub::new();
    let running = hub.start(&section(&slack), &[NAME]).await;
    slack.connected(2, common::PATIENCE).await.unwrap();
    let anna = running
        .session
        .direct_channel(&PersonId::new(&sue).unwrap(), "@anna:example.org")
        .await
        .unwrap();
    running
        .deliver(hub.outbound_of("anna", anna.as_str(), message("hello")))
        .await
        .unwrap();
    let direct = slack.direct(&sue);
    slack.say(&direct, &sue, "hello too");
    slack.say(&channel, &sue, "before");
    hub.hear("before").await;
    hub.hear("hello too").await;
    slack.settled(common::PATIENCE).await.unwrap();

    slack.lose_next(2);
    slack.say(&channel, &sue, "lost");
    slack.say(&direct, &sue, "lost in private");
    slack.break_sockets(Which::Oldest);
    hub.hear("lost").await;
    hub.hear("lost in private").await;
    let down = |(_, connection): &(_, Connection)| matches!(connection, Connection::Down(_));
    assert!(
        !hub.reports().iter().any(down),
        "the other socket was there all the time"
    );
    slack.connected(2, common::PATIENCE).await.unwrap();
    slack.say(&channel, &sue, "after");
    hub.hear("after").await;
    running.stop().await;
    no_violations(&slack);
}

#[tokio::test]
async fn reactions_of_several_people_are_counted() {
    let (slack, channel, sue) = workspace().await;
    slack.add_emoji("partyparrot", None);
    let hub = Hub::new();
    let running = hub.start(&section(&slack), &[NAME]).await;
    let ts = slack.say(&channel, &sue, "like this");
    hub.hear("like this").await;
    let target = MessageId::new(ts.to_string()).unwrap();
    let react = |added: bool| {
        let (target, reaction) = (target.clone(), thumb());
        if added {
            Content::React { target, reaction }
        } else {
            Content::Unreact { target, reaction }
        }
    };
    let count = || {
        slack.message(&channel, ts).unwrap()["reactions"]
            .as_array()
            .map_or(0, Vec::len)
    };
    for (name, added, expected) in [
        ("anna", true, 1),
        ("bert", true, 1),
        ("anna", false, 1),
        ("anna", false, 1),
        ("bert", false, 0),
    ] {
        running
            .deliver(hub.outbound_of(name, NAME, react(added)))
            .await
            .unwrap();
        assert_eq!(count(), expected, "{name} {added}");
    }
    slack.react(&channel, ts, &sue, "partyparrot", true);
    let image = hub
        .until("a reaction with a picture", |events, _| {
            events.iter().find_map(|event| match &event.content {
                Content::React { reaction, .. } => reaction.image.clone(),
                _ => None,
            })
        })
        .await;
    assert_eq!(image.locator, "emoji partyparrot");
    running.stop().await;
    no_violations(&slack);
}

#[tokio::test]
async fn chats_of_several_people_with_one_are_kept_apart() {
    let (slack, _, sue) = workspace().await;
    let hub = Hub::new();
    let running = hub.start(&section(&slack), &[NAME]).await;
    let person = PersonId::new(&sue).unwrap();
    let anna = running
        .session
        .direct_channel(&person, "@anna:example.org")
        .await
        .unwrap();
    let bert = running
        .session
        .direct_channel(&person, "@bert:example.org")
        .await
        .unwrap();
    running
        .deliver(hub.outbound_of("anna", anna.as_str(), message("hello from anna")))
        .await
        .unwrap();
    let direct = slack.direct(&sue);
    slack.say(&direct, &sue, "only anna is there");
    let event = hub.hear("only anna is there").await;
    assert_eq!(event.direct_to.as_deref(), Some("@anna:example.org"));
    assert_eq!(event.place.channel, anna);
    let first = running
        .deliver(hub.outbound_of("bert", bert.as_str(), message("hello from bert")))
        .await
        .unwrap();
    let root: Ts = first.ids[0].as_str().parse().unwrap();
    slack.say(&direct, &sue, "to whom?");
    slack.reply(&direct, &sue, root, "to bert", false);
    let event = hub.hear("to bert").await;
    assert_eq!(event.direct_to.as_deref(), Some("@bert:example.org"));
    assert_eq!(event.content.message().unwrap().thread, None);
    assert!(
        !hub.texts().contains(&"to whom?".to_owned()),
        "nobody may be told what may be for another"
    );
    assert_eq!(slack.calls("chat.postEphemeral").len(), 1);
    running.stop().await;
    slack.reply(&direct, &sue, root, "while away", false);
    let running = hub.start(&section(&slack), &[NAME]).await;
    assert_eq!(
        hub.hear("while away").await.direct_to.as_deref(),
        Some("@bert:example.org")
    );
    running.stop().await;
    no_violations(&slack);
}

#[tokio::test]
async fn strangers_of_another_organisation_are_known_as_such() {
    let (slack, channel, _) = workspace().await;
    let other = slack.add_team("Globex");
    let bob = slack.add_user_to(&other, "bob");
    slack.share(&channel, &other);
    slack.join(&channel, &bob);
    let hub = Hub::new();
    let running = hub.start(&section(&slack), &[NAME]).await;
    slack.say(&channel, &bob, "greetings");
    let event = hub.hear("greetings").await;
    assert_eq!(event.sender.id.as_str(), format!("{other}/{bob}"));
    assert_eq!(event.sender.organisation.as_deref(), Some("Globex"));
    assert!(event.sender.name.ends_with("(Globex)"), "{}", event.sender.name);
    running.stop().await;
    no_violations(&slack);
}

#[tokio::test]
async fn who_logs_in_speaks_as_themselves() {
    let (slack, channel, sue) = workspace().await;
    let anna = slack.add_user("anna-in-slack");
    slack.join(&channel, &anna);
    let mut section = section(&slack);
    let token = slack.user_token(&anna);
    section["people"] = json!({"@anna:example.org": {"token": token}});
    let hub = Hub::new();
    let running = hub.start(&section, &[NAME]).await;
    let id = running.say(NAME, "as myself").await;
    let posted = slack.message(&channel, id.as_str().parse().unwrap()).unwrap();
    assert_eq!(posted["user"], json!(anna));
    let typed = slack.say(&channel, &anna, "typed in Slack");
    // What they do in Slack is done by who they are on Matrix.
    let themselves = |event: &viaduct_model::Event| {
        event.sender.network.is_matrix() && event.sender.id.as_str() == "@anna:example.org"
    };
    assert!(themselves(&hub.hear("typed in Slack").await));
    assert!(slack.react(&channel, typed, &anna, "thumbsup", true));
    assert!(slack.edit(&channel, typed, &anna, "typed better"));
    hub.until("their reaction and their edit", |events, _| {
        let theirs = |wanted: fn(&Content) -> bool| {
            let mut done = events.iter().filter(|event| wanted(&event.content));
            done.any(themselves)
        };
        let reacted = theirs(|content| matches!(content, Content::React { .. }));
        (reacted && theirs(|content| matches!(content, Content::Edit { .. }))).then_some(())
    })
    .await;
    slack.say(&channel, &sue, &format!("<@{anna}> look"));
    let addressed = hub
        .until("they are addressed", |events, _| {
            let mut messages = events.iter().filter_map(|event| event.content.message());
            messages.find_map(|message| Some(message.body.mentions().first()?.target.clone()))
        })
        .await;
    assert!(
        matches!(&addressed, MentionTarget::Person { network, .. } if network.is_matrix()),
        "{addressed:?}"
    );
    assert!(slack.leave(&channel, &anna, &anna) && slack.join(&channel, &anna));
    slack.say(&channel, &sue, "back already");
    hub.hear("back already").await;
    assert!(
        !hub.texts().contains(&"as myself".to_owned()),
        "what was posted does not come back"
    );
    // Without a good token they are spoken for.
    slack.revoke(&token);
    let outbound = hub.outbound(NAME, message("relayed"));
    let id = loop {
        match running.deliver(outbound.clone()).await {
            Ok(mut receipt) => break receipt.ids.remove(0),
            Err(error) => assert!(matches!(error.failure, Failure::Retry(_)), "{error:?}"),
        }
    };
    let posted = slack.message(&channel, id.as_str().parse().unwrap()).unwrap();
    assert_eq!(posted["username"], "anna");
    slack.say(&channel, &anna, "still typing");
    assert!(
        !themselves(&hub.hear("still typing").await),
        "they are somebody in Slack again"
    );
    let moved = |event: &viaduct_model::Event| matches!(&event.content, Content::Membership { person, .. } if person.id.as_str() == anna);
    assert!(!hub.events().iter().any(moved), "who is on Matrix comes and goes there");
    running.stop().await;
    no_violations(&slack);
}

#[tokio::test]
async fn lost_tokens_and_removals_are_told_and_drop_nothing() {
    let (slack, channel, sue) = workspace().await;
    let hub = Hub::new();
    let running = hub.start(&section(&slack), &[NAME]).await;
    let owner = sue.clone();
    let bot = slack.app().bot_user.clone();
    slack.leave(&channel, &bot, &owner);
    hub.until("the removal", |events, _| {
        events
            .iter()
            .find(|event| matches!(event.content, Content::Closed { .. }))
            .map(|_| ())
    })
    .await;
    let error = running.deliver(hub.outbound(NAME, message("waits"))).await.unwrap_err();
    assert!(matches!(error.failure, Failure::Retry(_)), "{error:?}");
    let probes = running.session.probe().await;
    assert!(
        probes
            .iter()
            .any(|probe| probe.status == ProbeStatus::Error && probe.subject.contains(NAME)),
        "{probes:#?}"
    );
    slack.say(&channel, &sue, "while outside");
    slack.join(&channel, &bot);
    hub.hear("while outside").await;
    running.say(NAME, "back").await;

    slack.uninstall();
    hub.until("the loss", |_, reports| {
        reports
            .iter()
            .any(|(channel, connection)| channel.is_none() && matches!(connection, Connection::AuthLost(_)))
            .then_some(())
    })
    .await;
    let error = running
        .deliver(hub.outbound(NAME, message("waits too")))
        .await
        .unwrap_err();
    assert_eq!(error.failure, Failure::AuthLost, "{error:?}");
    let probes = running.session.probe().await;
    assert!(
        probes.iter().any(|probe| probe.status == ProbeStatus::Error),
        "{probes:#?}"
    );
    running.stop().await;
}

#[tokio::test]
async fn a_channel_begins_to_work_when_the_app_is_invited() {
    let slack = SlackStandIn::start().await.unwrap();
    slack.set_limits(Limits::none());
    let channel = slack.add_channel("project", Kind::Private);
    let sue = slack.add_user("sue");
    slack.join(&channel, &sue);
    let hub = Hub::new();
    let running = hub.start(&section(&slack), &[channel.as_str()]).await;
    let error = running
        .deliver(hub.outbound(&channel, message("too early")))
        .await
        .unwrap_err();
    assert!(matches!(error.failure, Failure::Retry(_)), "{error:?}");
    slack.join(&channel, &slack.app().bot_user);
    slack.say(&channel, &sue, "welcome");
    hub.hear("welcome").await;
    running.say(&channel, "at last").await;
    running.stop().await;
    no_violations(&slack);
}

#[tokio::test]
async fn renames_topics_archives_and_new_ids_are_followed() {
    let (slack, channel, sue) = workspace().await;
    let hub = Hub::new();
    let running = hub.start(&section(&slack), &[NAME]).await;
    slack.set_topic(&channel, &sue, "A & B");
    slack.set_purpose(&channel, &sue, "hidden by the topic");
    slack.rename_channel(&channel, &sue, "renamed");
    let now = slack.renumber_channel(&channel).unwrap();
    slack.say(&now, &sue, "under a new id");
    hub.hear("under a new id").await;
    running.say(NAME, "still there").await;
    slack.set_archived(&now, &sue, true);
    slack.set_archived(&now, &sue, false);
    hub.until("the end", |events, _| {
        events
            .iter()
            .any(|event| matches!(event.content, Content::Opened))
            .then_some(())
    })
    .await;
    let kinds: Vec<String> = hub
        .events()
        .iter()
        .filter_map(|event| match &event.content {
            Content::Topic { topic } => Some(format!("topic {topic}")),
            Content::Name { name } => Some(format!("name {name}")),
            Content::Closed { .. } => Some("closed".to_owned()),
            Content::Opened => Some("opened".to_owned()),
            _ => None,
        })
        .collect();
    assert_eq!(kinds, ["topic A & B", "name renamed", "closed", "opened"]);
    running.stop().await;
    // The name in the configuration is the old one; the id is remembered.
    let running = hub.start(&section(&slack), &[NAME]).await;
    slack.say(&now, &sue, "after a restart");
    hub.hear("after a restart").await;
    running.stop().await;
    no_violations(&slack);
}

#[tokio::test]
async fn an_unknown_outcome_is_found_by_its_key_after_a_restart() {
    let (slack, channel, _) = workspace().await;
    let hub = Hub::new();
    let running = hub.start(&section(&slack), &[NAME]).await;
    let long = "word ".repeat(2000);
    let outbound = hub.outbound(NAME, message(&long));
    slack.fail_next("chat.postMessage", Fault::CutAnswer, 1);
    let error = running.deliver(outbound.clone()).await.unwrap_err();
    assert_eq!(error.failure, Failure::UnknownOutcome, "{error:?}");
    running.kill();
    let running = hub.start(&section(&slack), &[NAME]).await;
    let place = outbound.to.channel.clone();
    assert_eq!(
        running.session.find_delivered(&place, &outbound.key).await.unwrap(),
        None,
        "only its first part arrived"
    );
    let receipt = running.deliver(outbound.clone()).await.unwrap();
    let found = running
        .session
        .find_delivered(&place, &outbound.key)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(found.ids, receipt.ids);
    let posted = slack
        .history(&channel)
        .iter()
        .filter(|message| message["username"] == "anna")
        .count();
    assert_eq!(posted, receipt.ids.len(), "no part was posted twice");
    running.stop().await;
    no_violations(&slack);
}

#[tokio::test]
async fn signed_requests_do_as_well() {
    let (slack, channel, sue) = workspace().await;
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let mut section = section(&slack);
    section.as_object_mut().unwrap().remove("app_token");
    section["events"] = json!({"listen": format!("127.0.0.1:{port}"), "signing_secret": slack.app().signing_secret});
    let hub = Hub::new();
    let running = hub.start(&section, &[NAME]).await;
    let url = format!("http://127.0.0.1:{port}/slack/events");
    slack.deliver_to(&url, 0).await.unwrap();
    for number in 0..20 {
        slack.say(&channel, &sue, &format!("signed {number}"));
    }
    hub.hear("signed 19").await;
    slack.settled(common::PATIENCE).await.unwrap();
    let expected: Vec<String> = (0..20).map(|number| format!("signed {number}")).collect();
    assert_eq!(hub.texts(), expected);
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let forged = http
        .post(&url)
        .body(r#"{"type":"url_verification","challenge":"x"}"#)
        .send()
        .await
        .unwrap();
    assert_eq!(forged.status(), 401);
    running.stop().await;
}

#[tokio::test]
async fn joins_leaves_and_new_names_are_told() {
    let (slack, channel, sue) = workspace().await;
    let hub = Hub::new();
    let running = hub.start(&section(&slack), &[NAME]).await;
    let joined = |id: &str| {
        let id = id.to_owned();
        move |events: &[viaduct_model::Event], _: &[(Option<viaduct_model::ChannelId>, Connection)]| {
            let hit = |event: &viaduct_model::Event| matches!(&event.content, Content::Membership { person, change: Membership::Join, .. } if person.id.as_str() == id);
            events.iter().any(hit).then_some(())
        }
    };
    hub.until("those who are there", joined(&sue)).await;
    slack.rename_user(&sue, "susan");
    hub.until("the new name", |events, _| {
        let hit = |event: &viaduct_model::Event| matches!(&event.content, Content::Membership { person, change: Membership::Rename { .. }, .. } if person.name == "susan");
        events.iter().any(hit).then_some(())
    })
    .await;
    let tom = slack.add_user("tom");
    slack.join(&channel, &tom);
    hub.until("who comes", joined(&tom)).await;
    running.stop().await;
    no_violations(&slack);
}

/// Prints what the way from the socket to the hub costs. `cargo test … --release -- --ignored --nocapture flood`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement"]
async fn a_flood_is_taken() {
    let (slack, channel, sue) = workspace().await;
    let hub = Hub::new();
    let running = hub.start(&section(&slack), &[NAME]).await;
    slack.say(&channel, &sue, "warm");
    hub.hear("warm").await;
    let flood = slack.flood(&channel, &[&sue], "flood", 20_000, 2000).await.unwrap();
    println!(
        "{} events in {:?}: {:.0} a second",
        flood.events,
        flood.elapsed,
        flood.rate()
    );
    running.stop().await;
}
