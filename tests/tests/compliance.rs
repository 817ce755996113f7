//! Nothing crosses that a policy refuses, and its sender is told.

use serde_json::json;
use viaduct_tests::launch::available;
use viaduct_tests::world::{World, made_room};

const CHANNEL: &str = "#project";
const ROOM: &str = "#project:localhost";

#[tokio::test(flavor = "multi_thread")]
async fn what_a_policy_refuses_does_not_cross_and_its_sender_is_told() -> anyhow::Result<()> {
    let started = World::start_with(|mut spec| {
        spec.policies.insert(
            "outward".to_owned(),
            json!({ "rules": [
                { "name": "no-mallory", "senders": ["@mallory:*"], "action": "refuse", "reason": "mallory may not write to partners" },
                { "name": "no-topics", "kinds": ["topic"], "action": "refuse", "reason": "topics stay inside" },
            ] }),
        );
        spec.policies.insert(
            "inward".to_owned(),
            json!({ "rules": [{ "name": "no-troll", "senders": ["troll"], "direction": "in", "action": "refuse" }] }),
        );
        if let Some(section) = spec.networks.get_mut("irc").and_then(|section| section.as_object_mut()) {
            section.insert("policy".to_owned(), json!({ "in": "inward", "out": "outward" }));
        }
        spec.mirror("project", &made_room("project"), &[("irc", CHANNEL)])
    });
    let Some(world) = available(started.await)? else {
        return Ok(());
    };
    let ann = world.matrix_person("ann").await?;
    let mallory = world.matrix_person("mallory").await?;
    let room = ann.join(ROOM).await?;
    mallory.join(ROOM).await?;
    let igor = world.irc_person("igor", CHANNEL).await?;
    let troll = world.irc_person("troll", CHANNEL).await?;

    let refused = mallory.say(&room, "the secret plan").await?;
    ann.say(&room, "nothing to see here").await?;
    igor.hears(CHANNEL, "nothing to see here").await?;
    assert_eq!(igor.count_of(|line| line.text().contains("secret plan")), 0);
    let notice = mallory
        .expect("a notice about it", &room, |seen| {
            seen.text("/content/m.relates_to/m.in_reply_to/event_id") == refused
        })
        .await?;
    assert!(
        notice.body().contains("mallory may not write to partners"),
        "{}",
        notice.body()
    );
    assert!(
        !notice.body().contains("secret plan"),
        "what was refused is not repeated"
    );

    troll.say(CHANNEL, "bait").await?;
    igor.say(CHANNEL, "good evening").await?;
    ann.hears(&room, "good evening").await?;
    assert_eq!(ann.count_of(&room, |seen| seen.body().contains("bait")), 0);
    Ok(())
}
