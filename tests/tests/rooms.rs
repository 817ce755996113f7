//! Rooms of the newest versions on a real homeserver. From version 12 on a room's id has no server part.

use serde_json::Value;
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
