//! An XMPP server, whichever it is: accounts, rooms with an archive, uploads, and a port for one component.

use std::net::SocketAddr;

use super::{Ejabberd, Process, Prosody};

/// A running XMPP server.
#[derive(Debug)]
pub enum XmppServer {
    /// Prosody.
    Prosody(Prosody),
    /// ejabberd.
    Ejabberd(Ejabberd),
}

impl XmppServer {
    /// Where the accounts are.
    pub const DOMAIN: &'static str = "localhost";
    /// Where the rooms are.
    pub const ROOMS: &'static str = "conference.localhost";
    /// Where files are uploaded.
    pub const UPLOADS: &'static str = "upload.localhost";
    /// The domain of the component it admits.
    pub const COMPONENT: &'static str = "viaduct.localhost";
    /// The domain of a component of somebody else's; Prosody alone admits it.
    pub const OTHER_COMPONENT: &'static str = "other.localhost";
    /// The secret of each component.
    pub const SECRET: &'static str = "component-for-tests";

    /// The address of a room.
    pub fn room(name: &str) -> String {
        format!("{name}@{}", Self::ROOMS)
    }

    /// Where clients connect, without TLS.
    pub fn clients(&self) -> SocketAddr {
        match self {
            Self::Prosody(server) => server.clients(),
            Self::Ejabberd(server) => server.clients(),
        }
    }

    /// Where the component connects.
    pub fn components(&self) -> SocketAddr {
        match self {
            Self::Prosody(server) => server.components(),
            Self::Ejabberd(server) => server.components(),
        }
    }

    /// Its process.
    pub fn process(&mut self) -> &mut Process {
        match self {
            Self::Prosody(server) => server.process(),
            Self::Ejabberd(server) => server.process(),
        }
    }

    /// Creates an account.
    ///
    /// # Errors
    ///
    /// When the server refuses.
    pub fn register(&self, user: &str, password: &str) -> anyhow::Result<()> {
        match self {
            Self::Prosody(server) => server.register(user, password),
            Self::Ejabberd(server) => server.register(user, password),
        }
    }

    /// Asks it to end.
    pub fn stop(&mut self) {
        self.process().stop();
    }

    /// Ends it at once, as a power cut of the process would.
    pub fn kill(&mut self) {
        self.process().kill();
    }

    /// Starts it again after [`XmppServer::stop`] or [`XmppServer::kill`], with what it had on its disk.
    ///
    /// # Errors
    ///
    /// When it does not start.
    pub async fn start_again(&mut self) -> anyhow::Result<()> {
        match self {
            Self::Prosody(server) => server.start_again().await,
            Self::Ejabberd(server) => server.start_again().await,
        }
    }
}
