//! The hub under test, as a program.

use std::env;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde_json::{Map, Value, json};

use super::{Missing, Place, Process, READY, XmppServer, answering, free_port, http_client};
use crate::wait::wait_for;

/// What a hub is configured with. The rest (tokens, ports, store) is chosen here.
#[derive(Debug, Clone)]
pub struct HubSpec {
    /// The homeserver's client API.
    pub homeserver: String,
    /// The homeserver's name.
    pub domain: String,
    /// The `networks:` section.
    pub networks: Map<String, Value>,
    /// The `mirrors:` section.
    pub mirrors: Vec<Value>,
    /// The `policies:` section; empty for none.
    pub policies: Map<String, Value>,
    /// Where to keep the store; none for a folder that vanishes with the hub.
    pub store: Option<PathBuf>,
    /// What to log: `warn`, `info` or `debug`.
    pub log_level: String,
    /// The port for the homeserver; none for a free one.
    pub listen: Option<u16>,
}

impl HubSpec {
    /// A hub without networks and mirrors.
    pub fn new(homeserver: &str, domain: &str) -> Self {
        Self {
            homeserver: homeserver.to_owned(),
            domain: domain.to_owned(),
            networks: Map::new(),
            mirrors: Vec::new(),
            policies: Map::new(),
            store: None,
            log_level: env::var("VIADUCT_LOG").unwrap_or_else(|_| "info".to_owned()),
            listen: None,
        }
    }

    /// Adds a network: the own organisation's, which needs no agreement, unless the section says otherwise.
    #[must_use]
    pub fn network(mut self, name: &str, mut section: Value) -> Self {
        if let Some(section) = section.as_object_mut() {
            section.entry("own").or_insert(Value::Bool(true));
        }
        self.networks.insert(name.to_owned(), section);
        self
    }

    /// Adds an IRC network at `server`, without TLS and without pacing: the servers are our own.
    #[must_use]
    pub fn irc(self, name: &str, server: SocketAddr, puppets: bool) -> Self {
        self.network(name, irc_section(server, puppets))
    }

    /// Adds an XMPP network whose server takes the hub's component at `components`, with puppets.
    #[must_use]
    pub fn xmpp(self, name: &str, components: SocketAddr) -> Self {
        self.network(name, xmpp_section(components))
    }

    /// Adds the Slack workspace at `api` with an app of these tokens, without pacing.
    #[must_use]
    pub fn slack(self, name: &str, api: &str, bot_token: &str, app_token: &str) -> Self {
        self.network(name, slack_section(api, bot_token, app_token, false))
    }

    /// Adds a mirror of `room` with channels, each `(network, channel)`, in both directions.
    #[must_use]
    pub fn mirror(mut self, name: &str, room: &Value, members: &[(&str, &str)]) -> Self {
        let members: Vec<Value> = members
            .iter()
            .map(|(network, channel)| json!({ "network": network, "channel": channel, "direction": "both" }))
            .collect();
        self.mirrors
            .push(json!({ "name": name, "room": room, "members": members }));
        self
    }
}

/// The section of an IRC network at `server`.
pub fn irc_section(server: SocketAddr, puppets: bool) -> Value {
    json!({
        "kind": "irc",
        "server": { "host": server.ip().to_string(), "port": server.port() },
        "tls": { "enabled": false },
        "connect": { "retry": 1, "retry_limit": 2 },
        "nick": "viaduct",
        "puppets": { "enabled": puppets, "max": 2000 },
        "pacing": "off",
    })
}

/// The section of an XMPP network: the component of an [`XmppServer`] that takes it at `components`.
pub fn xmpp_section(components: SocketAddr) -> Value {
    json!({
        "kind": "xmpp",
        "component": {
            "host": components.ip().to_string(), "port": components.port(), "domain": XmppServer::COMPONENT,
            "secret": XmppServer::SECRET,
        },
        "muc_services": [XmppServer::ROOMS],
        "upload_service": XmppServer::UPLOADS,
        "file_hosts": ["127.0.0.1"],
        "nick": "viaduct",
    })
}

/// The section of a Slack workspace at `api`; `paced` as Slack asks for, else as fast as it goes: the stand-in is our own.
pub fn slack_section(api: &str, bot_token: &str, app_token: &str, paced: bool) -> Value {
    let mut section = json!({ "kind": "slack", "base_url": api, "bot_token": bot_token, "app_token": app_token });
    if !paced && let Some(section) = section.as_object_mut() {
        let limits = json!({
            "posts_per_second": 1000.0, "tier_1": 100_000, "tier_2": 100_000, "tier_3": 100_000, "tier_4": 100_000,
            "history": 100_000,
        });
        section.insert("limits".to_owned(), limits);
    }
    section
}

/// A hub: configured, and running between [`Hub::start`] and [`Hub::stop`] or [`Hub::kill`].
#[derive(Debug)]
pub struct Hub {
    process: Option<Process>,
    place: Place,
    binary: PathBuf,
    listen: SocketAddr,
    admin: SocketAddr,
    hs_token: String,
}

impl Hub {
    /// The application service token that [`Hub`]s use.
    pub const AS_TOKEN: &'static str = "as-token-for-tests";
    /// The operator's token that [`Hub`]s use.
    pub const ADMIN_TOKEN: &'static str = "admin-token-for-tests";
    /// The homeserver token that [`Hub`]s use.
    pub const HS_TOKEN: &'static str = "hs-token-for-tests";

    /// The program: from `VIADUCT_BIN`, else what cargo built last beside this program.
    ///
    /// # Errors
    ///
    /// [`Missing`] when it is not built.
    pub fn binary() -> anyhow::Result<PathBuf> {
        if let Some(path) = env::var_os("VIADUCT_BIN") {
            return Ok(PathBuf::from(path));
        }
        let me = env::current_exe()?;
        // target/PROFILE/deps/NAME for tests, target/PROFILE/NAME for programs.
        me.ancestors()
            .skip(1)
            .take(2)
            .map(|folder| folder.join("viaduct"))
            .find(|candidate| candidate.is_file())
            .ok_or_else(|| {
                Missing("the hub is not built (cargo build -p viaduct-cli --features faults)".to_owned()).into()
            })
    }

    /// Writes the configuration of a hub; nothing runs yet.
    ///
    /// # Errors
    ///
    /// [`Missing`] when the program is not built; or when files cannot be written.
    pub fn prepare(spec: &HubSpec) -> anyhow::Result<Self> {
        let binary = Self::binary()?;
        let place = Place::new("hub")?;
        let loopback = |port: u16| SocketAddr::from(([127, 0, 0, 1], port));
        let listen = loopback(spec.listen.map_or_else(free_port, Ok)?);
        let admin = loopback(free_port()?);
        let store = spec.store.clone().unwrap_or_else(|| place.file("store"));
        place.write("viaduct.yaml", configuration(spec, listen, admin, &store).to_string())?;
        Ok(Self {
            process: None,
            place,
            binary,
            listen,
            admin,
            hs_token: Self::HS_TOKEN.to_owned(),
        })
    }

    /// What `viaduct registration` prints: the registration file for the homeserver.
    ///
    /// # Errors
    ///
    /// When the command fails.
    pub fn registration(&self) -> anyhow::Result<String> {
        let output = self.command(&["registration"])?;
        ensure!(
            output.status.success(),
            "viaduct registration: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(String::from_utf8(output.stdout)?)
    }

    /// Runs another command of the program with this configuration.
    ///
    /// # Errors
    ///
    /// When it cannot be started.
    pub fn command(&self, arguments: &[&str]) -> anyhow::Result<Output> {
        let mut command = Command::new(&self.binary);
        command.args(arguments).arg("-c").arg(self.configuration());
        command
            .output()
            .with_context(|| format!("running {}", self.binary.display()))
    }

    /// Starts it, without waiting.
    ///
    /// # Errors
    ///
    /// When it cannot be started.
    pub fn launch(&mut self, environment: &[(&str, &str)]) -> anyhow::Result<()> {
        self.stop();
        let mut command = Command::new(&self.binary);
        command
            .args(["run", "-c"])
            .arg(self.configuration())
            .current_dir(self.place.path());
        command.envs(environment.iter().copied());
        self.process = Some(Process::start("viaduct", command, &self.place.file("viaduct.log"))?);
        Ok(())
    }

    /// Starts it and waits until it is [ready](Hub::ready).
    ///
    /// # Errors
    ///
    /// When it ends or is not ready in time; with the end of its log.
    pub async fn start(&mut self) -> anyhow::Result<()> {
        self.launch(&[])?;
        self.ready().await
    }

    /// Waits until it says it is ready, and every mirror has its room.
    ///
    /// # Errors
    ///
    /// When it ends or is not ready in time; with the end of its log.
    pub async fn ready(&mut self) -> anyhow::Result<()> {
        let admin = self.admin_url();
        let process = self.process.as_mut().context("the hub was not started")?;
        answering(process, &format!("{admin}/readyz")).await?;
        self.waits_until("a room for every mirror", |mirror| {
            mirror.get("room").is_some_and(Value::is_string)
        })
        .await
    }

    /// Waits until its own account of every mirror is like this.
    async fn waits_until(&mut self, what: &str, like: impl Fn(&Value) -> bool) -> anyhow::Result<()> {
        let url = format!("{}/api/v1/status", self.admin_url());
        let process = self.process.as_mut().context("the hub was not started")?;
        let client = http_client()?;
        let like = &like;
        let waited = wait_for(what, READY, || {
            let request = client.get(&url).bearer_auth(Self::ADMIN_TOKEN);
            async move {
                let status: Value = request.send().await.ok()?.json().await.ok()?;
                status.get("mirrors")?.as_array()?.iter().all(like).then_some(())
            }
        });
        process.explain(waited.await)
    }

    /// Asks it to end (SIGTERM), and waits for it. Says whether it went by itself, or was not running.
    pub fn stop(&mut self) -> bool {
        self.process.take().is_none_or(|mut process| process.stop())
    }

    /// Ends it at once (SIGKILL).
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill();
        }
    }

    /// Its process while it runs.
    pub fn process(&mut self) -> Option<&mut Process> {
        self.process.as_mut()
    }

    /// Waits until it has ended by itself; used where a fault makes it end.
    pub fn ended_within(&mut self, bound: Duration) -> bool {
        let ended = self.process.as_ref().is_none_or(|process| process.ended_within(bound));
        if ended {
            self.kill();
        }
        ended
    }

    /// Where the homeserver reaches it.
    pub fn url(&self) -> String {
        format!("http://{}", self.listen)
    }

    /// Where the operator reaches it.
    pub fn admin_url(&self) -> String {
        format!("http://{}", self.admin)
    }

    /// The token the homeserver shows it.
    pub fn hs_token(&self) -> &str {
        &self.hs_token
    }

    /// Its configuration file.
    pub fn configuration(&self) -> PathBuf {
        self.place.file("viaduct.yaml")
    }

    /// Everything it has printed since it was configured.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(self.place.file("viaduct.log")).unwrap_or_default()).into_owned()
    }

    /// The program.
    pub fn program(&self) -> &Path {
        &self.binary
    }
}

fn configuration(spec: &HubSpec, listen: SocketAddr, admin: SocketAddr, store: &Path) -> Value {
    let mut config = json!({
        "homeserver": { "url": spec.homeserver, "domain": spec.domain },
        "appservice": {
            "id": "viaduct",
            "listen": listen.to_string(),
            "url": format!("http://{listen}"),
            "public_url": format!("http://{listen}"),
            "bot": "viaduct",
            "ghost_prefix": "_via_",
            "as_token": Hub::AS_TOKEN,
            "hs_token": Hub::HS_TOKEN,
        },
        "store": { "path": store },
        "admin": { "listen": admin.to_string(), "token": Hub::ADMIN_TOKEN },
        "logging": { "format": "text", "level": spec.log_level },
        "networks": spec.networks,
        "mirrors": spec.mirrors,
    });
    if let (false, Some(config)) = (spec.policies.is_empty(), config.as_object_mut()) {
        config.insert("policies".to_owned(), Value::Object(spec.policies.clone()));
    }
    config
}
