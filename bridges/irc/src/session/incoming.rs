//! What the server tells the reader, as events.

mod history;
mod multiline;
mod people;
mod who;
mod words;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use irc_proto::Message as Line;
use tokio::time::Instant;
use tracing::{info, warn};
use viaduct_bridge::{Connection as Standing, InboxClosed};
use viaduct_model::{ChannelId, Content, Event, MessageId, Person, Place, Timestamp};

use super::reader::Rejoin;
use super::{Shared, locked, time};
use crate::client::Connection;
use crate::client::line::{Fields, message};
use crate::convert::ctcp::{self, Payload};
use crate::metrics;
pub(super) use history::KEY_TAG;

/// Events handed over at once.
const RUN: usize = 128;
/// Answers to CTCP come at most so often.
const CTCP_PAUSE: Duration = Duration::from_secs(2);
/// People of a netsplit are waited for so long.
const SPLIT_PATIENCE: Duration = Duration::from_mins(30);
/// Open batches remembered.
const BATCHES: usize = 64;

/// Answers to a JOIN that say that a channel does not let somebody in.
pub(super) const KEPT_OUT: [&str; 11] = [
    "403", "405", "437", "471", "473", "474", "475", "476", "477", "489", "520",
];

/// Said on leaving a channel that another one forwarded to.
pub(super) const NOT_ASKED_FOR: &str = "not the channel that was asked for";

/// Makes an event of what a line tells.
pub(super) fn event(
    shared: &Shared,
    channel: &ChannelId,
    line: &Line,
    sender: Person,
    content: Content,
) -> Option<Event> {
    let at = line
        .tag("time")
        .and_then(time::parse)
        .unwrap_or_else(|| shared.context.clock.now());
    let id = match line.tag("msgid") {
        Some(id) if matches!(line.name(), "PRIVMSG" | "NOTICE" | "TAGMSG" | "BATCH") => MessageId::new(id).ok(),
        _ => None,
    };
    Some(event_with(
        shared,
        channel,
        id.or_else(|| shared.made_id(at))?,
        at,
        sender,
        content,
    ))
}

/// Makes an event that has its id already.
pub(super) fn event_with(
    shared: &Shared,
    channel: &ChannelId,
    id: MessageId,
    at: Timestamp,
    sender: Person,
    content: Content,
) -> Event {
    let place = Place::new(shared.context.network.clone(), channel.clone());
    Event {
        place,
        id,
        sender,
        at,
        content,
        cursor: None,
        echo_of: None,
        direct_to: None,
    }
}

/// Answers CTCP questions, not too often.
#[derive(Default)]
pub(super) struct Ctcp {
    last: Option<Instant>,
}

impl Ctcp {
    /// The answer to a line, if it is a question and it is time for one.
    pub(super) fn answer(&mut self, shared: &Shared, line: &Line) -> Option<Line> {
        let Payload::Ctcp { command, argument } = ctcp::read(line.last()) else {
            return None;
        };
        if line.name() != "PRIVMSG" {
            return None;
        }
        let answer = match command.to_ascii_uppercase().as_str() {
            "VERSION" => concat!("viaduct ", env!("CARGO_PKG_VERSION")).to_owned(),
            "PING" => argument.chars().take(64).collect(),
            "TIME" => time::format(shared.context.clock.now()),
            "CLIENTINFO" => "ACTION CLIENTINFO PING TIME VERSION".to_owned(),
            _ => return None,
        };
        if self.last.is_some_and(|last| last.elapsed() < CTCP_PAUSE) {
            metrics::dropped("ctcp_limit");
            return None;
        }
        self.last = Some(Instant::now());
        Some(message(
            "NOTICE",
            &[line.source(), &ctcp::write(&command.to_ascii_uppercase(), &answer)],
        ))
    }
}

/// A person who went with a netsplit.
struct Split {
    since: Instant,
    person: Person,
    channels: Vec<ChannelId>,
}

/// Turns lines into events and hands them over.
pub(super) struct Incoming {
    shared: Arc<Shared>,
    connection: Arc<Connection>,
    /// Channels to come back to.
    pub(super) rejoin: Rejoin,
    out: Vec<(ChannelId, Vec<Event>)>,
    splits: HashMap<String, Split>,
    batches: HashMap<String, String>,
    topics: HashMap<String, String>,
    ctcp: Ctcp,
    catching_up: HashMap<ChannelId, history::CatchUp>,
    next_pages: Vec<ChannelId>,
    multilines: HashMap<String, multiline::Multiline>,
    who: who::Who,
    /// Messages that were read since they were last counted.
    read: u64,
}

impl Incoming {
    pub(super) fn new(shared: Arc<Shared>, connection: Arc<Connection>) -> Self {
        Self {
            shared,
            connection,
            rejoin: Rejoin::default(),
            out: Vec::new(),
            splits: HashMap::new(),
            batches: HashMap::new(),
            topics: HashMap::new(),
            ctcp: Ctcp::default(),
            catching_up: HashMap::new(),
            next_pages: Vec::new(),
            multilines: HashMap::new(),
            who: who::Who::default(),
            read: 0,
        }
    }

    /// Handles lines that arrived together: one hand-over for each channel among them.
    pub(super) async fn take(&mut self, lines: Vec<Line>) -> Result<(), InboxClosed> {
        for line in lines {
            if let Some(answer) = self.line(&line) {
                self.connection.send(answer).await;
            }
        }
        self.ask_history().await?;
        self.ask_pages().await;
        self.ask_next_who().await;
        self.shared.meters.received.increment(std::mem::take(&mut self.read));
        self.push().await
    }

    /// Looks after what time changes.
    pub(super) async fn tick(&mut self) -> Result<(), InboxClosed> {
        self.expire_splits();
        self.expire_history();
        self.ask_next_who().await;
        self.push().await
    }

    async fn ask_next_who(&mut self) {
        let (question, late) = self.next_who();
        if let Some(channel) = late {
            self.tell_listed(&channel, &message("WHO", &[]));
        }
        if let Some(question) = question {
            self.connection.send(question).await;
        }
    }

    async fn push(&mut self) -> Result<(), InboxClosed> {
        for (_, mut events) in std::mem::take(&mut self.out) {
            while !events.is_empty() {
                let rest = events.split_off(events.len().min(RUN));
                // Nothing is acknowledged on IRC, so nobody waits for the ticket.
                drop(self.shared.context.inbox.push(events).await?);
                events = rest;
            }
        }
        Ok(())
    }

    fn add(&mut self, event: Option<Event>) {
        self.add_from(event, None);
    }

    /// Adds the event of a line, which may be part of history.
    fn add_from(&mut self, event: Option<Event>, line: Option<&Line>) {
        if let Some(event) = event.and_then(|event| self.held(event, line)) {
            self.queue(event);
        }
    }

    fn queue(&mut self, event: Event) {
        let channel = &event.place.channel;
        match self.out.iter_mut().find(|(id, _)| id == channel) {
            Some((_, events)) => events.push(event),
            None => self.out.push((channel.clone(), vec![event])),
        }
    }

    /// The mirrored channel of this name.
    fn channel(&self, name: &str) -> Option<ChannelId> {
        locked(&self.shared.roster)
            .channel_ref(name)
            .map(|channel| channel.id.clone())
    }

    fn is_puppet(&self, nick: &str) -> bool {
        self.shared.pool.has(&self.connection.isupport().casemapping.fold(nick))
    }

    /// Whoever a nick stands for: a person of another side for a puppet, else one of this network.
    fn anyone(&self, nick: &str, account: Option<&str>) -> Option<Person> {
        let folded = self.connection.isupport().casemapping.fold(nick);
        self.shared.pool.owner(&folded).or_else(|| {
            let user = locked(&self.shared.roster).person(nick, account)?;
            Some(self.shared.person(&user))
        })
    }

    /// Handles one line; gives what to answer.
    fn line(&mut self, line: &Line) -> Option<Line> {
        if !self.catching_up.is_empty() {
            self.note_history(line);
        }
        match line.name() {
            "PRIVMSG" | "NOTICE" => return self.said(line),
            // What else is played back has long had its effect.
            _ if line.name() != "BATCH" && self.is_history(line) => {}
            "TAGMSG" => self.tags(line),
            "JOIN" => self.joined(line),
            "PART" => self.parted(line),
            "QUIT" => return self.quit(line),
            "KICK" => self.kicked(line),
            "NICK" => return self.renamed(line),
            "MODE" => self.modes(line),
            "TOPIC" => self.topic(line),
            "ACCOUNT" => self.account(line),
            "SETNAME" => self.redescribed(line),
            "CHGHOST" => self.moved(line),
            "AWAY" => self.away(line),
            "354" => self.who_answer(line),
            "352" => self.plain_who_answer(line),
            "315" => self.who_ended(line.parameter(1), line),
            "263" if line.parameter(1) == "WHO" => self.who_refused(),
            "BATCH" => self.batch(line),
            "INVITE" => {
                let channel = self.channel(line.last())?;
                return Some(message("JOIN", &[channel.as_str()]));
            }
            "331" => self.known_topic(line.parameter(1), "", "none", Timestamp::default()),
            "332" => {
                self.topics
                    .insert(line.parameter(1).to_lowercase(), line.last().to_owned());
            }
            "333" => {
                let at = Timestamp::from_secs(line.parameter(3).parse().unwrap_or_default());
                if let Some(topic) = self.topics.remove(&line.parameter(1).to_lowercase()) {
                    self.known_topic(line.parameter(1), &topic, line.parameter(2), at);
                }
            }
            "353" => {
                let table = &self.connection.isupport().modes;
                locked(&self.shared.roster).list(line.parameter(2), line.last(), table);
            }
            "366" => self.listed(line.parameter(1), line),
            name if KEPT_OUT.contains(&name) => self.problem(line.parameter(1), line.last().to_owned()),
            "FAIL" if line.parameter(0) == "CHATHISTORY" => self.history_failed(line),
            "470" => {
                self.problem(line.parameter(1), format!("it forwards to {}", line.parameter(2)));
                if self.channel(line.parameter(2)).is_none() {
                    return Some(message("PART", &[line.parameter(2), NOT_ASKED_FOR]));
                }
            }
            _ => {}
        }
        None
    }

    fn batch(&mut self, line: &Line) {
        let reference = line.parameter(0);
        if let Some(name) = reference.strip_prefix('+') {
            if line.parameter(1).ends_with("chathistory") {
                self.history_opened(name, line.parameter(2));
            }
            if line.parameter(1) == "draft/multiline" {
                self.multiline_opened(name, line);
            }
            if self.batches.len() < BATCHES {
                self.batches.insert(name.to_owned(), line.parameter(1).to_owned());
            }
        } else if let Some(name) = reference.strip_prefix('-') {
            self.batches.remove(name);
            self.history_closed(name);
            self.multiline_closed(name);
        }
    }

    /// A channel does not let the reader in, or put it out: told, and tried again without end.
    fn problem(&mut self, name: &str, reason: String) {
        let Some(channel) = self.channel(name) else { return };
        warn!(%channel, reason, "The reader is not in a channel.");
        let mut roster = locked(&self.shared.roster);
        if roster.channel_ref(name).is_some_and(|channel| channel.joined) {
            return;
        }
        roster.leave(name);
        drop(roster);
        self.rejoin.later(&channel);
        locked(&self.shared.problems).insert(channel.as_str().to_lowercase(), reason.clone());
        self.shared.context.inbox.report(Some(&channel), Standing::Down(reason));
    }

    fn entered(&mut self, name: &str) {
        let Some(channel) = self.channel(name) else { return };
        if let Some(known) = locked(&self.shared.roster).channel(name) {
            known.joined = true;
        }
        self.rejoin.joined(&channel);
        self.begin_history(&channel);
        locked(&self.shared.problems).remove(&channel.as_str().to_lowercase());
        info!(%channel, "Joined.");
        self.shared.context.inbox.report(Some(&channel), Standing::Up);
    }

    /// A nick became free, which the reader or a puppet may want.
    fn reclaim(&self, freed: &str) -> Option<Line> {
        self.shared.keep_nicks(Some(freed));
        let wanted = &self.shared.section.nick;
        let same = self.connection.isupport().casemapping.same(freed, wanted);
        (same && !self.connection.is_own(wanted)).then(|| message("NICK", &[wanted]))
    }
}
