//! Nothing crosses that a policy refuses, and its sender is told; what cannot be scanned waits; whom a policy room bans does not
//! speak; and security monitoring gets every entry of the ledger.

use std::time::Duration;

use anyhow::ensure;
use serde_json::{Value, json};
use viaduct_tests::launch::{Clamd, Hub, HubSpec, available, free_port};
use viaduct_tests::wait::wait_until;
use viaduct_tests::world::{World, made_room};

use compliance::monitor::Monitor;
use compliance::warden::Warden;

mod compliance {
    pub mod monitor;
    pub mod warden;
}

/// Policy rooms are read each minute.
const READ: Duration = Duration::from_secs(100);
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

#[tokio::test(flavor = "multi_thread")]
async fn security_monitoring_gets_every_entry_once_over_tls_also_of_what_it_missed() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    if available(Hub::binary())?.is_none() {
        return Ok(());
    }
    let monitor = Monitor::start(folder.path())?;
    let siem = json!([{
        "name": "siem", "form": "cef",
        "to": { "kind": "tls", "host": "localhost", "port": monitor.port, "ca_file": monitor.ca },
    }]);
    let mirrored = |mut spec: HubSpec| {
        spec.ledger = true;
        spec.with("audit", json!({ "exporters": siem }))
            .mirror("project", &made_room("project"), &[("irc", CHANNEL)])
    };
    let Some(mut world) = available(World::start_with(mirrored).await)? else {
        return Ok(());
    };
    let ann = world.matrix_person("ann").await?;
    let room = ann.join(ROOM).await?;
    let igor = world.irc_person("igor", CHANNEL).await?;
    ann.say(&room, "the unrepeatable plan").await?;
    igor.hears(CHANNEL, "the unrepeatable plan").await?;
    igor.say(CHANNEL, "good evening").await?;
    ann.hears(&room, "good evening").await?;
    world.hub.stop();
    let entries = world.hub.entries(&[])?;
    let there: Vec<u64> = entries.iter().filter_map(|entry| entry.get("seq")?.as_u64()).collect();
    ensure!(there.len() >= 5, "{there:?}");
    // What it did not get before the hub stopped comes with the next start.
    world.hub.start().await?;
    let told = || monitor.numbers().len() >= there.len();
    wait_until("the monitoring has all entries", viaduct_tests::people::HEARD, told).await?;
    let got: Vec<u64> = monitor.numbers().into_iter().take(there.len()).collect();
    assert_eq!(got, there, "each once and in order");
    let messages = monitor.messages();
    ensure!(
        messages
            .iter()
            .any(|message| message.contains("CEF:0|") && message.contains("delivered")),
        "{messages:?}"
    );
    ensure!(
        !messages.iter().any(|message| message.contains("unrepeatable")),
        "no content leaves"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_cannot_be_scanned_is_held_and_what_is_infected_refused() -> anyhow::Result<()> {
    let Some(clamd) = available(Clamd::start().await)? else {
        return Ok(());
    };
    let nobody = format!("127.0.0.1:{}", free_port()?);
    for scanner in [clamd.address().to_string(), nobody.clone()] {
        let rules = json!([
            { "name": "infected", "attachments": { "scan": ["infected"] }, "action": "refuse", "reason": "malware" },
            { "name": "unscanned", "attachments": { "scan": ["unavailable", "missing"] }, "action": "hold", "reason": "not scanned" },
        ]);
        let address = scanner.clone();
        let started = World::start_with(move |mut spec| {
            spec.policies.insert("files".to_owned(), json!({ "rules": rules }));
            if let Some(section) = spec.networks.get_mut("irc").and_then(Value::as_object_mut) {
                section.insert("policy".to_owned(), json!({ "out": "files" }));
            }
            spec.ledger = true;
            spec.with("files", json!({ "scanner": { "address": address } })).mirror(
                "project",
                &made_room("project"),
                &[("irc", CHANNEL)],
            )
        });
        let Some(world) = available(started.await)? else {
            return Ok(());
        };
        let ann = world.matrix_person("ann").await?;
        let room = ann.join(ROOM).await?;
        let igor = world.irc_person("igor", CHANNEL).await?;
        let scanned = scanner != nobody;
        let clean = ann.send_file(&room, "clean.txt", b"a clean list\n").await?;
        let infected = ann
            .send_file(&room, "infected.txt", format!("a list {}\n", Clamd::MARKER).as_bytes())
            .await?;
        let told = if scanned {
            vec![(infected, "malware")]
        } else {
            vec![(clean, "not scanned"), (infected, "not scanned")]
        };
        for (event, why) in told {
            let about = |seen: &viaduct_tests::people::Seen| {
                seen.text("/content/m.relates_to/m.in_reply_to/event_id") == event && seen.body().contains(why)
            };
            ann.expect("a notice about it", &room, about).await?;
        }
        ann.say(&room, "and now to the agenda").await?;
        igor.hears(CHANNEL, "and now to the agenda").await?;
        let seen = |name: &str| igor.count_of(|line| line.text().contains(name));
        assert_eq!(
            (seen("clean.txt") > 0, seen("infected.txt")),
            (scanned, 0),
            "with {scanner}"
        );
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn whom_a_policy_room_bans_is_refused_until_it_is_taken_back() -> anyhow::Result<()> {
    let mirrored = |spec: HubSpec| spec.mirror("project", &made_room("project"), &[("irc", CHANNEL)]);
    let Some(mut world) = available(World::start_with(mirrored).await)? else {
        return Ok(());
    };
    let warden = Warden::new(&world.synapse, "warden", "bans").await?;
    world.hub.configure(|configuration| {
        configuration.insert("policy_rooms".to_owned(), json!(["#bans:localhost"]));
    })?;
    ensure!(world.hub.stop(), "it ends by itself when asked to");
    world.hub.start().await?;
    let ann = world.matrix_person("ann").await?;
    let mallory = world.matrix_person("mallory").await?;
    let room = ann.join(ROOM).await?;
    mallory.join(ROOM).await?;
    let igor = world.irc_person("igor", CHANNEL).await?;
    let troll = world.irc_person("troll", CHANNEL).await?;
    mallory.say(&room, "nobody banned me yet").await?;
    igor.hears(CHANNEL, "nobody banned me yet").await?;
    troll.say(CHANNEL, "nor me").await?;
    ann.hears(&room, "nor me").await?;

    // Added while the hub is there: it counts as soon as the room was read again.
    warden.ban("@mallory:*").await?;
    warden.ban("troll").await?;
    let counts = || world.hub.log().contains("rules=2");
    wait_until("both bans read", READ, counts).await?;
    let refused = mallory.say(&room, "a lure").await?;
    mallory
        .expect("a notice about it", &room, |seen| {
            seen.text("/content/m.relates_to/m.in_reply_to/event_id") == refused
        })
        .await?;
    troll.say(CHANNEL, "a bait").await?;
    ann.say(&room, "good morning").await?;
    igor.hears(CHANNEL, "good morning").await?;
    igor.say(CHANNEL, "good morning to you").await?;
    ann.hears(&room, "good morning to you").await?;

    // A hub that starts again has them from the room before anything crosses.
    ensure!(world.hub.stop(), "it ends by itself when asked to");
    mallory.say(&room, "another lure").await?;
    world.hub.start().await?;
    ann.say(&room, "good evening").await?;
    igor.hears(CHANNEL, "good evening").await?;

    // Taken back while the hub is away.
    ensure!(world.hub.stop(), "it ends by itself when asked to");
    warden.pardon("@mallory:*").await?;
    world.hub.start().await?;
    mallory.say(&room, "forgiven").await?;
    igor.hears(CHANNEL, "forgiven").await?;
    troll.say(CHANNEL, "another bait").await?;
    igor.say(CHANNEL, "good night").await?;
    ann.hears(&room, "good night").await?;
    assert_eq!(igor.count_of(|line| line.text().contains("lure")), 0);
    assert_eq!(ann.count_of(&room, |seen| seen.body().contains("bait")), 0);
    Ok(())
}
