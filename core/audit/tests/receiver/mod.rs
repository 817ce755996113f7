//! A syslog receiver over TCP or TLS that counts bytes (RFC 5425), and certificates for it.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

/// A certificate authority, and certificates of a server and a client.
pub struct Certificates {
    pub ca: PathBuf,
    pub client: PathBuf,
    pub client_key: PathBuf,
    server: PathBuf,
    server_key: PathBuf,
}

impl Certificates {
    /// Makes new ones in a folder.
    pub fn make(folder: &Path) -> Self {
        std::fs::create_dir_all(folder).unwrap();
        let at = |name: &str| folder.join(name);
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = params.self_signed(&key).unwrap();
        std::fs::write(at("ca.pem"), authority.pem()).unwrap();
        let issuer = Issuer::new(params, key);
        for name in ["server", "client"] {
            let key = KeyPair::generate().unwrap();
            let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
            let certificate = params.signed_by(&key, &issuer).unwrap();
            std::fs::write(at(&format!("{name}.pem")), certificate.pem()).unwrap();
            std::fs::write(at(&format!("{name}.key")), key.serialize_pem()).unwrap();
        }
        Self {
            ca: at("ca.pem"),
            client: at("client.pem"),
            client_key: at("client.key"),
            server: at("server.pem"),
            server_key: at("server.key"),
        }
    }

    fn acceptor(&self) -> TlsAcceptor {
        let chain = |path: &Path| CertificateDer::pem_file_iter(path).unwrap().map(Result::unwrap);
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut roots = rustls::RootCertStore::empty();
        roots.add_parsable_certificates(chain(&self.ca));
        let clients = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_client_cert_verifier(clients.build().unwrap())
            .with_single_cert(
                chain(&self.server).collect(),
                PrivateKeyDer::from_pem_file(&self.server_key).unwrap(),
            )
            .unwrap();
        TlsAcceptor::from(Arc::new(config))
    }
}

/// How connections are met.
#[derive(Clone, Default)]
enum Mode {
    /// They are closed at once.
    #[default]
    Away,
    Plain,
    Tls(TlsAcceptor),
}

#[derive(Default)]
struct Inner {
    mode: Mutex<Mode>,
    messages: Mutex<Vec<String>>,
    count: watch::Sender<usize>,
    /// After so many further messages the connection is dropped, unread.
    break_after: Mutex<Option<usize>>,
}

/// The receiver.
pub struct Receiver {
    port: u16,
    inner: Arc<Inner>,
    task: tokio::task::JoinHandle<()>,
}

impl Receiver {
    /// A receiver that has a port and receives nothing yet.
    pub async fn reserve() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let inner: Arc<Inner> = Arc::default();
        let serving = inner.clone();
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let mode = serving.mode.lock().unwrap().clone();
                tokio::spawn(serve(serving.clone(), mode, stream));
            }
        });
        Self { port, inner, task }
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// Begins to receive.
    pub fn listen(&self, certificates: Option<&Certificates>) {
        let mode = certificates.map_or(Mode::Plain, |certificates| Mode::Tls(certificates.acceptor()));
        *self.inner.mode.lock().unwrap() = mode;
    }

    /// Breaks the connection once so many more messages have come.
    pub fn break_after(&self, messages: usize) {
        *self.inner.break_after.lock().unwrap() = Some(messages);
    }

    /// Waits until so many messages have come.
    pub async fn wait_for(&self, messages: usize) {
        let mut count = self.inner.count.subscribe();
        let wait = count.wait_for(|count| *count >= messages);
        tokio::time::timeout(Duration::from_secs(20), wait)
            .await
            .unwrap()
            .unwrap();
    }

    /// All messages, as they came.
    pub fn messages(&self) -> Vec<String> {
        self.inner.messages.lock().unwrap().clone()
    }

    /// Their numbers in the ledger.
    pub fn sequence(&self) -> Vec<u64> {
        let number = |message: &String| {
            let rest = message.split_once("seq=\"").unwrap().1;
            rest.split_once('"').unwrap().0.parse().unwrap()
        };
        self.messages().iter().map(number).collect()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(inner: Arc<Inner>, mode: Mode, stream: TcpStream) {
    match mode {
        Mode::Away => {}
        Mode::Plain => receive(&inner, stream).await,
        Mode::Tls(acceptor) => {
            if let Ok(stream) = acceptor.accept(stream).await {
                receive(&inner, stream).await;
            }
        }
    }
}

async fn receive(inner: &Inner, stream: impl AsyncRead + AsyncWrite + Unpin) {
    let mut stream = BufReader::new(stream);
    while let Some(message) = message(&mut stream).await {
        {
            let mut broken = inner.break_after.lock().unwrap();
            match &mut *broken {
                Some(0) => {
                    *broken = None;
                    return;
                }
                Some(left) => *left -= 1,
                None => {}
            }
        }
        inner.messages.lock().unwrap().push(message);
        inner.count.send_modify(|count| *count += 1);
    }
    stream.shutdown().await.ok();
}

async fn message(stream: &mut (impl AsyncRead + Unpin)) -> Option<String> {
    let mut length = 0;
    loop {
        match stream.read_u8().await.ok()? {
            b' ' => break,
            digit => length = length * 10 + usize::from(digit.checked_sub(b'0').unwrap()),
        }
    }
    let mut bytes = vec![0; length];
    stream.read_exact(&mut bytes).await.ok()?;
    Some(String::from_utf8(bytes).unwrap())
}
