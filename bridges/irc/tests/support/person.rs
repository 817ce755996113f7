//! A person with a plain IRC client.

use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

use super::PATIENCE;

pub struct Ircer {
    read: BufReader<OwnedReadHalf>,
    write: OwnedWriteHalf,
    pub seen: Vec<String>,
}

impl Ircer {
    pub async fn connect(port: u16, nick: &str) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let (read, write) = stream.into_split();
        let mut person = Self {
            read: BufReader::new(read),
            write,
            seen: Vec::new(),
        };
        person.send(&format!("NICK {nick}\r\nUSER person 0 * :{nick}")).await;
        person.until(" 001 ").await;
        person.until_any(&[" 376 ", " 422 "]).await;
        person
    }

    pub async fn send(&mut self, line: &str) {
        self.write.write_all(format!("{line}\r\n").as_bytes()).await.unwrap();
    }

    pub async fn send_bytes(&mut self, bytes: &[u8]) {
        self.write.write_all(bytes).await.unwrap();
    }

    pub async fn join(&mut self, channel: &str) {
        self.send(&format!("JOIN {channel}")).await;
        self.until(" 366 ").await;
    }

    pub async fn until(&mut self, part: &str) -> String {
        self.until_any(&[part]).await
    }

    /// The next line with one of these in it.
    pub async fn until_any(&mut self, parts: &[&str]) -> String {
        let reading = async {
            loop {
                let mut bytes = Vec::new();
                let count = self.read.read_until(b'\n', &mut bytes).await.unwrap();
                assert!(
                    count > 0,
                    "the connection ended before {parts:?}; seen: {:#?}",
                    self.seen
                );
                let line = String::from_utf8_lossy(&bytes).trim_end().to_owned();
                if let Some(token) = line.strip_prefix("PING ") {
                    let answer = format!("PONG {token}\r\n");
                    self.write.write_all(answer.as_bytes()).await.unwrap();
                }
                self.seen.push(line.clone());
                if parts.iter().any(|part| line.contains(part)) {
                    return line;
                }
            }
        };
        let found = tokio::time::timeout(PATIENCE, reading).await;
        found.unwrap_or_else(|_| panic!("{parts:?} did not come; seen: {:#?}", self.seen))
    }

    /// Whether a line with this comes within a short time.
    pub async fn silent_about(&mut self, part: &str, time: Duration) -> bool {
        self.send("PING :silence").await;
        let until = tokio::time::timeout(time, self.until_any(&[part, "PONG"])).await;
        until.is_ok_and(|line| !line.contains(part))
    }
}
