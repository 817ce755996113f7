//! A running hub whose homeserver is away: it starts, tells how it stands, survives a broken configuration, and ends well.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use tempfile::TempDir;

/// The longest that anything here may take.
const BOUND: Duration = Duration::from_secs(30);

struct Hub {
    folder: TempDir,
    process: Child,
    admin: u16,
}

/// Ends the process also when a test fails.
impl Drop for Hub {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn viaduct(folder: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_viaduct"));
    command
        .args(args)
        .current_dir(folder)
        .env_remove("VIADUCT_CONFIG")
        .env_remove("VIADUCT_LOG");
    command
}

impl Hub {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let listen = format!("127.0.0.1:{}", free_port());
        let homeserver = format!("http://127.0.0.1:{}", free_port());
        let admin = free_port();
        let given = [
            "init",
            "--homeserver",
            &homeserver,
            "--domain",
            "localhost",
            "--admin",
            "@a:localhost",
            "--listen",
            &listen,
        ];
        assert!(viaduct(folder.path(), &given).output().unwrap().status.success());
        let config = folder.path().join("viaduct.yaml");
        let text = std::fs::read_to_string(&config)
            .unwrap()
            .replace("127.0.0.1:29321", &format!("127.0.0.1:{admin}"));
        std::fs::write(&config, text).unwrap();
        let process = viaduct(folder.path(), &["run"]).stderr(Stdio::null()).spawn().unwrap();
        Self { folder, process, admin }
    }

    async fn get(&self, path: &str, token: &str) -> Option<(u16, String)> {
        let url = format!("http://127.0.0.1:{}{path}", self.admin);
        let response = reqwest::Client::new().get(url).bearer_auth(token).send().await.ok()?;
        Some((response.status().as_u16(), response.text().await.ok()?))
    }

    /// Asks until the answer is as wanted.
    async fn wait_for(&self, path: &str, token: &str, wanted: impl Fn(u16, &str) -> bool) {
        let asked = async {
            loop {
                if let Some((code, body)) = self.get(path, token).await
                    && wanted(code, &body)
                {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(BOUND, asked).await.unwrap();
    }

    fn signal(&self, name: &str) {
        let sent = Command::new("kill")
            .args([name, &self.process.id().to_string()])
            .status()
            .unwrap();
        assert!(sent.success());
    }

    async fn end(&mut self) -> ExitStatus {
        let ended = async {
            loop {
                if let Some(status) = self.process.try_wait().unwrap() {
                    return status;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(BOUND, ended).await.unwrap()
    }
}

#[tokio::test]
async fn a_hub_without_its_homeserver_tells_so_and_ends_well() {
    rustls::crypto::aws_lc_rs::default_provider().install_default().ok();
    let mut hub = Hub::start();
    let token = std::fs::read_to_string(hub.folder.path().join("secrets/admin_token")).unwrap();
    let token = token.trim();
    hub.wait_for("/healthz", "", |code, _| code == 200).await;
    hub.wait_for("/readyz", "", |code, body| {
        code == 503 && body.contains(r#""network":"matrix""#)
    })
    .await;
    hub.wait_for("/metrics", "", |code, body| {
        code == 200 && body.contains("viaduct_build_info")
    })
    .await;
    assert_eq!(hub.get("/api/v1/status", "wrong").await.unwrap().0, 401);

    let listed = viaduct(hub.folder.path(), &["deliveries", "list"]).output().unwrap();
    assert!(listed.status.success());
    assert!(String::from_utf8_lossy(&listed.stdout).contains("everything arrived"));

    // A configuration with errors changes nothing; one without takes effect.
    let config = hub.folder.path().join("viaduct.yaml");
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, text.replace("kind: echo", "kind: ecco")).unwrap();
    hub.signal("-HUP");
    let renamed = text
        .replace("  echo:\n", "  parrot:\n")
        .replace("network: echo", "network: parrot");
    hub.wait_for("/api/v1/status", token, |_, body| {
        body.contains(r#""name":"echo","connection":"up""#)
    })
    .await;
    std::fs::write(&config, renamed).unwrap();
    hub.signal("-HUP");
    hub.wait_for("/api/v1/status", token, |_, body| {
        body.contains(r#""name":"parrot","connection":"up""#)
    })
    .await;

    hub.signal("-TERM");
    assert!(hub.end().await.success());
}
