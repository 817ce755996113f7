//! The stand-in against the published description of the connector.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use viaduct_tests::teams::{Contract, Draft};

use super::super::{BOUND, Side, encoded, message, ready};

/// The description; none, with the reason printed, if this checkout has none beside it.
#[expect(clippy::print_stderr, reason = "the test runner shows why a test was skipped")]
fn contract() -> Option<&'static Contract> {
    let contract = Contract::get();
    if contract.is_none() {
        eprintln!("skipped: the published description is not at ../shared/specs/teams/connector.swagger.json");
    }
    contract
}

#[tokio::test(flavor = "multi_thread")]
async fn activities_are_as_published() -> anyhow::Result<()> {
    let Some(contract) = contract() else { return Ok(()) };
    let (teams, bot, channel, sue) = ready().await?;
    let side = Side::connector(&teams).await?;
    let own = side.post(&teams, &channel, "from the bot").await?;
    let said = teams.say(&channel, &sue, "hey");
    let draft = Draft {
        html: "<p><at id=\"0\">viaduct</at> hi</p>".to_owned(),
        mentions: vec![teams.app().bot_id.clone()],
        quotes: Some(said),
        pictures: vec![("image/png".to_owned(), bytes::Bytes::from_static(b"x"))],
        ..Draft::default()
    };
    teams.say_with(&channel, &sue, draft);
    teams.reply(&channel, &sue, own, "a reply");
    teams.upload(&channel, &sue, "a.txt", "text/plain", b"x");
    teams.edit(&channel, said, "new");
    teams.delete(&channel, said);
    teams.undelete(&channel, said);
    teams.react(&channel, own, &sue, "like", true);
    teams.react(&channel, own, &sue, "like", false);
    let tom = teams.add_user("Tom");
    teams.join(teams.team(), &tom);
    teams.leave(teams.team(), &tom);
    teams.rename_channel(&channel, "other");
    teams.rename_team(teams.team(), "Acme & Co");
    teams.set_archived(teams.team(), true);
    teams.set_archived(teams.team(), false);
    teams.set_deleted(&channel, true);
    teams.set_deleted(&channel, false);
    let chat = teams.add_chat("lunch", &[&sue]);
    teams.say(&chat, &sue, "soup?");
    teams.rename_channel(&chat, "dinner");
    let personal = teams.direct(&sue);
    teams.upload(&personal, &sue, "b.txt", "text/plain", b"x");
    teams.uninstall(&chat);
    teams.settled(BOUND).await?;
    let mut kinds = BTreeSet::new();
    for activity in bot.heard() {
        assert_eq!(contract.strays(&activity), Vec::<String>::new(), "{activity:#}");
        for name in [
            "type",
            "id",
            "timestamp",
            "serviceUrl",
            "channelId",
            "from",
            "conversation",
            "recipient",
            "channelData",
        ] {
            assert!(!activity[name].is_null(), "{name} is missing: {activity:#}");
        }
        let event = activity["channelData"]["eventType"].as_str().unwrap_or_default();
        kinds.insert(format!(
            "{} {event}{}",
            activity["type"].as_str().unwrap(),
            activity["action"].as_str().unwrap_or_default()
        ));
    }
    println!("{} activities of {} kinds", bot.heard().len(), kinds.len());
    assert!(kinds.len() >= 17, "{kinds:#?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_are_as_published() -> anyhow::Result<()> {
    let Some(contract) = contract() else { return Ok(()) };
    let (teams, _bot, channel, _) = ready().await?;
    let side = Side::connector(&teams).await?;
    let first = side.post(&teams, &channel, "hello").await?;
    let (_, reply) = side
        .call(
            "POST",
            &format!(
                "v3/conversations/{}/activities",
                encoded(&format!("{channel};messageid={first}"))
            ),
            message("x"),
        )
        .await?;
    assert_eq!(contract.strays_of("ResourceResponse", &reply), Vec::<String>::new());
    let (_, error) = side
        .call("GET", "v3/conversations/nowhere/members", Value::Null)
        .await?;
    assert_eq!(contract.strays_of("ErrorResponse", &error), Vec::<String>::new());
    let conversations = side.get("v3/conversations").await?;
    assert_eq!(
        contract.strays_of("ConversationsResult", &conversations),
        Vec::<String>::new()
    );
    assert_ne!(
        contract.strays_of("ErrorResponse", &json!({ "ok": false })),
        Vec::<String>::new()
    );
    Ok(())
}
