//! Synapse, the Matrix homeserver, on `SQLite`.

use std::env;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, ensure};
use hmac::{Hmac, Mac as _};
use serde_json::{Value, json};
use sha1::Sha1;

use super::{Missing, Place, Process, answering, free_port, hex, http_client, project_root};

const SHARED_SECRET: &str = "registration-for-tests";
/// Any key will do: nobody federates with this server.
const SIGNING_KEY: &str = "ed25519 a_test AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8\n";

/// What a Synapse is started with.
#[derive(Debug, Clone, Default)]
pub struct SynapseSpec {
    /// The registration file of the application service, as YAML.
    pub registration: Option<String>,
    /// Its server name, or none for [`Synapse::DOMAIN`].
    pub domain: Option<String>,
    /// A port, or none for a free one.
    pub port: Option<u16>,
    /// The version of new rooms, or none for Synapse's default.
    pub room_version: Option<String>,
}

/// A running Synapse.
#[derive(Debug)]
pub struct Synapse {
    process: Process,
    place: Place,
    python: PathBuf,
    port: u16,
}

impl Synapse {
    /// Its server name, unless it is started with another.
    pub const DOMAIN: &'static str = "localhost";

    /// The Python that has Synapse: from `VIADUCT_SYNAPSE_PYTHON`, else the one `tests/run` installed.
    ///
    /// # Errors
    ///
    /// [`Missing`] when there is none.
    pub fn python() -> anyhow::Result<PathBuf> {
        let python = env::var_os("VIADUCT_SYNAPSE_PYTHON")
            .map_or_else(|| project_root().join(".run/synapse/bin/python"), PathBuf::from);
        if python.exists() {
            return Ok(python);
        }
        Err(Missing(format!(
            "Synapse is not installed ({} is not there; tests/run installs it)",
            python.display()
        ))
        .into())
    }

    /// Starts one and waits until it is ready.
    ///
    /// # Errors
    ///
    /// [`Missing`], or why it did not start.
    pub async fn start(spec: SynapseSpec) -> anyhow::Result<Self> {
        let python = Self::python()?;
        let place = Place::new("synapse")?;
        let port = spec.port.map_or_else(free_port, Ok)?;
        write_configuration(&place, &spec, port)?;
        let process = spawn(&python, &place)?;
        let mut synapse = Self {
            process,
            place,
            python,
            port,
        };
        synapse.ready().await?;
        Ok(synapse)
    }

    /// The base address of its client API.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Its process.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// Ends it; what it knows stays.
    pub fn stop(&mut self) {
        self.process.stop();
    }

    /// Starts it again after [`Synapse::stop`].
    ///
    /// # Errors
    ///
    /// When it does not start.
    pub async fn start_again(&mut self) -> anyhow::Result<()> {
        self.process = spawn(&self.python, &self.place)?;
        self.ready().await
    }

    /// Creates a user.
    ///
    /// # Errors
    ///
    /// When the homeserver refuses.
    pub async fn register(&self, user: &str, password: &str) -> anyhow::Result<()> {
        let client = http_client()?;
        let url = format!("{}/_synapse/admin/v1/register", self.url());
        let answer: Value = client.get(&url).send().await?.error_for_status()?.json().await?;
        let nonce = answer.get("nonce").and_then(Value::as_str).context("no nonce")?;
        let mut mac = Hmac::<Sha1>::new_from_slice(SHARED_SECRET.as_bytes())?;
        mac.update(format!("{nonce}\0{user}\0{password}\0notadmin").as_bytes());
        let digest = hex(mac.finalize().into_bytes());
        let body = json!({ "nonce": nonce, "username": user, "password": password, "admin": false, "mac": digest });
        let response = client.post(&url).json(&body).send().await?;
        ensure!(
            response.status().is_success(),
            "registering {user}: {}",
            response.text().await?
        );
        Ok(())
    }

    /// Turns a room's encryption on, in the name of whom this token belongs to.
    ///
    /// # Errors
    ///
    /// When the homeserver refuses.
    pub async fn encrypt(&self, token: &str, room: &str) -> anyhow::Result<()> {
        let url = format!("{}/_matrix/client/v3/rooms/{room}/state/m.room.encryption", self.url());
        let content = json!({ "algorithm": "m.megolm.v1.aes-sha2" });
        let request = http_client()?.put(url).bearer_auth(token).json(&content);
        request.send().await?.error_for_status()?;
        Ok(())
    }

    async fn ready(&mut self) -> anyhow::Result<()> {
        let health = format!("{}/health", self.url());
        answering(&mut self.process, &health).await
    }
}

fn spawn(python: &PathBuf, place: &Place) -> anyhow::Result<Process> {
    let mut command = Command::new(python);
    command
        .args(["-m", "synapse.app.homeserver", "-c"])
        .arg(place.file("homeserver.yaml"))
        .current_dir(place.path());
    Process::start("synapse", command, &place.file("synapse.log"))
}

/// Writes the configuration; JSON is YAML as well.
fn write_configuration(place: &Place, spec: &SynapseSpec, port: u16) -> anyhow::Result<()> {
    let registrations = match &spec.registration {
        Some(text) => vec![place.write("registration.yaml", text)?],
        None => Vec::new(),
    };
    let free = json!({ "per_second": 100_000, "burst_count": 100_000 });
    let mut config = json!({
        "server_name": spec.domain.as_deref().unwrap_or(Synapse::DOMAIN),
        "public_baseurl": format!("http://127.0.0.1:{port}/"),
        "signing_key_path": place.write("signing.key", SIGNING_KEY)?,
        "media_store_path": place.folder("media")?,
        "log_config": place.write("log.yaml", json!({
            "version": 1,
            "formatters": { "line": { "format": "%(asctime)s %(levelname)s %(name)s %(message)s" } },
            "handlers": { "out": { "class": "logging.StreamHandler", "formatter": "line" } },
            "root": { "level": "WARNING", "handlers": ["out"] },
        }).to_string())?,
        "pid_file": place.file("synapse.pid"),
        "report_stats": false,
        "trusted_key_servers": [],
        "registration_shared_secret": SHARED_SECRET,
        "macaroon_secret_key": "macaroon-for-tests",
        "form_secret": "form-for-tests",
        "database": { "name": "sqlite3", "args": { "database": place.file("homeserver.db") } },
        "listeners": [{
            "port": port, "type": "http", "tls": false, "bind_addresses": ["127.0.0.1"],
            "resources": [{ "names": ["client"] }],
        }],
        "app_service_config_files": registrations,
        "presence": { "enabled": false },
        "experimental_features": {
            "msc2409_to_device_messages_enabled": true,
            "msc3202_transaction_extensions": true,
        },
        "rc_message": free, "rc_registration": free, "rc_registration_token_validity": free, "rc_admin_redaction": free,
        "rc_login": { "address": free, "account": free, "failed_attempts": free },
        "rc_joins": { "local": free, "remote": free },
        "rc_joins_per_room": free,
        "rc_3pid_validation": free,
        "rc_invites": { "per_room": free, "per_user": free, "per_issuer": free },
        "rc_media_create": free,
        "rc_room_creation": free,
    });
    if let (Some(version), Some(config)) = (&spec.room_version, config.as_object_mut()) {
        config.insert("default_room_version".to_owned(), json!(version));
    }
    place.write("homeserver.yaml", config.to_string())?;
    Ok(())
}
