use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

/// Stands between the bridge and its server, and can be cut.
pub struct Proxy {
    pub port: u16,
    shared: Arc<Shared>,
    task: tokio::task::JoinHandle<()>,
}

#[derive(Default)]
struct Shared {
    closed: AtomicBool,
    losing: AtomicBool,
    blind: AtomicBool,
    cut: Notify,
}

impl Proxy {
    pub async fn start(server: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::new(Shared::default());
        let task = tokio::spawn({
            let shared = Arc::clone(&shared);
            async move {
                while let Ok((client, _)) = listener.accept().await {
                    if !shared.closed.load(Ordering::SeqCst) {
                        tokio::spawn(carry(client, server, Arc::clone(&shared)));
                    }
                }
            }
        });
        Self { port, shared, task }
    }

    /// Breaks every connection, and lets none come up until [`Proxy::open`].
    pub fn close(&self) {
        self.shared.closed.store(true, Ordering::SeqCst);
        self.shared.cut.notify_waiters();
    }

    pub fn open(&self) {
        self.shared.losing.store(false, Ordering::SeqCst);
        self.shared.closed.store(false, Ordering::SeqCst);
    }

    /// Lets the server have the next message of the bridge, and breaks the connection instead of bringing its answer. `blind`
    /// where messages cannot be read because they are encrypted: then it is the next packet.
    pub fn lose_answer(&self, blind: bool) {
        self.shared.blind.store(blind, Ordering::SeqCst);
        self.shared.losing.store(true, Ordering::SeqCst);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn carry(client: TcpStream, server: u16, shared: Arc<Shared>) {
    let Ok(server) = TcpStream::connect(("127.0.0.1", server)).await else {
        return;
    };
    let (mut client_read, mut client_write) = client.into_split();
    let (mut server_read, mut server_write) = server.into_split();
    let (mut up, mut down) = (vec![0; 65536], vec![0; 65536]);
    let mut losing = false;
    loop {
        let cut = shared.cut.notified();
        tokio::select! {
            biased;
            () = cut => return,
            read = client_read.read(&mut up) => {
                let Ok(length @ 1..) = read else { return };
                let message = shared.blind.load(Ordering::SeqCst) || up[..length].windows(18).any(|bytes| bytes == b" type='groupchat'>");
                losing |= message && shared.losing.swap(false, Ordering::SeqCst);
                if server_write.write_all(&up[..length]).await.is_err() {
                    return;
                }
            }
            read = server_read.read(&mut down) => {
                let Ok(length @ 1..) = read else { return };
                let answer = shared.blind.load(Ordering::SeqCst) || down[..length].windows(10).any(|bytes| bytes == b"<origin-id");
                if losing && answer {
                    return;
                }
                if !losing && client_write.write_all(&down[..length]).await.is_err() {
                    return;
                }
            }
        }
    }
}
