//! Socket Mode: several sockets, each replaced without a gap, each event acknowledged only when the hub has it.
//!
//! Slack sends an event to one of the open sockets and repeats it when it is not acknowledged. A socket that Slack is about to
//! close is still read while its successor is opened beside it. Whether what a broken socket had not acknowledged comes again is
//! not certain: [`Status::losses`] says when the history has to be looked at.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};
use tokio_tungstenite::tungstenite::Message as WsMessage;
use tokio_util::sync::CancellationToken;
use url::Url;
use viaduct_model::Entropy;

use super::calls::Api;
use super::dial::{self, Dialer, Socket};
use super::hosts::Hosts;
use super::payload::{Callback, Frame};
use crate::telemetry;

/// How long Slack may take to say hello.
const HELLO: Duration = Duration::from_secs(15);
/// How often we ask for a sign of life.
const PING: Duration = Duration::from_secs(20);
/// Silence after which a socket counts as lost.
const SILENCE: Duration = Duration::from_mins(1);
/// How long a socket that is about to be closed is still read.
const DRAIN: Duration = Duration::from_mins(1);
/// The longest pause between attempts.
const PAUSE: Duration = Duration::from_secs(30);

/// An event with the way to acknowledge it.
#[derive(Debug)]
pub struct Incoming {
    /// The event; none where it could not be read.
    pub callback: Option<Box<Callback>>,
    /// All of it, as it came.
    pub raw: Box<str>,
    /// To acknowledge it.
    pub ack: Ack,
    /// The socket it came over; what comes over one is in order.
    pub way: u64,
}

/// What comes over a socket.
#[derive(Debug)]
pub enum Arrival {
    /// An event.
    Event(Incoming),
    /// The answer to a question: all that was sent over this socket before it has come.
    Answer {
        /// The socket.
        way: u64,
        /// The question's number.
        question: u64,
    },
}

/// Acknowledges one event. Dropped, it acknowledges nothing, and Slack sends the event again.
#[derive(Debug)]
pub enum Ack {
    /// On the socket it came from.
    Socket {
        /// The socket.
        socket: mpsc::UnboundedSender<String>,
        /// The envelope.
        envelope: String,
    },
    /// By answering its request.
    Request(oneshot::Sender<()>),
    /// It came from the history: nobody waits.
    Nobody,
}

impl Ack {
    /// Acknowledges. If the socket is gone, Slack sends the event again, and the hub recognises it.
    pub fn send(self) {
        match self {
            Self::Socket { socket, envelope } => {
                let answer = serde_json::json!({ "envelope_id": envelope });
                socket.send(answer.to_string()).ok();
            }
            Self::Request(request) => {
                request.send(()).ok();
            }
            Self::Nobody => {}
        }
    }
}

/// How the sockets are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Status {
    /// How many are open.
    pub open: usize,
    /// The sockets over which something may come, by their numbers: a socket is among them from before it is asked for until
    /// all that came over it was passed on.
    pub ways: BTreeSet<u64>,
    /// The number that was given last.
    pub newest: u64,
    /// How often events may have been lost: a socket ended without Slack's saying so beforehand, or none was left.
    pub losses: u64,
    /// Why the last one could not be opened, or was lost.
    pub trouble: String,
    /// Why there will be none: the token is no longer good, or Socket Mode was switched off.
    pub refused: Option<String>,
    /// The app, as Slack says hello.
    pub app: Option<String>,
}

/// Keeps sockets open.
pub struct Sockets {
    /// Slack, on behalf of the app's token.
    pub api: Api,
    /// How to make connections.
    pub dialer: Dialer,
    /// Where sockets may lead.
    pub hosts: Hosts,
    /// Where events go.
    pub incoming: mpsc::Sender<Arrival>,
    /// The number of the last question that is put to all sockets, as a ping.
    pub asked: watch::Receiver<u64>,
    /// How the sockets are.
    pub status: watch::Sender<Status>,
    /// Chance, for pauses.
    pub entropy: Arc<dyn Entropy>,
    /// Ends everything.
    pub stop: CancellationToken,
    /// The network's name, for metrics.
    pub network: String,
}

/// How reading a socket ended.
enum End {
    /// It is about to be closed: open another, and go on reading.
    Refresh(Box<Line>),
    /// It is lost.
    Lost(String),
    /// There is to be none.
    Refused(String),
}

/// An open socket with the way for acknowledgements.
struct Line {
    socket: Socket,
    acks: mpsc::UnboundedReceiver<String>,
    back: mpsc::UnboundedSender<String>,
    /// Last, so that all else has ended when it leaves.
    way: Way,
}

/// A socket's entry in the status, for as long as something may come over it.
struct Way {
    status: watch::Sender<Status>,
    network: String,
    number: u64,
    /// Whether Slack has said hello.
    open: bool,
    /// Whether Slack has said that it will close it.
    announced: bool,
}

impl Way {
    /// Enters a socket that is about to be asked for: Slack may send over it before its hello is read here.
    fn new(status: &watch::Sender<Status>, network: &str) -> Self {
        let mut number = 0;
        status.send_modify(|status| {
            status.newest += 1;
            number = status.newest;
            status.ways.insert(number);
        });
        Self {
            status: status.clone(),
            network: network.to_owned(),
            number,
            open: false,
            announced: false,
        }
    }

    /// Slack has said hello.
    fn greeted(&mut self) {
        self.open = true;
        self.status.send_modify(|status| {
            status.open += 1;
            telemetry::sockets(&self.network, status.open);
        });
    }
}

impl Drop for Way {
    fn drop(&mut self) {
        self.status.send_modify(|status| {
            status.ways.remove(&self.number);
            if self.open {
                status.open = status.open.saturating_sub(1);
                status.losses += u64::from(!self.announced || status.open == 0);
                telemetry::sockets(&self.network, status.open);
            }
        });
    }
}

impl Sockets {
    /// Keeps one socket open until the end, or until Slack refuses.
    pub async fn keep(self: Arc<Self>) {
        let mut draining = JoinSet::new();
        let mut pause = Duration::from_millis(200);
        while !self.stop.is_cancelled() {
            let attempt = tokio::select! {
                attempt = self.open() => attempt,
                () = self.stop.cancelled() => return,
            };
            let reason = match attempt {
                Ok(line) => {
                    pause = Duration::from_millis(200);
                    match self.read(line, false).await {
                        End::Refresh(line) => {
                            let sockets = Arc::clone(&self);
                            draining.spawn(async move {
                                timeout(DRAIN, sockets.read(*line, true)).await.ok();
                            });
                            continue;
                        }
                        End::Lost(reason) => reason,
                        End::Refused(reason) => {
                            self.refuse(reason);
                            return;
                        }
                    }
                }
                Err(End::Refused(reason)) => {
                    self.refuse(reason);
                    return;
                }
                Err(End::Lost(reason)) => reason,
                Err(End::Refresh(_)) => "the socket was closed at once".to_owned(),
            };
            while draining.try_join_next().is_some() {}
            tracing::info!(network = %self.network, reason, "A socket was lost.");
            self.status.send_modify(|status| status.trouble = reason);
            let jitter = u64::try_from(pause.as_millis()).unwrap_or(0) / 2 + 1;
            let wait = pause + Duration::from_millis(self.entropy.below(jitter));
            tokio::select! {
                () = sleep(wait) => {}
                () = self.stop.cancelled() => return,
            }
            pause = (pause * 2).min(PAUSE);
        }
    }

    fn refuse(&self, reason: String) {
        self.status.send_modify(|status| status.refused = Some(reason));
    }

    async fn open(self: &Arc<Self>) -> Result<Line, End> {
        let address = self.api.open_socket().await.map_err(|error| {
            if error.is_auth()
                || matches!(
                    error.code(),
                    Some("forbidden_team" | "missing_scope" | "not_allowed_token_type")
                )
            {
                End::Refused(format!("the app's token: {error}"))
            } else {
                End::Lost(error.to_string())
            }
        })?;
        let url = Url::parse(&address).map_err(|_| End::Lost("Slack gave no address of a socket".to_owned()))?;
        if !self.hosts.may_have_token(&url) {
            return Err(End::Lost(
                "Slack gave an address of a socket that is not its own".to_owned(),
            ));
        }
        let wire = self.dialer.connect(&url).await.map_err(End::Lost)?;
        let mut way = Way::new(&self.status, &self.network);
        let mut socket = dial::open(&url, wire).await.map_err(End::Lost)?;
        let hello = timeout(HELLO, async {
            loop {
                match socket.next().await {
                    Some(Ok(WsMessage::Text(text))) => return Ok(text),
                    Some(Ok(WsMessage::Close(_))) | None => return Err("it was closed at once".to_owned()),
                    Some(Ok(_)) => {}
                    Some(Err(error)) => return Err(error.to_string()),
                }
            }
        });
        let hello = hello.await.map_err(|_| End::Lost("Slack said no hello".to_owned()))?;
        let hello = hello.map_err(End::Lost)?;
        let frame: Frame<'_> =
            serde_json::from_str(&hello).map_err(|_| End::Lost("Slack's hello is not readable".to_owned()))?;
        match frame.kind.as_str() {
            "hello" => {}
            "disconnect" if frame.reason.as_deref() == Some("link_disabled") => {
                return Err(End::Refused("Socket Mode is switched off for the app".to_owned()));
            }
            other => return Err(End::Lost(format!("instead of hello Slack said {other:?}"))),
        }
        if let Some(app) = frame.connection_info.and_then(|info| info.app_id) {
            self.status.send_if_modified(|status| {
                let new = status.app.as_ref() != Some(&app);
                status.app = Some(app.clone());
                new
            });
        }
        way.greeted();
        let (back, acks) = mpsc::unbounded_channel();
        Ok(Line {
            socket,
            acks,
            back,
            way,
        })
    }

    /// Reads a socket until it ends. While the hub is busy nothing more is read, but acknowledgements still go out.
    async fn read(&self, mut line: Line, draining: bool) -> End {
        let mut pending: Option<Arrival> = None;
        let mut asked = self.asked.clone();
        // What was asked while it was opened is for it too.
        asked.mark_changed();
        let mut heard = Instant::now();
        let mut ping = tokio::time::interval_at(heard + PING, PING);
        loop {
            tokio::select! {
                biased;
                () = self.stop.cancelled() => return End::Lost("the session is ending".to_owned()),
                Some(ack) = line.acks.recv() => {
                    if let Err(reason) = acknowledge(&mut line, ack).await {
                        return End::Lost(reason);
                    }
                }
                permit = self.incoming.reserve(), if pending.is_some() => match (permit, pending.take()) {
                    (Ok(permit), Some(arrival)) => {
                        permit.send(arrival);
                        heard = Instant::now();
                    }
                    _ => return End::Lost("the session is ending".to_owned()),
                },
                Ok(()) = asked.changed() => {
                    let question = asked.borrow_and_update().to_be_bytes().to_vec();
                    if let Err(error) = line.socket.send(WsMessage::Ping(question.into())).await {
                        return End::Lost(error.to_string());
                    }
                }
                _ = ping.tick() => {
                    if pending.is_none() && heard.elapsed() > SILENCE {
                        return End::Lost("Slack has been silent".to_owned());
                    }
                    if let Err(error) = line.socket.send(WsMessage::Ping(Vec::new().into())).await {
                        return End::Lost(error.to_string());
                    }
                }
                message = line.socket.next(), if pending.is_none() => {
                    heard = Instant::now();
                    match message {
                        Some(Ok(WsMessage::Text(text))) => match self.frame(&text, &line.back, line.way.number) {
                            Ok(incoming) => pending = incoming.map(Arrival::Event),
                            Err(End::Refresh(_) | End::Lost(_)) if draining => {}
                            Err(End::Refused(reason)) => return End::Refused(reason),
                            Err(_) => {
                                line.way.announced = true;
                                return End::Refresh(Box::new(line));
                            }
                        },
                        Some(Ok(WsMessage::Pong(answer))) => pending = self.answer(&answer, line.way.number),
                        Some(Ok(WsMessage::Close(_))) | None => return End::Lost("Slack closed it".to_owned()),
                        Some(Ok(_)) => {}
                        Some(Err(error)) => return End::Lost(error.to_string()),
                    }
                }
            }
        }
    }

    /// The answer to a question, if it is one.
    fn answer(&self, answer: &[u8], way: u64) -> Option<Arrival> {
        let question = u64::from_be_bytes(answer.try_into().ok()?);
        (question <= *self.asked.borrow()).then_some(Arrival::Answer { way, question })
    }

    /// What a frame brings. [`End::Lost`] stands for "about to be closed".
    fn frame(&self, text: &str, back: &mpsc::UnboundedSender<String>, way: u64) -> Result<Option<Incoming>, End> {
        let Ok(frame) = serde_json::from_str::<Frame<'_>>(text) else {
            telemetry::unknown_event();
            tracing::debug!(network = %self.network, "A frame could not be read and was passed over.");
            return Ok(None);
        };
        if frame.kind == "disconnect" {
            return match frame.reason.as_deref() {
                Some("link_disabled") => Err(End::Refused("Socket Mode is switched off for the app".to_owned())),
                reason => {
                    tracing::debug!(network = %self.network, reason, "Slack is about to close a socket.");
                    Err(End::Lost(String::new()))
                }
            };
        }
        let Some(envelope) = frame.envelope_id else {
            return Ok(None);
        };
        let ack = Ack::Socket {
            socket: back.clone(),
            envelope,
        };
        let Some(payload) = frame.payload.filter(|_| frame.kind == "events_api") else {
            // Commands and buttons are not offered; Slack is to forget them.
            ack.send();
            return Ok(None);
        };
        telemetry::event(frame.retry_attempt > 0);
        Ok(Some(Incoming {
            callback: serde_json::from_str(payload.get()).ok().map(Box::new),
            raw: payload.get().into(),
            ack,
            way,
        }))
    }
}

/// Sends this acknowledgement, and all others that are ready, in one go.
async fn acknowledge(line: &mut Line, first: String) -> Result<(), String> {
    let mut next = Some(first);
    while let Some(ack) = next {
        let sent = line.socket.feed(WsMessage::Text(ack.into())).await;
        sent.map_err(|error| error.to_string())?;
        next = line.acks.try_recv().ok();
    }
    line.socket.flush().await.map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opened(status: &watch::Sender<Status>) -> Way {
        let mut way = Way::new(status, "s");
        way.greeted();
        way
    }

    #[test]
    fn a_socket_is_waited_for_from_before_its_hello_until_its_end() {
        let status = watch::Sender::new(Status::default());
        let first = opened(&status);
        let second = Way::new(&status, "s");
        assert_eq!(status.borrow().ways, BTreeSet::from([first.number, second.number]));
        assert_eq!(status.borrow().open, 1);
        drop(second);
        assert_eq!(status.borrow().ways, BTreeSet::from([first.number]));
        assert_eq!(status.borrow().losses, 0, "nothing comes over what never opened");
    }

    #[test]
    fn an_exchanged_socket_loses_nothing_and_a_broken_one_may() {
        let status = watch::Sender::new(Status::default());
        let (mut exchanged, broken, _kept) = (opened(&status), opened(&status), opened(&status));
        exchanged.announced = true;
        drop(exchanged);
        assert_eq!(status.borrow().losses, 0);
        drop(broken);
        assert_eq!(status.borrow().losses, 1);
        assert_eq!(status.borrow().open, 1);
    }

    #[test]
    fn a_moment_without_a_socket_is_seen_by_whoever_looks_later() {
        let status = watch::Sender::new(Status::default());
        let (mut first, mut second) = (opened(&status), opened(&status));
        first.announced = true;
        second.announced = true;
        drop((first, second));
        let _next = opened(&status);
        assert_eq!(status.borrow().open, 1);
        assert_eq!(status.borrow().losses, 1);
    }
}
