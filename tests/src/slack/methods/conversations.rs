//! `conversations.*`, but for what was said.

use serde_json::json;

use crate::slack::call::{Answer, Caller, Refusal};
use crate::slack::state::{Channel, Kind, State};
use crate::slack::text::stored;

/// The longest page of a list.
const LONGEST_PAGE: usize = 1000;
/// Characters of a topic.
const LONGEST_TOPIC: usize = 250;
/// What a list gives unasked.
const USUAL_PAGE: usize = 100;

/// Whether the caller may read about channels of this kind.
fn may_read(caller: &Caller, channel: &Channel) -> Result<(), Refusal> {
    caller.require(&[&format!("{}:read", channel.kind.scope())])
}

pub(super) fn list(state: &mut State, caller: &Caller) -> Answer {
    listed(state, caller, |channel| caller.seen(state, &channel.id).is_ok())
}

/// Only those that somebody, the caller by default, is in.
pub(super) fn list_joined(state: &mut State, caller: &Caller) -> Answer {
    let user = caller.text("user").unwrap_or(&caller.user);
    listed(state, caller, |channel| {
        channel.members.contains(user) && caller.seen(state, &channel.id).is_ok()
    })
}

fn listed(state: &State, caller: &Caller, belongs: impl Fn(&Channel) -> bool) -> Answer {
    let types: Vec<&str> = caller
        .text("types")
        .unwrap_or("public_channel")
        .split(',')
        .map(str::trim)
        .collect();
    for kind in [Kind::Public, Kind::Private, Kind::Im, Kind::Mpim] {
        if types.contains(&kind.listed()) {
            caller.require(&[&format!("{}:read", kind.scope())])?;
        }
    }
    if types
        .iter()
        .any(|word| !["public_channel", "private_channel", "im", "mpim"].contains(word))
    {
        return Err("invalid_types".into());
    }
    let team = caller.listed_team()?;
    let channels: Vec<&Channel> = state
        .channels
        .values()
        .filter(|channel| {
            types.contains(&channel.kind.listed())
                && channel.teams.contains(team)
                && !(caller.flag("exclude_archived") && channel.archived)
                && belongs(channel)
        })
        .collect();
    let usual = if caller.number("limit").is_some() {
        LONGEST_PAGE
    } else {
        USUAL_PAGE
    };
    let (page, next) = caller.page("team", channels, |channel| channel.id.clone(), usual)?;
    let views: Vec<_> = page
        .into_iter()
        .map(|channel| {
            let mut view = channel.view(caller.reader(false));
            if channel.kind != Kind::Im {
                view["num_members"] = json!(channel.members.len());
            }
            view
        })
        .collect();
    Ok(json!({ "channels": views, "response_metadata": { "next_cursor": next } }))
}

pub(super) fn info(state: &mut State, caller: &Caller) -> Answer {
    let channel = caller.channel(state)?;
    may_read(caller, channel)?;
    let mut view = channel.view(caller.reader(false));
    if caller.flag("include_num_members") {
        view["num_members"] = json!(channel.members.len());
    }
    Ok(json!({ "channel": view }))
}

pub(super) fn members(state: &mut State, caller: &Caller) -> Answer {
    let channel = caller.channel(state)?;
    may_read(caller, channel)?;
    let usual = if caller.number("limit").is_some() {
        LONGEST_PAGE
    } else {
        USUAL_PAGE
    };
    let (page, next) = caller.page("user", channel.members.iter().collect(), ToString::to_string, usual)?;
    Ok(json!({ "members": page, "response_metadata": { "next_cursor": next } }))
}

pub(super) fn join(state: &mut State, caller: &Caller) -> Answer {
    let channel = caller.channel(state)?;
    if channel.kind != Kind::Public {
        return Err("method_not_supported_for_channel_type".into());
    }
    if channel.archived {
        return Err("is_archived".into());
    }
    let id = channel.id.clone();
    let fresh = state.join(&id, &caller.user, None);
    let mut answer = json!({ "channel": caller.seen(state, &id)?.view(caller.reader(false)) });
    if !fresh {
        answer["warning"] = json!("already_in_channel");
        answer["response_metadata"] = json!({ "warnings": ["already_in_channel"] });
    }
    Ok(answer)
}

pub(super) fn leave(state: &mut State, caller: &Caller) -> Answer {
    let id = caller.channel(state)?.id.clone();
    if state.leave(&id, &caller.user, &caller.user) {
        Ok(json!({}))
    } else {
        Ok(json!({ "not_in_channel": true }))
    }
}

pub(super) fn set_topic(state: &mut State, caller: &Caller) -> Answer {
    let channel = caller.joined(state)?;
    let scopes: &[&str] = match channel.kind {
        Kind::Public => &["channels:manage", "channels:write.topic"],
        Kind::Private => &["groups:write", "groups:write.topic"],
        Kind::Im => &["im:write", "im:write.topic"],
        Kind::Mpim => &["mpim:write", "mpim:write.topic"],
    };
    caller.require(scopes)?;
    if channel.archived {
        return Err("is_archived".into());
    }
    let topic = caller.text("topic").unwrap_or_default();
    if topic.chars().count() > LONGEST_TOPIC {
        return Err("too_long".into());
    }
    let id = channel.id.clone();
    state.set_topic(&id, &caller.user, "topic", &stored(topic));
    Ok(json!({ "channel": caller.seen(state, &id)?.view(caller.reader(false)) }))
}

pub(super) fn open(state: &mut State, caller: &Caller) -> Answer {
    if let Some(channel) = caller.text("channel") {
        let place = caller.seen(state, channel)?;
        return Ok(json!({ "already_open": true, "no_op": true, "channel": { "id": place.id } }));
    }
    let given = caller
        .text("users")
        .ok_or_else(|| Refusal::from("users_list_not_supplied"))?;
    let mut users: Vec<&str> = given
        .split(',')
        .map(str::trim)
        .filter(|user| !user.is_empty())
        .collect();
    if users.iter().any(|user| !state.users.contains_key(*user)) {
        return Err("user_not_found".into());
    }
    if users.len() > 8 {
        return Err("too_many_users".into());
    }
    if let [user] = users.as_slice() {
        if state.users.get(*user).is_some_and(|user| user.deleted) {
            return Err("user_disabled".into());
        }
        if state.users.get(*user).is_some_and(|user| user.bot.is_some()) && caller.is_bot() {
            return Err("cannot_dm_bot".into());
        }
    }
    caller.require(if users.len() > 1 {
        &["mpim:write"]
    } else {
        &["im:write"]
    })?;
    users.insert(0, &caller.user);
    users.dedup();
    let (id, already) = state.direct(&caller.team, &users);
    let mut channel = json!({ "id": id });
    if caller.flag("return_im") {
        channel = caller.seen(state, &id)?.view(caller.reader(false));
    }
    let mut answer = json!({ "channel": channel });
    if already {
        answer["already_open"] = json!(true);
        answer["no_op"] = json!(true);
    }
    Ok(answer)
}
