//! Puppets: connections of their own for people of other sides.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use irc_proto::Message as Line;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tracing::{debug, info, instrument, warn};
use viaduct_model::{ChannelId, Content, Event, Message, MessageStyle, NetworkName, Person, PersonId};

use super::{Shared, direct_id, incoming, locked};
use crate::client::Connection;
use crate::client::line::{Fields, message};
use crate::client::register::{Identity, PUPPET_CAPABILITIES};
use crate::convert::ctcp::{self, Payload};
use crate::convert::nick::{self, Names};
use crate::convert::{Folded, mirc};
use crate::metrics;

/// After a failure to connect, the hub speaks for the person for so long before it tries again.
const AFTER_FAILURE: Duration = Duration::from_mins(1);
/// A nick that a puppet gave up is taken for the puppet's for so long, unless the reader sees it go.
const AFTER_GIVING_UP: Duration = Duration::from_mins(10);
/// How long joining a channel may take.
const JOINING: Duration = Duration::from_secs(20);
/// Under this key the session's memory holds nicks of puppets.
const NICK_KEY: &str = "nick.";
/// So many of them at most.
const FORMER: usize = 20_000;
/// Longest user name servers take.
const USER_LENGTH: usize = 10;

/// Who a puppet stands for.
pub(super) type Key = (NetworkName, PersonId);

/// How a puppet stands with a channel.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Place {
    In,
    Refused(String),
}

/// One person's puppet.
pub(super) struct Puppet {
    key: Key,
    /// Held while connecting or joining, so that two deliveries do not do it twice.
    preparing: tokio::sync::Mutex<()>,
    live: Mutex<Option<Arc<Connection>>>,
    places: Mutex<HashMap<Folded, Place>>,
    changed: watch::Sender<()>,
    used: AtomicU64,
    retry_at: Mutex<Option<Instant>>,
}

/// All puppets.
#[derive(Default)]
pub(super) struct Pool {
    puppets: Mutex<HashMap<Key, Arc<Puppet>>>,
    /// Whose each nick is. A nick stays until the reader sees it go, for its lines may still be on their way.
    nicks: Mutex<HashMap<Folded, Person>>,
    /// Nicks that puppets gave up, and when: where the reader does not see them go they are forgotten later.
    given_up: Mutex<HashMap<Folded, Instant>>,
}

impl Pool {
    /// The person a nick stands for.
    pub(super) fn owner(&self, nick: &Folded) -> Option<Person> {
        locked(&self.nicks).get(nick).cloned()
    }

    /// Whether a nick is a puppet's.
    pub(super) fn has(&self, nick: &Folded) -> bool {
        locked(&self.nicks).contains_key(nick)
    }

    /// A puppet changed its nick.
    pub(super) fn rename(&self, from: &Folded, to: Folded) {
        let mut nicks = locked(&self.nicks);
        if let Some(person) = nicks.remove(from) {
            nicks.insert(to, person);
        }
    }

    /// The reader saw a puppet's nick go.
    pub(super) fn gone(&self, nick: &Folded) {
        locked(&self.nicks).remove(nick);
    }

    /// A puppet gave its nick up. The reader may be behind and still have to read lines of it, so it is kept for a while.
    fn give_up(&self, nick: Folded) {
        locked(&self.given_up).insert(nick, Instant::now());
    }

    /// A puppet took a nick.
    fn take(&self, nick: Folded, person: Person) {
        locked(&self.given_up).remove(&nick);
        locked(&self.nicks).insert(nick, person);
    }

    /// Forgets nicks that were given up long ago.
    pub(super) fn expire(&self) {
        let late = |at: &Instant| at.elapsed() >= AFTER_GIVING_UP;
        let gone: Vec<Folded> = locked(&self.given_up)
            .extract_if(|_, at| late(at))
            .map(|(nick, _)| nick)
            .collect();
        for nick in gone {
            self.gone(&nick);
        }
    }

    /// How many are connected.
    pub(super) fn count(&self) -> usize {
        locked(&self.puppets)
            .values()
            .filter(|puppet| puppet.connection().is_some())
            .count()
    }

    fn get(&self, person: &Person) -> Option<Arc<Puppet>> {
        locked(&self.puppets)
            .get(&(person.network.clone(), person.id.clone()))
            .cloned()
    }
}

impl Puppet {
    /// Its connection, while it lives.
    pub(super) fn connection(&self) -> Option<Arc<Connection>> {
        locked(&self.live)
            .clone()
            .filter(|connection| connection.ended().is_none())
    }

    fn place(&self, channel: &Folded) -> Option<Place> {
        locked(&self.places).get(channel).cloned()
    }

    fn set_place(&self, channel: Folded, place: Option<Place>) {
        let mut places = locked(&self.places);
        match place {
            Some(place) => places.insert(channel, place),
            None => places.remove(&channel),
        };
        drop(places);
        self.changed.send_replace(());
    }
}

impl Shared {
    /// The author's puppet, connected and in the channel; none if the hub has to speak for them.
    pub(super) async fn puppet(
        self: &Arc<Self>,
        person: &Person,
        display: &str,
        channel: Option<&ChannelId>,
    ) -> Option<Arc<Connection>> {
        if !self.section.puppets.enabled || person.network == self.context.network {
            return None;
        }
        let reader = self.reader()?;
        let puppet = self.slot(person)?;
        puppet
            .used
            .store(self.context.clock.now().as_millis(), Ordering::Relaxed);
        let preparing = puppet.preparing.lock().await;
        let connection = match puppet.connection() {
            Some(connection) => connection,
            None => {
                self.connect(&puppet, person, display, reader.isupport().nick_length)
                    .await?
            }
        };
        let Some(channel) = channel else {
            return Some(connection);
        };
        let joined = self.join(&puppet, &connection, channel).await;
        drop(preparing);
        joined.then_some(connection)
    }

    /// A live puppet that is there already; never makes one.
    pub(super) fn existing(&self, person: &Person) -> Option<Arc<Connection>> {
        self.pool.get(person)?.connection()
    }

    fn slot(&self, person: &Person) -> Option<Arc<Puppet>> {
        if let Some(puppet) = self.pool.get(person) {
            return Some(puppet);
        }
        let now = self.context.clock.now().as_millis();
        let mut puppets = locked(&self.pool.puppets);
        let max = usize::try_from(self.section.puppets.max).unwrap_or(usize::MAX);
        if puppets.len() >= max {
            let rest = self.section.puppets.evict_after_seconds.saturating_mul(1000);
            let used = |puppet: &Puppet| puppet.used.load(Ordering::Relaxed);
            let oldest = puppets.values().min_by_key(|puppet| used(puppet)).cloned()?;
            if now.saturating_sub(used(&oldest)) < rest {
                return None;
            }
            puppets.remove(&oldest.key);
            retire(&oldest);
        }
        let key = (person.network.clone(), person.id.clone());
        let puppet = Arc::new(Puppet {
            key: key.clone(),
            preparing: tokio::sync::Mutex::default(),
            live: Mutex::default(),
            places: Mutex::default(),
            changed: watch::Sender::new(()),
            used: AtomicU64::new(now),
            retry_at: Mutex::default(),
        });
        puppets.insert(key, Arc::clone(&puppet));
        Some(puppet)
    }

    /// Takes off those that were silent too long.
    pub(super) fn retire_idle(&self) {
        let bound = self.section.puppets.idle_seconds.saturating_mul(1000);
        if bound == 0 {
            return;
        }
        let now = self.context.clock.now().as_millis();
        let idle: Vec<Arc<Puppet>> = locked(&self.pool.puppets)
            .extract_if(|_, puppet| now.saturating_sub(puppet.used.load(Ordering::Relaxed)) >= bound)
            .map(|(_, puppet)| puppet)
            .collect();
        for puppet in &idle {
            retire(puppet);
        }
    }

    /// Says goodbye for all, side by side.
    pub(super) async fn retire_all(&self, patience: Duration) {
        let all: Vec<Arc<Puppet>> = locked(&self.pool.puppets).drain().map(|(_, puppet)| puppet).collect();
        let leaving = all
            .into_iter()
            .filter_map(|puppet| locked(&puppet.live).take())
            .map(|connection| async move {
                connection.quit(&self.section.quit_message, patience).await;
            });
        futures_util::future::join_all(leaving).await;
    }

    #[instrument(skip_all, fields(network = %self.context.network, person = %person.id))]
    async fn connect(
        self: &Arc<Self>,
        puppet: &Arc<Puppet>,
        person: &Person,
        display: &str,
        limit: usize,
    ) -> Option<Arc<Connection>> {
        if locked(&puppet.retry_at).is_some_and(|at| Instant::now() < at) {
            return None;
        }
        let identity = self.puppet_identity(person, display, limit);
        match Connection::open(self.settings(identity, true)).await {
            Ok((connection, lines)) => {
                metrics::connected("puppet", "ok");
                let connection = Arc::new(connection);
                let nick = connection.isupport().casemapping.fold(&connection.nick());
                let owner = Person {
                    name: display.to_owned(),
                    ..person.clone()
                };
                self.remember_nick(nick.as_str()).await;
                if self.context.stop.is_cancelled() {
                    // All others have been taken off, and nobody would take off this one.
                    return None;
                }
                self.pool.take(nick, owner.clone());
                locked(&puppet.places).clear();
                *locked(&puppet.live) = Some(Arc::clone(&connection));
                info!(nick = connection.nick(), "Connected a puppet.");
                let watched = Watched {
                    puppet: Arc::clone(puppet),
                    connection: Arc::clone(&connection),
                    owner,
                };
                tokio::spawn(watch_puppet(Arc::clone(self), watched, lines));
                metrics::puppets(self.context.network.as_str(), self.pool.count());
                Some(connection)
            }
            Err(error) => {
                metrics::connected("puppet", "failed");
                debug!(%error, "A puppet could not be connected; the hub speaks for the person.");
                *locked(&puppet.retry_at) = Some(Instant::now() + AFTER_FAILURE);
                None
            }
        }
    }

    /// Reads the nicks that puppets of earlier runs had.
    pub(super) async fn recall_nicks(&self) {
        let found = self.context.state.scan(NICK_KEY).await.unwrap_or_default();
        let nicks = found
            .into_iter()
            .filter_map(|(key, _)| key.strip_prefix(NICK_KEY).map(str::to_owned));
        locked(&self.former).extend(nicks.take(FORMER));
    }

    /// Notes a puppet's nick, so that a later run knows its lines in the history.
    async fn remember_nick(&self, nick: &str) {
        let news = {
            let mut former = locked(&self.former);
            former.len() < FORMER && former.insert(nick.to_owned())
        };
        if news {
            let change = (format!("{NICK_KEY}{nick}"), Some(Vec::new()));
            if let Err(error) = self.context.state.put(vec![change]).await {
                warn!(%error, "A puppet's nick could not be noted.");
            }
        }
    }

    /// Forgets nicks of puppets that are gone; for the reader's return, as it did not see them go.
    pub(super) fn prune_nicks(&self) {
        let live: Vec<Arc<Connection>> = locked(&self.pool.puppets)
            .values()
            .filter_map(|puppet| puppet.connection())
            .collect();
        locked(&self.pool.nicks).retain(|nick, _| live.iter().any(|connection| connection.is_own(nick.as_str())));
    }

    fn puppet_identity(&self, person: &Person, display: &str, limit: usize) -> Identity {
        let template = self.section.puppets.nick.clone();
        let (name, id) = (display.to_owned(), person.id.as_str().to_owned());
        let names = Names::of(display, person.id.as_str());
        let fill = |template: &str| {
            let text = template
                .replace("{localpart}", names.localpart)
                .replace("{domain}", names.domain);
            text.replace("{id}", person.id.as_str()).replace("{name}", display)
        };
        let user = nick::nick("{localpart}", names, USER_LENGTH, 0);
        Identity {
            user: user.chars().filter(char::is_ascii_alphanumeric).collect::<String>(),
            realname: fill(&self.section.puppets.realname),
            password: self.secrets.password.clone(),
            login: None,
            webirc: self.webirc(&user.to_lowercase(), names.domain),
            capabilities: PUPPET_CAPABILITIES,
            nick: Arc::new(move |attempt| nick::nick(&template, Names::of(&name, &id), limit, attempt)),
        }
        .with_user()
    }

    async fn join(&self, puppet: &Puppet, connection: &Connection, channel: &ChannelId) -> bool {
        let folded = connection.isupport().casemapping.fold(channel.as_str());
        let mut changed = puppet.changed.subscribe();
        if puppet.place(&folded) == Some(Place::In) {
            return true;
        }
        puppet.set_place(folded.clone(), None);
        changed.borrow_and_update();
        let sent = match self.secrets.keys.get(&channel.as_str().to_lowercase()) {
            Some(key) => {
                connection
                    .send(message("JOIN", &[channel.as_str(), key.reveal()]))
                    .await
            }
            None => connection.send(message("JOIN", &[channel.as_str()])).await,
        };
        let answered = async {
            loop {
                match puppet.place(&folded) {
                    Some(Place::In) => return true,
                    Some(Place::Refused(reason)) => {
                        debug!(%channel, reason, "A puppet may not join a channel.");
                        return false;
                    }
                    None => {}
                }
                tokio::select! {
                    () = connection.closed() => return false,
                    changed = changed.changed() => if changed.is_err() { return false },
                }
            }
        };
        sent && tokio::time::timeout(JOINING, answered).await.unwrap_or(false)
    }

    /// A person of another side left a channel: so does their puppet.
    pub(super) async fn part(&self, person: &Person, channel: &ChannelId, reason: &str) {
        let Some(puppet) = self.pool.get(person) else { return };
        let Some(connection) = puppet.connection() else { return };
        let folded = connection.isupport().casemapping.fold(channel.as_str());
        if puppet.place(&folded) == Some(Place::In) {
            puppet.set_place(folded, None);
            connection.send(message("PART", &[channel.as_str(), reason])).await;
        }
    }

    /// A person of another side changed their name: their puppet asks for the nick that goes with it.
    pub(super) async fn rename_puppet(&self, person: &Person) {
        if let Some(connection) = self.existing(person) {
            let names = Names::of(&person.name, person.id.as_str());
            let wanted = nick::nick(&self.section.puppets.nick, names, connection.isupport().nick_length, 0);
            if !connection.is_own(&wanted) {
                connection.send(message("NICK", &[&wanted])).await;
            }
        }
    }
}

/// Says goodbye for a puppet, in the background.
fn retire(puppet: &Puppet) {
    if let Some(connection) = locked(&puppet.live).take() {
        let goodbye = "silent for a while".to_owned();
        tokio::spawn(async move { connection.quit(&goodbye, Duration::from_secs(5)).await });
    }
}

impl Identity {
    fn with_user(mut self) -> Self {
        if self.user.is_empty() {
            "guest".clone_into(&mut self.user);
        }
        self
    }
}

/// A puppet and what is needed to watch it.
struct Watched {
    puppet: Arc<Puppet>,
    connection: Arc<Connection>,
    owner: Person,
}

/// Handles what the server says to a puppet, until its connection ends.
async fn watch_puppet(shared: Arc<Shared>, watched: Watched, mut lines: mpsc::Receiver<Vec<Line>>) {
    let Watched {
        puppet,
        connection,
        owner,
    } = watched;
    let mut answers = incoming::Ctcp::default();
    let fold = |name: &str| connection.isupport().casemapping.fold(name);
    while let Some(batch) = lines.recv().await {
        for line in batch {
            let own = connection.is_own(line.source());
            match line.name() {
                "JOIN" if own => puppet.set_place(fold(line.parameter(0)), Some(Place::In)),
                "PART" if own => puppet.set_place(fold(line.parameter(0)), None),
                "KICK" if connection.is_own(line.parameter(1)) => puppet.set_place(fold(line.parameter(0)), None),
                // The connection knows its new nick already.
                "NICK" if connection.is_own(line.parameter(0)) => {
                    shared.pool.take(fold(line.parameter(0)), owner.clone());
                    // Some servers tell the nick that was given at login this way, from itself.
                    if !connection.is_own(line.source()) {
                        shared.pool.give_up(fold(line.source()));
                    }
                }
                "403" | "405" | "437" | "471" | "473" | "474" | "475" | "476" | "477" | "489" | "520" => {
                    let refused = Place::Refused(line.last().to_owned());
                    puppet.set_place(fold(line.parameter(1)), Some(refused));
                }
                "470" => {
                    let (asked, given) = (line.parameter(1), line.parameter(2));
                    puppet.set_place(fold(asked), Some(Place::Refused(format!("it forwards to {given}"))));
                    if locked(&shared.roster).channel_ref(given).is_none() {
                        connection
                            .send(message("PART", &[given, incoming::NOT_ASKED_FOR]))
                            .await;
                    }
                }
                "PRIVMSG" | "NOTICE" if !own && connection.is_own(line.parameter(0)) => {
                    if let Some(answer) = answers.answer(&shared, &line) {
                        connection.send(answer).await;
                    } else if let Some(event) = direct(&shared, &owner, &line) {
                        drop(shared.context.inbox.push(vec![event]).await);
                    }
                }
                _ => {}
            }
        }
    }
    shared.pool.give_up(fold(&connection.nick()));
    locked(&puppet.places).clear();
    locked(&puppet.live).take_if(|live| Arc::ptr_eq(live, &connection));
    puppet.changed.send_replace(());
    metrics::puppets(shared.context.network.as_str(), shared.pool.count());
    debug!(person = %owner.id, reason = connection.ended(), "A puppet's connection ended.");
}

/// Words said to a puppet alone, as an event; only Matrix people have direct conversations.
fn direct(shared: &Shared, owner: &Person, line: &Line) -> Option<Event> {
    if !owner.network.is_matrix() || matches!(line.prefix, Some(irc_proto::Prefix::ServerName(_)) | None) {
        return None;
    }
    let (text, mut style) = match ctcp::read(line.last()) {
        Payload::Text(text) => (text, MessageStyle::Text),
        Payload::Action(text) => (text, MessageStyle::Action),
        Payload::Ctcp { .. } => return None,
    };
    if line.name() == "NOTICE" {
        style = MessageStyle::Notice;
    }
    let user = locked(&shared.roster).person(line.source(), line.tag("account"));
    let body = mirc::parse(text);
    let message = Message {
        style,
        body,
        ..Message::default()
    };
    let channel = direct_id(&user.id, owner.id.as_str())?;
    let mut event = incoming::event(shared, &channel, line, shared.person(&user)?, Content::Message(message))?;
    event.direct_to = Some(owner.id.as_str().to_owned());
    Some(event)
}
