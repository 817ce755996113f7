//! An app that is installed for a whole organisation of an Enterprise Grid.

use std::collections::BTreeSet;

use serde_json::json;
use viaduct_bridge::testing::{Hub, PATIENCE};
use viaduct_bridge::{Connection, ProbeStatus};
use viaduct_slack::SlackFactory;
use viaduct_tests::slack::{Kind, SlackStandIn};
use viaduct_tests::wait::wait_until;

use crate::common::stage::{NAME, no_violations, section, workspace};

/// The workspaces that were named in the calls of a method.
fn named(slack: &SlackStandIn, method: &str) -> BTreeSet<String> {
    let calls = slack.calls(method);
    let team = |call: &viaduct_tests::slack::Call| call.arguments["team_id"].as_str().unwrap().to_owned();
    calls.iter().map(team).collect()
}

#[tokio::test]
async fn an_app_of_an_organisation_works_in_all_its_workspaces() {
    let (slack, channel, sue) = workspace().await;
    let berlin = slack.add_team("Berlin");
    slack.organise("Acme Group", &[&berlin]);
    let bob = slack.add_user_to(&berlin, "bob");
    let lab = slack.add_channel_to(&berlin, "lab", Kind::Private);
    for user in [&bob, &slack.app().bot_user] {
        slack.join(&lab, user);
    }
    let mut section = section(&slack);
    section["organisation"] = json!(true);
    section["directory"] = json!(true);
    let hub = Hub::new("acme-slack");
    let running = hub.start(&SlackFactory, &section, &[NAME, "#lab"]).await;

    slack.say(&channel, &sue, "in the first");
    slack.say(&lab, &bob, "in the second");
    hub.hear("in the first").await;
    let bobs = hub.hear("in the second").await;
    assert_eq!(bobs.place.channel.as_str(), "#lab");
    assert_eq!(
        (bobs.sender.id.as_str(), bobs.sender.name.as_str()),
        (bob.as_str(), "bob")
    );
    assert_eq!(bobs.sender.organisation.as_deref(), Some("Acme Group"));
    let id = running.say("#lab", "an answer").await;
    assert_eq!(
        slack.message(&lab, id.as_str().parse().unwrap()).unwrap()["username"],
        "anna"
    );

    let globex = slack.add_team("Globex");
    let carol = slack.add_user_to(&globex, "carol");
    assert!(slack.share(&lab, &globex) && slack.join(&lab, &carol));
    slack.say(&lab, &carol, "from elsewhere");
    let carols = hub.hear("from elsewhere").await;
    assert_eq!(carols.sender.id.as_str(), format!("{globex}/{carol}"));
    assert_eq!(carols.sender.name, "carol (Globex)");

    let both: BTreeSet<String> = [slack.team().to_owned(), berlin].into();
    for method in ["conversations.list", "users.list", "usergroups.list"] {
        let asked = || named(&slack, method) == both;
        wait_until(format!("{method} in both"), PATIENCE, asked).await.unwrap();
    }
    let probes = running.session.probe().await;
    let workspaces = probes.iter().find(|probe| probe.subject == "workspaces").unwrap();
    assert_eq!(workspaces.status, ProbeStatus::Ok);
    assert!(workspaces.finding.contains("Berlin"), "{workspaces:?}");
    running.stop().await;
    let refused: Vec<_> = slack
        .calls("")
        .into_iter()
        .filter(|call| !call.error.is_empty())
        .collect();
    assert!(refused.is_empty(), "{refused:#?}");
    no_violations(&slack);
}

#[tokio::test]
async fn a_name_that_two_workspaces_have_is_told_apart_by_workspace_or_id() {
    let (slack, channel, sue) = workspace().await;
    let berlin = slack.add_team("Berlin");
    slack.organise("Acme Group", &[&berlin]);
    let other = slack.add_channel_to(&berlin, "project", Kind::Private);
    for user in [&sue, &slack.app().bot_user] {
        slack.join(&other, user);
    }
    let mut section = section(&slack);
    section["organisation"] = json!(true);

    let hub = Hub::new("acme-slack");
    let running = hub.start(&SlackFactory, &section, &[NAME]).await;
    let unclear = |(channel, connection): &(Option<_>, Connection)| {
        let told = matches!(connection, Connection::AuthLost(reason) if reason.contains("by its id"));
        channel.is_some() && told
    };
    hub.until("it is not clear which", |_, reports| {
        reports.iter().any(unclear).then_some(())
    })
    .await;
    running.stop().await;

    section["workspaces"] = json!([berlin]);
    let hub = Hub::new("acme-slack");
    let running = hub.start(&SlackFactory, &section, &[NAME, &channel]).await;
    slack.say(&other, &sue, "named");
    slack.say(&channel, &sue, "numbered");
    assert_eq!(hub.hear("named").await.place.channel.as_str(), NAME);
    assert_eq!(hub.hear("numbered").await.place.channel.as_str(), channel);
    running.stop().await;
    no_violations(&slack);
}
