//! Rooms of the newest versions on a real homeserver, and rooms that are upgraded to them. From version 12 on a room's id has
//! no server part.

use anyhow::Context;
use serde_json::{Value, json};
use viaduct_tests::launch::available;
use viaduct_tests::world::{World, made_room};

/// A mirror's room of a certain version, with its IRC channel.
fn versioned(version: &str) -> (String, Value, String) {
    let name = format!("version{version}");
    let mut room = made_room(&name);
    if let Some(fields) = room.as_object_mut() {
        fields.insert("version".to_owned(), version.into());
    }
    let channel = format!("#{name}");
    (name, room, channel)
}

#[tokio::test(flavor = "multi_thread")]
async fn rooms_of_version_11_and_12_are_made_and_carry_a_conversation() -> anyhow::Result<()> {
    let rooms = ["11", "12"].map(versioned);
    let world = World::start_with(|spec| {
        rooms.iter().fold(spec, |spec, (name, room, channel)| {
            spec.mirror(name, room, &[("irc", channel)])
        })
    });
    let Some(world) = available(world.await)? else {
        return Ok(());
    };
    let ann = world.matrix_person("ann").await?;
    for (number, (name, _, channel)) in rooms.iter().enumerate() {
        let room = ann.join(&format!("#{name}:localhost")).await?;
        assert_eq!(room.contains(':'), name == "version11", "{room}");
        let igor = world.irc_person(&format!("igor{number}"), channel).await?;
        igor.say(channel, "Hello from IRC").await?;
        let heard = ann.hears(&room, "Hello from IRC").await?;
        let id = ann.reply(&room, heard.id(), "Hello from Matrix").await?;
        igor.hears(channel, "Hello from Matrix").await?;
        ann.edit(&room, &id, "Hello again from Matrix").await?;
        igor.hears(channel, "Hello again from Matrix").await?;
        ann.redact(&room, &id).await?;
        igor.hears(channel, "deleted").await?;
    }
    Ok(())
}

/// Upgrades a room as the hub's bot, which made it: the id of the room that replaces it.
async fn upgrade(world: &World, room: &str, version: &str) -> anyhow::Result<String> {
    let registration = world.hub.registration()?;
    let token = registration.lines().find_map(|line| line.strip_prefix("as_token: "));
    let mut url = reqwest::Url::parse(&world.synapse.url())?;
    url.path_segments_mut()
        .map_err(|()| anyhow::anyhow!("the homeserver's address has no path"))?
        .extend(["_matrix", "client", "v3", "rooms", room, "upgrade"]);
    let asked = reqwest::Client::new()
        .post(url)
        .bearer_auth(token.context("a token")?)
        .json(&json!({ "new_version": version }));
    let answer: Value = asked.send().await?.error_for_status()?.json().await?;
    Ok(answer["replacement_room"].as_str().context("a room")?.to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_room_that_is_upgraded_is_followed_also_after_a_restart() -> anyhow::Result<()> {
    let (name, room, channel) = versioned("11");
    let world = World::start_with(|spec| spec.mirror(&name, &room, &[("irc", &channel)]));
    let Some(mut world) = available(world.await)? else {
        return Ok(());
    };
    let ann = world.matrix_person("ann").await?;
    let old = ann.join(&format!("#{name}:localhost")).await?;
    let igor = world.irc_person("igor", &channel).await?;
    igor.say(&channel, "before the upgrade").await?;
    ann.hears(&old, "before the upgrade").await?;

    let new = upgrade(&world, &old, "12").await?;
    ann.join(&new).await?;
    igor.say(&channel, "after the upgrade").await?;
    ann.hears(&new, "after the upgrade").await?;
    ann.say(&new, "in the new room").await?;
    igor.hears(&channel, "in the new room").await?;

    anyhow::ensure!(world.hub.stop(), "the hub did not stop in order");
    world.hub.start().await?;
    ann.say(&new, "and after a restart").await?;
    igor.hears(&channel, "and after a restart").await?;
    Ok(())
}
