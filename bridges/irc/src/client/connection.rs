//! One connection: a task that reads and writes, and the handle to it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use encoding_rs::Encoding;
use irc_proto::Message;
use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::codec::Lines;
use super::confirm::{Awaiting, Confirmation};
use super::dial::{Dialer, Ports, Wire};
use super::isupport::Isupport;
use super::line::{Fields, message, parse, write};
use super::pacing::Pacer;
use super::register::{Identity, Register, RegisterError, Step};
use super::writer::write_all;
use crate::metrics;

/// Lines that may wait to be sent.
const QUEUE: usize = 512;
/// Batches of messages that may wait to be handled.
const BATCHES: usize = 8;
/// Messages of one batch.
const BATCH: usize = 256;

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
    /// Whether to hand on only what concerns this connection's own nick.
    pub own_only: bool,
    /// Called with the two ports before anything is sent, for ident.
    pub on_ports: Arc<dyn Fn(Ports) + Send + Sync>,
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
    pub(super) done: Option<oneshot::Sender<Confirmation>>,
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
    granted: BTreeMap<String, String>,
    isupport: Isupport,
    pub(super) awaiting: Mutex<Awaiting>,
    pub(super) labels: bool,
    own_only: bool,
    /// Bytes of `nick!user@host` as others see it.
    mask: AtomicUsize,
    lag: AtomicU64,
    stop: CancellationToken,
    closed: CancellationToken,
    reason: Mutex<String>,
    dropped: AtomicU64,
}

pub(super) fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What others see at most, while the own mask is not known.
const LONGEST_USER_AND_HOST: usize = 1 + 11 + 1 + 63;

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
        let mask = register.nick.len() + LONGEST_USER_AND_HOST;
        let shared = Arc::new(Shared {
            labels: register.granted.contains_key("labeled-response"),
            nick: Mutex::new(register.nick),
            granted: register.granted,
            isupport: register.isupport,
            awaiting: Mutex::default(),
            own_only: settings.own_only,
            mask: AtomicUsize::new(mask),
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
        self.queue.send(Outgoing { message, done: None }).await.is_ok()
    }

    /// Sends lines and waits until the server has answered each.
    pub async fn confirm(&self, messages: Vec<Message>) -> Vec<Confirmation> {
        let mut waiting = Vec::with_capacity(messages.len());
        for message in messages {
            let (done, receiver) = oneshot::channel();
            // A refused line drops its sender, which reads as "never written" below.
            drop(
                self.queue
                    .send(Outgoing {
                        message,
                        done: Some(done),
                    })
                    .await,
            );
            waiting.push(receiver);
        }
        let mut out = Vec::with_capacity(waiting.len());
        for receiver in waiting {
            out.push(receiver.await.unwrap_or(Confirmation::Unwritten));
        }
        out
    }

    /// Sends lines as one message (`draft/multiline`) and waits until the server has answered it.
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
        let closing = message("BATCH", &[&format!("-{name}")]);
        let (done, receiver) = oneshot::channel();
        let mut done = Some(done);
        // A label belongs to the opening; without labels the question behind the closing answers for all.
        let first = if self.shared.labels { done.take() } else { None };
        let mut all = vec![Outgoing {
            message: opening,
            done: first,
        }];
        all.extend(lines.into_iter().map(|message| Outgoing { message, done: None }));
        all.push(Outgoing { message: closing, done });
        for outgoing in all {
            if self.queue.send(outgoing).await.is_err() {
                // Some of it may have gone out.
                return if self.ended().is_some() {
                    Confirmation::Lost
                } else {
                    Confirmation::Unwritten
                };
            }
        }
        receiver.await.unwrap_or(Confirmation::Lost)
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
        let frame =
            ": ".len() + self.shared.mask.load(Ordering::Relaxed) + command.len() + target.len() + "  :\r\n".len();
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
    fn is_own(&self, nick: &str) -> bool {
        self.isupport.casemapping.same(&locked(&self.nick), nick)
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

/// Reads until the connection ends; says why it did.
async fn read_all(
    mut wire: ReadHalf<Box<dyn Wire>>,
    mut lines: Lines,
    shared: &Shared,
    urgent: mpsc::Sender<Message>,
    batches: mpsc::Sender<Vec<Message>>,
    ping: Duration,
) -> String {
    let mut asked: Option<Instant> = None;
    loop {
        loop {
            let mut batch = Vec::new();
            while batch.len() < BATCH {
                let Some(line) = lines.next_line() else { break };
                if let Some(line) = taken(&line, shared, &urgent, &mut asked) {
                    batch.push(line);
                }
            }
            if batch.is_empty() {
                break;
            }
            if batches.send(batch).await.is_err() {
                return "nobody listens any more".to_owned();
            }
        }
        if lines.dropped > shared.dropped.swap(lines.dropped, Ordering::Relaxed) {
            metrics::dropped("too_long");
        }
        match tokio::time::timeout(ping, wire.read_buf(lines.buffer())).await {
            Ok(Ok(0)) => return "the server closed the connection".to_owned(),
            Ok(Ok(_)) => {}
            Ok(Err(error)) => return format!("the connection was lost: {error}"),
            Err(_) if asked.is_some() => return "the server does not answer".to_owned(),
            Err(_) => {
                asked = Some(Instant::now());
                let last = locked(&shared.awaiting).last();
                urgent.try_send(message("PING", &[&format!("vd{last}")])).ok();
            }
        }
    }
}

/// Handles what concerns the connection itself; gives what is for the session.
fn taken(text: &str, shared: &Shared, urgent: &mpsc::Sender<Message>, asked: &mut Option<Instant>) -> Option<Message> {
    if shared.own_only && is_of_others(text, shared) {
        return None;
    }
    let line = parse(text)?;
    match line.name() {
        "PING" => {
            urgent.try_send(message("PONG", &[line.last()])).ok();
            return None;
        }
        "PONG" => {
            if let Some(since) = asked.take() {
                let lag = u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX);
                shared.lag.store(lag, Ordering::Relaxed);
            }
            if let Some(number) = line.last().strip_prefix("vd").and_then(|number| number.parse().ok()) {
                locked(&shared.awaiting).barrier(number);
            }
            return None;
        }
        "ERROR" => {
            *locked(&shared.reason) = format!("the server says: {}", line.last());
            return None;
        }
        _ => {}
    }
    let own = !line.source().is_empty() && shared.is_own(line.source());
    if own {
        if let Some(irc_proto::Prefix::Nickname(nick, user, host)) = &line.prefix
            && !host.is_empty()
        {
            shared
                .mask
                .store(nick.len() + 1 + user.len() + 1 + host.len(), Ordering::Relaxed);
        }
        if line.name() == "NICK" {
            line.parameter(0).clone_into(&mut locked(&shared.nick));
        }
    }
    let answered = locked(&shared.awaiting).answer(&line, own, shared.isupport.casemapping);
    (!answered).then_some(line)
}

/// Whether a line is channel talk of others, which only the reader looks at; told without reading it whole.
fn is_of_others(text: &str, shared: &Shared) -> bool {
    let bare = if text.starts_with('@') {
        text.split_once(' ').map_or("", |(_, rest)| rest)
    } else {
        text
    };
    let Some((source, rest)) = bare.strip_prefix(':').and_then(|rest| rest.split_once(' ')) else {
        return false;
    };
    let (command, rest) = rest.split_once(' ').unwrap_or((rest, ""));
    let silent = match command {
        "PRIVMSG" | "NOTICE" | "TAGMSG" | "MODE" | "TOPIC" => shared.isupport.is_channel(rest),
        "JOIN" | "PART" | "QUIT" | "AWAY" | "ACCOUNT" | "CHGHOST" | "SETNAME" | "353" | "366" => true,
        _ => false,
    };
    silent && {
        let nick = source.split(['!', '@']).next().unwrap_or_default();
        !shared.is_own(nick)
    }
}
