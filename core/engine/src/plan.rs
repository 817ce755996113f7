//! Planning: what one event becomes at one destination. Pure; the only place where fallbacks are decided.
//!
//! The lane finds out what the event refers to and where that is at the destination ([`Resolved`]); [`plan`] turns this and
//! the destination's [`Capabilities`] into content the destination can express, or says why nothing is sent.

use viaduct_model::document::{Block, Inline, is_safe_link};
use viaduct_model::{
    Attachment, Capabilities, Content, Document, MediaRef, Message, MessageId, MessageStyle, Reaction, Support,
};

use crate::settings::Forms;

/// How much of a message is quoted when it is referred to in words, in characters.
const QUOTE_BOUND: usize = 60;

/// A message that another one refers to, as far as it is known.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Referred {
    /// Its ids at the destination, in order; empty if it is not there.
    pub ids: Vec<MessageId>,
    /// Its author's name.
    pub name: Option<String>,
    /// Itself, if it is a message that is still in the journal.
    pub message: Option<Message>,
    /// How long ago it happened, in seconds, as seen from the event that refers to it.
    pub age: u64,
    /// If it was itself a reaction: what it reacted to, and how. Then taking it back is meant.
    pub reaction: Option<Reaction>,
}

impl Referred {
    fn text(&self) -> Option<String> {
        self.message.as_ref().map(|message| message.body.to_plain())
    }
}

/// What an event refers to.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Resolved {
    /// The event acted upon ([`Content::target`]).
    pub target: Option<Referred>,
    /// For reactions that are taken back: the ids of the reaction itself at the destination.
    pub reaction_ids: Vec<MessageId>,
    /// The message answered.
    pub reply: Option<Referred>,
    /// The first message of the thread.
    pub thread: Option<Referred>,
    /// The pinned messages that are at the destination, by their ids there.
    pub pins: Vec<MessageId>,
}

/// What is done about an event at one destination.
#[derive(Debug, Clone, PartialEq)]
pub enum Plan {
    /// Send this. The second part lists all ids of the target there.
    Send(Content, Vec<MessageId>),
    /// Send nothing, because of this.
    Skip(&'static str),
}

/// Makes links to files and long texts.
pub trait Links {
    /// A link for a file, if files are published.
    fn file(&self, media: &MediaRef, name: &str) -> Option<String>;
    /// A reference to the event's own text as a file; none if its text may not be read as it is.
    fn text(&self) -> Option<MediaRef>;
}

/// Decides what an event becomes at a destination with these capabilities.
pub fn plan(content: &Content, resolved: &Resolved, caps: &Capabilities, forms: &Forms, links: &dyn Links) -> Plan {
    match content {
        Content::Message(message) => Plan::Send(
            Content::Message(plan_message(message, resolved, caps, forms, links)),
            Vec::new(),
        ),
        Content::Edit { message, .. } => plan_edit(message, resolved, caps, forms, links),
        Content::Delete { reason, .. } => plan_delete(reason.as_deref(), resolved, caps),
        Content::React { reaction, .. } => plan_reaction(reaction, resolved, caps),
        Content::Unreact { reaction, .. } => plan_unreact(reaction, resolved, caps),
        Content::Read { .. } => match first_id(resolved.target.as_ref()) {
            Some(target) if caps.read == Support::Native => Plan::Send(Content::Read { target }, Vec::new()),
            _ => Plan::Skip("read receipts are not possible there"),
        },
        Content::Pins { pinned } => plan_pins(pinned, resolved, caps),
        Content::Closed { reason } => Plan::Send(Content::Message(notice(reason)), Vec::new()),
        Content::Opened => Plan::Skip("nothing to say"),
        other => {
            let support = match other {
                Content::Membership { change, .. } => match change {
                    viaduct_model::Membership::Kick
                    | viaduct_model::Membership::Ban
                    | viaduct_model::Membership::Unban => caps.moderation,
                    _ => caps.membership,
                },
                Content::Role { .. } => caps.role,
                Content::Topic { .. } => caps.topic,
                Content::Name { .. } | Content::Picture { .. } => caps.name,
                Content::Typing { .. } => caps.typing,
                _ => Support::None,
            };
            if support == Support::Native {
                Plan::Send(other.clone(), Vec::new())
            } else {
                Plan::Skip("the network has nothing like it")
            }
        }
    }
}

fn first_id(referred: Option<&Referred>) -> Option<MessageId> {
    referred.and_then(|referred| referred.ids.first().cloned())
}

fn plan_message(
    message: &Message,
    resolved: &Resolved,
    caps: &Capabilities,
    forms: &Forms,
    links: &dyn Links,
) -> Message {
    let mut planned = message.clone();
    let thread = first_id(resolved.thread.as_ref());
    let reply = first_id(resolved.reply.as_ref());
    planned.thread = thread.clone().filter(|_| caps.thread == Support::Native);
    // A thread becomes an answer to its first message where there are no threads.
    let referred = match (&planned.thread, &resolved.reply) {
        (_, Some(referred)) => Some((referred, reply)),
        (None, None) => resolved.thread.as_ref().map(|referred| (referred, thread)),
        (Some(_), None) => None,
    };
    planned.reply_to = None;
    match referred {
        Some((_, Some(id))) if caps.reply != Support::None => planned.reply_to = Some(id),
        Some((referred, _)) => prefix_reply(&mut planned.body, referred, forms),
        None => {}
    }
    plan_files(&mut planned, caps, forms, links);
    shorten(&mut planned, caps, forms, links);
    planned
}

fn prefix_reply(body: &mut Document, referred: &Referred, forms: &Forms) {
    let Some(name) = &referred.name else { return };
    let text = fill(
        &forms.reply,
        &[("name", name), ("quote", &quote(referred.text().as_deref()))],
    );
    prepend(body, text);
}

/// Puts a text in front of the first paragraph.
fn prepend(body: &mut Document, text: String) {
    match body.blocks.first_mut() {
        Some(Block::Paragraph(content)) => content.insert(0, Inline::Text(text)),
        _ => body.blocks.insert(0, Block::Paragraph(vec![Inline::Text(text)])),
    }
}

fn plan_files(message: &mut Message, caps: &Capabilities, forms: &Forms, links: &dyn Links) {
    let (native, linked): (Vec<_>, Vec<_>) = std::mem::take(&mut message.attachments).into_iter().partition(|file| {
        let fits = match (file.size, caps.file_limit) {
            (Some(size), Some(limit)) => size <= limit,
            _ => true,
        };
        caps.file == Support::Native && fits
    });
    message.attachments = native;
    for file in linked {
        message
            .body
            .blocks
            .push(Block::Paragraph(file_line(&file, forms, links)));
    }
}

fn file_line(file: &Attachment, forms: &Forms, links: &dyn Links) -> Vec<Inline> {
    let size = file.size.map_or_else(|| "?".to_owned(), human_size);
    match links.file(&file.media, &file.name).filter(|link| is_safe_link(link)) {
        Some(link) => {
            let shown = fill(&forms.file, &[("file", &file.name), ("size", &size), ("link", "\u{0}")]);
            with_link(&shown, link)
        }
        None => vec![Inline::Text(fill(
            &forms.file_missing,
            &[("file", &file.name), ("size", &size)],
        ))],
    }
}

/// The line with the link in the place of the one NUL.
fn with_link(text: &str, link: String) -> Vec<Inline> {
    let (before, after) = text.split_once('\u{0}').unwrap_or((text, ""));
    let shown = Inline::Link {
        content: vec![Inline::Text(link.clone())],
        url: link,
    };
    [Inline::Text(before.to_owned()), shown, Inline::Text(after.to_owned())]
        .into_iter()
        .filter(|inline| !matches!(inline, Inline::Text(text) if text.is_empty()))
        .collect()
}

/// Whether a message has more lines than the network bears.
pub(crate) fn is_long(message: &Message, caps: &Capabilities) -> bool {
    caps.line_limit
        .is_some_and(|limit| message.body.to_plain().lines().count() > limit as usize)
}

/// A text with more lines than the network bears becomes its beginning and a link, where files are published.
fn shorten(message: &mut Message, caps: &Capabilities, forms: &Forms, links: &dyn Links) {
    if !is_long(message, caps) {
        return;
    }
    let text = message.body.to_plain();
    let link = links.text().and_then(|text| links.file(&text, "message.txt"));
    if let Some(link) = link.filter(|link| is_safe_link(link)) {
        let shown = fill(&forms.long_text, &[("quote", &quote(Some(&text))), ("link", "\u{0}")]);
        message.body = Document::paragraph(with_link(&shown, link));
    }
}

fn plan_edit(message: &Message, resolved: &Resolved, caps: &Capabilities, forms: &Forms, links: &dyn Links) -> Plan {
    let target = resolved.target.clone().unwrap_or_default();
    let in_time = caps.edit_window.is_none_or(|window| target.age <= window);
    let mut planned = plan_message(message, resolved, caps, forms, links);
    match target.ids.first() {
        Some(id) if caps.edit != Support::None && in_time => Plan::Send(
            Content::Edit {
                target: id.clone(),
                message: planned,
            },
            target.ids.clone(),
        ),
        // Not lost: said again.
        _ => {
            let (before, after) = forms.edit.split_once("{text}").unwrap_or((forms.edit.as_str(), ""));
            prepend(&mut planned.body, before.to_owned());
            if !after.is_empty() {
                planned
                    .body
                    .blocks
                    .push(Block::Paragraph(vec![Inline::Text(after.to_owned())]));
            }
            Plan::Send(Content::Message(planned), Vec::new())
        }
    }
}

fn plan_delete(reason: Option<&str>, resolved: &Resolved, caps: &Capabilities) -> Plan {
    let Some(target) = &resolved.target else {
        return Plan::Skip("what was deleted is not known there");
    };
    if let Some(reaction) = &target.reaction {
        return plan_unreact(reaction, resolved, caps);
    }
    match target.ids.first() {
        Some(_) if caps.delete == Support::None => Plan::Skip("deletions are not possible there"),
        Some(id) => {
            let reason = reason.map(ToOwned::to_owned);
            Plan::Send(
                Content::Delete {
                    target: id.clone(),
                    reason,
                },
                target.ids.clone(),
            )
        }
        None => Plan::Skip("what was deleted is not there"),
    }
}

fn plan_reaction(reaction: &Reaction, resolved: &Resolved, caps: &Capabilities) -> Plan {
    let Some(target) = &resolved.target else {
        return Plan::Skip("what was reacted to is not known");
    };
    match target.ids.first() {
        Some(_) if caps.reaction == Support::None => Plan::Skip("reactions are not possible there"),
        Some(id) => {
            let reaction = reaction.clone();
            Plan::Send(
                Content::React {
                    target: id.clone(),
                    reaction,
                },
                target.ids.clone(),
            )
        }
        None => Plan::Skip("what was reacted to is not there"),
    }
}

fn plan_unreact(reaction: &Reaction, resolved: &Resolved, caps: &Capabilities) -> Plan {
    match first_id(resolved.target.as_ref()) {
        Some(_) if caps.reaction == Support::None => Plan::Skip("reactions are not possible there"),
        Some(target) => {
            let reaction = reaction.clone();
            Plan::Send(Content::Unreact { target, reaction }, resolved.reaction_ids.clone())
        }
        None => Plan::Skip("the reaction is not there"),
    }
}

/// What is pinned there is replaced by what is pinned here, as far as it is there. Of nothing but strangers it says nothing.
fn plan_pins(pinned: &[MessageId], resolved: &Resolved, caps: &Capabilities) -> Plan {
    if caps.pins != Support::Native {
        return Plan::Skip("pinned messages are not possible there");
    }
    if resolved.pins.is_empty() && !pinned.is_empty() {
        return Plan::Skip("what is pinned is not there");
    }
    let pinned = resolved.pins.clone();
    Plan::Send(Content::Pins { pinned }, Vec::new())
}

fn notice(text: &str) -> Message {
    Message {
        style: MessageStyle::Notice,
        ..Message::plain(text)
    }
}

/// The beginning of a text on one line.
fn quote(text: Option<&str>) -> String {
    let line = text
        .unwrap_or_default()
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ");
    if line.chars().count() <= QUOTE_BOUND {
        return line;
    }
    line.chars().take(QUOTE_BOUND - 1).chain(['…']).collect()
}

/// Fills `{key}` places in one pass, so that nothing in a value is taken for a place.
fn fill(form: &str, values: &[(&str, &str)]) -> String {
    let mut out = String::with_capacity(form.len() + 32);
    let mut rest = form;
    while let Some((before, after)) = rest.split_once('{') {
        out.push_str(before);
        let found = after.split_once('}').and_then(|(key, tail)| {
            values
                .iter()
                .find(|(name, _)| *name == key)
                .map(|(_, value)| (*value, tail))
        });
        if let Some((value, tail)) = found {
            out.push_str(value);
            rest = tail;
        } else {
            out.push('{');
            rest = after;
        }
    }
    out.push_str(rest);
    out
}

/// A size for people: `12 kB`, `3.4 MB`.
fn human_size(bytes: u64) -> String {
    match bytes {
        0..1_000 => format!("{bytes} B"),
        1_000..1_000_000 => format!("{} kB", bytes / 1_000),
        1_000_000..1_000_000_000 => format!("{}.{} MB", bytes / 1_000_000, bytes / 100_000 % 10),
        _ => format!("{}.{} GB", bytes / 1_000_000_000, bytes / 100_000_000 % 10),
    }
}

#[cfg(test)]
mod tests;
