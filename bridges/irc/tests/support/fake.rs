//! An IRC server inside the test, which does as the test says.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::broadcast;

/// What a fake server does.
pub struct Script {
    /// Capabilities it offers.
    pub capabilities: &'static str,
    /// A line with this in it makes it hang up without an answer, once.
    pub hang_up_on: Mutex<Option<&'static str>>,
    /// What it says to a PASS.
    pub refuse_password: bool,
    /// A channel that nobody may join, and the line that says so.
    pub closed: Option<(&'static str, &'static str)>,
    /// Lines it gives for CHATHISTORY, without their end.
    pub history: Vec<String>,
}

impl Default for Script {
    fn default() -> Self {
        Self {
            capabilities: "",
            hang_up_on: Mutex::new(None),
            refuse_password: false,
            closed: None,
            history: Vec::new(),
        }
    }
}

pub struct Fake {
    pub port: u16,
    pub said: Arc<Mutex<Vec<String>>>,
    inject: broadcast::Sender<Arc<str>>,
}

impl Fake {
    pub async fn start(script: Script) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let said = Arc::new(Mutex::new(Vec::new()));
        let (inject, _) = broadcast::channel(1024);
        let (all, sender, script) = (Arc::clone(&said), inject.clone(), Arc::new(script));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                stream.set_nodelay(true).unwrap();
                let (script, all, lines) = (Arc::clone(&script), Arc::clone(&all), sender.subscribe());
                tokio::spawn(async move {
                    serve(stream, &script, &all, lines).await;
                });
            }
        });
        Self { port, said, inject }
    }

    /// Says something to everybody.
    pub fn tell(&self, text: &str) {
        self.inject.send(Arc::from(format!("{text}\r\n"))).unwrap();
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
    script: &Script,
    all: &Mutex<Vec<String>>,
    mut inject: broadcast::Receiver<Arc<str>>,
) -> Option<()> {
    let (read, mut write) = stream.into_split();
    let mut read = BufReader::with_capacity(64 * 1024, read).lines();
    let mut nick = String::new();
    let mut negotiating = false;
    loop {
        let line = tokio::select! {
            line = read.next_line() => line.ok()??,
            text = inject.recv() => {
                write.write_all(text.ok()?.as_bytes()).await.ok()?;
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
                ":s 001 {nick} :Welcome\r\n:s 005 {nick} NICKLEN=30 PREFIX=(ov)@+ :are supported\r\n:s 422 {nick} :none\r\n"
            )
        };
        let answer = match command {
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
                rest.split(' ').next()?.split(',').map(join).collect()
            }
            "CHATHISTORY" => {
                let channel = rest.split(' ').nth(1)?;
                let inner: Vec<String> = script
                    .history
                    .iter()
                    .map(|line| {
                        format!(
                            "@batch=h;{line}
"
                        )
                    })
                    .collect();
                let inner = inner.concat();
                format!(":s BATCH +h chathistory {channel}\r\n{inner}:s BATCH -h\r\n")
            }
            "QUIT" => return None,
            _ => String::new(),
        };
        if !answer.is_empty() {
            write.write_all(answer.as_bytes()).await.ok()?;
        }
    }
}
