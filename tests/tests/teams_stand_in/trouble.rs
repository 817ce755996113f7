//! What goes wrong on demand.

use std::time::Duration;

use serde_json::json;
use viaduct_tests::teams::{Fault, Limits, TeamsStandIn};

use super::super::{Side, encoded, message, ready, root};

#[tokio::test(flavor = "multi_thread")]
async fn calls_fail_as_asked_and_are_done_or_not() -> anyhow::Result<()> {
    let (teams, _bot, channel, _) = ready().await?;
    let side = Side::connector(&teams).await?;
    for status in [412, 500, 502, 504] {
        teams.fail_next("connector", Fault::status(status), 1);
        let (found, _) = side
            .call("POST", "v3/conversations", root(&teams, &channel, "x"))
            .await?;
        assert_eq!(found, status);
    }
    assert_eq!(teams.posted(&channel).len(), 0, "nothing of that is done");
    teams.fail_next("connector.create", Fault::DoneThen(502), 1);
    assert_eq!(
        side.call("POST", "v3/conversations", root(&teams, &channel, "1"))
            .await?
            .0,
        502
    );
    teams.fail_next("connector.create", Fault::CutAnswer, 1);
    assert!(
        side.call("POST", "v3/conversations", root(&teams, &channel, "2"))
            .await
            .is_err()
    );
    teams.fail_next("connector.create", Fault::LoseAnswer, 1);
    let asked = side
        .client
        .post(format!("{}v3/conversations", side.base))
        .bearer_auth(&side.token);
    let lost = asked
        .json(&root(&teams, &channel, "3"))
        .timeout(Duration::from_millis(300))
        .send()
        .await;
    assert!(lost.is_err_and(|error| error.is_timeout()));
    assert_eq!(teams.posted(&channel).len(), 3, "all of that is done");
    teams.fail_next(
        "connector.create",
        Fault::Status {
            status: 429,
            retry_after: Some(7),
        },
        1,
    );
    let asked = side
        .client
        .post(format!("{}v3/conversations", side.base))
        .bearer_auth(&side.token);
    let limited = asked.json(&root(&teams, &channel, "4")).send().await?;
    assert_eq!(
        (limited.status().as_u16(), limited.headers()["retry-after"].to_str()?),
        (429, "7")
    );
    assert_eq!(teams.calls("connector.create").len(), 8);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_can_be_too_large() -> anyhow::Result<()> {
    let (teams, _bot, channel, _) = ready().await?;
    let side = Side::connector(&teams).await?;
    let large = "x".repeat(100 * 1024);
    let (status, answer) = side
        .call("POST", "v3/conversations", root(&teams, &channel, &large))
        .await?;
    assert_eq!(
        (status, answer["error"]["code"].as_str()),
        (413, Some("MessageSizeTooBig"))
    );
    let mut picture = message("look");
    picture["attachments"] =
        json!([{ "contentType": "image/png", "contentUrl": format!("data:image/png;base64,{large}") }]);
    let mut body = root(&teams, &channel, "");
    body["activity"] = picture;
    assert_eq!(
        side.call("POST", "v3/conversations", body).await?.0,
        201,
        "pictures do not count"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn windows_hold_for_each_conversation() -> anyhow::Result<()> {
    let teams = TeamsStandIn::start().await?;
    let hour = Duration::from_hours(1);
    teams.set_limits(Limits {
        send: vec![(3, hour)],
        graph_channel: vec![(2, hour)],
        ..Limits::default()
    });
    let channel = teams.team().to_owned();
    let side = Side::connector(&teams).await?;
    let first = side.post(&teams, &channel, "1").await?;
    let path = format!(
        "v3/conversations/{}/activities",
        encoded(&format!("{channel};messageid={first}"))
    );
    assert_eq!(side.call("POST", &path, message("2")).await?.0, 201);
    assert_eq!(side.call("PUT", &format!("{path}/{first}"), message("3")).await?.0, 200);
    let asked = side
        .client
        .post(format!("{}{path}", side.base))
        .bearer_auth(&side.token);
    let refused = asked.json(&message("4")).send().await?;
    assert_eq!(refused.status(), 429);
    let wait: u64 = refused.headers()["retry-after"].to_str()?.parse()?;
    assert!((3590..=3600).contains(&wait), "{wait}");
    let graph = Side::graph(&teams).await?;
    let path = format!("teams/{}/channels/{channel}/messages", teams.group(&channel));
    let mut found = Vec::new();
    for _ in 0..3 {
        found.push(graph.call("GET", &path, serde_json::Value::Null).await?.0);
    }
    assert_eq!(found, [200, 200, 429]);
    assert_eq!(teams.limited(), 2);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_do_the_same_over_http() -> anyhow::Result<()> {
    let (teams, bot, channel, _) = ready().await?;
    let client = super::super::client()?;
    let command = async |body: serde_json::Value| -> anyhow::Result<serde_json::Value> {
        Ok(client
            .post(format!("{}/control", teams.url()))
            .json(&body)
            .send()
            .await?
            .json()
            .await?)
    };
    let tom = command(json!({ "do": "add_user", "name": "Tom" })).await?["user"].clone();
    let said = command(json!({ "do": "say", "channel": channel, "user": tom, "text": "by hand" })).await?["id"].clone();
    bot.hears("it", |value| value["text"] == "by hand").await?;
    assert_eq!(
        command(json!({ "do": "edit", "channel": channel, "id": said, "text": "new" })).await?["ok"],
        true
    );
    let history = command(json!({ "do": "history", "channel": channel })).await?;
    assert_eq!(history["messages"][0]["body"]["content"], "<p>new</p>");
    assert_eq!(
        command(json!({ "do": "show" })).await?["app"]["app_id"],
        teams.app().app_id
    );
    assert!(command(json!({ "do": "nonsense" })).await?["error"].is_string());
    Ok(())
}
