//! Servers that can speak faster than any real one, and count what they hear.
//!
//! [`LoadXmpp`] is one for XMPP, [`LoadSlack`] one for Slack, [`LoadTeams`] one for Teams. [`LoadIrcd`] admits any number of
//! connections, keeps channels, passes messages on between them and answers pings: what the hub's reader and puppets need.
//! Beyond that it speaks by itself, as nicks that have no connection ([`LoadIrcd::speak`]), and remembers per channel what the
//! hub's connections said ([`LoadIrcd::heard`]). A connection's output is bounded; a speaker waits while the hub reads slowly.
//!
//! What all can do is [`LoadServer`]. For another network, write another one: everything that is measured or broken between
//! a stub homeserver and a load server then works with it.

mod connection;
mod known;
mod output;
mod slack;
mod tally;
mod teams;
mod xmpp;

pub use slack::LoadSlack;
pub use tally::{Tally, tally};
pub use teams::LoadTeams;
pub use xmpp::LoadXmpp;

use std::collections::HashMap;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::Instant;

use serde_json::Value;

use crate::launch::irc_section;
use crate::stub_world::{nick, text};
use output::Output;

/// Nicks that speak in each channel under load.
pub const SPEAKERS: usize = 5;

/// A server of a network, as the load sees it.
pub trait LoadServer: Sized + std::fmt::Debug + Send + Sync {
    /// What the network is called in figures.
    const KIND: &'static str;

    /// Begins to listen on a free loopback port.
    ///
    /// # Errors
    ///
    /// When it cannot listen.
    fn start() -> impl Future<Output = anyhow::Result<Self>> + Send;

    /// Makes the channels of so many mirrors, where they have to be there before anybody enters them.
    fn prepare(&self, _mirrors: usize) {}

    /// The section for the hub's configuration; `puppets` says whether Matrix people appear as themselves.
    fn section(&self, puppets: bool) -> Value;

    /// A mirror's channel.
    fn channel(mirror: usize) -> String;

    /// How many of the hub's people are in a channel.
    fn members(&self, channel: &str) -> usize;

    /// How many connections there are.
    fn connections(&self) -> usize;

    /// Says something in a channel as somebody who is not the hub's; waits while the hub reads slowly. Says whether anybody
    /// was there.
    fn speak(&self, channel: &str, nick: &str, text: &str) -> impl Future<Output = bool> + Send;

    /// Says `messages` [numbered messages](text), spread over the channels of so many mirrors in turn, as fast as the hub
    /// takes them.
    ///
    /// # Errors
    ///
    /// When the hub does not take one.
    fn pour(&self, mirrors: usize, messages: usize) -> impl Future<Output = anyhow::Result<()>> + Send {
        async move {
            for message in 0..messages {
                let (mirror, number) = (message % mirrors, message / mirrors);
                let nick = nick(mirror, number % SPEAKERS);
                self.speak(&Self::channel(mirror), &nick, &text(number)).await;
            }
            Ok(())
        }
    }

    /// What the hub asked for that the network does not offer.
    fn violations(&self) -> Vec<String> {
        Vec::new()
    }

    /// What the hub said in a channel, in order.
    fn heard(&self, channel: &str) -> Vec<Heard>;

    /// How many messages the hub said in all channels.
    fn heard_in_all(&self) -> u64;

    /// Forgets what was heard.
    fn forget_heard(&self);
}

/// The server's name on its lines.
pub(crate) const NAME: &str = "load.test";

/// One message the hub said.
#[derive(Debug, Clone)]
pub struct Heard {
    /// The nick that said it.
    pub nick: String,
    /// What.
    pub text: String,
    /// When.
    pub at: Instant,
}

#[derive(Debug, Default)]
struct State {
    serial: u64,
    connections: HashMap<u64, Arc<Output>>,
    /// Nicks in use, in lower case.
    nicks: HashMap<String, u64>,
    /// Members by channel, in lower case.
    channels: HashMap<String, Vec<u64>>,
    heard: HashMap<String, Vec<Heard>>,
    heard_in_all: u64,
}

#[derive(Debug, Default)]
struct Shared(Mutex<State>);

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A load IRC server, working until dropped.
#[derive(Debug)]
pub struct LoadIrcd {
    shared: Arc<Shared>,
    address: SocketAddr,
    accepting: JoinHandle<()>,
}

impl LoadIrcd {
    /// Begins to listen at an address, such as that of one that was dropped.
    ///
    /// # Errors
    ///
    /// When it cannot listen.
    pub async fn start_at(address: SocketAddr) -> anyhow::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared::default());
        let accepting = tokio::spawn(accept(listener, Arc::clone(&shared)));
        Ok(Self {
            shared,
            address,
            accepting,
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Sends bytes as they are to everybody in a channel; waits while the hub reads slowly. Says whether anybody was there.
    pub async fn emit(&self, channel: &str, bytes: &[u8]) -> bool {
        let members = self.member_connections(channel);
        for member in &members {
            member.write_when_room(bytes).await;
        }
        !members.is_empty()
    }

    /// Breaks every connection.
    pub fn cut_all(&self) {
        for connection in self.shared.state().connections.values() {
            connection.cut();
        }
    }

    fn member_connections(&self, channel: &str) -> Vec<Arc<Output>> {
        let state = self.shared.state();
        let members = state.channels.get(&channel.to_ascii_lowercase());
        members
            .into_iter()
            .flatten()
            .filter_map(|id| state.connections.get(id))
            .cloned()
            .collect()
    }
}

impl LoadServer for LoadIrcd {
    const KIND: &'static str = "IRC";

    async fn start() -> anyhow::Result<Self> {
        Self::start_at(SocketAddr::from(([127, 0, 0, 1], 0))).await
    }

    fn section(&self, puppets: bool) -> Value {
        irc_section(self.address, puppets)
    }

    fn channel(mirror: usize) -> String {
        format!("#channel{mirror}")
    }

    fn members(&self, channel: &str) -> usize {
        self.shared
            .state()
            .channels
            .get(&channel.to_ascii_lowercase())
            .map_or(0, Vec::len)
    }

    fn connections(&self) -> usize {
        self.shared.state().connections.len()
    }

    async fn speak(&self, channel: &str, nick: &str, text: &str) -> bool {
        self.emit(
            channel,
            format!(":{nick}!{nick}@load.test PRIVMSG {channel} :{text}\r\n").as_bytes(),
        )
        .await
    }

    fn heard(&self, channel: &str) -> Vec<Heard> {
        self.shared
            .state()
            .heard
            .get(&channel.to_ascii_lowercase())
            .cloned()
            .unwrap_or_default()
    }

    fn heard_in_all(&self) -> u64 {
        self.shared.state().heard_in_all
    }

    fn forget_heard(&self) {
        let mut state = self.shared.state();
        state.heard.clear();
        state.heard_in_all = 0;
    }
}

impl Drop for LoadIrcd {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        connections.spawn(connection::serve(stream, Arc::clone(&shared)));
        while connections.try_join_next().is_some() {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::people::{HEARD, IrcPerson};
    use crate::wait::wait_until;

    #[tokio::test]
    async fn people_join_hear_and_are_heard() {
        let server = LoadIrcd::start().await.unwrap();
        let ann = IrcPerson::connect(server.address(), "ann").await.unwrap();
        let bob = IrcPerson::connect(server.address(), "bob").await.unwrap();
        ann.join("#c").await.unwrap();
        bob.join("#C").await.unwrap();
        assert_eq!(server.members("#c"), 2);

        ann.say("#c", "hello bob").await.unwrap();
        bob.hears("#c", "hello bob").await.unwrap();
        bob.say("ann", "in private").await.unwrap();
        ann.hears("ann", "in private").await.unwrap();
        assert!(server.speak("#c", "nobody", "out of nowhere").await);
        let line = ann.hears("#c", "out of nowhere").await.unwrap();
        assert_eq!(line.nick(), "nobody");
        assert_eq!(ann.count_of(|line| line.says("#c", "hello bob")), 0, "no echo");

        let heard = server.heard("#c");
        assert_eq!(heard.len(), 1);
        assert_eq!((heard[0].nick.as_str(), heard[0].text.as_str()), ("ann", "hello bob"));

        server.cut_all();
        wait_until("nobody left", HEARD, || server.members("#c") == 0)
            .await
            .unwrap();
        assert!(!server.speak("#c", "nobody", "anybody?").await);
    }

    #[tokio::test]
    async fn a_nick_is_given_once() {
        let server = LoadIrcd::start().await.unwrap();
        let first = IrcPerson::connect(server.address(), "ann").await.unwrap();
        let second = IrcPerson::connect(server.address(), "bob").await.unwrap();
        second.raw("NICK Ann").await.unwrap();
        second.expect("a refusal", |line| line.command == "433").await.unwrap();
        drop(first);
        wait_until("ann is gone", HEARD, || server.connections() == 1)
            .await
            .unwrap();
        second.raw("NICK Ann").await.unwrap();
        second
            .expect("the change", |line| line.command == "NICK" && line.text() == "Ann")
            .await
            .unwrap();
    }
}
