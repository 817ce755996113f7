//! The methods a bridge calls: what each takes, what it needs, how often it may be called, and what it does.
//!
//! A new method is a row in [`METHODS`] and a function beside its kin. The rows are held against the published
//! description by the tests.

#![expect(
    clippy::unnecessary_wraps,
    reason = "all methods have one shape, also those that refuse nothing"
)]

mod chat;
mod conversations;
mod files;
mod history;
mod reactions;
mod users;
mod workspace;

pub(super) use files::receive;

use super::call::{Answer, Caller};
use super::limits::Tier;
use super::state::{State, TokenKind};

/// What an argument has to look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Text,
    Integer,
    Boolean,
    Json,
}

/// An argument.
#[derive(Debug, Clone, Copy)]
pub(super) struct Parameter {
    pub(super) name: &'static str,
    pub(super) required: bool,
    pub(super) form: Form,
}

const fn must(name: &'static str) -> Parameter {
    Parameter {
        name,
        required: true,
        form: Form::Text,
    }
}

const fn text(name: &'static str) -> Parameter {
    Parameter {
        name,
        required: false,
        form: Form::Text,
    }
}

const fn flag(name: &'static str) -> Parameter {
    Parameter {
        name,
        required: false,
        form: Form::Boolean,
    }
}

const fn count(name: &'static str) -> Parameter {
    Parameter {
        name,
        required: false,
        form: Form::Integer,
    }
}

const fn data(name: &'static str) -> Parameter {
    Parameter {
        name,
        required: false,
        form: Form::Json,
    }
}

/// Whose token a method takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Needs {
    /// None at all.
    Nothing,
    /// That of a bot or a person.
    Member,
    /// That of the app itself.
    App,
}

impl Needs {
    /// Whether a token of this kind will do.
    pub(super) fn takes(self, kind: TokenKind) -> bool {
        match self {
            Self::Nothing => true,
            Self::Member => kind != TokenKind::App,
            Self::App => kind == TokenKind::App,
        }
    }
}

/// A method.
#[derive(Debug)]
pub(super) struct Method {
    pub(super) name: &'static str,
    pub(super) tier: Tier,
    pub(super) needs: Needs,
    /// Any of these will do; where they depend on the channel, the method itself looks.
    pub(super) scopes: &'static [&'static str],
    /// Whether it takes its arguments as JSON, too.
    pub(super) json: bool,
    pub(super) parameters: &'static [Parameter],
    pub(super) run: fn(&mut State, &Caller) -> Answer,
}

const fn read(
    name: &'static str,
    tier: Tier,
    scopes: &'static [&'static str],
    parameters: &'static [Parameter],
    run: fn(&mut State, &Caller) -> Answer,
) -> Method {
    Method {
        name,
        tier,
        needs: Needs::Member,
        scopes,
        json: false,
        parameters,
        run,
    }
}

const fn write(
    name: &'static str,
    tier: Tier,
    scopes: &'static [&'static str],
    parameters: &'static [Parameter],
    run: fn(&mut State, &Caller) -> Answer,
) -> Method {
    Method {
        name,
        tier,
        needs: Needs::Member,
        scopes,
        json: true,
        parameters,
        run,
    }
}

/// The method of this name.
pub(super) fn find(name: &str) -> Option<&'static Method> {
    METHODS.iter().find(|method| method.name == name)
}

const ANY_READ: &[&str] = &["channels:read", "groups:read", "im:read", "mpim:read"];

/// All methods.
#[rustfmt::skip]
pub(super) const METHODS: &[Method] = &[
    Method { needs: Needs::Nothing, ..write("api.test", Tier::Free, &[], &[text("error"), text("foo")], workspace::api_test) },
    Method { needs: Needs::App, ..write("apps.connections.open", Tier::Two, &["connections:write"], &[], workspace::connections_open) },
    write("auth.test", Tier::Free, &[], &[], workspace::auth_test),
    read("auth.teams.list", Tier::Two, &[], &[text("cursor"), count("limit"), flag("include_icon")], workspace::teams),
    read("bots.info", Tier::Three, &["users:read"], &[text("bot"), text("team_id")], users::bots_info),
    write("chat.delete", Tier::Three, &["chat:write"], &[must("channel"), must("ts"), flag("as_user")], chat::delete),
    read("chat.getPermalink", Tier::Free, &[], &[must("channel"), must("message_ts")], chat::permalink),
    write("chat.meMessage", Tier::Three, &["chat:write"], &[must("channel"), must("text")], chat::me_message),
    write("chat.postEphemeral", Tier::Four, &["chat:write"], &[
        must("channel"), must("user"), text("text"), data("blocks"), data("attachments"), text("markdown_text"),
        text("thread_ts"), text("username"), text("icon_url"), text("icon_emoji"), flag("link_names"), text("parse"),
        flag("as_user"),
    ], chat::post_ephemeral),
    write("chat.postMessage", Tier::Posting, &["chat:write"], &[
        must("channel"), text("text"), data("blocks"), data("attachments"), text("markdown_text"), text("thread_ts"),
        flag("reply_broadcast"), text("username"), text("icon_url"), text("icon_emoji"), flag("unfurl_links"),
        flag("unfurl_media"), flag("mrkdwn"), flag("link_names"), text("parse"), data("metadata"), flag("as_user"),
    ], chat::post),
    write("chat.update", Tier::Three, &["chat:write"], &[
        must("channel"), must("ts"), text("text"), data("blocks"), data("attachments"), text("markdown_text"),
        flag("reply_broadcast"), flag("link_names"), text("parse"), data("metadata"), data("file_ids"), flag("as_user"),
    ], chat::update),
    read("conversations.history", Tier::Three, &[], &[
        must("channel"), text("cursor"), count("limit"), text("oldest"), text("latest"), flag("inclusive"),
        flag("include_all_metadata"),
    ], history::history),
    read("conversations.info", Tier::Three, &[], &[must("channel"), flag("include_locale"), flag("include_num_members")], conversations::info),
    write("conversations.join", Tier::Three, &["channels:join"], &[must("channel")], conversations::join),
    write("conversations.leave", Tier::Three, &["channels:manage", "groups:write", "channels:join"], &[must("channel")], conversations::leave),
    read("conversations.list", Tier::Two, ANY_READ, &[
        text("cursor"), count("limit"), text("types"), flag("exclude_archived"), text("team_id"),
    ], conversations::list),
    read("conversations.members", Tier::Four, &[], &[must("channel"), text("cursor"), count("limit")], conversations::members),
    write("conversations.open", Tier::Three, &[], &[
        text("channel"), text("users"), flag("return_im"), flag("prevent_creation"),
    ], conversations::open),
    read("conversations.replies", Tier::Three, &[], &[
        must("channel"), must("ts"), text("cursor"), count("limit"), text("oldest"), text("latest"), flag("inclusive"),
        flag("include_all_metadata"),
    ], history::replies),
    write("conversations.setTopic", Tier::Two, &[], &[must("channel"), must("topic")], conversations::set_topic),
    read("emoji.list", Tier::Two, &["emoji:read"], &[flag("include_categories")], workspace::emoji),
    write("files.completeUploadExternal", Tier::Four, &["files:write"], &[
        Parameter { required: true, ..data("files") }, text("channel_id"), text("channels"), text("thread_ts"),
        text("initial_comment"), data("blocks"), text("username"), text("icon_url"), text("icon_emoji"),
    ], files::complete),
    read("files.getUploadURLExternal", Tier::Four, &["files:write"], &[
        must("filename"), Parameter { required: true, ..count("length") }, text("alt_txt"), text("snippet_type"),
    ], files::upload_url),
    read("files.info", Tier::Four, &["files:read"], &[must("file"), text("count"), text("page"), count("limit"), text("cursor")], files::info),
    Method { needs: Needs::Nothing, ..read("oauth.v2.access", Tier::Four, &[], &[
        must("code"), text("client_id"), text("client_secret"), text("redirect_uri"), text("grant_type"), text("refresh_token"),
    ], workspace::oauth) },
    read("pins.list", Tier::Two, &["pins:read"], &[must("channel")], reactions::pins),
    write("reactions.add", Tier::Three, &["reactions:write"], &[must("channel"), must("name"), must("timestamp")], reactions::add),
    read("reactions.get", Tier::Three, &["reactions:read"], &[
        text("channel"), text("timestamp"), text("file"), text("file_comment"), flag("full"),
    ], reactions::get),
    write("reactions.remove", Tier::Two, &["reactions:write"], &[
        must("name"), text("channel"), text("timestamp"), text("file"), text("file_comment"),
    ], reactions::remove),
    read("team.info", Tier::Three, &["team:read"], &[text("team"), text("domain")], workspace::team),
    read("usergroups.list", Tier::Two, &["usergroups:read"], &[
        flag("include_users"), flag("include_count"), flag("include_disabled"), text("team_id"),
    ], workspace::groups),
    read("users.conversations", Tier::Three, ANY_READ, &[
        text("cursor"), count("limit"), text("types"), flag("exclude_archived"), text("user"), text("team_id"),
    ], conversations::list_joined),
    read("users.info", Tier::Four, &["users:read"], &[must("user"), flag("include_locale")], users::info),
    read("users.list", Tier::Two, &["users:read"], &[text("cursor"), count("limit"), flag("include_locale"), text("team_id")], users::list),
    read("users.profile.get", Tier::Four, &["users.profile:read"], &[text("user"), flag("include_labels")], users::profile),
];
