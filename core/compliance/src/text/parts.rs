//! The one walk over everything that can be read in an event.

use viaduct_model::document::{Block, Document, Inline};
use viaduct_model::{Content, Membership, Message, Outbound, Person};

use super::view::{View, Views};
use crate::policy::TextPart;

/// What the walk tells its visitor.
pub(super) enum Step<'a> {
    /// A text begins that has nothing to do with what was before.
    Part(TextPart),
    /// The next string of the text. Strings are numbered from 0 over the whole walk.
    Leaf(&'a mut String),
    /// A character that the reader sees between two strings, and that stands in none.
    Gap(char),
}

type Visit<'v> = dyn FnMut(Step<'_>) + 'v;

/// Walks over all texts of an event.
pub(super) fn walk(outbound: &mut Outbound, visit: &mut Visit<'_>) {
    alone(TextPart::Author, &mut outbound.author.display, visit);
    person(&mut outbound.author.person, visit);
    match &mut outbound.content {
        Content::Message(message) | Content::Edit { message, .. } => walk_message(message, visit),
        Content::Delete { reason, .. } => reason_given(reason, visit),
        Content::React { reaction, .. } | Content::Unreact { reaction, .. } => {
            alone(TextPart::Reaction, &mut reaction.key, visit);
        }
        Content::Membership {
            person: who,
            change,
            reason,
        } => {
            person(who, visit);
            if let Membership::Rename { from } = change {
                alone(TextPart::Person, from, visit);
            }
            reason_given(reason, visit);
        }
        Content::Role { person: who, .. } => person(who, visit),
        Content::Topic { topic } => alone(TextPart::Topic, topic, visit),
        Content::Name { name } => alone(TextPart::Name, name, visit),
        Content::Closed { reason } => alone(TextPart::Reason, reason, visit),
        Content::Picture { .. }
        | Content::Pins { .. }
        | Content::Typing { .. }
        | Content::Read { .. }
        | Content::Opened => {}
    }
}

/// Walks over all texts of a message: first what is read in one go, then what stands aside.
pub(super) fn walk_message(message: &mut Message, visit: &mut Visit<'_>) {
    visit(Step::Part(TextPart::Body));
    blocks(&mut message.body.blocks, visit);
    asides(&mut message.body, visit);
    for attachment in &mut message.attachments {
        alone(TextPart::FileName, &mut attachment.name, visit);
        if let Some(mime) = &mut attachment.mime {
            alone(TextPart::FileName, mime, visit);
        }
    }
}

fn alone(part: TextPart, text: &mut String, visit: &mut Visit<'_>) {
    visit(Step::Part(part));
    visit(Step::Leaf(text));
}

fn person(person: &mut Person, visit: &mut Visit<'_>) {
    alone(TextPart::Person, &mut person.name, visit);
}

fn reason_given(reason: &mut Option<String>, visit: &mut Visit<'_>) {
    if let Some(reason) = reason {
        alone(TextPart::Reason, reason, visit);
    }
}

fn blocks(list: &mut [Block], visit: &mut Visit<'_>) {
    for block in list {
        match block {
            Block::Paragraph(content) | Block::Heading { content, .. } => inlines(content, visit),
            Block::Quote(inner) => blocks(inner, visit),
            Block::List { items, .. } => items.iter_mut().for_each(|item| blocks(item, visit)),
            Block::Code { text, .. } => visit(Step::Leaf(text)),
            Block::Rule => {}
        }
        visit(Step::Gap('\n'));
    }
}

fn inlines(content: &mut [Inline], visit: &mut Visit<'_>) {
    for inline in content {
        match inline {
            Inline::Text(text) | Inline::Code(text) => visit(Step::Leaf(text)),
            Inline::Mention(mention) => visit(Step::Leaf(&mut mention.label)),
            Inline::Channel { label, .. } => visit(Step::Leaf(label)),
            Inline::Emoji { code, .. } => visit(Step::Leaf(code)),
            Inline::Break => visit(Step::Gap('\n')),
            Inline::Strong(inner)
            | Inline::Emphasis(inner)
            | Inline::Underline(inner)
            | Inline::Strike(inner)
            | Inline::Colour { content: inner, .. }
            | Inline::Link { content: inner, .. }
            | Inline::Spoiler { content: inner, .. } => inlines(inner, visit),
        }
    }
}

/// What stands in a document without being part of its running text.
fn asides(document: &mut Document, visit: &mut Visit<'_>) {
    fn in_blocks(list: &mut [Block], visit: &mut Visit<'_>) {
        for block in list {
            match block {
                Block::Paragraph(content) | Block::Heading { content, .. } => in_inlines(content, visit),
                Block::Quote(inner) => in_blocks(inner, visit),
                Block::List { items, .. } => items.iter_mut().for_each(|item| in_blocks(item, visit)),
                Block::Code {
                    language: Some(language),
                    ..
                } => alone(TextPart::Aside, language, visit),
                Block::Code { language: None, .. } | Block::Rule => {}
            }
        }
    }
    fn in_inlines(content: &mut [Inline], visit: &mut Visit<'_>) {
        for inline in content {
            match inline {
                Inline::Link { url, content } => {
                    alone(TextPart::Link, url, visit);
                    in_inlines(content, visit);
                }
                Inline::Spoiler { reason, content } => {
                    if let Some(reason) = reason {
                        alone(TextPart::Aside, reason, visit);
                    }
                    in_inlines(content, visit);
                }
                Inline::Strong(inner)
                | Inline::Emphasis(inner)
                | Inline::Underline(inner)
                | Inline::Strike(inner)
                | Inline::Colour { content: inner, .. } => in_inlines(inner, visit),
                Inline::Text(_)
                | Inline::Code(_)
                | Inline::Mention(_)
                | Inline::Channel { .. }
                | Inline::Emoji { .. }
                | Inline::Break => {}
            }
        }
    }
    in_blocks(&mut document.blocks, visit);
}

/// One text of an event, made comparable.
#[derive(Debug)]
pub(crate) struct Part {
    /// What it is.
    pub(crate) kind: TextPart,
    /// The forms in which it is looked at; the first is the folded one.
    pub(crate) views: Vec<View>,
    /// For a text joined with the one it replaces: findings within one of them alone do not count.
    pub(crate) seam: bool,
}

/// All texts of an event, without the empty ones, and the number of bytes they have together.
pub(crate) fn read(outbound: &mut Outbound) -> (Vec<Part>, usize) {
    let mut collector = Collector::default();
    walk(outbound, &mut |step| collector.take(step));
    collector.finish()
}

/// The running text of an edit joined with that of the wording it replaces, in both orders, with and without a space between
/// them: whoever sees both can read them as one. The leaves of the old wording are not numbered, because it cannot be changed any more.
pub(crate) fn read_previous(outbound: &mut Outbound, previous: &Message) -> Vec<Part> {
    let Content::Edit { .. } = &outbound.content else {
        return Vec::new();
    };
    let mut old = previous.body.clone();
    let mut parts = Vec::new();
    for (old_first, gap) in [(true, false), (true, true), (false, false), (false, true)] {
        let mut views = Views::default();
        let mut leaf = 0;
        let join = |views: &mut Views| {
            views.trim_gaps();
            if gap {
                views.gap(' ');
            }
        };
        if old_first {
            blocks(&mut old.blocks, &mut |step| views.take_old(step));
            join(&mut views);
        }
        let mut in_body = false;
        walk(outbound, &mut |step| match step {
            Step::Part(kind) => in_body = kind == TextPart::Body,
            Step::Leaf(text) => {
                if in_body {
                    views.leaf(leaf, text);
                }
                leaf += 1;
            }
            Step::Gap(gap) if in_body => views.gap(gap),
            Step::Gap(_) => {}
        });
        if !old_first {
            join(&mut views);
            blocks(&mut old.blocks, &mut |step| views.take_old(step));
        }
        parts.push(Part {
            kind: TextPart::Body,
            views: views.finish(),
            seam: true,
        });
    }
    parts
}

/// The text of a file, which cannot be changed.
pub(crate) fn read_file(text: &str) -> Part {
    let mut views = Views::default();
    views.fixed(text);
    Part {
        kind: TextPart::File,
        views: views.finish(),
        seam: false,
    }
}

#[derive(Default)]
struct Collector {
    parts: Vec<Part>,
    /// What leaves mean beside what is written; see [`meanings`].
    derived: Vec<Part>,
    open: Option<(TextPart, Views)>,
    leaf: usize,
    bytes: usize,
}

impl Collector {
    fn take(&mut self, step: Step<'_>) {
        match step {
            Step::Part(kind) => {
                self.close();
                self.open = Some((kind, Views::default()));
            }
            Step::Leaf(text) => {
                self.bytes += text.len();
                if let Some((kind, views)) = &mut self.open {
                    views.leaf(self.leaf, text);
                    for meaning in meanings(*kind, text) {
                        let mut views = Views::default();
                        views.whole(self.leaf, text, &meaning);
                        self.derived.push(Part {
                            kind: *kind,
                            views: views.finish(),
                            seam: false,
                        });
                    }
                }
                self.leaf += 1;
            }
            Step::Gap(gap) => {
                if let Some((_, views)) = &mut self.open {
                    views.gap(gap);
                }
            }
        }
    }

    fn close(&mut self) {
        if let Some((kind, views)) = self.open.take()
            && !views.is_empty()
        {
            self.parts.push(Part {
                kind,
                views: views.finish(),
                seam: false,
            });
        }
    }

    fn finish(mut self) -> (Vec<Part>, usize) {
        self.close();
        self.parts.append(&mut self.derived);
        (self.parts, self.bytes)
    }
}

/// What a text means to whoever sees it, where that is not what is written: an address with its percent signs decoded, and a
/// text that is shown backwards.
fn meanings(kind: TextPart, text: &str) -> Vec<String> {
    let mut all = Vec::new();
    if kind == TextPart::Link && text.contains('%') {
        all.push(percent_decoded(text));
    }
    if text.contains(['\u{202e}', '\u{2067}']) {
        all.push(text.chars().rev().collect());
    }
    all
}

fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        let code = tail.first_chunk::<2>().filter(|_| *first == b'%');
        let code = code.and_then(|code| std::str::from_utf8(code).ok());
        let byte = code.and_then(|code| u8::from_str_radix(code, 16).ok());
        bytes.push(byte.unwrap_or(*first));
        rest = if byte.is_some() {
            tail.get(2..).unwrap_or_default()
        } else {
            tail
        };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
