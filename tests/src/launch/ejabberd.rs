//! ejabberd, an XMPP server that in its older versions has no occupant ids and no moderation: good for seeing the fallbacks
//! work.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use anyhow::ensure;
use serde_json::json;

use super::{Place, Process, XmppServer, free_port, is_root, listening, program};

/// A running ejabberd. Its domains are those of [`XmppServer`].
#[derive(Debug)]
pub struct Ejabberd {
    process: Process,
    place: Place,
    clients: u16,
    components: u16,
}

impl Ejabberd {
    /// Starts one on free ports and waits until it is ready.
    ///
    /// # Errors
    ///
    /// [`super::Missing`], or why it did not start.
    pub async fn start() -> anyhow::Result<Self> {
        let place = Place::new("ejabberd")?;
        let (clients, components, http, distribution) = (free_port()?, free_port()?, free_port()?, free_port()?);
        for folder in ["logs", "spool", "files"] {
            place.folder(folder)?;
        }
        let configuration = configuration(clients, components, http, &place.file("files"));
        place.write("ejabberd.yml", configuration.to_string())?;
        // Its own port for the Erlang distribution, on loopback, without the port mapper that would listen everywhere.
        place.write(
            "ejabberdctl.cfg",
            format!("INET_DIST_INTERFACE=127.0.0.1\nERL_DIST_PORT={distribution}\n"),
        )?;
        let process = spawn(&place, clients)?;
        let mut server = Self {
            process,
            place,
            clients,
            components,
        };
        server.ready().await?;
        Ok(server)
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

    /// Starts it again after its process ended.
    ///
    /// # Errors
    ///
    /// When it does not start.
    pub async fn start_again(&mut self) -> anyhow::Result<()> {
        self.process = spawn(&self.place, self.clients)?;
        self.ready().await
    }

    /// Creates an account.
    ///
    /// # Errors
    ///
    /// When ejabberd refuses.
    pub fn register(&self, user: &str, password: &str) -> anyhow::Result<()> {
        let mut command = control(&self.place, self.clients)?;
        let output = command
            .args(["register", user, XmppServer::DOMAIN, password])
            .output()?;
        ensure!(
            output.status.success(),
            "registering {user}: {} {}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
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

/// A command of its control program; it refuses to be root.
fn control(place: &Place, clients: u16) -> anyhow::Result<Command> {
    let control = program("ejabberdctl", "ejabberd")?;
    let mut command = Command::new("setpriv");
    if is_root() {
        command.args(["--reuid=ejabberd", "--regid=ejabberd", "--clear-groups"]);
    }
    command.arg("--").arg(control).arg("--config-dir").arg(place.path());
    command.arg("--logs").arg(place.file("logs"));
    command.arg("--spool").arg(place.file("spool"));
    command.args(["--node", &format!("viaduct{clients}@localhost")]);
    command.env("HOME", place.path()).current_dir(place.path());
    Ok(command)
}

fn spawn(place: &Place, clients: u16) -> anyhow::Result<Process> {
    let mut command = control(place, clients)?;
    command.arg("foreground");
    Process::start_group("ejabberd", command, &place.file("ejabberd.log"))
}

fn configuration(clients: u16, components: u16, http: u16, files: &Path) -> serde_json::Value {
    json!({
        "hosts": [XmppServer::DOMAIN],
        "loglevel": "warning",
        "listen": [
            { "port": clients, "ip": "127.0.0.1", "module": "ejabberd_c2s", "shaper": "none", "access": "all" },
            { "port": components, "ip": "127.0.0.1", "module": "ejabberd_service", "access": "all", "shaper": "none",
              "hosts": { XmppServer::COMPONENT: { "password": XmppServer::SECRET } } },
            { "port": http, "ip": "127.0.0.1", "module": "ejabberd_http",
              "request_handlers": { "/upload": "mod_http_upload" } },
        ],
        "auth_method": "internal",
        "acl": { "local": { "user_regexp": "" } },
        "shaper_rules": {},
        "modules": {
            "mod_disco": {}, "mod_ping": {}, "mod_roster": {}, "mod_carboncopy": {},
            "mod_mam": { "default": "always", "assume_mam_usage": true },
            "mod_muc": {
                "host": XmppServer::ROOMS, "access": "all", "access_create": "all", "access_persistent": "all",
                "access_mam": "all", "min_message_interval": 0, "min_presence_interval": 0, "max_user_conferences": 1000,
                "default_room_options": { "mam": true, "persistent": true },
            },
            "mod_http_upload": {
                "host": XmppServer::UPLOADS, "put_url": format!("http://127.0.0.1:{http}/upload"), "docroot": files,
                "access": "all",
            },
        },
    })
}
