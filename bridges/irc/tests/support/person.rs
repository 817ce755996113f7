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
        Self::connect_as(port, nick, nick).await
    }

    /// Connects somebody who describes themselves.
    pub async fn connect_as(port: u16, nick: &str, realname: &str) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let (read, write) = stream.into_split();
        let mut person = Self {
            read: BufReader::new(read),
            write,
            seen: Vec::new(),
        };
        person
            .send(&format!("NICK {nick}\r\nUSER person 0 * :{realname}"))
            .await;
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

    /// A line with this in it, which may have come already.
    pub async fn have_seen(&mut self, part: &str) -> String {
        match self.seen.iter().find(|line| line.contains(part)) {
            Some(line) => line.clone(),
            None => self.until(part).await,
        }
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

    /// Registers an account with the services, which may still be linking.
    pub async fn register(&mut self, account: &str, password: &str) {
        let linked = async {
            loop {
                self.send(&format!("PRIVMSG NickServ :REGISTER {account} {password} a@test.local"))
                    .await;
                let line = self.until_any(&[" 401 ", " 402 ", ":NickServ!"]).await;
                if line.contains(":NickServ!") {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        tokio::time::timeout(PATIENCE, linked)
            .await
            .expect("the services did not link");
    }

    /// Asks the server about somebody: the line with user and host, and the account's line if there is one.
    pub async fn whois(&mut self, nick: &str) -> (String, Option<String>) {
        self.send(&format!("WHOIS {nick}")).await;
        let known = self.until(" 311 ").await;
        let account = self.until_any(&[" 330 ", " 318 "]).await;
        let account = Some(account).filter(|line| line.contains(" 330 "));
        if account.is_some() {
            self.until(" 318 ").await;
        }
        (known, account)
    }

    /// Whether a line with this comes within a short time.
    pub async fn silent_about(&mut self, part: &str, time: Duration) -> bool {
        self.send("PING :silence").await;
        let until = tokio::time::timeout(time, self.until_any(&[part, "PONG"])).await;
        until.is_ok_and(|line| !line.contains(part))
    }
}
