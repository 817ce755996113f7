//! What an event says, in IRC's words: replies, edits, reactions and files as text, and text as lines.

use std::borrow::Cow;

use irc_proto::Message as Line;
use viaduct_model::document::{Block, Mention, MentionTarget};
use viaduct_model::{
    Attachment, ChannelId, Document, Inline, Message, MessageId, MessageStyle, NetworkName, Person, PersonId,
};

use super::recent::Said;
use super::{Shared, is_ours, locked};
use crate::client::Connection;
use crate::client::line::{Fields, spoken};
use crate::convert::ctcp;
use crate::convert::forms::{self, Values, unpinged};
use crate::convert::render::{clean, render};
use crate::convert::split::split;

/// The longest id that is sent in a tag.
const ID_LENGTH: usize = 200;

/// What is to be said, and how.
pub(super) struct Words<'a> {
    pub(super) document: Cow<'a, Document>,
    pub(super) style: MessageStyle,
    /// Tags for the message as a whole, for servers that pass them on.
    pub(super) tags: Vec<(&'static str, &'a str)>,
    pub(super) losses: Vec<String>,
}

/// A text as lines.
pub(super) struct Lines {
    pub(super) lines: Vec<Line>,
    /// Whether no line of the text had to be cut.
    pub(super) whole: bool,
}

/// The author and the beginning of a message that is acted upon, as far as remembered.
pub(super) fn meant(shared: &Shared, channel: &ChannelId, target: &MessageId) -> (String, String) {
    let recent = locked(&shared.recent);
    match recent.get(channel, target) {
        Some(said) => (unpinged(&said.name), said.quote.clone()),
        None => (String::new(), "an earlier message".to_owned()),
    }
}

/// The tag that names another message, if the server knows it by this id: ids that were made here mean nothing to it.
pub(super) fn reply_tag<'a>(shared: &Shared, target: &'a MessageId) -> Option<(&'static str, &'a str)> {
    let id = target.as_str();
    let known = !id.contains(shared.nonce.as_str()) && id.len() < ID_LENGTH;
    known.then_some(("+draft/reply", id))
}

/// A message with the form of a reply and links to its files.
pub(super) fn message<'a>(shared: &Shared, channel: &ChannelId, message: &'a Message) -> Words<'a> {
    let mut document = Cow::Borrowed(&message.body);
    let mut losses = Vec::new();
    for attachment in &message.attachments {
        match linked(shared, attachment) {
            Some(block) => document.to_mut().blocks.push(block),
            None => losses.push(format!("the file {} could not be offered as a link", attachment.name)),
        }
    }
    if let Some(target) = message.reply_to.as_ref().or(message.thread.as_ref()) {
        document = Cow::Owned(answering(shared, channel, target, document.into_owned()));
    }
    let reply = message.reply_to.as_ref().and_then(|target| reply_tag(shared, target));
    Words {
        document,
        style: message.style,
        tags: reply.into_iter().collect(),
        losses,
    }
}

/// A text in the form of an answer to a message.
fn answering(shared: &Shared, channel: &ChannelId, target: &MessageId, document: Document) -> Document {
    let found = locked(&shared.recent).get(channel, target).cloned();
    let forms = &shared.section.forms;
    let (template, said) = match found {
        Some(said) => (&forms.reply, said),
        None => (
            &forms.reply_unknown,
            Said {
                name: String::new(),
                quote: String::new(),
            },
        ),
    };
    // Somebody of this network who is answered may be alerted; others only look the same.
    let here = locked(&shared.roster).user(&said.name).is_some();
    let name = if here { said.name } else { unpinged(&said.name) };
    let values = Values {
        name: &name,
        quote: &said.quote,
        reaction: "",
    };
    forms::wrap(template, values, document)
}

/// A new wording of a message.
pub(super) fn edit<'a>(shared: &Shared, channel: &ChannelId, target: &MessageId, wording: &'a Message) -> Words<'a> {
    let words = message(shared, channel, wording);
    let (name, said) = meant(shared, channel, target);
    let values = Values {
        name: &name,
        quote: &said,
        reaction: "",
    };
    let document = forms::wrap(&shared.section.forms.edit, values, words.document.into_owned());
    Words {
        document: Cow::Owned(document),
        tags: Vec::new(),
        ..words
    }
}

/// A form filled with what it acts upon; none if the operator wants nothing said.
pub(super) fn form<'a>(
    shared: &Shared,
    channel: &ChannelId,
    template: &str,
    target: &MessageId,
    reaction: &str,
) -> Option<Words<'a>> {
    let (name, said) = meant(shared, channel, target);
    let values = Values {
        name: &name,
        quote: &said,
        reaction,
    };
    let text = forms::fill(template, values);
    (!template.is_empty()).then(|| Words {
        document: Cow::Owned(Document::paragraph(vec![Inline::Text(text)])),
        style: MessageStyle::Text,
        tags: Vec::new(),
        losses: Vec::new(),
    })
}

fn linked(shared: &Shared, attachment: &Attachment) -> Option<Block> {
    let link = shared.context.media.link(&attachment.media, &attachment.name)?;
    let text = format!("{}: {link}", attachment.name);
    Some(Block::Paragraph(vec![Inline::Text(text)]))
}

/// What is put in front of what the hub says for somebody: short enough to leave room for words.
pub(super) fn relayed(shared: &Shared, display: &str) -> String {
    let shown: String = clean(display).chars().take(40).collect();
    let values = Values {
        name: &unpinged(&shown),
        ..Values::default()
    };
    forms::fill(&shared.section.forms.relay, values)
}

/// The lines of a message at a target. `prefix` is put in front of each, where the hub speaks for somebody.
pub(super) fn lines(shared: &Shared, connection: &Connection, target: &str, words: &Words<'_>, prefix: &str) -> Lines {
    let command = if words.style == MessageStyle::Notice {
        "NOTICE"
    } else {
        "PRIVMSG"
    };
    let action = words.style == MessageStyle::Action;
    let mut prefix = Cow::Borrowed(prefix);
    if action && !prefix.is_empty() {
        prefix = Cow::Owned(format!("{} ", prefix.trim_matches(|mark: char| "<> ".contains(mark))));
    }
    let overhead = if action { ctcp::ACTION_OVERHEAD } else { 0 };
    let room = connection.room(command, target).saturating_sub(overhead + prefix.len());
    let mut out = Lines {
        lines: Vec::new(),
        whole: true,
    };
    let texts = render(&words.document, &|mention| addressed(shared, mention));
    for text in &texts {
        let pieces: Vec<String> = split(text, room);
        out.whole &= pieces.len() <= 1;
        for mut text in pieces {
            text.insert_str(0, &prefix);
            let text = if action { ctcp::write("ACTION", &text) } else { text };
            out.lines.push(spoken(command, target, text));
        }
    }
    if let Some(first) = out.lines.first_mut().filter(|_| connection.has("message-tags")) {
        for (key, value) in &words.tags {
            first.set_tag(key, value);
        }
    }
    out
}

/// How a person who is addressed is written: by the nick they have here, else by name, so that nobody else is alerted.
fn addressed(shared: &Shared, mention: &Mention) -> String {
    match &mention.target {
        MentionTarget::Person { network, id } if is_ours(shared, network) => locked(&shared.roster).nick_of(id),
        MentionTarget::Person { network, id } => {
            puppet_nick(shared, network, id).unwrap_or_else(|| unpinged(&mention.label))
        }
        _ => unpinged(&mention.label),
    }
}

fn puppet_nick(shared: &Shared, network: &NetworkName, id: &PersonId) -> Option<String> {
    let person = Person {
        network: network.clone(),
        id: id.clone(),
        name: String::new(),
        avatar: None,
        organisation: None,
        bot: false,
    };
    shared.existing(&person).map(|connection| connection.nick())
}
