//! clamd, the virus scanner's daemon, with two signatures of our own and no downloaded database.

use std::net::SocketAddr;
use std::process::Command;

use super::{Place, Process, free_port, hex, listening, program};

/// A running clamd that knows one marker as malware.
#[derive(Debug)]
pub struct Clamd {
    process: Process,
    _place: Place,
    port: u16,
}

impl Clamd {
    /// A text that this clamd reports as malware. It harms nobody.
    pub const MARKER: &'static str = "VIADUCT-TEST-MALWARE-MARKER";

    /// Starts one on a free port and waits until it is ready.
    ///
    /// # Errors
    ///
    /// [`super::Missing`], or why it did not start.
    pub async fn start() -> anyhow::Result<Self> {
        let clamd = program("clamd", "clamav-daemon")?;
        let place = Place::new("clamd")?;
        let port = free_port()?;
        place.folder("db")?;
        let marker = hex(Self::MARKER);
        place.write("db/viaduct.ndb", format!("Viaduct.TestMarker:0:*:{marker}\n"))?;
        let configuration = format!(
            "DatabaseDirectory {}\nTCPSocket {port}\nTCPAddr 127.0.0.1\nForeground yes\nTemporaryDirectory {}\n\
             StreamMaxLength 50M\nOfficialDatabaseOnly no\n",
            place.file("db").display(),
            place.folder("tmp")?.display()
        );
        let mut command = Command::new(clamd);
        command.arg("-c").arg(place.write("clamd.conf", configuration)?);
        let mut process = Process::start("clamd", command, &place.file("clamd.log"))?;
        listening(&mut process, SocketAddr::from(([127, 0, 0, 1], port))).await?;
        Ok(Self {
            process,
            _place: place,
            port,
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.port))
    }

    /// Its process.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }
}
