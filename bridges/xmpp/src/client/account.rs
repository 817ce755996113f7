//! Logging in as a client (RFC 6120) with an ordinary account, and taking a broken connection up again (XEP-0198).

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use sasl::common::ChannelBinding;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_xmpp::Stanza;
use tokio_xmpp::connect::DnsConfig;
use tokio_xmpp::xmlstream::{
    FallibleStreamElement, ReadError, RecvFeaturesError, StreamElementError, StreamHeader, XmppStreamElement,
    initiate_stream,
};
use xmpp_parsers::bind::{BindQuery, BindResponse};
use xmpp_parsers::iq::Iq;
use xmpp_parsers::jid::BareJid;
use xmpp_parsers::sm::{Enable, Nonza as Managed, Resume, StreamId};
use xmpp_parsers::stream_features::StreamFeatures;
use xmpp_parsers::{ns, starttls};

use super::bounded::Meter;
use super::link::{Link, LinkError, Socket, Stream, account_io, limits};
use super::login::{Identity, prove};
use super::namespace::ForClients;
use super::sift::Sifted;
use super::tls::Encryption;
use super::words::ConditionText;
use crate::config::{Account, Secret, Timeouts, Tls};
use crate::convert::names::ACCOUNT_RESOURCE;

/// How to log in, made ready once.
#[derive(Clone)]
pub struct Login {
    account: Account,
    address: BareJid,
    password: Secret,
    timeouts: Timeouts,
    encryption: Encryption,
}

/// A stream that is logged in, before it is bound or resumed.
struct Entered {
    features: StreamFeatures,
    stream: Stream,
    meter: Meter,
}

/// A connection that goes on where another broke off.
pub struct Resumed {
    /// Its stream.
    pub stream: Stream,
    /// What counts its bytes.
    pub meter: Meter,
    /// How many of our stanzas the server has.
    pub handled: u32,
}

/// Why a connection cannot be resumed.
pub enum ResumeError {
    /// The server no longer knows it, or will not have us.
    Refused(LinkError),
    /// The server cannot be reached; trying again may help.
    Lost(LinkError),
}

impl From<LinkError> for ResumeError {
    fn from(error: LinkError) -> Self {
        match error {
            LinkError::Lost(_) => Self::Lost(error),
            LinkError::Refused(_) => Self::Refused(error),
        }
    }
}

/// Connects and logs in.
///
/// # Errors
///
/// [`LinkError`].
pub async fn connect(account: &Account, password: &Secret, timeouts: &Timeouts) -> Result<Link, LinkError> {
    let login = Login::new(account, password, timeouts).map_err(LinkError::Refused)?;
    let limit = Duration::from_secs(timeouts.connect);
    match timeout(limit, login.begin()).await {
        Ok(result) => result,
        Err(_) => Err(LinkError::unanswered(limit)),
    }
}

impl Login {
    fn new(account: &Account, password: &Secret, timeouts: &Timeouts) -> Result<Self, String> {
        let address = BareJid::new(&account.address).map_err(|error| error.to_string())?;
        let direct = account.tls == Tls::Direct;
        Ok(Self {
            encryption: Encryption::new(account, address.domain().as_str(), direct)?,
            account: account.clone(),
            address,
            password: password.clone(),
            timeouts: timeouts.clone(),
        })
    }

    /// How long a broken connection is tried to be resumed.
    pub(super) fn resume_patience(&self) -> Duration {
        Duration::from_secs(self.timeouts.resume)
    }

    /// A new session.
    async fn begin(self) -> Result<Link, LinkError> {
        let Entered {
            features,
            mut stream,
            meter,
        } = self.enter().await?;
        bind(&mut stream).await?;
        let id = if features.stream_management.is_some() {
            enable(&mut stream).await?
        } else {
            None
        };
        meter.reset();
        let own = self.address.with_resource_str(ACCOUNT_RESOURCE);
        let own = own.map_err(|error| LinkError::Refused(error.to_string()))?;
        Ok(Link::of_account(stream, meter, own, self, id))
    }

    /// Takes a session up again that the server knows under `id`, and of which we have received so many stanzas.
    ///
    /// # Errors
    ///
    /// [`ResumeError`].
    pub async fn resume(&self, id: &StreamId, received: u32) -> Result<Resumed, ResumeError> {
        let Entered { mut stream, meter, .. } = self.enter().await?;
        let resume = Resume {
            h: received,
            previd: id.clone(),
        };
        send(&mut stream, XmppStreamElement::SM(Managed::Resume(resume))).await?;
        loop {
            match next(&mut stream).await? {
                Ok(XmppStreamElement::SM(Managed::Resumed(resumed))) => {
                    meter.reset();
                    return Ok(Resumed {
                        stream,
                        meter,
                        handled: resumed.h,
                    });
                }
                // A refusal without a count is one that the parser does not take.
                Ok(XmppStreamElement::SM(Managed::Failed(_))) | Err(StreamElementError::InvalidNonza { .. }) => {
                    let reason = "the server has forgotten the session";
                    return Err(ResumeError::Refused(LinkError::Lost(reason.into())));
                }
                _ => {}
            }
        }
    }

    /// Connects, encrypts and logs in.
    async fn enter(&self) -> Result<Entered, LinkError> {
        let socket = self.reach().await?;
        let (encrypted, binding) = match self.account.tls {
            Tls::Direct => self.encryption.wrap(socket).await,
            Tls::Starttls => self.encryption.wrap(self.ask_for_encryption(socket).await?).await,
        }
        .map_err(LinkError::Lost)?;
        self.prove(Box::new(encrypted), binding).await
    }

    async fn reach(&self) -> Result<TcpStream, LinkError> {
        let domain = self.address.domain().as_str();
        let direct = self.account.tls == Tls::Direct;
        let default = if direct { 5223 } else { 5222 };
        let lost = |error: String| LinkError::Lost(format!("cannot reach the server: {error}"));
        let socket = match &self.account.host {
            Some(host) => TcpStream::connect((host.as_str(), self.account.port.unwrap_or(default)))
                .await
                .map_err(|error| lost(error.to_string()))?,
            None if direct => resolve(DnsConfig::srv_xmpps(domain)).await.map_err(lost)?,
            None => resolve(DnsConfig::srv_default_client(domain)).await.map_err(lost)?,
        };
        socket.set_nodelay(true).map_err(|error| lost(error.to_string()))?;
        Ok(socket)
    }

    fn header(&self) -> StreamHeader<'_> {
        StreamHeader {
            to: Some(self.address.domain().as_str().into()),
            from: None,
            id: None,
        }
    }

    async fn open(&self, socket: Socket) -> Result<(StreamFeatures, Stream, Meter), LinkError> {
        let (io, meter) = account_io(socket);
        let pending = initiate_stream(io, ns::JABBER_CLIENT, self.header(), limits(&self.timeouts)).await;
        let pending = pending.map_err(|error| LinkError::Lost(error.to_string()))?;
        let (features, stream) = pending.recv_features().await.map_err(no_features)?;
        Ok((features, stream, meter))
    }

    /// Everything before the encryption, with nothing that matters in it. Whatever the server (or somebody between) has said
    /// beyond its assent is dropped.
    async fn ask_for_encryption(&self, socket: TcpStream) -> Result<TcpStream, LinkError> {
        let lost = |error: std::io::Error| LinkError::Lost(error.to_string());
        let io = tokio::io::BufStream::new(socket);
        let pending = initiate_stream(io, ns::JABBER_CLIENT, self.header(), limits(&self.timeouts)).await;
        let (features, mut stream) = pending
            .map_err(lost)?
            .recv_features::<FallibleStreamElement>()
            .await
            .map_err(no_features)?;
        if !features.can_starttls() {
            return Err(LinkError::Refused(
                "the server does not encrypt; the hub does not log in without".into(),
            ));
        }
        let request = XmppStreamElement::Starttls(starttls::Nonza::Request(starttls::Request));
        stream.send(&request).await.map_err(lost)?;
        loop {
            match stream.next().await {
                Some(Ok(FallibleStreamElement::Ok(XmppStreamElement::Starttls(starttls::Nonza::Proceed(_))))) => break,
                Some(Ok(_) | Err(ReadError::SoftTimeout)) => {}
                Some(Err(error)) => return Err(LinkError::Lost(format!("before encryption: {error}"))),
                None => return Err(LinkError::Lost("the server closed the stream before encryption".into())),
            }
        }
        Ok(stream.into_inner().into_inner())
    }

    async fn prove(&self, socket: Socket, binding: Option<ChannelBinding>) -> Result<Entered, LinkError> {
        let (features, mut stream, meter) = self.open(socket).await?;
        let name = self.address.node().map(ToString::to_string).unwrap_or_default();
        let identity = Identity {
            name: &name,
            password: &self.password,
            allow_plain: self.account.allow_plain,
        };
        prove(&mut stream, &features, &identity, binding).await?;
        let pending = stream.initiate_reset().send_header(self.header()).await;
        let pending = pending.map_err(|error| LinkError::Lost(error.to_string()))?;
        let (features, stream) = pending.recv_features().await.map_err(no_features)?;
        Ok(Entered {
            features,
            stream,
            meter,
        })
    }
}

async fn resolve(dns: DnsConfig) -> Result<TcpStream, String> {
    dns.resolve().await.map_err(|error| error.to_string())
}

fn no_features(error: RecvFeaturesError) -> LinkError {
    match error {
        RecvFeaturesError::Io(error) => LinkError::Lost(error.to_string()),
        RecvFeaturesError::StreamError(error) => LinkError::Refused(error.0.condition_text()),
    }
}

async fn send(stream: &mut Stream, element: XmppStreamElement) -> Result<(), LinkError> {
    stream
        .send(&ForClients(&element))
        .await
        .map_err(|error| LinkError::Lost(error.to_string()))
}

/// The next element of a stream during login.
pub(super) async fn next(stream: &mut Stream) -> Result<Result<XmppStreamElement, StreamElementError>, LinkError> {
    loop {
        match stream.next().await {
            Some(Ok(Sifted(Some(FallibleStreamElement::Ok(XmppStreamElement::StreamError(error)))))) => {
                return Err(LinkError::Refused(error.0.condition_text()));
            }
            Some(Ok(Sifted(Some(FallibleStreamElement::Ok(element))))) => return Ok(Ok(element)),
            Some(Ok(Sifted(Some(FallibleStreamElement::Err(error))))) => return Ok(Err(error)),
            Some(Ok(Sifted(None)) | Err(ReadError::SoftTimeout | ReadError::ParseError(_))) => {}
            Some(Err(error)) => return Err(LinkError::Lost(format!("during login: {error}"))),
            None => return Err(LinkError::Lost("the server closed the stream during login".into())),
        }
    }
}

/// Asks for an address of this connection's own. Some servers give another one than asked for; only they ever use it.
async fn bind(stream: &mut Stream) -> Result<(), LinkError> {
    let query = BindQuery::new(Some(ACCOUNT_RESOURCE.to_owned()));
    let request = Iq::from_set("bind", query);
    send(stream, XmppStreamElement::Stanza(request.into())).await?;
    loop {
        match next(stream).await? {
            Ok(XmppStreamElement::Stanza(Stanza::Iq(Iq::Result {
                payload: Some(payload), ..
            }))) => {
                let bound = BindResponse::try_from(payload);
                return bound
                    .map(drop)
                    .map_err(|error| LinkError::Refused(format!("the server gives no address: {error}")));
            }
            Ok(XmppStreamElement::Stanza(Stanza::Iq(Iq::Error { error, .. }))) => {
                return Err(LinkError::Refused(super::wire::describe(&error)));
            }
            _ => {}
        }
    }
}

/// Has the server remember the session. Gives the name it is remembered by, if it can be resumed.
async fn enable(stream: &mut Stream) -> Result<Option<StreamId>, LinkError> {
    let enable = Enable::new().with_resume();
    send(stream, XmppStreamElement::SM(Managed::Enable(enable))).await?;
    loop {
        match next(stream).await? {
            Ok(XmppStreamElement::SM(Managed::Enabled(enabled))) => {
                return Ok(enabled.id.filter(|_| enabled.resume));
            }
            Ok(XmppStreamElement::SM(Managed::Failed(_))) | Err(StreamElementError::InvalidNonza { .. }) => {
                return Ok(None);
            }
            _ => {}
        }
    }
}
