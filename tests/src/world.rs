//! A homeserver, an IRC server, if wanted an XMPP server, and a hub, joined by mirrors and ready to talk.

use anyhow::Context as _;
use serde_json::{Value, json};

use crate::launch::{Hub, HubSpec, Ngircd, Process, Synapse, Trace, XmppServer, assert_loopback_only};
use crate::organisation::Organisation;
use crate::people::{IrcPerson, MatrixPerson, PASSWORD, XmppPerson};

/// What the hub's own nicks begin with.
const HUB_NICK: &str = "viaduct";

/// Real Synapse, one real ngIRCd, perhaps a real XMPP server, and a hub between them.
///
/// The fields are dropped in this order: the hub goes first, as an operator would stop it.
#[derive(Debug)]
pub struct World {
    /// The hub.
    pub hub: Hub,
    /// The IRC server.
    pub irc: Ngircd,
    /// The XMPP server, where one was wanted.
    pub xmpp: Option<XmppServer>,
    /// The homeserver.
    pub synapse: Synapse,
}

impl World {
    /// Starts them without XMPP and with one mirror named `project`: the room `#project:localhost`, which the hub makes, and the
    /// channel `#project` of the network `irc`.
    ///
    /// # Errors
    ///
    /// [`crate::launch::Missing`], or why one of them did not start.
    pub async fn start() -> anyhow::Result<Self> {
        Self::start_with(|spec| spec.mirror("project", &made_room("project"), &[("irc", "#project")])).await
    }

    /// Starts them without XMPP; `complete` adds mirrors and whatever else to a hub that knows the network `irc`, with puppets.
    ///
    /// # Errors
    ///
    /// [`crate::launch::Missing`], or why one of them did not start.
    pub async fn start_with(complete: impl FnOnce(HubSpec) -> HubSpec) -> anyhow::Result<Self> {
        Self::start_at(Ports::default(), None, None, complete).await
    }

    /// Starts them around an XMPP server: the hub `complete` is given knows the networks `irc` and `xmpp`, both with
    /// puppets.
    ///
    /// # Errors
    ///
    /// As [`World::start_with`].
    pub async fn start_with_xmpp(
        server: XmppServer,
        complete: impl FnOnce(HubSpec) -> HubSpec,
    ) -> anyhow::Result<Self> {
        Self::start_at(Ports::default(), Some(server), None, complete).await
    }

    /// The same with a hub that is watched from its start on.
    ///
    /// # Errors
    ///
    /// As [`World::start_with`].
    pub async fn start_watched(
        trace: Trace,
        server: XmppServer,
        complete: impl FnOnce(HubSpec) -> HubSpec,
    ) -> anyhow::Result<Self> {
        Self::start_at(Ports::default(), Some(server), Some(trace), complete).await
    }

    /// Starts them on these ports, the hub watched where somebody watches.
    ///
    /// # Errors
    ///
    /// As [`World::start_with`].
    pub async fn start_at(
        ports: Ports,
        xmpp: Option<XmppServer>,
        trace: Option<Trace>,
        complete: impl FnOnce(HubSpec) -> HubSpec,
    ) -> anyhow::Result<Self> {
        // What is missing is told before anything is started.
        Hub::binary()?;
        Synapse::python()?;
        if xmpp.is_some() {
            XmppPerson::python()?;
        }
        let irc = match ports.irc {
            Some(port) => Ngircd::start_at(port).await?,
            None => Ngircd::start().await?,
        };
        let networks = |mut spec: HubSpec| {
            spec = spec.irc("irc", irc.address(), true);
            if let Some(server) = &xmpp {
                spec = spec.xmpp("xmpp", server.components());
            }
            complete(spec)
        };
        let Organisation { hub, synapse } =
            Organisation::start_watched(Synapse::DOMAIN, ports.homeserver, trace, networks).await?;
        Ok(Self {
            hub,
            irc,
            xmpp,
            synapse,
        })
    }

    /// Creates a Matrix person and logs them in.
    ///
    /// # Errors
    ///
    /// When the homeserver refuses.
    pub async fn matrix_person(&self, name: &str) -> anyhow::Result<MatrixPerson> {
        MatrixPerson::new(&self.synapse, name).await
    }

    /// Connects an IRC person, lets them into a channel, and waits until the hub is there too.
    ///
    /// # Errors
    ///
    /// When the server refuses, or the hub does not come.
    pub async fn irc_person(&self, nick: &str, channel: &str) -> anyhow::Result<IrcPerson> {
        let person = IrcPerson::connect(self.irc.address(), nick).await?;
        person.join(channel).await?;
        // Either the hub comes after them, or they find it there.
        person
            .expect("the hub in the channel", |line| match line.command.as_str() {
                "JOIN" => line.nick().starts_with(HUB_NICK) && line.param(0).eq_ignore_ascii_case(channel),
                "353" => line.param(2).eq_ignore_ascii_case(channel) && line.text().contains(HUB_NICK),
                _ => false,
            })
            .await?;
        Ok(person)
    }

    /// Creates an XMPP person, lets them into a room under their name, and waits until the hub is there too.
    ///
    /// # Errors
    ///
    /// When there is no XMPP server or it refuses, or the hub does not come.
    pub async fn xmpp_person(&self, name: &str, room: &str) -> anyhow::Result<XmppPerson> {
        let server = self.xmpp.as_ref().context("this world has no XMPP server")?;
        server.register(name, PASSWORD)?;
        let person = XmppPerson::login(server.clients(), name, PASSWORD).await?;
        person.join(room, name).await?;
        person.meets(room, HUB_NICK).await?;
        Ok(person)
    }

    /// Checks that nothing of it can be reached from another machine.
    ///
    /// # Errors
    ///
    /// Names what can.
    pub fn assert_loopback_only(&mut self) -> anyhow::Result<()> {
        let mut processes: Vec<&Process> = vec![self.irc.process(), self.synapse.process()];
        processes.extend(self.xmpp.as_mut().map(|server| &*server.process()));
        processes.extend(self.hub.process().map(|process| &*process));
        assert_loopback_only(&processes)
    }
}

/// Ports; none for a free one.
#[derive(Debug, Clone, Copy, Default)]
pub struct Ports {
    /// The homeserver's client API.
    pub homeserver: Option<u16>,
    /// The IRC server.
    pub irc: Option<u16>,
}

/// A room that the hub makes: public, with the alias `#name:localhost`.
pub fn made_room(name: &str) -> Value {
    made_room_at(Synapse::DOMAIN, name)
}

/// A room that the hub of this domain makes: public, with the alias `#name:domain`.
pub fn made_room_at(domain: &str, name: &str) -> Value {
    json!({ "alias": format!("#{name}:{domain}"), "name": name, "create": true, "public": true })
}
