//! What the server says to puppets.

use std::sync::Arc;

use irc_proto::Message as Line;
use tokio::sync::mpsc;
use tracing::debug;
use viaduct_model::{Content, Event, Message, MessageStyle, Person};

use super::pool::{Place, Puppet};
use super::{Shared, direct_id, incoming, locked};
use crate::client::Connection;
use crate::client::line::{Fields, message};
use crate::convert::ctcp::{self, Payload};
use crate::convert::mirc;
use crate::metrics;

/// A puppet and what is needed to watch it.
pub(super) struct Watched {
    pub(super) puppet: Arc<Puppet>,
    pub(super) connection: Arc<Connection>,
    pub(super) owner: Person,
}

impl Watched {
    /// Handles what the server says to the puppet, until its connection ends.
    pub(super) async fn watch(self, shared: Arc<Shared>, mut lines: mpsc::Receiver<Vec<Line>>) {
        let mut answers = incoming::Ctcp::default();
        while let Some(batch) = lines.recv().await {
            for line in batch {
                self.line(&shared, &mut answers, &line).await;
            }
        }
        let Self {
            puppet,
            connection,
            owner,
        } = self;
        let nick = connection.isupport().casemapping.fold(&connection.nick());
        shared.pool.give_up(nick);
        locked(&puppet.places).clear();
        locked(&puppet.live).take_if(|live| Arc::ptr_eq(live, &connection));
        puppet.changed.send_replace(());
        metrics::puppets(shared.context.network.as_str(), shared.pool.count());
        debug!(person = %owner.id, reason = connection.ended(), "A puppet's connection ended.");
    }

    async fn line(&self, shared: &Shared, answers: &mut incoming::Ctcp, line: &Line) {
        let (puppet, connection) = (&self.puppet, &self.connection);
        let fold = |name: &str| connection.isupport().casemapping.fold(name);
        let own = connection.is_own(line.source());
        match line.name() {
            "JOIN" if own => puppet.set_place(fold(line.parameter(0)), Some(Place::In)),
            "PART" if own => puppet.set_place(fold(line.parameter(0)), None),
            "KICK" if connection.is_own(line.parameter(1)) => puppet.set_place(fold(line.parameter(0)), None),
            // The connection knows its new nick already.
            "NICK" if connection.is_own(line.parameter(0)) => {
                shared.pool.take(fold(line.parameter(0)), self.owner.clone());
                // Some servers tell the nick that was given at login this way, from itself.
                if !connection.is_own(line.source()) {
                    shared.pool.give_up(fold(line.source()));
                }
            }
            name if incoming::KEPT_OUT.contains(&name) => {
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
                if let Some(answer) = answers.answer(shared, line) {
                    connection.send(answer).await;
                } else if let Some(event) = direct(shared, &self.owner, line) {
                    drop(shared.context.inbox.push(vec![event]).await);
                }
            }
            _ => {}
        }
    }
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
    let user = locked(&shared.roster).person(line.source(), line.tag("account"))?;
    let body = mirc::parse(text);
    let message = Message {
        style,
        body,
        ..Message::default()
    };
    let channel = direct_id(user.id.as_str(), owner.id.as_str())?;
    let mut event = incoming::event(shared, &channel, line, shared.person(&user), Content::Message(message))?;
    event.direct_to = Some(owner.id.as_str().to_owned());
    Some(event)
}
