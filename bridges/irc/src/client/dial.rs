//! TCP and TLS.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::config::{Section, Tls};

/// How long a server may take for its part of the TLS handshake. One that speaks none on this port says nothing at all.
const GREETING: Duration = Duration::from_secs(10);

/// Both directions of a connection, encrypted or not.
pub trait Wire: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Wire for T {}

/// How to reach the server, made ready once.
#[derive(Clone)]
pub struct Dialer {
    host: String,
    port: u16,
    tls: Option<(TlsConnector, ServerName<'static>)>,
}

/// What a connection looks like from outside, for ident.
#[derive(Debug, Clone, Copy)]
pub struct Ports {
    /// Ours.
    pub local: u16,
    /// The server's.
    pub remote: u16,
}

impl Dialer {
    /// Reads certificates and keys.
    ///
    /// # Errors
    ///
    /// What is wrong with them, in the operator's words.
    pub fn new(section: &Section) -> Result<Self, String> {
        let host = section.server.host.clone();
        let tls = if section.tls.enabled {
            Some(connector(&section.tls, &host)?)
        } else {
            None
        };
        Ok(Self {
            host,
            port: section.port(),
            tls,
        })
    }

    /// Makes a connection. Its ports are told before anything is said on it, for servers ask for them at once.
    ///
    /// # Errors
    ///
    /// Why there is none, in the operator's words.
    pub async fn dial(&self, on_ports: &(dyn Fn(Ports) + Send + Sync)) -> Result<Box<dyn Wire>, String> {
        let address = (self.host.as_str(), self.port);
        let stream = TcpStream::connect(address)
            .await
            .map_err(|error| format!("{}:{} cannot be reached: {error}", self.host, self.port))?;
        stream.set_nodelay(true).ok();
        on_ports(Ports {
            local: stream.local_addr().map(|address| address.port()).unwrap_or_default(),
            remote: self.port,
        });
        match &self.tls {
            None => Ok(Box::new(stream)),
            Some((connector, name)) => {
                let failed = |why: String| format!("TLS with {}:{} failed: {why}", self.host, self.port);
                let greeted = tokio::time::timeout(GREETING, connector.connect(name.clone(), stream));
                match greeted.await {
                    Ok(Ok(stream)) => Ok(Box::new(stream)),
                    Ok(Err(error)) => Err(failed(error.to_string())),
                    Err(_) => Err(failed(format!("no answer within {} s", GREETING.as_secs()))),
                }
            }
        }
    }
}

fn connector(tls: &Tls, host: &str) -> Result<(TlsConnector, ServerName<'static>), String> {
    let wanted = tls.server_name.as_deref().unwrap_or(host);
    let name = ServerName::try_from(wanted.to_owned()).map_err(|_| format!("{wanted:?} is not a host name"))?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| format!("TLS: {error}"))?
        .with_root_certificates(roots(tls.ca_file.as_deref())?);
    let config = match (&tls.client_cert_file, &tls.client_key_file) {
        (Some(certificate), Some(key)) => {
            let chain = certificates(certificate)?;
            let key = PrivateKeyDer::from_pem_file(key).map_err(|error| format!("{}: {error}", key.display()))?;
            builder
                .with_client_auth_cert(chain, key)
                .map_err(|error| format!("client certificate: {error}"))?
        }
        _ => builder.with_no_client_auth(),
    };
    Ok((TlsConnector::from(Arc::new(config)), name))
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
    if let Some(path) = file {
        for certificate in certificates(path)? {
            store
                .add(certificate)
                .map_err(|error| format!("{}: {error}", path.display()))?;
        }
        return Ok(store);
    }
    store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if store.is_empty() {
        return Err("the system has no certificate authorities; install ca-certificates or set tls.ca_file".into());
    }
    Ok(store)
}
