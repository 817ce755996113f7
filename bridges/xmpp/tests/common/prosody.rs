use std::net::TcpListener;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep};

use super::Server;

/// The secret of the components in these tests, and the password of the accounts.
pub const SECRET: &str = "secret-of-the-tests";

/// A component's secret; `others.localhost` has one of its own.
pub fn secret_of(domain: &str) -> &'static str {
    if domain == "others.localhost" {
        "secret-of-the-others"
    } else {
        SECRET
    }
}

/// A Prosody of its own, in a directory of its own, on loopback ports of its own.
pub struct Prosody {
    directory: TempDir,
    /// What its rooms have beyond the usual.
    modules: &'static [&'static str],
    child: Option<Child>,
    pub component_port: u16,
    pub http_port: u16,
    pub client_port: u16,
    pub direct_port: u16,
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn find(program: &str) -> Option<PathBuf> {
    let paths = std::env::var_os("PATH")?;
    std::env::split_paths(&paths)
        .map(|path| path.join(program))
        .find(|path| path.is_file())
}

impl Server for Prosody {
    fn port(&self, _domain: &str) -> u16 {
        self.component_port
    }

    fn client_port(&self) -> u16 {
        self.client_port
    }

    fn ca_file(&self) -> PathBuf {
        self.path("localhost.crt")
    }
}

impl Prosody {
    /// Starts one; none (and a printed reason) where Prosody is not installed.
    pub async fn start() -> Option<Self> {
        Self::start_with(&[]).await
    }

    /// Starts one whose rooms have these modules, too.
    pub async fn start_with(modules: &'static [&'static str]) -> Option<Self> {
        if find("prosody").is_none() {
            println!("skipped: prosody is not installed");
            return None;
        }
        let directory = TempDir::new().unwrap();
        let mut server = Self {
            directory,
            modules,
            child: None,
            component_port: free_port(),
            http_port: free_port(),
            client_port: free_port(),
            direct_port: free_port(),
        };
        super::certificate(server.directory.path());
        let config = server.config();
        std::fs::write(server.path("prosody.cfg.lua"), config).unwrap();
        std::fs::create_dir(server.path("data")).unwrap();
        server.resume().await;
        for user in ["bridge", "dora"] {
            server.register(user);
        }
        Some(server)
    }

    /// Makes an account. Its password is [`SECRET`].
    fn register(&self, user: &str) {
        let mut command = std::process::Command::new("prosodyctl");
        command.arg("--config").arg(self.path("prosody.cfg.lua"));
        let output = command.args(["register", user, "localhost", SECRET]).output().unwrap();
        assert!(output.status.success(), "{output:?}");
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn config(&self) -> String {
        let at = |name: &str| self.path(name).display().to_string();
        let as_root = std::fs::metadata("/proc/self").is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0);
        let user = if as_root { "run_as_root=true" } else { "" };
        let modules: String = self.modules.iter().map(|name| format!(",{name:?}")).collect();
        let own = env!("CARGO_MANIFEST_DIR");
        format!(
            r#"{user}
daemonize=false; data_path="{data}"; pidfile="{pid}"
interfaces={{"127.0.0.1"}}; c2s_ports={{{client}}}; c2s_direct_tls_ports={{{direct}}}; s2s_ports={{}}
plugin_paths={{"{own}/prosody","{own}/tests/common"}}
component_ports={{{component}}}; component_interfaces={{"127.0.0.1"}}
http_ports={{{http}}}; http_interfaces={{"127.0.0.1"}}; https_ports={{}}
authentication="internal_hashed"; storage="internal"
modules_enabled={{"disco","ping","posix","saslauth","tls","smacks","pep","roster","vcard4","vcard_legacy"}}; c2s_require_encryption=true
allow_unencrypted_plain_auth=false; gc={{mode="generational",minor_threshold=100,major_threshold=300}}
limits={{}}
log={{warn="{log}"}}
ssl={{key="{key}",certificate="{certificate}"}}
VirtualHost "localhost"
Component "conference.localhost" "muc"
  modules_enabled={{"muc_mam","muc_moderation","vcard_muc"{modules}}}; viaduct_component="bridge.localhost"
  muc_room_locking=false; muc_log_by_default=true
  component_admins_as_room_owners=true
  admins={{"admin@people.localhost"}}
Component "upload.localhost" "http_file_share"
  http_external_url="http://127.0.0.1:{http}/"; http_host="127.0.0.1"
Component "bridge.localhost"
  component_secret="{SECRET}"
Component "people.localhost"
  component_secret="{SECRET}"
Component "others.localhost"
  component_secret="{others}"
"#,
            data = at("data"),
            others = secret_of("others.localhost"),
            pid = at("pid"),
            log = at("log"),
            key = at("localhost.key"),
            certificate = at("localhost.crt"),
            client = self.client_port,
            direct = self.direct_port,
            component = self.component_port,
            http = self.http_port,
        )
    }

    /// Starts it again after [`Prosody::kill`].
    pub async fn resume(&mut self) {
        let child = Command::new("prosody")
            .arg("-F")
            .arg("--config")
            .arg(self.path("prosody.cfg.lua"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        self.child = Some(child);
        let limit = Instant::now() + Duration::from_secs(20);
        while TcpStream::connect(("127.0.0.1", self.component_port)).await.is_err() {
            assert!(Instant::now() < limit, "prosody did not start: {}", self.log());
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// Ends it as a power failure would.
    pub async fn kill(&mut self) {
        let mut child = self.child.take().unwrap();
        child.kill().await.unwrap();
        child.wait().await.unwrap();
    }

    /// The id of its process.
    pub fn process(&self) -> Option<u32> {
        self.child.as_ref().and_then(Child::id)
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.path("log")).unwrap_or_default()
    }
}
