//! Making puppets, connections of their own for people of other sides, and bringing them into channels.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tracing::{debug, info, instrument, warn};
use viaduct_model::{ChannelId, Person};

use super::pool::{Place, Puppet};
use super::watch::Watched;
use super::{Shared, locked};
use crate::client::line::message;
use crate::client::register::{Identity, PUPPET_CAPABILITIES};
use crate::client::{Connection, Settings, talk_of_others};
use crate::convert::nick::{self, Names};
use crate::metrics;

/// After a failure to connect, the hub speaks for the person for so long before it tries again.
const AFTER_FAILURE: Duration = Duration::from_mins(1);
/// How long joining a channel may take.
const JOINING: Duration = Duration::from_secs(20);
/// Under this key the session's memory holds nicks of puppets.
const NICK_KEY: &str = "nick.";
/// So many of them at most.
const FORMER: usize = 20_000;
/// Longest user name servers take.
const USER_LENGTH: usize = 10;

impl Shared {
    /// The author's puppet, connected and in the channel; none if the hub has to speak for them.
    pub(super) async fn puppet(
        self: &Arc<Self>,
        person: &Person,
        display: &str,
        channel: Option<&ChannelId>,
    ) -> Option<Arc<Connection>> {
        if !self.section.puppets.enabled || person.is_hub() || person.network == self.context.network {
            return None;
        }
        let reader = self.reader()?;
        let now = self.context.clock.now().as_millis();
        let puppet = self.pool.slot(person, &self.section.puppets, now)?;
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

    /// Says goodbye for all, side by side.
    pub(super) async fn retire_all(&self, patience: Duration) {
        let leaving = self
            .pool
            .drain()
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
        (identity.nick)(0).clone_into(&mut locked(&puppet.wanted));
        let settings = Settings {
            witnessed: true,
            ..self.settings(identity, talk_of_others())
        };
        match Connection::open(settings).await {
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
                tokio::spawn(watched.watch(Arc::clone(self), lines));
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

    /// Lets puppets ask for the nicks they should have, while they have others; told is a nick that has become free, or
    /// none to try all.
    pub(super) fn keep_nicks(&self, freed: Option<&str>) {
        for (connection, wanted) in self.pool.live() {
            let same = |nick: &str| connection.isupport().casemapping.same(nick, &wanted);
            if !wanted.is_empty() && freed.is_none_or(same) && !connection.is_own(&wanted) {
                connection.offer(message("NICK", &[&wanted]));
            }
        }
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
        if puppet.place(&folded) == Some(Place::In) {
            return true;
        }
        let mut changed = puppet.changed.subscribe();
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
        let Some(puppet) = self.pool.get(person) else { return };
        if let Some(connection) = puppet.connection() {
            let names = Names::of(&person.name, person.id.as_str());
            let wanted = nick::nick(&self.section.puppets.nick, names, connection.isupport().nick_length, 0);
            wanted.clone_into(&mut locked(&puppet.wanted));
            if !connection.is_own(&wanted) {
                connection.send(message("NICK", &[&wanted])).await;
            }
        }
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
