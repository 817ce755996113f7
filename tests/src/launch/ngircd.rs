//! ngIRCd: a small IRC server of the plain old kind.

use std::net::SocketAddr;
use std::process::Command;

use super::{Place, Process, free_port, listening, program};

/// A running ngIRCd.
#[derive(Debug)]
pub struct Ngircd {
    process: Process,
    place: Place,
    port: u16,
}

impl Ngircd {
    /// Starts one on a free port and waits until it is ready.
    ///
    /// # Errors
    ///
    /// [`super::Missing`], or why it did not start.
    pub async fn start() -> anyhow::Result<Self> {
        Self::start_at(free_port()?).await
    }

    /// Starts one on this port.
    ///
    /// # Errors
    ///
    /// As [`Ngircd::start`].
    pub async fn start_at(port: u16) -> anyhow::Result<Self> {
        let place = Place::new("ngircd")?;
        place.write("motd", "A server for tests.\n")?;
        place.write("ngircd.conf", configuration(&place, port))?;
        let process = spawn(&place)?;
        let mut server = Self { process, place, port };
        listening(&mut server.process, SocketAddr::from(([127, 0, 0, 1], port))).await?;
        Ok(server)
    }

    /// Where it listens, without TLS.
    pub fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.port))
    }

    /// Its process.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// Ends it; everybody is disconnected.
    pub fn stop(&mut self) {
        self.process.stop();
    }

    /// Starts it again after [`Ngircd::stop`].
    ///
    /// # Errors
    ///
    /// When it does not start.
    pub async fn start_again(&mut self) -> anyhow::Result<()> {
        self.process = spawn(&self.place)?;
        let address = self.address();
        listening(&mut self.process, address).await
    }
}

fn spawn(place: &Place) -> anyhow::Result<Process> {
    let mut command = Command::new(program("ngircd", "ngircd")?);
    command.args(["-n", "-f"]).arg(place.file("ngircd.conf"));
    Process::start("ngircd", command, &place.file("ngircd.log"))
}

fn configuration(place: &Place, port: u16) -> String {
    let motd = place.file("motd");
    format!(
        "[Global]\nName = irc.test.local\nInfo = Test\nListen = 127.0.0.1\nPorts = {port}\nMotdFile = {}\n\
         [Limits]\nMaxConnections = 0\nMaxConnectionsIP = 0\nMaxJoins = 0\nMaxNickLength = 30\nMaxPenaltyTime = 0\n\
         PingTimeout = 20\nPongTimeout = 20\n\
         [Options]\nDNS = no\nIdent = no\nPAM = no\nIncludeDir = {}\n",
        motd.display(),
        place.path().display()
    )
}
