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

use std::collections::BTreeSet;
use std::sync::Arc;

use common::hub::{Hub, PATIENCE, Running};
use serde_json::{Value, json};
use viaduct_bridge::ProbeStatus;
use viaduct_model::Content;
use viaduct_teams::TeamsFactory;
use viaduct_tests::teams::{Feed, Kind, Limits, TeamsStandIn};

struct World {
    teams: TeamsStandIn,
    channel: String,
    sue: String,
    section: Value,
}

async fn world() -> World {
    let teams = TeamsStandIn::start().await.unwrap();
    teams.set_limits(Limits::none());
    let channel = teams.add_channel("project", Kind::Standard);
    let sue = teams.add_user("Sue Miller");
    teams.join(teams.team(), &sue);
    let section = common::section(&teams);
    World {
        teams,
        channel,
        sue,
        section,
    }
}

async fn start(world: &World) -> Running {
    let hub = Arc::new(Hub::default());
    let running = Running::start(
        &TeamsFactory::default(),
        "acme",
        world.section.clone(),
        &["Acme/project"],
        hub,
    )
    .await;
    let patience = PATIENCE;
    viaduct_tests::wait::wait_until("the subscription", patience, || !world.teams.subscriptions().is_empty())
        .await
        .unwrap();
    running
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn forged_requests_are_refused_and_tell_nothing() {
    let world = world().await;
    let running = start(&world).await;
    let teams = &world.teams;
    let id = teams.say(&world.channel, &world.sue, "true");
    running.hub.until("the true one", |hub| hub.texts() == ["true"]).await;
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
    running.hub.until("the last one", |hub| hub.texts().len() == 2).await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_arrive_once_though_a_third_is_lost_or_doubled() {
    let world = world().await;
    let running = start(&world).await;
    for feed in [Feed::Activities, Feed::Notifications] {
        world.teams.spoil(feed, 15, 15);
    }
    let wanted: BTreeSet<String> = (0..1000).map(|number| format!("word {number}")).collect();
    for number in 0..1000 {
        world.teams.say(&world.channel, &world.sue, &format!("word {number}"));
    }
    running.hub.until("all of them", |hub| hub.texts().len() >= 1000).await;
    world.teams.settled(PATIENCE).await.unwrap();
    let texts = running.hub.texts();
    assert_eq!(texts.len(), 1000, "none twice");
    assert_eq!(texts.into_iter().collect::<BTreeSet<_>>(), wanted);
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
async fn reactions_of_people_edits_and_what_comes_back_are_told() {
    let world = world().await;
    let running = start(&world).await;
    let (teams, channel) = (&world.teams, &world.channel);
    let id = teams.say(channel, &world.sue, "first");
    running.hub.until("the message", |hub| hub.texts() == ["first"]).await;
    teams.react(channel, id, &world.sue, "like", true);
    let reacted = |event: &viaduct_model::Event| matches!(&event.content, Content::React { reaction, .. } if reaction.key == "👍");
    running
        .hub
        .until("the reaction, by notification", |hub| hub.count(reacted) == 1)
        .await;
    teams.react(channel, id, &world.sue, "like", false);
    let back = |event: &viaduct_model::Event| matches!(event.content, Content::Unreact { .. });
    running
        .hub
        .until("the reaction taken back", |hub| hub.count(back) == 1)
        .await;
    teams.edit(channel, id, "second");
    let edited = |event: &viaduct_model::Event| matches!(event.content, Content::Edit { .. });
    running.hub.until("the edit", |hub| hub.count(edited) >= 1).await;
    teams.delete(channel, id);
    let deleted = |event: &viaduct_model::Event| matches!(event.content, Content::Delete { .. });
    running.hub.until("the deletion", |hub| hub.count(deleted) >= 1).await;
    teams.undelete(channel, id);
    running
        .hub
        .until("the message again", |hub| hub.texts() == ["first", "second"])
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
        .until("the app was removed", |hub| hub.count(closed) == 1)
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
    let (one, two) = (Arc::new(Hub::default()), Arc::new(Hub::default()));
    let first = Running::start(
        &factory,
        "acme",
        world.section.clone(),
        &["Acme/project"],
        Arc::clone(&one),
    )
    .await;
    let second = Running::start(&factory, "globex", section, &["Globex/project"], Arc::clone(&two)).await;
    world.teams.say(&world.channel, &world.sue, "for acme");
    globex.say(&channel, &bob, "for globex");
    one.until("acme's", |hub| hub.texts() == ["for acme"]).await;
    two.until("globex's", |hub| hub.texts() == ["for globex"]).await;
    world.teams.rotate_keys(false).unwrap();
    world.teams.say(&world.channel, &world.sue, "with another key");
    one.until("with another key", |hub| hub.texts().len() == 2).await;
    first.stop().await;
    globex.say(&channel, &bob, "alone");
    two.until("the other goes on", |hub| hub.texts().len() == 2).await;
    second.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_group_chat_is_mirrored_by_its_id_and_doctor_is_content() {
    let world = world().await;
    let chat = world.teams.add_chat("lunch", &[&world.sue]);
    let hub = Arc::new(Hub::default());
    let running = Running::start(&TeamsFactory::default(), "acme", world.section.clone(), &[&chat], hub).await;
    world.teams.say(&chat, &world.sue, "pizza?");
    running.hub.until("the chat", |hub| hub.texts() == ["pizza?"]).await;
    let probes = running.session.probe().await;
    for probe in &probes {
        println!("{probe}");
        assert_eq!(probe.status, ProbeStatus::Ok, "{probe}");
    }
    assert_eq!(probes.len(), 5);
    running.stop().await;
}
