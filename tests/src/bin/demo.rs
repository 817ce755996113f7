//! The demonstration behind `deploy/demo`: a homeserver, an IRC server and the hub on loopback, and a conversation that
//! one can watch and then join.
#![expect(clippy::print_stdout, reason = "the demonstration is what it prints")]
#![recursion_limit = "256"]

use std::net::TcpListener;

use anyhow::{Context as _, ensure};
use viaduct_tests::people::{IrcPerson, MatrixPerson};
use viaduct_tests::world::{PASSWORD, Ports, World, made_room};

const CHANNEL: &str = "#viaduct";
const ROOM: &str = "#viaduct:localhost";
/// For whoever wants to join by hand.
const VISITOR: &str = "you";

/// Who says what, in turn. The names are those of [`Stage::people`].
const CONVERSATION: [(&str, &str); 8] = [
    ("ann", "Good morning from Matrix! Is anybody on IRC?"),
    ("igor", "Good morning. I am on plain old IRC, and I read you."),
    ("ben", "And I am a second person on Matrix."),
    ("iris", "I see you both, each under your own nick."),
    ("ann", "Grüße, 你好, 🌉 — letters and signs cross as well."),
    ("igor", "They do: ✓ ä ö ü ß"),
    ("ben", "Two lines\nin one message."),
    ("iris", "That is all from us."),
];

/// Everybody and everything on stage.
struct Stage {
    people: [MatrixPerson; 2],
    chatters: [IrcPerson; 2],
    room: String,
    // Last: the servers go after the people.
    world: World,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let once = std::env::args().any(|argument| argument == "--once");
    println!("Starting a homeserver, an IRC server and the hub between them …");
    let stage = set_stage().await?;
    println!("All three are up, on loopback only.\n");
    converse(&stage).await?;
    println!("\nEvery line arrived on the other side.");
    if once {
        return Ok(());
    }
    invite(&stage);
    tokio::signal::ctrl_c().await?;
    println!("\nStopping.");
    Ok(())
}

async fn set_stage() -> anyhow::Result<Stage> {
    let ports = Ports {
        homeserver: free(8008),
        irc: free(6667),
    };
    let complete =
        |spec: viaduct_tests::launch::HubSpec| spec.mirror("viaduct", &made_room("viaduct"), &[("irc", CHANNEL)]);
    let mut world = World::start_at(ports, complete).await?;
    world.assert_loopback_only()?;
    let people = [world.matrix_person("ann").await?, world.matrix_person("ben").await?];
    world.synapse.register(VISITOR, PASSWORD).await?;
    let [first, second] = &people;
    let room = first.join(ROOM).await?;
    second.join(ROOM).await?;
    let chatters = [
        world.irc_person("igor", CHANNEL).await?,
        world.irc_person("iris", CHANNEL).await?,
    ];
    Ok(Stage {
        people,
        chatters,
        room,
        world,
    })
}

/// A port that people know by heart, if nobody has it.
fn free(port: u16) -> Option<u16> {
    TcpListener::bind(("127.0.0.1", port)).is_ok().then_some(port)
}

async fn converse(stage: &Stage) -> anyhow::Result<()> {
    let [ann, ben] = &stage.people;
    let [igor, iris] = &stage.chatters;
    for (speaker, text) in CONVERSATION {
        let first_line = text.lines().next().unwrap_or_default();
        match speaker {
            "ann" | "ben" => {
                let person = if speaker == "ann" { ann } else { ben };
                person.say(&stage.room, text).await?;
                for line in text.lines() {
                    let heard = igor.hears(CHANNEL, line).await.with_context(|| lost(speaker, text))?;
                    println!("  Matrix → IRC   <{}> {line}", heard.nick());
                }
            }
            _ => {
                let chatter = if speaker == "igor" { igor } else { iris };
                chatter.say(CHANNEL, first_line).await?;
                let seen = ann
                    .hears(&stage.room, text)
                    .await
                    .with_context(|| lost(speaker, text))?;
                println!("  IRC → Matrix   {}: {text}", seen.sender());
            }
        }
    }
    check_once(stage)
}

fn lost(speaker: &str, text: &str) -> String {
    format!("what {speaker} said did not arrive: {text}")
}

/// Every line arrived once.
fn check_once(stage: &Stage) -> anyhow::Result<()> {
    let [ann, _] = &stage.people;
    let [igor, _] = &stage.chatters;
    for (speaker, text) in CONVERSATION {
        for line in text.lines() {
            let times = if ["ann", "ben"].contains(&speaker) {
                igor.count_of(|heard| heard.says(CHANNEL, line))
            } else {
                ann.count_of(&stage.room, |seen| seen.body() == line)
            };
            ensure!(times == 1, "arrived {times} times: {line}");
        }
    }
    Ok(())
}

fn invite(stage: &Stage) {
    println!(
        "\nJoin it:\n\
         \n  with Element   homeserver {}   user {VISITOR}   password \"{PASSWORD}\"   room {ROOM}\
         \n  on IRC         server {} (no TLS)   channel {CHANNEL}\n\
         \nThe hub's state is at {}/api/v1/status, its figures at {}/metrics.\
         \nCtrl-C ends everything and leaves nothing behind.",
        stage.world.synapse.url(),
        stage.world.irc.address(),
        stage.world.hub.admin_url(),
        stage.world.hub.admin_url(),
    );
}
