//! The control interface over HTTP: one command a request, as JSON, at `/control`.

use std::time::Duration;

use anyhow::Context as _;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::control::Control;
use super::delivery::{Patience, Which};
use super::faults::Fault;
use super::ids::Ts;
use super::limits::Limits;
use super::state::Kind;

/// What can be asked for; `do` names it. Answers are JSON objects.
#[derive(Debug, Clone, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case", deny_unknown_fields)]
#[expect(
    missing_docs,
    reason = "each is the method of Control with the same name and arguments"
)]
pub enum Command {
    /// The app with its tokens, the counts of its events, its sockets and the violations.
    Show,
    AddTeam {
        name: String,
    },
    AddUser {
        name: String,
        team: Option<String>,
    },
    RenameUser {
        user: String,
        name: String,
    },
    DeactivateUser {
        user: String,
    },
    UserToken {
        user: String,
    },
    AddEmoji {
        name: String,
        alias: Option<String>,
    },
    AddGroup {
        handle: String,
        users: Vec<String>,
    },
    AddChannel {
        name: String,
        #[serde(default)]
        kind: Kind,
    },
    Direct {
        user: String,
    },
    Join {
        channel: String,
        user: String,
    },
    Leave {
        channel: String,
        user: String,
        actor: String,
    },
    RenameChannel {
        channel: String,
        user: String,
        name: String,
    },
    SetTopic {
        channel: String,
        user: String,
        text: String,
    },
    SetArchived {
        channel: String,
        user: String,
        archived: bool,
    },
    Share {
        channel: String,
        team: String,
    },
    Unshare {
        channel: String,
        team: String,
    },
    Say {
        channel: String,
        user: String,
        text: String,
        thread: Option<String>,
        #[serde(default)]
        broadcast: bool,
        #[serde(default)]
        more: Map<String, Value>,
    },
    Edit {
        channel: String,
        ts: String,
        user: String,
        text: String,
    },
    Delete {
        channel: String,
        ts: String,
    },
    React {
        channel: String,
        ts: String,
        user: String,
        name: String,
        #[serde(default = "yes")]
        set: bool,
    },
    Pin {
        channel: String,
        ts: String,
        user: String,
        #[serde(default = "yes")]
        set: bool,
    },
    Upload {
        channel: String,
        user: String,
        name: String,
        content: String,
    },
    /// The messages of a channel, oldest first.
    History {
        channel: String,
    },
    Flood {
        channel: String,
        users: Vec<String>,
        count: u64,
        window: usize,
    },
    /// Any event.
    Emit {
        event: Value,
    },
    /// Any payload, as it is.
    EmitPayload {
        payload: Value,
    },
    /// `limits: false` lifts them.
    SetLimits {
        limits: bool,
    },
    FailNext {
        #[serde(default)]
        method: String,
        fault: Fault,
        count: u64,
    },
    FailEvery {
        #[serde(default)]
        method: String,
        fault: Fault,
        n: u64,
    },
    Heal,
    /// Seconds until an event that was not acknowledged comes again.
    SetPatience {
        ack: u64,
    },
    DuplicateNext {
        count: u64,
    },
    LoseNext {
        count: u64,
    },
    IgnoreAcks {
        count: u64,
    },
    ShuffleNext {
        count: usize,
    },
    /// `grace` in seconds.
    Refresh {
        #[serde(default)]
        grace: u64,
    },
    BreakSockets,
    FreezeSockets,
    DisableLink,
    ExpireAddresses,
    Revoke {
        token: String,
    },
    Uninstall,
    SetScopes {
        scopes: Vec<String>,
    },
    DeliverTo {
        url: String,
    },
    DeliverToSockets,
}

const fn yes() -> bool {
    true
}

fn ts(text: &str) -> anyhow::Result<Ts> {
    text.parse().with_context(|| text.to_owned())
}

fn words(list: &[String]) -> Vec<&str> {
    list.iter().map(String::as_str).collect()
}

/// Does what was asked.
///
/// # Errors
///
/// When a timestamp is none, or what was asked for failed.
pub async fn obey(control: &Control, command: Command) -> anyhow::Result<Value> {
    use Command as C;
    let done = |changed: bool| Ok(json!({ "changed": changed }));
    match command {
        C::Flood {
            channel,
            users,
            count,
            window,
        } => {
            let flood = control.flood(&channel, &words(&users), "flood", count, window).await?;
            return Ok(json!({ "events": flood.events, "seconds": flood.elapsed.as_secs_f64(), "rate": flood.rate() }));
        }
        C::DeliverTo { url } => {
            control.deliver_to(&url, 0).await?;
            return done(true);
        }
        C::Show => {
            return Ok(json!({
                "url": control.url(), "api_url": control.api_url(), "app": control.app(), "events": control.delivered(),
                "sockets": control.sockets(), "violations": control.violations(), "limited": control.limited(),
            }));
        }
        C::AddTeam { name } => return Ok(json!({ "team": control.add_team(&name) })),
        C::AddUser { name, team } => {
            let team = team.as_deref().unwrap_or(control.team());
            return Ok(json!({ "user": control.add_user_to(team, &name) }));
        }
        C::UserToken { user } => return Ok(json!({ "token": control.user_token(&user) })),
        C::AddGroup { handle, users } => return Ok(json!({ "group": control.add_group(&handle, &words(&users)) })),
        C::AddChannel { name, kind } => return Ok(json!({ "channel": control.add_channel(&name, kind) })),
        C::Direct { user } => return Ok(json!({ "channel": control.direct(&user) })),
        C::Say {
            channel,
            user,
            text,
            thread,
            broadcast,
            more,
        } => {
            let said = match thread {
                Some(thread) => control.reply(&channel, &user, ts(&thread)?, &text, broadcast),
                None => control.say_with(&channel, &user, &text, more),
            };
            return Ok(json!({ "ts": said.to_string() }));
        }
        C::Upload {
            channel,
            user,
            name,
            content,
        } => {
            let (file, said) = control.upload(&channel, &user, &name, content.as_bytes(), false);
            return Ok(json!({ "file": file, "ts": said.to_string() }));
        }
        C::History { channel } => return Ok(json!({ "messages": control.history(&channel) })),
        C::RenameUser { user, name } => return done(control.rename_user(&user, &name)),
        C::DeactivateUser { user } => return done(control.deactivate_user(&user)),
        C::Join { channel, user } => return done(control.join(&channel, &user)),
        C::Leave { channel, user, actor } => return done(control.leave(&channel, &user, &actor)),
        C::RenameChannel { channel, user, name } => return done(control.rename_channel(&channel, &user, &name)),
        C::SetTopic { channel, user, text } => return done(control.set_topic(&channel, &user, &text)),
        C::SetArchived {
            channel,
            user,
            archived,
        } => return done(control.set_archived(&channel, &user, archived)),
        C::Share { channel, team } => return done(control.share(&channel, &team)),
        C::Unshare { channel, team } => return done(control.unshare(&channel, &team)),
        C::Edit {
            channel,
            ts: at,
            user,
            text,
        } => return done(control.edit(&channel, ts(&at)?, &user, &text)),
        C::Delete { channel, ts: at } => return done(control.delete(&channel, ts(&at)?)),
        C::React {
            channel,
            ts: at,
            user,
            name,
            set,
        } => return done(control.react(&channel, ts(&at)?, &user, &name, set)),
        C::Pin {
            channel,
            ts: at,
            user,
            set,
        } => return done(control.pin(&channel, ts(&at)?, &user, set)),
        C::AddEmoji { name, alias } => control.add_emoji(&name, alias.as_deref()),
        C::Emit { event } => control.emit(&event),
        C::EmitPayload { payload } => control.emit_payload(&payload),
        C::SetLimits { limits } => control.set_limits(if limits { Limits::default() } else { Limits::none() }),
        C::FailNext { method, fault, count } => control.fail_next(&method, fault, count),
        C::FailEvery { method, fault, n } => control.fail_every(&method, fault, n),
        C::Heal => control.heal(),
        C::SetPatience { ack } => {
            let patience = Patience {
                ack: Duration::from_secs(ack),
                ..Patience::default()
            };
            control.set_patience(patience);
        }
        C::DuplicateNext { count } => control.duplicate_next(count),
        C::LoseNext { count } => control.lose_next(count),
        C::IgnoreAcks { count } => control.ignore_acks(count),
        C::ShuffleNext { count } => control.shuffle_next(count),
        C::Refresh { grace } => control.refresh(Which::All, Duration::from_secs(grace)),
        C::BreakSockets => control.break_sockets(Which::All),
        C::FreezeSockets => control.freeze_sockets(Which::All),
        C::DisableLink => control.disable_link(),
        C::ExpireAddresses => control.expire_addresses(),
        C::Revoke { token } => control.revoke(&token),
        C::Uninstall => control.uninstall(),
        C::SetScopes { scopes } => control.set_scopes(&words(&scopes)),
        C::DeliverToSockets => control.deliver_to_sockets(),
    }
    done(true)
}
