//! What comes in: forged requests, lost and doubled activities, a shared listener, chats, reactions, keys that change.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    missing_docs,
    reason = "a test says what it sees, and stops at the first surprise"
)]

mod common;

use std::time::Duration;

use common::world;
use serde_json::{Value, json};
use tokio::time::Instant;
use viaduct_bridge::testing::{Hub, PATIENCE};
use viaduct_bridge::{Connection, Failure, ProbeStatus};
use viaduct_model::{Content, Event, Membership};
use viaduct_teams::TeamsFactory;
use viaduct_tests::teams::{Fault, Feed, Kind};
use viaduct_tests::wait::wait_until;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn forged_requests_are_refused_and_tell_nothing() {
    let world = world().await;
    let running = world.start().await;
    let teams = &world.teams;
    let id = teams.say(&world.channel, &world.sue, "true");
    running
        .hub
        .wait_for("the true one", |hub| hub.texts() == ["true"])
        .await;
    let mut activity = teams.activity(&world.channel, id).unwrap();
    activity["id"] = json!("1485983408511");
    let claims = |key: &str, value: Value| {
        let mut claims = teams.claims();
        claims[key] = value;
        claims
    };
    let sign = |claims: &Value| format!("Bearer {}", teams.sign(&json!({}), claims).unwrap());
    let other = "00000000-0000-0000-0000-000000000000";
    let forged = [
        None,
        Some("Bearer x".to_owned()),
        Some("Basic eDp5".to_owned()),
        Some(format!(
            "Bearer {}",
            teams.sign_unpublished(&json!({}), &teams.claims()).unwrap()
        )),
        Some(sign(&claims("aud", json!(other)))),
        Some(sign(&claims("iss", json!("https://evil.example")))),
        Some(sign(&claims("exp", json!(1_000_000_000)))),
        Some(sign(&claims("nbf", json!(9_000_000_000_u64)))),
        Some(sign(&claims("tid", json!(other)))),
        Some(sign(&claims("serviceurl", json!("https://evil.example/")))),
    ];
    for authorization in forged {
        let status = teams.send(&activity, authorization.as_deref()).await.unwrap();
        assert!(
            status == 401 || status == 403,
            "{authorization:?} was answered {status}"
        );
    }
    // A good token, and an activity that it does not vouch for.
    let good = sign(&teams.claims());
    for (path, value) in [
        ("/serviceUrl", json!("https://evil.example/")),
        ("/conversation/tenantId", json!(other)),
        ("/channelData/tenant/id", json!(other)),
        ("/channelId", json!("webchat")),
        ("/recipient/id", json!("28:other")),
    ] {
        let mut bent = activity.clone();
        *bent.pointer_mut(path).unwrap() = value;
        assert_eq!(teams.send(&bent, Some(&good)).await.unwrap(), 403, "{path}");
    }
    assert_eq!(teams.send(&activity, Some(&good)).await.unwrap(), 200);
    running.hub.wait_for("the last one", |hub| hub.texts().len() == 2).await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_arrive_once_and_in_order_though_a_third_is_lost_or_doubled() {
    let world = world().await;
    let running = world.start().await;
    for feed in [Feed::Activities, Feed::Notifications] {
        world.teams.spoil(feed, 15, 15);
    }
    let wanted: Vec<String> = (0..1000).map(|number| format!("word {number}")).collect();
    for number in 0..1000 {
        world.teams.say(&world.channel, &world.sue, &format!("word {number}"));
    }
    running
        .hub
        .wait_for("all of them", |hub| hub.texts().len() >= 1000)
        .await;
    world.teams.settled(4 * PATIENCE).await.unwrap();
    assert_eq!(running.hub.texts(), wanted, "all, none twice, in order");
    let lost = world.teams.counts(Feed::Activities).lost;
    println!(
        "lost activities: {lost}, lost notifications: {}",
        world.teams.counts(Feed::Notifications).lost
    );
    assert!(lost > 100);
    assert_eq!(world.teams.violations(), []);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replies_come_in_order_though_some_are_lost() {
    let world = world().await;
    let running = world.start().await;
    let root = world.teams.say(&world.channel, &world.sue, "a question");
    running.hub.hear("a question").await;
    let wanted: Vec<String> = (0..40).map(|number| format!("answer {number}")).collect();
    for (number, text) in wanted.iter().enumerate() {
        if number % 5 == 3 {
            world.teams.lose_next(Feed::Activities, 1);
            world.teams.lose_next(Feed::Notifications, 1);
        }
        world.teams.reply(&world.channel, &world.sue, root, text);
        world.teams.settled(PATIENCE).await.unwrap();
    }
    running
        .hub
        .wait_for("all answers", |hub| hub.texts().len() > wanted.len())
        .await;
    assert_eq!(running.hub.texts()[1..], wanted[..]);
    running.stop().await;
    assert_eq!(world.teams.violations(), []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_live_does_not_wait_for_a_sweep() {
    let mut world = world().await;
    world.section["check_order"] = json!(false);
    let running = world.start().await;
    let teams = &world.teams;
    let sweeps = || teams.calls("graph.delta").len();
    let before = sweeps();
    // Longer without an answer than Microsoft waits for ours.
    teams.fail_next("graph.delta", Fault::Hang, 1);
    wait_until("a sweep", PATIENCE, || sweeps() > before).await.unwrap();
    let begun = Instant::now();
    teams.say(&world.channel, &world.sue, "live");
    running.hub.hear("live").await;
    assert!(begun.elapsed() < Duration::from_secs(8), "{:?}", begun.elapsed());
    assert_eq!(sweeps(), before + 1, "the sweep is still underway");
    running.stop().await;
    assert_eq!(teams.violations(), []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reactions_of_people_edits_and_what_comes_back_are_told() {
    let world = world().await;
    let running = world.start().await;
    let (teams, channel) = (&world.teams, &world.channel);
    let id = teams.say(channel, &world.sue, "first");
    running
        .hub
        .wait_for("the message", |hub| hub.texts() == ["first"])
        .await;
    teams.react(channel, id, &world.sue, "like", true);
    let reacted = |event: &viaduct_model::Event| matches!(&event.content, Content::React { reaction, .. } if reaction.key == "👍");
    running
        .hub
        .wait_for("the reaction, by notification", |hub| hub.count(reacted) == 1)
        .await;
    teams.react(channel, id, &world.sue, "like", false);
    let back = |event: &viaduct_model::Event| matches!(event.content, Content::Unreact { .. });
    running
        .hub
        .wait_for("the reaction taken back", |hub| hub.count(back) == 1)
        .await;
    teams.edit(channel, id, "second");
    let edited = |event: &viaduct_model::Event| matches!(event.content, Content::Edit { .. });
    running.hub.wait_for("the edit", |hub| hub.count(edited) >= 1).await;
    teams.delete(channel, id);
    let deleted = |event: &viaduct_model::Event| matches!(event.content, Content::Delete { .. });
    running
        .hub
        .wait_for("the deletion", |hub| hub.count(deleted) >= 1)
        .await;
    teams.undelete(channel, id);
    running
        .hub
        .wait_for("the message again", |hub| hub.texts() == ["first", "second", "second"])
        .await;
    teams.settled(PATIENCE).await.unwrap();
    assert_eq!(
        (running.hub.count(edited), running.hub.count(deleted)),
        (1, 1),
        "both feeds told the same once"
    );
    teams.uninstall(teams.team());
    let closed = |event: &viaduct_model::Event| matches!(event.content, Content::Closed { .. });
    running
        .hub
        .wait_for("the app was removed", |hub| hub.count(closed) == 1)
        .await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_tenants_share_a_listener_and_keys_may_change() {
    let world = world().await;
    let other = world.teams.add_tenant("Globex");
    let app = world.teams.register(&other, "viaduct");
    let globex = world.teams.of(&app);
    let team = globex.add_team("Globex");
    globex.install(&team);
    let bob = globex.add_user("Bob");
    globex.join(&team, &bob);
    let channel = globex.add_channel_to(&team, "project", Kind::Standard);
    let mut section = world.section.clone();
    for (key, value) in [
        ("app_id", &app.app_id),
        ("tenant", &app.tenant),
        ("secret", &app.secret),
    ] {
        section[key] = json!(value);
    }
    section["addresses"]["connector"] = json!(globex.service_url());
    globex.set_endpoint(section["public_url"].as_str());
    let factory = TeamsFactory::default();
    let (one, two) = (Hub::new("acme"), Hub::new("globex"));
    let first = one.start(&factory, &world.section, &["Acme/project"]).await;
    let second = two.start(&factory, &section, &["Globex/project"]).await;
    world.teams.say(&world.channel, &world.sue, "for acme");
    globex.say(&channel, &bob, "for globex");
    one.wait_for("acme's", |hub| hub.texts() == ["for acme"]).await;
    two.wait_for("globex's", |hub| hub.texts() == ["for globex"]).await;
    world.teams.rotate_keys(false).unwrap();
    world.teams.say(&world.channel, &world.sue, "with another key");
    one.wait_for("with another key", |hub| hub.texts().len() == 2).await;
    first.stop().await;
    globex.say(&channel, &bob, "alone");
    two.wait_for("the other goes on", |hub| hub.texts().len() == 2).await;
    second.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_group_chat_is_mirrored_by_its_id_and_doctor_is_content() {
    let world = world().await;
    let chat = world.teams.add_chat("lunch", &[&world.sue]);
    let hub = Hub::new("acme");
    let running = hub.start(&TeamsFactory::default(), &world.section, &[&chat]).await;
    world.teams.say(&chat, &world.sue, "pizza?");
    running.hub.wait_for("the chat", |hub| hub.texts() == ["pizza?"]).await;
    let probes = running.session.probe().await;
    for probe in &probes {
        println!("{probe}");
        assert_eq!(probe.status, ProbeStatus::Ok, "{probe}");
    }
    let subjects: Vec<&str> = probes.iter().map(|probe| probe.subject.as_str()).collect();
    assert_eq!(
        subjects[..4],
        [
            "login for the connector",
            "login for Graph",
            "keys of inbound tokens",
            "public address"
        ]
    );
    assert_eq!(subjects[5..], ["pictures of people", "chats between two people"]);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_subscription_is_renewed_at_half_of_its_life_and_by_what_microsoft_says_of_it() {
    let mut world = world().await;
    world.section["subscription_minutes"] = json!(10);
    let running = world.start().await;
    let teams = &world.teams;
    let count = |method: &str, status: u16| {
        let calls = teams.calls("graph");
        let about = calls
            .iter()
            .filter(|call| call.operation.starts_with("graph.subscription"));
        about
            .filter(|call| call.method == method && call.status == status)
            .count()
    };
    let seen = async |what: &str, holds: &dyn Fn() -> bool| {
        viaduct_tests::wait::wait_until(what, PATIENCE, holds).await.unwrap();
    };
    let first = teams.subscriptions();
    running.hub.clock.forward(4 * 60_000);
    teams.ask_reauthorization();
    seen("renewed when asked to", &|| count("PATCH", 200) == 1).await;
    assert_eq!(teams.subscriptions(), first, "it is the same");
    running.hub.clock.forward(4 * 60_000);
    teams.say(&world.channel, &world.sue, "four minutes later");
    running.hub.hear("four minutes later").await;
    assert_eq!(count("PATCH", 200), 1, "not before half of its life");
    running.hub.clock.forward(2 * 60_000);
    seen("renewed at half of its life", &|| count("PATCH", 200) == 2).await;
    // It is gone: another is made, and what was missed meanwhile is told.
    teams.lose_next(Feed::Activities, 1);
    teams.remove_subscriptions();
    teams.say(&world.channel, &world.sue, "nobody told of this");
    seen("another subscription", &|| {
        count("POST", 201) == 2 && teams.subscriptions().len() == 1
    })
    .await;
    running.hub.hear("nobody told of this").await;
    // It ended without a word: the renewal finds nothing, and another is made.
    teams.expire_subscriptions();
    running.hub.clock.forward(6 * 60_000);
    seen("a third one", &|| {
        count("POST", 201) == 3 && teams.subscriptions().len() == 1
    })
    .await;
    running.stop().await;
    assert_eq!(teams.violations(), []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_archives_deletions_people_and_removals_are_told_and_shown() {
    let world = world().await;
    let running = world.start().await;
    let (teams, hub) = (&world.teams, &running.hub);
    let up = || hub.standing(Some(common::CHANNEL)) == Some(Connection::Up);
    let down = || matches!(hub.standing(Some(common::CHANNEL)), Some(Connection::Down(_)));
    let count = |wanted: fn(&Content) -> bool| hub.count(|event| wanted(&event.content));
    let (closed, opened) = (
        |content: &Content| matches!(content, Content::Closed { .. }),
        |content: &Content| matches!(content, Content::Opened),
    );
    teams.rename_channel(&world.channel, "renamed");
    hub.wait_for("the new name", |_| {
        count(|content| matches!(content, Content::Name { name } if name == "renamed")) == 1
    })
    .await;
    for (times, (what, change)) in (1..).zip([
        (
            "the archive",
            &(|on| teams.set_archived(teams.team(), on)) as &dyn Fn(bool) -> bool,
        ),
        ("the deletion", &|on| teams.set_deleted(&world.channel, on)),
    ]) {
        assert!(change(true));
        hub.wait_for(what, |_| count(closed) == times && down()).await;
        let refused = running
            .deliver(hub.outbound_of("anna", common::CHANNEL, common::message("now?")))
            .await;
        assert!(
            matches!(refused.unwrap_err().failure, Failure::Retry(_)),
            "{what}: what waits is kept"
        );
        assert!(change(false));
        hub.wait_for(what, |_| count(opened) == times && up()).await;
        running.say_of("anna", common::CHANNEL, common::message("again")).await;
    }
    let bob = teams.add_user("Bob");
    let moved = |change: Membership| {
        let bob = bob.clone();
        move |event: &Event| {
            matches!(&event.content, Content::Membership { person, change: now, .. }
            if person.id.as_str() == bob && person.name == "Bob" && *now == change)
        }
    };
    teams.join(teams.team(), &bob);
    hub.wait_for("who came", |hub| hub.count(moved(Membership::Join)) == 1)
        .await;
    teams.leave(teams.team(), &bob);
    hub.wait_for("who went", |hub| hub.count(moved(Membership::Leave)) == 1)
        .await;
    teams.uninstall(teams.team());
    hub.wait_for("the app was removed", |_| count(closed) == 3 && down())
        .await;
    let probes = running.session.probe().await;
    let probe = probes
        .iter()
        .find(|probe| probe.subject.contains(common::CHANNEL))
        .unwrap();
    assert_eq!(probe.status, ProbeStatus::Error, "{probe}");
    teams.install(teams.team());
    hub.wait_for("the app is back", |_| count(opened) == 3 && up()).await;
    running.say_of("anna", common::CHANNEL, common::message("back")).await;
    // It is also known after a restart, and that it came back is seen though nobody told.
    let (hub, session) = (std::sync::Arc::clone(hub), running);
    session.stop().await;
    teams.uninstall(teams.team());
    let session = hub
        .start(&TeamsFactory::default(), &world.section, &[common::CHANNEL])
        .await;
    let hub = &session.hub;
    let stands =
        |wanted: fn(&Connection) -> bool| hub.standing(Some(common::CHANNEL)).is_some_and(|known| wanted(&known));
    hub.wait_for("it is not there", |_| {
        stands(|known| matches!(known, Connection::Down(_)))
    })
    .await;
    teams.lose_next(Feed::Activities, 2);
    teams.install(teams.team());
    hub.wait_for("it is there", |_| stands(|known| *known == Connection::Up))
        .await;
    session.stop().await;
    assert_eq!(teams.violations(), []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn doctor_names_what_is_missing() {
    let mut world = world().await;
    world.section["people"] = json!({"@anna:example.org": {"refresh_token": "worth nothing"}});
    let running = world.start().await;
    let teams = &world.teams;
    let finding = async |subject: &str| {
        let probes = running.session.probe().await;
        let probe = probes.into_iter().find(|probe| probe.subject.starts_with(subject));
        probe.map(|probe| (probe.status, probe.finding)).unwrap()
    };
    let channel = format!("channel {}", common::CHANNEL);
    let (status, text) = finding(&channel).await;
    assert!(
        status == ProbeStatus::Ok && text.contains(&world.channel) && text.contains("minutes"),
        "{text}"
    );
    assert_eq!(finding("own login of @anna").await.0, ProbeStatus::Warning);
    for (consent, subject) in [
        ("ChannelMessage.Read.Group", channel.as_str()),
        ("Files.ReadWrite.All", "files into channels"),
        ("User.Read.All", "pictures of people"),
    ] {
        assert_eq!(finding(subject).await.0, ProbeStatus::Ok, "{subject}");
        teams.set_consent(consent, false);
        assert_eq!(
            finding(subject).await.0,
            ProbeStatus::Warning,
            "{subject} without {consent}"
        );
    }
    running.stop().await;
    assert_eq!(teams.violations(), []);
}
