//! Prosody, an XMPP server, with rooms, archive, uploads and a port for one component.

use std::net::SocketAddr;
use std::process::Command;

use anyhow::ensure;

use super::{Place, Process, free_port, listening, program};

/// A running Prosody. Accounts are at `localhost`, rooms at `conference.localhost`.
#[derive(Debug)]
pub struct Prosody {
    process: Process,
    place: Place,
    clients: u16,
    components: u16,
}

impl Prosody {
    /// The domain of the component it admits.
    pub const COMPONENT: &'static str = "viaduct.localhost";
    /// The component's secret.
    pub const SECRET: &'static str = "component-for-tests";

    /// Starts one on free ports and waits until it is ready.
    ///
    /// # Errors
    ///
    /// [`super::Missing`], or why it did not start.
    pub async fn start() -> anyhow::Result<Self> {
        let prosody = program("prosody", "prosody")?;
        let place = Place::new("prosody")?;
        place.folder("data")?;
        let (clients, components, http) = (free_port()?, free_port()?, free_port()?);
        let configuration = place.write("prosody.cfg.lua", configuration(&place, clients, components, http))?;
        let mut command = Command::new(prosody);
        command
            .arg("-F")
            .arg("--config")
            .arg(configuration)
            .current_dir(place.path());
        let mut process = Process::start("prosody", command, &place.file("prosody.log"))?;
        for port in [clients, components] {
            listening(&mut process, SocketAddr::from(([127, 0, 0, 1], port))).await?;
        }
        Ok(Self {
            process,
            place,
            clients,
            components,
        })
    }

    /// Where clients connect, without TLS.
    pub fn clients(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.clients))
    }

    /// Where the component connects.
    pub fn components(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.components))
    }

    /// Its process.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// Creates an account at `localhost`.
    ///
    /// # Errors
    ///
    /// When Prosody refuses.
    pub fn register(&self, user: &str, password: &str) -> anyhow::Result<()> {
        let output = Command::new(program("prosodyctl", "prosody")?)
            .arg("--config")
            .arg(self.place.file("prosody.cfg.lua"))
            .args(["register", user, "localhost", password])
            .output()?;
        ensure!(
            output.status.success(),
            "registering {user}: {}",
            String::from_utf8_lossy(&output.stdout)
        );
        Ok(())
    }
}

fn configuration(place: &Place, clients: u16, components: u16, http: u16) -> String {
    let path = place.path().display();
    let (component, secret) = (Prosody::COMPONENT, Prosody::SECRET);
    format!(
        r#"run_as_root = true; daemonize = false; data_path = "{path}/data"; pidfile = "{path}/prosody.pid"
interfaces = {{ "127.0.0.1" }}; c2s_ports = {{ {clients} }}; s2s_ports = {{}}; component_ports = {{ {components} }}
component_interfaces = {{ "127.0.0.1" }}
http_ports = {{ {http} }}; http_interfaces = {{ "127.0.0.1" }}; https_ports = {{}}
c2s_require_encryption = false; allow_unencrypted_plain_auth = true; authentication = "internal_hashed"; storage = "internal"
modules_enabled = {{ "roster", "saslauth", "disco", "carbons", "pep", "blocklist", "vcard4", "ping", "mam", "smacks", "http", "posix" }}
modules_disabled = {{ "s2s", "tls", "admin_socket" }}
log = {{ {{ levels = {{ min = "info" }}, to = "console" }} }}
VirtualHost "localhost"
Component "conference.localhost" "muc"
  modules_enabled = {{ "muc_mam", "muc_moderation", "vcard_muc" }}; muc_room_locking = false; muc_log_by_default = true
Component "upload.localhost" "http_file_share"
  http_external_url = "http://127.0.0.1:{http}/"; http_host = "127.0.0.1"
Component "{component}"
  component_secret = "{secret}"
"#
    )
}
