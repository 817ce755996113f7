//! The writing half of a connection: what is urgent first, the rest as fast as pacing allows, several lines at once.

use std::time::Duration;

use irc_proto::Message;
use tokio::io::{AsyncWriteExt, WriteHalf};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::connection::{Outgoing, Shared, locked};
use super::dial::Wire;
use super::line::{Fields, message, write};
use super::pacing::Pacer;

/// Bytes written at once.
const WRITE: usize = 32 * 1024;
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
    loop {
        let mut bytes = Vec::new();
        let mut pause = Duration::ZERO;
        while bytes.len() < WRITE {
            if let Ok(line) = urgent.try_recv() {
                bytes.extend(write(&line));
                continue;
            }
            let Some(outgoing) = next.take().or_else(|| queue.try_recv().ok()) else {
                break;
            };
            let size = outgoing.message.parameters().iter().map(String::len).sum();
            if let Some(wait) = pacer.take(size, Instant::now()) {
                next = Some(outgoing);
                pause = wait;
                break;
            }
            unasked += usize::from(outgoing.done.is_some() && !shared.labels);
            bytes.extend(encoded(outgoing, shared));
        }
        // One question answers for all lines before it; on a paced connection it must not cost more than it saves.
        let ask = unasked > 0 && (pacer.is_off() || (next.is_none() && queue.is_empty()) || unasked >= PACED_BARRIER);
        if ask {
            unasked = 0;
            let last = locked(&shared.awaiting).last();
            bytes.extend(write(&message("PING", &[&format!("vd{last}")])));
        }
        if !bytes.is_empty() {
            let written = async {
                wire.write_all(&bytes).await?;
                wire.flush().await
            };
            if let Err(error) = written.await {
                return format!("the connection was lost: {error}");
            }
            continue;
        }
        tokio::select! {
            line = urgent.recv() => match line {
                Some(line) => if let Err(error) = wire.write_all(&write(&line)).await {
                    return format!("the connection was lost: {error}");
                },
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

fn encoded(outgoing: Outgoing, shared: &Shared) -> Vec<u8> {
    let Outgoing { mut message, done } = outgoing;
    if let Some(done) = done {
        let number = locked(&shared.awaiting).add(&message, done);
        if shared.labels {
            message.set_tag("label", &format!("vd{number}"));
        }
    }
    write(&message)
}
