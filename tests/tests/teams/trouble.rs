//! The hub away, the app refused or removed, an address that leads nowhere: what waits is not lost, and the operator sees why.

use serde_json::{Value, json};
use viaduct_tests::launch::free_port;
use viaduct_tests::people::{HEARD, Seen, TeamsMessage};
use viaduct_tests::wait::wait_for;
use viaduct_tests::world::made_room;

use super::talk::Talk;

#[tokio::test(flavor = "multi_thread")]
async fn what_is_said_while_the_hub_is_away_arrives_when_it_is_back() -> anyhow::Result<()> {
    let Some(mut talk) = Talk::start().await? else {
        return Ok(());
    };
    talk.ann_says("before").await?;
    let (earlier, reworded) = talk.sue_says("earlier").await?;
    let (wrong, withdrawn) = talk.sue_says("a mistake").await?;
    let (root, question) = talk.sue_says("any questions?").await?;
    assert!(talk.world.hub.stop(), "it ends by itself when asked to");
    for number in 0..5 {
        talk.ann
            .say(&talk.room, &format!("meanwhile on Matrix {number}"))
            .await?;
        talk.sue
            .say(&talk.channel, &format!("meanwhile in Teams {number}"))
            .await?;
    }
    talk.sue.reply(&talk.channel, root, "a reply meanwhile").await?;
    talk.sue.edit(&talk.channel, earlier, "earlier than that").await?;
    talk.sue.delete(&talk.channel, wrong).await?;
    talk.sue.react(&talk.channel, root, "like", true).await?;
    talk.world.hub.start().await?;

    talk.sue.hears(&talk.channel, "meanwhile on Matrix 4").await?;
    talk.ann.hears(&talk.room, "meanwhile in Teams 4").await?;
    let reply = talk.ann.hears(&talk.room, "a reply meanwhile").await?;
    assert_eq!(reply.thread(), question.id(), "{}", reply.event);
    let (ann, here) = (&talk.ann, &talk.room);
    ann.expect("the edit that was missed", here, |other| {
        other.rewords(reworded.id(), "earlier than that")
    })
    .await?;
    ann.expect("the deletion that was missed", here, |other| {
        other.redacts(withdrawn.id())
    })
    .await?;
    ann.expect("the reaction that was missed", here, |other| {
        other.reacts(question.id(), "👍")
    })
    .await?;
    for number in 0..5 {
        for side in ["on Matrix", "in Teams"] {
            talk.check_once(&[&format!("meanwhile {side} {number}")]).await?;
        }
    }
    talk.check_once(&["before", "any questions?", "a reply meanwhile"])
        .await?;
    let numbered: Vec<String> = (0..5).map(|number| format!("meanwhile in Teams {number}")).collect();
    let seen = talk.ann.seen(&talk.room);
    let bodies: Vec<&str> = seen
        .iter()
        .map(Seen::body)
        .filter(|body| body.starts_with("meanwhile in"))
        .collect();
    assert_eq!(bodies, numbered, "in order");
    talk.check_manners();
    Ok(())
}

/// The hub's own figures.
async fn figures(talk: &Talk) -> anyhow::Result<String> {
    viaduct_tests::launch::install_tls();
    let client = reqwest::Client::builder().no_proxy().build()?;
    let url = format!("{}/metrics", talk.world.hub.admin_url());
    Ok(client.get(url).send().await?.text().await?)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_is_refused_is_shown_and_what_waits_is_delivered_with_the_next() -> anyhow::Result<()> {
    let Some(mut talk) = Talk::start().await? else {
        return Ok(());
    };
    talk.ann_says("before").await?;
    let (well, told) = talk.doctor()?;
    assert!(well, "{told}");

    let secret = talk.teams.renew_secret();
    talk.teams.expire_tokens();
    for number in 0..3 {
        talk.ann.say(&talk.room, &format!("meanwhile {number}")).await?;
    }
    let told = wait_for("doctor telling that the app is refused", HEARD, || async {
        let (well, told) = talk.doctor().ok()?;
        (!well && told.contains("refuses our credentials")).then_some(told)
    })
    .await?;
    assert!(told.contains("secret"), "it says what to do: {told}");
    let old = talk.teams.app().secret.as_str();
    assert!(
        !told.contains(old) && !talk.world.hub.log().contains(old),
        "a secret is told to nobody"
    );
    wait_for("the figure for it", HEARD, || async {
        let figures = figures(&talk).await.ok()?;
        figures
            .contains(r#"viaduct_teams_usable{network="teams"} 0"#)
            .then_some(())
    })
    .await?;
    let failed = |seen: &Seen| seen.event.to_string().contains("FAIL_PERMANENT");
    assert_eq!(talk.ann.count_of(&talk.room, failed), 0, "nothing is given up");

    // The operator writes down the new secret.
    talk.world.hub.configure(|config| {
        if let Some(kept) = config
            .get_mut("networks")
            .and_then(|networks| networks.pointer_mut("/teams/secret"))
        {
            *kept = Value::String(secret);
        }
    })?;
    talk.world.hub.start().await?;
    talk.sue.hears(&talk.channel, "meanwhile 2").await?;
    talk.check_once(&["before", "meanwhile 0", "meanwhile 1", "meanwhile 2"])
        .await?;
    talk.sue_says("and so it goes on").await?;
    talk.check_manners();
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_that_was_removed_is_shown_and_what_waits_is_delivered_when_it_is_back() -> anyhow::Result<()> {
    let talk = Talk::start_with(|spec| {
        let room = json!({ "room": "#operators:localhost" });
        spec.with("admin", room)
            .mirror("operators", &made_room("operators"), &[("irc", "#operators")])
    });
    let Some(talk) = talk.await? else {
        return Ok(());
    };
    let operators = talk.ann.join("#operators:localhost").await?;
    talk.ann_says("before").await?;
    talk.sue_says("good morning").await?;
    talk.teams.uninstall(talk.teams.team());
    talk.ann.hears(&talk.room, "removed").await?;
    let told = talk.ann.hears(&operators, "removed").await?;
    assert!(told.body().contains("Acme/project"), "{}", told.body());
    let (well, told) = talk.doctor()?;
    assert!(!well && told.contains("install"), "{told}");

    talk.ann.say(&talk.room, "is anybody there?").await?;
    let there = |said: &TeamsMessage| said.text().contains("is anybody there?");
    assert_eq!(talk.sue.count_of(&talk.channel, there).await?, 0);
    talk.teams.install(talk.teams.team());
    talk.sue.hears(&talk.channel, "is anybody there?").await?;
    talk.sue_says("we are back").await?;
    talk.check_once(&["before", "is anybody there?", "we are back"]).await?;
    talk.check_manners();
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn without_consent_for_its_history_a_channel_is_mirrored_and_doctor_says_what_is_missing() -> anyhow::Result<()> {
    let Some(talk) = Talk::start().await? else {
        return Ok(());
    };
    talk.sue_says("before").await?;
    // Who is told of everything may lose it at any time; from then on only those who address the bot are heard.
    talk.teams.set_consent("ChannelMessage.Read.Group", false);
    let (_, told) = talk.doctor()?;
    assert!(told.contains("ChannelMessage.Read.Group"), "{told}");
    talk.ann_says("we still speak").await?;
    talk.check_manners();
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_leads_nowhere_is_found_out_and_the_sweep_helps() -> anyhow::Result<()> {
    let nowhere = format!("http://127.0.0.1:{}/api/messages", free_port()?);
    let section = json!({ "public_url": nowhere, "sweep_seconds": 1 });
    let Some(talk) = Talk::start_with_section(section).await? else {
        return Ok(());
    };
    let told = wait_for("doctor telling of the address", HEARD, || async {
        let (_, told) = talk.doctor().ok()?;
        told.contains("there is no subscription").then_some(told)
    })
    .await?;
    assert!(told.contains("cannot be reached from here"), "{told}");
    // Not even activities come: all is read from the history.
    talk.teams.set_endpoint(Some(&nowhere));
    let (said, seen) = talk.sue_says("can you hear me?").await?;
    talk.sue.react(&talk.channel, said, "like", true).await?;
    talk.ann
        .expect("👍", &talk.room, |other| other.reacts(seen.id(), "👍"))
        .await?;
    talk.ann_says("slowly, but yes").await?;
    talk.check_once(&["can you hear me?", "slowly, but yes"]).await?;
    talk.check_manners();
    Ok(())
}
