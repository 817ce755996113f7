//! What goes out: cards, files, faults, credentials; and the end of a mirror.

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
use std::time::Duration;

use common::{CHANNEL, edit, message, posted, world};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use viaduct_bridge::testing::{Hub, PATIENCE};
use viaduct_bridge::{Failure, MediaError, ProbeStatus};
use viaduct_model::{AttachmentKind, ChannelId, Content, Message};
use viaduct_teams::TeamsFactory;
use viaduct_tests::teams::{Draft, Fault, Feed};
use viaduct_tests::wait::wait_until;

fn with_file(text: &str, file: viaduct_model::Attachment) -> Content {
    Content::Message(Message {
        attachments: vec![file],
        ..Message::plain(text)
    })
}

fn card(message: &Value) -> Value {
    serde_json::from_str(message["attachments"][0]["content"].as_str().unwrap()).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_card_shows_name_and_picture_is_kept_by_edits_and_found_by_its_words() {
    let mut world = world().await;
    world.section["sender"] = json!("card");
    let running = world.start().await;
    let hub = Arc::clone(&running.hub);
    hub.publish(true);
    let (teams, channel) = (&world.teams, &world.channel);
    let first = running
        .say_of("anna", CHANNEL, message("**hello** [x](https://evil.example)"))
        .await;
    let posted_card = card(&teams.posted(channel)[0]);
    let columns = &posted_card["body"][0]["columns"];
    assert_eq!(
        columns[0]["items"][0]["url"],
        "https://files.example/mxc/example.org/face/avatar"
    );
    assert_eq!(columns[1]["items"][0]["inlines"][0]["text"], "anna");
    assert_eq!(
        posted_card["body"][1]["inlines"][0]["text"],
        "**hello** [x](https://evil.example)"
    );
    running
        .settle(hub.outbound_of("anna", CHANNEL, edit(&first, "changed")))
        .await;
    let changed = card(&teams.posted(channel)[0]);
    assert_eq!(changed["body"][0], posted_card["body"][0], "the card is kept");
    assert_eq!(changed["body"][1]["inlines"][0]["text"], "changed");
    // Nobody else's picture, no picture where nothing is published.
    hub.publish(false);
    running.say_of("bert", CHANNEL, message("me too")).await;
    let plain = card(&teams.posted(channel)[1]);
    assert_eq!(plain["body"][0]["columns"].as_array().unwrap().len(), 1);
    // A long one becomes several, and one whose outcome is unknown is found.
    let long = "word ".repeat(12_000);
    let receipt = running.settle(hub.outbound_of("anna", CHANNEL, message(&long))).await;
    assert!(receipt.ids.len() > 2, "{}", receipt.ids.len());
    let before = teams.posted(channel).len();
    teams.fail_next("connector.create", Fault::DoneThen(502), 1);
    running.say_of("anna", CHANNEL, message("once")).await;
    assert_eq!(teams.posted(channel).len(), before + 1);
    running.stop().await;
    assert_eq!(teams.violations(), []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_go_into_the_folder_in_pieces_and_are_links_where_the_permission_is_missing() {
    let world = world().await;
    let running = world.start().await;
    let hub = Arc::clone(&running.hub);
    hub.publish(true);
    let (teams, channel) = (&world.teams, &world.channel);
    // More than one piece of the upload.
    let large: Vec<u8> = (0..4_000_000_u32).map(|number| number.to_le_bytes()[0]).collect();
    let file = hub.add_file("plan: 1.bin", "application/octet-stream", AttachmentKind::File, &large);
    running
        .say_of("anna", CHANNEL, with_file("the plan", file.clone()))
        .await;
    let files = teams.files();
    assert_eq!((files[0].0.as_str(), files[0].1.len()), ("plan_ 1.bin", large.len()));
    assert_eq!(files[0].1, large);
    assert!(
        posted(teams, channel)[0].contains("/sharepoint/"),
        "{:?}",
        posted(teams, channel)
    );
    teams.set_consent("Files.ReadWrite.All", false);
    running.say_of("anna", CHANNEL, with_file("again", file.clone())).await;
    assert_eq!(teams.files().len(), 1);
    assert!(
        posted(teams, channel)[1].contains("https://files.example/"),
        "{:?}",
        posted(teams, channel)
    );
    hub.publish(false);
    let receipt = running
        .settle(hub.outbound_of("anna", CHANNEL, with_file("and again", file)))
        .await;
    assert_eq!(receipt.losses.len(), 1, "the sender is told: {receipt:?}");
    // A small picture stands in the message itself.
    let picture = hub.add_file("cat.png", "image/png", AttachmentKind::Image, b"pixels");
    running.say_of("anna", CHANNEL, with_file("look", picture)).await;
    let shown = posted(teams, channel).pop().unwrap();
    assert!(shown.contains("/hostedContents/"), "{shown}");
    running.stop().await;
    assert_eq!(teams.violations(), []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pictures_and_files_of_teams_can_be_read() {
    let world = world().await;
    let running = world.start().await;
    let hub = Arc::clone(&running.hub);
    let (teams, channel) = (&world.teams, &world.channel);
    let draft = Draft {
        html: "<p>look</p>".to_owned(),
        pictures: vec![("image/png".to_owned(), "pixels".into())],
        ..Draft::default()
    };
    teams.say_with(channel, &world.sue, draft.clone());
    teams.upload(channel, &world.sue, "plan.txt", "text/plain", b"the plan");
    // One of which only the sweep tells, so that Graph has the picture.
    teams.lose_next(Feed::Activities, 1);
    teams.lose_next(Feed::Notifications, 1);
    let late = Draft {
        html: "<p>late</p>".to_owned(),
        ..draft
    };
    teams.say_with(channel, &world.sue, late);
    let with_files = |event: &viaduct_model::Event| {
        event
            .content
            .message()
            .is_some_and(|message| !message.attachments.is_empty())
    };
    hub.wait_for("all three", |hub| hub.count(with_files) == 3).await;
    let mut read = Vec::new();
    for event in hub.events().into_iter().filter(with_files) {
        let file = event.content.message().unwrap().attachments[0].clone();
        let media = running.session.open_media(&file.media.locator).await.unwrap();
        let bytes: Vec<bytes::Bytes> = futures_util::TryStreamExt::try_collect(media.stream).await.unwrap();
        read.push(bytes.concat());
    }
    read.sort();
    assert_eq!(read, [b"pixels".to_vec(), b"pixels".to_vec(), b"the plan".to_vec()]);
    running.stop().await;
    assert_eq!(teams.violations(), []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_the_login_does_not_open_is_given_up() {
    let world = world().await;
    let running = world.start().await;
    let teams = &world.teams;
    let picture = format!("avatar {}", world.sue);
    // A token that is over is exchanged for a new one.
    let asked = teams.calls("graph.photo").len();
    teams.fail_next("graph.photo", Fault::status(401), 1);
    assert!(running.session.open_media(&picture).await.is_ok());
    assert_eq!(teams.calls("graph.photo").len(), asked + 2);
    // With the new one it is the same: nothing will change it.
    teams.fail_next("graph.photo", Fault::status(401), 2);
    let refused = running.session.open_media(&picture).await;
    assert!(matches!(refused, Err(MediaError::Refused(_))));
    assert_eq!(teams.calls("graph.photo").len(), asked + 4);
    assert!(running.session.open_media(&picture).await.is_ok());
    running.stop().await;
    assert_eq!(teams.violations(), []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_fault_has_its_class_and_nothing_is_posted_twice() {
    let world = world().await;
    let running = world.start().await;
    let hub = Arc::clone(&running.hub);
    let (teams, channel) = (&world.teams, &world.channel);
    let failure = async |fault: Fault| {
        teams.fail_next("connector.create", fault, 1);
        let failed = running.deliver(hub.outbound_of("anna", CHANNEL, message("x"))).await;
        failed.unwrap_err().failure
    };
    assert!(matches!(failure(Fault::status(412)).await, Failure::Retry(Some(_))));
    let limited = Fault::Status {
        status: 429,
        retry_after: Some(1),
    };
    assert!(matches!(failure(limited).await, Failure::Retry(Some(wait)) if wait >= Duration::from_secs(1)));
    assert!(matches!(failure(Fault::status(500)).await, Failure::UnknownOutcome));
    assert!(matches!(failure(Fault::status(504)).await, Failure::UnknownOutcome));
    assert!(matches!(failure(Fault::status(413)).await, Failure::TooLarge));
    assert!(matches!(failure(Fault::status(403)).await, Failure::Retry(Some(_))));
    assert!(posted(teams, channel).is_empty());
    // Done, though the answer says or shows nothing of it: looked up, and not done again.
    for fault in [Fault::DoneThen(502), Fault::DoneThen(504), Fault::CutAnswer] {
        let before = posted(teams, channel).len();
        teams.fail_next("connector.create", fault.clone(), 1);
        running.say_of("anna", CHANNEL, message("the same words")).await;
        assert_eq!(posted(teams, channel).len(), before + 1, "{fault:?}");
    }
    // Not done: looked up, and done.
    teams.fail_next("connector.create", Fault::status(502), 1);
    running.say_of("anna", CHANNEL, message("the same words")).await;
    assert_eq!(posted(teams, channel).len(), 4);
    running.stop().await;
    assert_eq!(teams.violations(), []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_does_as_well_as_a_secret_and_another_does_not() {
    let mut world = world().await;
    let directory = tempfile::tempdir().unwrap();
    let make = |name: &str| {
        let key = rcgen::KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, rcgen::RsaKeySize::_2048).unwrap();
        let certificate = rcgen::CertificateParams::new(vec!["viaduct.test".to_owned()]).unwrap();
        let certificate = certificate.self_signed(&key).unwrap();
        let path = directory.path().join(name);
        std::fs::write(&path, format!("{}{}", certificate.pem(), key.serialize_pem())).unwrap();
        (path, certificate)
    };
    let (good, certificate) = make("good.pem");
    let (other, _) = make("other.pem");
    world.teams.set_certificate(certificate.der());
    world.section.as_object_mut().unwrap().remove("secret");
    world.section["certificate_file"] = json!(good);
    let running = world.start().await;
    running.say_of("anna", CHANNEL, message("signed")).await;
    assert_eq!(posted(&world.teams, &world.channel), ["<p><b>anna:</b> signed</p>"]);
    running.stop().await;
    let tokens = world.teams.calls("login.token");
    assert!(tokens.iter().all(|call| call.status == 200));
    world.section["certificate_file"] = json!(other);
    let hub = Hub::new("acme");
    let session = hub
        .session(
            &TeamsFactory::default(),
            &world.section,
            &[CHANNEL],
            CancellationToken::new(),
        )
        .await;
    let probes = session.probe().await;
    assert_eq!(probes[0].status, ProbeStatus::Error, "{}", probes[0]);
    assert_eq!(world.teams.violations(), []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_end_of_a_mirror_ends_its_subscription_and_nothing_is_heard_any_more() {
    let world = world().await;
    let other = world.teams.add_channel("other", viaduct_tests::teams::Kind::Standard);
    let hub = Hub::new("acme");
    let channels = [CHANNEL, "Acme/other"];
    let running = hub.start(&TeamsFactory::default(), &world.section, &channels).await;
    let subscribed = |count: usize| move |teams: &viaduct_tests::teams::Control| teams.subscriptions().len() == count;
    wait_until("both subscriptions", PATIENCE, || subscribed(2)(&world.teams))
        .await
        .unwrap();
    let leave = async |name: &str| running.session.leave(&ChannelId::new(name).unwrap()).await;
    leave(CHANNEL).await.unwrap();
    assert!(subscribed(1)(&world.teams));
    world.teams.say(&world.channel, &world.sue, "not for you");
    world.teams.say(&other, &world.sue, "for you");
    hub.hear("for you").await;
    let refused = running
        .deliver(hub.outbound_of("anna", CHANNEL, message("too late")))
        .await;
    assert!(refused.is_err());
    // The last one: the app stays until the partner removes it, and that is said.
    let said = leave("Acme/other").await.unwrap_err();
    assert_eq!(said.failure, Failure::Unsupported, "{said:?}");
    assert!(world.teams.subscriptions().is_empty());
    assert_eq!(
        leave("Acme/other").await.unwrap_err().failure,
        Failure::Unsupported,
        "again is no harm"
    );
    assert_eq!(hub.texts(), ["for you"]);
    assert_eq!(hub.recall("at/Acme/other"), None);
    running.stop().await;
    assert_eq!(world.teams.violations(), []);
}
