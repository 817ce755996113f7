//! Exporters against receivers of our own, real as far as sockets, TLS and files are: away for a while, broken in the middle,
//! and with the hub started anew.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of a test are test code as well"
)]

mod receiver;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use receiver::{Certificates, Receiver};
use tokio_util::sync::CancellationToken;
use viaduct_audit::note::Signer;
use viaduct_audit::outbox::Numbered;
use viaduct_audit::{Action, Destination, Entry, Exporter, ExporterSettings, ExporterState, Form, Ledger, Options};
use viaduct_model::{Entropy, Timestamp};

const ORIGIN: &str = "hub.example.org/ledger";

#[derive(Debug)]
struct Chance;

impl Entropy for Chance {
    fn fill(&self, buffer: &mut [u8]) {
        buffer.fill(7);
    }
}

fn signer() -> Signer {
    Signer::generate(ORIGIN, &Chance).unwrap()
}

/// A hub's folders and its ledger.
struct Hub {
    folder: tempfile::TempDir,
    ledger: Ledger,
}

impl Hub {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let options = Options {
            // Segments end often, so that exporters cross their borders.
            segment_bytes: 2000,
            ..Options::new(ORIGIN)
        };
        let ledger = Ledger::open(&folder.path().join("ledger"), signer(), options).unwrap();
        Self { folder, ledger }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn append(&mut self, count: u64) {
        let first = self.ledger.size();
        let batch: Vec<Numbered> = (first..first + count)
            .map(|number| Numbered {
                number,
                entry: Entry::new(Timestamp(number), Action::Delivered).into(),
            })
            .collect();
        self.ledger.append(&batch).unwrap();
    }

    fn exporter(&self, to: Destination, form: Form) -> Exporter {
        let settings = ExporterSettings {
            name: "siem".to_owned(),
            to,
            form,
        };
        let (ledger, positions) = (self.path().join("ledger"), self.path().join("positions"));
        let made = Exporter::new(
            settings,
            &ledger,
            signer().verifier(),
            &positions,
            "hub",
            Arc::new(Chance),
        );
        made.unwrap().with_pace(
            Duration::from_millis(300),
            Duration::from_millis(50),
            Duration::from_millis(400),
        )
    }
}

/// An exporter at work.
struct Running {
    stop: CancellationToken,
    task: tokio::task::JoinHandle<()>,
    state: tokio::sync::watch::Receiver<ExporterState>,
}

impl Running {
    fn start(exporter: Exporter) -> Self {
        let stop = CancellationToken::new();
        let state = exporter.state();
        let task = tokio::spawn(exporter.run(stop.clone()));
        Self { stop, task, state }
    }

    /// Waits until the receiver has so many entries for certain.
    async fn until(&mut self, next: u64) {
        let wait = self.state.wait_for(|state| state.next >= next);
        let waited = tokio::time::timeout(Duration::from_secs(20), wait).await.is_ok();
        assert!(waited, "{:?}", *self.state.borrow());
    }

    /// Waits until something went wrong, and says what.
    async fn until_error(&mut self) -> String {
        let wait = self.state.wait_for(|state| state.error.is_some());
        let waited = tokio::time::timeout(Duration::from_secs(20), wait)
            .await
            .unwrap()
            .unwrap();
        waited.error.clone().unwrap()
    }

    async fn stop(self) {
        self.stop.cancel();
        self.task.await.unwrap();
    }

    /// As if the hub were killed.
    async fn kill(self) {
        self.task.abort();
        self.task.await.ok();
    }
}

fn tls(port: u16, certificates: &Certificates) -> Destination {
    Destination::Tls {
        host: "localhost".to_owned(),
        port,
        ca_file: Some(certificates.ca.clone()),
        certificate_file: Some(certificates.client.clone()),
        key_file: Some(certificates.client_key.clone()),
    }
}

/// Whether all entries came, each at least once, first in order; and how many came again.
fn complete(received: &[u64], size: u64) -> usize {
    let mut next = 0;
    for seq in received {
        assert!(*seq <= next, "{seq} came before {next}: {received:?}");
        next = next.max(seq + 1);
    }
    assert_eq!(next, size, "{received:?}");
    received.len() - usize::try_from(size).unwrap()
}

#[tokio::test]
async fn every_entry_arrives_over_tls_in_spite_of_absence_breaks_and_restarts() {
    let mut hub = Hub::new();
    let certificates = Certificates::make(hub.path());
    hub.append(300);
    // The receiver is away at first.
    let receiver = Receiver::reserve().await;
    let to = || tls(receiver.port(), &certificates);
    let mut running = Running::start(hub.exporter(to(), Form::Json));
    running.until_error().await;
    receiver.listen(Some(&certificates));
    running.until(300).await;
    assert_eq!(complete(&receiver.sequence(), 300), 0);

    // It goes away again, in the middle, without having read everything.
    let mut running = Running::restart(running, &hub, to()).await;
    receiver.break_after(10);
    hub.append(700);
    running.until(1000).await;
    complete(&receiver.sequence(), 1000);

    // The hub is killed while entries are on their way, and started anew.
    hub.append(500);
    receiver.wait_for(1001).await;
    running.kill().await;
    hub.append(5);
    let mut running = Running::start(hub.exporter(to(), Form::Json));
    running.until(1505).await;
    complete(&receiver.sequence(), 1505);
    assert_eq!(running.state.borrow().error, None);

    // Stopped in good order, nothing comes twice.
    running.stop().await;
    let before = receiver.sequence().len();
    hub.append(10);
    let mut running = Running::start(hub.exporter(to(), Form::Json));
    running.until(1515).await;
    assert_eq!(receiver.sequence().len(), before + 10);
    running.stop().await;
}

impl Running {
    async fn restart(self, hub: &Hub, to: Destination) -> Self {
        self.stop().await;
        Self::start(hub.exporter(to, Form::Json))
    }
}

#[tokio::test]
async fn nothing_goes_to_who_cannot_prove_who_they_are() {
    let mut hub = Hub::new();
    hub.append(3);
    let certificates = Certificates::make(hub.path());
    let others = Certificates::make(&hub.path().join("others"));
    let receiver = Receiver::reserve().await;
    receiver.listen(Some(&others));
    let to = tls(receiver.port(), &certificates);
    let mut running = Running::start(hub.exporter(to, Form::Json));
    let error = running.until_error().await;
    assert!(error.contains("certificate"), "{error}");
    running.stop().await;
    assert!(receiver.sequence().is_empty());
}

#[tokio::test]
async fn every_form_goes_over_plain_tcp() {
    for (form, wanted) in [
        (Form::Json, r#"{"seq":0,"number":0"#),
        (Form::Cef, "CEF:0|viaduct|"),
        (Form::Ocsf, r#""class_uid":0"#),
    ] {
        let mut hub = Hub::new();
        hub.append(40);
        let receiver = Receiver::reserve().await;
        receiver.listen(None);
        let to = Destination::Tcp {
            host: "127.0.0.1".to_owned(),
            port: receiver.port(),
            plaintext: None,
        };
        let mut running = Running::start(hub.exporter(to, form));
        running.until(40).await;
        assert_eq!(complete(&receiver.sequence(), 40), 0);
        let first = receiver.messages().swap_remove(0);
        assert!(first.starts_with("<110>1 1970-01-01T00:00:00.000Z hub viaduct - delivered [ledger@32473 seq=\"0\"] "));
        assert!(first.contains(wanted), "{first}");
        running.stop().await;
    }
}

#[tokio::test]
async fn a_file_grows_by_a_line_for_each_entry() {
    let mut hub = Hub::new();
    hub.append(5);
    let path = hub.path().join("export.jsonl");
    let to = || Destination::File { path: path.clone() };
    let mut running = Running::start(hub.exporter(to(), Form::Json));
    running.until(5).await;
    running.stop().await;
    hub.append(300);
    let mut running = Running::start(hub.exporter(to(), Form::Json));
    running.until(305).await;
    running.stop().await;
    let text = std::fs::read_to_string(&path).unwrap();
    let lines: Vec<serde_json::Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let sequence: Vec<u64> = lines.iter().map(|line| line["seq"].as_u64().unwrap()).collect();
    assert_eq!(sequence, (0..305).collect::<Vec<_>>());
}

#[tokio::test]
async fn an_absent_receiver_holds_up_nobody_and_a_lost_ledger_is_said() {
    let mut hub = Hub::new();
    hub.append(2);
    let path = hub.path().join("export.jsonl");
    let mut running = Running::start(hub.exporter(Destination::File { path: path.clone() }, Form::Json));
    running.until(2).await;
    running.stop().await;
    // The ledger was put back to an earlier state: what it says next would be taken for what was sent already.
    std::fs::remove_dir_all(hub.path().join("ledger")).unwrap();
    drop(Ledger::open(&hub.path().join("ledger"), signer(), Options::new(ORIGIN)).unwrap());
    let mut running = Running::start(hub.exporter(Destination::File { path }, Form::Json));
    let error = running.until_error().await;
    assert!(error.contains("damaged"), "{error}");
    running.stop().await;
}

#[test]
fn settings_are_checked() {
    let hub = Hub::new();
    let make = |name: &str, to: Destination| {
        let settings = ExporterSettings {
            name: name.to_owned(),
            to,
            form: Form::Json,
        };
        Exporter::new(
            settings,
            hub.path(),
            signer().verifier(),
            hub.path(),
            "hub",
            Arc::new(Chance),
        )
        .err()
    };
    let file = || Destination::File { path: "x".into() };
    assert!(make("siem", file()).is_none());
    assert!(make("../x", file()).is_some());
    let missing = Destination::Tls {
        host: "localhost".to_owned(),
        port: 1,
        ca_file: Some(hub.path().join("none.pem")),
        certificate_file: None,
        key_file: None,
    };
    assert!(make("siem", missing).unwrap().reason.contains("none.pem"));
    let parsed: ExporterSettings =
        serde_json::from_str(r#"{ "name": "siem", "to": { "kind": "tls", "host": "siem.example.org" } }"#).unwrap();
    assert!(matches!(parsed.to, Destination::Tls { port: 6514, .. }));
    assert!(
        serde_json::from_str::<ExporterSettings>(r#"{ "name": "s", "to": { "kind": "tls", "hosts": "x" } }"#).is_err()
    );
}
