//! Full speed, both ways.

use std::time::Duration;

use tokio::time::Instant;
use viaduct_tests::load::{LoadServer, SPEAKERS, Tally};
use viaduct_tests::stub_world::matrix_message;

use crate::report::Figures;
use crate::rig::{Load, LoadRig, share};

/// Events in one transaction, as homeservers bound them.
const TRANSACTION: usize = 100;
/// How long one transaction may wait for its acknowledgement.
const ACKNOWLEDGED: Duration = Duration::from_mins(1);

/// A network to Matrix; the homeserver takes `delay` for each send.
pub async fn inbound<N: LoadServer>(load: Load, delay: Duration) -> anyhow::Result<Figures> {
    let mut rig = LoadRig::<N>::start(load).await?;
    rig.warm_up_nicks(SPEAKERS).await?;
    rig.stub.set_send_delay(delay);
    let (begun, cpu) = (Instant::now(), rig.cpu_seconds()?);
    rig.server.pour(load.mirrors, load.messages).await?;
    let arrived = rig.until(|| rig.stub.messages(), load.messages as u64).await;
    let (elapsed, cpu) = (begun.elapsed(), rig.cpu_seconds()? - cpu);
    let tally = rig.tally_rooms(|mirror| share(load.messages, load.mirrors, mirror));
    let slow = if delay.is_zero() {
        String::new()
    } else {
        format!(", {} ms a send", delay.as_millis())
    };
    let kind = N::KIND;
    let names = [
        format!("{kind} → Matrix{slow}"),
        format!("CPU per 10,000 {kind} → Matrix{slow}"),
        format!("{kind} → Matrix{slow}: not once and in order"),
    ];
    Ok(figures(names, arrived, elapsed, cpu, tally))
}

/// Matrix to a network.
pub async fn outbound<N: LoadServer>(load: Load) -> anyhow::Result<Figures> {
    let mut rig = LoadRig::<N>::start(load).await?;
    // One line by everybody: their puppets are there before the clock runs.
    let first: Vec<String> = (0..load.mirrors)
        .map(|mirror| matrix_message(mirror, usize::MAX - mirror))
        .collect();
    for events in first.chunks(TRANSACTION) {
        rig.pusher.push(events, ACKNOWLEDGED).await?;
    }
    let arrived = rig.until(|| rig.server.heard_in_all(), first.len() as u64).await;
    anyhow::ensure!(
        arrived == first.len() as u64,
        "only {arrived} of {} first lines arrived",
        first.len()
    );
    rig.server.forget_heard();

    let events: Vec<String> = (0..load.messages)
        .map(|n| matrix_message(n % load.mirrors, n / load.mirrors))
        .collect();
    let (begun, cpu) = (Instant::now(), rig.cpu_seconds()?);
    for events in events.chunks(TRANSACTION) {
        rig.pusher.push(events, ACKNOWLEDGED).await?;
    }
    let arrived = rig.until(|| rig.server.heard_in_all(), load.messages as u64).await;
    let (elapsed, cpu) = (begun.elapsed(), rig.cpu_seconds()? - cpu);
    let tally = rig.tally_channels(|mirror| share(load.messages, load.mirrors, mirror));
    let kind = N::KIND;
    let names = [
        format!("Matrix → {kind}"),
        format!("CPU per 10,000 Matrix → {kind}"),
        format!("Matrix → {kind}: not once and in order"),
    ];
    Ok(figures(names, arrived, elapsed, cpu, tally))
}

#[expect(
    clippy::cast_precision_loss,
    reason = "counts of a run are far below the bound of exact numbers"
)]
fn figures(names: [String; 3], arrived: u64, elapsed: Duration, cpu: f64, tally: Tally) -> Figures {
    let [rate, cost, harm] = names;
    let arrived = arrived as f64;
    Figures::default()
        .with(rate, arrived / elapsed.as_secs_f64(), "messages/s")
        .with(cost, cpu * 10_000.0 / arrived.max(1.0), "s")
        .with_count(harm, tally.lost + tally.doubled + tally.reordered)
}
