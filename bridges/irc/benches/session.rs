//! What a message costs the session: processor time of its thread alone, with the system calls, against a server in
//! another thread. Linux only, for it asks the kernel.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    reason = "a benchmark is no part of the crate's surface"
)]

#[path = "../tests/support/mod.rs"]
mod support;

use std::sync::Arc;
use std::sync::mpsc;

use serde_json::json;
use support::fake::{Fake, Script};
use support::{Hub, message};

const CHANNELS: usize = 20;
const EACH: usize = 1_500;
const RUNS: usize = 5;

/// Nanoseconds this thread has been on a processor.
fn used() -> u64 {
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    told.split(' ').next().unwrap().parse().unwrap()
}

/// A server in a thread of its own, for as long as the program lives.
fn server(relays: bool) -> Fake {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let script = Script {
                relays,
                ..Script::default()
            };
            sender.send(Fake::start(script).await).unwrap();
            std::future::pending::<()>().await;
        });
    });
    receiver.recv().unwrap()
}

fn names() -> Vec<String> {
    (0..CHANNELS).map(|number| format!("#c{number}")).collect()
}

async fn hub(port: u16, puppets: bool) -> Hub {
    let section = support::section(port, &json!({"puppets": {"enabled": puppets}}));
    let names = names();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let hub = Hub::start(section, &names).await;
    for name in names {
        hub.joined(name).await;
    }
    hub
}

/// Channels side by side, each with one message at a time, as the engine delivers them.
async fn outward(puppets: bool) -> u64 {
    let fake = server(true);
    let hub = Arc::new(hub(fake.port, puppets).await);
    let names = names();
    for (number, name) in names.iter().enumerate() {
        hub.say(&format!("Bob{number}"), name, "good morning").await;
    }
    let mut queues = Vec::new();
    for (number, name) in names.iter().enumerate() {
        let author = format!("Bob{number}");
        let text = "The quick brown fox jumps over the lazy dog.";
        let queue: Vec<_> = (0..EACH).map(|_| hub.outbound(&author, name, message(text))).collect();
        queues.push(queue);
    }
    let lanes: Vec<_> = queues
        .into_iter()
        .map(|queue| {
            let hub = Arc::clone(&hub);
            async move {
                for outbound in queue {
                    hub.session.deliver(&outbound).await.unwrap();
                }
            }
        })
        .collect();
    let before = used();
    let lanes: Vec<_> = lanes.into_iter().map(tokio::spawn).collect();
    for lane in lanes {
        lane.await.unwrap();
    }
    used() - before
}

async fn inward() -> u64 {
    let fake = server(false);
    let hub = hub(fake.port, true).await;
    let names = names();
    let line = |number: usize| {
        let name = &names[number % CHANNELS];
        format!(
            ":ann!~ann@host.example.org PRIVMSG {name} :The quick brown fox jumps over the lazy dog, number {number}."
        )
    };
    let lines: Vec<String> = (0..CHANNELS * EACH).map(line).collect();
    let before = used();
    for some in lines.chunks(100) {
        fake.tell(&some.join("\r\n"));
    }
    hub.inbox.until_messages((CHANNELS * EACH) as u64).await;
    used() - before
}

fn told(what: &str, runtime: &tokio::runtime::Runtime, run: impl AsyncFn() -> u64) {
    let mut figures: Vec<f64> = (0..RUNS)
        .map(|_| runtime.block_on(run()) as f64 / 1000.0 / (CHANNELS * EACH) as f64)
        .collect();
    figures.sort_by(f64::total_cmp);
    let (least, middle, most) = (figures[0], figures[RUNS / 2], figures[RUNS - 1]);
    println!("{what:<28} {middle:6.2} µs a message (of {RUNS} runs: {least:.2} to {most:.2})");
}

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    told("from IRC", &runtime, inward);
    told("to IRC, by puppets", &runtime, || outward(true));
    told("to IRC, by the reader", &runtime, || outward(false));
}
