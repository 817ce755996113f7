//! Who is where: the reader's view of its channels. Pure state.
//!
//! A person keeps the id they came with when they change their nick, as long as they stay. Only then is one message after
//! a nick change still from the same ghost.

use std::collections::HashMap;
use std::sync::Arc;

use viaduct_model::{ChannelId, PersonId, Role};

use super::user::{Details, User};
use crate::convert::modes::ModeTable;
use crate::convert::{Casemapping, Folded};

/// People remembered at most; those beyond are not listed, but can still speak.
pub const PEOPLE: usize = 100_000;

/// One of the mirrored channels.
#[derive(Debug)]
pub struct Channel {
    /// Its id for the hub: the configuration's spelling.
    pub id: ChannelId,
    /// Whether the reader is in it.
    pub joined: bool,
    /// Its members (folded nicks) with their modes.
    pub members: HashMap<Folded, String>,
    /// Members of a list that is arriving, and what is known about them.
    arriving: Vec<(String, String)>,
    described: HashMap<Folded, Details>,
    /// Its topic, once known.
    pub topic: Option<String>,
}

/// What changed when a list of members was complete.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Listed {
    /// Those who were not known to be there, with their role.
    pub came: Vec<(Arc<User>, Role)>,
    /// Those who are no longer there.
    pub left: Vec<Arc<User>>,
}

/// Who is where.
#[derive(Debug, Default)]
pub struct Roster {
    /// How names compare; to be set before anything else, and only while empty or for the same network.
    pub casemapping: Casemapping,
    /// Whether an account, where known, is what a person is recognised by.
    by_account: bool,
    users: HashMap<Folded, Arc<User>>,
    ids: HashMap<PersonId, Folded>,
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
            described: HashMap::new(),
            topic: None,
        });
    }

    /// Looks after a channel no longer; whoever was there alone is forgotten. Gives it as it was.
    pub fn remove_channel(&mut self, name: &str) -> Option<Channel> {
        let folded = self.casemapping.fold(name);
        let nicks: Vec<Folded> = self.channels.get(&folded)?.members.keys().cloned().collect();
        for nick in nicks {
            self.part(name, nick.as_str());
        }
        self.channels.remove(&folded)
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
    pub fn user(&self, nick: &str) -> Option<&Arc<User>> {
        self.users.get(&self.casemapping.fold(nick))
    }

    /// Everybody.
    pub fn users(&self) -> impl Iterator<Item = &User> {
        self.users.values().map(Arc::as_ref)
    }

    /// The channels somebody is in.
    pub fn places(&self, nick: &str) -> Vec<ChannelId> {
        let folded = self.casemapping.fold(nick);
        let inside = self
            .channels
            .values()
            .filter(|channel| channel.members.contains_key(&folded));
        inside.map(|channel| channel.id.clone()).collect()
    }

    /// The nick of the person with this id; the id itself if they are not here, for that is the nick they had.
    pub fn nick_of(&self, id: &PersonId) -> String {
        let folded = self.ids.get(id).and_then(|folded| self.users.get(folded));
        folded.map_or_else(|| id.as_str().to_owned(), |user| user.nick.clone())
    }

    /// Somebody, perhaps never seen before: with the id that is theirs or would be. Whoever is here keeps their id, whatever
    /// account they log in to. None if the nick cannot be one.
    pub fn person(&self, nick: &str, account: Option<&str>) -> Option<Arc<User>> {
        if let Some(user) = self.user(nick) {
            return Some(Arc::clone(user));
        }
        let details = Details {
            account: account.map(str::to_owned),
            ..Details::default()
        };
        self.fresh(nick, details).map(Arc::new)
    }

    fn fresh(&self, nick: &str, details: Details) -> Option<User> {
        Some(User {
            nick: nick.to_owned(),
            id: self.fresh_id(nick, details.account.as_deref())?,
            details,
            channels: 0,
        })
    }

    fn fresh_id(&self, nick: &str, account: Option<&str>) -> Option<PersonId> {
        if let Some(account) = account.filter(|_| self.by_account) {
            return PersonId::new(format!("${account}")).ok();
        }
        let folded = self.casemapping.fold(nick);
        let free = |id: &PersonId| self.ids.get(id).is_none_or(|holder| *holder == folded);
        let mut id = PersonId::new(folded.as_str()).ok()?;
        let mut number = 1_u32;
        // Somebody who came with this nick has another by now and keeps the id.
        while !free(&id) && number < 1000 {
            number += 1;
            id = PersonId::new(format!("{folded}/{number}")).ok()?;
        }
        Some(id)
    }

    /// Somebody is in a channel. Gives who, and whether that is news.
    pub fn join(&mut self, channel: &str, nick: &str, details: Details, modes: &str) -> Option<(Arc<User>, bool)> {
        let folded = self.casemapping.fold(nick);
        let channel = self.casemapping.fold(channel);
        if !self.users.contains_key(&folded) {
            if !self.channels.contains_key(&channel) || self.users.len() >= PEOPLE {
                return None;
            }
            let user = self.fresh(nick, details)?;
            self.ids.insert(user.id.clone(), folded.clone());
            self.users.insert(folded.clone(), Arc::new(user));
        }
        let channel = self.channels.get_mut(&channel)?;
        if !channel.arriving.is_empty() {
            channel.arriving.push((nick.to_owned(), modes.to_owned()));
        }
        let news = channel.members.insert(folded.clone(), modes.to_owned()).is_none();
        let user = self.users.get_mut(&folded)?;
        if news {
            Arc::make_mut(user).channels += 1;
        }
        Some((Arc::clone(user), news))
    }

    /// The server told something about somebody. Gives them as they were and as they are, if that is known already and
    /// differs.
    pub fn learn(&mut self, nick: &str, change: impl FnOnce(&mut Details)) -> Option<(Arc<User>, Arc<User>)> {
        let user = self.users.get_mut(&self.casemapping.fold(nick))?;
        let mut details = user.details.clone();
        change(&mut details);
        if details == user.details {
            return None;
        }
        let before = Arc::clone(user);
        Arc::make_mut(user).details = details;
        Some((before, Arc::clone(user)))
    }

    /// Somebody of a list that is arriving is described.
    pub fn describe(&mut self, channel: &str, nick: &str, details: Details) {
        let folded = self.casemapping.fold(nick);
        if let Some(channel) = self.channel(channel)
            && channel.described.len() < PEOPLE
        {
            channel.described.insert(folded, details);
        }
    }

    /// Somebody left a channel. Gives who, if they were there.
    pub fn part(&mut self, channel: &str, nick: &str) -> Option<Arc<User>> {
        let folded = self.casemapping.fold(nick);
        let casemapping = self.casemapping;
        let channel = self.channels.get_mut(&casemapping.fold(channel))?;
        channel.arriving.retain(|(there, _)| !casemapping.same(there, nick));
        channel.members.remove(&folded)?;
        let user = self.users.get_mut(&folded)?;
        let left = user.channels.saturating_sub(1);
        Arc::make_mut(user).channels = left;
        let user = Arc::clone(user);
        if left == 0 {
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
    pub fn quit(&mut self, nick: &str) -> Option<(Arc<User>, Vec<ChannelId>)> {
        let casemapping = self.casemapping;
        let folded = casemapping.fold(nick);
        let mut left = Vec::new();
        for channel in self.channels.values_mut() {
            channel.arriving.retain(|(there, _)| !casemapping.same(there, nick));
            if channel.members.remove(&folded).is_some() {
                left.push(channel.id.clone());
            }
        }
        let user = Arc::clone(self.users.get(&folded)?);
        self.forget(&folded);
        Some((user, left))
    }

    /// Somebody changed their nick. Gives who they are now, and the channels they are in.
    pub fn rename(&mut self, from: &str, to: &str) -> Option<(Arc<User>, Vec<ChannelId>)> {
        let casemapping = self.casemapping;
        let (old, new) = (casemapping.fold(from), casemapping.fold(to));
        for (there, _) in self.channels.values_mut().flat_map(|channel| &mut channel.arriving) {
            if casemapping.same(there, from) {
                to.clone_into(there);
            }
        }
        let mut user = self.users.remove(&old)?;
        to.clone_into(&mut Arc::make_mut(&mut user).nick);
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

    /// A mode of a member changed. Gives who, and all their modes.
    pub fn mode(&mut self, channel: &str, nick: &str, mode: char, set: bool) -> Option<(Arc<User>, String)> {
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
            let (nick, origin) = name.split_once('!').unwrap_or((name, ""));
            if channel.arriving.len() >= PEOPLE {
                continue;
            }
            if let Some((user, host)) = origin.split_once('@') {
                let details = Details {
                    user: Some(user.to_owned()),
                    host: Some(host.to_owned()),
                    ..Details::default()
                };
                channel.described.entry(self.casemapping.fold(nick)).or_insert(details);
            }
            channel.arriving.push((nick.to_owned(), modes));
        }
    }

    /// How many members have arrived so far of a list.
    pub fn arrived(&self, channel: &str) -> usize {
        self.channel_ref(channel).map_or(0, |channel| channel.arriving.len())
    }

    /// The list of members is complete: what differs from what was known. People that `skip` names are noted, not told.
    pub fn listed(&mut self, channel: &str, table: &ModeTable, skip: &dyn Fn(&str) -> bool) -> Listed {
        let mut out = Listed::default();
        let folded = self.casemapping.fold(channel);
        let Some(found) = self.channels.get_mut(&folded) else {
            return out;
        };
        let arrived = std::mem::take(&mut found.arriving);
        let mut described = std::mem::take(&mut found.described);
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
            let details = described.remove(&self.casemapping.fold(&nick)).unwrap_or_default();
            if let Some((user, true)) = self.join(channel, &nick, details, &modes)
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
            channel.described.clear();
        }
    }

    /// The reader is in no channel any more. Who was there stays known, to tell who came and went meanwhile.
    pub fn leave_all(&mut self) {
        for channel in self.channels.values_mut() {
            channel.joined = false;
            channel.arriving.clear();
            channel.described.clear();
        }
    }
}

#[cfg(test)]
mod tests;
