//! What a bot posts, changes and asks for.

use serde_json::{Value, json};
use viaduct_tests::teams::{Draft, Kind, TeamsStandIn};

use super::super::{BOUND, Side, encoded, message, ready, root};

#[tokio::test(flavor = "multi_thread")]
async fn a_bot_posts_replies_changes_and_takes_back() -> anyhow::Result<()> {
    let (teams, bot, channel, sue) = ready().await?;
    let side = Side::connector(&teams).await?;
    let first = side.post(&teams, &channel, "<b>Ann</b> hello").await?;
    let conversation = encoded(&format!("{channel};messageid={first}"));
    let path = format!("v3/conversations/{conversation}/activities");
    let mut reply = message("hi <at>Sue Miller</at>");
    reply["entities"] = json!([{
        "type": "mention", "text": "<at>Sue Miller</at>", "mentioned": { "id": teams.mri(&sue), "name": "Sue Miller" },
    }]);
    let (status, answer) = side.call("POST", &path, reply).await?;
    assert_eq!(status, 201, "{answer}");
    let second = answer["id"].as_str().unwrap().to_owned();
    let posted = teams.posted(&channel);
    assert_eq!(posted[0]["body"]["content"], "<b>Ann</b> hello");
    assert_eq!(posted[1]["replyToId"], first.to_string());
    assert_eq!(posted[1]["body"]["content"], "hi <at id=\"0\">Sue Miller</at>");
    assert_eq!(posted[1]["mentions"][0]["mentioned"]["user"]["id"], *sue);
    assert_eq!(
        side.call("PUT", &format!("{path}/{second}"), message("changed"))
            .await?
            .0,
        200
    );
    let changed = teams.message(&channel, second.parse()?).unwrap();
    assert_eq!(changed["body"]["content"], "changed");
    assert!(changed["lastEditedDateTime"].is_string());
    assert_eq!(
        side.call("DELETE", &format!("{path}/{first}"), Value::Null).await?.0,
        200
    );
    assert_eq!(teams.posted(&channel).len(), 1);
    assert!(bot.of("message").is_empty(), "a bot does not hear itself");
    assert_eq!(teams.violations(), []);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_others_wrote_cannot_be_changed_and_other_places_not_reached() -> anyhow::Result<()> {
    let (teams, _bot, channel, sue) = ready().await?;
    let side = Side::connector(&teams).await?;
    let said = teams.say(&channel, &sue, "mine");
    let path = |channel: &str, id: u64| format!("v3/conversations/{}/activities/{id}", encoded(channel));
    let thread = format!("{channel};messageid={said}");
    assert_eq!(side.call("PUT", &path(&thread, said), message("x")).await?.0, 403);
    assert_eq!(side.call("DELETE", &path(&thread, said), Value::Null).await?.0, 403);
    assert_eq!(side.call("DELETE", &path(&thread, 5), Value::Null).await?.0, 404);
    let unknown = format!(
        "v3/conversations/{}/activities",
        encoded("19:nowhere@thread.tacv2;messageid=1")
    );
    assert_eq!(side.call("POST", &unknown, message("x")).await?.0, 404);
    let other = teams.add_team("Elsewhere");
    let (status, answer) = side.call("POST", "v3/conversations", root(&teams, &other, "x")).await?;
    assert_eq!(
        (status, answer["error"]["code"].as_str()),
        (403, Some("BotNotInConversationRoster"))
    );
    assert_eq!(teams.history(&channel).len(), 1);
    let nobody = Side {
        token: "none".to_owned(),
        ..side
    };
    assert_eq!(
        nobody
            .call("POST", "v3/conversations", root(&teams, &channel, "x"))
            .await?
            .0,
        401
    );
    assert_eq!(teams.violations(), []);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn members_teams_pictures_reactions_and_chats() -> anyhow::Result<()> {
    let (teams, bot, channel, sue) = ready().await?;
    let side = Side::connector(&teams).await?;
    let page = side
        .get(&format!(
            "v3/conversations/{}/pagedMembers?pageSize=1",
            encoded(&channel)
        ))
        .await?;
    assert_eq!(page["members"].as_array().unwrap().len(), 1);
    let token = page["continuationToken"].as_str().unwrap();
    let path = format!(
        "v3/conversations/{}/pagedMembers?pageSize=1&continuationToken={token}",
        encoded(&channel)
    );
    let rest = side.get(&path).await?;
    assert!(
        rest["continuationToken"].is_null() && rest["members"][0]["aadObjectId"] != page["members"][0]["aadObjectId"]
    );
    let member = side
        .get(&format!(
            "v3/conversations/{}/members/{}",
            encoded(&channel),
            encoded(&teams.mri(&sue))
        ))
        .await?;
    assert_eq!(
        (&member["name"], &member["aadObjectId"]),
        (&json!("Sue Miller"), &json!(sue))
    );
    let team = side.get(&format!("v3/teams/{}", encoded(teams.team()))).await?;
    assert_eq!(team["aadGroupId"], teams.group(teams.team()));
    let picture = Draft {
        html: "<p>look</p>".to_owned(),
        pictures: vec![("image/png".to_owned(), bytes::Bytes::from_static(b"pixels"))],
        ..Draft::default()
    };
    let id = teams.say_with(&channel, &sue, picture);
    let name = id.to_string();
    bot.hears("the picture", |value| value["id"] == *name).await?;
    let told = bot.of("message")[0].clone();
    let address = told["attachments"][0]["contentUrl"].as_str().unwrap();
    let response = side.client.get(address).bearer_auth(&side.token).send().await?;
    assert_eq!(response.bytes().await?, "pixels");
    assert_eq!(side.client.get(address).send().await?.status(), 401);
    let path = format!("v3/conversations/{}/activities/{id}/reactions/like", encoded(&channel));
    assert_eq!(side.call("PUT", &path, Value::Null).await?.0, 200);
    assert_eq!(
        teams.message(&channel, id).unwrap()["reactions"][0]["reactionType"],
        "like"
    );
    let chat = teams.add_chat("lunch", &[&sue]);
    let (status, _) = side
        .call(
            "POST",
            &format!("v3/conversations/{}/activities", encoded(&chat)),
            message("soup?"),
        )
        .await?;
    assert_eq!((status, teams.posted(&chat).len()), (201, 1));
    let private = json!({ "bot": { "id": teams.app().bot_id }, "members": [{ "id": teams.mri(&sue) }], "tenantId": teams.app().tenant });
    let (status, opened) = side.call("POST", "v3/conversations", private).await?;
    assert_eq!(status, 201);
    assert!(!opened["id"].as_str().unwrap().is_empty());
    teams.settled(BOUND).await?;
    assert_eq!(teams.violations(), []);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_microsoft_does_not_offer_is_noted() -> anyhow::Result<()> {
    let (teams, _bot, channel, _) = ready().await?;
    let side = Side::connector(&teams).await?;
    let noted = |teams: &TeamsStandIn| {
        teams
            .violations()
            .iter()
            .map(|one| one.what.clone())
            .collect::<Vec<_>>()
    };
    let mut activity = message("<table>x</table>");
    activity["entities"] =
        json!([{ "type": "mention", "text": "<at>Sue</at>", "mentioned": { "id": "29:x", "name": "Sue" } }]);
    let mut body = root(&teams, &channel, "");
    body["activity"] = activity;
    assert_eq!(side.call("POST", "v3/conversations", body).await?.0, 201);
    let found = noted(&teams);
    assert!(
        found.iter().any(|what| what.contains("does not hold the mention")),
        "{found:?}"
    );
    assert!(found.iter().any(|what| what.contains("<table>")), "{found:?}");
    assert_eq!(side.call("POST", "v3/nonsense", json!({})).await?.0, 404);
    assert!(noted(&teams).iter().any(|what| what.contains("nonsense")));
    if viaduct_tests::teams::Contract::get().is_some() {
        let mut odd = root(&teams, &channel, "x");
        odd["activity"]["txet"] = json!("x");
        odd["activity"]["text"] = json!(5);
        side.call("POST", "v3/conversations?nonsense=1", odd).await?;
        let found = noted(&teams);
        for what in [
            "activity.txet is not described",
            "activity.text is not of the type",
            "no query parameter nonsense",
        ] {
            assert!(found.iter().any(|found| found.contains(what)), "{what}: {found:?}");
        }
    }
    let chat = teams.add_channel("private", Kind::Private);
    assert!(side.post(&teams, &chat, "hello").await? > 0);
    Ok(())
}
