//! The delay the hub adds at an ordinary pace.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};
use viaduct_tests::load::LoadServer as _;
use viaduct_tests::stub_world::{channel, matrix_message, nick, number, room, text};

use crate::report::{Figures, percentile};
use crate::rig::{Load, Rig};

/// One message every 20 ms is 50 a second.
const PACE: Duration = Duration::from_millis(20);
/// Ten seconds of it.
const MESSAGES: usize = 500;

/// Median and 99th percentile, both ways.
pub async fn latency(load: Load) -> anyhow::Result<Figures> {
    let mut rig = Rig::start(load).await?;
    rig.warm_up_nicks(1).await?;
    let inbound = inbound(&rig, load).await?;
    let outbound = outbound(&mut rig, load).await?;
    Ok(Figures::default()
        .with("added delay IRC → Matrix at 50/s, p50", percentile(&inbound, 50), "ms")
        .with("added delay IRC → Matrix at 50/s, p99", percentile(&inbound, 99), "ms")
        .with("added delay Matrix → IRC at 50/s, p50", percentile(&outbound, 50), "ms")
        .with("added delay Matrix → IRC at 50/s, p99", percentile(&outbound, 99), "ms"))
}

async fn inbound(rig: &Rig, load: Load) -> anyhow::Result<Vec<f64>> {
    let mut spoken = Vec::new();
    let begun = Instant::now();
    for message in 0..MESSAGES {
        sleep_until(begun + PACE.saturating_mul(u32::try_from(message)?)).await;
        let mirror = message % load.mirrors;
        spoken.push(Instant::now());
        rig.server
            .speak(&channel(mirror), &nick(mirror, 0), &text(message))
            .await;
    }
    let arrived = rig.until(|| rig.stub.messages(), MESSAGES as u64).await;
    anyhow::ensure!(arrived == MESSAGES as u64, "only {arrived} of {MESSAGES} arrived");
    let sent = (0..load.mirrors).flat_map(|mirror| rig.stub.sent(&room(mirror)));
    Ok(delays(
        &spoken,
        sent.filter_map(|sent| Some((number(&sent.body)?, sent.at))),
    ))
}

async fn outbound(rig: &mut Rig, load: Load) -> anyhow::Result<Vec<f64>> {
    // The puppets connect before the clock runs.
    let first: Vec<String> = (0..load.mirrors)
        .map(|mirror| matrix_message(mirror, usize::MAX - mirror))
        .collect();
    rig.pusher.push(&first, Duration::from_mins(1)).await?;
    rig.until(|| rig.server.heard_in_all(), first.len() as u64).await;
    rig.server.forget_heard();
    let mut spoken = Vec::new();
    let begun = Instant::now();
    for message in 0..MESSAGES {
        sleep_until(begun + PACE.saturating_mul(u32::try_from(message)?)).await;
        let event = matrix_message(message % load.mirrors, message);
        spoken.push(Instant::now());
        rig.pusher.push(&[event], Duration::from_secs(10)).await?;
    }
    let arrived = rig.until(|| rig.server.heard_in_all(), MESSAGES as u64).await;
    anyhow::ensure!(arrived == MESSAGES as u64, "only {arrived} of {MESSAGES} arrived");
    let heard = (0..load.mirrors).flat_map(|mirror| rig.server.heard(&channel(mirror)));
    Ok(delays(
        &spoken,
        heard.filter_map(|heard| Some((number(&heard.text)?, heard.at))),
    ))
}

/// Sorted delays in milliseconds.
fn delays(spoken: &[Instant], arrived: impl Iterator<Item = (usize, Instant)>) -> Vec<f64> {
    let delay = |(number, at): (usize, Instant)| Some(at.duration_since(*spoken.get(number)?).as_secs_f64() * 1000.0);
    let mut delays: Vec<f64> = arrived.filter_map(delay).collect();
    delays.sort_by(f64::total_cmp);
    delays
}
