//! The Slack stand-in as a program of its own, for the demonstration.

use anyhow::Context as _;
use serde_json::json;

use super::stand_in::StandIn;
use super::{Process, READY};
use crate::wait::wait_for;

/// A running `viaduct-slack-stand-in`, ended when dropped.
#[derive(Debug)]
pub struct SlackProgram(StandIn);

impl SlackProgram {
    /// Starts the program that cargo built beside this one, on this loopback port; none for a free one.
    ///
    /// # Errors
    ///
    /// [`Missing`](super::Missing) when it is not built, or why it does not say that it is ready.
    pub async fn start(port: Option<u16>) -> anyhow::Result<Self> {
        StandIn::start("viaduct-slack-stand-in", port).await.map(Self)
    }

    /// The address that all others begin with.
    pub fn url(&self) -> &str {
        self.0.told("/url")
    }

    /// The address of the Web API.
    pub fn api_url(&self) -> &str {
        self.0.told("/api_url")
    }

    /// The app's token as a bot.
    pub fn bot_token(&self) -> &str {
        self.0.told("/app/bot_token")
    }

    /// The app's own token.
    pub fn app_token(&self) -> &str {
        self.0.told("/app/app_token")
    }

    /// The app's user.
    pub fn bot_user(&self) -> &str {
        self.0.told("/app/bot_user")
    }

    /// Its process.
    pub fn process(&self) -> &Process {
        self.0.process()
    }

    /// Waits until the app has a socket open.
    ///
    /// # Errors
    ///
    /// When none comes.
    pub async fn connected(&self) -> anyhow::Result<()> {
        let door = self.0.door()?;
        let waited = wait_for("the hub connected to Slack", READY, || async {
            let shown = door.act(json!({ "do": "show" })).await.ok()?;
            shown.get("sockets")?.as_u64().filter(|sockets| *sockets > 0)
        });
        waited.await.map(drop).context("the hub does not come to Slack")
    }
}
