//! Stands between the session and its server, and can be cut.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

pub struct Proxy {
    pub port: u16,
    shared: Arc<Shared>,
    task: tokio::task::JoinHandle<()>,
}

struct Shared {
    /// Whether connections are let through. Every connection ends when this changes.
    open: watch::Sender<bool>,
    /// The next words that are sent go through, and the answer to them does not.
    losing: AtomicBool,
    /// Such words went through: whatever tells of them, to whomever, is lost.
    lost: AtomicBool,
}

impl Proxy {
    pub async fn start(server: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::new(Shared {
            open: watch::Sender::new(true),
            losing: AtomicBool::new(false),
            lost: AtomicBool::new(false),
        });
        let carrying = Arc::clone(&shared);
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let open = carrying.open.subscribe();
                if *open.borrow() {
                    tokio::spawn(carry(client, server, Arc::clone(&carrying), open));
                }
            }
        });
        Self { port, shared, task }
    }

    pub fn cut(&self) {
        self.shared.open.send_replace(false);
    }

    pub fn restore(&self) {
        self.shared.losing.store(false, Ordering::SeqCst);
        self.shared.lost.store(false, Ordering::SeqCst);
        self.shared.open.send_if_modified(|open| !std::mem::replace(open, true));
    }

    pub fn lose_answer(&self) {
        self.shared.losing.store(true, Ordering::SeqCst);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn holds(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

async fn carry(client: TcpStream, server: u16, shared: Arc<Shared>, mut open: watch::Receiver<bool>) {
    let Ok(server) = TcpStream::connect(("127.0.0.1", server)).await else {
        return;
    };
    client.set_nodelay(true).unwrap();
    server.set_nodelay(true).unwrap();
    let (mut client_read, mut client_write) = client.into_split();
    let (mut server_read, mut server_write) = server.into_split();
    let (mut up, mut down) = (vec![0; 65536], vec![0; 65536]);
    loop {
        tokio::select! {
            _ = open.changed() => return,
            read = client_read.read(&mut up) => {
                let Ok(length @ 1..) = read else { return };
                let bytes = &up[..length];
                if holds(bytes, b"PRIVMSG #") && shared.losing.swap(false, Ordering::SeqCst) {
                    shared.lost.store(true, Ordering::SeqCst);
                }
                if server_write.write_all(bytes).await.is_err() {
                    return;
                }
            }
            read = server_read.read(&mut down) => {
                let Ok(length @ 1..) = read else { return };
                let bytes = &down[..length];
                // The words themselves, an echo, an acknowledgement or the answer to the question behind them.
                let lost = shared.lost.load(Ordering::SeqCst);
                if lost && [&b"PRIVMSG"[..], b"ACK", b"PONG"].iter().any(|answer| holds(bytes, answer)) {
                    return;
                }
                if client_write.write_all(bytes).await.is_err() {
                    return;
                }
            }
        }
    }
}
