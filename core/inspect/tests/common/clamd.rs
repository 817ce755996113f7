//! A real `clamd` with a signature of our own, so that it needs no database from elsewhere.

#![allow(clippy::print_stdout, reason = "a skipped test says so")]

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use viaduct_inspect::Scanner;

/// The harmless file that every scanner reports, put together here so that this source is not reported itself.
pub fn eicar() -> Vec<u8> {
    let parts = [
        r"X5O!P%@AP[4\PZX54(P^)7CC)7}$",
        "EICAR-STANDARD-ANTIVIRUS",
        "-TEST-FILE!$H+H*",
    ];
    parts.concat().into_bytes()
}

/// A running daemon; ends with this.
pub struct Clamd {
    folder: tempfile::TempDir,
    port: u16,
    child: Child,
}

impl Clamd {
    /// Starts one; none, with a printed reason, if `clamd` is not installed and does not have to be.
    pub async fn start() -> Option<Self> {
        let found = ["/usr/sbin/clamd", "/usr/bin/clamd", "/usr/local/sbin/clamd"]
            .into_iter()
            .find(|path| Path::new(path).exists());
        let Some(program) = found else {
            let required = std::env::var_os("VIADUCT_REQUIRE").is_some_and(|value| value == "1");
            assert!(!required, "clamd is not installed");
            println!("skipped: clamd is not installed");
            return None;
        };
        let folder = tempfile::tempdir().unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let at = |name: &str| folder.path().join(name);
        std::fs::create_dir(at("db")).unwrap();
        let digit = |half: u8| char::from_digit(u32::from(half), 16).unwrap();
        let hex: String = eicar()
            .iter()
            .flat_map(|byte| [digit(byte >> 4), digit(byte & 15)])
            .collect();
        std::fs::write(at("db/test.ndb"), format!("Viaduct.Test:0:*:{hex}\n")).unwrap();
        let settings = format!(
            "LocalSocket {}\nTCPSocket {port}\nTCPAddr 127.0.0.1\nDatabaseDirectory {}\nForeground yes\nStreamMaxLength 1M\n",
            at("socket").display(),
            at("db").display(),
        );
        std::fs::write(at("clamd.conf"), settings).unwrap();
        let log = std::fs::File::create(at("log")).unwrap();
        let child = Command::new(program)
            .arg("-c")
            .arg(at("clamd.conf"))
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        let clamd = Self { folder, port, child };
        let ready = async {
            while tokio::net::UnixStream::connect(clamd.socket()).await.is_err()
                || tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_err()
            {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let started = tokio::time::timeout(Duration::from_secs(30), ready).await;
        assert!(
            started.is_ok(),
            "clamd did not start: {}",
            std::fs::read_to_string(clamd.folder.path().join("log")).unwrap()
        );
        Some(clamd)
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("socket")
    }

    /// How to ask it over its Unix socket.
    pub fn by_socket(&self) -> Scanner {
        Scanner {
            socket: Some(self.socket()),
            ..Scanner::default()
        }
    }

    /// How to ask it over TCP.
    pub fn by_address(&self) -> Scanner {
        Scanner {
            address: Some(format!("127.0.0.1:{}", self.port)),
            ..Scanner::default()
        }
    }

    /// Ends it.
    pub fn stop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Clamd {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
