//! The kit's person in an IRC channel, and the channel's owner, who makes everybody an operator.

use std::collections::VecDeque;
use std::time::Duration;

use async_trait::async_trait;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout_at};
use viaduct_bridge::conformance::{Done, Handle, Remote, RemoteError, Seen, What};
use viaduct_model::ChannelId;

use super::line::{Line, shown};
use super::proxy::Proxy;
use super::support::PATIENCE;
use super::support::server::Server;

/// The end of a puppet's nick.
const PUPPET: &str = "[m]";

#[allow(clippy::needless_pass_by_value, reason = "errors are handed to it as they come")]
fn failed(reason: impl ToString) -> RemoteError {
    RemoteError::Failed(reason.to_string())
}

fn absent<T>(reason: &str) -> Done<T> {
    Err(RemoteError::Absent(reason.to_owned()))
}

/// A connection that is logged in.
struct Wire {
    stream: BufReader<TcpStream>,
    /// The line that is being read; kept here, so that giving up a wait loses nothing.
    partial: Vec<u8>,
}

impl Wire {
    async fn open(port: u16, nick: &str) -> Done<Self> {
        let stream = TcpStream::connect(("127.0.0.1", port)).await.map_err(failed)?;
        stream.set_nodelay(true).map_err(failed)?;
        let mut wire = Self {
            stream: BufReader::new(stream),
            partial: Vec::new(),
        };
        wire.send(format!("NICK {nick}\r\nUSER {nick} 0 * :{nick}")).await?;
        let end = Instant::now() + PATIENCE;
        while !matches!(wire.line(end).await?.command.as_str(), "376" | "422") {}
        Ok(wire)
    }

    async fn send(&mut self, line: impl AsRef<[u8]>) -> Done {
        let bytes = [line.as_ref(), b"\r\n"].concat();
        self.stream.write_all(&bytes).await.map_err(failed)
    }

    /// The next line, answering the server's questions whether we are still there.
    async fn line(&mut self, end: Instant) -> Done<Line> {
        loop {
            let read = timeout_at(end, self.stream.read_until(b'\n', &mut self.partial));
            let count = read.await.map_err(|_| failed("the server said nothing"))?;
            if count.map_err(failed)? == 0 {
                return Err(failed("the server closed the connection"));
            }
            let line = Line::read(&String::from_utf8_lossy(&std::mem::take(&mut self.partial)));
            if line.command == "PING" {
                self.send(format!("PONG :{}", line.parameter(0))).await?;
            } else {
                return Ok(line);
            }
        }
    }
}

/// Enters first, which makes them the channel's operator, and makes one of everybody else but puppets.
async fn own(mut wire: Wire, channel: String) -> Done {
    loop {
        let day = Duration::from_hours(24);
        let line = wire.line(Instant::now() + day).await?;
        if line.command == "JOIN" && !line.source.ends_with(PUPPET) && line.source != "owner" {
            wire.send(format!("MODE {channel} +o {}", line.source)).await?;
        }
    }
}

/// What a person is and has seen.
struct Client {
    wire: Wire,
    nick: String,
    /// Whether they are in the channel.
    inside: bool,
    seen: VecDeque<Seen>,
    count: u64,
}

pub struct RoomPerson {
    server: Server,
    proxy: Proxy,
    channel: &'static str,
    client: Mutex<Option<Client>>,
    owner: Mutex<Option<tokio::task::JoinHandle<Done>>>,
}

impl RoomPerson {
    pub fn new(server: Server, proxy: Proxy, channel: &'static str) -> Self {
        Self {
            server,
            proxy,
            channel,
            client: Mutex::default(),
            owner: Mutex::default(),
        }
    }

    /// Sends a line, and waits until a line comes that is the sign of it; takes note of all others.
    async fn act(&self, line: impl AsRef<[u8]>, sign: impl Fn(&Line, &str) -> bool) -> Done<Handle> {
        let mut client = self.client.lock().await;
        let client = client.as_mut().ok_or_else(|| failed("not connected"))?;
        client.wire.send(line).await?;
        client.until(self.channel, sign).await
    }

    /// Sends a line, and waits until the server has handled it.
    async fn tell(&self, line: impl AsRef<[u8]>) -> Done<Handle> {
        let lines = [line.as_ref(), b"\r\nPING :done"].concat();
        self.act(lines, |line, _| {
            line.command == "PONG" && line.parameters.iter().any(|it| it == "done")
        })
        .await
    }

    async fn speak(&self, text: impl AsRef<[u8]>) -> Done<Handle> {
        let start = format!("PRIVMSG {} :", self.channel);
        self.tell([start.as_bytes(), text.as_ref()].concat()).await
    }
}

impl Client {
    async fn until(&mut self, channel: &str, sign: impl Fn(&Line, &str) -> bool) -> Done<Handle> {
        let end = Instant::now() + PATIENCE;
        loop {
            let line = self.wire.line(end).await?;
            let found = sign(&line, &self.nick);
            self.note(channel, &line);
            if found {
                self.count += 1;
                return Ok(Handle(self.count.to_string()));
            }
        }
    }

    fn note(&mut self, channel: &str, line: &Line) {
        if line.source.eq_ignore_ascii_case(&self.nick) {
            match line.command.as_str() {
                "NICK" => line.parameter(0).clone_into(&mut self.nick),
                "JOIN" => self.inside = true,
                "PART" => self.inside = false,
                _ => {}
            }
            return;
        }
        let here = line.parameter(0).eq_ignore_ascii_case(channel);
        let what = match line.command.as_str() {
            "PRIVMSG" | "NOTICE" if here => What::Message,
            "TOPIC" if here => What::Topic,
            "JOIN" if here => What::Join,
            "PART" if here => What::Leave,
            "QUIT" => What::Leave,
            "KICK" if here => What::Kick,
            _ => return,
        };
        if what == What::Kick && line.parameter(1).eq_ignore_ascii_case(&self.nick) {
            self.inside = false;
        }
        self.count += 1;
        let mut seen = Seen {
            what,
            author: line.source.clone(),
            handle: Handle(self.count.to_string()),
            ..Seen::default()
        };
        match what {
            What::Message => self.said(line.parameter(1), &mut seen),
            What::Join | What::Leave => seen.text.clone_from(&line.source),
            _ => line.parameter(1).clone_into(&mut seen.text),
        }
        self.seen.push_back(seen);
    }

    fn said(&self, text: &str, seen: &mut Seen) {
        let action = text
            .strip_prefix("\u{1}ACTION ")
            .map(|text| text.trim_end_matches('\u{1}'));
        let (text, bold) = shown(action.unwrap_or(text));
        seen.bold = bold;
        // Clients alert their person when the nick stands in a text as a word.
        let inside = |c: char| c.is_alphanumeric() || "[]{}\\`_^|-\u{200b}".contains(c);
        seen.mentions_me = text
            .split(|c| !inside(c))
            .any(|word| word.eq_ignore_ascii_case(&self.nick));
        seen.text = text;
        // What the hub itself says is somebody's, whose name stands before it.
        if !seen.author.ends_with(PUPPET)
            && let Some((name, text)) = seen.text.strip_prefix('<').and_then(|text| text.split_once("> "))
        {
            seen.author = name.replace('\u{200b}', "");
            seen.text = text.to_owned();
        }
    }
}

#[async_trait]
impl Remote for RoomPerson {
    fn channel(&self) -> ChannelId {
        ChannelId::new(self.channel).unwrap()
    }

    async fn connect(&self) -> Done {
        let mut owner = Wire::open(self.server.port, "owner").await?;
        owner.send(format!("JOIN {}", self.channel)).await?;
        let end = Instant::now() + PATIENCE;
        while owner.line(end).await?.command != "366" {}
        *self.owner.lock().await = Some(tokio::spawn(own(owner, self.channel.to_owned())));
        *self.client.lock().await = Some(Client {
            wire: Wire::open(self.server.port, "robin").await?,
            nick: "robin".to_owned(),
            inside: false,
            seen: VecDeque::new(),
            count: 0,
        });
        self.join().await
    }

    async fn disconnect(&self) -> Done {
        if let Some(owner) = self.owner.lock().await.take() {
            owner.abort();
        }
        *self.client.lock().await = None;
        Ok(())
    }

    async fn say(&self, text: &str) -> Done<Handle> {
        self.speak(text).await
    }

    async fn expect_next(&self, bound: Duration) -> Done<Option<Seen>> {
        let mut client = self.client.lock().await;
        let client = client.as_mut().ok_or_else(|| failed("not connected"))?;
        let end = Instant::now() + bound;
        loop {
            if let Some(seen) = client.seen.pop_front() {
                return Ok(Some(seen));
            }
            match client.wire.line(end).await {
                Ok(line) => client.note(self.channel, &line),
                Err(_) if Instant::now() >= end => return Ok(None),
                Err(error) => return Err(error),
            }
        }
    }

    async fn say_raw(&self, bytes: &[u8]) -> Done {
        // No line of IRC holds a NUL; ngircd waits for ever for the end of one that does, and hears nothing more of its sender.
        let bytes: Vec<u8> = bytes.iter().copied().filter(|byte| *byte != 0).collect();
        self.speak(bytes).await.map(drop)
    }

    fn hostile(&self) -> Vec<Vec<u8>> {
        let long = "\u{2}\u{1d}\u{3}4,".repeat(90);
        [
            "\u{1}",
            "\u{1}\u{1}",
            "\u{1}ACTION",
            "\u{1}ACTION \u{1}",
            "\u{1}DCC SEND x 1 2 3\u{1}",
            "\u{1}PING \u{2}\u{1}",
            "\u{3}99,99\u{3},\u{3}1,\u{4}12345\u{4}zzzzzz",
            "\u{2}\u{16}\u{1f}\u{1e}\u{11}",
            "\u{200b}\u{202e}\u{feff}",
            "  ",
            long.as_str(),
        ]
        .iter()
        .map(|text| text.as_bytes().to_vec())
        // Half of a character, and a line of which the server cuts the end.
        .chain([b"\xf0\x9f".to_vec(), b"x".repeat(490)])
        .collect()
    }

    async fn say_bold(&self, text: &str) -> Done<Handle> {
        self.speak(format!("\u{2}{text}\u{2}")).await
    }

    async fn say_mention(&self, author: &str, text: &str) -> Done<Handle> {
        self.speak(format!("{author}: {text}")).await
    }

    async fn edit(&self, _target: &Handle, _text: &str) -> Done {
        absent("what is said on IRC cannot be changed")
    }

    async fn delete(&self, _target: &Handle) -> Done {
        absent("what is said on IRC cannot be withdrawn")
    }

    async fn reply(&self, _target: &Handle, _text: &str) -> Done<Handle> {
        absent("this client knows no replies")
    }

    async fn say_in_thread(&self, _root: &Handle, _text: &str) -> Done<Handle> {
        absent("IRC has no threads")
    }

    async fn react(&self, _target: &Handle, _emoji: &str) -> Done {
        absent("this client knows no reactions")
    }

    async fn unreact(&self, _target: &Handle, _emoji: &str) -> Done {
        absent("this client knows no reactions")
    }

    async fn upload(&self, _name: &str, _bytes: &[u8]) -> Done<Handle> {
        absent("IRC carries no files")
    }

    async fn set_topic(&self, topic: &str) -> Done {
        self.tell(format!("TOPIC {} :{topic}", self.channel)).await.map(drop)
    }

    async fn rename(&self, name: &str) -> Done {
        let sign = |line: &Line, nick: &str| line.command == "NICK" && line.source == nick;
        self.act(format!("NICK {name}"), sign).await.map(drop)
    }

    async fn leave(&self) -> Done {
        self.tell(format!("PART {}", self.channel)).await.map(drop)
    }

    async fn join(&self) -> Done {
        if self.client.lock().await.as_ref().is_some_and(|client| client.inside) {
            return Ok(());
        }
        // Kicks and topics are an operator's business: the owner makes one of whoever comes.
        let sign =
            |line: &Line, nick: &str| line.command == "MODE" && line.parameter(1) == "+o" && line.parameter(2) == nick;
        self.act(format!("JOIN {}", self.channel), sign).await.map(drop)
    }

    async fn kick(&self, author: &str) -> Done {
        self.tell(format!("KICK {} {author} :off you go", self.channel))
            .await
            .map(drop)
    }

    async fn cut_connection(&self) -> Done {
        self.proxy.cut();
        Ok(())
    }

    async fn restore(&self) -> Done {
        self.proxy.restore();
        Ok(())
    }

    async fn limit_rate(&self, _times: u32) -> Done {
        absent("IRC servers delay whoever is too fast, or end the connection; they refuse no single line")
    }

    async fn lose_answer(&self) -> Done {
        self.proxy.lose_answer();
        Ok(())
    }

    async fn repeat(&self, _message: &Handle) -> Done {
        absent("IRC servers without history tell of everything once")
    }
}
