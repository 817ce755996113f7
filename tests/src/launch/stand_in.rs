//! A stand-in as a program of its own, for the demonstration; and the door at which each stand-in takes commands.

use std::env;
use std::fs;
use std::process::Command;

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};

use super::{Missing, Place, Process, READY, http_client};
use crate::people::HEARD;
use crate::wait::wait_for;

/// A running program of a stand-in, ended when dropped.
#[derive(Debug)]
pub(super) struct StandIn {
    process: Process,
    about: Value,
    _place: Place,
}

impl StandIn {
    /// Starts the program that cargo built beside this one, on this loopback port; none for a free one.
    pub(super) async fn start(name: &str, port: Option<u16>) -> anyhow::Result<Self> {
        let binary = env::current_exe()?.with_file_name(name);
        if !binary.is_file() {
            return Err(Missing(format!("{name} is not built (cargo build -p viaduct-tests)")).into());
        }
        let place = Place::new("stand-in")?;
        let output = place.file("about.json");
        let mut command = Command::new(binary);
        command.args(["--port", &port.unwrap_or_default().to_string()]);
        let process = Process::start(name, command, &output)?;
        let told = wait_for(format!("what {name} tells about itself"), READY, || async {
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

    /// What it tells about itself.
    pub(super) fn about(&self) -> &Value {
        &self.about
    }

    /// A text of that.
    pub(super) fn told(&self, pointer: &str) -> &str {
        self.about.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
    }

    /// Its process.
    pub(super) fn process(&self) -> &Process {
        &self.process
    }

    /// Where it takes commands.
    pub(super) fn door(&self) -> anyhow::Result<Door> {
        Door::of(self.told("/url"))
    }
}

/// Where a stand-in takes commands: it makes no difference whether it is in this process or a program of its own.
#[derive(Debug, Clone)]
pub(crate) struct Door {
    http: reqwest::Client,
    url: String,
}

impl Door {
    /// That of the stand-in at `url`.
    pub(crate) fn of(url: &str) -> anyhow::Result<Self> {
        Ok(Self {
            http: http_client()?,
            url: format!("{url}/control"),
        })
    }

    /// Has a command carried out, and gives the answer.
    pub(crate) async fn act(&self, command: Value) -> anyhow::Result<Value> {
        let shown = command.to_string();
        let response = self.http.post(&self.url).json(&command).send().await?;
        let status = response.status();
        let answer = response.text().await?;
        ensure!(status.is_success(), "{shown}: {status} {answer}");
        serde_json::from_str(&answer).with_context(|| format!("{shown}: {answer}"))
    }

    /// The same, and gives one text of the answer.
    pub(crate) async fn ask(&self, command: Value, key: &str) -> anyhow::Result<String> {
        let answer = self.act(command).await?;
        let value = answer.get(key).and_then(Value::as_str);
        Ok(value
            .with_context(|| format!("there is no {key} in {answer}"))?
            .to_owned())
    }

    /// All messages of a channel, oldest first; answers in threads too.
    pub(crate) async fn history<M: From<Value>>(&self, channel: &str) -> anyhow::Result<Vec<M>> {
        Ok(self.messages(channel).await?.into_iter().map(M::from).collect())
    }

    /// Waits for a message like this in a channel, whether it is there or comes now.
    pub(crate) async fn expect<M: From<Value>>(
        &self,
        what: &str,
        channel: &str,
        like: impl Fn(&M) -> bool,
    ) -> anyhow::Result<M> {
        let like = &like;
        let found = wait_for(what, HEARD, || async move {
            self.history(channel).await.ok()?.into_iter().find(like)
        });
        match found.await {
            Ok(message) => Ok(message),
            Err(error) => {
                let history = self.messages(channel).await?;
                let last = history.iter().rev().take(15).rev().map(Value::to_string);
                let last: Vec<String> = last.collect();
                Err(error.context(format!("{channel} has only:\n  {}", last.join("\n  "))))
            }
        }
    }

    async fn messages(&self, channel: &str) -> anyhow::Result<Vec<Value>> {
        let mut history = self.act(json!({ "do": "history", "channel": channel })).await?;
        match history.get_mut("messages").map(Value::take) {
            Some(Value::Array(messages)) => Ok(messages),
            _ => anyhow::bail!("this is no history: {history}"),
        }
    }
}
