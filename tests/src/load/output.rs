//! The outgoing side of a connection, whatever is spoken on it.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::io::AsyncWriteExt as _;
use tokio::net::tcp::OwnedWriteHalf;
use tokio::sync::Notify;

/// How many bytes may wait to be written before a speaker has to wait.
const OUTPUT_BOUND: usize = 256 * 1024;

/// What waits to be written to one connection.
#[derive(Debug, Default)]
pub(super) struct Output {
    waiting: Mutex<Vec<u8>>,
    /// Something waits to be written.
    wake: Notify,
    /// What waited was taken to be written.
    taken: Notify,
    cut: Notify,
}

impl Output {
    fn waiting(&self) -> MutexGuard<'_, Vec<u8>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn write(&self, bytes: &[u8]) {
        self.waiting().extend_from_slice(bytes);
        self.wake.notify_one();
    }

    /// Writes once there is room.
    pub(super) async fn write_when_room(&self, bytes: &[u8]) {
        loop {
            let taken = self.taken.notified();
            if self.waiting().len() < OUTPUT_BOUND {
                break;
            }
            taken.await;
        }
        self.write(bytes);
    }

    /// Breaks the connection.
    pub(super) fn cut(&self) {
        self.cut.notify_one();
    }

    /// Writes what there is, until the connection ends or is cut.
    pub(super) async fn write_out(&self, mut writer: OwnedWriteHalf) {
        let writing = async {
            loop {
                self.wake.notified().await;
                let bytes = std::mem::take(&mut *self.waiting());
                self.taken.notify_waiters();
                if writer.write_all(&bytes).await.is_err() {
                    return;
                }
            }
        };
        tokio::select! {
            () = writing => {}
            () = self.cut.notified() => {}
        }
    }

    /// The connection is gone: whoever waits for room need not wait any more.
    pub(super) fn close(&self) {
        self.waiting().clear();
        self.taken.notify_waiters();
    }
}
