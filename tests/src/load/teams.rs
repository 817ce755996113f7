//! A Teams that speaks as fast as the hub listens: the [stand-in](crate::teams) without limits, as a load server.

use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::ensure;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::known::Known;
use super::{Heard, LoadServer};
use crate::launch::{free_port, teams_endpoint, teams_section};
use crate::people::TeamsMessage;
use crate::stub_world::{nick, text};
use crate::teams::{Feed, Kind, Limits, TeamsStandIn, Violation};

/// How many activities may be on their way before a speaker waits.
const WINDOW: u64 = 512;
/// How often a waiting speaker looks.
const LOOK: Duration = Duration::from_millis(1);
/// How long a speaker waits at most: what the hub does not take then comes again by itself.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long it may take to find out whether the hub listens.
const KNOCK: Duration = Duration::from_millis(200);
/// How often the hub looks for what no activity told, in seconds: soon, where activities get lost.
const SWEEP: u64 = 2;

/// A tenant of Teams under load, working until dropped.
#[derive(Debug)]
pub struct LoadTeams {
    /// The tenant, for faults and whatever else people do there.
    pub teams: TeamsStandIn,
    /// Where the hub takes requests.
    endpoint: SocketAddr,
    known: Known,
}

impl LoadTeams {
    /// What Teams calls a mirror's channel; empty if it was not made.
    pub fn id(&self, channel: &str) -> String {
        self.known.channel(channel)
    }

    /// What the directory calls somebody, who is in the team from now on.
    pub fn person(&self, nick: &str) -> String {
        self.known.person(nick, || {
            let person = self.teams.add_user(nick);
            self.teams.join(self.teams.team(), &person);
            person
        })
    }

    /// Whether the hub takes requests: there is no connection that stays.
    fn is_open(&self) -> bool {
        TcpStream::connect_timeout(&self.endpoint, KNOCK).is_ok()
    }

    /// Activities that are on their way.
    fn awaited(&self) -> u64 {
        let counts = self.teams.counts(Feed::Activities);
        (counts.offered + counts.doubled).saturating_sub(counts.lost + counts.accepted + counts.given_up)
    }
}

impl LoadServer for LoadTeams {
    const KIND: &'static str = "Teams";

    async fn start() -> anyhow::Result<Self> {
        let teams = TeamsStandIn::start().await?;
        teams.set_limits(Limits::none());
        let endpoint = SocketAddr::from(([127, 0, 0, 1], free_port()?));
        teams.set_endpoint(Some(&teams_endpoint(endpoint)));
        Ok(Self {
            teams,
            endpoint,
            known: Known::default(),
        })
    }

    fn prepare(&self, mirrors: usize) {
        for mirror in 0..mirrors {
            let channel = self.teams.add_channel(&format!("channel{mirror}"), Kind::Standard);
            self.known.add_channel(Self::channel(mirror), channel);
        }
    }

    fn section(&self, _puppets: bool) -> Value {
        let mut section = teams_section(&self.teams.about(), self.endpoint, false);
        if let Some(section) = section.as_object_mut() {
            section.insert("sweep_seconds".to_owned(), json!(SWEEP));
        }
        section
    }

    fn channel(mirror: usize) -> String {
        format!("Acme/channel{mirror}")
    }

    fn members(&self, channel: &str) -> usize {
        usize::from(!self.id(channel).is_empty() && self.is_open())
    }

    fn connections(&self) -> usize {
        usize::from(self.is_open())
    }

    async fn speak(&self, channel: &str, nick: &str, text: &str) -> bool {
        let begun = Instant::now();
        while self.awaited() > WINDOW && begun.elapsed() < PATIENCE {
            sleep(LOOK).await;
        }
        self.teams.say(&self.id(channel), &self.person(nick), text) > 0
    }

    /// By one person, and past the history: the way in and nothing else.
    async fn pour(&self, mirrors: usize, messages: usize) -> anyhow::Result<()> {
        let channels: Vec<String> = (0..mirrors).map(|mirror| self.id(&Self::channel(mirror))).collect();
        let channels: Vec<&str> = channels.iter().map(String::as_str).collect();
        let person = self.person(&nick(0, 0));
        let numbered = move |number: u64| text(usize::try_from(number).unwrap_or_default() / mirrors);
        let flood = self.teams.flood_with(&channels, &person, messages as u64, numbered);
        let refused = flood.await?.refused;
        ensure!(refused == 0, "the hub refused {refused} activities");
        Ok(())
    }

    fn heard(&self, channel: &str) -> Vec<Heard> {
        let posted = self.teams.posted(&self.id(channel)).into_iter();
        let heard = posted.skip(self.known.forgotten(channel)).map(|message| {
            let message = TeamsMessage(message);
            Heard {
                nick: message.name(),
                text: message.text(),
                at: Instant::now(),
            }
        });
        heard.collect()
    }

    fn heard_in_all(&self) -> u64 {
        let channels = self.known.channels();
        channels.iter().map(|(name, _)| self.heard(name).len() as u64).sum()
    }

    fn forget_heard(&self) {
        for (name, id) in self.known.channels() {
            let heard = self.teams.posted(&id).len();
            self.known.forget(name, heard);
        }
    }

    fn violations(&self) -> Vec<String> {
        let shown = |violation: &Violation| format!("{}: {}", violation.operation, violation.what);
        self.teams.violations().iter().map(shown).collect()
    }
}
