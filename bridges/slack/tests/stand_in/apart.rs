//! What one workspace's credentials are good for in another: nothing.

use serde_json::json;
use viaduct_bridge::Connection;
use viaduct_bridge::testing::{Hub, PATIENCE};
use viaduct_slack::SlackFactory;
use viaduct_tests::slack::Kind;

use crate::common::stage::{NAME, message, section, workspace};

#[tokio::test]
async fn s40_one_workspaces_tokens_neither_send_nor_listen_in_another() {
    let (slack, channel, sue) = workspace().await;
    let globex = slack.add_team("Globex");
    let app = slack.install(&globex, "viaduct");
    let carol = slack.add_user_to(&globex, "carol");
    let lab = slack.add_channel_to(&globex, "lab", Kind::Private);
    for user in [&carol, &app.bot_user] {
        slack.join(&lab, user);
    }
    let ours = Hub::new("acme-slack");
    let acme = ours.start(&SlackFactory, &section(&slack), &[NAME]).await;
    let mut stolen = section(&slack);
    stolen["bot_token"] = json!(app.bot_token);
    stolen["app_token"] = json!(app.app_token);

    // The other workspace's tokens are good: in their own channel. Whoever has them asks for ours, by name and by id.
    let theirs = Hub::new("globex-slack");
    let thief = theirs.start(&SlackFactory, &stolen, &["#lab", NAME, &channel]).await;
    thief.say("#lab", "at home").await;
    assert_eq!(slack.posted(&lab), 1);
    for place in [NAME, &channel] {
        let error = thief.deliver(theirs.outbound(place, message("smuggled"))).await;
        assert!(error.is_err(), "{place}: {error:?}");
        let down = |hub: &Hub| {
            matches!(
                hub.standing(Some(place)),
                Some(Connection::Down(_) | Connection::AuthLost(_))
            )
        };
        theirs.wait_for("the channel is not theirs", down).await;
    }
    slack.say(&channel, &sue, "among ourselves");
    ours.hear("among ourselves").await;
    slack.say(&lab, &carol, "at home, too");
    theirs.hear("at home, too").await;
    slack.settled(PATIENCE).await.unwrap();
    assert!(
        !theirs.texts().iter().any(|text| text.contains("among")),
        "{:?}",
        theirs.texts()
    );
    assert_eq!(slack.posted(&channel), 0, "nothing was sent here");

    // A bot's token of one and an app's token of the other make no pair that gets anywhere.
    let mut mixed = section(&slack);
    mixed["bot_token"] = json!(app.bot_token);
    let session = Hub::new("mixed").open(&SlackFactory, &mixed, &[NAME]).await;
    let hub = session.hub.clone();
    assert!(session.deliver(hub.outbound(NAME, message("mixed"))).await.is_err());
    slack.say(&channel, &sue, "still among ourselves");
    ours.hear("still among ourselves").await;
    slack.settled(PATIENCE).await.unwrap();
    assert_eq!(slack.posted(&channel), 0);

    acme.say(NAME, "our own").await;
    assert_eq!(slack.posted(&channel), 1, "what is ours goes on");
    for running in [acme, thief, session] {
        running.stop().await;
    }
}
