//! Graph: reading, files, and writing as a person.

use serde_json::{Value, json};
use viaduct_tests::teams::{Control, Draft, Kind, TeamsStandIn};

use super::super::{Side, ready};

fn place(teams: &TeamsStandIn, channel: &str) -> String {
    format!("teams/{}/channels/{channel}", teams.group(teams.team()))
}

fn ids(list: &Value) -> Vec<u64> {
    let id = |one: &Value| one["id"].as_str().unwrap().parse().unwrap();
    list["value"].as_array().unwrap().iter().map(id).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn history_comes_in_pages_and_delta_says_what_changed() -> anyhow::Result<()> {
    let (teams, _bot, channel, sue) = ready().await?;
    let side = Side::graph(&teams).await?;
    let path = place(&teams, &channel);
    let said: Vec<u64> = (0..5)
        .map(|number| teams.say(&channel, &sue, &number.to_string()))
        .collect();
    let reply = teams.reply(&channel, &sue, said[0], "reply");
    let first = side.get(&format!("{path}/messages?$top=3")).await?;
    assert_eq!(ids(&first), [said[4], said[3], said[2]]);
    let rest = side.get(first["@odata.nextLink"].as_str().unwrap()).await?;
    assert_eq!(ids(&rest), [said[1], said[0]]);
    assert!(rest["@odata.nextLink"].is_null());
    assert_eq!(
        ids(&side.get(&format!("{path}/messages/{}/replies", said[0])).await?),
        [reply]
    );
    assert_eq!(
        side.get(&format!("{path}/messages/{}/replies/{reply}", said[0]))
            .await?["replyToId"],
        said[0].to_string()
    );
    let delta = side.get(&format!("{path}/messages/delta?$top=4")).await?;
    assert_eq!(ids(&delta), said[..4]);
    let delta = side.get(delta["@odata.nextLink"].as_str().unwrap()).await?;
    assert_eq!(ids(&delta), [said[4]]);
    let link = delta["@odata.deltaLink"].as_str().unwrap().to_owned();
    assert!(ids(&side.get(&link).await?).is_empty());
    let since = side.get(&format!("{path}/messages/{}", said[4])).await?["lastModifiedDateTime"]
        .as_str()
        .unwrap()
        .to_owned();
    teams.edit(&channel, said[1], "new");
    teams.delete(&channel, said[2]);
    let delta = side.get(&link).await?;
    assert_eq!(ids(&delta), [said[1], said[2]]);
    assert!(delta["value"][1]["deletedDateTime"].is_string());
    assert_eq!(delta["value"][1]["body"]["content"], "");
    let filtered = side
        .get(&format!(
            "{path}/messages/delta?$filter=lastModifiedDateTime gt {since}"
        ))
        .await?;
    assert_eq!(ids(&filtered), [said[1], said[2]]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn teams_channels_people_and_consent_are_listed() -> anyhow::Result<()> {
    let (teams, _bot, channel, sue) = ready().await?;
    let side = Side::graph(&teams).await?;
    let group = teams.group(teams.team());
    let names = |list: &Value, field: &str| -> Vec<String> {
        let values = list["value"].as_array().unwrap().iter();
        values.map(|one| one[field].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(side.get(&format!("teams/{group}")).await?["displayName"], "Acme");
    let mut channels = names(&side.get(&format!("teams/{group}/channels")).await?, "displayName");
    channels.sort();
    assert_eq!(channels, ["General", "project"]);
    let mut people = names(
        &side.get(&format!("{}/members", place(&teams, &channel))).await?,
        "displayName",
    );
    people.sort();
    assert_eq!(people, ["Olga Owner", "Sue Miller"]);
    assert_eq!(
        side.get(&format!("users/{sue}?$select=id,displayName")).await?["displayName"],
        "Sue Miller"
    );
    let grants = names(
        &side.get(&format!("teams/{group}/permissionGrants")).await?,
        "permission",
    );
    assert!(grants.contains(&"ChannelMessage.Read.Group".to_owned()) && !grants.contains(&"User.Read.All".to_owned()));
    teams.uninstall(teams.team());
    assert_eq!(
        side.call("GET", &format!("teams/{group}/channels"), Value::Null)
            .await?
            .0,
        403
    );
    let nobody = Side {
        token: "none".to_owned(),
        ..side
    };
    assert_eq!(nobody.call("GET", "teams", Value::Null).await?.0, 401);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn files_go_up_in_pieces_and_come_down_without_a_token() -> anyhow::Result<()> {
    let (teams, _bot, channel, sue) = ready().await?;
    let side = Side::graph(&teams).await?;
    let folder = side.get(&format!("{}/filesFolder", place(&teams, &channel))).await?;
    let (drive, id) = (
        folder["parentReference"]["driveId"].as_str().unwrap(),
        folder["id"].as_str().unwrap(),
    );
    let begin = format!("drives/{drive}/items/{id}:/a b.txt:/createUploadSession");
    let content = vec![b'x'; 320 * 1024 + 5];
    let mut names = Vec::new();
    for _ in 0..2 {
        let asked = json!({ "item": { "@microsoft.graph.conflictBehavior": "rename" } });
        let (_, session) = side.call("POST", &begin, asked).await?;
        let url = session["uploadUrl"].as_str().unwrap();
        let mut last = Value::Null;
        for (from, piece) in [(0, &content[..320 * 1024]), (320 * 1024, &content[320 * 1024..])] {
            let range = format!("bytes {from}-{}/{}", from + piece.len() - 1, content.len());
            let request = side.client.put(url).header("content-range", range).body(piece.to_vec());
            last = request.send().await?.json().await?;
        }
        assert_eq!(last["size"], content.len());
        names.push(last["name"].as_str().unwrap().to_owned());
    }
    assert_eq!(names, ["a b.txt", "a b 1.txt"]);
    let (_, said) = teams.upload(&channel, &sue, "plan.pdf", "application/pdf", b"plan");
    let message = teams.message(&channel, said).unwrap();
    let address = message["attachments"][0]["contentUrl"].as_str().unwrap();
    let share = format!("{}shares/{}/driveItem/content", side.base, Control::share_name(address));
    let found = side.client.get(share).bearer_auth(&side.token).send().await?;
    assert_eq!(found.status(), 302);
    let location = found.headers()["location"].to_str()?.to_owned();
    assert_eq!(side.client.get(&location).send().await?.bytes().await?, "plan");
    assert_eq!(teams.violations(), []);
    side.client.get(&location).bearer_auth(&side.token).send().await?;
    assert_eq!(teams.violations().len(), 1, "a token does not belong there");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn pictures_in_texts_are_read_from_graph() -> anyhow::Result<()> {
    let (teams, _bot, channel, sue) = ready().await?;
    let side = Side::graph(&teams).await?;
    let draft = Draft {
        pictures: vec![("image/png".to_owned(), bytes::Bytes::from_static(b"pixels"))],
        ..Draft::default()
    };
    let id = teams.say_with(&channel, &sue, draft);
    let content = teams.message(&channel, id).unwrap()["body"]["content"]
        .as_str()
        .unwrap()
        .to_owned();
    let address = content.split('"').nth(1).unwrap();
    let picture = side.client.get(address).bearer_auth(&side.token).send().await?;
    assert_eq!(
        (picture.status().as_u16(), picture.bytes().await?),
        (200, "pixels".into())
    );
    let list = side
        .get(&format!("{}/messages/{id}/hostedContents", place(&teams, &channel)))
        .await?;
    assert_eq!(list["value"].as_array().unwrap().len(), 1);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_writes_as_themselves_and_an_app_does_not() -> anyhow::Result<()> {
    let (teams, bot, channel, sue) = ready().await?;
    let app = Side::graph(&teams).await?;
    let path = format!("{}/messages", place(&teams, &channel));
    let body = json!({ "body": { "contentType": "html", "content": "<p>myself</p>" } });
    assert_eq!(app.call("POST", &path, body.clone()).await?.0, 403);
    let url = format!("{}{}/oauth2/v2.0/token", teams.login_url(), teams.app().tenant);
    let code = teams.consent_of(&sue);
    let form = [
        ("grant_type", "authorization_code"),
        ("code", code.as_str()),
        ("client_id", &teams.app().app_id),
        ("client_secret", &teams.app().secret),
        (
            "scope",
            "https://graph.microsoft.com/ChannelMessage.Send https://graph.microsoft.com/ChannelMessage.ReadWrite offline_access",
        ),
    ];
    let tokens: Value = app.client.post(&url).form(&form).send().await?.json().await?;
    let person = Side {
        token: tokens["access_token"].as_str().unwrap().to_owned(),
        ..app
    };
    let (status, message) = person.call("POST", &path, body).await?;
    assert_eq!((status, &message["from"]["user"]["id"]), (201, &json!(sue)));
    let one = format!("{path}/{}", message["id"].as_str().unwrap());
    let edit = json!({ "body": { "contentType": "text", "content": "changed" } });
    assert_eq!(person.call("PATCH", &one, edit).await?.0, 204);
    assert_eq!(
        person
            .call("POST", &format!("{one}/setReaction"), json!({ "reactionType": "👍" }))
            .await?
            .0,
        204
    );
    assert_eq!(
        person.call("POST", &format!("{one}/softDelete"), Value::Null).await?.0,
        204
    );
    bot.hears("the deletion", |value| value["type"] == "messageDelete")
        .await?;
    let other = teams.add_channel("secret", Kind::Private);
    let hidden = format!("{}/messages", place(&teams, &other));
    assert_eq!(person.call("GET", &hidden, Value::Null).await?.0, 403);
    Ok(())
}
