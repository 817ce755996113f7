//! A [`Message`] → the contents of the events that show it.

use serde_json::{Map, Value, json};
use viaduct_model::document::{MentionTarget, split_text};
use viaduct_model::{Attachment, AttachmentKind, Document, Message, MessageId, MessageStyle, Reaction};

use super::render::{Users, is_formatted, render};

/// The largest content sent, in bytes of JSON. An event has at most 64 KiB, its envelope included.
const CONTENT_BOUND: usize = 60_000;
/// The longest text of one event, in bytes, when a text has to be split: escaped in JSON it can grow sixfold.
const PIECE: usize = 9_000;

/// How a message refers to others.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct References<'a> {
    pub(crate) reply_to: Option<&'a MessageId>,
    pub(crate) thread: Option<&'a MessageId>,
}

impl References<'_> {
    fn relation(self) -> Option<Value> {
        let reply = |id: &MessageId| json!({ "event_id": id.as_str() });
        match (self.thread, self.reply_to) {
            (None, None) => None,
            (None, Some(to)) => Some(json!({ "m.in_reply_to": reply(to) })),
            (Some(root), to) => Some(json!({
                "rel_type": "m.thread",
                "event_id": root.as_str(),
                "is_falling_back": to.is_none(),
                "m.in_reply_to": reply(to.unwrap_or(root)),
            })),
        }
    }
}

fn msgtype(style: MessageStyle) -> &'static str {
    match style {
        MessageStyle::Text => "m.text",
        MessageStyle::Notice => "m.notice",
        MessageStyle::Action => "m.emote",
    }
}

/// The contents of the events that show a message's text: one, or several if it is too long for one.
pub(crate) fn texts(message: &Message, users: &dyn Users) -> Vec<Map<String, Value>> {
    let references = References {
        reply_to: message.reply_to.as_ref(),
        thread: message.thread.as_ref(),
    };
    let mut whole = text(&message.body, message.style, users);
    relate(&mut whole, references);
    if fits(&whole) {
        return vec![whole];
    }
    let plain = message.body.to_plain();
    if plain.len() <= PIECE {
        whole.remove("format");
        whole.remove("formatted_body");
        return vec![whole];
    }
    split_text(&plain, PIECE)
        .into_iter()
        .enumerate()
        .map(|(number, piece)| {
            let mut content = text(&Document::plain(piece), message.style, users);
            let reply_to = references.reply_to.filter(|_| number == 0);
            relate(
                &mut content,
                References {
                    reply_to,
                    thread: references.thread,
                },
            );
            content
        })
        .collect()
}

fn fits(content: &Map<String, Value>) -> bool {
    // Cheap for the usual short text, exact for a long one.
    let rough: usize = content.values().filter_map(Value::as_str).map(str::len).sum();
    rough < CONTENT_BOUND / 8 || serde_json::to_vec(content).is_ok_and(|bytes| bytes.len() <= CONTENT_BOUND)
}

fn relate(content: &mut Map<String, Value>, references: References<'_>) {
    if let Some(relation) = references.relation() {
        content.insert("m.relates_to".to_owned(), relation);
    }
}

/// The content that shows a text.
fn text(body: &Document, style: MessageStyle, users: &dyn Users) -> Map<String, Value> {
    let mut content = Map::new();
    content.insert("msgtype".to_owned(), msgtype(style).into());
    write_text(&mut content, body, users);
    content
}

fn write_text(content: &mut Map<String, Value>, body: &Document, users: &dyn Users) {
    content.insert("body".to_owned(), body.to_plain().into());
    if is_formatted(body) {
        content.insert("format".to_owned(), "org.matrix.custom.html".into());
        content.insert("formatted_body".to_owned(), render(body, users).into());
    }
    content.insert("m.mentions".to_owned(), mentions(body, users));
}

/// Whom a text notifies. Never everybody: that crosses as text.
fn mentions(body: &Document, users: &dyn Users) -> Value {
    let mut ids: Vec<String> = Vec::new();
    for mention in body.mentions() {
        if let MentionTarget::Person { network, id } = &mention.target
            && let Some(user) = users.user(network, id)
            && !ids.contains(&user)
        {
            ids.push(user);
        }
    }
    if ids.is_empty() {
        json!({})
    } else {
        json!({ "user_ids": ids })
    }
}

/// The content that replaces a message's wording.
pub(crate) fn edit(target: &MessageId, message: &Message, users: &dyn Users) -> Map<String, Value> {
    let mut new = text(&message.body, message.style, users);
    if serde_json::to_vec(&new).is_ok_and(|bytes| bytes.len() > CONTENT_BOUND / 2) {
        // It is sent twice in one event: keep the beginning, and say that it is only that.
        let plain = message.body.to_plain();
        let piece = split_text(&plain, PIECE / 2)
            .first()
            .copied()
            .unwrap_or_default()
            .to_owned();
        new = text(&Document::plain(&format!("{piece}…")), message.style, users);
    }
    replacement(target, new)
}

/// The content that replaces an event's content by another.
pub(crate) fn replacement(target: &MessageId, new: Map<String, Value>) -> Map<String, Value> {
    let mut content = new.clone();
    for key in ["body", "formatted_body"] {
        if let Some(Value::String(old)) = content.get_mut(key) {
            old.insert_str(0, "* ");
        }
    }
    content.insert("m.mentions".to_owned(), json!({}));
    content.insert("m.new_content".to_owned(), Value::Object(new));
    content.insert(
        "m.relates_to".to_owned(),
        json!({ "rel_type": "m.replace", "event_id": target.as_str() }),
    );
    content
}

/// A file that the homeserver has.
pub(crate) struct Uploaded<'a> {
    pub(crate) url: &'a str,
    /// How it is encrypted there, if it is.
    pub(crate) key: Option<&'a Map<String, Value>>,
    pub(crate) mime: Option<&'a str>,
    pub(crate) size: u64,
}

/// The type and content of the event that shows a file, with a caption or none.
pub(crate) fn file(
    attachment: &Attachment,
    uploaded: &Uploaded<'_>,
    caption: Option<&Document>,
    references: References<'_>,
    users: &dyn Users,
) -> (&'static str, Map<String, Value>) {
    let mut content = Map::new();
    if let Some(caption) = caption.filter(|caption| !caption.is_empty()) {
        write_text(&mut content, caption, users);
    } else {
        content.insert("body".to_owned(), attachment.name.as_str().into());
        content.insert("m.mentions".to_owned(), json!({}));
    }
    content.insert("filename".to_owned(), attachment.name.as_str().into());
    match uploaded.key {
        None => content.insert("url".to_owned(), uploaded.url.into()),
        Some(key) => {
            let mut file = key.clone();
            file.insert("url".to_owned(), uploaded.url.into());
            content.insert("file".to_owned(), file.into())
        }
    };
    let mut info = Map::new();
    info.insert("size".to_owned(), uploaded.size.into());
    if let Some(mime) = uploaded.mime {
        info.insert("mimetype".to_owned(), mime.into());
    }
    if let Some((width, height)) = attachment.dimensions {
        info.insert("w".to_owned(), width.into());
        info.insert("h".to_owned(), height.into());
    }
    if let Some(duration) = attachment.duration {
        info.insert("duration".to_owned(), duration.into());
    }
    content.insert("info".to_owned(), Value::Object(info));
    if attachment.spoiler {
        content.insert("page.codeberg.everypizza.msc4193.spoiler".to_owned(), true.into());
    }
    relate(&mut content, references);
    let msgtype = match attachment.kind {
        AttachmentKind::Image => "m.image",
        AttachmentKind::Video => "m.video",
        AttachmentKind::Audio => "m.audio",
        AttachmentKind::Voice => {
            content.insert("org.matrix.msc3245.voice".to_owned(), json!({}));
            "m.audio"
        }
        AttachmentKind::File => "m.file",
        AttachmentKind::Sticker => {
            content.remove("filename");
            return ("m.sticker", content);
        }
    };
    content.insert("msgtype".to_owned(), msgtype.into());
    ("m.room.message", content)
}

/// The content of a reaction; `image` is the picture of a network's own emoji, where the homeserver has it.
pub(crate) fn reaction(target: &MessageId, reaction: &Reaction, image: Option<&str>) -> Map<String, Value> {
    let key = image.unwrap_or(&reaction.key);
    let mut content = Map::new();
    content.insert(
        "m.relates_to".to_owned(),
        json!({ "rel_type": "m.annotation", "event_id": target.as_str(), "key": key }),
    );
    if image.is_some() {
        content.insert("com.beeper.reaction.shortcode".to_owned(), reaction.key.as_str().into());
    }
    content
}
