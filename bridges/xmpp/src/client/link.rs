//! The component stream (XEP-0114).
//!
//! Built on the library's stream layer and not on its `Component`, whose stream ends at the first idle minute and at the
//! first stanza it cannot read.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use tokio::io::BufStream;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_xmpp::Stanza;
use tokio_xmpp::xmlstream::{
    FallibleStreamElement, ReadError, StreamHeader, Timeouts as StreamTimeouts, XmlStream, XmppStreamElement,
    initiate_stream,
};
use xmpp_parsers::component::Handshake;
use xmpp_parsers::iq::Iq;
use xmpp_parsers::jid::Jid;
use xmpp_parsers::{ns, ping};

use super::bounded::{Bounded, Meter};
use super::sift::Sifted;
use crate::config::{Component, Secret, Timeouts};
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

/// Why there is no connection (any more).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LinkError {
    /// The server cannot be reached, or broke off.
    #[error("{0}")]
    Lost(String),
    /// The server does not know the component or refuses its secret.
    #[error("the server refuses the component: {0}")]
    Refused(String),
}

type Io = Bounded<BufStream<TcpStream>>;
type Stream = XmlStream<Io, Sifted>;

/// A stream that is logged in.
pub struct Link {
    stream: Stream,
    meter: Meter,
    domain: Jid,
}

/// The session's ends of a running link.
pub struct Ends {
    /// Stanzas for the server.
    pub outgoing: mpsc::Sender<Stanza>,
    /// Stanzas from the server.
    pub incoming: mpsc::Receiver<Stanza>,
}

/// Connects and logs in.
pub async fn connect(component: &Component, secret: &Secret, timeouts: &Timeouts) -> Result<Link, LinkError> {
    let limit = Duration::from_secs(timeouts.connect);
    match timeout(limit, login(component, secret, timeouts)).await {
        Ok(result) => result,
        Err(_) => Err(LinkError::Lost(format!(
            "the server did not answer within {} s",
            limit.as_secs()
        ))),
    }
}

async fn login(component: &Component, secret: &Secret, timeouts: &Timeouts) -> Result<Link, LinkError> {
    let lost = |error: std::io::Error| LinkError::Lost(error.to_string());
    let domain = Jid::new(&component.domain).map_err(|error| LinkError::Refused(error.to_string()))?;
    let socket = TcpStream::connect((component.host.as_str(), component.port))
        .await
        .map_err(|error| LinkError::Lost(format!("cannot reach {}:{}: {error}", component.host, component.port)))?;
    socket.set_nodelay(true).map_err(lost)?;
    let (io, meter) = Bounded::new(
        BufStream::with_capacity(READ_BUFFER, WRITE_BUFFER, socket),
        STANZA_BOUND,
    );
    let header = StreamHeader {
        to: Some(component.domain.clone().into()),
        from: None,
        id: None,
    };
    let limits = StreamTimeouts {
        read_timeout: Duration::from_secs(timeouts.idle),
        response_timeout: Duration::from_secs(timeouts.response),
    };
    let mut pending = initiate_stream(io, ns::COMPONENT, header, limits).await.map_err(lost)?;
    let id = pending.take_header().id.map(std::borrow::Cow::into_owned);
    let id =
        id.ok_or_else(|| LinkError::Lost("the server opened no component stream; is this its component port?".into()))?;
    let mut stream: Stream = pending.skip_features();
    let handshake = Handshake::from_stream_id_and_password(id, secret.reveal());
    stream
        .send(&XmppStreamElement::ComponentHandshake(handshake))
        .await
        .map_err(lost)?;
    loop {
        match stream.next().await {
            Some(Ok(Sifted(Some(FallibleStreamElement::Ok(XmppStreamElement::ComponentHandshake(_)))))) => break,
            Some(Ok(Sifted(Some(FallibleStreamElement::Ok(XmppStreamElement::StreamError(error)))))) => {
                return Err(LinkError::Refused(error.0.condition_text()));
            }
            Some(Err(ReadError::SoftTimeout) | Ok(_)) => {}
            Some(Err(error)) => return Err(LinkError::Lost(format!("during login: {error}"))),
            None => return Err(LinkError::Refused("the server closed the stream".into())),
        }
    }
    meter.reset();
    Ok(Link { stream, meter, domain })
}

/// What an element means: a stanza, nothing, or the end.
fn understand(element: FallibleStreamElement) -> Result<Option<Stanza>, LinkError> {
    match element {
        FallibleStreamElement::Ok(XmppStreamElement::Stanza(stanza)) => Ok(Some(stanza)),
        FallibleStreamElement::Ok(XmppStreamElement::StreamError(error)) => Err(LinkError::Lost(format!(
            "the server closed the stream: {}",
            error.0.condition_text()
        ))),
        FallibleStreamElement::Ok(_) => Ok(None),
        FallibleStreamElement::Err(error) => {
            telemetry::unreadable_stanza();
            tracing::warn!(%error, "A stanza that cannot be read was skipped.");
            Ok(None)
        }
    }
}

/// Says a stream error in words.
trait ConditionText {
    fn condition_text(&self) -> String;
}

impl ConditionText for xmpp_parsers::stream_error::StreamError {
    fn condition_text(&self) -> String {
        match self.texts.values().next() {
            Some(text) => format!("{:?} ({text})", self.condition),
            None => format!("{:?}", self.condition),
        }
    }
}

impl Link {
    /// Makes the queues; [`Link::run`] serves them.
    pub fn queues() -> (Ends, mpsc::Receiver<Stanza>, mpsc::Sender<Stanza>) {
        let (outgoing, outgoing_receiver) = mpsc::channel(QUEUE_BOUND);
        let (incoming_sender, incoming) = mpsc::channel(QUEUE_BOUND);
        (Ends { outgoing, incoming }, outgoing_receiver, incoming_sender)
    }

    /// Moves stanzas both ways until the stream ends or all senders of `outgoing` are gone. While the session is busy the
    /// socket is not read, so that the server waits; what is to be sent goes out all the same.
    pub async fn run(mut self, mut outgoing: mpsc::Receiver<Stanza>, incoming: mpsc::Sender<Stanza>) -> LinkError {
        let mut waiting: Option<Stanza> = None;
        loop {
            tokio::select! {
                stanza = outgoing.recv() => {
                    let Some(stanza) = stanza else {
                        self.stream.shutdown().await.ok();
                        return LinkError::Lost("closed".into());
                    };
                    if let Err(error) = self.write(stanza, &mut outgoing).await {
                        return LinkError::Lost(error.to_string());
                    }
                }
                permit = incoming.reserve(), if waiting.is_some() => match (permit, waiting.take()) {
                    (Ok(permit), Some(stanza)) => permit.send(stanza),
                    _ => return LinkError::Lost("closed".into()),
                },
                item = self.stream.next(), if waiting.is_none() => match self.read(item).await {
                    Ok(stanza) => waiting = stanza,
                    Err(error) => return error,
                },
            }
        }
    }

    async fn write(&mut self, first: Stanza, outgoing: &mut mpsc::Receiver<Stanza>) -> std::io::Result<()> {
        self.stream.feed(&XmppStreamElement::Stanza(first)).await?;
        for _ in 1..WRITE_BATCH {
            let Ok(stanza) = outgoing.try_recv() else { break };
            self.stream.feed(&XmppStreamElement::Stanza(stanza)).await?;
        }
        <Stream as SinkExt<&XmppStreamElement>>::flush(&mut self.stream).await
    }

    /// What an item of the stream means: a stanza, nothing, or the end.
    async fn read(&mut self, item: Option<Result<Sifted, ReadError>>) -> Result<Option<Stanza>, LinkError> {
        self.meter.reset();
        match item {
            Some(Ok(Sifted(None))) => Ok(None),
            Some(Ok(Sifted(Some(element)))) => understand(element),
            Some(Err(ReadError::ParseError(error))) => {
                telemetry::unreadable_stanza();
                tracing::warn!(%error, "An element that cannot be read was skipped.");
                Ok(None)
            }
            Some(Err(ReadError::SoftTimeout)) => {
                let request = Iq::from_get("keepalive", ping::Ping).with_from(self.domain.clone());
                let request = request.with_to(Jid::from(self.domain.to_bare()));
                let sent = self.stream.send(&XmppStreamElement::Stanza(request.into())).await;
                sent.map(|()| None).map_err(|error| LinkError::Lost(error.to_string()))
            }
            Some(Err(ReadError::HardError(error))) => Err(LinkError::Lost(error.to_string())),
            Some(Err(ReadError::StreamFooterReceived)) | None => {
                Err(LinkError::Lost("the server closed the stream".into()))
            }
        }
    }
}
