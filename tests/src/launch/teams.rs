//! The Teams stand-in as a program of its own, for the demonstration.

use std::net::SocketAddr;

use anyhow::Context as _;
use serde_json::{Value, json};
use tokio::net::TcpStream;

use super::stand_in::StandIn;
use super::{Process, READY, free_port, teams_endpoint};
use crate::wait::wait_for;

/// A running `viaduct-teams-stand-in`, ended when dropped.
#[derive(Debug)]
pub struct TeamsProgram {
    program: StandIn,
    endpoint: SocketAddr,
}

impl TeamsProgram {
    /// Starts the program that cargo built beside this one, on this loopback port; none for a free one. Its bot takes
    /// requests at a free port, [`TeamsProgram::endpoint`].
    ///
    /// # Errors
    ///
    /// [`Missing`](super::Missing) when it is not built, or why it does not say that it is ready.
    pub async fn start(port: Option<u16>) -> anyhow::Result<Self> {
        let program = StandIn::start("viaduct-teams-stand-in", port).await?;
        let endpoint = SocketAddr::from(([127, 0, 0, 1], free_port()?));
        let command = json!({ "do": "endpoint", "url": teams_endpoint(endpoint) });
        program.door()?.act(command).await?;
        Ok(Self { program, endpoint })
    }

    /// The address that all others begin with.
    pub fn url(&self) -> &str {
        self.program.told("/url")
    }

    /// Its addresses and the app.
    pub fn about(&self) -> &Value {
        self.program.about()
    }

    /// Where the app's bot is to take requests.
    pub fn endpoint(&self) -> SocketAddr {
        self.endpoint
    }

    /// Its process.
    pub fn process(&self) -> &Process {
        self.program.process()
    }

    /// Waits until the hub takes requests.
    ///
    /// # Errors
    ///
    /// When it does not.
    pub async fn connected(&self) -> anyhow::Result<()> {
        let waited = wait_for("the hub taking requests of Teams'", READY, || async {
            TcpStream::connect(self.endpoint).await.ok()
        });
        waited.await.map(drop).context("the hub does not come to Teams")
    }
}
