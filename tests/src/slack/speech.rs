//! What happens in channels: messages said, changed and removed, reactions, pins and files. People and apps alike come
//! through here, so that every change reaches history and events in the same way.

use serde_json::{Map, Value, json};

use super::emit::Audience;
use super::ids::Ts;
use super::state::{Message, State};
use super::text;

/// A message about to be said.
#[derive(Debug, Clone, Default)]
pub(super) struct Draft {
    /// The user that says it, a bot's too.
    pub(super) author: String,
    /// The install whose app says it.
    pub(super) install: Option<usize>,
    /// The name and icons of somebody else, that an app may show.
    pub(super) dressed: Option<(Option<String>, Value)>,
    pub(super) subtype: Option<&'static str>,
    pub(super) text: String,
    /// `blocks`, `attachments` and whatever else belongs into it.
    pub(super) more: Map<String, Value>,
    pub(super) files: Vec<String>,
    pub(super) thread: Option<Ts>,
    pub(super) broadcast: bool,
    pub(super) metadata: Option<Value>,
    /// Slack makes no rich text of it.
    pub(super) plain: bool,
    /// Not told to anybody.
    pub(super) quiet: bool,
}

impl State {
    /// Says something. `None` if there is no such channel.
    pub(super) fn say(&mut self, channel: &str, draft: Draft) -> Option<Ts> {
        let ts = self.ids.ts();
        let home = self.channels.get(channel)?.team.clone();
        let shared = self.channels.get(channel)?.is_shared();
        let mut body = draft.more.clone();
        body.insert("type".to_owned(), json!("message"));
        body.insert("ts".to_owned(), json!(ts.to_string()));
        body.insert("text".to_owned(), json!(draft.text));
        let subtype = self.dress(&mut body, &draft).or(draft.subtype);
        if !body.contains_key("blocks") && !draft.plain && !draft.text.is_empty() {
            let block = self.ids.next("b");
            body.insert("blocks".to_owned(), json!([text::rich_text(&draft.text, &block)]));
        }
        let team = self.users.get(&draft.author).map_or(home, |user| user.team.clone());
        if subtype.is_none() && draft.install.is_none() {
            let id = self.ids.next("");
            body.insert(
                "client_msg_id".to_owned(),
                json!(format!("57a2d001-0000-4000-8000-{id:0>12}")),
            );
        }
        if matches!(subtype, None | Some("file_share" | "thread_broadcast")) {
            body.insert("team".to_owned(), json!(team));
            if shared {
                body.insert("user_team".to_owned(), json!(team));
                body.insert("source_team".to_owned(), json!(team));
            }
        }
        // Only a reply can be broadcast, and only one without another subtype says so.
        let broadcast = draft.broadcast && draft.thread.is_some();
        let subtype = if broadcast && subtype.is_none() {
            Some("thread_broadcast")
        } else {
            subtype
        };
        if let Some(subtype) = subtype {
            body.insert("subtype".to_owned(), json!(subtype));
        }
        let message = Message {
            ts,
            body,
            author: draft.author.clone(),
            app: draft
                .install
                .and_then(|index| self.installs.get(index))
                .map(|install| install.app.clone()),
            metadata: draft.metadata,
            thread: draft.thread,
            broadcast,
            replies: Vec::new(),
            reactions: Vec::new(),
            files: draft.files,
        };
        for file in &message.files {
            if let Some(file) = self.files.get_mut(file) {
                file.shares.push((channel.to_owned(), ts, draft.thread));
            }
        }
        if let Some(root) = draft.thread.and_then(|thread| self.message_mut(channel, thread)) {
            root.replies.push((ts, draft.author));
        }
        self.channels.get_mut(channel)?.messages.insert(ts, message);
        if !draft.quiet {
            self.emit_for(Audience::Members(channel), &|state, reader| {
                let Some(channel) = state.channels.get(channel) else {
                    return Value::Null;
                };
                let Some(message) = channel.messages.get(&ts) else {
                    return Value::Null;
                };
                Value::Object(state.event_message(channel, message, reader))
            });
        }
        Some(ts)
    }

    /// Enters who says it. The subtype, where that makes one.
    fn dress(&self, body: &mut Map<String, Value>, draft: &Draft) -> Option<&'static str> {
        if let Some(install) = draft.install.and_then(|index| self.installs.get(index)) {
            // Also where a person lends the app their voice.
            body.insert("bot_id".to_owned(), json!(install.bot));
            body.insert("app_id".to_owned(), json!(install.app));
            if let Some((name, icons)) = &draft.dressed {
                body.insert("username".to_owned(), json!(name.as_deref().unwrap_or(&install.name)));
                if !icons.is_null() {
                    body.insert("icons".to_owned(), icons.clone());
                }
                if draft.subtype.is_none() {
                    return Some("bot_message");
                }
            } else {
                body.insert("bot_profile".to_owned(), self.view_bot_profile(install));
            }
        }
        body.insert("user".to_owned(), json!(draft.author));
        None
    }

    /// Changes a message with `change`, marks it edited by `editor` if there is one, and tells. False if it is not
    /// there.
    pub(super) fn change(
        &mut self,
        channel: &str,
        ts: Ts,
        editor: Option<&str>,
        change: impl FnOnce(&mut Message),
    ) -> bool {
        let Some(before) = self.message(channel, ts).cloned() else {
            return false;
        };
        let at = self.ids.ts();
        let Some(message) = self.message_mut(channel, ts) else {
            return false;
        };
        change(message);
        if let Some(editor) = editor {
            message
                .body
                .insert("edited".to_owned(), json!({ "user": editor, "ts": at.to_string() }));
        }
        self.tell_change(channel, ts, &before, at);
        true
    }

    fn tell_change(&mut self, channel: &str, ts: Ts, before: &Message, at: Ts) {
        self.emit_for(Audience::Members(channel), &|state, reader| {
            let Some(channel) = state.channels.get(channel) else {
                return Value::Null;
            };
            let Some(message) = channel.messages.get(&ts) else {
                return Value::Null;
            };
            json!({
                "type": "message", "subtype": "message_changed", "hidden": true, "channel": channel.id,
                "channel_type": channel.kind.word(), "ts": at.to_string(), "event_ts": at.to_string(),
                "message": state.view_message(channel, message, reader),
                "previous_message": state.view_message(channel, before, reader),
            })
        });
    }

    /// Replaces the text of a message; rich text that Slack made of the old one goes with it.
    pub(super) fn edit(&mut self, channel: &str, ts: Ts, editor: &str, text: &str, more: Map<String, Value>) -> bool {
        let block = self.ids.next("b");
        self.change(channel, ts, Some(editor), |message| {
            message.body.insert("text".to_owned(), json!(text));
            message
                .body
                .insert("blocks".to_owned(), json!([text::rich_text(text, &block)]));
            message.body.extend(more);
        })
    }

    /// Removes a message. With answers it stays as a tombstone. False if it is not there.
    pub(super) fn remove(&mut self, channel: &str, ts: Ts) -> bool {
        let Some(before) = self.message(channel, ts).cloned() else {
            return false;
        };
        if !before.replies.is_empty() {
            return self.change(channel, ts, None, |message| {
                let kept: Map<String, Value> = json!({
                    "type": "message", "subtype": "tombstone", "hidden": true, "user": "USLACKBOT",
                    "text": "This message was deleted.", "ts": ts.to_string(),
                })
                .as_object()
                .cloned()
                .unwrap_or_default();
                message.body = kept;
                message.metadata = None;
                message.reactions.clear();
                message.files.clear();
            });
        }
        if let Some(root) = before.thread.and_then(|thread| self.message_mut(channel, thread)) {
            root.replies.retain(|(reply, _)| *reply != ts);
        }
        let at = self.ids.ts();
        if let Some(channel) = self.channels.get_mut(channel) {
            channel.messages.remove(&ts);
            channel.pins.retain(|(pinned, ..)| *pinned != ts);
        }
        self.emit_for(Audience::Members(channel), &|state, reader| {
            let Some(channel) = state.channels.get(channel) else {
                return Value::Null;
            };
            json!({
                "type": "message", "subtype": "message_deleted", "hidden": true, "channel": channel.id,
                "channel_type": channel.kind.word(), "ts": at.to_string(), "event_ts": at.to_string(),
                "deleted_ts": ts.to_string(), "previous_message": state.view_message(channel, &before, reader),
            })
        });
        true
    }

    /// Sets or takes back a reaction. The error Slack names where it cannot.
    pub(super) fn react(
        &mut self,
        channel: &str,
        ts: Ts,
        user: &str,
        name: &str,
        set: bool,
    ) -> Result<(), &'static str> {
        let message = self.message_mut(channel, ts).ok_or("message_not_found")?;
        let item_user = message.author.clone();
        let place = message.reactions.iter().position(|(reaction, _)| reaction == name);
        let mut users = place.map(|place| message.reactions.remove(place).1).unwrap_or_default();
        let has = users.iter().any(|by| by == user);
        if set && !has {
            users.push(user.to_owned());
        } else if !set && has {
            users.retain(|by| by != user);
        }
        if !users.is_empty() {
            let place = place.unwrap_or(message.reactions.len());
            message.reactions.insert(place, (name.to_owned(), users));
        }
        if set == has {
            return Err(if set { "already_reacted" } else { "no_reaction" });
        }
        let at = self.ids.ts();
        let event = json!({
            "type": if set { "reaction_added" } else { "reaction_removed" }, "user": user, "reaction": name,
            "item": { "type": "message", "channel": channel, "ts": ts.to_string() }, "item_user": item_user,
            "event_ts": at.to_string(),
        });
        self.emit(Audience::Members(channel), &event);
        Ok(())
    }

    /// Pins a message, or takes the pin away. False if there is nothing to do.
    pub(super) fn pin(&mut self, channel: &str, ts: Ts, user: &str, set: bool) -> bool {
        let at = self.ids.ts();
        let Some(place) = self
            .channels
            .get_mut(channel)
            .filter(|channel| channel.messages.contains_key(&ts))
        else {
            return false;
        };
        let pinned = place.pins.iter().any(|(pinned, ..)| *pinned == ts);
        if pinned == set {
            return false;
        }
        if set {
            place.pins.insert(0, (ts, user.to_owned(), at.seconds()));
        } else {
            place.pins.retain(|(pinned, ..)| *pinned != ts);
        }
        let user = user.to_owned();
        self.emit_for(Audience::Members(channel), &|state, reader| {
            let Some(channel) = state.channels.get(channel) else { return Value::Null };
            let Some(message) = channel.messages.get(&ts) else { return Value::Null };
            let mut shown = state.view_message(channel, message, reader);
            shown.insert("permalink".to_owned(), json!(state.permalink(&channel.id, ts, message.thread)));
            json!({
                "type": if set { "pin_added" } else { "pin_removed" }, "user": user, "channel_id": channel.id,
                "item": { "type": "message", "created": at.seconds(), "created_by": user, "channel": channel.id, "message": shown },
                "item_user": message.author, "pin_count": channel.pins.len(),
                "pinned_info": { "channel": channel.id, "pinned_by": user, "pinned_ts": at.seconds() },
                "event_ts": at.to_string(),
            })
        });
        true
    }
}
