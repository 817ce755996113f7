//! kill -9 under load, both ways.

use std::collections::HashSet;
use std::time::Duration;

use viaduct_tests::load::{LoadServer as _, SPEAKERS, Tally, tally};
use viaduct_tests::stub_world::{channel, matrix_message, nick, text};

use crate::report::Figures;
use crate::rig::{Load, Rig, share};

/// How often the hub is killed in one run.
const KILLS: usize = 3;
const TRANSACTION: usize = 100;
const ACKNOWLEDGED: Duration = Duration::from_mins(2);

/// What is lost, doubled and reordered of what was accepted.
pub async fn kill(load: Load) -> anyhow::Result<Figures> {
    let (inbound, in_flight) = inbound(load).await?;
    let (outbound, unknown) = outbound(load).await?;
    Ok(Figures::default()
        .with_count("kill -9, IRC → Matrix: lost", inbound.lost)
        .with_count("kill -9, IRC → Matrix: doubled", inbound.doubled)
        .with_count("kill -9, IRC → Matrix: reordered", inbound.reordered)
        .with_count("kill -9, IRC → Matrix: on the wire, never accepted", in_flight)
        .with_count("kill -9, Matrix → IRC: lost and not told", outbound.lost)
        .with_count("kill -9, Matrix → IRC: doubled", outbound.doubled)
        .with_count("kill -9, Matrix → IRC: reordered", outbound.reordered)
        .with_count("kill -9, Matrix → IRC: told as unknown", unknown))
}

/// IRC acknowledges nothing, so what was accepted shows only afterwards: of what was said between two kills, everything up
/// to the last line that arrived must have arrived. Lines beyond it were still on the wire.
async fn inbound(load: Load) -> anyhow::Result<(Tally, u64)> {
    let mut rig = Rig::start(load).await?;
    rig.warm_up_nicks(SPEAKERS).await?;
    let part = load.messages / load.mirrors / (KILLS + 1);
    for round in 0..=KILLS {
        for number in round * part..(round + 1) * part {
            for mirror in 0..load.mirrors {
                rig.server
                    .speak(&channel(mirror), &nick(mirror, number % SPEAKERS), &text(number))
                    .await;
            }
        }
        if round < KILLS {
            // In the middle of it: once a fifth of this part has arrived.
            let enough = ((round * part + part / 5) * load.mirrors / 2) as u64;
            rig.until(|| rig.stub.messages(), enough).await;
            rig.hub.kill();
            rig.disconnected().await?;
            rig.hub.start().await?;
            rig.connected().await?;
        }
    }
    rig.until(|| rig.stub.messages(), (part * (KILLS + 1) * load.mirrors) as u64)
        .await;
    let (mut harm, mut in_flight) = (Tally::default(), 0);
    for mirror in 0..load.mirrors {
        let arrivals = rig.arrivals_in_room(mirror);
        let total = tally(part * (KILLS + 1), arrivals.iter().copied());
        let lost = holes(&arrivals, part);
        in_flight += total.lost - lost;
        harm = harm.plus(Tally { lost, ..total });
    }
    Ok((harm, in_flight))
}

/// Numbers that did not arrive although a later one of the same part did.
fn holes(arrivals: &[usize], part: usize) -> u64 {
    let arrived: HashSet<usize> = arrivals.iter().copied().collect();
    let mut holes = 0;
    for round in 0..=KILLS {
        let last = arrivals.iter().copied().filter(|number| number / part == round).max();
        let missing = last.map_or(0, |last| {
            (round * part..last).filter(|number| !arrived.contains(number)).count()
        });
        holes += missing as u64;
    }
    holes
}

/// The homeserver repeats a transaction until it is acknowledged, so every message must arrive, or its sender must be told
/// that nobody knows.
async fn outbound(load: Load) -> anyhow::Result<(Tally, u64)> {
    let mut rig = Rig::start(load).await?;
    let messages = load.messages / load.mirrors * load.mirrors;
    let events: Vec<String> = (0..messages)
        .map(|n| matrix_message(n % load.mirrors, n / load.mirrors))
        .collect();
    let parts: Vec<&[String]> = events.chunks(TRANSACTION).collect();
    let every = parts.len().div_ceil(KILLS + 1).max(1);
    for (number, events) in parts.iter().enumerate() {
        rig.pusher.push(events, ACKNOWLEDGED).await?;
        if number > 0 && number.is_multiple_of(every) {
            rig.hub.kill();
            rig.hub.launch(&[])?;
        }
    }
    rig.until(|| rig.server.heard_in_all(), messages as u64).await;
    let mut harm = Tally::default();
    let mut told = 0;
    for mirror in 0..load.mirrors {
        let unknown = rig.told_failures(mirror);
        let sent = share(messages, load.mirrors, mirror);
        let arrivals = rig.arrivals_in_channel(mirror);
        let arrived: HashSet<usize> = arrivals.iter().copied().collect();
        let silent = (0..sent)
            .filter(|number| !arrived.contains(number) && !unknown.contains(number))
            .count() as u64;
        told += unknown.len() as u64;
        harm = harm.plus(Tally {
            lost: silent,
            ..tally(sent, arrivals)
        });
    }
    Ok((harm, told))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holes_are_told_from_what_was_on_the_wire() {
        // Parts of ten: 8 and 9 were on the wire at the first kill, 12 is a hole.
        assert_eq!(holes(&[0, 1, 2, 3, 4, 5, 6, 7, 10, 11, 13], 10), 1);
        assert_eq!(holes(&[], 10), 0);
    }
}
