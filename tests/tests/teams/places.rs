//! Channels of every kind, and what becomes of them.

use viaduct_tests::launch::HubSpec;
use viaduct_tests::people::TeamsPerson;
use viaduct_tests::teams::Kind;
use viaduct_tests::world::made_room;

use super::talk::{Talk, start, tenant};

#[tokio::test(flavor = "multi_thread")]
async fn private_and_shared_channels_and_group_chats_are_mirrored() -> anyhow::Result<()> {
    let teams = tenant().await?;
    let sue = TeamsPerson::new(teams.url(), "Sue Miller").await?;
    let board = teams.add_channel("board", Kind::Private);
    let pool = teams.add_channel("pool", Kind::Shared);
    let lunch = teams.add_chat("lunch", &[sue.id()]);
    for channel in [&board, &pool] {
        teams.join(channel, sue.id());
    }
    let mirrors = |spec: HubSpec| {
        spec.mirror("board", &made_room("board"), &[("teams", "Acme/board")])
            .mirror("pool", &made_room("pool"), &[("teams", &pool)])
            .mirror("lunch", &made_room("lunch"), &[("teams", &lunch)])
    };
    let Some(world) = start(&teams, 3, mirrors).await? else {
        return Ok(());
    };
    let ann = world.matrix_person("ann").await?;
    for (name, channel) in [("board", &board), ("pool", &pool), ("lunch", &lunch)] {
        let room = ann.join(&format!("#{name}:localhost")).await?;
        ann.say(&room, &format!("from Matrix to the {name}")).await?;
        sue.hears(channel, &format!("from Matrix to the {name}")).await?;
        let said = sue.say(channel, &format!("from the {name}")).await?;
        let seen = ann.hears(&room, &format!("from the {name}")).await?;
        sue.edit(channel, said, &format!("from all of the {name}")).await?;
        ann.expect("the edit", &room, |other| {
            other.rewords(seen.id(), &format!("from all of the {name}"))
        })
        .await?;
    }
    // Each was heard where it was said only.
    for (name, channel) in [("board", &board), ("pool", &pool), ("lunch", &lunch)] {
        assert_eq!(sue.history(channel).await?.len(), 2, "{name}");
    }
    assert_eq!(teams.violations(), []);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn renamed_archived_and_restored_channels_are_told() -> anyhow::Result<()> {
    let Some(talk) = Talk::start().await? else {
        return Ok(());
    };
    talk.sue_says("good morning").await?;
    assert!(talk.teams.rename_channel(&talk.channel, "the bridge"));
    talk.ann
        .expect("the new name", &talk.room, |seen| {
            seen.kind() == "m.room.name" && seen.text("/content/name") == "the bridge"
        })
        .await?;
    assert!(talk.teams.set_archived(talk.teams.team(), true));
    talk.ann.hears(&talk.room, "archived").await?;
    assert!(talk.teams.set_archived(talk.teams.team(), false));
    talk.sue_says("we go on").await?;
    talk.ann_says("so we do").await?;
    talk.check_manners();
    Ok(())
}
