//! A hub as a process, whose homeserver is away.

#![allow(dead_code, missing_docs, clippy::unwrap_used, reason = "test support")]

use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use tempfile::TempDir;

/// The longest that anything here may take.
const BOUND: Duration = Duration::from_secs(30);

pub struct Hub {
    pub folder: TempDir,
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

pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

pub fn viaduct(folder: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_viaduct"));
    command
        .args(args)
        .current_dir(folder)
        .env_remove("VIADUCT_CONFIG")
        .env_remove("VIADUCT_ADMIN_TOKEN")
        .env_remove("VIADUCT_TOKEN_FILE")
        .env_remove("VIADUCT_LOG");
    command
}

impl Hub {
    pub fn start() -> Self {
        Self::start_with(|_| ())
    }

    /// One whose folder somebody changed between `init` and the start.
    pub fn start_with(change: impl FnOnce(&Path)) -> Self {
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
        change(folder.path());
        let process = viaduct(folder.path(), &["run"]).stderr(Stdio::null()).spawn().unwrap();
        Self { folder, process, admin }
    }

    pub async fn get(&self, path: &str, token: &str) -> Option<(u16, String)> {
        let url = format!("http://127.0.0.1:{}{path}", self.admin);
        let response = reqwest::Client::new().get(url).bearer_auth(token).send().await.ok()?;
        Some((response.status().as_u16(), response.text().await.ok()?))
    }

    /// Asks until the answer is as wanted.
    pub async fn wait_for(&self, path: &str, token: &str, wanted: impl Fn(u16, &str) -> bool) {
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

    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill")
            .args([name, &self.process.id().to_string()])
            .status()
            .unwrap();
        assert!(sent.success());
    }

    pub async fn end(&mut self) -> ExitStatus {
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
