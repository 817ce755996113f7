//! Lines to receivers.
//!
//! Syslog receivers answer nothing. What shows that one has read everything is that it closes its side after the hub has
//! closed its own: what is in a connection that breaks before counts as not received.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::fs::{File, OpenOptions};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::settings::Destination;

/// How long it may take to connect.
const CONNECT: Duration = Duration::from_secs(15);
/// How long it may take until a batch is written.
const SEND: Duration = Duration::from_secs(30);
/// How long the receiver may take to read what is on its way, and to close.
const FINISH: Duration = Duration::from_secs(15);

/// Makes lines to one receiver.
pub(super) struct Dialler {
    to: Destination,
    tls: Option<(TlsConnector, ServerName<'static>)>,
}

impl Dialler {
    /// Reads certificates and keys.
    pub(super) fn new(to: Destination) -> Result<Self, String> {
        let tls = match &to {
            Destination::Tls {
                host,
                ca_file,
                certificate_file,
                key_file,
                ..
            } => {
                let name = ServerName::try_from(host.clone()).map_err(|_| format!("{host:?} is not a host name"))?;
                let own = match (certificate_file, key_file) {
                    (Some(certificate), Some(key)) => Some((certificate.as_path(), key.as_path())),
                    (None, None) => None,
                    _ => return Err("give both `certificate_file` and `key_file`, or neither".to_owned()),
                };
                Some((connector(ca_file.as_deref(), own)?, name))
            }
            Destination::Tcp { .. } | Destination::File { .. } => None,
        };
        Ok(Self { to, tls })
    }

    /// Whether messages are counted on the line; otherwise each is a line of text.
    pub(super) fn is_stream(&self) -> bool {
        !matches!(self.to, Destination::File { .. })
    }

    /// Opens a line.
    pub(super) async fn dial(&self) -> io::Result<Line> {
        let (host, port) = match &self.to {
            Destination::File { path } => {
                let file = OpenOptions::new().create(true).append(true).open(path).await;
                return Ok(Line::File(file.map_err(told(&path.display().to_string()))?));
            }
            Destination::Tls { host, port, .. } | Destination::Tcp { host, port, .. } => (host.as_str(), *port),
        };
        let connect = async {
            let stream = TcpStream::connect((host, port)).await?;
            let stream: Box<dyn Stream> = match &self.tls {
                None => Box::new(stream),
                Some((connector, name)) => Box::new(connector.connect(name.clone(), stream).await?),
            };
            io::Result::Ok(Line::Stream(stream))
        };
        let line = timeout(CONNECT, connect).await.map_err(io::Error::from).flatten();
        line.map_err(told(&format!("{host}:{port}")))
    }
}

/// Says where an error happened.
fn told(place: &str) -> impl FnOnce(io::Error) -> io::Error {
    let place = place.to_owned();
    move |error| io::Error::new(error.kind(), format!("{place}: {error}"))
}

/// A connection of either sort.
pub(super) trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

/// An open line.
pub(super) enum Line {
    Stream(Box<dyn Stream>),
    File(File),
}

impl Line {
    /// Writes a batch. That it was written does not mean that it arrives; see [`Line::finish`].
    pub(super) async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        let write = async {
            match self {
                Self::Stream(stream) => {
                    stream.write_all(bytes).await?;
                    stream.flush().await
                }
                Self::File(file) => file.write_all(bytes).await,
            }
        };
        timeout(SEND, write).await?
    }

    /// Resolves when the receiver closes of its own accord. What it says is of no interest.
    pub(super) async fn closed(&mut self) -> io::Error {
        match self {
            Self::Stream(stream) => {
                let mut buffer = [0; 256];
                loop {
                    match stream.read(&mut buffer).await {
                        Ok(0) => {
                            return io::Error::new(
                                io::ErrorKind::ConnectionAborted,
                                "the receiver closed the connection",
                            );
                        }
                        Ok(_) => {}
                        Err(error) => return error,
                    }
                }
            }
            Self::File(_) => std::future::pending().await,
        }
    }

    /// Closes the line, and waits until the receiver has everything.
    pub(super) async fn finish(self) -> io::Result<()> {
        let finish = async {
            match self {
                Self::File(mut file) => {
                    file.flush().await?;
                    file.sync_all().await
                }
                Self::Stream(mut stream) => {
                    stream.shutdown().await?;
                    let mut buffer = [0; 256];
                    loop {
                        match stream.read(&mut buffer).await {
                            Ok(0) => return Ok(()),
                            Ok(_) => {}
                            // Many end TLS without saying so; had anything been left unread, the connection would be reset.
                            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(()),
                            Err(error) => return Err(error),
                        }
                    }
                }
            }
        };
        let late = |_| {
            io::Error::new(
                io::ErrorKind::TimedOut,
                "the receiver did not close after everything was sent",
            )
        };
        timeout(FINISH, finish).await.map_err(late)?
    }
}

fn connector(ca: Option<&Path>, own: Option<(&Path, &Path)>) -> Result<TlsConnector, String> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| format!("TLS: {error}"))?
        .with_root_certificates(roots(ca)?);
    let config = match own {
        Some((certificate, key)) => {
            let chain = certificates(certificate)?;
            let key = PrivateKeyDer::from_pem_file(key).map_err(|error| format!("{}: {error}", key.display()))?;
            builder
                .with_client_auth_cert(chain, key)
                .map_err(|error| format!("the hub's own certificate: {error}"))?
        }
        None => builder.with_no_client_auth(),
    };
    Ok(TlsConnector::from(Arc::new(config)))
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let read = || CertificateDer::pem_file_iter(path)?.collect::<Result<Vec<_>, _>>();
    let found = read().map_err(|error| format!("{}: {error}", path.display()))?;
    if found.is_empty() {
        return Err(format!("{}: there is no certificate in it", path.display()));
    }
    Ok(found)
}

fn roots(file: Option<&Path>) -> Result<RootCertStore, String> {
    let mut store = RootCertStore::empty();
    match file {
        Some(path) => {
            for certificate in certificates(path)? {
                let added = store.add(certificate);
                added.map_err(|error| format!("{}: {error}", path.display()))?;
            }
        }
        None => {
            store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
    }
    if store.is_empty() {
        return Err("the system has no certificate authorities; install ca-certificates or set `ca_file`".to_owned());
    }
    Ok(store)
}
