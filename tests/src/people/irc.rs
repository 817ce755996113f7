//! A person on IRC: raw lines over TCP, sharing no code with the bridge it tests.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::HEARD;
use crate::wait::wait_for;

/// One line as the server sent it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct IrcLine {
    /// The tags, without their `@`; empty if there are none.
    pub tags: String,
    /// Who it is from: `nick!user@host` or a server; empty if it does not say.
    pub source: String,
    /// The command or numeric.
    pub command: String,
    /// The parameters; the last may contain spaces.
    pub params: Vec<String>,
}

impl IrcLine {
    /// Takes a line apart.
    pub fn parse(line: &str) -> Self {
        let mut rest = line.trim_end_matches(['\r', '\n']);
        let mut parsed = Self::default();
        if let Some((tags, after)) = rest.strip_prefix('@').and_then(|rest| rest.split_once(' ')) {
            tags.clone_into(&mut parsed.tags);
            rest = after.trim_start();
        }
        if let Some((source, after)) = rest.strip_prefix(':').and_then(|rest| rest.split_once(' ')) {
            source.clone_into(&mut parsed.source);
            rest = after.trim_start();
        }
        let (middle, last) = match rest.strip_prefix(':') {
            Some(last) => ("", Some(last)),
            None => rest
                .split_once(" :")
                .map_or((rest, None), |(middle, last)| (middle, Some(last))),
        };
        let mut words = middle.split_whitespace().map(str::to_owned);
        parsed.command = words.next().unwrap_or_default();
        parsed.params = words.chain(last.map(str::to_owned)).collect();
        parsed
    }

    /// The nick it is from.
    pub fn nick(&self) -> &str {
        self.source
            .split_once('!')
            .map_or(self.source.as_str(), |(nick, _)| nick)
    }

    /// A parameter, or the empty string.
    pub fn param(&self, number: usize) -> &str {
        self.params.get(number).map_or("", String::as_str)
    }

    /// The text of a message.
    pub fn text(&self) -> &str {
        self.params.last().map_or("", String::as_str)
    }

    /// Whether it is a message to `target` that contains `text`.
    pub fn says(&self, target: &str, text: &str) -> bool {
        matches!(self.command.as_str(), "PRIVMSG" | "NOTICE")
            && self.param(0).eq_ignore_ascii_case(target)
            && self.text().contains(text)
    }
}

/// Somebody on IRC. Remembers every line; answers pings.
#[derive(Debug)]
pub struct IrcPerson {
    nick: String,
    lines: Arc<Mutex<Vec<IrcLine>>>,
    writer: Arc<tokio::sync::Mutex<OwnedWriteHalf>>,
    reader: JoinHandle<()>,
}

impl IrcPerson {
    /// Connects and waits to be welcomed.
    ///
    /// # Errors
    ///
    /// When the server is not there or does not welcome `nick`.
    pub async fn connect(server: SocketAddr, nick: &str) -> anyhow::Result<Self> {
        let (reader, writer) = open(server).await?;
        let lines = Arc::new(Mutex::new(Vec::new()));
        let writer = Arc::new(tokio::sync::Mutex::new(writer));
        let reader = tokio::spawn(listen(reader, Arc::clone(&lines), Arc::clone(&writer)));
        let person = Self {
            nick: nick.to_owned(),
            lines,
            writer,
            reader,
        };
        person.raw(&format!("NICK {nick}")).await?;
        person.raw(&format!("USER {nick} 0 * :{nick}")).await?;
        person.expect("a welcome", |line| line.command == "001").await?;
        Ok(person)
    }

    /// What a server offers: the list of its capabilities.
    ///
    /// # Errors
    ///
    /// When it is not there or does not answer.
    pub async fn capabilities(server: SocketAddr) -> anyhow::Result<String> {
        let (mut reader, mut writer) = open(server).await?;
        writer.write_all(b"CAP LS 302\r\n").await?;
        let mut offered = String::new();
        let mut line = String::new();
        while timeout(Duration::from_secs(5), reader.read_line(&mut line)).await?? > 0 {
            let parsed = IrcLine::parse(&line);
            line.clear();
            if parsed.command == "CAP" {
                offered.push_str(parsed.text());
                offered.push(' ');
                if parsed.param(2) != "*" {
                    break;
                }
            }
        }
        Ok(offered)
    }

    /// The nick asked for.
    pub fn nick(&self) -> &str {
        &self.nick
    }

    /// Sends a line as it is.
    ///
    /// # Errors
    ///
    /// When the connection is gone.
    pub async fn raw(&self, line: &str) -> anyhow::Result<()> {
        self.bytes(format!("{line}\r\n").as_bytes()).await
    }

    /// Sends bytes as they are.
    ///
    /// # Errors
    ///
    /// When the connection is gone.
    pub async fn bytes(&self, bytes: &[u8]) -> anyhow::Result<()> {
        self.writer
            .lock()
            .await
            .write_all(bytes)
            .await
            .context("the IRC server closed the connection")
    }

    /// Joins a channel and waits until in.
    ///
    /// # Errors
    ///
    /// When the server does not let them in.
    pub async fn join(&self, channel: &str) -> anyhow::Result<()> {
        self.raw(&format!("JOIN {channel}")).await?;
        self.expect("the end of NAMES", |line| {
            line.command == "366" && line.param(1).eq_ignore_ascii_case(channel)
        })
        .await?;
        Ok(())
    }

    /// Says something in a channel or to a person.
    ///
    /// # Errors
    ///
    /// When the connection is gone.
    pub async fn say(&self, target: &str, text: &str) -> anyhow::Result<()> {
        self.raw(&format!("PRIVMSG {target} :{text}")).await
    }

    /// Every line so far.
    pub fn lines(&self) -> Vec<IrcLine> {
        self.guard().clone()
    }

    /// How many lines there were so far.
    pub fn count(&self) -> usize {
        self.guard().len()
    }

    /// How many of the lines so far are like this.
    pub fn count_of(&self, like: impl Fn(&IrcLine) -> bool) -> usize {
        self.guard().iter().filter(|line| like(line)).count()
    }

    /// Waits for a line like this, whether it came before or comes now.
    ///
    /// # Errors
    ///
    /// When none came in time; with the last lines there were.
    pub async fn expect(&self, what: &str, like: impl Fn(&IrcLine) -> bool) -> anyhow::Result<IrcLine> {
        let found = wait_for(what, HEARD, || {
            let found = self.guard().iter().find(|line| like(line)).cloned();
            async move { found }
        });
        found
            .await
            .with_context(|| format!("{} heard only: {}", self.nick, self.last_lines()))
    }

    /// Waits until somebody says this to `target`.
    ///
    /// # Errors
    ///
    /// As [`IrcPerson::expect`].
    pub async fn hears(&self, target: &str, text: &str) -> anyhow::Result<IrcLine> {
        self.expect(&format!("{target}: {text}"), |line| line.says(target, text))
            .await
    }

    fn last_lines(&self) -> String {
        let lines = self.guard();
        let mut shown = String::new();
        for line in lines.iter().skip(lines.len().saturating_sub(15)) {
            write!(shown, "\n  {} {} {:?}", line.source, line.command, line.params).unwrap_or_default();
        }
        shown
    }

    fn guard(&self) -> MutexGuard<'_, Vec<IrcLine>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for IrcPerson {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

async fn open(server: SocketAddr) -> anyhow::Result<(BufReader<OwnedReadHalf>, OwnedWriteHalf)> {
    let stream = TcpStream::connect(server)
        .await
        .with_context(|| format!("connecting to {server}"))?;
    stream.set_nodelay(true)?;
    let (reader, writer) = stream.into_split();
    Ok((BufReader::new(reader), writer))
}

async fn listen(
    mut reader: BufReader<OwnedReadHalf>,
    lines: Arc<Mutex<Vec<IrcLine>>>,
    writer: Arc<tokio::sync::Mutex<OwnedWriteHalf>>,
) {
    let mut buffer = Vec::new();
    while reader
        .read_until(b'\n', &mut buffer)
        .await
        .is_ok_and(|length| length > 0)
    {
        let line = IrcLine::parse(&String::from_utf8_lossy(&buffer));
        buffer.clear();
        if line.command == "PING" {
            let pong = format!("PONG :{}\r\n", line.text());
            if writer.lock().await.write_all(pong.as_bytes()).await.is_err() {
                return;
            }
        }
        lines.lock().unwrap_or_else(PoisonError::into_inner).push(line);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_taken_apart() {
        let line = IrcLine::parse("@time=1;x=2 :nick!u@h PRIVMSG #c :hello there\r\n");
        assert_eq!(
            (line.tags.as_str(), line.nick(), line.command.as_str()),
            ("time=1;x=2", "nick", "PRIVMSG")
        );
        assert_eq!(line.params, ["#c", "hello there"]);
        assert!(line.says("#C", "there"));
        assert_eq!(IrcLine::parse("PING :a b").text(), "a b");
        assert_eq!(IrcLine::parse(":s 366 me #c :End").param(1), "#c");
        assert_eq!(IrcLine::parse("").command, "");
        assert_eq!(IrcLine::parse("MODE #c +o x").params, ["#c", "+o", "x"]);
    }
}
