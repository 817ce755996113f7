//! What happens to channels and to those in them: joins and leaves, names, topics, archives, shares.

use serde_json::{Map, Value, json};

use super::emit::Audience;
use super::speech::Draft;
use super::state::{Channel, Kind, State};

impl State {
    /// A new channel of `team`; its creator is in it.
    pub(super) fn make_channel(&mut self, team: &str, name: &str, kind: Kind, creator: &str) -> String {
        let id = self.ids.next(if kind == Kind::Im { "D" } else { "C" });
        let ts = self.ids.ts();
        let channel = Channel {
            id: id.clone(),
            name: name.to_owned(),
            kind,
            team: team.to_owned(),
            teams: [team.to_owned()].into(),
            members: [creator.to_owned()]
                .into_iter()
                .filter(|creator| !creator.is_empty())
                .collect(),
            creator: creator.to_owned(),
            created: ts.seconds(),
            ..Channel::default()
        };
        self.channels.insert(id.clone(), channel);
        if kind == Kind::Public {
            let event = json!({
                "type": "channel_created", "event_ts": ts.to_string(),
                "channel": {
                    "id": id, "is_channel": true, "name": name, "name_normalized": name, "created": ts.seconds(),
                    "creator": creator,
                },
            });
            self.emit(Audience::Team(team), &event);
        }
        id
    }

    /// The conversation of these people, made if there is none.
    pub(super) fn direct(&mut self, team: &str, users: &[&str]) -> (String, bool) {
        let kind = if users.len() > 2 { Kind::Mpim } else { Kind::Im };
        let same = |channel: &&Channel| {
            channel.kind == kind
                && channel.members.len() == users.len()
                && users.iter().all(|user| channel.members.contains(*user))
        };
        if let Some(channel) = self.channels.values().find(same) {
            return (channel.id.clone(), true);
        }
        let name = if kind == Kind::Mpim {
            format!("mpdm-{}-1", users.join("--").to_lowercase())
        } else {
            String::new()
        };
        let id = self.make_channel(team, &name, kind, users.first().copied().unwrap_or_default());
        if let Some(channel) = self.channels.get_mut(&id) {
            channel.members = users.iter().map(|user| (*user).to_owned()).collect();
        }
        (id, false)
    }

    /// Lets somebody in. False if they were there.
    pub(super) fn join(&mut self, channel: &str, user: &str, inviter: Option<&str>) -> bool {
        let team = self.users.get(user).map(|user| user.team.clone()).unwrap_or_default();
        let Some(place) = self.channels.get_mut(channel) else {
            return false;
        };
        if !place.members.insert(user.to_owned()) {
            return false;
        }
        let kind = place.kind;
        let ts = self.ids.ts();
        let mut event = json!({
            "type": "member_joined_channel", "user": user, "channel": channel, "channel_type": letter(kind), "team": team,
            "event_ts": ts.to_string(),
        });
        if let Some(inviter) = inviter {
            event["inviter"] = json!(inviter);
        }
        self.emit(Audience::Members(channel), &event);
        let more = inviter
            .map(|inviter| ("inviter".to_owned(), json!(inviter)))
            .into_iter()
            .collect();
        self.note(
            channel,
            user,
            kind,
            "join",
            format!("<@{user}> has joined the channel"),
            more,
        );
        true
    }

    /// Lets somebody go, removed by `actor` or by themselves. False if they were not there.
    pub(super) fn leave(&mut self, channel: &str, user: &str, actor: &str) -> bool {
        let team = self.users.get(user).map(|user| user.team.clone()).unwrap_or_default();
        let Some(place) = self.channels.get_mut(channel) else {
            return false;
        };
        if !place.members.remove(user) {
            return false;
        }
        let kind = place.kind;
        let ts = self.ids.ts();
        if let Some(index) = self.installs.iter().position(|install| install.user == user) {
            let word = if kind == Kind::Public {
                "channel_left"
            } else {
                "group_left"
            };
            let event = json!({ "type": word, "channel": channel, "actor_id": actor, "event_ts": ts.to_string() });
            self.emit(Audience::App(index), &event);
        }
        let event = json!({
            "type": "member_left_channel", "user": user, "channel": channel, "channel_type": letter(kind), "team": team,
            "event_ts": ts.to_string(),
        });
        self.emit(Audience::Members(channel), &event);
        self.note(
            channel,
            user,
            kind,
            "leave",
            format!("<@{user}> has left the channel"),
            Map::new(),
        );
        true
    }

    pub(super) fn rename_channel(&mut self, channel: &str, user: &str, name: &str) -> bool {
        let Some(place) = self.channels.get_mut(channel) else {
            return false;
        };
        let before = std::mem::replace(&mut place.name, name.to_owned());
        place.previous_names.insert(0, before.clone());
        let (kind, created) = (place.kind, place.created);
        let ts = self.ids.ts();
        let event = json!({
            "type": word(kind, "rename"), "event_ts": ts.to_string(),
            "channel": {
                "id": channel, "is_channel": kind == Kind::Public, "is_mpim": false, "name": name,
                "name_normalized": name, "created": created,
            },
        });
        self.emit(Audience::Seers(channel), &event);
        let more = [("old_name".to_owned(), json!(before)), ("name".to_owned(), json!(name))]
            .into_iter()
            .collect();
        self.note(
            channel,
            user,
            kind,
            "name",
            format!("has renamed the channel from \"{before}\" to \"{name}\""),
            more,
        );
        true
    }

    /// Sets the topic, or the purpose.
    pub(super) fn set_topic(&mut self, channel: &str, user: &str, which: &'static str, text: &str) -> bool {
        let Some(place) = self.channels.get_mut(channel) else {
            return false;
        };
        let kind = place.kind;
        text.clone_into(if which == "topic" {
            &mut place.topic
        } else {
            &mut place.purpose
        });
        let more = [(which.to_owned(), json!(text))].into_iter().collect();
        self.note(
            channel,
            user,
            kind,
            which,
            format!("set the channel {which}: {text}"),
            more,
        );
        true
    }

    pub(super) fn set_archived(&mut self, channel: &str, user: &str, archived: bool) -> bool {
        let Some(place) = self
            .channels
            .get_mut(channel)
            .filter(|place| place.archived != archived)
        else {
            return false;
        };
        place.archived = archived;
        let kind = place.kind;
        let ts = self.ids.ts();
        let what = if archived { "archive" } else { "unarchive" };
        let event = json!({ "type": word(kind, what), "channel": channel, "user": user, "event_ts": ts.to_string() });
        self.emit(Audience::Seers(channel), &event);
        self.note(channel, user, kind, what, format!("{what}d the channel"), Map::new());
        true
    }

    /// Shares a channel with another workspace, or ends that.
    pub(super) fn share(&mut self, channel: &str, team: &str, shared: bool) -> bool {
        let strangers: Vec<String> = self
            .users
            .values()
            .filter(|user| user.team == team)
            .map(|user| user.id.clone())
            .collect();
        let Some(place) = self.channels.get_mut(channel).filter(|place| place.team != team) else {
            return false;
        };
        let changed = if shared {
            place.teams.insert(team.to_owned())
        } else {
            place.teams.remove(team)
        };
        if !changed {
            return false;
        }
        if !shared {
            place.members.retain(|member| !strangers.contains(member));
        }
        let still = place.is_shared();
        let ts = self.ids.ts().to_string();
        let event = if shared {
            json!({ "type": "channel_shared", "connected_team_id": team, "channel": channel, "event_ts": ts })
        } else {
            json!({
                "type": "channel_unshared", "previously_connected_team_id": team, "channel": channel,
                "is_ext_shared": still, "event_ts": ts,
            })
        };
        self.emit(Audience::Seers(channel), &event);
        true
    }

    /// Gives a channel another identifier, as Slack does when it becomes shared. The new one.
    pub(super) fn renumber_channel(&mut self, channel: &str) -> Option<String> {
        let mut place = self.channels.remove(channel)?;
        let id = self.ids.next("C");
        place.id.clone_from(&id);
        self.channels.insert(id.clone(), place);
        for file in self.files.values_mut() {
            file.shares
                .iter_mut()
                .filter(|(shared, ..)| shared == channel)
                .for_each(|share| share.0.clone_from(&id));
        }
        let ts = self.ids.ts().to_string();
        let event =
            json!({ "type": "channel_id_changed", "old_channel_id": channel, "new_channel_id": id, "event_ts": ts });
        self.emit(Audience::Seers(&id), &event);
        Some(id)
    }

    /// A message by which a channel tells what happened to it.
    fn note(&mut self, channel: &str, user: &str, kind: Kind, what: &str, text: String, more: Map<String, Value>) {
        let subtype = match (kind, what) {
            (Kind::Public, "join") => "channel_join",
            (Kind::Public, "leave") => "channel_leave",
            (Kind::Public, "name") => "channel_name",
            (Kind::Public, "topic") => "channel_topic",
            (Kind::Public, "purpose") => "channel_purpose",
            (Kind::Public, "archive") => "channel_archive",
            (Kind::Public, "unarchive") => "channel_unarchive",
            (Kind::Private, "join") => "group_join",
            (Kind::Private, "leave") => "group_leave",
            (Kind::Private, "name") => "group_name",
            (Kind::Private, "topic") => "group_topic",
            (Kind::Private, "purpose") => "group_purpose",
            (Kind::Private, "archive") => "group_archive",
            (Kind::Private, "unarchive") => "group_unarchive",
            _ => return,
        };
        let draft = Draft {
            author: user.to_owned(),
            subtype: Some(subtype),
            text,
            more,
            plain: true,
            ..Draft::default()
        };
        self.say(channel, draft);
    }
}

fn word(kind: Kind, what: &str) -> String {
    format!("{}_{what}", if kind == Kind::Public { "channel" } else { "group" })
}

fn letter(kind: Kind) -> &'static str {
    match kind {
        Kind::Public => "C",
        Kind::Private | Kind::Mpim => "G",
        Kind::Im => "D",
    }
}
