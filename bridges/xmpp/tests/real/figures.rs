//! Measurements: `cargo test -p viaduct-xmpp --test real -- --ignored --nocapture figure`.

use std::sync::Arc;

use serde_json::json;
use tokio::time::Instant;
use viaduct_bridge::Connection;

use crate::common::Server;
use crate::common::ejabberd::Ejabberd;
use crate::common::hub::{Hub, Memory, text_of};
use crate::common::person::Person;
use crate::common::prosody::Prosody;
use crate::support::{ROOM, scene, text};

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement"]
async fn figure_puppets_on_prosody() {
    let Some(server) = Prosody::start().await else { return };
    let process = server.process().unwrap().to_string();
    puppets_come(&server, || cpu_time_of(&process)).await;
}

/// With the module that the bridge brings for Prosody.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement"]
async fn figure_puppets_on_prosody_with_module() {
    let Some(server) = Prosody::start_with(&["viaduct_puppets"]).await else {
        return;
    };
    let process = server.process().unwrap().to_string();
    puppets_come(&server, || cpu_time_of(&process)).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement"]
async fn figure_puppets_on_ejabberd() {
    let Some(server) = Ejabberd::start().await else { return };
    let process = server.process().to_string();
    puppets_come(&server, || cpu_time_of(&process)).await;
}

/// A thousand puppets enter a room that somebody else is in, too.
async fn puppets_come(server: &dyn Server, server_time: impl Fn() -> f64) {
    let mut bob = Person::join(server, ROOM, "bob", "Bob").await;
    let hub = Hub::start(server, ROOM, &Arc::new(Memory::default()), json!({"membership": false}));
    hub.until_up(1).await;
    let hub = Arc::new(hub);
    let (begun, own, its) = (Instant::now(), cpu_time(), server_time());
    let joins: Vec<_> = (0..1_000)
        .map(|number| {
            let hub = Arc::clone(&hub);
            tokio::spawn(async move {
                let outbound = hub.outbound(&format!("P{number}"), "$1", text("unsaid"));
                hub.prepare(outbound).await;
            })
        })
        .collect();
    for join in joins {
        join.await.unwrap();
    }
    server.report();
    println!(
        "1000 puppets entered in {:.1} s; CPU {:.1} s of the bridge, {:.1} s of the server",
        begun.elapsed().as_secs_f64(),
        cpu_time() - own,
        server_time() - its
    );
    let reports = hub.memory.reports.lock().unwrap().clone();
    let lost = reports.iter().any(|(_, state)| matches!(state, Connection::Down(_)));
    assert!(!lost, "the server dropped the stream: {reports:?}");
    hub.deliver("P999", "$2", text("all here")).await;
    let everybody = "<query xmlns='http://jabber.org/protocol/muc#admin'><item role='participant'/></query>";
    let people = bob.ask("get", everybody).await.matches("<item ").count();
    assert_eq!(people, 1_001, "the hub and the puppets are in");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement"]
async fn figure_catch_up() {
    let Some((server, bob, hub)) = scene(json!({})).await else {
        return;
    };
    let memory = Arc::clone(&hub.memory);
    hub.kill().await;
    let count = 5_000;
    for number in 0..count {
        bob.say(&format!("n{number}"), &format!("<body>missed {number}</body>"))
            .await;
    }
    let mut bob = bob;
    bob.until("the last", |xml| xml.contains("missed 4999")).await;
    let (begun, cpu) = (Instant::now(), cpu_time());
    let hub = Hub::start(&server, ROOM, &memory, json!({}));
    hub.message("missed 4999").await;
    println!(
        "{count} missed messages in {:?}, {:.2} s of the bridge's CPU",
        begun.elapsed(),
        cpu_time() - cpu
    );
    let events = memory.events.lock().unwrap().clone();
    let missed: Vec<String> = events
        .iter()
        .filter_map(text_of)
        .filter(|text| text.starts_with("missed"))
        .collect();
    assert_eq!(
        missed,
        (0..count).map(|number| format!("missed {number}")).collect::<Vec<_>>()
    );
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement"]
async fn figure_live() {
    let Some((_server, bob, hub)) = scene(json!({})).await else {
        return;
    };
    let count = 5_000;
    let begun = Instant::now();
    for number in 0..count {
        bob.say(&format!("n{number}"), &format!("<body>live {number}</body>"))
            .await;
    }
    hub.message("live 4999").await;
    println!(
        "{count} live messages in {:?} (sender, server and bridge on one machine)",
        begun.elapsed()
    );
    hub.stop().await;
}

/// Seconds of CPU that this process has used.
fn cpu_time() -> f64 {
    cpu_time_of("self")
}

fn cpu_time_of(process: &str) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
    let (_, after) = stat.rsplit_once(") ").unwrap();
    let ticks: f64 = after
        .split(' ')
        .skip(11)
        .take(2)
        .map(|field| field.parse::<f64>().unwrap())
        .sum();
    ticks / 100.0
}
