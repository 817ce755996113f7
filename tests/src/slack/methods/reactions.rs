//! `reactions.*` and `pins.list`.

use serde_json::{Value, json};

use crate::slack::call::{Answer, Caller, Refusal};
use crate::slack::ids::Ts;
use crate::slack::state::State;

fn target(state: &State, caller: &Caller) -> Result<(String, Ts), Refusal> {
    let channel = caller.joined(state)?;
    if channel.archived {
        return Err("is_archived".into());
    }
    let ts = caller
        .ts("timestamp", "bad_timestamp")?
        .ok_or_else(|| Refusal::from("no_item_specified"))?;
    Ok((channel.id.clone(), ts))
}

fn emoji(state: &State, caller: &Caller) -> Result<String, Refusal> {
    let given = caller.text("name").unwrap_or_default();
    let name = given.trim_matches(':');
    let plain = name.split("::").next().unwrap_or_default();
    let own = state
        .teams
        .get(&caller.team)
        .is_some_and(|team| team.emoji.contains_key(plain));
    // Every name in Slack's alphabet passes for one of the standard emoji, but not what looks like a sign itself.
    let known = own
        || !plain.is_empty()
            && plain
                .chars()
                .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "_-+'".contains(c));
    if known {
        Ok(name.to_owned())
    } else {
        Err("invalid_name".into())
    }
}

pub(super) fn add(state: &mut State, caller: &Caller) -> Answer {
    let (channel, ts) = target(state, caller)?;
    let name = emoji(state, caller)?;
    state.react(&channel, ts, &caller.user, &name, true)?;
    Ok(json!({}))
}

pub(super) fn remove(state: &mut State, caller: &Caller) -> Answer {
    let (channel, ts) = target(state, caller)?;
    let name = emoji(state, caller)?;
    state.react(&channel, ts, &caller.user, &name, false)?;
    Ok(json!({}))
}

pub(super) fn get(state: &mut State, caller: &Caller) -> Answer {
    let channel = caller.channel(state)?;
    let ts = caller
        .ts("timestamp", "bad_timestamp")?
        .ok_or_else(|| Refusal::from("no_item_specified"))?;
    let message = channel
        .messages
        .get(&ts)
        .ok_or_else(|| Refusal::from("message_not_found"))?;
    let mut view = state.view_message(channel, message, caller.reader(false));
    view.insert(
        "permalink".to_owned(),
        json!(state.permalink(&channel.id, ts, message.thread)),
    );
    Ok(json!({ "type": "message", "channel": channel.id, "message": view }))
}

pub(super) fn pins(state: &mut State, caller: &Caller) -> Answer {
    let channel = caller.channel(state)?;
    let items: Vec<Value> = channel
        .pins
        .iter()
        .filter_map(|(ts, by, at)| {
            let message = channel.messages.get(ts)?;
            let mut view = state.view_message(channel, message, caller.reader(false));
            view.insert(
                "permalink".to_owned(),
                json!(state.permalink(&channel.id, *ts, message.thread)),
            );
            Some(json!({ "type": "message", "channel": channel.id, "created": at, "created_by": by, "message": view }))
        })
        .collect();
    Ok(json!({ "items": items }))
}
