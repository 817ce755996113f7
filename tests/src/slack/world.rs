//! What happens to workspaces, their people and their apps.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};

use super::control::App;
use super::delivery::{Delivery, Patience, Which};
use super::emit::Audience;
use super::ids::Ts;
use super::speech::Draft;
use super::state::{Bot, Group, Install, Stage, State, Team, Token, TokenKind, User};
use super::view::view_group;

/// What a bridge's app is granted unless a test says otherwise.
pub(super) const SCOPES: &[&str] = &[
    "channels:history",
    "channels:join",
    "channels:read",
    "channels:write.topic",
    "chat:write",
    "chat:write.customize",
    "emoji:read",
    "files:read",
    "files:write",
    "groups:history",
    "groups:read",
    "groups:write.topic",
    "im:history",
    "im:read",
    "im:write",
    "metadata.message:read",
    "mpim:history",
    "mpim:read",
    "mpim:write",
    "pins:read",
    "reactions:read",
    "reactions:write",
    "team:read",
    "usergroups:read",
    "users.profile:read",
    "users:read",
];

impl State {
    pub(super) fn add_team(&mut self, name: &str) -> String {
        let id = self.ids.next("T");
        let domain = name.to_lowercase().replace(' ', "-");
        self.teams.insert(
            id.clone(),
            Team {
                id: id.clone(),
                name: name.to_owned(),
                domain,
                ..Team::default()
            },
        );
        id
    }

    pub(super) fn add_user(&mut self, team: &str, name: &str) -> String {
        let id = self.ids.next("U");
        let user = User {
            id: id.clone(),
            team: team.to_owned(),
            name: name.to_lowercase().replace(' ', "."),
            real_name: name.to_owned(),
            display_name: name.to_owned(),
            deleted: false,
            updated: self.ids.ts().seconds(),
            bot: None,
        };
        self.users.insert(id.clone(), user.clone());
        self.emit_for(
            Audience::Team(team),
            &|state, reader| json!({ "type": "team_join", "user": state.view_user(&user, reader) }),
        );
        id
    }

    pub(super) fn change_user(&mut self, id: &str, change: impl FnOnce(&mut User)) -> bool {
        let now = self.ids.ts();
        let Some(user) = self.users.get_mut(id) else {
            return false;
        };
        change(user);
        user.updated = now.seconds();
        let user = user.clone();
        for word in ["user_change", "user_profile_changed"] {
            self.emit_for(Audience::Team(&user.team), &|state, reader| {
                json!({
                    "type": word, "user": state.view_user(&user, reader), "cache_ts": now.seconds(), "event_ts": now.to_string(),
                })
            });
        }
        true
    }

    pub(super) fn install(&mut self, team: &str, name: &str) -> App {
        let app_id = self.ids.next("A");
        let bot_id = self.ids.next("B");
        let bot_user = self.add_user(team, name);
        if let Some(user) = self.users.get_mut(&bot_user) {
            user.bot = Some(Bot {
                id: bot_id.clone(),
                app: app_id.clone(),
            });
        }
        let app = App {
            app_id,
            team: team.to_owned(),
            bot_user,
            bot_id,
            bot_token: self.ids.secret("xoxb"),
            app_token: self.ids.secret("xapp"),
            signing_secret: self.ids.secret("sign"),
            verification_token: self.ids.secret("verify"),
            client_id: self.ids.secret("client"),
            client_secret: self.ids.secret("secret"),
        };
        let scopes: BTreeSet<String> = SCOPES.iter().map(|scope| (*scope).to_owned()).collect();
        let install = self.installs.len();
        let mut grant = |text: &str, kind, scopes| {
            self.tokens.insert(
                text.to_owned(),
                Token {
                    install,
                    kind,
                    user: app.bot_user.clone(),
                    scopes,
                    dead: None,
                },
            );
        };
        grant(&app.bot_token, TokenKind::Bot, scopes.clone());
        grant(&app.app_token, TokenKind::App, ["connections:write".to_owned()].into());
        self.installs.push(Install {
            app: app.app_id.clone(),
            name: name.to_owned(),
            team: team.to_owned(),
            organisation: None,
            user: app.bot_user.clone(),
            bot: app.bot_id.clone(),
            scopes,
            subscribed: None,
            verification: app.verification_token.clone(),
            client_id: app.client_id.clone(),
            client_secret: app.client_secret.clone(),
            live: true,
            delivery: Delivery::new(app.app_id.clone(), Patience::default()),
        });
        app
    }

    pub(super) fn user_token(&mut self, user: &str) -> String {
        let text = self.ids.secret("xoxp");
        let scopes = SCOPES.iter().map(|scope| (*scope).to_owned()).collect();
        self.tokens.insert(
            text.clone(),
            Token {
                install: 0,
                kind: TokenKind::User,
                user: user.to_owned(),
                scopes,
                dead: None,
            },
        );
        text
    }

    pub(super) fn add_emoji(&mut self, team: &str, name: &str, alias: Option<&str>) {
        let value = alias.map_or_else(
            || format!("{}/emoji/{team}/{name}.png", self.base),
            |alias| format!("alias:{alias}"),
        );
        let ts = self.ids.ts().to_string();
        if let Some(team) = self.teams.get_mut(team) {
            team.emoji.insert(name.to_owned(), value.clone());
        }
        let event = json!({ "type": "emoji_changed", "subtype": "add", "name": name, "value": value, "event_ts": ts });
        self.emit(Audience::Team(team), &event);
    }

    pub(super) fn add_group(&mut self, team: &str, handle: &str, users: &[&str]) -> String {
        let (id, ts) = (self.ids.next("S"), self.ids.ts());
        let group = Group {
            id: id.clone(),
            name: handle.to_owned(),
            handle: handle.to_owned(),
            users: users.iter().map(|user| (*user).to_owned()).collect(),
            created: ts.seconds(),
        };
        let event =
            json!({ "type": "subteam_created", "subteam": view_group(&group, team, true), "event_ts": ts.to_string() });
        if let Some(team) = self.teams.get_mut(team) {
            team.groups.insert(id.clone(), group);
        }
        self.emit(Audience::Team(team), &event);
        id
    }

    /// Somebody says something, and is in the channel by that.
    pub(super) fn person_says(&mut self, channel: &str, user: &str, text: &str, draft: Draft) -> Ts {
        if let Some(place) = self
            .channels
            .get_mut(channel)
            .filter(|place| !place.members.contains(user))
        {
            place.members.insert(user.to_owned());
        }
        let draft = Draft {
            author: user.to_owned(),
            text: text.to_owned(),
            ..draft
        };
        self.say(channel, draft).unwrap_or(Ts::from_micros(0))
    }

    pub(super) fn person_uploads(
        &mut self,
        channel: &str,
        user: &str,
        name: &str,
        content: &[u8],
        check_info: bool,
    ) -> (String, Ts) {
        let team = self.users.get(user).map(|user| user.team.clone()).unwrap_or_default();
        let id = self.new_file(&team, user, name, content.len()).id;
        if let Some(file) = self.files.get_mut(&id) {
            file.content = Some(bytes::Bytes::copy_from_slice(content));
            file.stage = Stage::Complete;
            file.check_info = check_info;
        }
        if let Some(place) = self.channels.get_mut(channel) {
            place.members.insert(user.to_owned());
        }
        let draft = Draft {
            author: user.to_owned(),
            ..Draft::default()
        };
        let ts = self.share_files(channel, draft, std::slice::from_ref(&id));
        (id, ts.unwrap_or(Ts::from_micros(0)))
    }

    pub(super) fn whole_history(&self, channel: &str) -> Vec<Value> {
        let (Some(channel), Some(install)) = (self.channels.get(channel), self.installs.first()) else {
            return Vec::new();
        };
        let reader = super::view::Reader {
            metadata: true,
            ..install.reader()
        };
        channel
            .messages
            .values()
            .map(|message| Value::Object(self.view_message(channel, message, reader)))
            .collect()
    }

    pub(super) fn revoke(&mut self, token: &str) {
        let Some(found) = self.tokens.get_mut(token) else {
            return;
        };
        found.dead = Some("token_revoked");
        let (install, kind, user) = (found.install, found.kind, found.user.clone());
        let tokens = match kind {
            TokenKind::Bot => json!({ "oauth": [], "bot": [user] }),
            TokenKind::User => json!({ "oauth": [user], "bot": [] }),
            TokenKind::App => return,
        };
        let ts = self.ids.ts().to_string();
        self.emit(
            Audience::App(install),
            &json!({ "type": "tokens_revoked", "tokens": tokens, "event_ts": ts }),
        );
    }

    pub(super) fn uninstall(&mut self, index: usize) {
        let ts = self.ids.ts().to_string();
        self.emit(
            Audience::App(index),
            &json!({ "type": "app_uninstalled", "event_ts": ts }),
        );
        let Some(install) = self.installs.get_mut(index) else {
            return;
        };
        let bot = install.user.clone();
        let event = json!({ "type": "tokens_revoked", "tokens": { "oauth": [], "bot": [bot] }, "event_ts": ts });
        self.emit(Audience::App(index), &event);
        if let Some(install) = self.installs.get_mut(index) {
            install.live = false;
            install.delivery.refresh(Which::All, "link_disabled", Duration::ZERO);
        }
        self.tokens
            .values_mut()
            .filter(|token| token.install == index)
            .for_each(|token| token.dead = Some("account_inactive"));
        self.channels
            .values_mut()
            .for_each(|channel| channel.members.retain(|member| *member != bot));
    }

    pub(super) fn set_scopes(&mut self, token: &str, scopes: &[&str]) {
        let scopes: BTreeSet<String> = scopes.iter().map(|scope| (*scope).to_owned()).collect();
        let Some(token) = self.tokens.get_mut(token) else {
            return;
        };
        token.scopes.clone_from(&scopes);
        if let Some(install) = self.installs.get_mut(token.install) {
            install.scopes = scopes;
        }
    }
}
