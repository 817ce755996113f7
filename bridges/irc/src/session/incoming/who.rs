//! What people are beside their nicks: accounts, descriptions, hosts, whether they are away.
//!
//! The list of names says little, so after it the server is asked for the rest: in one format with accounts where it has
//! `WHOX`, else in the old one. One channel at a time, and the next only after a pause that grows with the answer, for
//! servers count every line of it. Very large channels are not asked about; what is known of their people comes with what
//! they do.

use std::collections::VecDeque;
use std::time::Duration;

use irc_proto::Message as Line;
use irc_proto::Prefix;
use tokio::time::Instant;
use viaduct_model::{ChannelId, Content, Membership};

use super::{Incoming, event};
use crate::client::line::{Fields, message};
use crate::convert::{forms, mirc};
use crate::session::locked;
use crate::session::user::{Details, User};

/// The fields asked for, and the mark by which the answers are known: token, channel, user, host, nick, flags, account,
/// description. Answers have them in this order, whatever the order of the letters.
const FIELDS: &str = "%tcuhnfar,813";
const TOKEN: &str = "813";
/// Channels with more people are not asked about.
const LARGE: usize = 3_000;
/// The answer has to come within this time.
const PATIENCE: Duration = Duration::from_secs(30);
/// After an answer of so many lines there is a pause of a second.
const LINES_A_SECOND: u32 = 100;
/// A server that is too busy is asked again after this time.
const BUSY: Duration = Duration::from_mins(1);
/// Characters of a description or of a reason.
const WORDS: usize = 200;

/// The channels to ask about.
pub(super) struct Who {
    waiting: VecDeque<ChannelId>,
    asked: Option<(ChannelId, Instant)>,
    answers: u32,
    not_before: Instant,
}

impl Default for Who {
    fn default() -> Self {
        Self {
            waiting: VecDeque::new(),
            asked: None,
            answers: 0,
            not_before: Instant::now(),
        }
    }
}

/// A description or reason as it is kept; none if there is nothing in it.
fn words(text: &str) -> Option<String> {
    let plain = mirc::runs(text)
        .into_iter()
        .flat_map(|run| run.text.chars().collect::<Vec<_>>());
    let text: String = plain.take(WORDS).collect();
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

impl Incoming {
    /// The names of a channel are known: the rest will be asked for. Says whether it will.
    pub(super) fn ask_who(&mut self, channel: &ChannelId, people: usize) -> bool {
        let wanted = people <= LARGE && !self.who.waiting.contains(channel);
        if wanted {
            self.who.waiting.push_back(channel.clone());
        }
        wanted
    }

    /// The next question, if it is time for one; and the channels whose answer is not waited for any more.
    pub(super) fn next_who(&mut self) -> (Option<Line>, Option<ChannelId>) {
        let now = Instant::now();
        let late = self.who.asked.take_if(|(_, since)| now >= *since + PATIENCE);
        let late = late.map(|(channel, _)| channel);
        if self.who.asked.is_some() || now < self.who.not_before {
            return (None, late);
        }
        let Some(channel) = self.who.waiting.pop_front() else {
            return (None, late);
        };
        let line = if self.connection.isupport().whox {
            message("WHO", &[channel.as_str(), FIELDS])
        } else {
            message("WHO", &[channel.as_str()])
        };
        self.who.answers = 0;
        self.who.asked = Some((channel, now));
        (Some(line), late)
    }

    /// An answer in the format with accounts.
    pub(super) fn who_answer(&mut self, line: &Line) {
        let [_, token, channel, user, host, nick, flags, account, realname] = line.parameters() else {
            return;
        };
        if token != TOKEN {
            return;
        }
        let account = Some(account).filter(|account| !matches!(account.as_str(), "0" | "*" | ""));
        let found = Details {
            account: account.cloned(),
            user: Some(user.clone()),
            host: Some(host.clone()),
            realname: words(realname),
            ..self.flagged(flags)
        };
        self.described(channel, nick, found, true);
    }

    /// An answer in the old format, which knows nothing of accounts.
    pub(super) fn plain_who_answer(&mut self, line: &Line) {
        let [_, channel, user, host, _, nick, flags, realname] = line.parameters() else {
            return;
        };
        // In front of the description is the distance to the server.
        let realname = realname.split_once(' ').map_or("", |(_, realname)| realname);
        let found = Details {
            user: Some(user.clone()),
            host: Some(host.clone()),
            realname: words(realname),
            ..self.flagged(flags)
        };
        self.described(channel, nick, found, false);
    }

    fn flagged(&self, flags: &str) -> Details {
        Details {
            away: flags.starts_with('G').then(String::new),
            bot: self.connection.isupport().bot.is_some_and(|bot| flags.contains(bot)),
            ..Details::default()
        }
    }

    fn described(&mut self, channel: &str, nick: &str, found: Details, with_account: bool) {
        self.who.answers = self.who.answers.saturating_add(1);
        let known = locked(&self.shared.roster).user(nick).is_some();
        if !known {
            locked(&self.shared.roster).describe(channel, nick, found);
            return;
        }
        self.learn(nick, None, |details| {
            let account = if with_account {
                found.account
            } else {
                details.account.take()
            };
            // Its reason is not in the answer.
            let away = found.away.map(|_| details.away.take().unwrap_or_default());
            *details = Details { account, away, ..found };
        });
    }

    /// All has been said about a channel.
    pub(super) fn who_ended(&mut self, name: &str, line: &Line) {
        let Some(channel) = self.channel(name) else { return };
        if self.who.asked.take_if(|(asked, _)| *asked == channel).is_none() {
            return;
        }
        let pause = Duration::from_secs(1) * self.who.answers / LINES_A_SECOND;
        self.who.not_before = Instant::now() + pause;
        self.tell_listed(&channel, line);
    }

    /// The server was too busy to answer.
    pub(super) fn who_refused(&mut self) {
        if let Some((channel, _)) = self.who.asked.take() {
            self.who.waiting.push_back(channel);
            self.who.not_before = Instant::now() + BUSY;
        }
    }

    /// Notes what became known about somebody. If it changes what they are called elsewhere, that is told, as of `line`.
    pub(super) fn learn(&mut self, nick: &str, line: Option<&Line>, change: impl FnOnce(&mut Details)) {
        let learnt = locked(&self.shared.roster).learn(nick, change);
        let Some((before, after)) = learnt else { return };
        let (old, person) = (self.shared.display(&before), self.shared.person(&after));
        if old == person.name || self.connection.is_own(nick) || self.is_puppet(nick) {
            return;
        }
        let bare = message("WHO", &[]);
        let places = locked(&self.shared.roster).places(nick);
        for channel in places {
            let content = Content::Membership {
                person: person.clone(),
                change: Membership::Rename { from: old.clone() },
                reason: None,
            };
            let event = event(&self.shared, &channel, line.unwrap_or(&bare), person.clone(), content);
            self.add(event);
        }
    }

    /// Somebody described themselves anew.
    pub(super) fn redescribed(&mut self, line: &Line) {
        let realname = words(line.last());
        self.learn(line.source(), Some(line), |details| details.realname = realname);
    }

    /// Somebody has another user name or host.
    pub(super) fn moved(&mut self, line: &Line) {
        let (user, host) = (line.parameter(0).to_owned(), line.parameter(1).to_owned());
        self.learn(line.source(), Some(line), |details| {
            details.user = Some(user);
            details.host = Some(host);
        });
    }

    /// Somebody went away, or is back. Nothing is told of it.
    pub(super) fn away(&mut self, line: &Line) {
        let away = line.parameters().first().filter(|reason| !reason.is_empty());
        let away = away.map(|reason| words(reason).unwrap_or_default());
        self.learn(line.source(), Some(line), |details| details.away = away);
    }

    /// Somebody logged in to or out of an account.
    pub(super) fn account(&mut self, line: &Line) {
        let account = Some(line.parameter(0)).filter(|account| !matches!(*account, "*" | ""));
        let account = account.map(str::to_owned);
        self.learn(line.source(), Some(line), |details| details.account = account);
    }
}

/// What a JOIN tells about who joins: with `extended-join` the account and the description, and always user and host.
pub(super) fn of_join(line: &Line) -> Details {
    let (user, host) = match &line.prefix {
        Some(Prefix::Nickname(_, user, host)) if !host.is_empty() => (Some(user.clone()), Some(host.clone())),
        _ => (None, None),
    };
    let account = line.tag("account").unwrap_or_else(|| line.parameter(1));
    Details {
        account: Some(account).filter(|it| !matches!(*it, "" | "*")).map(str::to_owned),
        realname: words(line.parameter(2)),
        user,
        host,
        ..Details::default()
    }
}

impl crate::session::Shared {
    /// What somebody is called elsewhere: the configured form, or their nick while something in it is not known.
    pub(crate) fn display(&self, user: &User) -> String {
        let form = &self.section.display;
        if form == "{nick}" {
            return user.nick.clone();
        }
        let unknown = |key: &str, value: &Option<String>| form.contains(key) && value.is_none();
        let details = &user.details;
        if unknown("{realname}", &details.realname) || unknown("{account}", &details.account) {
            return user.nick.clone();
        }
        let known = [
            ("nick}", user.nick.as_str()),
            ("realname}", details.realname.as_deref().unwrap_or_default()),
            ("account}", details.account.as_deref().unwrap_or_default()),
        ];
        let out = forms::fill_in(form, &known);
        if out.trim().is_empty() { user.nick.clone() } else { out }
    }
}
