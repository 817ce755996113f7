//! A company's network around the hub: a proxy that wants a login and carries nothing but `CONNECT`, and TLS by an authority that
//! only the company knows.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

/// The largest head of a request, in bytes.
const HEAD: usize = 8 * 1024;

async fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// TLS in front of a server, for `localhost`.
pub struct Tls {
    /// The address to reach the server at.
    pub url: String,
    /// The authority's certificate.
    pub ca: PathBuf,
    /// How many connections were made.
    pub connections: Arc<AtomicUsize>,
    _folder: tempfile::TempDir,
    _work: JoinSet<()>,
}

impl Tls {
    /// Stands in front of the server at this `http` address.
    pub async fn before(server: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let ca = folder.path().join("ca.pem");
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        std::fs::write(&ca, params.self_signed(&key).unwrap().pem()).unwrap();
        let issuer = Issuer::new(params, key);
        let key = KeyPair::generate().unwrap();
        let own = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        let certificate = own.signed_by(&key, &issuer).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![certificate.der().clone()],
                PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
            )
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let server = server.trim_start_matches("http://").to_owned();
        let (listener, address) = listen().await;
        let connections: Arc<AtomicUsize> = Arc::default();
        let (count, mut work) = (Arc::clone(&connections), JoinSet::new());
        work.spawn(async move {
            let mut carried = JoinSet::new();
            while let Ok((near, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::SeqCst);
                let (acceptor, server) = (acceptor.clone(), server.clone());
                carried.spawn(async move {
                    let Ok(mut near) = acceptor.accept(near).await else {
                        return;
                    };
                    let mut far = TcpStream::connect(server).await.unwrap();
                    copy_bidirectional(&mut near, &mut far).await.ok();
                });
            }
        });
        Self {
            url: format!("https://localhost:{}", address.port()),
            ca,
            connections,
            _folder: folder,
            _work: work,
        }
    }
}

/// A proxy for whoever is logged in.
pub struct Proxy {
    /// Where it listens.
    pub address: SocketAddr,
    /// To where it was asked to connect, by whoever is logged in.
    pub carried: Arc<Mutex<Vec<String>>>,
    _work: JoinSet<()>,
}

impl Proxy {
    /// Wants this login, in the form of HTTP's basic authentication.
    pub async fn start(login: &str) -> Self {
        let (listener, address) = listen().await;
        let carried: Arc<Mutex<Vec<String>>> = Arc::default();
        let (asked, mut work) = (Arc::clone(&carried), JoinSet::new());
        let login = format!("proxy-authorization: basic {login}");
        work.spawn(async move {
            let mut open = JoinSet::new();
            while let Ok((near, _)) = listener.accept().await {
                open.spawn(carry(near, login.clone(), Arc::clone(&asked)));
            }
        });
        Self {
            address,
            carried,
            _work: work,
        }
    }
}

async fn carry(mut near: TcpStream, login: String, asked: Arc<Mutex<Vec<String>>>) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let Ok(byte) = near.read_u8().await else { return };
        head.push(byte);
        assert!(head.len() < HEAD, "the head of a request is too long");
    }
    let head = String::from_utf8(head).unwrap();
    let target = head.strip_prefix("CONNECT ").and_then(|rest| rest.split(' ').next());
    let logged_in = head.lines().any(|line| {
        let (name, value) = line.split_once(": ").unwrap_or_default();
        let same = format!("{}: {}", name.to_lowercase(), value.replacen("Basic", "basic", 1));
        same == login
    });
    let answer = match (target, logged_in) {
        (None, _) => "HTTP/1.1 405 Method Not Allowed\r\nContent-Length: 0\r\n\r\n",
        (Some(_), false) => "HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n",
        (Some(target), true) => {
            asked.lock().unwrap().push(target.to_owned());
            let mut far = TcpStream::connect(target).await.unwrap();
            near.write_all(b"HTTP/1.1 200 Connection established\r\nVia: 1.1 office\r\n\r\n")
                .await
                .unwrap();
            copy_bidirectional(&mut near, &mut far).await.ok();
            return;
        }
    };
    near.write_all(answer.as_bytes()).await.ok();
}
