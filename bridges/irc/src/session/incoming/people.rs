//! Who comes, goes, changes; topics and roles.

use irc_proto::Message as Line;
use tokio::time::Instant;
use viaduct_model::{ChannelId, Content, Membership, MessageId, Timestamp};

use super::{Incoming, SPLIT_PATIENCE, Split, event, event_with, who};
use crate::client::line::Fields;
use crate::convert::mirc;
use crate::session::locked;
use crate::session::roster::PEOPLE;
use crate::session::user::User;

/// Whether the reason of a QUIT is how servers tell that they lost each other: two server names and nothing else.
fn is_netsplit(reason: &str) -> bool {
    let server = |name: &str| {
        name.contains('.')
            && !name.starts_with('.')
            && !name.ends_with('.')
            && name
                .chars()
                .all(|character| character.is_ascii_alphanumeric() || "-.*_".contains(character))
    };
    let mut words = reason.split(' ');
    matches!((words.next(), words.next(), words.next()), (Some(one), Some(other), None) if server(one) && server(other) && one != other)
}

fn some(reason: &str) -> Option<String> {
    let text: String = mirc::runs(reason).into_iter().map(|run| run.text).collect();
    (!text.is_empty()).then_some(text)
}

impl Incoming {
    pub(super) fn joined(&mut self, line: &Line) {
        let (name, nick) = (line.parameter(0), line.source());
        if self.connection.is_own(nick) {
            return self.entered(name);
        }
        let details = who::of_join(line);
        let joined = locked(&self.shared.roster).join(name, nick, details.clone(), "");
        // Known from another channel, perhaps with less.
        self.learn(nick, Some(line), |known| known.add(details));
        let (Some((user, true)), Some(channel)) = (joined, self.channel(name)) else {
            return;
        };
        if self.is_puppet(nick) {
            return;
        }
        if let Some(split) = self.splits.get_mut(user.id.as_str())
            && let Some(at) = split.channels.iter().position(|id| *id == channel)
        {
            // Back from a netsplit: for everybody else they had never gone.
            split.channels.swap_remove(at);
            if split.channels.is_empty() {
                self.splits.remove(user.id.as_str());
            }
            return;
        }
        let person = self.shared.person(&user);
        let content = Content::Membership {
            person: person.clone(),
            change: Membership::Join,
            reason: None,
        };
        let event = event(&self.shared, &channel, line, person, content);
        self.add(event);
    }

    pub(super) fn parted(&mut self, line: &Line) {
        let (name, nick) = (line.parameter(0), line.source());
        if self.connection.is_own(nick) {
            // Only a server does this to us (SAPART and the like).
            locked(&self.shared.roster).leave(name);
            return self.problem(name, "the server took the hub out of it".to_owned());
        }
        let user = locked(&self.shared.roster).part(name, nick);
        let (Some(user), Some(channel)) = (user, self.channel(name)) else {
            return;
        };
        if self.is_puppet(nick) {
            return;
        }
        let person = self.shared.person(&user);
        let reason = some(line.parameter(1));
        let content = Content::Membership {
            person: person.clone(),
            change: Membership::Leave,
            reason,
        };
        let event = event(&self.shared, &channel, line, person, content);
        self.add(event);
    }

    pub(super) fn quit(&mut self, line: &Line) -> Option<Line> {
        let nick = line.source();
        let left = locked(&self.shared.roster).quit(nick);
        let folded = self.connection.isupport().casemapping.fold(nick);
        if self.shared.pool.has(&folded) {
            self.shared.pool.gone(&folded);
            return None;
        }
        let reclaim = self.reclaim(nick);
        let Some((user, channels)) = left else { return reclaim };
        let batched = line
            .tag("batch")
            .and_then(|name| self.batches.get(name))
            .is_some_and(|kind| kind == "netsplit");
        let split = batched || is_netsplit(line.parameter(0));
        let person = self.shared.person(&user);
        for channel in &channels {
            let change = if split { Membership::Absent } else { Membership::Leave };
            let content = Content::Membership {
                person: person.clone(),
                change,
                reason: some(line.parameter(0)),
            };
            let event = event(&self.shared, channel, line, person.clone(), content);
            self.add(event);
        }
        if split && self.splits.len() < PEOPLE {
            self.splits.insert(
                user.id.to_string(),
                Split {
                    since: Instant::now(),
                    person,
                    channels,
                },
            );
        }
        reclaim
    }

    /// Those who have not come back from a netsplit have left after all.
    pub(super) fn expire_splits(&mut self) {
        let gone: Vec<Split> = self
            .splits
            .extract_if(|_, split| split.since.elapsed() >= SPLIT_PATIENCE)
            .map(|(_, split)| split)
            .collect();
        let at = self.shared.context.clock.now();
        for Split { person, channels, .. } in gone {
            for channel in channels {
                let content = Content::Membership {
                    person: person.clone(),
                    change: Membership::Leave,
                    reason: None,
                };
                let id = self.shared.made_id(at);
                let event = id.map(|id| event_with(&self.shared, &channel, id, at, person.clone(), content));
                self.add(event);
            }
        }
    }

    pub(super) fn kicked(&mut self, line: &Line) {
        let (name, victim) = (line.parameter(0), line.parameter(1));
        let reason = some(line.parameter(2));
        if self.connection.is_own(victim) {
            locked(&self.shared.roster).leave(name);
            let why = reason.unwrap_or_else(|| "no reason given".to_owned());
            return self.problem(name, format!("{} kicked the hub: {why}", line.source()));
        }
        let Some(channel) = self.channel(name) else { return };
        let person = self.anyone(victim, None);
        locked(&self.shared.roster).part(name, victim);
        let own = self.connection.is_own(line.source()) || self.is_puppet(line.source());
        let (Some(person), Some(sender), false) = (person, self.anyone(line.source(), line.tag("account")), own) else {
            return;
        };
        let content = Content::Membership {
            person,
            change: Membership::Kick,
            reason,
        };
        let event = event(&self.shared, &channel, line, sender, content);
        self.add(event);
    }

    pub(super) fn renamed(&mut self, line: &Line) -> Option<Line> {
        let (from, to) = (line.source(), line.parameter(0));
        let casemapping = self.connection.isupport().casemapping;
        let before = locked(&self.shared.roster).user(from).map(std::sync::Arc::clone);
        let renamed = locked(&self.shared.roster).rename(from, to);
        if self.connection.is_own(to) {
            return None;
        }
        let folded = casemapping.fold(from);
        if self.shared.pool.has(&folded) {
            self.shared.pool.rename(&folded, casemapping.fold(to));
            return None;
        }
        let reclaim = self.reclaim(from);
        let Some((user, channels)) = renamed else {
            return reclaim;
        };
        let person = self.shared.person(&user);
        let old = before.map_or_else(|| from.to_owned(), |user| self.shared.display(&user));
        if old == person.name {
            return reclaim;
        }
        for channel in channels {
            let change = Membership::Rename { from: old.clone() };
            let content = Content::Membership {
                person: person.clone(),
                change,
                reason: None,
            };
            let event = event(&self.shared, &channel, line, person.clone(), content);
            self.add(event);
        }
        reclaim
    }

    pub(super) fn modes(&mut self, line: &Line) {
        let Some(channel) = self.channel(line.parameter(0)) else {
            return;
        };
        let parameters = line.parameters().get(1..).unwrap_or_default();
        let table = self.connection.isupport().modes.clone();
        let own = self.connection.is_own(line.source()) || self.is_puppet(line.source());
        for change in table.changes(parameters.iter().map(String::as_str)) {
            let Some(nick) = change.argument.filter(|_| table.is_member_mode(change.mode)) else {
                continue;
            };
            let changed = locked(&self.shared.roster).mode(line.parameter(0), &nick, change.mode, change.set);
            let Some((_, modes)) = changed.filter(|_| !own && !self.connection.is_own(&nick)) else {
                continue;
            };
            let (Some(person), Some(sender)) = (self.anyone(&nick, None), self.anyone(line.source(), None)) else {
                continue;
            };
            let content = Content::Role {
                person,
                role: table.role(&modes),
            };
            let event = event(&self.shared, &channel, line, sender, content);
            self.add(event);
        }
    }

    pub(super) fn topic(&mut self, line: &Line) {
        let Some(channel) = self.channel(line.parameter(0)) else {
            return;
        };
        let topic = some(line.parameter(1)).unwrap_or_default();
        if let Some(known) = locked(&self.shared.roster).channel(line.parameter(0)) {
            known.topic = Some(topic.clone());
        }
        if self.connection.is_own(line.source()) || self.is_puppet(line.source()) {
            return;
        }
        let Some(sender) = self.anyone(line.source(), line.tag("account")) else {
            return;
        };
        let event = event(&self.shared, &channel, line, sender, Content::Topic { topic });
        self.add(event);
    }

    /// The topic as it is on joining. Its id is made of who set it and when, so that it is told only once.
    pub(super) fn known_topic(&mut self, name: &str, topic: &str, setter: &str, at: Timestamp) {
        let Some(channel) = self.channel(name) else { return };
        let topic = some(topic).unwrap_or_default();
        let setter = setter.split('!').next().unwrap_or(setter);
        let mut roster = locked(&self.shared.roster);
        let Some(known) = roster.channel(name) else { return };
        let news = known.topic.as_ref() != Some(&topic);
        let first = known.topic.replace(topic.clone()).is_none();
        drop(roster);
        let own = self.connection.is_own(setter) || self.is_puppet(setter);
        if !news || own || (first && topic.is_empty()) {
            return;
        }
        let id = MessageId::new(format!("topic.{}.{setter}", at.as_millis())).ok();
        let event = self
            .anyone(setter, None)
            .zip(id)
            .map(|(sender, id)| event_with(&self.shared, &channel, id, at, sender, Content::Topic { topic }));
        self.add(event);
    }

    /// The list of members is complete; who they are beside their nicks is asked for.
    pub(super) fn listed(&mut self, name: &str, line: &Line) {
        let Some(channel) = self.channel(name) else { return };
        let people = locked(&self.shared.roster).arrived(name);
        let asked = self.ask_who(&channel, people);
        if !(asked && self.shared.needs_details()) {
            self.tell_listed(&channel, line);
        }
    }

    /// Tells who came and went since the list of members was told last, if there is a new one.
    pub(super) fn tell_listed(&mut self, channel: &ChannelId, line: &Line) {
        let name = channel.as_str();
        if locked(&self.shared.roster).arrived(name) == 0 {
            return;
        }
        let table = self.connection.isupport().modes.clone();
        let listed = {
            let skip = |nick: &str| self.connection.is_own(nick) || self.is_puppet(nick);
            locked(&self.shared.roster).listed(name, &table, &skip)
        };
        for (user, role) in listed.came {
            let person = self.shared.person(&user);
            let content = Content::Membership {
                person: person.clone(),
                change: Membership::Join,
                reason: None,
            };
            let join = event(&self.shared, channel, line, person.clone(), content);
            self.add(join);
            if role != viaduct_model::Role::Member {
                let role = event(
                    &self.shared,
                    channel,
                    line,
                    person.clone(),
                    Content::Role { person, role },
                );
                self.add(role);
            }
        }
        for user in listed.left {
            self.left_meanwhile(channel, &user, line);
        }
    }

    fn left_meanwhile(&mut self, channel: &ChannelId, user: &User, line: &Line) {
        let person = self.shared.person(user);
        let content = Content::Membership {
            person: person.clone(),
            change: Membership::Leave,
            reason: None,
        };
        let event = event(&self.shared, channel, line, person, content);
        self.add(event);
    }
}

#[cfg(test)]
mod tests {
    use super::is_netsplit;

    #[test]
    fn netsplits_are_two_servers() {
        assert!(is_netsplit("irc.one.example irc.two.example"));
        assert!(is_netsplit("*.net *.split"));
        for other in [
            "Quit: bye",
            "see example.com",
            "a.b",
            "http://a.b c.d",
            "a.b c.d e.f",
            "a.b a.b",
            "bye. see.you",
        ] {
            assert!(!is_netsplit(other), "{other}");
        }
    }
}
