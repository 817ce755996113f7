//! What people do, as commands over HTTP: for the demonstration and for clients in other languages.

use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};

use super::control::Control;
use super::delivery::Feed;
use super::faults::Fault;
use super::limits::Limits;
use super::state::Kind;

/// A command, as JSON with its name in `do`: `{"do":"say","channel":"19:…","user":"…","text":"hello"}`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case", deny_unknown_fields)]
#[expect(missing_docs, reason = "fields say what they are")]
pub enum Command {
    /// The app, the team, all channels and people.
    Show,
    /// Where the bot takes activities.
    Endpoint { url: String },
    /// A new person of the tenant, in the team from the start: their id.
    AddUser { name: String },
    /// A new channel of the team: its id.
    AddChannel {
        name: String,
        #[serde(default)]
        kind: Kind,
    },
    /// A new group chat: its id.
    AddChat { name: String, users: Vec<String> },
    /// Somebody says something, in a reply chain if `thread` is its first message: the message's id.
    Say {
        channel: String,
        user: String,
        text: String,
        thread: Option<u64>,
    },
    /// Changes what was said.
    Edit { channel: String, id: u64, text: String },
    /// Takes back what was said.
    Delete { channel: String, id: u64 },
    /// Sets or takes back a reaction.
    React {
        channel: String,
        id: u64,
        user: String,
        name: String,
        set: bool,
    },
    /// All messages of a channel.
    History { channel: String },
    /// The next calls fail.
    FailNext {
        operation: String,
        fault: Fault,
        count: u64,
    },
    /// Whether Microsoft's limits hold.
    Limit { enforce: bool },
    /// The chat of a person and the app: its id.
    Direct { user: String },
    /// Somebody lets the app act in their name: a refresh token.
    Login { user: String },
    /// What was not as Microsoft publishes it.
    Violations,
}

fn done(done: bool) -> anyhow::Result<Value> {
    anyhow::ensure!(done, "there was nothing to do");
    Ok(json!({ "ok": true }))
}

/// Does what a command says: the answer to it.
pub(super) async fn obey(control: &Control, command: Command) -> anyhow::Result<Value> {
    match command {
        Command::Show => Ok(show(control)),
        Command::Endpoint { url } => {
            control.set_endpoint(Some(&url));
            Ok(json!({ "ok": true }))
        }
        Command::AddUser { name } => {
            let user = control.add_user(&name);
            control.join(control.team(), &user);
            Ok(json!({ "user": user, "mri": control.mri(&user) }))
        }
        Command::AddChannel { name, kind } => Ok(json!({ "channel": control.add_channel(&name, kind) })),
        Command::AddChat { name, users } => {
            let users: Vec<&str> = users.iter().map(String::as_str).collect();
            Ok(json!({ "channel": control.add_chat(&name, &users) }))
        }
        Command::Say {
            channel,
            user,
            text,
            thread,
        } => {
            let id = match thread {
                Some(thread) => control.reply(&channel, &user, thread, &text),
                None => control.say(&channel, &user, &text),
            };
            anyhow::ensure!(id > 0, "there is no such channel or reply chain");
            Ok(json!({ "id": id }))
        }
        Command::Edit { channel, id, text } => done(control.edit(&channel, id, &text)),
        Command::Delete { channel, id } => done(control.delete(&channel, id)),
        Command::React {
            channel,
            id,
            user,
            name,
            set,
        } => done(control.react(&channel, id, &user, &name, set)),
        Command::History { channel } => Ok(json!({ "messages": control.history(&channel) })),
        Command::FailNext {
            operation,
            fault,
            count,
        } => {
            control.fail_next(&operation, fault, count);
            Ok(json!({ "ok": true }))
        }
        Command::Limit { enforce } => {
            let limits = Limits::default();
            control.set_limits(Limits { enforce, ..limits });
            Ok(json!({ "ok": true }))
        }
        Command::Direct { user } => Ok(json!({ "channel": control.direct(&user) })),
        Command::Login { user } => Ok(json!({ "refresh_token": control.login_of(&user) })),
        Command::Violations => {
            control.settled(Duration::from_secs(5)).await?;
            Ok(json!({ "violations": control.violations() }))
        }
    }
}

fn show(control: &Control) -> Value {
    let state = control.state();
    let channels: Vec<Value> = state
        .channels
        .values()
        .map(|one| json!({ "id": one.id, "name": one.name, "kind": one.kind, "team": one.team, "messages": one.messages.len() }))
        .collect();
    let users: Vec<Value> = state
        .users
        .values()
        .map(|one| json!({ "id": one.id, "mri": one.mri, "name": one.name }))
        .collect();
    drop(state);
    json!({
        "app": control.app(), "team": control.team(), "group": control.group(control.team()), "channels": channels,
        "users": users, "activities": control.counts(Feed::Activities), "notifications": control.counts(Feed::Notifications),
    })
}
