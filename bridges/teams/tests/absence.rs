//! What was said while nobody listened.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    missing_docs,
    reason = "a test says what it sees, and stops at the first surprise"
)]

mod common;

use std::sync::Arc;

use common::{World, world};
use serde_json::json;
use viaduct_bridge::testing::Running;
use viaduct_tests::teams::{Fault, Feed};

/// A session of which only sweeps tell what was missed, and which has had its first.
async fn begun(world: &mut World) -> Running {
    world.section["sweep_seconds"] = json!(3600);
    world.section["check_order"] = json!(false);
    let running = world.start().await;
    running
        .hub
        .wait_for("the first sweep", |hub| hub.recall("memory/Acme/project").is_some())
        .await;
    running
}

/// Says something while the session is away; gives it back at work.
async fn away(world: &World, running: Running, say: impl FnOnce()) -> Running {
    let hub = Arc::clone(&running.hub);
    running.stop().await;
    let lose = |count| {
        for feed in [Feed::Activities, Feed::Notifications] {
            world.teams.lose_next(feed, count);
        }
    };
    lose(u64::MAX);
    say();
    lose(0);
    world.start_with(hub).await
}

/// How many calls were made to read messages.
fn readings(world: &World) -> usize {
    let operations = ["graph.delta", "graph.messages", "graph.replies"];
    operations
        .map(|operation| world.teams.calls(operation).len())
        .iter()
        .sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_threads_are_caught_up_with_few_calls_and_in_order() {
    const THREADS: usize = 100;
    const REPLIES: usize = 9;
    /// More than Graph puts into one answer.
    const LONG: usize = 1_010;
    const ALL: usize = THREADS * (1 + REPLIES);
    let mut world = world().await;
    let running = begun(&mut world).await;
    let (teams, channel, sue) = (&world.teams, &world.channel, &world.sue);
    let before = readings(&world);
    let running = away(&world, running, || {
        for thread in 0..THREADS {
            let root = teams.say(channel, sue, &thread.to_string());
            for reply in 0..REPLIES {
                teams.reply(channel, sue, root, &format!("{thread}.{reply}"));
            }
        }
    })
    .await;
    running
        .hub
        .wait_for("all of them", |hub| hub.texts().len() >= ALL)
        .await;
    let wanted = (0..THREADS).flat_map(|thread| {
        let replies = (0..REPLIES).map(move |reply| format!("{thread}.{reply}"));
        std::iter::once(thread.to_string()).chain(replies)
    });
    assert!(running.hub.texts().into_iter().eq(wanted), "all, in order");
    let calls = readings(&world) - before;
    println!("{ALL} messages in {THREADS} threads with {calls} calls");
    assert!(calls <= 10, "{calls}");
    let running = away(&world, running, || {
        let root = teams.say(channel, sue, "a long thread");
        for reply in 0..LONG {
            teams.reply(channel, sue, root, &format!("long {reply}"));
        }
    })
    .await;
    let wanted = ALL + 1 + LONG;
    running
        .hub
        .wait_for("the long thread", |hub| hub.texts().len() == wanted)
        .await;
    running.stop().await;
    assert_eq!(teams.violations(), []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_live_waits_for_what_was_missed_though_graph_refuses_at_first() {
    let mut world = world().await;
    let running = begun(&mut world).await;
    let (teams, channel, sue) = (&world.teams, &world.channel, &world.sue);
    let running = away(&world, running, || {
        teams.say(channel, sue, "missed");
        let refused = Fault::Status {
            status: 429,
            retry_after: Some(1),
        };
        teams.fail_next("graph.delta", refused, 1);
    })
    .await;
    teams.say(channel, sue, "live");
    running.hub.wait_for("both", |hub| hub.texts().len() == 2).await;
    assert_eq!(running.hub.texts(), ["missed", "live"]);
    running.stop().await;
    assert_eq!(teams.violations(), []);
}
