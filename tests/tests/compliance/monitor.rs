//! Security monitoring: a receiver of syslog over TLS (RFC 5425), with a certificate of its own authority.

use std::io::Read as _;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// A receiver at work.
pub struct Monitor {
    /// Its port.
    pub port: u16,
    /// The authority that signed its certificate.
    pub ca: PathBuf,
    messages: Arc<Mutex<Vec<String>>>,
}

impl Monitor {
    /// Starts one; the authority's certificate is written into `folder`.
    pub fn start(folder: &Path) -> anyhow::Result<Self> {
        viaduct_tests::launch::install_tls();
        let key = KeyPair::generate()?;
        let mut authority = CertificateParams::new(Vec::new())?;
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let ca = folder.join("siem-ca.pem");
        std::fs::write(&ca, authority.self_signed(&key)?.pem())?;
        let issuer = Issuer::new(authority, key);
        let key = KeyPair::generate()?;
        let certificate = CertificateParams::new(vec!["localhost".to_owned()])?.signed_by(&key, &issuer)?;
        let key = PrivateKeyDer::try_from(key.serialize_der()).map_err(anyhow::Error::msg)?;
        let config = ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)?;
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let port = listener.local_addr()?.port();
        let messages: Arc<Mutex<Vec<String>>> = Arc::default();
        let (config, heard) = (Arc::new(config), messages.clone());
        // It ends with the test's process.
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let Ok(connection) = ServerConnection::new(config.clone()) else {
                    return;
                };
                let mut stream = StreamOwned::new(connection, stream);
                while let Some(message) = message(&mut stream) {
                    heard.lock().unwrap_or_else(PoisonError::into_inner).push(message);
                }
            }
        });
        Ok(Self { port, ca, messages })
    }

    /// What it was told, in order.
    pub fn messages(&self) -> Vec<String> {
        self.messages.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The numbers in the ledger of what it was told.
    pub fn numbers(&self) -> Vec<u64> {
        let number = |message: &String| {
            let (_, rest) = message.split_once("seq=\"")?;
            rest.split_once('"')?.0.parse().ok()
        };
        self.messages().iter().filter_map(number).collect()
    }
}

/// The next message, after its length and a blank.
fn message(stream: &mut impl std::io::Read) -> Option<String> {
    let mut length = 0_usize;
    loop {
        let mut byte = [0];
        stream.read_exact(&mut byte).ok()?;
        match byte {
            [b' '] => break,
            [digit] => length = length * 10 + usize::from(digit.checked_sub(b'0').filter(|digit| *digit < 10)?),
        }
    }
    let mut bytes = Vec::new();
    stream.take(length as u64).read_to_end(&mut bytes).ok()?;
    (bytes.len() == length).then(|| String::from_utf8_lossy(&bytes).into_owned())
}
