//! The Slack stand-in as a program of its own, for the demonstration.

use std::env;
use std::fs;
use std::process::Command;

use anyhow::Context as _;
use serde_json::Value;

use super::{Missing, Place, Process, READY};
use crate::wait::wait_for;

/// A running `viaduct-slack-stand-in`, ended when dropped.
#[derive(Debug)]
pub struct SlackProgram {
    process: Process,
    about: Value,
    _place: Place,
}

impl SlackProgram {
    /// Starts the program that cargo built beside this one, on this loopback port; none for a free one.
    ///
    /// # Errors
    ///
    /// [`Missing`] when it is not built, or why it does not say that it is ready.
    pub async fn start(port: Option<u16>) -> anyhow::Result<Self> {
        let binary = env::current_exe()?.with_file_name("viaduct-slack-stand-in");
        if !binary.is_file() {
            return Err(Missing("the Slack stand-in is not built (cargo build -p viaduct-tests)".to_owned()).into());
        }
        let place = Place::new("slack")?;
        let output = place.file("slack.json");
        let mut command = Command::new(binary);
        command.args(["--port", &port.unwrap_or_default().to_string()]);
        let process = Process::start("viaduct-slack-stand-in", command, &output)?;
        let told = wait_for("the Slack stand-in's tokens", READY, || async {
            let told = fs::read_to_string(&output).ok()?;
            serde_json::from_str(told.lines().next()?).ok()
        });
        let about = process.explain(told.await)?;
        Ok(Self {
            process,
            about,
            _place: place,
        })
    }

    /// The address that all others begin with.
    pub fn url(&self) -> &str {
        self.told("/url")
    }

    /// The address of the Web API.
    pub fn api_url(&self) -> &str {
        self.told("/api_url")
    }

    /// The app's token as a bot.
    pub fn bot_token(&self) -> &str {
        self.told("/app/bot_token")
    }

    /// The app's own token.
    pub fn app_token(&self) -> &str {
        self.told("/app/app_token")
    }

    /// The app's user.
    pub fn bot_user(&self) -> &str {
        self.told("/app/bot_user")
    }

    /// Its process.
    pub fn process(&self) -> &Process {
        &self.process
    }

    /// Waits until the app has a socket open.
    ///
    /// # Errors
    ///
    /// When none comes.
    pub async fn connected(&self) -> anyhow::Result<()> {
        let (client, url) = (super::http_client()?, format!("{}/control", self.url()));
        let show = serde_json::json!({ "do": "show" });
        let waited = wait_for("the hub connected to Slack", READY, || {
            let request = client.post(&url).json(&show);
            async move {
                let shown: Value = request.send().await.ok()?.json().await.ok()?;
                shown.get("sockets")?.as_u64().filter(|sockets| *sockets > 0)
            }
        });
        waited.await.map(drop).context("the hub does not come to Slack")
    }

    fn told(&self, pointer: &str) -> &str {
        self.about.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
    }
}
