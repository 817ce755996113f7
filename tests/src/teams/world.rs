//! What is there and how it changes: tenants, apps, people, teams, channels, and who is in them.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::control::App;
use super::delivery::Postbox;
use super::state::{Channel, Kind, Registration, State, Team, User};

/// The permissions that an app begins with: those for its team or chat, and three for the whole tenant.
pub(super) const CONSENT: &[&str] = &[
    "ChannelMessage.Read.Group",
    "ChannelSettings.Read.Group",
    "TeamSettings.Read.Group",
    "TeamMember.Read.Group",
    "ChatMessage.Read.Chat",
    "ChatMember.Read.Chat",
    "ChatSettings.Read.Chat",
    "User.Read.All",
    "Files.ReadWrite.All",
    "Team.ReadBasic.All",
];

impl State {
    pub(super) fn add_tenant(&mut self, name: &str) -> String {
        let id = self.ids.guid();
        self.tenants.insert(id.clone(), name.to_owned());
        id
    }

    pub(super) fn register(&mut self, tenant: &str, name: &str) -> App {
        let app_id = self.ids.guid();
        let app = App {
            bot_id: format!("28:{app_id}"),
            app_id,
            tenant: tenant.to_owned(),
            secret: self.ids.secret("secret"),
            name: name.to_owned(),
        };
        self.apps.push(Registration {
            app: app.clone(),
            endpoint: None,
            certificate: None,
            consent: CONSENT.iter().map(|one| (*one).to_owned()).collect(),
            postbox: Postbox::new(),
            bearer: None,
        });
        app
    }

    pub(super) fn add_user(&mut self, tenant: &str, name: &str) -> String {
        let id = self.ids.guid();
        let mri = format!("29:1{}{}", self.ids.hex(), self.ids.hex());
        let user = User {
            id: id.clone(),
            mri,
            name: name.to_owned(),
            mail: format!("{}@example.org", name.to_lowercase().replace(' ', ".")),
            tenant: tenant.to_owned(),
            guest: false,
        };
        self.users.insert(id.clone(), user);
        id
    }

    /// A new team, with its channel General and nobody in it.
    pub(super) fn add_team(&mut self, tenant: &str, name: &str) -> String {
        let id = self.ids.thread("thread.tacv2");
        let team = Team {
            id: id.clone(),
            group: self.ids.guid(),
            name: name.to_owned(),
            tenant: tenant.to_owned(),
            archived: false,
            installed: BTreeSet::new(),
        };
        self.teams.insert(id.clone(), team);
        self.put_channel(id.clone(), tenant, &id, "General", Kind::Standard);
        id
    }

    fn put_channel(&mut self, id: String, tenant: &str, team: &str, name: &str, kind: Kind) {
        let channel = Channel {
            id: id.clone(),
            name: name.to_owned(),
            kind,
            team: team.to_owned(),
            tenant: tenant.to_owned(),
            members: BTreeSet::new(),
            installed: BTreeSet::new(),
            first_app: None,
            messages: BTreeMap::new(),
            deleted: false,
        };
        self.channels.insert(id, channel);
    }

    pub(super) fn add_channel(&mut self, team: &str, name: &str, kind: Kind) -> String {
        let tenant = self.teams.get(team).map(|team| team.tenant.clone()).unwrap_or_default();
        let id = self.ids.thread("thread.tacv2");
        self.put_channel(id.clone(), &tenant, team, name, kind);
        self.tell_update(&id, "channelCreated", &json!({}));
        id
    }

    /// A chat of these people and the app.
    pub(super) fn add_chat(&mut self, app: &App, name: &str, kind: Kind, users: &[&str]) -> String {
        let id = if kind == Kind::Group {
            self.ids.thread("thread.v2")
        } else {
            format!("a:1{}", self.ids.hex())
        };
        self.put_channel(id.clone(), &app.tenant, "", name, kind);
        if let Some(chat) = self.channels.get_mut(&id) {
            chat.members = users.iter().map(|user| (*user).to_owned()).collect();
            chat.first_app = (kind == Kind::Personal).then(|| app.app_id.clone());
        }
        self.install(app, &id);
        id
    }

    /// The chat of one person and an app, made where there is none.
    pub(super) fn personal_chat(&mut self, app: &App, user: &str) -> String {
        let found = self.channels.values().find(|chat| {
            chat.kind == Kind::Personal
                && chat.members.contains(user)
                && chat.first_app.as_deref() == Some(app.app_id.as_str())
        });
        match found.map(|chat| chat.id.clone()) {
            Some(id) => id,
            None => self.add_chat(app, "", Kind::Personal, &[user]),
        }
    }

    /// Installs an app in a team or chat; its bot is told where it takes activities.
    pub(super) fn install(&mut self, app: &App, place: &str) {
        let new = if let Some(team) = self.teams.get_mut(place) {
            team.installed.insert(app.app_id.clone())
        } else if let Some(chat) = self.channels.get_mut(place) {
            chat.installed.insert(app.app_id.clone())
        } else {
            false
        };
        if new {
            let bot = json!([{ "id": app.bot_id }]);
            self.tell_update(place, "teamMemberAdded", &json!({ "membersAdded": bot }));
            self.tell_installation(app, place, "add");
        }
    }

    /// Takes an app out of a team or chat.
    pub(super) fn uninstall(&mut self, app: &App, place: &str) {
        self.tell_installation(app, place, "remove");
        if let Some(team) = self.teams.get_mut(place) {
            team.installed.remove(&app.app_id);
        }
        if let Some(chat) = self.channels.get_mut(place) {
            chat.installed.remove(&app.app_id);
        }
    }

    /// Lets somebody into a team (by its id), a private channel or a chat. False if they were there.
    pub(super) fn join(&mut self, place: &str, user: &str) -> bool {
        let Some(channel) = self.channels.get_mut(place) else {
            return false;
        };
        let new = channel.members.insert(user.to_owned());
        if new {
            self.tell_members(place, user, "Added");
        }
        new
    }

    pub(super) fn leave(&mut self, place: &str, user: &str) -> bool {
        let Some(channel) = self.channels.get_mut(place) else {
            return false;
        };
        let gone = channel.members.remove(user);
        if gone {
            self.tell_members(place, user, "Removed");
        }
        gone
    }

    fn tell_members(&mut self, place: &str, user: &str, what: &str) {
        let Some(user) = self.users.get(user) else { return };
        let people = json!([{ "id": user.mri, "aadObjectId": user.id }]);
        let event = if self.teams.contains_key(place) {
            format!("teamMember{what}")
        } else {
            format!("channelMember{what}")
        };
        self.tell_update(place, &event, &json!({ format!("members{what}"): people }));
    }

    pub(super) fn rename_channel(&mut self, id: &str, name: &str) -> bool {
        let Some(channel) = self.channels.get_mut(id) else {
            return false;
        };
        name.clone_into(&mut channel.name);
        let more = if channel.kind.is_chat() {
            json!({ "topicName": name })
        } else {
            json!({})
        };
        self.tell_update(id, "channelRenamed", &more);
        true
    }

    pub(super) fn delete_channel(&mut self, id: &str, deleted: bool) -> bool {
        let Some(channel) = self.channels.get_mut(id) else {
            return false;
        };
        channel.deleted = deleted;
        self.tell_update(
            id,
            if deleted { "channelDeleted" } else { "channelRestored" },
            &json!({}),
        );
        true
    }

    pub(super) fn rename_team(&mut self, id: &str, name: &str) -> bool {
        let Some(team) = self.teams.get_mut(id) else {
            return false;
        };
        name.clone_into(&mut team.name);
        self.tell_update(id, "teamRenamed", &json!({}));
        true
    }

    pub(super) fn archive(&mut self, id: &str, archived: bool) -> bool {
        let Some(team) = self.teams.get_mut(id) else {
            return false;
        };
        team.archived = archived;
        self.tell_update(id, if archived { "teamArchived" } else { "teamUnarchived" }, &json!({}));
        true
    }

    /// All messages of a channel as Graph has them, oldest first, replies too.
    pub(super) fn whole_history(&self, channel: &str) -> Vec<Value> {
        let Some(channel) = self.channels.get(channel) else {
            return Vec::new();
        };
        let messages = channel.messages.values();
        messages.map(|message| self.view_message(channel, message)).collect()
    }
}
