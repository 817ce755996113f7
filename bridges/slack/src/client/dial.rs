//! Connections for sockets: TCP, through a proxy where there is one, TLS with further authorities where there are some.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::percent_decode_str;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use url::Url;

/// The largest message on a socket, in bytes.
const MESSAGE: usize = 8 * 1024 * 1024;
/// The largest answer of a proxy, in bytes.
const PROXY_ANSWER: usize = 8 * 1024;
/// How long making a connection may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// How long an answer may be silent.
const READ: Duration = Duration::from_secs(15);

/// Both directions of a connection.
pub trait Wire: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Wire for T {}

/// A socket.
pub type Socket = WebSocketStream<Box<dyn Wire>>;

/// How to make connections, made ready once.
#[derive(Clone)]
pub struct Dialer {
    tls: TlsConnector,
    proxy: Option<Url>,
}

impl Dialer {
    /// Reads the certificates.
    ///
    /// # Errors
    ///
    /// What is wrong with them, in the operator's words.
    pub fn new(proxy: Option<&str>, ca_file: Option<&Path>) -> Result<Self, String> {
        let mut store = RootCertStore::empty();
        store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        if let Some(path) = ca_file {
            for certificate in certificates(path)? {
                store
                    .add(certificate)
                    .map_err(|error| format!("{}: {error}", path.display()))?;
            }
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| format!("TLS: {error}"))?
            .with_root_certificates(store)
            .with_no_client_auth();
        let proxy = match proxy {
            Some(proxy) => Some(Url::parse(proxy).map_err(|error| format!("the proxy's address: {error}"))?),
            None => None,
        };
        Ok(Self {
            tls: TlsConnector::from(Arc::new(config)),
            proxy,
        })
    }

    /// Connects to the host of a `ws` or `wss` address; nothing is asked for yet.
    ///
    /// # Errors
    ///
    /// Why it cannot; without the address, which holds a secret.
    pub async fn connect(&self, url: &Url) -> Result<Box<dyn Wire>, String> {
        tokio::time::timeout(PATIENCE, self.reach_over(url))
            .await
            .map_err(|_| "the host of the socket was not reached in time".to_owned())?
    }

    async fn reach_over(&self, url: &Url) -> Result<Box<dyn Wire>, String> {
        let host = url.host_str().ok_or("the socket's address has no host")?;
        let port = url.port_or_known_default().ok_or("the socket's address has no port")?;
        let stream = self.reach(host, port).await?;
        if url.scheme() != "wss" {
            return Ok(Box::new(stream));
        }
        let name = ServerName::try_from(host.to_owned()).map_err(|_| format!("{host:?} is not a host name"))?;
        let stream = self.tls.connect(name, stream).await;
        Ok(Box::new(stream.map_err(|error| format!("TLS with {host}: {error}"))?))
    }

    async fn reach(&self, host: &str, port: u16) -> Result<TcpStream, String> {
        let bare = host.trim_matches(['[', ']']);
        let Some(proxy) = &self.proxy else {
            let stream = TcpStream::connect((bare, port)).await;
            let stream = stream.map_err(|error| format!("{host} cannot be reached: {error}"))?;
            stream.set_nodelay(true).ok();
            return Ok(stream);
        };
        let (name, proxy_port) = (proxy.host_str().unwrap_or_default(), proxy.port_or_known_default());
        let stream = TcpStream::connect((name.trim_matches(['[', ']']), proxy_port.unwrap_or(3128))).await;
        let mut stream = stream.map_err(|error| format!("the proxy cannot be reached: {error}"))?;
        stream.set_nodelay(true).ok();
        let mut request = format!("CONNECT {host}:{port} HTTP/1.1\r\nHost: {host}:{port}\r\n");
        if !proxy.username().is_empty() {
            request.push_str("Proxy-Authorization: Basic ");
            request.push_str(&STANDARD.encode(login(proxy)));
            request.push_str("\r\n");
        }
        request.push_str("\r\n");
        stream
            .write_all(request.as_bytes())
            .await
            .map_err(|error| format!("the proxy: {error}"))?;
        let mut answer = Vec::new();
        while !answer.ends_with(b"\r\n\r\n") {
            if answer.len() > PROXY_ANSWER {
                return Err("the proxy's answer is too long".to_owned());
            }
            answer.push(stream.read_u8().await.map_err(|error| format!("the proxy: {error}"))?);
        }
        let line = String::from_utf8_lossy(&answer);
        let status = line.split_whitespace().nth(1).unwrap_or_default();
        if status != "200" {
            return Err(format!("the proxy refuses with {status}"));
        }
        Ok(stream)
    }
}

/// The name and the password in the proxy's address, in which special characters are escaped.
fn login(proxy: &Url) -> Vec<u8> {
    let (name, password) = (proxy.username(), proxy.password().unwrap_or_default());
    let name = percent_decode_str(name);
    name.chain([b':']).chain(percent_decode_str(password)).collect()
}

/// Opens the socket of an address on a connection to its host.
///
/// # Errors
///
/// Why there is none; without the address, which holds a secret.
pub async fn open(url: &Url, wire: Box<dyn Wire>) -> Result<Socket, String> {
    let config = WebSocketConfig::default()
        .max_message_size(Some(MESSAGE))
        .max_frame_size(Some(MESSAGE));
    let opening = tokio_tungstenite::client_async_with_config(url.as_str(), wire, Some(config));
    let opened = tokio::time::timeout(PATIENCE, opening).await;
    let opened = opened.map_err(|_| "the socket was not opened in time".to_owned())?;
    opened
        .map(|(socket, _)| socket)
        .map_err(|error| format!("the socket was refused: {error}"))
}

/// The certificates in a file.
///
/// # Errors
///
/// What is wrong with it, in the operator's words.
pub fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let read = || CertificateDer::pem_file_iter(path)?.collect::<Result<Vec<_>, _>>();
    let found = read().map_err(|error| format!("{}: {error}", path.display()))?;
    if found.is_empty() {
        return Err(format!("{}: there is no certificate in it", path.display()));
    }
    Ok(found)
}

/// An HTTP client with the same proxy and authorities, that follows no redirects.
///
/// # Errors
///
/// What is wrong with the proxy or the certificates, in the operator's words.
pub fn http(proxy: Option<&str>, ca_file: Option<&Path>) -> Result<reqwest::Client, String> {
    let mut builder = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .user_agent(concat!("viaduct/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(PATIENCE)
        .read_timeout(READ);
    builder = match proxy {
        Some(proxy) => {
            let proxy = reqwest::Proxy::all(proxy).map_err(|_| "the proxy's address cannot be used".to_owned())?;
            builder.proxy(proxy)
        }
        None => builder.no_proxy(),
    };
    if let Some(path) = ca_file {
        let own: Result<Vec<_>, _> = certificates(path)?
            .into_iter()
            .map(|certificate| reqwest::Certificate::from_der(&certificate))
            .collect();
        builder = builder.tls_certs_merge(own.map_err(|error| format!("{}: {error}", path.display()))?);
    }
    builder
        .build()
        .map_err(|error| format!("the HTTP client cannot be made: {error}"))
}
