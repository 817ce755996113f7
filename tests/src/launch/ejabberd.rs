//! ejabberd, an XMPP server without occupant ids and moderation: good for seeing the fallbacks work.

use std::net::SocketAddr;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use serde_json::json;

use super::{Place, Process, free_port, is_root, listening, program};

/// A running ejabberd. Accounts are at `localhost`, rooms at `conference.localhost`.
#[derive(Debug)]
pub struct Ejabberd {
    process: Process,
    _place: Place,
    clients: u16,
    components: u16,
}

impl Ejabberd {
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
        let control = program("ejabberdctl", "ejabberd")?;
        let place = Place::new("ejabberd")?;
        let (clients, components, distribution) = (free_port()?, free_port()?, free_port()?);
        place.write("ejabberd.yml", configuration(clients, components).to_string())?;
        // Its own port for the Erlang distribution, on loopback, without the port mapper that would listen everywhere.
        place.write(
            "ejabberdctl.cfg",
            format!("INET_DIST_INTERFACE=127.0.0.1\nERL_DIST_PORT={distribution}\n"),
        )?;
        let (logs, spool) = (place.folder("logs")?, place.folder("spool")?);
        let mut command = Command::new("setpriv");
        if is_root() {
            command.args(["--reuid=ejabberd", "--regid=ejabberd", "--clear-groups"]);
        }
        command.arg("--").arg(control).arg("--config-dir").arg(place.path());
        command.arg("--logs").arg(logs).arg("--spool").arg(spool);
        command.args(["--node", &format!("viaduct{clients}@localhost"), "foreground"]);
        command
            .env("HOME", place.path())
            .current_dir(place.path())
            .process_group(0);
        let mut process = Process::start_group("ejabberd", command, &place.file("ejabberd.log"))?;
        for port in [clients, components] {
            listening(&mut process, SocketAddr::from(([127, 0, 0, 1], port))).await?;
        }
        Ok(Self {
            process,
            _place: place,
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
}

fn configuration(clients: u16, components: u16) -> serde_json::Value {
    json!({
        "hosts": ["localhost"],
        "loglevel": "warning",
        "listen": [
            { "port": clients, "ip": "127.0.0.1", "module": "ejabberd_c2s", "shaper": "none", "access": "all" },
            { "port": components, "ip": "127.0.0.1", "module": "ejabberd_service", "access": "all", "shaper": "none",
              "hosts": { Ejabberd::COMPONENT: { "password": Ejabberd::SECRET } } },
        ],
        "auth_method": "internal",
        "acl": { "local": { "user_regexp": "" } },
        "shaper_rules": {},
        "modules": {
            "mod_disco": {}, "mod_ping": {}, "mod_roster": {}, "mod_carboncopy": {},
            "mod_mam": { "default": "always" },
            "mod_muc": {
                "access": "all", "access_create": "all", "access_persistent": "all",
                "default_room_options": { "mam": true, "persistent": true },
            },
        },
    })
}
