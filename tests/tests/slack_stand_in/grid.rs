//! An app that is installed for a whole organisation.

use serde_json::{Value, json};
use viaduct_tests::slack::{Kind, SlackStandIn};

use super::super::bot;

#[tokio::test]
async fn an_organisations_app_names_the_workspace_in_which_it_lists() -> anyhow::Result<()> {
    let slack = SlackStandIn::start().await?;
    let berlin = slack.add_team("Berlin");
    let strange = slack.add_team("Globex");
    let lab = slack.add_channel_to(&berlin, "lab", Kind::Public);
    slack.add_channel("general", Kind::Public);
    let alone = bot(&slack, "conversations.list", json!({})).await?;
    assert_eq!(alone["channels"].as_array().map(Vec::len), Some(1), "{alone}");

    let organisation = slack.organise("Acme Group", &[&berlin]);
    let me = bot(&slack, "auth.test", json!({})).await?;
    assert_eq!(me["is_enterprise_install"], true);
    assert_eq!(
        (&me["team_id"], &me["enterprise_id"]),
        (&json!(organisation), &json!(organisation))
    );
    let teams = bot(&slack, "auth.teams.list", json!({})).await?;
    let ids: Vec<&Value> = teams["teams"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|team| &team["id"])
        .collect();
    assert!(
        ids.contains(&&json!(berlin)) && ids.contains(&&json!(slack.team())) && ids.len() == 2,
        "{teams}"
    );
    for method in [
        "conversations.list",
        "users.list",
        "usergroups.list",
        "users.conversations",
    ] {
        for (arguments, error) in [
            (json!({}), "missing_argument"),
            (json!({ "team_id": strange }), "team_access_not_granted"),
        ] {
            assert_eq!(bot(&slack, method, arguments).await?["error"], error, "{method}");
        }
        let named = bot(&slack, method, json!({ "team_id": berlin })).await?;
        assert_eq!(named["ok"], true, "{method}: {named}");
    }
    let there = bot(&slack, "conversations.list", json!({ "team_id": berlin })).await?;
    assert_eq!(there["channels"].as_array().map(Vec::len), Some(1), "{there}");
    assert_eq!(there["channels"][0]["id"], json!(lab));
    assert_eq!(slack.violations(), []);
    Ok(())
}
