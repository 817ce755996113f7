//! `chat.*`: an app speaks.

use serde_json::{Map, Value, json};

use crate::slack::call::{Answer, Caller, Refusal};
use crate::slack::ids::Ts;
use crate::slack::speech::Draft;
use crate::slack::state::{Kind, State};
use crate::slack::text::stored;

/// Characters of text that are kept.
const LONGEST_TEXT: usize = 40_000;
/// Characters of `markdown_text`.
const LONGEST_MARKDOWN: usize = 12_000;
/// Blocks of a message.
const MOST_BLOCKS: usize = 50;
/// Attachments of a message.
const MOST_ATTACHMENTS: usize = 100;
/// Characters of a section's text.
const LONGEST_SECTION: usize = 3_000;
/// Bytes of metadata.
const LARGEST_METADATA: usize = 16_000;

pub(super) fn post(state: &mut State, caller: &Caller) -> Answer {
    let channel = open_channel(state, caller)?;
    if !state
        .channels
        .get(&channel)
        .is_some_and(|place| place.members.contains(&caller.user))
    {
        let public = caller.token.scopes.contains("chat:write.public")
            && state
                .channels
                .get(&channel)
                .is_some_and(|place| place.kind == Kind::Public);
        if !public {
            return Err("not_in_channel".into());
        }
    }
    let dressed = dress(caller)?;
    let (text, more) = content(caller)?;
    let thread = thread(state, caller, &channel)?;
    let draft = Draft {
        author: caller.user.clone(),
        install: Some(caller.install),
        dressed,
        text,
        more,
        thread,
        broadcast: caller.flag("reply_broadcast"),
        metadata: metadata(caller)?,
        ..Draft::default()
    };
    let ts = state
        .say(&channel, draft)
        .ok_or_else(|| Refusal::from("channel_not_found"))?;
    Ok(json!({ "channel": channel, "ts": ts.to_string(), "message": shown(state, caller, &channel, ts) }))
}

/// A message as the caller is shown it.
fn shown(state: &State, caller: &Caller, channel: &str, ts: Ts) -> Option<Map<String, Value>> {
    let place = state.channels.get(channel)?;
    Some(state.view_message(place, place.messages.get(&ts)?, caller.reader(true)))
}

/// A message that only one person sees, until they reload. Nobody is told, and history does not have it.
pub(super) fn post_ephemeral(state: &mut State, caller: &Caller) -> Answer {
    let channel = caller.joined(state)?;
    if channel.archived {
        return Err("is_archived".into());
    }
    if !channel.members.contains(caller.text("user").unwrap_or_default()) {
        return Err("user_not_in_channel".into());
    }
    dress(caller)?;
    content(caller)?;
    Ok(json!({ "message_ts": state.ids.ts().to_string() }))
}

/// The channel to speak in; a user's identifier stands for the conversation with them.
fn open_channel(state: &mut State, caller: &Caller) -> Result<String, Refusal> {
    let given = caller.text("channel").unwrap_or_default();
    if given.starts_with(['U', 'W']) && state.users.contains_key(given) {
        return Ok(state.direct(&caller.team, &[&caller.user, given]).0);
    }
    let channel = caller.channel(state)?;
    if channel.archived {
        Err("is_archived".into())
    } else {
        Ok(channel.id.clone())
    }
}

/// The name and icons of somebody else, if any are asked for.
pub(super) fn dress(caller: &Caller) -> Result<Option<(Option<String>, Value)>, Refusal> {
    let name = caller.text("username");
    let (image, emoji) = (caller.text("icon_url"), caller.text("icon_emoji"));
    if !caller.is_bot() || (name.is_none() && image.is_none() && emoji.is_none()) {
        return Ok(None);
    }
    caller.require(&["chat:write.customize"])?;
    let icons = match (image, emoji) {
        (Some(image), _) => json!({ "image_36": image, "image_48": image, "image_72": image }),
        (None, Some(emoji)) => json!({ "emoji": emoji }),
        (None, None) => Value::Null,
    };
    Ok(Some((name.map(str::to_owned), icons)))
}

/// Text and blocks, within Slack's bounds.
fn content(caller: &Caller) -> Result<(String, Map<String, Value>), Refusal> {
    let markdown = caller.text("markdown_text");
    let mut more = Map::new();
    if let Some(blocks) = caller
        .json("blocks")
        .map_err(|()| Refusal::from("invalid_blocks_format"))?
    {
        check_blocks(&blocks)?;
        if blocks.as_array().is_some_and(|blocks| !blocks.is_empty()) {
            more.insert("blocks".to_owned(), with_ids(blocks));
        }
    }
    if let Some(attachments) = caller
        .json("attachments")
        .map_err(|()| Refusal::from("invalid_attachments"))?
    {
        let list = attachments
            .as_array()
            .ok_or_else(|| Refusal::from("invalid_attachments"))?;
        if list.len() > MOST_ATTACHMENTS {
            return Err("too_many_attachments".into());
        }
        if !list.is_empty() {
            more.insert("attachments".to_owned(), attachments);
        }
    }
    if let Some(markdown) = markdown {
        if caller.text("text").is_some() || more.contains_key("blocks") {
            return Err("markdown_text_conflict".into());
        }
        if markdown.chars().count() > LONGEST_MARKDOWN {
            return Err("msg_too_long".into());
        }
    }
    let text: String = caller
        .text("text")
        .or(markdown)
        .unwrap_or_default()
        .chars()
        .take(LONGEST_TEXT)
        .collect();
    if text.trim().is_empty() && more.is_empty() {
        return Err("no_text".into());
    }
    Ok((stored(&text), more))
}

fn check_blocks(blocks: &Value) -> Result<(), Refusal> {
    let refuse = |message: String| Refusal {
        code: "invalid_blocks".to_owned(),
        more: json!({ "response_metadata": { "messages": [format!("[ERROR] {message}")] } }),
    };
    let list = blocks
        .as_array()
        .ok_or_else(|| Refusal::from("invalid_blocks_format"))?;
    if list.len() > MOST_BLOCKS {
        return Err(refuse(format!(
            "no more than {MOST_BLOCKS} items allowed [json-pointer:/blocks]"
        )));
    }
    for (index, block) in list.iter().enumerate() {
        let known = [
            "actions",
            "call",
            "context",
            "divider",
            "file",
            "header",
            "image",
            "input",
            "markdown",
            "rich_text",
            "section",
            "table",
            "video",
        ];
        if !block["type"].as_str().is_some_and(|kind| known.contains(&kind)) {
            return Err(refuse(format!(
                "unsupported type: {} [json-pointer:/blocks/{index}/type]",
                block["type"]
            )));
        }
        if block["type"] == "section"
            && block["text"]["text"]
                .as_str()
                .is_some_and(|text| text.chars().count() > LONGEST_SECTION)
        {
            return Err(refuse(format!(
                "must be less than {} characters [json-pointer:/blocks/{index}/text/text]",
                LONGEST_SECTION + 1
            )));
        }
        if block["type"] == "rich_text" && !block["elements"].is_array() {
            return Err(refuse(format!(
                "missing required field: elements [json-pointer:/blocks/{index}]"
            )));
        }
    }
    Ok(())
}

/// Slack names every block.
fn with_ids(mut blocks: Value) -> Value {
    for (index, block) in blocks.as_array_mut().into_iter().flatten().enumerate() {
        if block["block_id"].is_null() {
            block["block_id"] = json!(format!("b{index}"));
        }
    }
    blocks
}

fn metadata(caller: &Caller) -> Result<Option<Value>, Refusal> {
    let Some(metadata) = caller
        .json("metadata")
        .map_err(|()| Refusal::from("invalid_metadata_format"))?
    else {
        return Ok(None);
    };
    if metadata.to_string().len() > LARGEST_METADATA {
        return Err("metadata_too_large".into());
    }
    let whole =
        metadata["event_type"].as_str().is_some_and(|kind| !kind.is_empty()) && metadata["event_payload"].is_object();
    if whole {
        Ok(Some(metadata))
    } else {
        Err("invalid_metadata_format".into())
    }
}

/// The root of the thread to answer in.
pub(super) fn thread(state: &State, caller: &Caller, channel: &str) -> Result<Option<Ts>, Refusal> {
    let Some(ts) = caller.ts("thread_ts", "invalid_thread_ts")? else {
        return Ok(None);
    };
    match state.message(channel, ts) {
        // An answer to an answer belongs to the same thread.
        Some(message) => Ok(Some(message.thread.unwrap_or(ts))),
        None => Err("thread_not_found".into()),
    }
}

pub(super) fn me_message(state: &mut State, caller: &Caller) -> Answer {
    let channel = caller.joined(state)?.id.clone();
    let draft = Draft {
        author: caller.user.clone(),
        install: Some(caller.install),
        subtype: Some("me_message"),
        text: stored(caller.text("text").unwrap_or_default()),
        plain: true,
        ..Draft::default()
    };
    let ts = state
        .say(&channel, draft)
        .ok_or_else(|| Refusal::from("channel_not_found"))?;
    Ok(json!({ "channel": channel, "ts": ts.to_string() }))
}

pub(super) fn update(state: &mut State, caller: &Caller) -> Answer {
    let (channel, ts) = own(state, caller, "cant_update_message")?;
    let (text, mut more) = content(caller)?;
    let keeps = ["blocks", "attachments"].iter().any(|part| more.contains_key(*part));
    if !keeps && caller.json("attachments").is_ok_and(|given| given.is_some()) {
        more.insert("attachments".to_owned(), json!([]));
    }
    let metadata = metadata(caller)?;
    state.edit(&channel, ts, &caller.user, &text, more);
    if let Some(message) = state.message_mut(&channel, ts).filter(|_| metadata.is_some()) {
        message.metadata = metadata;
    }
    let mut message = shown(state, caller, &channel, ts);
    // The answer names it only once.
    if let Some(message) = &mut message {
        message.remove("ts");
    }
    Ok(json!({ "channel": channel, "ts": ts.to_string(), "text": text, "message": message }))
}

pub(super) fn delete(state: &mut State, caller: &Caller) -> Answer {
    let (channel, ts) = own(state, caller, "cant_delete_message")?;
    state.remove(&channel, ts);
    Ok(json!({ "channel": channel, "ts": ts.to_string() }))
}

/// A message that the caller said.
fn own(state: &State, caller: &Caller, error: &str) -> Result<(String, Ts), Refusal> {
    let channel = caller.channel(state)?;
    if channel.archived {
        return Err("is_archived".into());
    }
    let ts = caller
        .ts("ts", "message_not_found")?
        .ok_or_else(|| Refusal::from("message_not_found"))?;
    let message = channel
        .messages
        .get(&ts)
        .ok_or_else(|| Refusal::from("message_not_found"))?;
    let tombstone = message
        .body
        .get("subtype")
        .is_some_and(|subtype| subtype == "tombstone");
    if tombstone {
        Err("message_not_found".into())
    } else if message.author == caller.user {
        Ok((channel.id.clone(), ts))
    } else {
        Err(error.into())
    }
}

pub(super) fn permalink(state: &mut State, caller: &Caller) -> Answer {
    let channel = caller.channel(state)?;
    let ts = caller
        .ts("message_ts", "message_not_found")?
        .ok_or_else(|| Refusal::from("message_not_found"))?;
    let message = channel
        .messages
        .get(&ts)
        .ok_or_else(|| Refusal::from("message_not_found"))?;
    Ok(json!({ "channel": channel.id, "permalink": state.permalink(&channel.id, ts, message.thread) }))
}
