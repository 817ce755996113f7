//! A whole message of Slack's → the hub's.

use viaduct_model::document::{Block, Document, Inline};
use viaduct_model::{Attachment, AttachmentKind, MediaRef, Message, MessageId, MessageStyle, NetworkName};

use super::ids::is_ts;
use super::mrkdwn::{self, Reader};
use super::rich;
use crate::client::payload::{self, File};

/// How many files of one message are taken.
const FILES: usize = 50;
/// How many attachments of the old kind are read.
const ATTACHMENTS: usize = 50;

/// A message, as far as it can be told without asking Slack. People whom it names and nobody knows are in `reader.missing`.
pub fn message(raw: &payload::Message, reader: &mut Reader<'_>) -> Message {
    let root = raw.thread_ts.as_deref().filter(|root| *root != raw.ts && is_ts(root));
    let root = root.and_then(|root| MessageId::new(root).ok());
    // A reply that was also sent to the channel is an answer there.
    let is_broadcast = raw.subtype.as_deref() == Some("thread_broadcast");
    let (thread, reply_to) = if is_broadcast { (None, root) } else { (root, None) };
    Message {
        style: match raw.subtype.as_deref() {
            Some("me_message") => MessageStyle::Action,
            Some("reminder_add" | "bot_add" | "bot_remove" | "sh_room_created" | "tabbed_canvas_updated") => {
                MessageStyle::Notice
            }
            _ => MessageStyle::Text,
        },
        body: body(raw, reader),
        attachments: raw
            .files
            .iter()
            .take(FILES)
            .filter(|file| is_kept(file))
            .map(|file| attachment(file, reader.world.network()))
            .collect(),
        reply_to,
        thread,
    }
}

/// What a message says.
pub fn body(raw: &payload::Message, reader: &mut Reader<'_>) -> Document {
    let mut blocks = match &raw.blocks {
        Some(json) => rich::blocks(json.get(), reader),
        None => Vec::new(),
    };
    let said = Document { blocks: blocks.clone() };
    if said.is_empty() {
        blocks = mrkdwn::blocks(&raw.text, reader);
    }
    for attachment in raw.attachments.iter().take(ATTACHMENTS) {
        blocks.extend(quoted(attachment, reader));
    }
    for file in raw.files.iter().take(FILES).filter(|file| !is_kept(file)) {
        blocks.push(Block::Paragraph(elsewhere(file)));
    }
    Document { blocks }.normal()
}

/// An attachment of the old kind. Previews of addresses are left out: the address is in the text.
fn quoted(attachment: &payload::Attachment, reader: &mut Reader<'_>) -> Option<Block> {
    let is_message = attachment.is_msg_unfurl || attachment.is_share;
    if !is_message && (attachment.from_url.is_some() || attachment.is_app_unfurl) {
        return None;
    }
    let mut blocks = mrkdwn::blocks(&attachment.pretext, reader);
    let mut heading = Vec::new();
    if !attachment.author_name.is_empty() {
        heading.push(Inline::Strong(vec![Inline::Text(attachment.author_name.clone())]));
        if !attachment.title.is_empty() {
            heading.push(Inline::Text(" ".to_owned()));
        }
    }
    if !attachment.title.is_empty() {
        let title = reader.inlines(&attachment.title);
        heading.push(match &attachment.title_link {
            Some(url) => Inline::Link {
                url: url.clone(),
                content: title,
            },
            None => Inline::Strong(title),
        });
    }
    if !heading.is_empty() {
        blocks.push(Block::Paragraph(heading));
    }
    match &attachment.blocks {
        Some(json) if attachment.text.is_empty() => blocks.extend(rich::blocks(json.get(), reader)),
        _ => blocks.extend(mrkdwn::blocks(&attachment.text, reader)),
    }
    for field in &attachment.fields {
        let mut line = vec![
            Inline::Strong(reader.inlines(&field.title)),
            Inline::Text(" ".to_owned()),
        ];
        line.extend(reader.inlines(&field.value));
        blocks.push(Block::Paragraph(line));
    }
    if let Some(url) = &attachment.image_url {
        blocks.push(Block::Paragraph(vec![Inline::Link {
            url: url.clone(),
            content: Vec::new(),
        }]));
    }
    if !attachment.footer.is_empty() {
        blocks.push(Block::Paragraph(vec![Inline::Emphasis(
            reader.inlines(&attachment.footer),
        )]));
    }
    if (Document { blocks: blocks.clone() }).is_empty() {
        blocks = mrkdwn::blocks(&attachment.fallback, reader);
    }
    (!blocks.is_empty()).then_some(Block::Quote(blocks))
}

/// Whether Slack keeps the file and gives it to us.
fn is_kept(file: &File) -> bool {
    !file.id.is_empty() && !matches!(file.mode.as_deref(), Some("external" | "tombstone" | "hidden_by_limit"))
}

/// A file that Slack does not give: a link, or that it is gone.
fn elsewhere(file: &File) -> Vec<Inline> {
    let name = file.name.clone().or_else(|| file.title.clone());
    let name = Inline::Text(name.unwrap_or_else(|| "?".to_owned()));
    match (file.mode.as_deref(), &file.url_private) {
        (Some("external"), Some(url)) => vec![Inline::Link {
            url: url.clone(),
            content: vec![name],
        }],
        _ => vec![Inline::Text("🗑 ".to_owned()), Inline::Strike(vec![name])],
    }
}

/// Whether more has to be asked for before a file can be told of.
pub fn needs_info(file: &File) -> bool {
    file.file_access.as_deref() == Some("check_file_info") && !file.id.is_empty()
}

/// The locator of a file: its id, and where it was last.
pub fn locator(file: &File) -> String {
    let url = file.url_private_download.as_deref().or(file.url_private.as_deref());
    format!("file {} {}", file.id, url.unwrap_or_default())
}

fn attachment(file: &File, network: &NetworkName) -> Attachment {
    let mime = file.mimetype.clone();
    let number = |value: Option<u64>| {
        value
            .and_then(|value| u32::try_from(value).ok())
            .filter(|value| *value > 0)
    };
    let name = file.name.as_ref().or(file.title.as_ref());
    let name = name.map_or("file", |name| name.rsplit(['/', '\\']).next().unwrap_or(name));
    Attachment {
        media: MediaRef {
            network: network.clone(),
            locator: locator(file),
        },
        name: name.chars().filter(|c| !c.is_control()).take(255).collect(),
        kind: match (file.subtype.as_deref(), mime.as_deref()) {
            (Some("slack_audio"), _) => AttachmentKind::Voice,
            (_, Some(mime)) if mime.starts_with("image/") => AttachmentKind::Image,
            (_, Some(mime)) if mime.starts_with("video/") => AttachmentKind::Video,
            (_, Some(mime)) if mime.starts_with("audio/") => AttachmentKind::Audio,
            _ => AttachmentKind::File,
        },
        mime,
        size: file.size,
        dimensions: number(file.original_w).zip(number(file.original_h)),
        duration: file.duration_ms,
        spoiler: false,
    }
}

/// Whether the second is another wording of the first: previews and counts of replies that come later are none.
pub fn is_edit(before: &payload::Message, now: &payload::Message) -> bool {
    let blocks = |message: &payload::Message| {
        message
            .blocks
            .as_ref()
            .and_then(|json| serde_json::from_str::<serde_json::Value>(json.get()).ok())
            .map(without_ids)
    };
    let files = |message: &payload::Message| -> Vec<(String, bool)> {
        message
            .files
            .iter()
            .map(|file| (file.id.clone(), is_kept(file)))
            .collect()
    };
    if before.edited != now.edited && now.edited.is_some() {
        return true;
    }
    before.text != now.text || files(before) != files(now) || blocks(before) != blocks(now)
}

/// Blocks without the ids that Slack gives them anew.
fn without_ids(mut blocks: serde_json::Value) -> serde_json::Value {
    if let Some(list) = blocks.as_array_mut() {
        for block in list {
            if let Some(object) = block.as_object_mut() {
                object.remove("block_id");
            }
        }
    }
    blocks
}

#[cfg(test)]
mod tests {
    use super::super::tests::Sample;
    use super::*;

    fn raw(json: serde_json::Value) -> payload::Message {
        serde_json::from_value(json).unwrap()
    }

    fn read(json: serde_json::Value) -> Message {
        message(&raw(json), &mut Reader::new(&Sample::new()))
    }

    #[test]
    fn threads_and_answers_are_told_apart() {
        let reply = read(serde_json::json!({"ts": "2.0", "thread_ts": "1.0", "text": "x"}));
        assert_eq!(reply.thread.unwrap().as_str(), "1.0");
        let broadcast =
            read(serde_json::json!({"ts": "2.0", "thread_ts": "1.0", "text": "x", "subtype": "thread_broadcast"}));
        assert_eq!((broadcast.thread, broadcast.reply_to.unwrap().as_str()), (None, "1.0"));
        let root = read(serde_json::json!({"ts": "1.0", "thread_ts": "1.0", "text": "x"}));
        assert_eq!(root.thread, None);
    }

    #[test]
    fn previews_are_no_edits() {
        let before = serde_json::json!({"ts": "1.0", "text": "https://x", "blocks": [{"block_id": "a", "type": "y"}]});
        let mut now = before.clone();
        now["attachments"] = serde_json::json!([{"from_url": "https://x", "title": "X"}]);
        now["blocks"][0]["block_id"] = "b".into();
        now["reply_count"] = 2.into();
        assert!(!is_edit(&raw(before.clone()), &raw(now.clone())));
        assert_eq!(read(now.clone()).body.to_plain(), "https://x");
        now["text"] = "other".into();
        assert!(is_edit(&raw(before), &raw(now)));
    }

    #[test]
    fn files_and_quotations_are_kept() {
        let found = read(serde_json::json!({
            "ts": "1.0", "text": "see",
            "attachments": [{"is_share": true, "author_name": "Ben", "text": "*said*", "from_url": "https://s/1"},
                            {"color": "red", "title": "Build", "title_link": "https://ci/1", "fields": [{"title": "Took", "value": "3 s"}]}],
            "files": [{"id": "F1", "name": "a.png", "mimetype": "image/png", "size": 9, "original_w": 3, "original_h": 2,
                       "url_private_download": "https://files.slack.com/a.png"},
                      {"id": "F2", "name": "gone.txt", "mode": "tombstone"}],
        }));
        insta::assert_snapshot!(found.body.to_plain(), @r"
        see

        > Ben
        > 
        > said

        > Build <https://ci/1>
        > 
        > Took 3 s

        🗑 gone.txt
        ");
        let file = &found.attachments[0];
        assert_eq!(file.media.locator, "file F1 https://files.slack.com/a.png");
        assert_eq!((file.kind, file.dimensions), (AttachmentKind::Image, Some((3, 2))));
        assert_eq!(found.attachments.len(), 1);
    }
}
