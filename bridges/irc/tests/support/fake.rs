//! An IRC server inside the test, which does as the test says.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::broadcast;

/// What a fake server does.
pub struct Script {
    /// Capabilities it offers.
    pub capabilities: &'static str,
    /// Further tokens of its announcement (005).
    pub isupport: &'static str,
    /// Lines it gives for WHO, without their end; `{nick}` is the nick that asks.
    pub who: Vec<&'static str>,
    /// A line with this in it makes it hang up without an answer, once.
    pub hang_up_on: Mutex<Option<&'static str>>,
    /// What it says to a PASS.
    pub refuse_password: bool,
    /// A channel that nobody may join, and the line that says so.
    pub closed: Option<(&'static str, &'static str)>,
    /// Messages it has for CHATHISTORY, oldest first, each with its tags (time and id first, and no `@`); of several lines
    /// in one, the first belongs to the page.
    pub history: Vec<String>,
    /// A command it does not answer.
    pub deaf_to: Option<&'static str>,
    /// Whether everybody else hears what one says in a channel.
    pub relays: bool,
}

impl Default for Script {
    fn default() -> Self {
        Self {
            capabilities: "",
            isupport: "",
            who: Vec::new(),
            hang_up_on: Mutex::new(None),
            refuse_password: false,
            closed: None,
            history: Vec::new(),
            deaf_to: None,
            relays: false,
        }
    }
}

/// Lines for everybody in a channel, or everywhere, but one, whose number is told.
#[derive(Clone)]
struct Told {
    except: u64,
    channel: Option<Arc<str>>,
    text: Arc<str>,
}

/// The number of nobody.
const NOBODY: u64 = 0;

pub struct Fake {
    pub port: u16,
    pub said: Arc<Mutex<Vec<String>>>,
    inject: broadcast::Sender<Told>,
}

impl Fake {
    pub async fn start(script: Script) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let said = Arc::new(Mutex::new(Vec::new()));
        let (inject, _) = broadcast::channel(1024);
        let (all, sender, script) = (Arc::clone(&said), inject.clone(), Arc::new(script));
        tokio::spawn(async move {
            let mut number = NOBODY;
            while let Ok((stream, _)) = listener.accept().await {
                stream.set_nodelay(true).unwrap();
                number += 1;
                let (script, all, inject) = (Arc::clone(&script), Arc::clone(&all), sender.clone());
                tokio::spawn(async move {
                    serve(stream, number, &script, &all, inject).await;
                });
            }
        });
        Self { port, said, inject }
    }

    /// Says something to everybody.
    pub fn tell(&self, text: &str) {
        let told = Told {
            except: NOBODY,
            channel: None,
            text: Arc::from(format!("{text}\r\n")),
        };
        self.inject.send(told).ok().unwrap();
    }

    pub fn count(&self, part: &str) -> usize {
        self.said
            .lock()
            .unwrap()
            .iter()
            .filter(|line| line.contains(part))
            .count()
    }
}

async fn serve(
    stream: TcpStream,
    number: u64,
    script: &Script,
    all: &Mutex<Vec<String>>,
    inject: broadcast::Sender<Told>,
) -> Option<()> {
    let mut told = inject.subscribe();
    let (read, mut write) = stream.into_split();
    let mut read = BufReader::with_capacity(64 * 1024, read).lines();
    let mut nick = String::new();
    let mut negotiating = false;
    let mut inside: HashSet<String> = HashSet::new();
    loop {
        let line = tokio::select! {
            line = read.next_line() => line.ok()??,
            text = told.recv() => {
                let Told { except, channel, text } = text.ok()?;
                if except != number && channel.is_none_or(|channel| inside.contains(&*channel)) {
                    write.write_all(text.as_bytes()).await.ok()?;
                }
                continue;
            }
        };
        {
            let mut hang_up_on = script.hang_up_on.lock().unwrap();
            if hang_up_on.is_some_and(|part| line.contains(part)) {
                *hang_up_on = None;
                return None;
            }
        }
        all.lock().unwrap().push(line.clone());
        let bare = if line.starts_with('@') {
            line.split_once(' ')?.1
        } else {
            &line
        };
        let (command, rest) = bare.split_once(' ').unwrap_or((bare, ""));
        let welcome = |nick: &str| {
            format!(
                ":s 001 {nick} :Welcome\r\n:s 005 {nick} NICKLEN=30 PREFIX=(ov)@+ {} :are supported\r\n:s 422 {nick} :none\r\n",
                script.isupport
            )
        };
        let answer = match command {
            deaf if script.deaf_to == Some(deaf) => String::new(),
            "CAP" if rest.starts_with("LS") && !script.capabilities.is_empty() => {
                negotiating = true;
                format!(":s CAP * LS :{}\r\n", script.capabilities)
            }
            "CAP" if rest.starts_with("REQ") => format!(":s CAP * ACK {}\r\n", rest.split_once(' ')?.1),
            "CAP" if rest.starts_with("END") => welcome(&nick),
            "PASS" if script.refuse_password => ":s 464 * :Password incorrect\r\n".to_owned(),
            "NICK" => {
                rest.clone_into(&mut nick);
                String::new()
            }
            "USER" if !negotiating => welcome(&nick),
            "PING" => format!(":s PONG s :{}\r\n", rest.trim_start_matches(':')),
            "JOIN" => {
                let join = |name: &str| match script.closed {
                    Some((closed, line)) if closed == name => format!("{}\r\n", line.replace("{nick}", &nick)),
                    _ => format!(
                        ":{nick}!u@h JOIN {name}\r\n:s 353 {nick} = {name} :{nick} ann\r\n:s 366 {nick} {name} :End\r\n"
                    ),
                };
                let names = rest.split(' ').next()?.split(',');
                inside.extend(names.clone().map(str::to_owned));
                names.map(join).collect()
            }
            "CHATHISTORY" => page(script, rest)?,
            "WHO" => {
                let lines = script
                    .who
                    .iter()
                    .map(|line| format!("{}\r\n", line.replace("{nick}", &nick)));
                let end = format!(":s 315 {nick} {} :End\r\n", rest.split(' ').next()?);
                lines.chain([end]).collect()
            }
            "PRIVMSG" if script.relays => {
                let told = Told {
                    except: number,
                    channel: Some(Arc::from(rest.split(' ').next()?)),
                    text: Arc::from(format!(":{nick}!u@h {bare}\r\n")),
                };
                inject.send(told).ok()?;
                String::new()
            }
            "QUIT" => return None,
            _ => String::new(),
        };
        if !answer.is_empty() {
            write.write_all(answer.as_bytes()).await.ok()?;
        }
    }
}

/// Answers `AFTER <target> <timestamp=T | msgid=I> <limit>` as `draft/chathistory` says: at most so many of the messages
/// behind the position, oldest first, in a batch that may be empty.
fn page(script: &Script, question: &str) -> Option<String> {
    let [_, channel, position, limit] = question.split(' ').collect::<Vec<_>>().try_into().ok()?;
    let tag = |line: &str, key: &str| {
        let tags = line.split(' ').next().unwrap_or_default().split(';');
        let mut values = tags.filter_map(|tag| tag.strip_prefix(key)?.strip_prefix('=').map(str::to_owned));
        values.next()
    };
    let (key, value) = position.split_once('=')?;
    let earlier = |line: &&String| tag(line, "time").as_deref() <= Some(value);
    let start = if key == "timestamp" {
        script.history.iter().take_while(earlier).count()
    } else {
        let named = |line: &String| tag(line, "msgid").as_deref() == Some(value);
        script.history.iter().position(named)? + 1
    };
    let page = script.history.iter().skip(start).take(limit.parse().ok()?);
    let inner: Vec<String> = page.map(|line| format!("@batch=h;{line}\r\n")).collect();
    let inner = inner.concat();
    Some(format!(":s BATCH +h chathistory {channel}\r\n{inner}:s BATCH -h\r\n"))
}
