//! Chats of one person with a bot, and what people let an app do in their name.

use serde_json::{Value, json};
use viaduct_tests::teams::{Control, TeamsStandIn};

use super::super::{BOUND, Side, client, encoded, message, ready};

fn opening(teams: &TeamsStandIn, user: &str, tenant: &str) -> Value {
    json!({ "bot": { "id": teams.app().bot_id }, "members": [{ "id": teams.mri(user) }], "tenantId": tenant })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bot_writes_to_who_has_the_app_and_reads_it_only_with_consent_for_all() -> anyhow::Result<()> {
    let (teams, bot, _, sue) = ready().await?;
    let side = Side::connector(&teams).await?;
    let tenant = teams.app().tenant.clone();
    let open = async |tenant: &str| {
        side.call("POST", "v3/conversations", opening(&teams, &sue, tenant))
            .await
    };
    teams.set_personal(&sue, false);
    assert_eq!(open(&tenant).await?.0, 403);
    teams.set_personal(&sue, true);
    assert_eq!(open("another").await?.0, 400);
    let (status, chat) = open(&tenant).await?;
    let chat = chat["id"].as_str().unwrap_or_default().to_owned();
    assert_eq!(
        (status, chat.starts_with("a:"), open(&tenant).await?.1["id"] == *chat),
        (201, true, true)
    );
    assert_eq!(teams.direct(&sue), chat);
    let path = format!("v3/conversations/{}/activities", encoded(&chat));
    assert_eq!(side.call("POST", &path, message("hello")).await?.0, 201);
    teams.say(&chat, &sue, "hello, bot");
    bot.hears("her words", |value| {
        value["text"] == "hello, bot" && value["conversation"]["conversationType"] == "personal"
    })
    .await?;
    let graph = Side::graph(&teams).await?;
    let named = format!("chats/19:{sue}_{}@unq.gbl.spaces/messages", teams.app().app_id);
    assert_eq!(graph.call("GET", &named, Value::Null).await?.0, 403);
    teams.set_consent("Chat.Read.All", true);
    assert_eq!(graph.get(&named).await?["value"].as_array().map(Vec::len), Some(2));
    let by_the_other_name = format!("chats/{}/messages", encoded(&chat));
    assert_eq!(graph.call("GET", &by_the_other_name, Value::Null).await?.0, 404);
    teams.uninstall(&chat);
    assert_eq!(side.call("POST", &path, message("still there?")).await?.0, 403);
    assert_eq!(open(&tenant).await?.0, 403);
    teams.settled(BOUND).await?;
    assert_eq!(teams.violations(), []);
    Ok(())
}

/// What a refresh token is exchanged for.
async fn exchanged(teams: &Control, refresh: &str, scope: &str) -> anyhow::Result<(u16, Value)> {
    let url = format!("{}{}/oauth2/v2.0/token", teams.login_url(), teams.app().tenant);
    let form = [
        ("grant_type", "refresh_token"),
        ("refresh_token", refresh),
        ("client_id", &teams.app().app_id),
        ("client_secret", &teams.app().secret),
        ("scope", scope),
    ];
    let response = client()?.post(url).form(&form).send().await?;
    Ok((response.status().as_u16(), response.json().await?))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_token_is_good_once_and_tokens_do_what_was_allowed() -> anyhow::Result<()> {
    let (teams, _bot, channel, sue) = ready().await?;
    let refresh = teams.login_of(&sue);
    let scope = "https://graph.microsoft.com/ChannelMessage.Send https://graph.microsoft.com/User.Read offline_access";
    let (status, tokens) = exchanged(&teams, &refresh, scope).await?;
    assert_eq!(status, 200, "{tokens}");
    assert_eq!(exchanged(&teams, &refresh, scope).await?.0, 400, "used up");
    let person = Side {
        token: tokens["access_token"].as_str().unwrap_or_default().to_owned(),
        ..Side::graph(&teams).await?
    };
    let app = Side::graph(&teams).await?;
    assert_eq!(person.get("me").await?["id"], json!(sue));
    assert_eq!(app.call("GET", "me", Value::Null).await?.0, 400);
    let path = format!(
        "teams/{}/channels/{}/messages",
        teams.group(teams.team()),
        encoded(&channel)
    );
    let content = |html: &str| json!({ "body": { "contentType": "html", "content": html } });
    let mut with_picture = content("<p>look<img src=\"../hostedContents/1/$value\" alt=\"cat\"></p>");
    with_picture["hostedContents"] = json!([{
        "@microsoft.graph.temporaryId": "1", "contentBytes": "cGl4ZWxz", "contentType": "image/png",
    }]);
    let (status, said) = person.call("POST", &path, with_picture.clone()).await?;
    assert_eq!((status, &said["from"]["user"]["id"]), (201, &json!(sue)));
    assert!(
        said["body"]["content"]
            .as_str()
            .unwrap_or_default()
            .contains("/hostedContents/")
    );
    with_picture["body"]["content"] = json!("<p>the picture is not shown</p>");
    assert_eq!(person.call("POST", &path, with_picture).await?.0, 400);
    assert_eq!(app.call("POST", &path, content("<p>as an app</p>")).await?.0, 403);
    let one = format!("{path}/{}", said["id"].as_str().unwrap_or_default());
    assert_eq!(
        person.call("PATCH", &one, content("<p>changed</p>")).await?.0,
        403,
        "not allowed"
    );
    let next = tokens["refresh_token"].as_str().unwrap_or_default();
    assert_eq!(exchanged(&teams, next, scope).await?.0, 200);
    let another = teams.login_of(&sue);
    teams.revoke_login(&sue);
    assert_eq!(exchanged(&teams, &another, scope).await?.0, 400);
    assert_eq!(person.call("GET", "me", Value::Null).await?.0, 401);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn cards_are_held_against_what_teams_shows() -> anyhow::Result<()> {
    let (teams, _bot, channel, _) = ready().await?;
    let side = Side::connector(&teams).await?;
    let with = |body: Value| {
        let card = json!({ "type": "AdaptiveCard", "version": "1.5", "body": body });
        let mut opening = super::super::root(&teams, &channel, "");
        opening["activity"] = json!({
            "type": "message",
            "attachments": [{ "contentType": "application/vnd.microsoft.card.adaptive", "content": card }],
        });
        opening
    };
    let good = json!([{ "type": "RichTextBlock", "inlines": [{ "type": "TextRun", "text": "hello" }] }]);
    assert_eq!(side.call("POST", "v3/conversations", with(good)).await?.0, 201);
    assert_eq!(teams.violations(), []);
    let large = json!([{ "type": "TextBlock", "text": "x".repeat(30_000) }]);
    assert_eq!(side.call("POST", "v3/conversations", with(large)).await?.0, 413);
    let strange = json!([{ "type": "Marquee" }, { "type": "Image", "url": "javascript:x" }]);
    side.call("POST", "v3/conversations", with(strange)).await?;
    assert_eq!(teams.violations().len(), 2, "{:?}", teams.violations());
    Ok(())
}
