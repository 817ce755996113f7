//! The hub under test, as a program.

use std::env;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde_json::{Map, Value, json};

use super::spec::{HubSpec, add_keys, configuration};
use super::{Missing, Place, Process, READY, Trace, answering, free_port, http_client};
use crate::wait::wait_for;

/// A hub: configured, and running between [`Hub::start`] and [`Hub::stop`] or [`Hub::kill`].
#[derive(Debug)]
pub struct Hub {
    process: Option<Process>,
    place: Place,
    binary: PathBuf,
    listen: SocketAddr,
    admin: SocketAddr,
    tokens: Tokens,
    trace: Option<Trace>,
}

/// What hubs are called by in the ledger they keep.
const ORIGIN: &str = "localhost/viaduct";

/// Tokens of one hub alone: those of another are refused.
#[derive(Debug)]
pub(super) struct Tokens {
    /// The application service's, which the hub shows the homeserver.
    pub application_service: String,
    /// The homeserver's, which it shows the hub.
    pub homeserver: String,
    /// The operator's.
    pub operator: String,
}

impl Tokens {
    fn of(domain: &str) -> Self {
        let token = |of: &str| format!("{of}-token-of-{domain}");
        Self {
            application_service: token("as"),
            homeserver: token("hs"),
            operator: token("admin"),
        }
    }
}

impl Hub {
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
        let tokens = Tokens::of(&spec.domain);
        let configured = configuration(spec, listen, admin, &tokens, &store);
        place.write("viaduct.yaml", Value::Object(configured).to_string())?;
        let hub = Self {
            process: None,
            place,
            binary,
            listen,
            admin,
            tokens,
            trace: None,
        };
        if spec.ledger {
            hub.keep_ledger()?;
        }
        Ok(hub)
    }

    /// Makes the keys of a ledger, and has the hub keep one beside its configuration.
    fn keep_ledger(&self) -> anyhow::Result<()> {
        let keys = self.place.file("keys");
        let made = self.command(&["audit", "key", &keys.to_string_lossy(), "--origin", ORIGIN])?;
        ensure!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let audit = json!({
            "folder": self.ledger(), "keys": self.place.file("ledger-keys"), "origin": ORIGIN,
            "key_file": keys.join("ledger_key"), "seal_key_file": keys.join("seal_key"),
        });
        self.configure(|configuration| add_keys(configuration, "audit", audit))
    }

    /// Where it keeps its ledger, if it keeps one.
    pub fn ledger(&self) -> PathBuf {
        self.place.file("ledger")
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

    /// Changes the configuration file; a running hub reads it when it is told to or starts again.
    ///
    /// # Errors
    ///
    /// When the file cannot be read or written.
    pub fn configure(&self, change: impl FnOnce(&mut Map<String, Value>)) -> anyhow::Result<()> {
        let path = self.configuration();
        let mut configuration: Map<String, Value> = serde_json::from_slice(&fs::read(&path)?)?;
        change(&mut configuration);
        Ok(fs::write(path, serde_json::to_vec(&configuration)?)?)
    }

    /// Has whatever runs from now on watched.
    pub fn watch(&mut self, trace: Trace) {
        self.trace = Some(trace);
    }

    /// Who watches it, if anybody does.
    pub fn trace(&self) -> Option<&Trace> {
        self.trace.as_ref()
    }

    /// What runs the program, and watches it where that is wanted.
    fn runs(&self) -> Command {
        match &self.trace {
            Some(trace) => trace.command(&self.binary),
            None => Command::new(&self.binary),
        }
    }

    /// What `viaduct doctor` prints, and whether all is well.
    ///
    /// # Errors
    ///
    /// When it cannot be started.
    pub fn doctor(&self) -> anyhow::Result<(bool, String)> {
        let output = self.command(&["doctor"])?;
        let told = [output.stdout, output.stderr].concat();
        Ok((output.status.success(), String::from_utf8_lossy(&told).into_owned()))
    }

    /// Runs another command of the program with this configuration.
    ///
    /// # Errors
    ///
    /// When it cannot be started.
    pub fn command(&self, arguments: &[&str]) -> anyhow::Result<Output> {
        let mut command = self.runs();
        command.args(arguments).arg("-c").arg(self.configuration());
        command
            .output()
            .with_context(|| format!("running {}", self.binary.display()))
    }

    /// The entries of its ledger that answer these options of `viaduct audit find`, oldest first.
    ///
    /// # Errors
    ///
    /// When the command fails.
    pub fn entries(&self, options: &[&str]) -> anyhow::Result<Vec<Value>> {
        let output = self.command(&[&["audit", "find", "--json", "--limit", "100000"], options].concat())?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let told = String::from_utf8(output.stdout)?;
        let lines = told.lines().filter(|line| !line.is_empty());
        lines.map(|line| Ok(serde_json::from_str(line)?)).collect()
    }

    /// Starts it, without waiting.
    ///
    /// # Errors
    ///
    /// When it cannot be started.
    pub fn launch(&mut self, environment: &[(&str, &str)]) -> anyhow::Result<()> {
        self.stop();
        let mut command = self.runs();
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
            let request = client.get(&url).bearer_auth(self.tokens.operator.as_str());
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
        &self.tokens.homeserver
    }

    /// The token the operator shows it.
    pub fn admin_token(&self) -> &str {
        &self.tokens.operator
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
