//! The reading half of a connection: lines for the session, and what concerns the connection itself.

use std::pin::pin;
use std::sync::atomic::Ordering;
use std::time::Duration;

use irc_proto::Message;
use tokio::io::{AsyncReadExt, ReadHalf};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::codec::Lines;
use super::connection::{Shared, locked};
use super::dial::Wire;
use super::line::{Fields, Glance, glance, message, parse};
use crate::metrics;

/// Messages of one batch.
const BATCH: usize = 256;

/// Reads until the connection ends; says why it did.
pub(super) async fn read_all(
    mut wire: ReadHalf<Box<dyn Wire>>,
    mut lines: Lines,
    shared: &Shared,
    urgent: mpsc::Sender<Message>,
    batches: mpsc::Sender<Vec<Message>>,
    ping: Duration,
) -> String {
    let mut asked: Option<Instant> = None;
    // One timer for all reads, moved on only when it runs out.
    let mut heard = Instant::now();
    let mut silence = pin!(tokio::time::sleep(ping));
    loop {
        loop {
            let mut batch = Vec::new();
            while batch.len() < BATCH {
                let Some(line) = lines.next_line() else { break };
                if let Some(line) = taken(&line, shared, &urgent, &mut asked) {
                    batch.push(line);
                }
            }
            if batch.is_empty() {
                break;
            }
            if batches.send(batch).await.is_err() {
                return "nobody listens any more".to_owned();
            }
        }
        if lines.dropped > shared.dropped.swap(lines.dropped, Ordering::Relaxed) {
            metrics::dropped("too_long");
        }
        tokio::select! {
            biased;
            read = wire.read_buf(lines.buffer()) => match read {
                Ok(0) => return "the server closed the connection".to_owned(),
                Ok(_) => heard = Instant::now(),
                Err(error) => return format!("the connection was lost: {error}"),
            },
            () = silence.as_mut() => {
                let now = Instant::now();
                if heard + ping > now {
                    silence.as_mut().reset(heard + ping);
                    continue;
                }
                if asked.is_some() {
                    return "the server does not answer".to_owned();
                }
                asked = Some(now);
                silence.as_mut().reset(now + ping);
                let last = locked(&shared.awaiting).last();
                urgent.try_send(message("PING", &[&format!("vd{last}")])).ok();
            }
        }
    }
}

/// Handles what concerns the connection itself; gives what is for the session.
fn taken(text: &str, shared: &Shared, urgent: &mpsc::Sender<Message>, asked: &mut Option<Instant>) -> Option<Message> {
    let dropped = |seen: &Glance<'_>| (shared.unheard)(seen, &shared.isupport) && !shared.is_own(seen.source);
    if glance(text).is_some_and(|seen| dropped(&seen)) {
        return None;
    }
    let line = parse(text)?;
    match line.name() {
        "PING" => {
            urgent.try_send(message("PONG", &[line.last()])).ok();
            return None;
        }
        "PONG" => {
            if let Some(since) = asked.take() {
                let lag = u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX);
                shared.lag.store(lag, Ordering::Relaxed);
            }
            if let Some(number) = line.last().strip_prefix("vd").and_then(|number| number.parse().ok()) {
                locked(&shared.awaiting).barrier(number);
            }
            return None;
        }
        "ERROR" => {
            *locked(&shared.reason) = format!("the server says: {}", line.last());
            return None;
        }
        "CAP" => {
            withdrawn(&line, shared);
            return None;
        }
        "396" => shared.host.store(line.parameter(1).len(), Ordering::Relaxed),
        _ => {}
    }
    let own = !line.source().is_empty() && shared.is_own(line.source());
    if own {
        shared.note_own(&line);
    }
    let answered = locked(&shared.awaiting).answer(&line, own, shared.isupport.casemapping);
    (!answered).then_some(line)
}

/// A capability that was granted is taken back: whatever relied on it starts anew with what is left.
fn withdrawn(line: &Message, shared: &Shared) {
    if line.parameter(1) != "DEL" {
        return;
    }
    // Logging in is over, and services come and go.
    let relied_on = |name: &&str| *name != "sasl" && shared.granted.contains_key(*name);
    let names: Vec<&str> = line.last().split(' ').filter(relied_on).collect();
    if !names.is_empty() {
        *locked(&shared.reason) = format!("the server no longer offers {}", names.join(", "));
        shared.stop.cancel();
    }
}
