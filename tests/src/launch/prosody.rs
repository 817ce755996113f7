//! Prosody, an XMPP server, with rooms, archive, moderation, uploads and a port for one component.

use std::net::SocketAddr;
use std::process::Command;

use anyhow::ensure;

use super::{Place, Process, XmppServer, free_port, is_root, listening, program};

/// A running Prosody. Its domains are those of [`XmppServer`].
#[derive(Debug)]
pub struct Prosody {
    process: Process,
    place: Place,
    ports: Ports,
}

#[derive(Debug, Clone, Copy)]
struct Ports {
    clients: u16,
    components: u16,
    http: u16,
}

impl Prosody {
    /// Starts one on free ports and waits until it is ready.
    ///
    /// # Errors
    ///
    /// [`super::Missing`], or why it did not start.
    pub async fn start() -> anyhow::Result<Self> {
        Self::start_at(free_port()?).await
    }

    /// Starts one with this port for clients.
    ///
    /// # Errors
    ///
    /// As [`Prosody::start`].
    pub async fn start_at(clients: u16) -> anyhow::Result<Self> {
        let ports = Ports {
            clients,
            components: free_port()?,
            http: free_port()?,
        };
        let place = Place::new("prosody")?;
        place.folder("data")?;
        place.write("prosody.cfg.lua", configuration(&place, ports))?;
        let process = spawn(&place)?;
        let mut server = Self { process, place, ports };
        server.ready().await?;
        Ok(server)
    }

    /// Where clients connect, without TLS.
    pub fn clients(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.ports.clients))
    }

    /// Where the component connects.
    pub fn components(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.ports.components))
    }

    /// Its process.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// Starts it again after its process ended.
    ///
    /// # Errors
    ///
    /// When it does not start.
    pub async fn start_again(&mut self) -> anyhow::Result<()> {
        self.process = spawn(&self.place)?;
        self.ready().await
    }

    /// Creates an account.
    ///
    /// # Errors
    ///
    /// When Prosody refuses.
    pub fn register(&self, user: &str, password: &str) -> anyhow::Result<()> {
        let output = Command::new(program("prosodyctl", "prosody")?)
            .arg("--config")
            .arg(self.place.file("prosody.cfg.lua"))
            .args(["register", user, XmppServer::DOMAIN, password])
            .output()?;
        ensure!(
            output.status.success(),
            "registering {user}: {}",
            String::from_utf8_lossy(&output.stdout)
        );
        Ok(())
    }

    async fn ready(&mut self) -> anyhow::Result<()> {
        for address in [self.clients(), self.components()] {
            listening(&mut self.process, address).await?;
        }
        Ok(())
    }
}

fn spawn(place: &Place) -> anyhow::Result<Process> {
    let mut command = Command::new(program("prosody", "prosody")?);
    command
        .arg("-F")
        .arg("--config")
        .arg(place.file("prosody.cfg.lua"))
        .current_dir(place.path());
    Process::start("prosody", command, &place.file("prosody.log"))
}

fn configuration(place: &Place, ports: Ports) -> String {
    let path = place.path().display();
    let Ports {
        clients,
        components,
        http,
    } = ports;
    let (domain, rooms, uploads) = (XmppServer::DOMAIN, XmppServer::ROOMS, XmppServer::UPLOADS);
    let (component, other, secret) = (XmppServer::COMPONENT, XmppServer::OTHER_COMPONENT, XmppServer::SECRET);
    let user = if is_root() { "run_as_root = true;" } else { "" };
    format!(
        r#"{user} daemonize = false; data_path = "{path}/data"; pidfile = "{path}/prosody.pid"
interfaces = {{ "127.0.0.1" }}; c2s_ports = {{ {clients} }}; s2s_ports = {{}}; component_ports = {{ {components} }}
component_interfaces = {{ "127.0.0.1" }}
http_ports = {{ {http} }}; http_interfaces = {{ "127.0.0.1" }}; https_ports = {{}}
c2s_require_encryption = false; allow_unencrypted_plain_auth = true; authentication = "internal_hashed"; storage = "internal"
modules_enabled = {{ "roster", "saslauth", "disco", "carbons", "pep", "blocklist", "vcard4", "ping", "mam", "smacks", "http", "posix" }}
modules_disabled = {{ "s2s", "tls", "admin_socket" }}
log = {{ {{ levels = {{ min = "info" }}, to = "console" }} }}
VirtualHost "{domain}"
Component "{rooms}" "muc"
  modules_enabled = {{ "muc_mam", "muc_moderation", "vcard_muc" }}; muc_room_locking = false; muc_log_by_default = true
  muc_room_default_persistent = true; muc_room_default_public = true
Component "{uploads}" "http_file_share"
  http_external_url = "http://127.0.0.1:{http}/"; http_host = "127.0.0.1"
Component "{component}"
  component_secret = "{secret}"
Component "{other}"
  component_secret = "{secret}"
"#
    )
}
