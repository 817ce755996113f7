//! One connection: a task that reads and writes, and the handle to it.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use encoding_rs::Encoding;
use irc_proto::Message;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::codec::Lines;
use super::confirm::{Awaiting, Confirmation};
use super::dial::{Dialer, Ports, Wire};
use super::isupport::Isupport;
use super::line::{Fields, Glance, message, parse, write};
use super::pacing::Pacer;
use super::reading::read_all;
use super::register::{Identity, Register, RegisterError, Step};
use super::writing::write_all;

/// Lines that may wait to be sent.
const QUEUE: usize = 512;
/// Batches of messages that may wait to be handled.
const BATCHES: usize = 8;

/// How to make a connection.
#[derive(Clone)]
pub struct Settings {
    /// The way to the server.
    pub dialer: Dialer,
    /// Who logs in.
    pub identity: Identity,
    /// How lines are read that are not UTF-8.
    pub encoding: &'static Encoding,
    /// Lines at once, and lines a second after that; none for no bound.
    pub pacing: Option<(u32, f64)>,
    /// How long connecting and logging in may take.
    pub timeout: Duration,
    /// After so long without a word the server is asked.
    pub ping: Duration,
    /// Which lines of others can be dropped at a glance.
    pub unheard: Unheard,
    /// Whether somebody else of ours sees what this connection says in channels, and tells it by [`Connection::seen`].
    pub witnessed: bool,
    /// Called with the two ports before anything is sent, for ident.
    pub on_ports: Arc<dyn Fn(Ports) + Send + Sync>,
}

/// Whether a line, which comes from somebody else, can be dropped at a glance. Whoever answers may take note of it.
pub type Unheard = Arc<dyn Fn(&Glance<'_>, &Isupport) -> bool + Send + Sync>;

/// Drops the channel talk of others, for connections that only care for what concerns themselves.
pub fn talk_of_others() -> Unheard {
    Arc::new(|seen, isupport| match seen.command {
        "PRIVMSG" | "NOTICE" | "TAGMSG" | "MODE" | "TOPIC" => isupport.is_channel(seen.rest),
        "JOIN" | "PART" | "QUIT" | "AWAY" | "ACCOUNT" | "CHGHOST" | "SETNAME" | "353" | "366" => true,
        _ => false,
    })
}

/// Why there is no connection.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConnectError {
    /// Credentials were refused.
    #[error("{0}")]
    Auth(String),
    /// Anything else.
    #[error("{0}")]
    Failed(String),
}

/// A line to be sent, and who waits for the answer to it.
pub(super) struct Outgoing {
    pub(super) message: Message,
    /// What must follow it with nothing in between.
    pub(super) rest: Vec<Message>,
    pub(super) done: Option<oneshot::Sender<Confirmation>>,
}

impl Outgoing {
    fn one(message: Message, done: Option<oneshot::Sender<Confirmation>>) -> Self {
        Self {
            message,
            rest: Vec::new(),
            done,
        }
    }

    /// The bytes of what each line says.
    pub(super) fn sizes(&self) -> impl Iterator<Item = usize> {
        let all = std::iter::once(&self.message).chain(&self.rest);
        all.map(|message| message.parameters().iter().map(String::len).sum())
    }
}

/// The handle to a connection that is logged in. Dropping the last one ends it.
pub struct Connection {
    queue: mpsc::Sender<Outgoing>,
    shared: Arc<Shared>,
    batches: AtomicU64,
}

/// What the handle, the reading and the writing half share.
pub(super) struct Shared {
    nick: Mutex<String>,
    pub(super) granted: BTreeMap<String, String>,
    pub(super) isupport: Isupport,
    pub(super) awaiting: Mutex<Awaiting>,
    pub(super) labels: bool,
    pub(super) unheard: Unheard,
    /// Whether words in channels are confirmed by whoever sees them there.
    witnessed: AtomicBool,
    /// Bytes of the own user and host as others see them.
    user: AtomicUsize,
    pub(super) host: AtomicUsize,
    pub(super) lag: AtomicU64,
    pub(super) stop: CancellationToken,
    closed: CancellationToken,
    pub(super) reason: Mutex<String>,
    pub(super) dropped: AtomicU64,
}

pub(super) fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Words that nobody saw for so long are asked for.
const UNSEEN: Duration = Duration::from_secs(2);
/// What others see at most, while the own user and host are not known.
const LONGEST_USER: usize = 11;
const LONGEST_HOST: usize = 63;

impl Connection {
    /// Connects and logs in. The receiver gives what the server says, in batches of what had arrived together.
    ///
    /// # Errors
    ///
    /// [`ConnectError`], when the server cannot be reached or does not let us in.
    pub async fn open(settings: Settings) -> Result<(Self, mpsc::Receiver<Vec<Message>>), ConnectError> {
        let timeout = settings.timeout;
        let failed = || ConnectError::Failed(format!("no welcome from the server within {} s", timeout.as_secs()));
        let (wire, register, lines) = tokio::time::timeout(timeout, login(&settings))
            .await
            .map_err(|_| failed())??;
        let granted = |name: &str| register.granted.contains_key(name);
        // Answers of the server's own tell more.
        let answers = granted("labeled-response") || granted("echo-message");
        let shared = Arc::new(Shared {
            labels: register.granted.contains_key("labeled-response"),
            nick: Mutex::new(register.nick),
            granted: register.granted,
            isupport: register.isupport,
            awaiting: Mutex::default(),
            unheard: Arc::clone(&settings.unheard),
            witnessed: AtomicBool::new(settings.witnessed && !answers),
            user: AtomicUsize::new(LONGEST_USER),
            host: AtomicUsize::new(LONGEST_HOST),
            lag: AtomicU64::new(0),
            stop: CancellationToken::new(),
            closed: CancellationToken::new(),
            reason: Mutex::default(),
            dropped: AtomicU64::new(0),
        });
        let (queue, outgoing) = mpsc::channel(QUEUE);
        let (batches, receiver) = mpsc::channel(BATCHES);
        tokio::spawn(run(wire, lines, Arc::clone(&shared), outgoing, batches, settings));
        Ok((
            Self {
                queue,
                shared,
                batches: AtomicU64::new(0),
            },
            receiver,
        ))
    }

    /// Sends a line, waiting for room in the queue. False if the connection has ended.
    pub async fn send(&self, message: Message) -> bool {
        self.queue.send(Outgoing::one(message, None)).await.is_ok()
    }

    /// Sends a line if there is room in the queue; for what is tried again later anyway.
    pub fn offer(&self, message: Message) {
        self.queue.try_send(Outgoing::one(message, None)).ok();
    }

    /// Sends lines and waits until the server has answered each.
    pub async fn confirm(&self, messages: Vec<Message>) -> Vec<Confirmation> {
        let mut waiting = Vec::with_capacity(messages.len());
        for message in messages {
            let (done, receiver) = oneshot::channel();
            // A refused line drops its sender, which reads as "never written" below.
            drop(self.queue.send(Outgoing::one(message, Some(done))).await);
            waiting.push(receiver);
        }
        let mut answered = pin!(async {
            let mut out = Vec::with_capacity(waiting.len());
            for receiver in waiting {
                out.push(receiver.await.unwrap_or(Confirmation::Unwritten));
            }
            out
        });
        while self.shared.witnessed.load(Ordering::Relaxed) {
            if let Ok(all) = tokio::time::timeout(UNSEEN, answered.as_mut()).await {
                return all;
            }
            let last = locked(&self.shared.awaiting).last();
            // What is not written yet cannot have been seen.
            if last > 0 {
                // The channel changes words, or the witness is away: from now on the server is asked.
                self.shared.witnessed.store(false, Ordering::Relaxed);
                self.send(message("PING", &[&format!("vd{last}")])).await;
            }
        }
        answered.await
    }

    /// Somebody else of ours saw words of this connection in a channel.
    pub fn seen(&self, target: &str, text: &str) {
        if self.shared.witnessed.load(Ordering::Relaxed) {
            locked(&self.shared.awaiting).seen(target, text, self.shared.isupport.casemapping);
        }
    }

    /// Sends lines as one message (`draft/multiline`) and waits until the server has answered it. Nothing else goes out
    /// while it is open.
    pub async fn confirm_together(&self, target: &str, mut lines: Vec<Message>) -> Confirmation {
        let name = format!("m{}", self.batches.fetch_add(1, Ordering::Relaxed));
        let mut opening = message("BATCH", &[&format!("+{name}"), "draft/multiline", target]);
        if let Some(first) = lines.first_mut() {
            // What is said about the message as a whole goes with its opening.
            opening.tags = first.tags.take();
        }
        for line in &mut lines {
            line.tags = None;
            line.set_tag("batch", &name);
        }
        lines.push(message("BATCH", &[&format!("-{name}")]));
        let (done, receiver) = oneshot::channel();
        let outgoing = Outgoing {
            message: opening,
            rest: lines,
            done: Some(done),
        };
        if self.queue.send(outgoing).await.is_err() {
            return Confirmation::Unwritten;
        }
        receiver.await.unwrap_or(Confirmation::Unwritten)
    }

    /// The nick we have now.
    pub fn nick(&self) -> String {
        locked(&self.shared.nick).clone()
    }

    /// Whether this name is our nick.
    pub fn is_own(&self, nick: &str) -> bool {
        self.shared.is_own(nick)
    }

    /// What the server announced.
    pub fn isupport(&self) -> &Isupport {
        &self.shared.isupport
    }

    /// Whether a capability was granted.
    pub fn has(&self, capability: &str) -> bool {
        self.shared.granted.contains_key(capability)
    }

    /// The value of a granted capability.
    pub fn capability(&self, name: &str) -> Option<&str> {
        self.shared.granted.get(name).map(String::as_str)
    }

    /// How many bytes of text fit into one line to this target, as others get it.
    pub fn room(&self, command: &str, target: &str) -> usize {
        let frame = ":!@ ".len() + self.shared.mask() + command.len() + target.len() + "  :\r\n".len();
        self.shared.isupport.line_length.saturating_sub(frame)
    }

    /// How long the server took to answer last time.
    pub fn lag(&self) -> Duration {
        Duration::from_millis(self.shared.lag.load(Ordering::Relaxed))
    }

    /// Why the connection ended; none while it lives.
    pub fn ended(&self) -> Option<String> {
        self.shared
            .closed
            .is_cancelled()
            .then(|| locked(&self.shared.reason).clone())
    }

    /// Waits until the connection has ended.
    pub async fn closed(&self) {
        self.shared.closed.cancelled().await;
    }

    /// Says goodbye behind everything that is queued, and waits for the end for at most `patience`.
    pub async fn quit(&self, reason: &str, patience: Duration) {
        let goodbye = async {
            self.send(message("QUIT", &[reason])).await;
            self.closed().await;
        };
        tokio::time::timeout(patience, goodbye).await.ok();
        self.shared.stop.cancel();
    }

    /// Ends the connection at once.
    pub fn abort(&self) {
        self.shared.stop.cancel();
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.shared.stop.cancel();
    }
}

impl Shared {
    pub(super) fn is_own(&self, nick: &str) -> bool {
        self.isupport.casemapping.same(&locked(&self.nick), nick)
    }

    /// Bytes of the own nick, user and host as others see them.
    fn mask(&self) -> usize {
        locked(&self.nick).len() + self.user.load(Ordering::Relaxed) + self.host.load(Ordering::Relaxed)
    }

    /// Whether the server has to be asked what became of a line.
    pub(super) fn must_ask(&self, message: &Message) -> bool {
        let spoken = matches!(message.name(), "PRIVMSG" | "NOTICE") && self.isupport.is_channel(message.parameter(0));
        let seen = spoken && self.witnessed.load(Ordering::Relaxed);
        !self.labels && !seen
    }

    fn shown_as(&self, user: &str, host: &str) {
        self.user.store(user.len(), Ordering::Relaxed);
        self.host.store(host.len(), Ordering::Relaxed);
    }

    /// Notes what a line of our own tells about how others see us.
    pub(super) fn note_own(&self, line: &Message) {
        if let Some(irc_proto::Prefix::Nickname(_, user, host)) = &line.prefix
            && !host.is_empty()
        {
            self.shown_as(user, host);
        }
        match line.name() {
            "NICK" => line.parameter(0).clone_into(&mut locked(&self.nick)),
            "CHGHOST" => self.shown_as(line.parameter(0), line.parameter(1)),
            _ => {}
        }
    }
}

type Login = (Box<dyn Wire>, Register, Lines);

async fn login(settings: &Settings) -> Result<Login, ConnectError> {
    let on_ports = settings.on_ports.as_ref();
    let mut wire = settings.dialer.dial(on_ports).await.map_err(ConnectError::Failed)?;
    let lost =
        |error: std::io::Error| ConnectError::Failed(format!("the connection was lost while logging in: {error}"));
    let (mut register, first) = Register::start(settings.identity.clone());
    let first: Vec<u8> = first.iter().flat_map(write).collect();
    wire.write_all(&first).await.map_err(lost)?;
    wire.flush().await.map_err(lost)?;
    let mut lines = Lines::new(settings.encoding);
    loop {
        while let Some(line) = lines.next_line() {
            let Some(line) = parse(&line) else { continue };
            let step = register.take(&line).map_err(|error| match error {
                RegisterError::Auth(reason) => ConnectError::Auth(reason),
                RegisterError::Refused(reason) => ConnectError::Failed(reason),
            })?;
            match step {
                Step::Welcome => return Ok((wire, register, lines)),
                Step::Send(answers) if answers.is_empty() => {}
                Step::Send(answers) => {
                    let bytes: Vec<u8> = answers.iter().flat_map(write).collect();
                    wire.write_all(&bytes).await.map_err(lost)?;
                    wire.flush().await.map_err(lost)?;
                }
            }
        }
        if wire.read_buf(lines.buffer()).await.map_err(lost)? == 0 {
            return Err(ConnectError::Failed(
                "the server closed the connection while logging in".to_owned(),
            ));
        }
    }
}

async fn run(
    wire: Box<dyn Wire>,
    lines: Lines,
    shared: Arc<Shared>,
    outgoing: mpsc::Receiver<Outgoing>,
    batches: mpsc::Sender<Vec<Message>>,
    settings: Settings,
) {
    let (read, write) = tokio::io::split(wire);
    let (urgent, urgently) = mpsc::channel(32);
    let reason = tokio::select! {
        biased;
        () = shared.stop.cancelled() => "it was closed".to_owned(),
        reason = read_all(read, lines, &shared, urgent, batches, settings.ping) => reason,
        reason = write_all(write, &shared, outgoing, urgently, Pacer::new(settings.pacing)) => reason,
    };
    let mut said = locked(&shared.reason);
    if said.is_empty() {
        *said = reason;
    }
    drop(said);
    locked(&shared.awaiting).lose();
    shared.closed.cancel();
}
