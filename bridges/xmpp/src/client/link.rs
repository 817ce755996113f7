//! A stream that is logged in, and the task that moves stanzas between it and two bounded queues.
//!
//! Built on the library's stream layer and not on its `Component`, whose stream ends at the first idle minute and at the
//! first stanza it cannot read.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncRead, AsyncWrite, BufStream};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout_at};
use tokio_util::sync::CancellationToken;
use tokio_xmpp::Stanza;
use tokio_xmpp::xmlstream::{
    FallibleStreamElement, ReadError, StreamElementError, Timeouts as StreamTimeouts, XmlStream, XmppStreamElement,
};
use xmpp_parsers::iq::Iq;
use xmpp_parsers::jid::{FullJid, Jid};
use xmpp_parsers::ping;
use xmpp_parsers::sm::{A, Nonza as Managed, R, StreamId};

use super::account::{Login, ResumeError, Resumed};
use super::bounded::{Bounded, Meter};
use super::namespace::ForClients;
use super::resume::Tally;
use super::sift::Sifted;
use super::skim::Skim;
use super::words::ConditionText;
use crate::config::Timeouts;
use crate::telemetry;

/// The largest stanza taken, in bytes. Servers refuse smaller ones from their own people.
const STANZA_BOUND: usize = 4 * 1024 * 1024;
/// How many stanzas wait for the socket, and how many for the session.
const QUEUE_BOUND: usize = 512;
/// How many stanzas are written before the socket is flushed.
const WRITE_BATCH: usize = 64;
/// How much is taken from the socket at once, and how much is gathered for it, in bytes.
const READ_BUFFER: usize = 64 * 1024;
const WRITE_BUFFER: usize = 16 * 1024;
/// First and longest pause between attempts to resume.
const RESUME_PAUSE: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(5));

/// Why there is no connection (any more).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LinkError {
    /// The server cannot be reached, or broke off.
    #[error("{0}")]
    Lost(String),
    /// The server does not know us, or refuses our secret.
    #[error("the server refuses the login: {0}")]
    Refused(String),
}

impl LinkError {
    /// The server did not answer.
    pub(super) fn unanswered(limit: Duration) -> Self {
        Self::Lost(format!("the server did not answer within {} s", limit.as_secs()))
    }
}

/// Both directions of a connection, encrypted or not.
pub trait Duplex: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Duplex for T {}

/// A connection before it is read.
pub type Socket = Box<dyn Duplex>;
/// A connection as streams read it.
type Io = Bounded<Skim<BufStream<Socket>>>;
/// A stream.
pub(super) type Stream = XmlStream<Io, Sifted>;

/// Makes a component's connection readable, within bounds and without what nobody reads.
pub(super) fn component_io(socket: Socket) -> (Io, Meter) {
    Bounded::new(Skim::new(buffered(socket)), STANZA_BOUND)
}

/// Makes a client's connection readable, within bounds.
pub(super) fn account_io(socket: Socket) -> (Io, Meter) {
    Bounded::new(Skim::whole(buffered(socket)), STANZA_BOUND)
}

fn buffered(socket: Socket) -> BufStream<Socket> {
    BufStream::with_capacity(READ_BUFFER, WRITE_BUFFER, socket)
}

/// When a stream counts as silent, and when as lost.
pub(super) fn limits(timeouts: &Timeouts) -> StreamTimeouts {
    StreamTimeouts {
        read_timeout: Duration::from_secs(timeouts.idle),
        response_timeout: Duration::from_secs(timeouts.response),
    }
}

/// A stream that is logged in.
pub struct Link {
    stream: Stream,
    meter: Meter,
    /// Who sends signs of life.
    own: Jid,
    client: Option<Box<Client>>,
}

/// What a client's stream has beyond a component's.
struct Client {
    login: Login,
    /// The address under which the session knows itself.
    own: FullJid,
    /// What the server calls the session, if it can be resumed.
    id: Option<StreamId>,
    tally: Tally,
    patience: Duration,
}

/// The session's ends of a running link.
pub struct Ends {
    /// Stanzas for the server.
    pub outgoing: mpsc::Sender<Stanza>,
    /// Stanzas from the server.
    pub incoming: mpsc::Receiver<Stanza>,
}

/// How a connection ended.
enum End {
    /// For good.
    Final(LinkError),
    /// It broke; it may be resumed.
    Broken(LinkError),
}

fn broken(error: impl Into<Box<dyn std::error::Error>>) -> End {
    End::Broken(LinkError::Lost(error.into().to_string()))
}

impl Link {
    pub(super) fn of_component(stream: Stream, meter: Meter, domain: Jid) -> Self {
        Self {
            stream,
            meter,
            own: domain,
            client: None,
        }
    }

    pub(super) fn of_account(stream: Stream, meter: Meter, own: FullJid, login: Login, id: Option<StreamId>) -> Self {
        let client = Client {
            patience: login.resume_patience(),
            login,
            own: own.clone(),
            id,
            tally: Tally::default(),
        };
        Self {
            stream,
            meter,
            own: own.into(),
            client: Some(Box::new(client)),
        }
    }

    /// Makes the queues; [`Link::run`] serves them.
    pub fn queues() -> (Ends, mpsc::Receiver<Stanza>, mpsc::Sender<Stanza>) {
        let (outgoing, outgoing_receiver) = mpsc::channel(QUEUE_BOUND);
        let (incoming_sender, incoming) = mpsc::channel(QUEUE_BOUND);
        (Ends { outgoing, incoming }, outgoing_receiver, incoming_sender)
    }

    /// Moves stanzas both ways until the stream ends, `closing` is cancelled, or all senders of `outgoing` are gone. While the
    /// session is busy the socket is not read, so that the server waits; what is to be sent goes out all the same. A client's
    /// connection that breaks is resumed where the server can, without anybody noticing.
    pub async fn run(
        mut self,
        mut outgoing: mpsc::Receiver<Stanza>,
        incoming: mpsc::Sender<Stanza>,
        closing: CancellationToken,
    ) -> LinkError {
        let mut waiting = None;
        loop {
            let end = tokio::select! {
                biased;
                () = closing.cancelled() => {
                    self.stream.shutdown().await.ok();
                    return LinkError::Lost("closed".into());
                }
                end = self.carry(&mut outgoing, &incoming, &mut waiting) => end,
            };
            let error = match end {
                End::Final(error) => return error,
                End::Broken(error) => error,
            };
            tokio::select! {
                () = closing.cancelled() => return error,
                resumed = self.resume() => if !resumed {
                    return error;
                },
            }
        }
    }

    async fn carry(
        &mut self,
        outgoing: &mut mpsc::Receiver<Stanza>,
        incoming: &mpsc::Sender<Stanza>,
        waiting: &mut Option<Stanza>,
    ) -> End {
        let closed = || End::Final(LinkError::Lost("closed".into()));
        loop {
            let may_send = self.client.as_ref().is_none_or(|client| !client.tally.is_full());
            tokio::select! {
                stanza = outgoing.recv(), if may_send => {
                    let Some(stanza) = stanza else {
                        self.stream.shutdown().await.ok();
                        return closed();
                    };
                    if let Err(error) = self.write(stanza, outgoing).await {
                        return broken(error);
                    }
                }
                permit = incoming.reserve(), if waiting.is_some() => match (permit, waiting.take()) {
                    (Ok(permit), Some(stanza)) => permit.send(stanza),
                    _ => return closed(),
                },
                item = self.stream.next(), if waiting.is_none() => match self.read(item).await {
                    Ok(stanza) => *waiting = stanza,
                    Err(end) => return end,
                },
            }
        }
    }

    async fn write(&mut self, first: Stanza, outgoing: &mut mpsc::Receiver<Stanza>) -> std::io::Result<()> {
        self.feed(first).await?;
        for _ in 1..WRITE_BATCH {
            let Ok(stanza) = outgoing.try_recv() else { break };
            self.feed(stanza).await?;
        }
        let ask = self
            .client
            .as_mut()
            .is_some_and(|client| client.id.is_some() && client.tally.should_ask());
        if ask {
            let request = XmppStreamElement::SM(Managed::Req(R));
            self.stream.feed(&request).await?;
        }
        <Stream as SinkExt<&XmppStreamElement>>::flush(&mut self.stream).await
    }

    async fn feed(&mut self, mut stanza: Stanza) -> std::io::Result<()> {
        let Some(client) = &mut self.client else {
            return self.stream.feed(&XmppStreamElement::Stanza(stanza)).await;
        };
        // A client speaks for itself only; its server says who that is.
        *sender(&mut stanza) = None;
        let element = XmppStreamElement::Stanza(stanza);
        let fed = self.stream.feed(&ForClients(&element)).await;
        if let (Some(_), XmppStreamElement::Stanza(stanza)) = (&client.id, element) {
            client.tally.sent(stanza);
        }
        fed
    }

    /// What an item of the stream means: a stanza, nothing, or the end.
    async fn read(&mut self, item: Option<Result<Sifted, ReadError>>) -> Result<Option<Stanza>, End> {
        self.meter.reset();
        match item {
            Some(Ok(Sifted(None))) => {
                if let Some(client) = &mut self.client {
                    client.tally.receive();
                }
                Ok(None)
            }
            Some(Ok(Sifted(Some(FallibleStreamElement::Ok(element))))) => self.understand(element).await,
            Some(Ok(Sifted(Some(FallibleStreamElement::Err(error))))) => {
                if let (Some(client), StreamElementError::InvalidStanza { .. }) = (&mut self.client, &error) {
                    client.tally.receive();
                }
                telemetry::unreadable_stanza();
                tracing::warn!(%error, "A stanza that cannot be read was skipped.");
                Ok(None)
            }
            Some(Err(ReadError::ParseError(error))) => {
                telemetry::unreadable_stanza();
                tracing::warn!(%error, "An element that cannot be read was skipped.");
                Ok(None)
            }
            Some(Err(ReadError::SoftTimeout)) => {
                let request = Iq::from_get("keepalive", ping::Ping).with_from(self.own.clone());
                let server = Jid::new(self.own.domain().as_str()).map_err(broken)?;
                let request = request.with_to(server);
                self.feed(request.into()).await.map_err(broken)?;
                <Stream as SinkExt<&XmppStreamElement>>::flush(&mut self.stream)
                    .await
                    .map_err(broken)?;
                Ok(None)
            }
            Some(Err(ReadError::HardError(error))) => Err(broken(error)),
            Some(Err(ReadError::StreamFooterReceived)) => {
                Err(End::Final(LinkError::Lost("the server closed the stream".into())))
            }
            None => Err(broken("the server closed the connection")),
        }
    }

    async fn understand(&mut self, element: XmppStreamElement) -> Result<Option<Stanza>, End> {
        match element {
            XmppStreamElement::Stanza(mut stanza) => {
                if let Some(client) = &mut self.client {
                    client.tally.receive();
                    client.address(&mut stanza);
                }
                Ok(Some(stanza))
            }
            XmppStreamElement::StreamError(error) => {
                let reason = format!("the server closed the stream: {}", error.0.condition_text());
                Err(End::Final(LinkError::Lost(reason)))
            }
            XmppStreamElement::SM(Managed::Ack(A { h })) => {
                if let Some(client) = &mut self.client {
                    let noted = client.tally.acknowledge(h);
                    noted.map_err(|error| End::Final(LinkError::Lost(error.to_string())))?;
                    if client.tally.is_full() && client.tally.should_ask() {
                        let request = XmppStreamElement::SM(Managed::Req(R));
                        self.stream.send(&request).await.map_err(broken)?;
                    }
                }
                Ok(None)
            }
            XmppStreamElement::SM(Managed::Req(_)) => {
                if let Some(client) = &self.client {
                    let answer = A::new(client.tally.received());
                    let answer = XmppStreamElement::SM(Managed::Ack(answer));
                    self.stream.send(&answer).await.map_err(broken)?;
                }
                Ok(None)
            }
            _ => Ok(None),
        }
    }

    /// Takes a client's broken connection up again. Says whether that worked.
    async fn resume(&mut self) -> bool {
        let Some(client) = &self.client else { return false };
        let Some(id) = client.id.clone() else { return false };
        let limit = Instant::now() + client.patience;
        let mut pause = RESUME_PAUSE.0;
        let resumed = loop {
            match timeout_at(limit, client.login.resume(&id, client.tally.received())).await {
                Ok(Ok(resumed)) => break resumed,
                Ok(Err(ResumeError::Refused(error))) => {
                    tracing::info!(%error, "The broken connection cannot be resumed.");
                    return false;
                }
                Ok(Err(ResumeError::Lost(error))) => {
                    tracing::debug!(%error, "The server cannot be reached to resume the connection.");
                }
                Err(_) => return false,
            }
            if Instant::now() + pause >= limit {
                return false;
            }
            sleep(pause).await;
            pause = (pause * 2).min(RESUME_PAUSE.1);
        };
        match self.go_on(resumed).await {
            Ok(()) => {
                telemetry::resumed();
                tracing::info!("The broken connection was resumed.");
                true
            }
            Err(error) => {
                tracing::info!(%error, "The connection broke again while it was resumed.");
                false
            }
        }
    }

    /// Sends again, over a resumed connection, what the server does not have.
    async fn go_on(&mut self, resumed: Resumed) -> std::io::Result<()> {
        self.stream = resumed.stream;
        self.meter = resumed.meter;
        let Some(client) = &mut self.client else { return Ok(()) };
        client
            .tally
            .acknowledge(resumed.handled)
            .map_err(|error| std::io::Error::other(error.to_string()))?;
        for stanza in client.tally.take_unacknowledged() {
            self.feed(stanza).await?;
        }
        <Stream as SinkExt<&XmppStreamElement>>::flush(&mut self.stream).await
    }
}

impl Client {
    /// Fills in the addresses that servers leave out towards a client: what has no sender comes from the account itself, and
    /// whatever comes is for it.
    fn address(&self, stanza: &mut Stanza) {
        let from = sender(stanza);
        if from.is_none() {
            *from = Some(self.own.to_bare().into());
        }
        let to = match stanza {
            Stanza::Message(message) => &mut message.to,
            Stanza::Presence(presence) => &mut presence.to,
            Stanza::Iq(iq) => match iq {
                Iq::Get { to, .. } | Iq::Set { to, .. } | Iq::Result { to, .. } | Iq::Error { to, .. } => to,
            },
        };
        *to = Some(self.own.clone().into());
    }
}

/// The sender's address of a stanza.
fn sender(stanza: &mut Stanza) -> &mut Option<Jid> {
    match stanza {
        Stanza::Message(message) => &mut message.from,
        Stanza::Presence(presence) => &mut presence.from,
        Stanza::Iq(iq) => match iq {
            Iq::Get { from, .. } | Iq::Set { from, .. } | Iq::Result { from, .. } | Iq::Error { from, .. } => from,
        },
    }
}
