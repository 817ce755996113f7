//! People who let the app act in their name: they speak as themselves, and what they do in Teams is theirs on Matrix.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    missing_docs,
    reason = "a test says what it sees, and stops at the first surprise"
)]

mod common;

use std::sync::Arc;

use common::{CHANNEL, World, edit, message, posted, world};
use serde_json::{Value, json};
use viaduct_bridge::ProbeStatus;
use viaduct_bridge::testing::{Hub, PATIENCE, Running};
use viaduct_model::document::{Block, Inline, Mention, MentionTarget};
use viaduct_model::{AttachmentKind, Content, Document, Event, Message, MessageId, NetworkName, PersonId, Reaction};
use viaduct_tests::teams::{Draft, Fault};

/// Anna's account in Teams, and a section in which she lets the app act in her name.
fn with_anna(world: &mut World) -> String {
    let anna = world.teams.add_user("Anna in Teams");
    world.teams.join(world.teams.team(), &anna);
    let token = world.teams.login_of(&anna);
    world.section["people"] = json!({"@anna:example.org": {"refresh_token": token}});
    anna
}

fn at(world: &World, id: &MessageId) -> Value {
    let id = id.as_str().rsplit('/').next().unwrap().parse().unwrap();
    world.teams.message(&world.channel, id).unwrap()
}

fn author(message: &Value) -> &Value {
    &message["from"]["user"]["id"]
}

fn is_anna(event: &Event) -> bool {
    event.sender.network.is_matrix() && event.sender.id.as_str() == "@anna:example.org"
}

fn thumb(target: &MessageId, added: bool) -> Content {
    let (target, reaction) = (
        target.clone(),
        Reaction {
            key: "👍".to_owned(),
            image: None,
        },
    );
    if added {
        Content::React { target, reaction }
    } else {
        Content::Unreact { target, reaction }
    }
}

/// Something said by Sue after everything else, so that what came before was told.
async fn everything_told(world: &World, running: &Running, mark: &str) {
    world.teams.settled(PATIENCE).await.unwrap();
    world.teams.say(&world.channel, &world.sue, mark);
    running.hub.hear(mark).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_logs_in_speaks_changes_and_reacts_as_themselves_and_nothing_comes_back() {
    let mut world = world().await;
    let anna = with_anna(&mut world);
    let running = world.start().await;
    let hub = Arc::clone(&running.hub);
    let (teams, channel) = (&world.teams, &world.channel);
    let id = running.say_of("anna", CHANNEL, message("as myself")).await;
    assert_eq!(*author(&at(&world, &id)), json!(anna));
    assert_eq!(at(&world, &id)["body"]["content"], "<p>as myself</p>");
    // A reply below Sue's message, which addresses her.
    let sue = teams.say(channel, &world.sue, "a question");
    let question = hub.hear("a question").await;
    let mention = Mention {
        label: "Sue".to_owned(),
        target: MentionTarget::Person {
            network: NetworkName::new("acme").unwrap(),
            id: PersonId::new(&world.sue).unwrap(),
        },
    };
    let reply = Message {
        body: Document {
            blocks: vec![Block::Paragraph(vec![
                Inline::Mention(mention),
                Inline::Text(" yes".to_owned()),
            ])],
        },
        thread: Some(question.id.clone()),
        ..Message::default()
    };
    let reply = running.say_of("anna", CHANNEL, Content::Message(reply)).await;
    let posted_reply = at(&world, &reply);
    assert_eq!(posted_reply["replyToId"], sue.to_string());
    assert_eq!(posted_reply["mentions"][0]["mentioned"]["user"]["id"], json!(world.sue));
    running
        .settle(hub.outbound_of("anna", CHANNEL, edit(&id, "better said")))
        .await;
    assert_eq!(at(&world, &id)["body"]["content"], "<p>better said</p>");
    running
        .settle(hub.outbound_of("anna", CHANNEL, thumb(&question.id, true)))
        .await;
    let reactions = |id: &MessageId| at(&world, id)["reactions"].as_array().unwrap().clone();
    assert_eq!(reactions(&question.id)[0]["user"]["user"]["id"], json!(anna));
    running
        .settle(hub.outbound_of("anna", CHANNEL, thumb(&question.id, false)))
        .await;
    assert_eq!(reactions(&question.id), Vec::<Value>::new());
    let target = reply.clone();
    running
        .settle(hub.outbound_of("anna", CHANNEL, Content::Delete { target, reason: None }))
        .await;
    assert!(!at(&world, &reply)["deletedDateTime"].is_null());
    everything_told(&world, &running, "the end").await;
    let back: Vec<Event> = hub.events().into_iter().filter(is_anna).collect();
    assert!(back.is_empty(), "{back:?}");
    assert_eq!(hub.texts(), ["a question", "the end"]);
    assert!(posted(teams, channel).is_empty(), "the bot said nothing");
    running.stop().await;
    assert_eq!(teams.violations(), []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_they_do_in_teams_is_done_by_who_they_are_on_matrix() {
    let mut world = world().await;
    let anna = with_anna(&mut world);
    let running = world.start().await;
    let hub = Arc::clone(&running.hub);
    let (teams, channel) = (&world.teams, &world.channel);
    let id = teams.say(channel, &anna, "typed in Teams");
    assert!(is_anna(&hub.hear("typed in Teams").await));
    teams.edit(channel, id, "typed better");
    teams.react(channel, id, &anna, "heart", true);
    let theirs = |wanted: fn(&Content) -> bool| move |event: &Event| is_anna(event) && wanted(&event.content);
    let edited = theirs(|content| matches!(content, Content::Edit { .. }));
    let reacted = theirs(|content| matches!(content, Content::React { .. }));
    hub.wait_for("her edit and reaction", |hub| {
        hub.count(edited) == 1 && hub.count(reacted) == 1
    })
    .await;
    // What she changes in Teams of what she said on Matrix is told.
    let own = running.say_of("anna", CHANNEL, message("from Matrix")).await;
    teams.edit(channel, own.as_str().parse().unwrap(), "changed in Teams");
    hub.wait_for("the other edit", |hub| hub.count(edited) == 2).await;
    running
        .settle(hub.outbound_of("anna", CHANNEL, thumb(&own, true)))
        .await;
    teams.react(channel, own.as_str().parse().unwrap(), &anna, "👍", false);
    let unreacted = theirs(|content| matches!(content, Content::Unreact { .. }));
    hub.wait_for("taken back in Teams", |hub| hub.count(unreacted) == 1)
        .await;
    let draft = Draft {
        html: "<p><at id=\"0\">Anna in Teams</at> look</p>".to_owned(),
        mentions: vec![anna.clone()],
        ..Draft::default()
    };
    teams.say_with(channel, &world.sue, draft);
    let event = hub.hear("Anna in Teams look").await;
    let mentions = event.content.message().unwrap().body.mentions();
    assert!(
        matches!(&mentions[0].target, MentionTarget::Person { network, .. } if network.is_matrix()),
        "{mentions:?}"
    );
    let joined =
        |event: &Event| matches!(&event.content, Content::Membership { person, .. } if person.id.as_str() == anna);
    assert_eq!(hub.count(joined), 0, "who is on Matrix comes and goes there");
    running.stop().await;
    assert_eq!(teams.violations(), []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_login_is_shown_the_bot_goes_on_and_nothing_is_lost() {
    let mut world = world().await;
    let anna = with_anna(&mut world);
    let running = world.start().await;
    let hub = Arc::clone(&running.hub);
    let (teams, channel) = (&world.teams, &world.channel);
    let own = running.say_of("anna", CHANNEL, message("as myself")).await;
    teams.revoke_login(&anna);
    let relayed = running.say_of("anna", CHANNEL, message("relayed")).await;
    assert_eq!(
        at(&world, &relayed)["from"]["application"]["id"],
        json!(teams.app().app_id)
    );
    assert_eq!(posted(teams, channel), ["<p><b>anna:</b> relayed</p>"]);
    // What she posted herself cannot be changed any more: the new wording is said below it.
    let receipt = running
        .settle(hub.outbound_of("anna", CHANNEL, edit(&own, "changed")))
        .await;
    let correction = at(&world, &receipt.ids[0]);
    assert_eq!(correction["replyToId"], own.as_str());
    assert!(
        correction["body"]["content"]
            .as_str()
            .unwrap()
            .contains("anna (corrected):")
    );
    let probes = running.session.probe().await;
    let probe = probes.iter().find(|probe| probe.subject.contains("@anna")).unwrap();
    assert_eq!(probe.status, ProbeStatus::Warning, "{probe}");
    teams.say(channel, &anna, "still typing");
    let typed = hub.hear("still typing").await;
    assert_eq!(typed.sender.id.as_str(), anna, "she is somebody in Teams again");
    running
        .settle(hub.outbound_of("anna", CHANNEL, thumb(&typed.id, true)))
        .await;
    let reactions = || at(&world, &typed.id)["reactions"].as_array().unwrap().clone();
    assert!(!reactions()[0]["user"]["application"].is_null(), "the bot's");
    running.stop().await;
    // Another login is taken at the next start.
    world.section["people"]["@anna:example.org"]["refresh_token"] = json!(world.teams.login_of(&anna));
    let running = world.start_with(hub).await;
    let id = running.say_of("anna", CHANNEL, message("myself again")).await;
    assert_eq!(*author(&at(&world, &id)), json!(anna));
    let hub = Arc::clone(&running.hub);
    running
        .settle(hub.outbound_of("anna", CHANNEL, thumb(&typed.id, false)))
        .await;
    let left = at(&world, &typed.id)["reactions"].as_array().unwrap().len();
    assert_eq!(left, 0, "who put it takes it back");
    running.stop().await;
    assert_eq!(world.teams.violations(), []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_newest_refresh_token_outlives_restarts_and_is_never_kept_in_the_clear() {
    let mut world = world().await;
    let anna = with_anna(&mut world);
    let configured = world.section["people"]["@anna:example.org"]["refresh_token"].clone();
    let running = world.start().await;
    let hub = Arc::clone(&running.hub);
    running.say_of("anna", CHANNEL, message("one")).await;
    running.stop().await;
    let kept = hub.recall("login/@anna:example.org").unwrap();
    assert!(!String::from_utf8_lossy(&kept).contains("refresh"), "sealed");
    assert!(configured.as_str().unwrap().starts_with("refresh"));
    // The configured one was used up: only the kept one can be good.
    let running = world.start_with(hub).await;
    world.teams.expire_tokens();
    let id = running.say_of("anna", CHANNEL, message("two")).await;
    assert_eq!(*author(&at(&world, &id)), json!(anna));
    running.stop().await;
    assert_eq!(world.teams.violations(), []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unknown_outcome_is_found_and_never_told_as_something_new() {
    let mut world = world().await;
    let anna = with_anna(&mut world);
    let running = world.start().await;
    let hub = Arc::clone(&running.hub);
    world.teams.fail_next("graph.messages", Fault::DoneThen(504), 1);
    let id = running.say_of("anna", CHANNEL, message("once")).await;
    assert_eq!(*author(&at(&world, &id)), json!(anna));
    // The same words, by herself: those are new.
    world.teams.say(&world.channel, &anna, "once");
    hub.hear("once").await;
    everything_told(&world, &running, "the end").await;
    assert_eq!(hub.texts(), ["once", "the end"]);
    let history = world.teams.history(&world.channel);
    let said = history
        .iter()
        .filter(|one| one["body"]["content"] == "<p>once</p>")
        .count();
    assert_eq!(said, 2, "posted once and typed once");
    running.stop().await;
    assert_eq!(world.teams.violations(), []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_they_are_no_member_the_bot_speaks_and_pictures_are_theirs_where_they_are() {
    let mut world = world().await;
    let anna = with_anna(&mut world);
    let running = world.start().await;
    let hub = Arc::clone(&running.hub);
    let picture = hub.add_file("cat.png", "image/png", AttachmentKind::Image, b"pixels");
    let with_picture = Message {
        attachments: vec![picture],
        ..Message::plain("look")
    };
    let id = running.say_of("anna", CHANNEL, Content::Message(with_picture)).await;
    let posted_picture = at(&world, &id);
    assert_eq!(*author(&posted_picture), json!(anna));
    assert!(
        posted_picture["body"]["content"]
            .as_str()
            .unwrap()
            .contains("/hostedContents/"),
        "{posted_picture}"
    );
    world.teams.leave(world.teams.team(), &anna);
    let id = running.say_of("anna", CHANNEL, message("from outside")).await;
    assert_eq!(
        at(&world, &id)["from"]["application"]["id"],
        json!(world.teams.app().app_id)
    );
    running.stop().await;
    assert_eq!(world.teams.violations(), []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn much_that_only_the_sweep_shows_is_recognised_and_a_change_by_themselves_is_told() {
    let mut world = world().await;
    let anna = with_anna(&mut world);
    world.section["subscriptions"] = json!(false);
    world.section["sweep_seconds"] = json!(3600);
    let hub = Hub::new("acme");
    let section = world.section.clone();
    let factory = viaduct_teams::TeamsFactory::default();
    let running = hub.start(&factory, &section, &[CHANNEL]).await;
    let begun = || hub.recall("memory/Acme/project").is_some();
    viaduct_tests::wait::wait_until("the first sweep", PATIENCE, begun)
        .await
        .unwrap();
    world.teams.spoil(viaduct_tests::teams::Feed::Activities, 100, 0);
    let mut last = None;
    for number in 0..60 {
        last = Some(
            running
                .say_of("anna", CHANNEL, message(&format!("word {number}")))
                .await,
        );
    }
    let last = last.unwrap();
    world
        .teams
        .edit(&world.channel, last.as_str().parse().unwrap(), "changed by herself");
    running.stop().await;
    world.teams.spoil(viaduct_tests::teams::Feed::Activities, 0, 0);
    let running = hub.start(&factory, &section, &[CHANNEL]).await;
    let edited =
        |event: &Event| matches!(&event.content, Content::Edit { target, .. } if *target == last) && is_anna(event);
    hub.wait_for("her change", |hub| hub.count(edited) == 1).await;
    everything_told(&world, &running, "the end").await;
    assert_eq!(
        hub.texts(),
        ["changed by herself", "the end"],
        "nothing that was posted came back"
    );
    assert_eq!(*author(&at(&world, &last)), json!(anna));
    running.stop().await;
    assert_eq!(world.teams.violations(), []);
}
