//! Chats between a Matrix person and a person in Teams, through the bot.

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

use common::{World, edit, message, posted, world};
use viaduct_bridge::Failure;
use viaduct_bridge::testing::{Hub, PATIENCE, Running};
use viaduct_model::{Content, Event, Lookup, PersonId, Reaction};
use viaduct_tests::teams::{Draft, Fault};
use viaduct_tests::wait::wait_until;

const ANNA: &str = "@anna:example.org";
const BERT: &str = "@bert:example.org";

/// The chat of a Matrix person with Sue, as the hub names it.
async fn chat(running: &Running, world: &World, matrix: &str) -> String {
    let person = PersonId::new(&world.sue).unwrap();
    let channel = running.session.direct_channel(&person, matrix).await.unwrap();
    channel.to_string()
}

fn quoting(text: &str, quotes: u64) -> Draft {
    Draft {
        html: format!("<p>{text}</p>"),
        quotes: Some(quotes),
        ..Draft::default()
    }
}

fn is_delete(event: &Event) -> bool {
    matches!(event.content, Content::Delete { .. })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_matrix_person_begins_and_both_talk_change_and_react() {
    let world = world().await;
    let running = world.start().await;
    let (teams, hub) = (&world.teams, &running.hub);
    let anna = chat(&running, &world, ANNA).await;
    assert_eq!(anna, format!("{}:{ANNA}", world.sue));
    let first = running.say_of("anna", &anna, message("hello Sue")).await;
    let direct = teams.direct(&world.sue);
    assert_eq!(posted(teams, &direct), ["<p><b>anna:</b> hello Sue</p>"]);
    let id = teams.say(&direct, &world.sue, "hello Anna");
    let event = hub.hear("hello Anna").await;
    assert_eq!(event.direct_to.as_deref(), Some(ANNA));
    assert_eq!(event.place.channel.as_str(), anna);
    assert_eq!(event.sender.id.as_str(), world.sue);
    // Both change what they said.
    running
        .settle(hub.outbound_of("anna", &anna, edit(&first, "hello, Sue")))
        .await;
    assert_eq!(posted(teams, &direct), ["<p><b>anna:</b> hello, Sue</p>"]);
    teams.edit(&direct, id, "hello, Anna");
    hub.wait_for("her edit", |hub| {
        hub.count(|event| matches!(event.content, Content::Edit { .. })) == 1
    })
    .await;
    let reaction = Reaction {
        key: "👍".to_owned(),
        image: None,
    };
    let target = event.id.clone();
    running
        .settle(hub.outbound_of("anna", &anna, Content::React { target, reaction }))
        .await;
    assert_eq!(
        teams.message(&direct, id).unwrap()["reactions"][0]["reactionType"],
        "like"
    );
    teams.react(&direct, first.as_str().parse().unwrap(), &world.sue, "heart", true);
    let hearts = |event: &Event| {
        matches!(&event.content, Content::React { target, .. } if *target == first)
            && event.direct_to.as_deref() == Some(ANNA)
    };
    hub.wait_for("her reaction", |hub| hub.count(hearts) == 1).await;
    teams.delete(&direct, id);
    hub.wait_for("her deletion", |hub| hub.count(is_delete) == 1).await;
    let target = first.clone();
    running
        .settle(hub.outbound_of("anna", &anna, Content::Delete { target, reason: None }))
        .await;
    assert!(posted(teams, &direct).is_empty());
    assert!(
        hub.events()
            .iter()
            .filter(|event| event.direct_to.is_some())
            .all(|event| event.place.channel.as_str() == anna)
    );
    running.stop().await;
    assert_eq!(teams.violations(), []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_in_teams_begins_by_an_address_and_is_asked_otherwise() {
    let world = world().await;
    let running = world.start().await;
    let (teams, hub) = (&world.teams, &running.hub);
    let direct = teams.direct(&world.sue);
    let told = |count: usize| posted(teams, &direct).len() == count;
    wait_until("the greeting", PATIENCE, || told(1)).await.unwrap();
    assert!(posted(teams, &direct)[0].contains("@anna:example.org"));
    teams.say(&direct, &world.sue, "is somebody there?");
    wait_until("the question to whom", PATIENCE, || told(2)).await.unwrap();
    assert!(
        posted(teams, &direct)[1].contains("nobody"),
        "{:?}",
        posted(teams, &direct)
    );
    teams.say(&direct, &world.sue, "@anna:example.org are you there?");
    let event = hub.hear("@anna:example.org are you there?").await;
    assert_eq!(event.direct_to.as_deref(), Some(ANNA));
    // From then on it is clear.
    teams.say(&direct, &world.sue, "well?");
    assert_eq!(hub.hear("well?").await.direct_to.as_deref(), Some(ANNA));
    running
        .say_of("anna", event.place.channel.as_str(), message("yes"))
        .await;
    assert_eq!(posted(teams, &direct).len(), 3);
    assert!(!hub.texts().contains(&"is somebody there?".to_owned()));
    running.stop().await;
    assert_eq!(teams.violations(), []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn chats_of_several_with_one_person_are_kept_apart_also_after_a_restart() {
    let world = world().await;
    let running = world.start().await;
    let teams = &world.teams;
    let (anna, bert) = (chat(&running, &world, ANNA).await, chat(&running, &world, BERT).await);
    let from_anna = running.say_of("anna", &anna, message("from anna")).await;
    let from_bert = running.say_of("bert", &bert, message("from bert")).await;
    let hub = Arc::clone(&running.hub);
    running.stop().await;
    let running = world.start_with(Arc::clone(&hub)).await;
    let direct = teams.direct(&world.sue);
    let before = posted(teams, &direct).len();
    teams.say(&direct, &world.sue, "to whom?");
    wait_until("the question to whom", PATIENCE, || {
        posted(teams, &direct).len() > before
    })
    .await
    .unwrap();
    let id = |id: &viaduct_model::MessageId| id.as_str().parse::<u64>().unwrap();
    let answer = teams.say_with(&direct, &world.sue, quoting("to bert", id(&from_bert)));
    let event = hub.hear("to bert").await;
    assert_eq!(
        (event.direct_to.as_deref(), event.place.channel.as_str()),
        (Some(BERT), bert.as_str())
    );
    assert_eq!(event.content.message().unwrap().reply_to.as_ref(), Some(&from_bert));
    teams.say_with(&direct, &world.sue, quoting("to anna", id(&from_anna)));
    assert_eq!(hub.hear("to anna").await.direct_to.as_deref(), Some(ANNA));
    teams.delete(&direct, answer);
    hub.wait_for("the deletion", |hub| hub.count(is_delete) == 1).await;
    let deleted = hub.events().into_iter().find(is_delete).unwrap();
    assert_eq!(deleted.place.channel.as_str(), bert);
    assert!(!hub.texts().contains(&"to whom?".to_owned()), "it reached nobody");
    // One of them ends it: the other is the only one.
    running
        .session
        .leave(&viaduct_model::ChannelId::new(&anna).unwrap())
        .await
        .unwrap();
    teams.say(&direct, &world.sue, "who is left?");
    assert_eq!(hub.hear("who is left?").await.direct_to.as_deref(), Some(BERT));
    running.stop().await;
    assert_eq!(teams.violations(), []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_has_not_the_app_or_removes_it_cannot_be_written_to_and_everybody_is_told() {
    let world = world().await;
    let german = Hub::new("acme");
    german.set_language(viaduct_model::Language::German);
    let running = world.start_with(german).await;
    let (teams, hub) = (&world.teams, &running.hub);
    let person = PersonId::new(&world.sue).unwrap();
    teams.set_personal(&world.sue, false);
    let refused = running.session.direct_channel(&person, ANNA).await.unwrap_err();
    assert_eq!(refused.failure, Failure::Permanent, "{refused:?}");
    teams.set_personal(&world.sue, true);
    let anna = chat(&running, &world, ANNA).await;
    running.say_of("anna", &anna, message("hello")).await;
    let direct = teams.direct(&world.sue);
    teams.uninstall(&direct);
    let closed =
        |event: &Event| matches!(event.content, Content::Closed { .. }) && event.place.channel.as_str() == anna;
    hub.wait_for("the chat is closed", |hub| hub.count(closed) == 1).await;
    let refused = running
        .deliver(hub.outbound_of("anna", &anna, message("still there?")))
        .await
        .unwrap_err();
    assert_eq!(refused.failure, Failure::Permanent, "{refused:?}");
    let reason = hub.events().into_iter().find_map(|event| match event.content {
        Content::Closed { reason } => Some(reason),
        _ => None,
    });
    assert_eq!(
        reason.as_deref(),
        Some("die App wurde in Teams entfernt"),
        "in the hub's language"
    );
    teams.install(&direct);
    let opened = |event: &Event| matches!(event.content, Content::Opened) && event.place.channel.as_str() == anna;
    hub.wait_for("the chat is open again", |hub| hub.count(opened) == 1)
        .await;
    running.say_of("anna", &anna, message("there again")).await;
    running.stop().await;
    assert_eq!(teams.violations(), []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_missed_is_read_where_the_tenant_allows_it_and_outcomes_are_found() {
    let world = world().await;
    let running = world.start().await;
    let teams = &world.teams;
    let anna = chat(&running, &world, ANNA).await;
    running.say_of("anna", &anna, message("hello")).await;
    let direct = teams.direct(&world.sue);
    let channel = viaduct_model::ChannelId::new(&anna).unwrap();
    let hub = Arc::clone(&running.hub);
    // Nobody can say whether it arrived, and that is said.
    teams.fail_next("connector.reply", Fault::DoneThen(502), 1);
    let unclear = hub.outbound_of("anna", &anna, message("did it arrive?"));
    assert_eq!(
        running.deliver(unclear.clone()).await.unwrap_err().failure,
        Failure::UnknownOutcome
    );
    let found = running.session.find_delivered(&channel, &unclear.key).await;
    assert_eq!(found.unwrap_err().failure, Failure::UnknownOutcome);
    running.stop().await;
    let patience = viaduct_tests::teams::Patience {
        retries: 0,
        ..viaduct_tests::teams::Patience::default()
    };
    teams.set_patience(patience);
    teams.say(&direct, &world.sue, "while you were away");
    teams.settled(PATIENCE).await.unwrap();
    let running = world.start_with(Arc::clone(&hub)).await;
    let lookup = || running.session.capabilities(&channel).lookup;
    wait_until("it is known that the chat cannot be read", PATIENCE, || {
        lookup() == Lookup::None
    })
    .await
    .unwrap();
    assert!(!hub.texts().contains(&"while you were away".to_owned()));
    teams.set_consent("Chat.Read.All", true);
    assert_eq!(hub.hear("while you were away").await.direct_to.as_deref(), Some(ANNA));
    wait_until("outcomes can be found", PATIENCE, || lookup() == Lookup::Queryable)
        .await
        .unwrap();
    teams.fail_next("connector.reply", Fault::DoneThen(502), 1);
    running.say_of("anna", &anna, message("once")).await;
    assert_eq!(
        posted(teams, &direct)
            .iter()
            .filter(|text| text.contains("once"))
            .count(),
        1
    );
    // Of what was missed it may be unclear too to whom it is.
    let bert = chat(&running, &world, BERT).await;
    running.say_of("bert", &bert, message("me too")).await;
    running.stop().await;
    teams.say(&direct, &world.sue, "to whom?");
    teams.settled(PATIENCE).await.unwrap();
    let running = world.start_with(Arc::clone(&hub)).await;
    let asked = || {
        posted(teams, &direct)
            .iter()
            .filter(|text| text.contains("nobody"))
            .count()
            == 1
    };
    wait_until("the question to whom", PATIENCE, asked).await.unwrap();
    assert!(!hub.texts().contains(&"to whom?".to_owned()));
    running.stop().await;
    assert_eq!(teams.violations(), []);
}
