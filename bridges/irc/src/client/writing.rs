//! The writing half of a connection: what is urgent first, the rest as fast as pacing allows, several lines at once.

use std::time::Duration;

use irc_proto::Message;
use tokio::io::{AsyncWriteExt, WriteHalf};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::connection::{Outgoing, Shared, locked};
use super::dial::Wire;
use super::line::{Fields, message, write_into};
use super::pacing::Pacer;

/// Bytes written at once.
const WRITE: usize = 32 * 1024;
/// Bytes kept for the next time.
const KEPT: usize = 4 * 1024;
/// Of a paced connection's lines, so many may wait for one barrier.
const PACED_BARRIER: usize = 8;

/// Writes until the connection ends; says why it did.
pub(super) async fn write_all(
    mut wire: WriteHalf<Box<dyn Wire>>,
    shared: &Shared,
    mut queue: mpsc::Receiver<Outgoing>,
    mut urgent: mpsc::Receiver<Message>,
    mut pacer: Pacer,
) -> String {
    let mut next: Option<Outgoing> = None;
    let mut unasked = 0_usize;
    let mut bytes = Vec::new();
    loop {
        let mut pause = Duration::ZERO;
        while bytes.len() < WRITE {
            if let Ok(line) = urgent.try_recv() {
                write_into(&line, &mut bytes);
                continue;
            }
            let Some(outgoing) = next.take().or_else(|| queue.try_recv().ok()) else {
                break;
            };
            if !pacer.is_off()
                && let Some(wait) = pacer.take(outgoing.sizes(), Instant::now())
            {
                next = Some(outgoing);
                pause = wait;
                break;
            }
            unasked += usize::from(outgoing.done.is_some() && shared.must_ask(&outgoing.message));
            encode(outgoing, shared, &mut bytes);
        }
        // One question answers for all lines before it; on a paced connection it must not cost more than it saves.
        let ask = unasked > 0 && (pacer.is_off() || (next.is_none() && queue.is_empty()) || unasked >= PACED_BARRIER);
        if ask {
            unasked = 0;
            let last = locked(&shared.awaiting).last();
            write_into(&message("PING", &[&format!("vd{last}")]), &mut bytes);
        }
        if !bytes.is_empty() {
            if let Err(error) = flushed(&mut wire, &bytes).await {
                return format!("the connection was lost: {error}");
            }
            bytes.clear();
            bytes.shrink_to(KEPT);
            continue;
        }
        tokio::select! {
            line = urgent.recv() => match line {
                Some(line) => write_into(&line, &mut bytes),
                None => return "it was closed".to_owned(),
            },
            outgoing = queue.recv(), if next.is_none() => match outgoing {
                Some(outgoing) => next = Some(outgoing),
                None => return "it was closed".to_owned(),
            },
            () = tokio::time::sleep(pause), if next.is_some() => {}
        }
    }
}

async fn flushed(wire: &mut WriteHalf<Box<dyn Wire>>, bytes: &[u8]) -> std::io::Result<()> {
    wire.write_all(bytes).await?;
    wire.flush().await
}

fn encode(outgoing: Outgoing, shared: &Shared, bytes: &mut Vec<u8>) {
    let Outgoing {
        mut message,
        rest,
        done,
    } = outgoing;
    if let Some(done) = done {
        let number = locked(&shared.awaiting).add(&message, done);
        if shared.labels {
            message.set_tag("label", &format!("vd{number}"));
        }
    }
    write_into(&message, bytes);
    for message in &rest {
        write_into(message, bytes);
    }
}
