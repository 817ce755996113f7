//! What goes wrong around the hub, and the hub itself going down, loses, doubles and reorders nothing.

use std::process::Command;
use std::time::Duration;

use viaduct_tests::kills::{STEPS, steps_to_matrix};
use viaduct_tests::launch::{Process, available, is_root};
use viaduct_tests::load::{LoadIrcd, LoadServer as _};
use viaduct_tests::people::HEARD;
use viaduct_tests::stub::Fault;
use viaduct_tests::stub_world::{BACKLOG, StubSpec, StubWorld, matrix_message};
use viaduct_tests::wait::wait_until;

/// How long a side is away: a minute where `VIADUCT_LONG=1`, else long enough for several attempts.
fn away() -> Duration {
    if std::env::var("VIADUCT_LONG").is_ok_and(|value| value == "1") {
        Duration::from_mins(1)
    } else {
        Duration::from_secs(6)
    }
}

async fn start(arrangement: StubSpec) -> anyhow::Result<Option<StubWorld>> {
    available(StubWorld::start(arrangement).await)
}

async fn all_in_rooms(world: &StubWorld, sent: usize) -> anyhow::Result<()> {
    wait_until(format!("{sent} messages in each room"), BACKLOG, || {
        world.tally_rooms(|_| sent).lost == 0
    })
    .await
}

async fn all_in_channels(world: &StubWorld, sent: usize) -> anyhow::Result<()> {
    wait_until(format!("{sent} messages in each channel"), BACKLOG, || {
        world.tally_channels(|_| sent).lost == 0
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_any_step_a_message_to_matrix_arrives_once() -> anyhow::Result<()> {
    for step in steps_to_matrix() {
        let Some(mut world) = start(StubSpec::default()).await? else {
            return Ok(());
        };
        // The ghost exists, so that the message is the only event on its way.
        world.speak(0, 0..3).await;
        all_in_rooms(&world, 3).await?;
        assert!(world.hub.stop());
        world.disconnected().await?;

        world.launch_to_crash(step).await?;
        let mut said = 3;
        loop {
            world.speak(0, said..said + 1).await;
            said += 1;
            if world.ends_soon().await {
                break;
            }
            assert!(said < 6, "the hub did not end at {step}");
            all_in_rooms(&world, said).await?;
        }
        world.start_again().await?;
        world.speak(0, said..said + 1).await;
        wait_until("the message after", HEARD, || world.arrivals_in_room(0).contains(&said)).await?;

        let arrivals = world.arrivals_in_room(0);
        let tally = world.tally_rooms(|_| said + 1);
        assert_eq!((tally.doubled, tally.reordered), (0, 0), "{step}: {arrivals:?}");
        // IRC acknowledges nothing: only before the hub had it on its disk may the line be lost.
        let may_be_lost = u64::from(step == "accept-before");
        assert!(tally.lost <= may_be_lost, "{step}: {arrivals:?}");
        assert_eq!(
            world.stub.counts().violations,
            0,
            "{step}: a transaction id was used for something else"
        );
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_any_step_a_message_to_irc_arrives_once_or_its_sender_is_told() -> anyhow::Result<()> {
    for step in STEPS {
        let Some(mut world) = start(StubSpec::default()).await? else {
            return Ok(());
        };
        world.push(0, 0..3).await?;
        all_in_channels(&world, 3).await?;
        assert!(world.hub.stop());
        world.disconnected().await?;

        world.launch_to_crash(step).await?;
        let handed_over = world.push_until_the_end(3, step).await?;
        let said = handed_over.next;
        world.hub.start().await?;
        world.connected().await?;
        handed_over.repeat(&world.pusher).await?;
        world.push(0, said..said + 1).await?;
        wait_until("the message after", HEARD, || {
            world.arrivals_in_channel(0).contains(&said)
        })
        .await?;

        let arrivals = world.arrivals_in_channel(0);
        let tally = world.tally_channels(|_| said + 1);
        assert_eq!((tally.doubled, tally.reordered), (0, 0), "{step}: {arrivals:?}");
        let missing: Vec<usize> = (0..=said).filter(|number| !arrivals.contains(number)).collect();
        let told = || missing.iter().all(|number| world.told_failures(0).contains(number));
        wait_until(format!("the sender told about {missing:?} at {step}"), HEARD, told).await?;
        let told = world.told_failures(0);
        assert!(
            told.iter().all(|number| (3..said).contains(number)),
            "{step}: told without a doubt: {told:?}"
        );
        if ["accept-before", "accept-after"].contains(&step) {
            assert_eq!(
                tally.lost, 0,
                "{step}: sending had not begun, so there was nothing to doubt"
            );
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_homeserver_that_hangs_gets_everything_later_in_order() -> anyhow::Result<()> {
    let arrangement = StubSpec {
        mirrors: 3,
        ..StubSpec::default()
    };
    let Some(world) = start(arrangement).await? else {
        return Ok(());
    };
    for mirror in 0..3 {
        world.speak(mirror, 0..100).await;
    }
    world.stub.pause();
    for mirror in 0..3 {
        world.speak(mirror, 100..400).await;
    }
    tokio::time::sleep(away()).await;
    world.stub.resume();
    for mirror in 0..3 {
        world.speak(mirror, 400..500).await;
    }
    all_in_rooms(&world, 500).await?;
    assert!(world.tally_rooms(|_| 500).is_clean());
    assert_eq!(world.stub.counts().violations, 0);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_homeserver_that_fails_in_every_way_gets_everything_once_in_order() -> anyhow::Result<()> {
    let faults = [
        Fault::Limited {
            retry_after: Duration::from_millis(100),
        },
        Fault::ServerError,
        Fault::BadGateway,
        Fault::LoseAnswer,
    ];
    let Some(world) = start(StubSpec::default()).await? else {
        return Ok(());
    };
    for (part, fault) in faults.into_iter().enumerate() {
        world.stub.fail_every(fault, 7);
        world.speak(0, part * 50..(part + 1) * 50).await;
        all_in_rooms(&world, (part + 1) * 50).await?;
    }
    assert!(world.tally_rooms(|_| 200).is_clean(), "{:?}", world.arrivals_in_room(0));
    let counts = world.stub.counts();
    assert!(counts.faults >= 20, "{counts:?}");
    assert!(
        counts.repeats >= 5,
        "lost answers are repeated with the same transaction id: {counts:?}"
    );
    assert_eq!(counts.violations, 0);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_irc_server_that_is_away_gets_everything_when_it_is_back() -> anyhow::Result<()> {
    let Some(mut world) = start(StubSpec::default()).await? else {
        return Ok(());
    };
    world.push(0, 0..20).await?;
    all_in_channels(&world, 20).await?;
    let address = world.server.address();
    // Gone with every connection, and back at the same place with nobody there.
    let heard_before = world.arrivals_in_channel(0);
    drop(std::mem::replace(&mut world.server, LoadIrcd::start().await?));
    world.push(0, 20..120).await?;
    tokio::time::sleep(away()).await;
    world.server = LoadIrcd::start_at(address).await?;
    wait_until("the backlog", BACKLOG, || world.arrivals_in_channel(0).contains(&119)).await?;
    world.push(0, 120..130).await?;
    wait_until("what came after", BACKLOG, || {
        world.arrivals_in_channel(0).contains(&129)
    })
    .await?;
    let arrivals = heard_before.into_iter().chain(world.arrivals_in_channel(0));
    let tally = viaduct_tests::load::tally(130, arrivals);
    assert!(tally.is_clean(), "{tally:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_cut_under_load_lose_and_double_nothing_silently() -> anyhow::Result<()> {
    let Some(mut world) = start(StubSpec::default()).await? else {
        return Ok(());
    };
    world.push(0, 0..5).await?;
    all_in_channels(&world, 5).await?;
    for round in 1..=3 {
        world.push(0, 5 + (round - 1) * 100..5 + round * 100).await?;
        world.server.cut_all();
    }
    let settled = || {
        let told = world.told_failures(0);
        world.tally_channels(|_| 305).lost <= told.len() as u64
    };
    wait_until("everything there or told", BACKLOG, settled).await?;
    let tally = world.tally_channels(|_| 305);
    assert_eq!((tally.doubled, tally.reordered), (0, 0));
    let arrived = world.arrivals_in_channel(0);
    let told = world.told_failures(0);
    let silent: Vec<usize> = (0..305)
        .filter(|number| !arrived.contains(number) && !told.contains(number))
        .collect();
    assert!(silent.is_empty(), "neither there nor told: {silent:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_in_one_mirror_delays_no_other() -> anyhow::Result<()> {
    let arrangement = StubSpec {
        mirrors: 2,
        ..StubSpec::default()
    };
    let Some(world) = start(arrangement).await? else {
        return Ok(());
    };
    world.speak(1, 0..1).await;
    wait_until("the first word", HEARD, || world.arrivals_in_room(1).contains(&0)).await?;
    world.stub.set_send_delay(Duration::from_millis(2));
    world.speak(0, 0..5_000).await;
    world.speak(1, 1..2).await;
    wait_until("the word amid the flood", HEARD, || {
        world.arrivals_in_room(1).contains(&1)
    })
    .await?;
    assert!(
        world.arrivals_in_room(0).len() < 5_000,
        "the flood was over before the word was said: nothing was shown"
    );
    world.stub.set_send_delay(Duration::ZERO);
    wait_until("the flood", BACKLOG, || world.arrivals_in_room(0).len() == 5_000).await?;
    assert!(
        world
            .tally_rooms(|mirror| if mirror == 0 { 5_000 } else { 2 })
            .is_clean()
    );
    Ok(())
}

/// A small file system, unmounted when dropped.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    fn mount(megabytes: u32) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let size = format!("size={megabytes}m");
        let status = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &size, "tmpfs"])
            .arg(folder.path())
            .status()?;
        anyhow::ensure!(status.success(), "mount failed");
        Ok(Self(folder))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        Command::new("umount").arg("-l").arg(self.0.path()).status().ok();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_acknowledges_nothing_and_loses_nothing() -> anyhow::Result<()> {
    if !is_root() {
        eprintln!("skipped: only root can mount a small disk");
        return Ok(());
    }
    let Ok(disk) = SmallDisk::mount(48) else {
        eprintln!("skipped: a small disk cannot be mounted here");
        return Ok(());
    };
    let store = Some(disk.0.path().join("store"));
    let Some(mut world) = start(StubSpec {
        store,
        ..StubSpec::default()
    })
    .await?
    else {
        return Ok(());
    };
    world.push(0, 0..10).await?;
    all_in_channels(&world, 10).await?;
    let filler = disk.0.path().join("filler");
    // Writes until nothing more fits.
    std::fs::write(&filler, vec![0; 64 << 20]).ok();

    // Enough to outgrow whatever the store has reserved: sooner or later one is not acknowledged.
    let mut acknowledged = 10;
    let mut refused = None;
    while refused.is_none() && acknowledged < 20_000 {
        let events: Vec<String> = (acknowledged..acknowledged + 100)
            .map(|number| matrix_message(0, number))
            .collect();
        let body = format!(r#"{{"events":[{}]}}"#, events.join(","));
        match world.pusher.attempt(format!("full{acknowledged}"), body).await {
            Ok(200) => acknowledged += 100,
            other => refused = Some(other),
        }
    }
    let refused = refused.ok_or_else(|| anyhow::anyhow!("the disk was never full: nothing was shown"))?;
    assert!(
        matches!(refused, Ok(500..=599)),
        "the homeserver is told to come again, and not kept waiting: {refused:?}"
    );
    std::fs::remove_file(&filler)?;
    if !world.hub.process().is_some_and(Process::is_running) {
        world.hub.start().await?;
    }
    // The homeserver repeats what was not acknowledged.
    world.push(0, acknowledged..acknowledged + 100).await?;
    let sent = acknowledged + 100;
    let told = || world.tally_channels(|_| sent).lost <= world.told_failures(0).len() as u64;
    wait_until("everything there or told", BACKLOG, told).await?;
    let tally = world.tally_channels(|_| sent);
    assert_eq!((tally.doubled, tally.reordered), (0, 0));
    world.hub.stop();
    Ok(())
}
