//! Logging in as a component (XEP-0114).

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_xmpp::xmlstream::{FallibleStreamElement, ReadError, StreamHeader, XmppStreamElement, initiate_stream};
use xmpp_parsers::component::Handshake;
use xmpp_parsers::jid::Jid;
use xmpp_parsers::ns;

use super::link::{Link, LinkError, Stream, component_io, limits};
use super::sift::Sifted;
use super::words::ConditionText;
use crate::config::{Component, Secret, Timeouts};

/// Connects and logs in.
///
/// # Errors
///
/// [`LinkError`].
pub async fn connect(component: &Component, secret: &Secret, timeouts: &Timeouts) -> Result<Link, LinkError> {
    let limit = Duration::from_secs(timeouts.connect);
    match timeout(limit, login(component, secret, timeouts)).await {
        Ok(result) => result,
        Err(_) => Err(LinkError::unanswered(limit)),
    }
}

async fn login(component: &Component, secret: &Secret, timeouts: &Timeouts) -> Result<Link, LinkError> {
    let lost = |error: std::io::Error| LinkError::Lost(error.to_string());
    let domain = Jid::new(&component.domain).map_err(|error| LinkError::Refused(error.to_string()))?;
    let socket = TcpStream::connect((component.host.as_str(), component.port))
        .await
        .map_err(|error| LinkError::Lost(format!("cannot reach {}:{}: {error}", component.host, component.port)))?;
    socket.set_nodelay(true).map_err(lost)?;
    let (io, meter) = component_io(Box::new(socket));
    let header = StreamHeader {
        to: Some(component.domain.clone().into()),
        from: None,
        id: None,
    };
    let pending = initiate_stream(io, ns::COMPONENT, header, limits(timeouts)).await;
    let mut pending = pending.map_err(lost)?;
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
    Ok(Link::of_component(stream, meter, domain))
}
