//! A hub between a stub homeserver and a load server: for what real servers are too slow or too well-behaved for.

use std::ops::Range;
use std::time::Duration;

use anyhow::ensure;
use serde_json::{Map, Value, json};

use crate::launch::{Hub, HubSpec, project_root};
use crate::load::{LoadIrcd, LoadServer, LoadSlack, LoadTeams, LoadXmpp, Tally, tally};
use crate::stub::{Pusher, StubHomeserver};
use crate::wait::wait_until;

/// The network's name in the hub's configuration.
pub const NETWORK: &str = "load";
/// How long the hub may take until it is in all channels.
const CONNECTED: Duration = Duration::from_secs(30);
/// How long a transaction may wait for its acknowledgement, over restarts of the hub.
pub const ACKNOWLEDGED: Duration = Duration::from_mins(1);
/// How long a backlog may take: the hub tries again after growing pauses.
pub const BACKLOG: Duration = Duration::from_mins(2);
/// How many people speak in each channel.
const SPEAKERS: usize = 3;
/// How many events are in one transaction at most.
const TRANSACTION: usize = 100;

/// How a [`StubWorld`] is arranged.
#[derive(Debug, Clone)]
pub struct StubSpec {
    /// How many mirrors, each of a room and a channel.
    pub mirrors: usize,
    /// Whether Matrix people appear as themselves.
    pub puppets: bool,
    /// Where the store is; none for a folder that vanishes.
    pub store: Option<std::path::PathBuf>,
    /// What to log; none for the default.
    pub log_level: Option<String>,
    /// Whether the policies that come with the configuration filter both ways and a ledger is kept.
    pub governed: bool,
    /// Further keys of the network's section.
    pub section: Map<String, Value>,
}

impl Default for StubSpec {
    fn default() -> Self {
        Self {
            mirrors: 1,
            puppets: true,
            store: None,
            log_level: None,
            governed: false,
            section: Map::new(),
        }
    }
}

/// One policy with all rules of those that come with the configuration, but for the one that names people.
fn everything() -> anyhow::Result<Value> {
    let folder = project_root().join("config/policies");
    let mut policy = Map::new();
    let mut rules = Vec::new();
    for name in ["files", "labels", "personal-data", "secrets"] {
        let text = std::fs::read_to_string(folder.join(format!("{name}.yaml")))?;
        let mut part: Map<String, Value> = serde_norway::from_str(&text)?;
        if let Some(Value::Array(more)) = part.remove("rules") {
            rules.extend(more);
        }
        policy.extend(part);
    }
    policy.insert("rules".to_owned(), rules.into());
    Ok(policy.into())
}

/// A [`LoadWorld`] with an IRC server.
pub type StubWorld = LoadWorld<LoadIrcd>;
/// A [`LoadWorld`] with an XMPP server.
pub type XmppStubWorld = LoadWorld<LoadXmpp>;
/// A [`LoadWorld`] with a Slack workspace.
pub type SlackStubWorld = LoadWorld<LoadSlack>;
/// A [`LoadWorld`] with a Teams tenant.
pub type TeamsStubWorld = LoadWorld<LoadTeams>;

/// A hub with a stub homeserver and a load server.
#[derive(Debug)]
pub struct LoadWorld<N> {
    /// The hub.
    pub hub: Hub,
    /// The homeserver's side.
    pub stub: StubHomeserver,
    /// The network's side.
    pub server: N,
    /// Hands the hub transactions.
    pub pusher: Pusher,
    mirrors: usize,
}

impl<N: LoadServer> LoadWorld<N> {
    /// Starts everything, and waits until the hub is in every channel.
    ///
    /// # Errors
    ///
    /// [`crate::launch::Missing`], or why the hub did not get there.
    pub async fn start(arrangement: StubSpec) -> anyhow::Result<Self> {
        let mut world = Self::prepare(arrangement).await?;
        world.hub.start().await?;
        world.connected().await?;
        Ok(world)
    }

    /// Starts everything but the hub.
    ///
    /// # Errors
    ///
    /// [`crate::launch::Missing`], or why something did not start.
    pub async fn prepare(arrangement: StubSpec) -> anyhow::Result<Self> {
        let stub = StubHomeserver::start("viaduct").await?;
        let server = N::start().await?;
        server.prepare(arrangement.mirrors);
        let mut spec = HubSpec::new(&stub.url(), StubHomeserver::DOMAIN);
        spec.store = arrangement.store;
        if let Some(level) = arrangement.log_level {
            spec.log_level = level;
        }
        let (mut section, mut more) = (server.section(arrangement.puppets), arrangement.section);
        spec.ledger = arrangement.governed;
        if arrangement.governed {
            spec.policies.insert("everything".to_owned(), everything()?);
            more.insert("policy".to_owned(), json!({ "in": "everything", "out": "everything" }));
        }
        if let Some(section) = section.as_object_mut() {
            section.append(&mut more);
        }
        spec = spec.network(NETWORK, section);
        for mirror in 0..arrangement.mirrors {
            spec = spec.mirror(
                &format!("m{mirror}"),
                &json!(room(mirror)),
                &[(NETWORK, &N::channel(mirror))],
            );
        }
        let hub = Hub::prepare(&spec)?;
        stub.set_hub(&hub.url(), hub.hs_token());
        let pusher = Pusher::new(&hub.url(), hub.hs_token())?;
        Ok(Self {
            hub,
            stub,
            server,
            pusher,
            mirrors: arrangement.mirrors,
        })
    }

    /// Waits until the hub is in every channel.
    ///
    /// # Errors
    ///
    /// When it does not get there; with the end of its log.
    pub async fn connected(&mut self) -> anyhow::Result<()> {
        let (server, mirrors) = (&self.server, self.mirrors);
        let all_there = || (0..mirrors).all(|mirror| server.members(&N::channel(mirror)) > 0);
        let waited = wait_until("the hub in all channels", CONNECTED, all_there).await;
        match self.hub.process() {
            Some(process) => process.explain(waited),
            None => waited,
        }
    }

    /// Waits until the server has noticed that the hub is gone.
    ///
    /// # Errors
    ///
    /// When it does not notice.
    pub async fn disconnected(&self) -> anyhow::Result<()> {
        wait_until("the hub off the server", CONNECTED, || self.server.connections() == 0).await
    }

    /// Says the messages of a range in a mirror's channel.
    pub async fn speak(&self, mirror: usize, numbers: Range<usize>) {
        for number in numbers {
            let nick = nick(mirror, number % SPEAKERS);
            self.server.speak(&N::channel(mirror), &nick, &text(number)).await;
        }
    }

    /// Hands over the messages of a range from a mirror's room.
    ///
    /// # Errors
    ///
    /// When the hub does not acknowledge them.
    pub async fn push(&mut self, mirror: usize, numbers: Range<usize>) -> anyhow::Result<()> {
        let events: Vec<String> = numbers.map(|number| matrix_message(mirror, number)).collect();
        for events in events.chunks(TRANSACTION) {
            self.pusher.push(events, ACKNOWLEDGED).await?;
        }
        Ok(())
    }

    /// Waits until a message is in a mirror's room.
    ///
    /// # Errors
    ///
    /// When it does not come.
    pub async fn in_room(&self, mirror: usize, wanted: usize) -> anyhow::Result<()> {
        let there = || self.arrivals_in_room(mirror).contains(&wanted);
        wait_until(format!("message {wanted} on Matrix"), BACKLOG, there).await
    }

    /// Waits until a message is in a mirror's channel.
    ///
    /// # Errors
    ///
    /// When it does not come.
    pub async fn in_channel(&self, mirror: usize, wanted: usize) -> anyhow::Result<()> {
        let there = || self.arrivals_in_channel(mirror).contains(&wanted);
        wait_until(format!("message {wanted} on {}", N::KIND), BACKLOG, there).await
    }

    /// Everything said on the network, `sent` messages in each mirror, is on Matrix once and in order.
    ///
    /// # Errors
    ///
    /// What is not as it should be; `what` says when.
    pub fn check_rooms(&self, sent: usize, what: &str) -> anyhow::Result<()> {
        let harm = self.tally_rooms(|_| sent);
        ensure!(harm.is_clean(), "{what}: {harm:?} {:?}", self.arrivals_in_room(0));
        let violations = self.stub.counts().violations;
        ensure!(violations == 0, "{what}: a transaction id was used for something else");
        self.check_manners(what)
    }

    /// Everything from Matrix, `sent` messages in each mirror, is on the network once and in order, and no sender was told of
    /// a failure.
    ///
    /// # Errors
    ///
    /// What is not as it should be; `what` says when.
    pub fn check_channels(&self, sent: usize, what: &str) -> anyhow::Result<()> {
        let harm = self.tally_channels(|_| sent);
        ensure!(harm.is_clean(), "{what}: {harm:?} {:?}", self.arrivals_in_channel(0));
        for mirror in 0..self.mirrors {
            let told = self.told_failures(mirror);
            ensure!(told.is_empty(), "{what}: told without need: {told:?}");
        }
        self.check_manners(what)
    }

    /// Nothing was asked of the network that it does not offer.
    ///
    /// # Errors
    ///
    /// What was; `what` says when.
    pub fn check_manners(&self, what: &str) -> anyhow::Result<()> {
        let violations = self.server.violations();
        ensure!(violations.is_empty(), "{what}: {violations:?}");
        Ok(())
    }

    /// What became of the messages that were to reach the rooms; `sent` says how many each mirror had.
    pub fn tally_rooms(&self, sent: impl Fn(usize) -> usize) -> Tally {
        let of = |mirror| tally(sent(mirror), self.arrivals_in_room(mirror));
        (0..self.mirrors).map(of).fold(Tally::default(), Tally::plus)
    }

    /// What became of the messages that were to reach the channels; `sent` says how many each mirror had.
    pub fn tally_channels(&self, sent: impl Fn(usize) -> usize) -> Tally {
        let of = |mirror| tally(sent(mirror), self.arrivals_in_channel(mirror));
        (0..self.mirrors).map(of).fold(Tally::default(), Tally::plus)
    }

    /// The numbers of the messages that came into a room, in order.
    pub fn arrivals_in_room(&self, mirror: usize) -> Vec<usize> {
        arrivals_in_room(&self.stub, mirror)
    }

    /// The numbers of the messages that came into a channel, in order.
    pub fn arrivals_in_channel(&self, mirror: usize) -> Vec<usize> {
        self.server
            .heard(&N::channel(mirror))
            .iter()
            .filter_map(|heard| number(&heard.text))
            .collect()
    }

    /// How many different events of a mirror their senders were told about as not delivered for sure, by status events.
    pub fn told_failures(&self, mirror: usize) -> Vec<usize> {
        told_failures(&self.stub, mirror)
    }
}

/// The numbers of the messages that came into a room, in order.
pub fn arrivals_in_room(stub: &StubHomeserver, mirror: usize) -> Vec<usize> {
    let sent = stub.sent(&room(mirror));
    sent.iter()
        .filter(|sent| sent.kind == "m.room.message")
        .filter_map(|sent| number(&sent.body))
        .collect()
}

/// How many different events of a mirror their senders were told about as not delivered for sure, by status events.
pub fn told_failures(stub: &StubHomeserver, mirror: usize) -> Vec<usize> {
    let sent = stub.sent(&room(mirror));
    let failures = sent
        .iter()
        .filter(|sent| sent.kind == "com.beeper.message_send_status" && sent.body.contains(r#""status":"FAIL_"#));
    let mut numbers: Vec<usize> = failures.filter_map(|status| event_number(&status.body)).collect();
    numbers.sort_unstable();
    numbers.dedup();
    numbers
}

/// A mirror's room.
pub fn room(mirror: usize) -> String {
    format!("!room{mirror}:{}", StubHomeserver::DOMAIN)
}

/// A mirror's channel on IRC.
pub fn channel(mirror: usize) -> String {
    LoadIrcd::channel(mirror)
}

/// Somebody on the network.
pub fn nick(mirror: usize, speaker: usize) -> String {
    format!("user{mirror}x{speaker}")
}

/// Somebody on Matrix.
pub fn person(mirror: usize) -> String {
    format!("@person{mirror}:{}", StubHomeserver::DOMAIN)
}

/// A Matrix person's message as the homeserver hands it over; `number` counts within the mirror.
pub fn matrix_message(mirror: usize, number: usize) -> String {
    let id = format!("$e{mirror}x{number}");
    crate::stub::message_event(&room(mirror), &id, &person(mirror), 1_700_000_000_000, &text(number))
}

/// A message of ordinary length that carries a number.
pub fn text(number: usize) -> String {
    format!("the quick brown fox jumps over the lazy dog and comes home late [{number}]")
}

/// The number a message carries.
pub fn number(text: &str) -> Option<usize> {
    text.rsplit_once('[')?.1.split_once(']')?.0.parse().ok()
}

/// The number within the id, made by [`matrix_message`], that a status event names.
fn event_number(content: &str) -> Option<usize> {
    let (_, rest) = content.split_once("\"$e")?;
    rest.split_once('"')?.0.split_once('x')?.1.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_back() {
        assert_eq!(number(&text(42)), Some(42));
        assert_eq!(number("[1] no, <x> [7] it is"), Some(7));
        assert_eq!(number("good morning"), None);
        assert_eq!(
            event_number(r#"{"m.relates_to":{"event_id":"$e3x41"},"status":"FAIL"}"#),
            Some(41)
        );
        assert_eq!(event_number("{}"), None);
    }
}
