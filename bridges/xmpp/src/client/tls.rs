//! Encryption of a client's connection.

use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ProtocolVersion, RootCertStore};
use sasl::common::ChannelBinding;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::config::Account;

/// What the server of an account must prove to be, made ready once.
#[derive(Clone)]
pub struct Encryption {
    connector: TlsConnector,
    name: ServerName<'static>,
}

impl Encryption {
    /// Reads the certificates of the authorities. The server has to prove that it speaks for `domain`.
    ///
    /// # Errors
    ///
    /// What is wrong with them, in the operator's words.
    pub fn new(account: &Account, domain: &str, direct: bool) -> Result<Self, String> {
        let name = ServerName::try_from(domain.to_owned()).map_err(|_| format!("{domain:?} is not a host name"))?;
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| format!("TLS: {error}"))?
            .with_root_certificates(roots(account.ca_file.as_deref())?)
            .with_no_client_auth();
        if direct {
            config.alpn_protocols = vec![b"xmpp-client".to_vec()];
        }
        Ok(Self {
            connector: TlsConnector::from(Arc::new(config)),
            name,
        })
    }

    /// Encrypts a connection. Gives with it what binds a login to it, where the protocol's version has such.
    ///
    /// # Errors
    ///
    /// Why it is not trusted.
    pub async fn wrap(&self, socket: TcpStream) -> Result<(TlsStream<TcpStream>, Option<ChannelBinding>), String> {
        let stream = self
            .connector
            .connect(self.name.clone(), socket)
            .await
            .map_err(|error| format!("TLS: {error}"))?;
        let (_, connection) = stream.get_ref();
        let binding = match connection.protocol_version() {
            Some(ProtocolVersion::TLSv1_3) => connection
                .export_keying_material(vec![0; 32], b"EXPORTER-Channel-Binding", None)
                .ok()
                .map(ChannelBinding::TlsExporter),
            _ => None,
        };
        Ok((stream, binding))
    }
}

fn roots(file: Option<&Path>) -> Result<RootCertStore, String> {
    let mut store = RootCertStore::empty();
    if let Some(path) = file {
        let read = || CertificateDer::pem_file_iter(path)?.collect::<Result<Vec<_>, _>>();
        let certificates = read().map_err(|error| format!("{}: {error}", path.display()))?;
        if certificates.is_empty() {
            return Err(format!("{}: there is no certificate in it", path.display()));
        }
        for certificate in certificates {
            store
                .add(certificate)
                .map_err(|error| format!("{}: {error}", path.display()))?;
        }
        return Ok(store);
    }
    store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if store.is_empty() {
        return Err("the system has no certificate authorities; install ca-certificates or set account.ca_file".into());
    }
    Ok(store)
}
