//! Who is where: the reader's view of its channels. Pure state.
//!
//! A person keeps the id they came with when they change their nick, as long as they stay. Only then is one message after
//! a nick change still from the same ghost.

use std::collections::HashMap;

use viaduct_model::{ChannelId, PersonId, Role};

use crate::convert::modes::ModeTable;
use crate::convert::{Casemapping, Folded};

/// People remembered at most; those beyond are not listed, but can still speak.
pub const PEOPLE: usize = 100_000;

/// Somebody the reader sees.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// Their nick, in their spelling.
    pub nick: String,
    /// Their id for the hub.
    pub id: String,
    /// Their account.
    pub account: Option<String>,
    channels: usize,
}

/// One of the mirrored channels.
#[derive(Debug)]
pub struct Channel {
    /// Its id for the hub: the configuration's spelling.
    pub id: ChannelId,
    /// Whether the reader is in it.
    pub joined: bool,
    /// Its members (folded nicks) with their modes.
    pub members: HashMap<Folded, String>,
    /// Members of a list that is arriving.
    arriving: Vec<(String, String)>,
    /// Its topic, once known.
    pub topic: Option<String>,
}

/// What changed when a list of members was complete.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Listed {
    /// Ids and nicks of those who were not known to be there, with their role.
    pub came: Vec<(User, Role)>,
    /// Those who are no longer there.
    pub left: Vec<User>,
}

/// Who is where.
#[derive(Debug, Default)]
pub struct Roster {
    /// How names compare; to be set before anything else, and only while empty or for the same network.
    pub casemapping: Casemapping,
    /// Whether an account, where known, is what a person is recognised by.
    by_account: bool,
    users: HashMap<Folded, User>,
    ids: HashMap<String, Folded>,
    channels: HashMap<Folded, Channel>,
}

impl Roster {
    /// Nobody anywhere. `by_account` says whether an account, where known, is what a person is recognised by.
    pub fn new(by_account: bool) -> Self {
        Self {
            by_account,
            ..Self::default()
        }
    }

    /// Adds a channel to look after.
    pub fn add_channel(&mut self, id: ChannelId) {
        let name = self.casemapping.fold(id.as_str());
        self.channels.entry(name).or_insert_with(|| Channel {
            id,
            joined: false,
            members: HashMap::new(),
            arriving: Vec::new(),
            topic: None,
        });
    }

    /// Takes another comparison of names; channels are kept, people are forgotten.
    pub fn set_casemapping(&mut self, casemapping: Casemapping) {
        if self.casemapping != casemapping {
            self.casemapping = casemapping;
            let ids: Vec<ChannelId> = self.channels.drain().map(|(_, channel)| channel.id).collect();
            self.users.clear();
            self.ids.clear();
            for id in ids {
                self.add_channel(id);
            }
        }
    }

    /// A channel by its name.
    pub fn channel(&mut self, name: &str) -> Option<&mut Channel> {
        self.channels.get_mut(&self.casemapping.fold(name))
    }

    /// A channel by its name, to look at.
    pub fn channel_ref(&self, name: &str) -> Option<&Channel> {
        self.channels.get(&self.casemapping.fold(name))
    }

    /// All channels.
    pub fn channels(&self) -> impl Iterator<Item = &Channel> {
        self.channels.values()
    }

    /// Somebody by their nick.
    pub fn user(&self, nick: &str) -> Option<&User> {
        self.users.get(&self.casemapping.fold(nick))
    }

    /// The nick of the person with this id; the id itself if they are not here, for that is the nick they had.
    pub fn nick_of(&self, id: &PersonId) -> String {
        let folded = self.ids.get(id.as_str()).and_then(|folded| self.users.get(folded));
        folded.map_or_else(|| id.as_str().to_owned(), |user| user.nick.clone())
    }

    /// Somebody, perhaps never seen before: with the id that is theirs or would be.
    pub fn person(&self, nick: &str, account: Option<&str>) -> User {
        match self.user(nick) {
            Some(user) if !self.by_account || account.is_none() || user.account.as_deref() == account => user.clone(),
            _ => User {
                nick: nick.to_owned(),
                id: self.fresh_id(nick, account),
                account: account.map(str::to_owned),
                channels: 0,
            },
        }
    }

    fn fresh_id(&self, nick: &str, account: Option<&str>) -> String {
        if let Some(account) = account.filter(|_| self.by_account) {
            return format!("${account}");
        }
        let folded = self.casemapping.fold(nick);
        let free = |id: &str| self.ids.get(id).is_none_or(|holder| *holder == folded);
        let mut id = folded.as_str().to_owned();
        let mut number = 1_u32;
        // Somebody who came with this nick has another by now and keeps the id.
        while !free(&id) && number < 1000 {
            number += 1;
            id = format!("{folded}/{number}");
        }
        id
    }

    /// Somebody is in a channel. Gives who, and whether that is news.
    pub fn join(&mut self, channel: &str, nick: &str, account: Option<&str>, modes: &str) -> Option<(User, bool)> {
        let folded = self.casemapping.fold(nick);
        let known = self.users.contains_key(&folded);
        let user = self.person(nick, account);
        let channel = self.channels.get_mut(&self.casemapping.fold(channel))?;
        if !known && self.users.len() >= PEOPLE {
            return None;
        }
        let news = channel.members.insert(folded.clone(), modes.to_owned()).is_none();
        self.ids.insert(user.id.clone(), folded.clone());
        let entry = self.users.entry(folded).or_insert_with(|| user.clone());
        entry.channels += usize::from(news);
        Some((user, news))
    }

    /// Somebody left a channel. Gives who, if they were there.
    pub fn part(&mut self, channel: &str, nick: &str) -> Option<User> {
        let folded = self.casemapping.fold(nick);
        let channel = self.channels.get_mut(&self.casemapping.fold(channel))?;
        channel.members.remove(&folded)?;
        let user = self.users.get_mut(&folded)?;
        user.channels = user.channels.saturating_sub(1);
        let user = user.clone();
        if user.channels == 0 {
            self.forget(&folded);
        }
        Some(user)
    }

    fn forget(&mut self, folded: &Folded) {
        if let Some(user) = self.users.remove(folded)
            && self.ids.get(&user.id) == Some(folded)
        {
            self.ids.remove(&user.id);
        }
    }

    /// Somebody left the network. Gives who, and the channels they were in.
    pub fn quit(&mut self, nick: &str) -> Option<(User, Vec<ChannelId>)> {
        let folded = self.casemapping.fold(nick);
        let user = self.users.get(&folded)?.clone();
        let mut left = Vec::new();
        for channel in self.channels.values_mut() {
            if channel.members.remove(&folded).is_some() {
                left.push(channel.id.clone());
            }
        }
        self.forget(&folded);
        Some((user, left))
    }

    /// Somebody changed their nick. Gives who they are now, and the channels they are in.
    pub fn rename(&mut self, from: &str, to: &str) -> Option<(User, Vec<ChannelId>)> {
        let (old, new) = (self.casemapping.fold(from), self.casemapping.fold(to));
        let mut user = self.users.remove(&old)?;
        to.clone_into(&mut user.nick);
        self.ids.insert(user.id.clone(), new.clone());
        self.users.insert(new.clone(), user.clone());
        let mut places = Vec::new();
        for channel in self.channels.values_mut() {
            if let Some(modes) = channel.members.remove(&old) {
                channel.members.insert(new.clone(), modes);
                places.push(channel.id.clone());
            }
        }
        Some((user, places))
    }

    /// Somebody logged in to or out of an account.
    pub fn set_account(&mut self, nick: &str, account: Option<&str>) {
        if let Some(user) = self.users.get_mut(&self.casemapping.fold(nick)) {
            user.account = account.map(str::to_owned);
        }
    }

    /// A mode of a member changed. Gives who, and all their modes.
    pub fn mode(&mut self, channel: &str, nick: &str, mode: char, set: bool) -> Option<(User, String)> {
        let folded = self.casemapping.fold(nick);
        let modes = self
            .channels
            .get_mut(&self.casemapping.fold(channel))?
            .members
            .get_mut(&folded)?;
        modes.retain(|known| known != mode);
        if set {
            modes.push(mode);
        }
        let modes = modes.clone();
        self.users.get(&folded).map(|user| (user.clone(), modes))
    }

    /// The modes of a member.
    pub fn modes(&self, channel: &str, nick: &str) -> Option<&str> {
        let channel = self.channels.get(&self.casemapping.fold(channel))?;
        channel.members.get(&self.casemapping.fold(nick)).map(String::as_str)
    }

    /// Part of a list of members arrived: names with their signs, perhaps with user and host.
    pub fn list(&mut self, channel: &str, names: &str, table: &ModeTable) {
        let Some(channel) = self.channels.get_mut(&self.casemapping.fold(channel)) else {
            return;
        };
        for name in names.split(' ').filter(|name| !name.is_empty()) {
            let (name, modes) = table.strip(name);
            let nick = name.split('!').next().unwrap_or(name);
            if channel.arriving.len() < PEOPLE {
                channel.arriving.push((nick.to_owned(), modes));
            }
        }
    }

    /// The list of members is complete: what differs from what was known. People that `skip` names are noted, not told.
    pub fn listed(&mut self, channel: &str, table: &ModeTable, skip: &dyn Fn(&str) -> bool) -> Listed {
        let mut out = Listed::default();
        let folded = self.casemapping.fold(channel);
        let Some(found) = self.channels.get_mut(&folded) else {
            return out;
        };
        let arrived = std::mem::take(&mut found.arriving);
        let here: std::collections::HashSet<Folded> =
            arrived.iter().map(|(nick, _)| self.casemapping.fold(nick)).collect();
        let gone: Vec<Folded> = found
            .members
            .keys()
            .filter(|nick| !here.contains(*nick))
            .cloned()
            .collect();
        for nick in gone {
            if let Some(user) = self.part(channel, nick.as_str()).filter(|user| !skip(&user.nick)) {
                out.left.push(user);
            }
        }
        for (nick, modes) in arrived {
            if let Some((user, true)) = self.join(channel, &nick, None, &modes)
                && !skip(&nick)
            {
                out.came.push((user, table.role(&modes)));
            }
        }
        out
    }

    /// The reader is no longer in a channel.
    pub fn leave(&mut self, channel: &str) {
        if let Some(channel) = self.channel(channel) {
            channel.joined = false;
            channel.arriving.clear();
        }
    }

    /// The reader is in no channel any more. Who was there stays known, to tell who came and went meanwhile.
    pub fn leave_all(&mut self) {
        for channel in self.channels.values_mut() {
            channel.joined = false;
            channel.arriving.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn roster() -> Roster {
        let mut roster = Roster::default();
        roster.add_channel(ChannelId::new("#A").unwrap());
        roster.add_channel(ChannelId::new("#b").unwrap());
        roster
    }

    #[test]
    fn an_id_outlives_a_nick_and_is_not_given_twice() {
        let mut roster = roster();
        roster.join("#a", "Ann", None, "").unwrap();
        let (ann, places) = roster.rename("ann", "Ann|away").unwrap();
        assert_eq!(
            (ann.id.as_str(), ann.nick.as_str(), places.len()),
            ("ann", "Ann|away", 1)
        );
        let (other, _) = roster.join("#a", "ANN", None, "").unwrap();
        assert_eq!(other.id, "ann/2");
        assert_eq!(roster.nick_of(&PersonId::new("ann").unwrap()), "Ann|away");
        roster.quit("ann|away").unwrap();
        assert_eq!(roster.nick_of(&PersonId::new("ann").unwrap()), "ann");
    }

    #[test]
    fn a_list_tells_only_what_is_new() {
        let mut roster = roster();
        let table = ModeTable::default();
        roster.list("#a", "@ann +bo me", &table);
        let first = roster.listed("#A", &table, &|nick| nick == "me");
        let shown = |listed: &Listed| {
            let mut came: Vec<_> = listed
                .came
                .iter()
                .map(|(user, role)| (user.id.clone(), *role))
                .collect();
            came.sort();
            (came, listed.left.iter().map(|user| user.id.clone()).collect::<Vec<_>>())
        };
        assert_eq!(
            shown(&first),
            (
                vec![("ann".into(), Role::Moderator), ("bo".into(), Role::Voiced)],
                vec![]
            )
        );
        roster.leave_all();
        roster.list("#a", "ann!u@h cy me", &table);
        let second = roster.listed("#a", &table, &|nick| nick == "me");
        assert_eq!(shown(&second), (vec![("cy".into(), Role::Member)], vec!["bo".into()]));
        assert_eq!(roster.quit("ann").unwrap().1, [ChannelId::new("#A").unwrap()]);
    }

    #[test]
    fn accounts_when_asked_for() {
        let mut roster = roster();
        roster.by_account = true;
        assert_eq!(roster.join("#a", "Ann", Some("acc"), "").unwrap().0.id, "$acc");
        assert_eq!(roster.join("#b", "Bo", None, "").unwrap().0.id, "bo");
    }
}
