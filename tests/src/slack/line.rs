//! A wire between an app and the stand-in. What the stand-in sends over a connection can be made to arrive later, as on a line
//! that lags: all of it, in order, answers to pings too. What the app sends is never held up.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::control::Control;
use super::delivery::Which;

/// What is read at once.
const PIECE: usize = 64 * 1024;
/// What the request for a socket begins with.
const SOCKET: &[u8] = b"GET /link/";

/// By how many milliseconds a connection lags.
type Lag = Arc<AtomicU64>;

/// The connections on a line that are sockets.
#[derive(Debug, Default)]
struct Sockets {
    /// Oldest first; a closed one has no other holder.
    open: Vec<Lag>,
    /// By how much the next one lags.
    next: u64,
}

/// A wire to a stand-in, on a loopback port of its own, until dropped.
#[derive(Debug)]
pub struct Line {
    address: String,
    sockets: Arc<Mutex<Sockets>>,
    /// Ends with the line.
    _work: JoinSet<()>,
}

fn locked(sockets: &Mutex<Sockets>) -> MutexGuard<'_, Sockets> {
    sockets.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Line {
    /// Lays a wire to this stand-in, which from now on gives out addresses that lead over it.
    ///
    /// # Errors
    ///
    /// When it cannot listen.
    pub async fn lay(to: &Control) -> anyhow::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = format!("http://{}", listener.local_addr()?);
        let target = to.url().trim_start_matches("http://").to_owned();
        to.behind(&address);
        let sockets: Arc<Mutex<Sockets>> = Arc::default();
        let mut work = JoinSet::new();
        let known = Arc::clone(&sockets);
        work.spawn(async move {
            let mut carried = JoinSet::new();
            while let Ok((near, _)) = listener.accept().await {
                while carried.try_join_next().is_some() {}
                carried.spawn(carry(near, target.clone(), Arc::clone(&known)));
            }
        });
        Ok(Self {
            address,
            sockets,
            _work: work,
        })
    }

    /// The address of the Web API by way of this line, without a slash at its end.
    pub fn api_url(&self) -> String {
        format!("{}/api", self.address)
    }

    /// From now on all that comes over these sockets comes so much later. The oldest is the oldest that does not lag.
    pub fn lag(&self, which: Which, by: Duration) {
        let mut sockets = locked(&self.sockets);
        sockets.open.retain(|lag| Arc::strong_count(lag) > 1);
        let mut prompt = sockets.open.iter().filter(|lag| lag.load(Ordering::Relaxed) == 0);
        let chosen: Vec<&Lag> = match which {
            Which::All => prompt.collect(),
            Which::Oldest => prompt.next().into_iter().collect(),
            Which::Newest => prompt.next_back().into_iter().collect(),
        };
        for lag in chosen {
            lag.store(millis(by), Ordering::Relaxed);
        }
    }

    /// The next socket lags so much from its beginning.
    pub fn lag_next(&self, by: Duration) {
        locked(&self.sockets).next = millis(by);
    }

    /// Nothing lags any more. What is held up keeps its place.
    pub fn mend(&self) {
        let mut sockets = locked(&self.sockets);
        sockets.next = 0;
        sockets.open.iter().for_each(|lag| lag.store(0, Ordering::Relaxed));
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Carries one connection in both directions until it ends.
async fn carry(near: TcpStream, target: String, sockets: Arc<Mutex<Sockets>>) {
    let Ok(far) = TcpStream::connect(&target).await else {
        return;
    };
    near.set_nodelay(true).ok();
    far.set_nodelay(true).ok();
    let (mut from_app, to_app) = near.into_split();
    let (from_slack, mut to_slack) = far.into_split();
    let mut first = vec![0; PIECE];
    let Ok(read) = from_app.read(&mut first).await else {
        return;
    };
    first.truncate(read);
    let lag = Lag::default();
    if first.starts_with(SOCKET) {
        let mut sockets = locked(&sockets);
        lag.store(std::mem::take(&mut sockets.next), Ordering::Relaxed);
        sockets.open.push(Arc::clone(&lag));
    }
    let outward = async {
        if to_slack.write_all(&first).await.is_ok() {
            tokio::io::copy(&mut from_app, &mut to_slack).await.ok();
        }
        to_slack.shutdown().await.ok();
    };
    tokio::join!(outward, delayed(from_slack, to_app, &lag));
}

/// Passes on what comes, so much later.
async fn delayed(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, lag: &AtomicU64) {
    let (sender, mut pieces) = mpsc::unbounded_channel::<(Instant, Bytes)>();
    let reading = async move {
        loop {
            let mut piece = BytesMut::with_capacity(PIECE);
            let read = from.read_buf(&mut piece).await;
            let at = Instant::now() + Duration::from_millis(lag.load(Ordering::Relaxed));
            // The end is passed on like all else.
            let over = !matches!(read, Ok(read) if read > 0);
            if sender.send((at, piece.freeze())).is_err() || over {
                return;
            }
        }
    };
    let writing = async move {
        while let Some((at, piece)) = pieces.recv().await {
            tokio::time::sleep_until(at).await;
            if piece.is_empty() || to.write_all(&piece).await.is_err() {
                break;
            }
        }
        to.shutdown().await.ok();
    };
    tokio::join!(reading, writing);
}
