//! The hub or Microsoft going down loses, doubles and reorders nothing, in both directions: a channel has a history, so what
//! was missed can be read; nothing can be attached to a message, so one whose outcome is unknown is recognised by its wording.
//!
//! Judge of what is in the channel is its history, as the stand-in keeps it.

use std::time::Duration;

use anyhow::ensure;
use serde_json::{Map, Value, json};
use tokio::time::Instant;
use viaduct_tests::kills::{STEPS, on_the_way_from_matrix, on_the_way_to_matrix, steps_to_matrix};
use viaduct_tests::launch::available;
use viaduct_tests::load::LoadTeams;
use viaduct_tests::stub_world::{BACKLOG, StubSpec, TeamsStubWorld};
use viaduct_tests::teams::{Fault, Feed, Limits};
use viaduct_tests::wait::wait_until;

/// None where a server is missing.
async fn start() -> anyhow::Result<Option<TeamsStubWorld>> {
    available(TeamsStubWorld::start(StubSpec::default()).await)
}

/// A hub that paces itself as Microsoft asks for, before a stand-in with Microsoft's own limits.
async fn start_paced(mirrors: usize) -> anyhow::Result<Option<TeamsStubWorld>> {
    let mut section = Map::new();
    section.insert("limits".to_owned(), json!({}));
    section.insert("sweep_seconds".to_owned(), Value::from(300));
    let arrangement = StubSpec {
        mirrors,
        section,
        ..StubSpec::default()
    };
    let Some(mut world) = available(TeamsStubWorld::prepare(arrangement).await)? else {
        return Ok(None);
    };
    world.server.teams.set_limits(Limits::default());
    world.hub.start().await?;
    world.connected().await?;
    Ok(Some(world))
}

/// No call was refused as one too many; says how many there were.
fn check_pace(world: &TeamsStubWorld) -> anyhow::Result<usize> {
    let calls = world.server.teams.calls("");
    let limited = calls.iter().filter(|call| call.status == 429);
    let limited: Vec<&str> = limited.map(|call| call.operation.as_str()).collect();
    ensure!(
        limited.is_empty(),
        "of {} calls these were too many: {limited:?}",
        calls.len()
    );
    Ok(calls.len())
}

fn refused(status: u16, retry_after: Option<u64>) -> Fault {
    Fault::Status { status, retry_after }
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_any_step_a_message_to_matrix_arrives_once() -> anyhow::Result<()> {
    for step in steps_to_matrix() {
        if available(on_the_way_to_matrix::<LoadTeams>(step).await)?.is_none() {
            break;
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_any_step_a_message_to_teams_arrives_once() -> anyhow::Result<()> {
    for step in STEPS {
        if available(on_the_way_from_matrix::<LoadTeams>(step).await)?.is_none() {
            break;
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn posts_whose_answer_is_lost_are_looked_up_and_not_repeated() -> anyhow::Result<()> {
    const SENT: usize = 12;
    let Some(mut world) = start().await? else {
        return Ok(());
    };
    // Each of these is posted, and the hub is told the opposite or nothing.
    for (part, fault) in [Fault::CutAnswer, Fault::DoneThen(504), Fault::DoneThen(502)]
        .into_iter()
        .enumerate()
    {
        world.server.teams.fail_every("connector.create", fault, 4);
        world.push(0, part * SENT..(part + 1) * SENT).await?;
        world.in_channel(0, (part + 1) * SENT - 1).await?;
        world.server.teams.heal();
    }
    world.push(0, 3 * SENT..3 * SENT + 1).await?;
    world.in_channel(0, 3 * SENT).await?;
    world.check_channels(3 * SENT + 1, "answers lost")
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_of_all_kinds_hold_up_and_lose_nothing() -> anyhow::Result<()> {
    const SENT: usize = 12;
    let Some(mut world) = start().await? else {
        return Ok(());
    };
    let teams = &world.server.teams;
    teams.fail_next("connector.create", refused(429, Some(1)), 2);
    teams.fail_next("connector.create", refused(429, None), 1);
    for status in [412, 500, 502, 503, 504] {
        teams.fail_next("connector.create", refused(status, None), 1);
    }
    world.push(0, 0..SENT).await?;
    world.in_channel(0, SENT - 1).await?;
    world.check_channels(SENT, "refusals")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_microsoft_that_is_away_gets_and_gives_everything_later_in_order() -> anyhow::Result<()> {
    const PART: usize = 40;
    let Some(mut world) = start().await? else {
        return Ok(());
    };
    world.speak(0, 0..PART).await;
    world.push(0, 0..PART).await?;
    world.in_room(0, PART - 1).await?;
    world.in_channel(0, PART - 1).await?;

    // Nothing is answered, and what happens meanwhile is told to nobody.
    world.server.teams.fail_every("", refused(503, None), 1);
    for feed in [Feed::Activities, Feed::Notifications] {
        world.server.teams.lose_next(feed, u64::MAX);
    }
    world.speak(0, PART..2 * PART).await;
    world.push(0, PART..2 * PART).await?;
    let lost = world.server.teams.counts(Feed::Activities).lost;
    ensure!(
        lost >= PART as u64,
        "activities were kept for later, so nothing was shown: {lost}"
    );

    for feed in [Feed::Activities, Feed::Notifications] {
        world.server.teams.lose_next(feed, 0);
    }
    world.server.teams.heal();
    world.in_room(0, 2 * PART - 1).await?;
    world.in_channel(0, 2 * PART - 1).await?;
    world.connected().await?;
    world.speak(0, 2 * PART..2 * PART + 1).await;
    world.push(0, 2 * PART..2 * PART + 1).await?;
    world.in_room(0, 2 * PART).await?;
    world.in_channel(0, 2 * PART).await?;
    world.check_rooms(2 * PART + 1, "Microsoft away")?;
    world.check_channels(2 * PART + 1, "Microsoft away")
}

/// Activities and notifications that are lost, doubled or come in another order, while the hub is killed again and again.
/// Everything is on Matrix once and in order: before a message is passed on, what was missed before it is read.
#[tokio::test(flavor = "multi_thread")]
async fn feeds_that_lose_double_and_shuffle_harm_nothing_though_the_hub_is_killed() -> anyhow::Result<()> {
    const PART: usize = 50;
    const KILLS: usize = 3;
    let Some(mut world) = start().await? else {
        return Ok(());
    };
    world.speak(0, 0..3).await;
    world.in_room(0, 2).await?;
    let mut said = 3;
    for round in 0..KILLS {
        for feed in [Feed::Activities, Feed::Notifications] {
            world.server.teams.spoil(feed, 15, 15);
            world.server.teams.shuffle_next(feed, 10);
        }
        world.speak(0, said..said + PART).await;
        said += PART;
        let some = || world.arrivals_in_room(0).len() > 3 + round * PART + PART / 2;
        wait_until("some of it on Matrix", BACKLOG, some).await?;
        world.hub.kill();
        world.speak(0, said..said + 5).await;
        said += 5;
        world.start_again().await?;
    }
    let all = |world: &TeamsStubWorld| world.tally_rooms(|_| said).lost == 0;
    wait_until("all of it on Matrix", BACKLOG, || all(&world)).await?;
    let counts = world.server.teams.counts(Feed::Activities);
    ensure!(
        counts.lost >= 10 && counts.doubled >= 10,
        "hardly anything went wrong: {counts:?}"
    );
    eprintln!("{said} messages over {KILLS} kills, {counts:?}");
    world.check_rooms(said, "feeds")
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_missed_is_caught_up_in_order_within_graphs_limits() -> anyhow::Result<()> {
    const MISSED: usize = 300;
    let Some(mut world) = start_paced(1).await? else {
        return Ok(());
    };
    world.speak(0, 0..3).await;
    world.in_room(0, 2).await?;
    ensure!(world.hub.stop(), "the hub does not end when asked to");
    world.disconnected().await?;
    world.server.teams.lose_next(Feed::Activities, u64::MAX);
    world.speak(0, 3..3 + MISSED).await;
    world.server.teams.lose_next(Feed::Activities, 0);
    // Microsoft's windows last a second, and a hub that starts does not know what the one before it called.
    let teams = &world.server.teams;
    let rested = || {
        teams
            .calls("")
            .iter()
            .all(|call| call.at.elapsed() > Duration::from_secs(1))
    };
    wait_until("the hub's last call a second ago", BACKLOG, rested).await?;
    let begun = Instant::now();
    world.hub.start().await?;
    world.connected().await?;
    world.in_room(0, 2 + MISSED).await?;
    let took = begun.elapsed();
    world.check_rooms(3 + MISSED, "missed")?;
    let calls = check_pace(&world)?;
    eprintln!(
        "{MISSED} missed messages were on Matrix {:.1} s after the start, with {} calls of Graph among {calls}",
        took.as_secs_f64(),
        world.server.teams.calls("graph").len()
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn posting_is_paced_so_that_microsoft_has_nothing_to_refuse() -> anyhow::Result<()> {
    const MIRRORS: usize = 3;
    const EACH: usize = 60;
    let Some(mut world) = start_paced(MIRRORS).await? else {
        return Ok(());
    };
    // More at once than may be posted: the hub has to spread it.
    let begun = Instant::now();
    for mirror in 0..MIRRORS {
        world.push(mirror, 0..EACH).await?;
    }
    for mirror in 0..MIRRORS {
        world.in_channel(mirror, EACH - 1).await?;
    }
    let took = begun.elapsed();
    world.check_channels(EACH, "paced")?;
    let calls = check_pace(&world)?;
    // Sixty in half a minute are allowed, and the channels do not wait for each other.
    ensure!(
        took < Duration::from_mins(1),
        "{EACH} messages into each of {MIRRORS} channels took {took:?}"
    );
    eprintln!(
        "{EACH} messages into each of {MIRRORS} channels in {:.1} s with {calls} calls",
        took.as_secs_f64()
    );
    Ok(())
}
