//! `conversations.history` and `.replies`: what was said.

use serde_json::{Value, json};

use crate::slack::call::{Answer, Caller, Refusal, cursor, read_cursor};
use crate::slack::ids::Ts;
use crate::slack::state::{Channel, Message, State};

/// The longest page.
const LONGEST_PAGE: u64 = 999;
/// What comes unasked.
const USUAL_PAGE: u64 = 100;
/// The longest page of an app that is sold and not listed.
const COMMERCIAL_PAGE: u64 = 15;

/// What part of a history was asked for.
struct Span {
    oldest: Option<Ts>,
    latest: Option<Ts>,
    inclusive: bool,
    limit: usize,
}

impl Span {
    fn asked(state: &State, caller: &Caller) -> Result<Self, Refusal> {
        // An end that is given counts itself in only where that was asked for.
        let limit = caller.number("limit").filter(|limit| *limit > 0).unwrap_or(USUAL_PAGE);
        let most = if state.limits.commercial {
            COMMERCIAL_PAGE
        } else {
            LONGEST_PAGE
        };
        Ok(Self {
            oldest: caller.ts("oldest", "invalid_ts_oldest")?.filter(|ts| ts.micros() > 0),
            latest: caller.ts("latest", "invalid_ts_latest")?,
            inclusive: caller.flag("inclusive"),
            limit: usize::try_from(limit.min(most)).unwrap_or_default(),
        })
    }

    fn holds(&self, ts: Ts) -> bool {
        let inside = self.oldest.is_none_or(|oldest| ts > oldest) && self.latest.is_none_or(|latest| ts < latest);
        inside || self.inclusive && (self.oldest == Some(ts) || self.latest == Some(ts)) && !self.outside(ts)
    }

    fn outside(&self, ts: Ts) -> bool {
        self.oldest.is_some_and(|oldest| ts < oldest) || self.latest.is_some_and(|latest| ts > latest)
    }
}

fn may_read<'a>(state: &'a State, caller: &Caller) -> Result<&'a Channel, Refusal> {
    let channel = caller.channel(state)?;
    caller.require(&[&format!("{}:history", channel.kind.scope())])?;
    if channel.members.contains(&caller.user) || !caller.is_bot() {
        Ok(channel)
    } else {
        Err("not_in_channel".into())
    }
}

/// The timestamp a cursor says to go on from.
fn turned(caller: &Caller) -> Result<Option<Ts>, Refusal> {
    let Some(text) = caller.text("cursor") else {
        return Ok(None);
    };
    let ts = read_cursor("next_ts", text)
        .and_then(|micros| micros.parse().ok())
        .map(Ts::from_micros);
    ts.map(Some).ok_or_else(|| "invalid_cursor".into())
}

fn answer(views: &[Value], next: Option<Ts>, more: &Value) -> Value {
    let mut answer = json!({ "messages": views, "has_more": next.is_some() });
    if let Some(next) = next {
        answer["response_metadata"] = json!({ "next_cursor": cursor("next_ts", &next.micros().to_string()) });
    }
    crate::slack::view::extend(&mut answer, more.clone());
    answer
}

/// Newest first; answers in threads only where they were sent to the channel as well.
pub(super) fn history(state: &mut State, caller: &Caller) -> Answer {
    let channel = may_read(state, caller)?;
    let span = Span::asked(state, caller)?;
    let from = turned(caller)?;
    let mut rest = channel.messages.values().rev().filter(|message| {
        (message.thread.is_none() || message.broadcast)
            && span.holds(message.ts)
            && from.is_none_or(|from| message.ts <= from)
    });
    let page: Vec<&Message> = rest.by_ref().take(span.limit).collect();
    let next = rest.next().map(|message| message.ts);
    let reader =
        caller.reader(caller.flag("include_all_metadata") && caller.require(&["metadata.message:read"]).is_ok());
    let views: Vec<Value> = page
        .into_iter()
        .map(|message| Value::Object(state.view_message(channel, message, reader)))
        .collect();
    Ok(answer(
        &views,
        next,
        &json!({ "pin_count": channel.pins.len(), "channel_actions_ts": null, "channel_actions_count": 0 }),
    ))
}

/// The root, then its answers, oldest first.
pub(super) fn replies(state: &mut State, caller: &Caller) -> Answer {
    let channel = may_read(state, caller)?;
    let span = Span::asked(state, caller)?;
    let from = turned(caller)?;
    let given = caller
        .ts("ts", "thread_not_found")?
        .ok_or_else(|| Refusal::from("thread_not_found"))?;
    let named = channel
        .messages
        .get(&given)
        .ok_or_else(|| Refusal::from("thread_not_found"))?;
    let root_ts = named.thread.unwrap_or(given);
    let root = channel
        .messages
        .get(&root_ts)
        .ok_or_else(|| Refusal::from("thread_not_found"))?;
    // The root is there whatever span was asked for, but only once.
    let first = from.is_none().then_some(root);
    let mut rest = root
        .replies
        .iter()
        .filter_map(|(ts, _)| channel.messages.get(ts))
        .filter(|reply| span.holds(reply.ts) && from.is_none_or(|from| reply.ts >= from));
    let taken = span.limit.saturating_sub(usize::from(first.is_some()));
    let page: Vec<&Message> = first.into_iter().chain(rest.by_ref().take(taken)).collect();
    let next = rest.next().map(|message| message.ts);
    let reader =
        caller.reader(caller.flag("include_all_metadata") && caller.require(&["metadata.message:read"]).is_ok());
    let views: Vec<Value> = page
        .into_iter()
        .map(|message| Value::Object(state.view_message(channel, message, reader)))
        .collect();
    Ok(answer(&views, next, &json!({})))
}
