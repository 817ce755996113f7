//! A message's content → [`Message`].

use serde_json::Value;
use viaduct_model::document::{Mention, MentionTarget};
use viaduct_model::{
    Attachment, AttachmentKind, Document, Inline, MediaRef, Message, MessageId, MessageStyle, NetworkName,
};

use super::html;
use super::raw::{relation, text};
use crate::crypto::files;
use crate::people::Directory;

/// The longest file name taken, in bytes.
const NAME_BOUND: usize = 255;
/// How many people a message may address.
const MENTION_BOUND: usize = 50;

/// Reads the content of an `m.room.message`, or the new content of an edit. None if it is not a message for people.
pub(crate) fn message(content: &Value, directory: &dyn Directory) -> Option<Message> {
    let kind = text(content, "msgtype")?;
    let style = match kind {
        "m.emote" => MessageStyle::Action,
        "m.notice" => MessageStyle::Notice,
        other if other.starts_with("m.key.verification") => return None,
        _ => MessageStyle::Text,
    };
    let (reply_to, thread) = references(content);
    let mut message = Message {
        style,
        reply_to,
        thread,
        ..Message::default()
    };
    match attachment_kind(kind, content) {
        Some(kind) => file(content, kind, &mut message, directory),
        None => message.body = body(content, message.reply_to.is_some(), directory)?,
    }
    Some(message)
}

/// Reads the content of an `m.sticker`.
pub(crate) fn sticker(content: &Value, directory: &dyn Directory) -> Option<Message> {
    let (reply_to, thread) = references(content);
    let mut message = Message {
        reply_to,
        thread,
        ..Message::default()
    };
    file(content, AttachmentKind::Sticker, &mut message, directory);
    (!message.attachments.is_empty()).then_some(message)
}

/// What a message answers, and its thread. The reply inside a thread counts only if it is not just there for old clients.
fn references(content: &Value) -> (Option<MessageId>, Option<MessageId>) {
    let id = |value: Option<&Value>| {
        value
            .and_then(|value| text(value, "event_id"))
            .and_then(|id| MessageId::new(id).ok())
    };
    let Some(relation) = relation(content) else {
        return (None, None);
    };
    let reply = id(relation.get("m.in_reply_to"));
    if text(relation, "rel_type") != Some("m.thread") {
        return (reply, None);
    }
    let fallback = relation
        .get("is_falling_back")
        .and_then(Value::as_bool)
        .unwrap_or(false);
    (reply.filter(|_| !fallback), id(Some(relation)))
}

fn attachment_kind(msgtype: &str, content: &Value) -> Option<AttachmentKind> {
    Some(match msgtype {
        "m.image" => AttachmentKind::Image,
        "m.video" => AttachmentKind::Video,
        "m.audio"
            if ["org.matrix.msc3245.voice", "m.voice"]
                .iter()
                .any(|key| content.get(key).is_some()) =>
        {
            AttachmentKind::Voice
        }
        "m.audio" => AttachmentKind::Audio,
        "m.file" => AttachmentKind::File,
        _ => return None,
    })
}

/// The text of a message.
fn body(content: &Value, is_reply: bool, directory: &dyn Directory) -> Option<Document> {
    let formatted = (text(content, "format") == Some("org.matrix.custom.html"))
        .then(|| text(content, "formatted_body"))
        .flatten()
        .and_then(|html| html::parse(html, directory))
        .filter(|document| !document.blocks.is_empty());
    let document = if let Some(document) = formatted {
        document
    } else {
        let plain = text(content, "body")?;
        Document::plain(if is_reply { without_fallback(plain) } else { plain })
    };
    Some(with_mentions(document, content, directory))
}

/// The text without the quotation that older clients put in front of an answer.
fn without_fallback(body: &str) -> &str {
    let mut rest = body;
    let mut quoted = false;
    while let Some(tail) = rest
        .strip_prefix("> ")
        .or_else(|| rest.strip_prefix(">").filter(|t| t.starts_with('\n')))
    {
        quoted = true;
        rest = tail.split_once('\n').map_or("", |(_, after)| after);
    }
    if quoted {
        rest.strip_prefix('\n').unwrap_or(rest)
    } else {
        body
    }
}

/// The document with the people named in `m.mentions` addressed where their names stand in the text and no link does it.
fn with_mentions(document: Document, content: &Value, directory: &dyn Directory) -> Document {
    let Some(mentions) = content.get("m.mentions") else {
        return document;
    };
    let users = mentions
        .get("user_ids")
        .and_then(Value::as_array)
        .map(Vec::as_slice)
        .unwrap_or_default();
    let mut wanted: Vec<(Vec<String>, MentionTarget)> = Vec::new();
    for user in users.iter().take(MENTION_BOUND).filter_map(Value::as_str) {
        let Some(target) = html::target(user, directory) else {
            continue;
        };
        if document.mentions().iter().any(|mention| mention.target == target) {
            continue;
        }
        let mut labels = vec![user.to_owned()];
        labels.extend(
            directory
                .person(user)
                .map(|person| person.name)
                .filter(|name| name.chars().count() > 1),
        );
        wanted.push((labels, target));
    }
    if mentions.get("room").and_then(Value::as_bool) == Some(true) {
        wanted.push((vec!["@room".to_owned()], MentionTarget::Everyone));
    }
    wanted.into_iter().fold(document, |document, (labels, target)| {
        address(document, &labels, &target)
    })
}

/// Makes a mention of the first text that is one of the labels.
fn address(document: Document, labels: &[String], target: &MentionTarget) -> Document {
    let mut done = false;
    document.map_inlines(&mut |inline| {
        let Inline::Text(text) = &inline else {
            return vec![inline];
        };
        if done {
            return vec![inline];
        }
        for label in labels {
            let found = text
                .match_indices(label.as_str())
                .find(|(at, _)| stands_alone(text, *at, label.len()));
            let Some((at, _)) = found else { continue };
            done = true;
            let (before, tail) = text.split_at(at);
            let after = tail.strip_prefix(label.as_str()).unwrap_or_default();
            let mention = Inline::Mention(Mention {
                label: label.clone(),
                target: target.clone(),
            });
            return [Inline::Text(before.to_owned()), mention, Inline::Text(after.to_owned())]
                .into_iter()
                .filter(|part| !matches!(part, Inline::Text(text) if text.is_empty()))
                .collect();
        }
        vec![inline]
    })
}

/// Whether the piece of text is not part of a longer word.
fn stands_alone(text: &str, at: usize, length: usize) -> bool {
    let before = text.get(..at).and_then(|before| before.chars().next_back());
    let after = text.get(at + length..).and_then(|after| after.chars().next());
    !before.is_some_and(char::is_alphanumeric) && !after.is_some_and(char::is_alphanumeric)
}

/// Where a message's file is, with its key if it is encrypted.
fn locator(content: &Value) -> Option<String> {
    if let Some(file) = content.get("file") {
        return files::locator(file);
    }
    let url = text(content, "url").filter(|url| url.starts_with("mxc://") && url.len() <= 1024)?;
    Some(url.to_owned())
}

/// Reads a file and its caption into the message. A file that has no address is named in the text.
fn file(content: &Value, kind: AttachmentKind, message: &mut Message, directory: &dyn Directory) {
    let body_text = text(content, "body").unwrap_or_default();
    let given = text(content, "filename").filter(|name| !name.is_empty());
    // A body that differs from the file's name is a caption.
    if given.is_some_and(|name| name != body_text) && kind != AttachmentKind::Sticker {
        message.body = body(content, message.reply_to.is_some(), directory).unwrap_or_default();
    }
    let name = file_name(given.unwrap_or(body_text));
    let Some(locator) = locator(content) else {
        let mut note = Document::plain(&format!("[{name}]"));
        note.blocks.append(&mut message.body.blocks);
        message.body = note;
        return;
    };
    let info = content.get("info");
    let number = |key: &str| info.and_then(|info| info.get(key)).and_then(Value::as_u64);
    let pixels = |key: &str| number(key).and_then(|value| u32::try_from(value).ok());
    message.attachments.push(Attachment {
        media: MediaRef {
            network: NetworkName::matrix(),
            locator,
        },
        name,
        mime: info
            .and_then(|info| text(info, "mimetype"))
            .filter(|mime| is_mime(mime))
            .map(str::to_owned),
        size: number("size"),
        kind,
        dimensions: pixels("w").zip(pixels("h")),
        duration: number("duration"),
        spoiler: ["page.codeberg.everypizza.msc4193.spoiler", "m.spoiler"]
            .iter()
            .any(|key| content.get(key).is_some_and(|v| v == true)),
    });
}

/// A file name without path, control characters and excess.
pub(crate) fn file_name(given: &str) -> String {
    let last = given.rsplit(['/', '\\']).next().unwrap_or_default();
    let mut name: String = last.chars().filter(|c| !c.is_control()).collect();
    while name.len() > NAME_BOUND {
        name.pop();
    }
    match name.trim() {
        "" | "." | ".." => "file".to_owned(),
        name => name.to_owned(),
    }
}

/// Whether a text is shaped like a media type, so that it can stand in a header.
pub(crate) fn is_mime(text: &str) -> bool {
    text.len() <= 127
        && text.split_once('/').is_some_and(|(kind, rest)| {
            [kind, rest].iter().all(|part| {
                !part.is_empty()
                    && part
                        .bytes()
                        .all(|b| b.is_ascii_alphanumeric() || b"!#$&^_.+-;= ".contains(&b))
            })
        })
}
