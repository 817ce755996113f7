use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep};

use super::Server;
use super::prosody::{SECRET, secret_of};

/// The components, each with a listener of its own: one listener gives every component everything.
const DOMAINS: [&str; 3] = ["bridge.localhost", "people.localhost", "others.localhost"];

/// An ejabberd of its own, in a directory of its own, on loopback ports of its own.
pub struct Ejabberd {
    directory: TempDir,
    ports: Vec<u16>,
    client_port: u16,
    node: String,
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn succeeds(command: &mut Command) -> bool {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

impl Ejabberd {
    /// Starts one; none (and a printed reason) where that is not possible.
    pub async fn start() -> Option<Self> {
        if !Path::new("/usr/sbin/ejabberdctl").is_file() {
            println!("skipped: ejabberd is not installed");
            return None;
        }
        let directory = tempfile::Builder::new().permissions(mode(0o755)).tempdir().unwrap();
        let ports = DOMAINS.iter().map(|_| free_port()).collect();
        let server = Self {
            directory,
            ports,
            client_port: free_port(),
            node: format!("viaduct{}@localhost", std::process::id()),
        };
        let at = |name: &str| server.directory.path().join(name);
        for name in ["logs", "spool", "files"] {
            std::fs::create_dir(at(name)).unwrap();
        }
        super::certificate(server.directory.path());
        let bundle = ["localhost.crt", "localhost.key"].map(|name| std::fs::read_to_string(at(name)).unwrap());
        std::fs::write(at("localhost.pem"), bundle.concat()).unwrap();
        std::fs::write(at("ejabberd.yml"), server.config()).unwrap();
        let control = format!("INET_DIST_INTERFACE=127.0.0.1\nERL_DIST_PORT={}\n", free_port());
        std::fs::write(at("ejabberdctl.cfg"), control).unwrap();
        if !succeeds(
            Command::new("chown")
                .args(["-R", "ejabberd:ejabberd"])
                .arg(server.directory.path()),
        ) {
            println!("skipped: ejabberd can only be started by root");
            return None;
        }
        assert!(server.control("start"), "ejabberd did not start");
        let limit = Instant::now() + Duration::from_secs(30);
        for port in server.ports.iter().chain([&server.client_port]) {
            while TcpStream::connect(("127.0.0.1", *port)).await.is_err() {
                assert!(Instant::now() < limit, "ejabberd did not listen");
                sleep(Duration::from_millis(50)).await;
            }
        }
        for user in ["bridge", "dora"] {
            assert!(server.control(&format!("register {user} localhost {SECRET}")));
        }
        Some(server)
    }

    /// What it has logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.directory.path().join("logs/ejabberd.log")).unwrap_or_default()
    }

    /// The id of its process.
    pub fn process(&self) -> u32 {
        let spool = self.directory.path().join("spool");
        let processes = std::fs::read_dir("/proc").unwrap().flatten();
        let mut numbers = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
        let found = numbers.find(|number| {
            std::fs::read_to_string(format!("/proc/{number}/cmdline"))
                .is_ok_and(|line| line.contains("beam") && line.contains(spool.to_str().unwrap()))
        });
        found.unwrap()
    }

    fn control(&self, words: &str) -> bool {
        let at = |name: &str| self.directory.path().join(name);
        let mut command = Command::new("/usr/sbin/ejabberdctl");
        command.arg("--config-dir").arg(self.directory.path());
        command.arg("--logs").arg(at("logs")).arg("--spool").arg(at("spool"));
        succeeds(command.arg("--node").arg(&self.node).args(words.split(' ')))
    }

    fn config(&self) -> String {
        let http = free_port();
        let mut listeners = String::new();
        for (domain, port) in DOMAINS.iter().zip(&self.ports) {
            listeners.push_str(&format!(
                "  - {{port: {port}, ip: \"127.0.0.1\", module: ejabberd_service, access: all, \
                 hosts: {{{domain}: {{password: {}}}}}}}\n",
                secret_of(domain)
            ));
        }
        format!(
            r#"hosts: [localhost]
loglevel: warning
certfiles: ["{pem}"]
acl: {{bridge: {{user: bridge}}}}
shaper_rules: {{}}
listen:
{listeners}  - {{port: {client}, ip: "127.0.0.1", module: ejabberd_c2s, starttls_required: true, max_stanza_size: 262144}}
  - {{port: {http}, ip: "127.0.0.1", module: ejabberd_http, request_handlers: {{/upload: mod_http_upload}}}}
modules:
  mod_disco: {{}}
  mod_stream_mgmt: {{}}
  mod_pubsub: {{plugins: [flat, pep]}}
  mod_caps: {{}}
  mod_vcard: {{}}
  mod_roster: {{}}
  mod_ping: {{}}
  mod_mam: {{default: always, assume_mam_usage: true}}
  mod_muc:
    host: conference.localhost
    access_mam: all
    min_message_interval: 0
    min_presence_interval: 0
    max_user_conferences: 1000
    max_users: 2000
    default_room_options: {{max_users: 2000, mam: true, persistent: true, allow_change_subj: false}}
  mod_http_upload:
    host: upload.localhost
    put_url: "http://127.0.0.1:{http}/upload"
    docroot: "{files}"
    access: all
"#,
            pem = self.directory.path().join("localhost.pem").display(),
            client = self.client_port,
            files = self.directory.path().join("files").display(),
        )
    }
}

fn mode(bits: u32) -> std::fs::Permissions {
    std::os::unix::fs::PermissionsExt::from_mode(bits)
}

impl Server for Ejabberd {
    fn port(&self, domain: &str) -> u16 {
        let position = DOMAINS.iter().position(|one| *one == domain).unwrap();
        *self.ports.get(position).unwrap()
    }

    fn report(&self) {
        println!("{}", self.log());
    }

    fn client_port(&self) -> u16 {
        self.client_port
    }

    fn ca_file(&self) -> std::path::PathBuf {
        self.directory.path().join("localhost.crt")
    }
}

impl Drop for Ejabberd {
    fn drop(&mut self) {
        self.control("stop");
        self.control("stopped");
    }
}
