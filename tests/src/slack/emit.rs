//! Which app is told of an event, and how it is wrapped.

use std::sync::Arc;

use serde::Serialize;
use serde_json::Value;

use super::state::{Install, Kind, State};
use super::view::Reader;

/// Who is concerned by an event.
#[derive(Debug, Clone, Copy)]
pub(super) enum Audience<'a> {
    /// Apps whose bot is in the channel.
    Members(&'a str),
    /// Apps that can see the channel.
    Seers(&'a str),
    /// Apps of the workspace.
    Team(&'a str),
    /// One app, whatever it may see.
    App(usize),
}

/// An event as the Events API wraps it.
#[derive(Serialize)]
struct Wrapped<'a> {
    token: &'a str,
    team_id: &'a str,
    context_team_id: &'a str,
    context_enterprise_id: Option<&'a str>,
    api_app_id: &'a str,
    event: &'a Value,
    #[serde(rename = "type")]
    kind: &'a str,
    event_id: &'a str,
    event_time: u64,
    is_ext_shared_channel: bool,
    authorizations: [Authorization<'a>; 1],
    event_context: String,
}

/// For whom an app hears an event.
#[derive(Serialize)]
struct Authorization<'a> {
    enterprise_id: Option<&'a str>,
    team_id: &'a str,
    user_id: &'a str,
    is_bot: bool,
    is_enterprise_install: bool,
}

impl State {
    /// Tells the apps that are concerned.
    pub(super) fn emit(&mut self, audience: Audience<'_>, event: &Value) {
        self.emit_for(audience, &|_, _| event.clone());
    }

    /// Tells the apps that are concerned; each may see another event.
    pub(super) fn emit_for(&mut self, audience: Audience<'_>, event: &dyn Fn(&State, Reader<'_>) -> Value) {
        for index in 0..self.installs.len() {
            let Some(install) = self
                .installs
                .get(index)
                .filter(|install| self.concerns(index, install, audience))
            else {
                continue;
            };
            let event = event(self, install.reader());
            if !install.may_hear(&event, self.kind_of(audience)) {
                continue;
            }
            let channel = audience.channel().unwrap_or_default().to_owned();
            let delivery = Arc::clone(&install.delivery);
            let payload = self.wrapped(index, &channel, &event);
            delivery.push(payload.into());
        }
    }

    fn concerns(&self, index: usize, install: &Install, audience: Audience<'_>) -> bool {
        let channel = audience.channel().and_then(|channel| self.channels.get(channel));
        install.live
            && match audience {
                Audience::Members(_) => channel.is_some_and(|channel| channel.members.contains(&install.user)),
                Audience::Seers(_) => channel.is_some_and(|channel| {
                    channel.members.contains(&install.user)
                        || channel.kind == Kind::Public && channel.teams.iter().any(|team| install.works_in(team))
                }),
                Audience::Team(team) => install.works_in(team),
                Audience::App(wanted) => index == wanted,
            }
    }

    fn kind_of(&self, audience: Audience<'_>) -> Option<Kind> {
        audience
            .channel()
            .and_then(|channel| self.channels.get(channel))
            .map(|channel| channel.kind)
    }

    fn wrapped(&mut self, index: usize, channel: &str, event: &Value) -> String {
        let id = self.ids.next("Ev");
        let ts = event["event_ts"].as_str().and_then(|ts| ts.parse().ok());
        let ts = ts.unwrap_or_else(|| self.ids.ts());
        let Some(install) = self.installs.get(index) else {
            return String::new();
        };
        let channel = self.channels.get(channel);
        let shared = channel.is_some_and(|channel| channel.is_strange(install.reader()));
        let team = install.seen_from(channel);
        let enterprise = install
            .organisation
            .as_ref()
            .map(|organisation| organisation.id.as_str());
        let wrapped = Wrapped {
            token: &install.verification,
            team_id: team,
            context_team_id: team,
            context_enterprise_id: enterprise,
            api_app_id: &install.app,
            event,
            kind: "event_callback",
            event_id: &id,
            event_time: ts.seconds(),
            is_ext_shared_channel: shared,
            authorizations: [Authorization {
                enterprise_id: enterprise,
                team_id: team,
                user_id: &install.user,
                is_bot: true,
                is_enterprise_install: enterprise.is_some(),
            }],
            event_context: format!("4-{id}"),
        };
        serde_json::to_string(&wrapped).unwrap_or_default()
    }
}

impl Audience<'_> {
    fn channel(&self) -> Option<&str> {
        match self {
            Self::Members(channel) | Self::Seers(channel) => Some(channel),
            Self::Team(_) | Self::App(_) => None,
        }
    }
}

impl Install {
    /// How its app reads.
    pub(super) fn reader(&self) -> Reader<'_> {
        Reader {
            team: &self.team,
            organisation: self.organisation.as_ref(),
            user: &self.user,
            app: &self.app,
            metadata: self.scopes.contains("metadata.message:read"),
        }
    }

    /// Whether its scopes and its subscriptions let it hear this event.
    fn may_hear(&self, event: &Value, kind: Option<Kind>) -> bool {
        let word = event["type"].as_str().unwrap_or_default();
        let kind = kind.unwrap_or_default();
        let (name, scope) = match word {
            "message" => {
                let name = match kind {
                    Kind::Public => "message.channels",
                    Kind::Private => "message.groups",
                    Kind::Im => "message.im",
                    Kind::Mpim => "message.mpim",
                };
                (name, Some(format!("{}:history", kind.scope())))
            }
            "reaction_added" | "reaction_removed" => (word, Some("reactions:read".to_owned())),
            "pin_added" | "pin_removed" => (word, Some("pins:read".to_owned())),
            "file_shared" | "file_change" | "file_deleted" => (word, Some("files:read".to_owned())),
            "user_change" | "team_join" | "user_profile_changed" => (word, Some("users:read".to_owned())),
            "emoji_changed" => (word, Some("emoji:read".to_owned())),
            "subteam_created" | "subteam_updated" | "subteam_members_changed" => {
                (word, Some("usergroups:read".to_owned()))
            }
            "team_rename" => (word, Some("team:read".to_owned())),
            "app_uninstalled" | "tokens_revoked" => (word, None),
            _ if word.starts_with("channel_") || word.starts_with("group_") || word.starts_with("member_") => {
                (word, Some(format!("{}:read", kind.scope())))
            }
            _ => (word, None),
        };
        scope.is_none_or(|scope| self.scopes.contains(&scope))
            && self
                .subscribed
                .as_ref()
                .is_none_or(|subscribed| subscribed.contains(name))
    }
}
